package service

import (
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// Demand implements Site.
func (h *Host) Demand(at dsv.Instant, ref step.Ref, d *rdr.Demand) {
	switch d.Op {
	case rdr.OpCPU:
		x, _ := h.run.Execution(ref)
		h.visits[x].cpu += d.N
		h.hw.meters[resCPU].requested.Write(at, float64(d.N)/1e9)
		h.compute(at, x, ref, d.N)
		h.grants(at)
	case rdr.OpDiskRead, rdr.OpDiskWrite:
		h.access(at, ref, rdr.Demand{Op: d.Op, Sync: d.Sync, N: d.N})
	case rdr.OpFile:
		h.get(at, ref, d)
	case rdr.OpMemory:
		h.hw.meters[resMemory].requested.Write(at, float64(d.N))
		h.acquire(at, h.hw.memory, ref, d)
	case rdr.OpLock:
		h.acquire(at, h.hw.lock(d.Name), ref, d)
	case rdr.OpReply:
		x, _ := h.run.Execution(ref)
		n := d.N
		if v := &h.visits[x]; d.File && v.object != 0 && v.status == 0 {
			n, v.sends = h.lib.size(v.object), v.object
			h.pin(v.sends) // the block may get another one while the reply is on its way
		}
		h.reply(at, x, 200, n)
		h.run.Met(at, ref, rdr.OK)
	}
}

// access brings an access to the disk.
func (h *Host) access(at dsv.Instant, ref step.Ref, d rdr.Demand) {
	ns := h.hw.diskTime(&d)
	h.hw.meters[resDisk].requested.Write(at, float64(ns)/1e9)
	if h.hw.burnDisk != nil {
		h.hw.diskOps[ref] = d
	}
	h.hw.disk.Arrive(at, ref, ns)
	h.grants(at)
}

// compute brings a demand of execution x to the CPU.
func (h *Host) compute(at dsv.Instant, x uint32, ref step.Ref, demand int64) {
	ns := h.hw.cpuTime(demand)
	if h.hw.ranked == nil {
		h.hw.cpu.Arrive(at, ref, ns)
		return
	}
	u := h.run.Urgency(x)
	h.hw.ranked.ArriveRanked(at, ref, ns, h.hw.cfg.CPU.Discipline.Rank(ns, u.Priority, u.Deadline))
}

func (h *Host) acquire(at dsv.Instant, p *machine.Pool, ref step.Ref, d *rdr.Demand) {
	n := d.N
	if d.Op == rdr.OpLock {
		n = 1
	}
	switch held, ok := p.Acquire(at, ref, n); {
	case !ok: // more than there is
		h.run.Met(at, ref, rdr.Rejected)
	case held:
		h.held(at, ref, d.Op, n)
	}
}

// held goes on once memory or a lock is had; under run: burn memory is touched first.
func (h *Host) held(at dsv.Instant, ref step.Ref, kind rdr.Op, n int64) {
	if kind == rdr.OpMemory {
		h.hw.meters[resMemory].delivered.Write(at, float64(n))
		if h.hw.burnCPU != nil {
			h.effect(step.Effect{At: at, Kind: step.Burn, Code: BurnTouch, Node: -1, Ref: ref, N: n})
			return
		}
	}
	h.run.Met(at, ref, rdr.OK)
}

// Notice implements Site.
func (h *Host) Notice(at dsv.Instant, ref step.Ref, notice, kind rdr.Op, name string, n int64) {
	cancel := notice == rdr.OpCancel
	switch kind {
	case rdr.OpCPU:
		h.hw.cpu.Withdraw(at, ref)
		h.grants(at)
	case rdr.OpDiskRead, rdr.OpDiskWrite:
		h.hw.disk.Withdraw(at, ref)
		delete(h.hw.diskOps, ref)
		h.grants(at)
	case rdr.OpFile:
		h.leaveRead(ref)
	case rdr.OpMemory:
		if cancel && h.hw.memory.Withdraw(at, ref) {
			break
		}
		h.hw.memory.Release(at, n)
		if h.hw.burnCPU != nil {
			h.effect(step.Effect{At: at, Kind: step.Burn, Code: BurnFree, Node: -1, Ref: ref, N: n})
		}
	case rdr.OpLock:
		if p := h.hw.lock(name); !cancel || !p.Withdraw(at, ref) {
			p.Release(at, 1)
		}
	}
	h.run.Agenda.Push(at, Event{Kind: eventPools})
}

// grants turns what the burners allow into effects.
func (h *Host) grants(at dsv.Instant) {
	if h.hw.burnCPU == nil {
		return
	}
	for _, g := range h.hw.burnCPU.Grants() {
		h.effect(step.Effect{At: at, Kind: step.Burn, Code: BurnCPU, Node: -1, Ref: g.Job, N: g.N})
	}
	for _, g := range h.hw.burnDisk.Grants() {
		d := h.hw.diskOps[g.Job]
		code := BurnRead
		switch {
		case d.Op == rdr.OpFile:
			code = BurnFile
		case d.Sync:
			code = BurnSync
		case d.Op == rdr.OpDiskWrite:
			code = BurnWrite
		}
		h.effect(step.Effect{At: at, Kind: step.Burn, Code: code, Node: -1, Ref: g.Job, Key: uint64(d.Key), N: d.N})
	}
}

// met books what a Burn effect has delivered. For the disk, that is the time it took, in ns.
func (h *Host) met(at dsv.Instant, ref step.Ref, delivered int64) {
	if h.lib.find(ref) != nil {
		h.accessed(at, ref, delivered)
		h.grants(at)
		return
	}
	p := h.run.lookup(ref)
	if p == nil {
		return
	}
	switch p.kind {
	case rdr.OpCPU:
		h.hw.delivered[resCPU] += float64(delivered) / 1e9 * h.hw.speed()
		h.hw.burnCPU.Met(at, ref)
	case rdr.OpDiskRead, rdr.OpDiskWrite:
		h.accessed(at, ref, delivered)
	case rdr.OpMemory:
		h.run.Met(at, ref, rdr.OK)
	}
	h.grants(at)
}

// accessed ends an access to the disk.
func (h *Host) accessed(at dsv.Instant, ref step.Ref, delivered int64) {
	h.hw.delivered[resDisk] += float64(delivered) / 1e9
	delete(h.hw.diskOps, ref)
	h.hw.burnDisk.Met(at, ref)
}

// departures lets every job go on that has left a station.
func (h *Host) departures(at dsv.Instant) {
	for _, ref := range h.hw.cpu.Departed() {
		h.run.Met(at, ref, rdr.OK)
	}
	for _, ref := range h.hw.disk.Departed() {
		if ref.Slot()&readBit != 0 {
			h.read(at, ref)
			continue
		}
		h.run.Met(at, ref, rdr.OK)
	}
	if h.hw.link == nil {
		return
	}
	for _, job := range h.hw.link.Departed() {
		slot, gen := job.Slot()&linkMask, job.Gen()
		switch job.Slot() >> linkShift {
		case linkReply:
			h.sent(at, slot)
		case linkCall:
			h.depart(at, step.NewRef(slot, gen))
		case linkCopy:
			if h.here[slot].copyEpoch == gen {
				h.copyOn(at, int(slot))
			}
		}
	}
}

// pools lets those go on who have got memory or a lock.
func (h *Host) pools(at dsv.Instant) {
	for _, ref := range h.hw.memory.Departed() {
		if p := h.run.lookup(ref); p != nil {
			h.held(at, ref, p.kind, p.n)
		}
	}
	for _, l := range h.hw.locks {
		for _, ref := range l.pool.Departed() {
			h.run.Met(at, ref, rdr.OK)
		}
	}
}
