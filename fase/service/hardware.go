package service

import (
	"math"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// What a Burn effect consumes, told by its Code; N is nanoseconds or bytes.
const (
	BurnCPU uint16 = iota
	BurnRead
	BurnWrite
	BurnSync  // a write that reaches the medium
	BurnTouch // memory to take and touch
	BurnFree  // memory to give back; wants no Met
)

// hardware is the resources of one server, with what is measured of them.
type hardware struct {
	cfg    machine.Config
	cpu    machine.Station
	disk   machine.Station
	link   *machine.Queue // nil: infinitely fast
	memory *machine.Pool
	locks  []lock // in order of first use
	// burners of the CPU and the disk under run: burn, else nil
	burnCPU, burnDisk *machine.Burner
	diskOps           map[step.Ref]rdr.Demand // what a disk grant is to do

	meters    [4]meter // by resource
	delivered [2]float64
}

type meter struct{ utilisation, queue, requested, delivered *dmm.Var }

// The resources, in the order of their meters.
const (
	resCPU = iota
	resDisk
	resMemory
	resLink
)

// Resources names them.
var resourceNames = [...]string{"cpu", "disk", "memory", "link"}

// Resources lists the names of a server's resources, as they stand in variables.
func Resources() []string { return append([]string(nil), resourceNames[:]...) }

// The jobs of a link, told apart by the upper two bits of the slot.
const (
	linkReply = iota // Ref: execution
	linkCall         // Ref: call
	linkCopy         // Ref: service and epoch
	linkShift = 30
	linkMask  = 1<<linkShift - 1
)

func newHardware(cfg machine.Config, server string, vars Vars) hardware {
	hw := hardware{cfg: cfg, memory: machine.NewPool(int64(cfg.Memory))}
	switch {
	case cfg.Run == machine.Burn:
		slice := int64(0)
		if cfg.CPU.Discipline == machine.PS {
			slice = machine.Slice
		}
		hw.burnCPU, hw.burnDisk = machine.NewBurner(cfg.CPU.Cores, slice), machine.NewBurner(1, 0)
		hw.cpu, hw.disk = hw.burnCPU, hw.burnDisk
		hw.diskOps = map[step.Ref]rdr.Demand{}
	case cfg.CPU.Discipline == machine.PS:
		hw.cpu, hw.disk = machine.NewSharing(cfg.CPU.Cores, cfg.CPU.Speed), machine.NewQueue(1, 1)
	default:
		hw.cpu, hw.disk = machine.NewQueue(cfg.CPU.Cores, cfg.CPU.Speed), machine.NewQueue(1, 1)
	}
	if cfg.Link.Rate > 0 {
		hw.link = machine.NewQueue(1, 1)
	}
	for i, r := range resourceNames {
		n := server + "." + r
		hw.meters[i] = meter{
			vars(dsv.Name(n + ".utilisation")), vars(dsv.Name(n + ".queue")),
			vars(dsv.Name(n + ".requested")), vars(dsv.Name(n + ".delivered")),
		}
	}
	return hw
}

func (hw *hardware) next() dsv.Instant {
	t := min(hw.cpu.Next(), hw.disk.Next())
	if hw.link != nil {
		t = min(t, hw.link.Next())
	}
	return t
}

func (hw *hardware) advance(to dsv.Instant) {
	hw.cpu.Advance(to)
	hw.disk.Advance(to)
	if hw.link != nil {
		hw.link.Advance(to)
	}
}

// diskTime is what a disk access takes, in ns.
func (hw *hardware) diskTime(d *rdr.Demand) int64 {
	rate := float64(hw.cfg.Disk.Rate)
	if rate <= 0 {
		rate = 500e6
	}
	ns := hw.cfg.Disk.Seek.Nanoseconds() + int64(math.Round(float64(d.N)/rate*1e9))
	if d.Sync {
		ns += hw.cfg.Disk.Sync.Nanoseconds()
	}
	return ns
}

// send puts n bytes on the link; false when that takes no time.
func (hw *hardware) send(at dsv.Instant, kind uint32, ref step.Ref, n int64) bool {
	if hw.link == nil || n == 0 {
		return false
	}
	ns := int64(math.Round(float64(n) * 8e9 / float64(hw.cfg.Link.Rate)))
	hw.meters[resLink].requested.Write(at, float64(ns)/1e9)
	hw.link.Arrive(at, step.NewRef(ref.Slot()|kind<<linkShift, ref.Gen()), ns)
	return true
}

// lock is a critical section of this server.
type lock struct {
	name string
	pool *machine.Pool
}

func (hw *hardware) lock(name string) *machine.Pool {
	for i := range hw.locks {
		if hw.locks[i].name == name {
			return hw.locks[i].pool
		}
	}
	p := machine.NewPool(1)
	hw.locks = append(hw.locks, lock{name, p})
	return p
}

// accrue writes what was measured over the last d seconds.
func (hw *hardware) accrue(at dsv.Instant, d float64) {
	cores := float64(max(hw.cfg.CPU.Cores, 1))
	busy, present := hw.cpu.Use(at)
	hw.write(at, resCPU, busy/cores, present, d)
	if hw.burnCPU == nil {
		hw.delivered[resCPU] = busy * max(hw.speed(), 0)
	}
	busy, present = hw.disk.Use(at)
	hw.write(at, resDisk, busy, present, d)
	if hw.burnDisk == nil {
		hw.delivered[resDisk] = busy
	}
	for r := range hw.delivered {
		if x := hw.delivered[r]; x > 0 {
			hw.meters[r].delivered.Write(at, x)
		}
		hw.delivered[r] = 0
	}
	held, present := hw.memory.Use(at)
	if hw.cfg.Memory > 0 {
		held /= float64(hw.cfg.Memory)
	} else {
		held = 0
	}
	hw.write(at, resMemory, held, present, d)
	if hw.link != nil {
		busy, present = hw.link.Use(at)
		hw.write(at, resLink, busy, present, d)
		if busy > 0 {
			hw.meters[resLink].delivered.Write(at, busy)
		}
	} else {
		hw.write(at, resLink, 0, 0, d)
	}
}

func (hw *hardware) speed() float64 {
	if hw.cfg.CPU.Speed <= 0 {
		return 1
	}
	return hw.cfg.CPU.Speed
}

func (hw *hardware) write(at dsv.Instant, r int, busy, present, d float64) {
	hw.meters[r].utilisation.WriteWeighted(at, busy, d)
	hw.meters[r].queue.WriteWeighted(at, present, d)
}

// Demand implements Site.
func (h *Host) Demand(at dsv.Instant, ref step.Ref, d *rdr.Demand) {
	switch d.Op {
	case rdr.OpCPU:
		x, _ := h.run.Execution(ref)
		h.visits[x].cpu += d.N
		h.hw.meters[resCPU].requested.Write(at, float64(d.N)/1e9)
		h.hw.cpu.Arrive(at, ref, d.N)
		h.grants(at)
	case rdr.OpDiskRead, rdr.OpDiskWrite:
		ns := h.hw.diskTime(d)
		h.hw.meters[resDisk].requested.Write(at, float64(ns)/1e9)
		if h.hw.burnDisk != nil {
			h.hw.diskOps[ref] = rdr.Demand{Op: d.Op, Sync: d.Sync, N: d.N}
		}
		h.hw.disk.Arrive(at, ref, ns)
		h.grants(at)
	case rdr.OpMemory:
		h.hw.meters[resMemory].requested.Write(at, float64(d.N))
		h.acquire(at, h.hw.memory, ref, d)
	case rdr.OpLock:
		h.acquire(at, h.hw.lock(d.Name), ref, d)
	case rdr.OpReply:
		x, _ := h.run.Execution(ref)
		h.reply(at, x, 200, d.N)
		h.run.Met(at, ref, rdr.OK)
	}
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
		case d.Sync:
			code = BurnSync
		case d.Op == rdr.OpDiskWrite:
			code = BurnWrite
		}
		h.effect(step.Effect{At: at, Kind: step.Burn, Code: code, Node: -1, Ref: g.Job, N: d.N})
	}
}

// met books what a Burn effect has delivered. For the disk, that is the time it took, in ns.
func (h *Host) met(at dsv.Instant, ref step.Ref, delivered int64) {
	p := h.run.lookup(ref)
	if p == nil {
		return
	}
	switch p.kind {
	case rdr.OpCPU:
		h.hw.delivered[resCPU] += float64(delivered) / 1e9
		h.hw.burnCPU.Met(at, ref)
	case rdr.OpDiskRead, rdr.OpDiskWrite:
		h.hw.delivered[resDisk] += float64(delivered) / 1e9
		delete(h.hw.diskOps, ref)
		h.hw.burnDisk.Met(at, ref)
	case rdr.OpMemory:
		h.run.Met(at, ref, rdr.OK)
	}
	h.grants(at)
}

// departures lets every job go on that has left a station.
func (h *Host) departures(at dsv.Instant) {
	for _, ref := range h.hw.cpu.Departed() {
		h.run.Met(at, ref, rdr.OK)
	}
	for _, ref := range h.hw.disk.Departed() {
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
