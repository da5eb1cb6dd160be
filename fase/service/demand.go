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
		n := d.N
		if h.visits[x].cpu == 0 {
			n += h.overhead(x).CPU.Nanoseconds()
		}
		h.visits[x].cpu += n
		h.hw.meters[resCPU].requested.Write(at, float64(n)/1e9)
		h.compute(at, x, ref, n)
		h.grants(at)
	case rdr.OpDiskRead, rdr.OpDiskWrite:
		h.access(at, ref, rdr.Demand{Op: d.Op, Sync: d.Sync, N: d.N})
	case rdr.OpFile:
		h.get(at, ref, d)
	case rdr.OpMemory:
		h.remember(at, ref, d)
	case rdr.OpLock:
		if held, _ := h.hw.lock(d.Name).pool.Acquire(at, ref, 1); held {
			h.held(at, ref)
		}
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

// overhead is what an execution takes beside its demands.
func (h *Host) overhead(x uint32) Overhead {
	if s := h.visits[x].req.Service; h.cfg.Overhead && s >= 0 {
		return h.cfg.Services[s].Overhead
	}
	return Overhead{}
}

// access brings an access to the disk. One that finds too many waiting fails.
func (h *Host) access(at dsv.Instant, ref step.Ref, d rdr.Demand) {
	if disk := &h.hw.cfg.Disk; disk.Queue > 0 && h.hw.disk.Len() >= disk.Queue+h.hw.depth() {
		h.hw.refused.Write(at, 1)
		h.refuse(at, ref)
		return
	}
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

// refuse fails an access to the disk.
func (h *Host) refuse(at dsv.Instant, ref step.Ref) {
	r := h.lib.find(ref)
	if r == nil {
		h.run.Met(at, ref, rdr.Rejected)
		return
	}
	r.lost = true
	h.read(at, ref)
}

// held goes on once a lock or memory is had; under run: burn memory is touched first.
func (h *Host) held(at dsv.Instant, ref step.Ref) {
	p := h.run.lookup(ref)
	waited := at.Sub(p.since)
	h.visits[p.x].wait += int64(waited)
	p.since, p.had = at, true
	if p.kind == rdr.OpLock {
		h.hw.lock(p.name).meter.wait.Write(at, waited.Seconds())
		h.run.Met(at, ref, rdr.OK)
		return
	}
	m := &h.hw.meters[resMemory]
	m.wait.Write(at, waited.Seconds())
	m.delivered.Write(at, float64(p.n))
	if h.hw.burnCPU != nil {
		h.effect(step.Effect{At: at, Kind: step.Burn, Code: BurnTouch, Node: -1, Ref: ref, N: p.n})
		return
	}
	h.run.Met(at, ref, rdr.OK)
}

// Notice implements Site.
func (h *Host) Notice(at dsv.Instant, ref step.Ref, notice, kind rdr.Op, name string, n int64) {
	cancel := notice == rdr.OpCancel
	switch kind {
	case rdr.OpCPU:
		h.spare(at, ref)
		h.grants(at)
	case rdr.OpDiskRead, rdr.OpDiskWrite:
		h.hw.disk.Withdraw(at, ref)
		delete(h.hw.diskOps, ref)
		h.grants(at)
	case rdr.OpFile:
		h.leaveRead(ref)
	case rdr.OpMemory:
		h.forget(at, ref, cancel, n)
	case rdr.OpLock:
		l := h.hw.lock(name)
		if cancel && l.pool.Withdraw(at, ref) {
			break
		}
		if p := h.run.lookup(ref); p.had {
			l.meter.service.Write(at, at.Sub(p.since).Seconds())
		}
		l.pool.Release(at, 1)
	}
	h.run.Agenda.Push(at, Event{Kind: eventPools})
}

// spare withdraws a demand from the CPU. What is left of it nobody asks for any more.
func (h *Host) spare(at dsv.Instant, ref step.Ref) {
	left, here := h.hw.cpu.Withdraw(at, ref)
	if !here {
		return
	}
	if h.hw.burnCPU != nil {
		left = wholeNs(float64(left) * h.hw.speed())
	}
	h.spared += left
	if p := h.run.lookup(ref); p != nil {
		h.visits[p.x].cpu -= left
	}
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
	jobs := h.hw.cpu.Departed()
	h.departed += uint64(len(jobs))
	for i, ref := range jobs {
		h.stayed(at, resCPU, ref, h.hw.cpu.Stays()[i])
		h.run.Met(at, ref, rdr.OK)
	}
	jobs = h.hw.disk.Departed()
	h.departed += uint64(len(jobs))
	for i, ref := range jobs {
		stay := h.hw.disk.Stays()[i]
		if r := h.lib.find(ref); r != nil {
			h.hw.meters[resDisk].left(at, stay)
			for _, w := range r.waiting {
				h.awaited(at, w, stay.Service)
			}
			h.read(at, ref)
			continue
		}
		h.stayed(at, resDisk, ref, stay)
		h.run.Met(at, ref, rdr.OK)
	}
	if h.hw.link != nil {
		h.linkDepartures(at)
	}
}

// linkDepartures is departures of the link.
func (h *Host) linkDepartures(at dsv.Instant) {
	jobs := h.hw.link.Departed()
	h.departed += uint64(len(jobs))
	for i, job := range jobs {
		stay := h.hw.link.Stays()[i]
		h.hw.meters[resLink].left(at, stay)
		slot, gen := job.Slot()&linkMask, job.Gen()
		switch job.Slot() >> linkShift {
		case linkReply:
			v := &h.visits[slot]
			v.wait, v.service = v.wait+stay.Wait, v.service+stay.Service
			h.sent(at, slot)
		case linkCall:
			h.depart(at, step.NewRef(slot, gen))
		case linkCopy:
			h.copiedOn(at, int(slot), gen)
		}
	}
}

// stayed books how long a demand was at a station.
func (h *Host) stayed(at dsv.Instant, resource int, ref step.Ref, s machine.Stay) {
	h.hw.meters[resource].left(at, s)
	if p := h.run.lookup(ref); p != nil {
		v := &h.visits[p.x]
		v.wait, v.service = v.wait+s.Wait, v.service+s.Service
	}
}

// awaited books how long a request has been waiting for a file that took the disk so long: it may have come while the file was
// read for another one.
func (h *Host) awaited(at dsv.Instant, ref step.Ref, service int64) {
	if p := h.run.lookup(ref); p != nil {
		here := int64(at - p.since)
		service = min(service, here)
		v := &h.visits[p.x]
		v.wait, v.service = v.wait+here-service, v.service+service
	}
}

// pools lets those go on who have got memory, a lock or a worker.
func (h *Host) pools(at dsv.Instant) {
	for _, ref := range h.hw.memory.Departed() {
		if h.run.lookup(ref) != nil {
			h.held(at, ref)
		}
	}
	for i := range len(h.hw.locks) {
		for _, ref := range h.hw.locks[i].pool.Departed() {
			if h.run.lookup(ref) != nil {
				h.held(at, ref)
			}
		}
	}
	h.employed(at)
}
