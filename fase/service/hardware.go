package service

import (
	"cmp"
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
	slowed    [4]float64 // by resource: how many times slower it works; 0 stands for 1

	refused *dmm.Var // accesses that found the queue of the disk full
	short   *dmm.Var // requests for which there was not enough memory, and which failed
	killed  *dmm.Var // requests that were killed for their memory
}

// stationMeter is what is measured of anything that serves jobs.
type stationMeter struct{ utilisation, queue, wait, service *dmm.Var }

func newStationMeter(name string, vars Vars) stationMeter {
	n := dsv.Name(name)
	return stationMeter{vars(n + ".utilisation"), vars(n + ".queue"), vars(n + ".wait"), vars(n + ".service")}
}

// write tells the share in use and the jobs present over the last d seconds, both times d.
func (m *stationMeter) write(at dsv.Instant, busy, present, d float64) {
	m.utilisation.WriteWeighted(at, busy, d)
	m.queue.WriteWeighted(at, present, d)
}

// left tells how long a job was at the station.
func (m *stationMeter) left(at dsv.Instant, s machine.Stay) {
	m.wait.Write(at, float64(s.Wait)/1e9)
	m.service.Write(at, float64(s.Service)/1e9)
}

type meter struct {
	stationMeter
	requested, delivered *dmm.Var
}

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

func newHardware(cfg machine.Config, server string, locks []string, vars Vars) hardware {
	if cfg.Run != machine.Burn {
		cfg.CPU.Speed = Speed(cfg.CPU)
	}
	hw := hardware{cfg: cfg, memory: machine.NewPool(int64(cfg.Memory))}
	if cfg.Run == machine.Burn {
		hw.burnCPU, hw.burnDisk = newBurner(cfg.CPU), machine.NewDeepBurner(cfg.Disk.Depth)
		hw.cpu, hw.disk = hw.burnCPU, hw.burnDisk
		hw.diskOps = map[step.Ref]rdr.Demand{}
	} else if cfg.Loop {
		hw.cpu, hw.disk = machine.NewLoop(cfg.CPU.Cores, cfg.CPU.Speed)
	} else {
		hw.cpu, hw.disk = newProcessors(cfg.CPU), machine.NewQueue(1, 1)
	}
	if cfg.CPU.Discipline.Ranked() {
		hw.ranked = hw.cpu.(machine.Ranked)
	}
	if cfg.Link.Rate > 0 {
		hw.link = machine.NewQueue(1, 1)
	}
	for i, r := range resourceNames {
		n := server + "." + r
		hw.meters[i] = meter{newStationMeter(n, vars), vars(dsv.Name(n + ".requested")), vars(dsv.Name(n + ".delivered"))}
	}
	for _, l := range locks {
		hw.locks = append(hw.locks, lock{l, machine.NewPool(1), newStationMeter(string(LockName(server, l, "")), vars), true})
	}
	hw.refused, hw.short, hw.killed = vars(RefusedName(server)), vars(ShortName(server)), vars(KilledName(server))
	return hw
}

// LockName is a variable of a lock of a server: utilisation, queue, wait or service.
func LockName(server, lock, what string) dsv.Name {
	n := dsv.Name(server + ".lock." + lock)
	if what != "" {
		n += dsv.Name("." + what)
	}
	return n
}

// RefusedName is the variable that counts accesses which found the queue of a server's disk full.
func RefusedName(server string) dsv.Name { return dsv.Name(server + ".disk.refused") }

// ShortName is the variable that counts requests which failed because a server had not enough memory.
func ShortName(server string) dsv.Name { return dsv.Name(server + ".memory.short") }

// KilledName is the variable that counts requests which were killed because a server had not enough memory.
func KilledName(server string) dsv.Name { return dsv.Name(server + ".memory.killed") }

// LostName is the variable that counts messages which a server's link lost.
func LostName(server string) dsv.Name { return dsv.Name(server + ".link.lost") }

// Speed is the speed of processors, less what a quota takes from them: they are slower all the time, where a kernel would stop
// them for some of it.
func Speed(cpu machine.CPUConfig) float64 {
	speed, cores := cmp.Or(max(cpu.Speed, 0), 1), float64(max(cpu.Cores, 1))
	if cpu.Quota > 0 && cpu.Quota < cores {
		speed *= cpu.Quota / cores
	}
	return speed
}

// newProcessors makes the station of the CPU under run: hold.
func newProcessors(cpu machine.CPUConfig) machine.Station {
	switch d := cpu.Discipline; {
	case d.Shares():
		return machine.NewSharing(cpu.Cores, cpu.Speed)
	case d == machine.SJF && cpu.Preempt:
		return machine.NewSRPT(cpu.Cores, cpu.Speed)
	case d.Ranked() && cpu.Preempt:
		return machine.NewPreemptive(cpu.Cores, cpu.Speed)
	case d.Ranked():
		return machine.NewRanked(cpu.Cores, cpu.Speed)
	}
	return machine.NewQueue(cpu.Cores, cpu.Speed)
}

func newBurner(cpu machine.CPUConfig) *machine.Burner {
	switch {
	case cpu.Discipline == machine.SJF && cpu.Preempt:
		return machine.NewSRPTBurner(cpu.Cores)
	case cpu.Discipline.Ranked() && cpu.Preempt:
		return machine.NewPreemptiveBurner(cpu.Cores)
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
	name     string
	pool     *machine.Pool
	meter    stationMeter
	measured bool // and so kept
}

// lock returns a lock, valid until the next call. One that is not measured and that nobody holds or waits for gives its place to
// a new name: blocks may come from anywhere, and name as many as they like.
func (hw *hardware) lock(name string) *lock {
	idle := -1
	for i := range hw.locks {
		l := &hw.locks[i]
		if l.name == name {
			return l
		}
		if idle < 0 && !l.measured && l.pool.Idle() {
			idle = i
		}
	}
	if idle >= 0 {
		hw.locks[idle].name = name
		return &hw.locks[idle]
	}
	hw.locks = append(hw.locks, lock{name: name, pool: machine.NewPool(1)})
	return &hw.locks[len(hw.locks)-1]
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
		hw.delivered[resDisk] = busy * hw.pace(resDisk)
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
			hw.meters[resLink].delivered.Write(at, busy*hw.pace(resLink))
		}
	} else {
		hw.write(at, resLink, 0, 0, d)
	}
	for i := range hw.locks {
		if l := &hw.locks[i]; l.measured {
			held, present := l.pool.Use(at)
			l.meter.write(at, held, present, d)
		}
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

// depth is how many accesses the disk serves at once.
func (hw *hardware) depth() int {
	if hw.burnDisk == nil {
		return 1
	}
	return max(hw.cfg.Disk.Depth, 1)
}

// speed is that of a processor, as slow as it is now.
func (hw *hardware) speed() float64 {
	if hw.cfg.CPU.Speed <= 0 {
		return hw.pace(resCPU)
	}
	return hw.cfg.CPU.Speed * hw.pace(resCPU)
}

func (hw *hardware) write(at dsv.Instant, r int, busy, present, d float64) {
	hw.meters[r].write(at, busy, present, d)
}
