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
	BurnSync   // a write that reaches the medium
	BurnTouch  // memory to take and touch
	BurnFree   // memory to give back; wants no Met
	BurnChoose // no consumption: call Host.Choose once the sockets have been looked at
	BurnFile   // a whole file to read, Key: a files.Object
	BurnDrop   // a file whose bytes nobody needs any more; wants no Met
)

// hardware is the resources of one server, with what is measured of them.
type hardware struct {
	cfg    machine.Config
	cpu    machine.Station
	disk   machine.Station
	link   *machine.Queue // nil: infinitely fast
	memory *machine.Pool
	locks  []lock         // in order of first use
	ranked machine.Ranked // the CPU, when its discipline goes by rank; else nil
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
		hw.burnCPU, hw.burnDisk = newBurner(cfg.CPU), machine.NewDeepBurner(cfg.Disk.Depth)
		hw.cpu, hw.disk = hw.burnCPU, hw.burnDisk
		hw.diskOps = map[step.Ref]rdr.Demand{}
	case cfg.CPU.Discipline.Shares():
		hw.cpu, hw.disk = machine.NewSharing(cfg.CPU.Cores, cfg.CPU.Speed), machine.NewQueue(1, 1)
	case cfg.CPU.Discipline.Ranked():
		hw.cpu, hw.disk = machine.NewRanked(cfg.CPU.Cores, cfg.CPU.Speed), machine.NewQueue(1, 1)
	default:
		hw.cpu, hw.disk = machine.NewQueue(cfg.CPU.Cores, cfg.CPU.Speed), machine.NewQueue(1, 1)
	}
	if cfg.CPU.Discipline.Ranked() {
		hw.ranked = hw.cpu.(machine.Ranked)
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

func newBurner(cpu machine.CPUConfig) *machine.Burner {
	switch {
	case cpu.Discipline.Ranked():
		return machine.NewRankedBurner(cpu.Cores)
	case cpu.Discipline == machine.OS:
		return machine.NewOpenBurner(cpu.Cores)
	case cpu.Discipline == machine.PS:
		return machine.NewBurner(cpu.Cores, machine.Slice)
	}
	return machine.NewBurner(cpu.Cores, 0)
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
	ns := hw.cfg.Disk.Seek.Nanoseconds() + wholeNs(float64(d.N)/rate*1e9)
	if d.Sync {
		ns += hw.cfg.Disk.Sync.Nanoseconds()
	}
	return ns
}

// wholeNs rounds a time in nanoseconds; more than a century counts as one.
func wholeNs(x float64) int64 { return int64(math.Round(math.Min(x, century))) }

const century = 100 * 365.25 * 24 * 3600 * 1e9

// cpuTime is what the station of the CPU takes for a demand, in ns. A burner knows no speed.
func (hw *hardware) cpuTime(n int64) int64 {
	if hw.burnCPU == nil {
		return n
	}
	return wholeNs(float64(n) / hw.speed())
}

// send puts n bytes on the link; false when that takes no time.
func (hw *hardware) send(at dsv.Instant, kind uint32, ref step.Ref, n int64) bool {
	if hw.link == nil || n == 0 {
		return false
	}
	ns := wholeNs(float64(n) * 8e9 / float64(hw.cfg.Link.Rate))
	hw.meters[resLink].requested.Write(at, float64(ns)/1e9)
	hw.link.Arrive(at, step.NewRef(ref.Slot()|kind<<linkShift, ref.Gen()), ns)
	return true
}

// lock is a critical section of this server.
type lock struct {
	name string
	pool *machine.Pool
}

// lock returns the pool of a lock. One that nobody holds or waits for gives its place to a new name: blocks may come from
// anywhere, and name as many as they like.
func (hw *hardware) lock(name string) *machine.Pool {
	idle := -1
	for i := range hw.locks {
		if hw.locks[i].name == name {
			return hw.locks[i].pool
		}
		if idle < 0 && hw.locks[i].pool.Idle() {
			idle = i
		}
	}
	if idle >= 0 {
		hw.locks[idle].name = name
		return hw.locks[idle].pool
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
		hw.delivered[resCPU] = busy * hw.speed()
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

// busy names a resource that is in use, or "".
func (hw *hardware) busy() string {
	switch {
	case hw.cpu.Len() > 0:
		return resourceNames[resCPU]
	case hw.disk.Len() > 0 || len(hw.diskOps) > 0:
		return resourceNames[resDisk]
	case !hw.memory.Idle():
		return resourceNames[resMemory]
	case hw.link != nil && hw.link.Len() > 0:
		return resourceNames[resLink]
	}
	for _, l := range hw.locks {
		if !l.pool.Idle() {
			return "lock " + l.name
		}
	}
	return ""
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
