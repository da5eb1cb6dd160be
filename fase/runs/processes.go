package runs

import (
	"math"
	"slices"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
)

// A Process is what a target, or the process behind emulated servers, used of the host over the window, with all that it
// started.
type Process struct {
	Target      bool   `json:"target"`      // a real server
	Utilisation Number `json:"utilisation"` // processors kept busy; 1 is one
	CPU         Number `json:"cpu_seconds"`
	User        Number `json:"cpu_user_seconds"`
	System      Number `json:"cpu_system_seconds"`
	PerRequest  Number `json:"cpu_seconds_per_request"` // null where it is not known how many requests the process served
	Memory      *Level `json:"memory_bytes"`            // resident, and of no file
	// Slope is by how much memory rose with each descriptor, from the start of the run to the end of the window: what a
	// connection takes. It is null where there are less than 100 more of them.
	Slope       Number `json:"memory_bytes_per_descriptor"`
	Resident    *Level `json:"resident_bytes"`
	Descriptors *Level `json:"descriptors"`
	Threads     *Level `json:"threads"`
	Processes   *Level `json:"processes"`
	Voluntary   *Sum   `json:"voluntary_switches"` // context switches
	Involuntary *Sum   `json:"involuntary_switches"`
}

// ProcessNames lists the processes that were measured, in the order of CompareNames.
func (s *Summary) ProcessNames() []string { return names(s.Processes) }

// ProcessPrefix is what the names of a measured process's variables begin with, up to their leaf: see package usage.
func (s *Summary) ProcessPrefix(name string) string {
	if s.Processes[name].Target {
		return name + "."
	}
	return name + ".process."
}

// processes computes what was measured of processes. What was never measured, as in virtual time, is not among them.
func (t *totals) processes(plan *scenario.Plan) map[string]Process {
	out := map[string]Process{}
	for _, target := range plan.Targets {
		t.process(out, target.Name, target.Name+".", true)
	}
	for _, name := range plan.Processes() {
		t.process(out, name, name+".process.", false)
	}
	return out
}

func (t *totals) process(out map[string]Process, name, prefix string, target bool) {
	v := func(leaf string) dsv.Name { return dsv.Name(prefix + leaf) }
	w := t.window(v("cpu.utilisation"))
	if w == nil || w.Len() == 0 {
		return
	}
	level := func(leaf string) *Level { return t.level(dsv.Mean, t.levels(v(leaf)), t.measured(v(leaf))) }
	sum := func(leaf string) *Sum {
		x := t.measured(v(leaf)).Number()
		return &Sum{Total: Number(x), Rate: t.perSecond(x)}
	}
	p := Process{
		Target: target, Utilisation: Number(t.measured(v("cpu.utilisation")).Mean()), PerRequest: Number(math.NaN()),
		User: Number(t.measured(v("cpu.user")).Number()), System: Number(t.measured(v("cpu.system")).Number()),
		Memory: level("memory"), Resident: level("memory.resident"), Descriptors: level("descriptors"),
		Threads: level("threads"), Processes: level("processes"),
		Voluntary: sum("switches.voluntary"), Involuntary: sum("switches.involuntary"),
	}
	p.CPU = p.Utilisation * Number(t.seconds())
	p.Slope = t.slope(v("memory"), v("descriptors"))
	if n := t.count(dsv.Name(name + ".requests")); target && n > 0 {
		p.PerRequest = p.CPU / Number(n)
	}
	out[name] = p
}

// minDescriptors is from how many more descriptors on they explain what memory does.
const minDescriptors = 100

// slope is the difference of one level over that of another, between the start of the run and the end of the window.
func (t *totals) slope(y, x dsv.Name) Number {
	rise := func(n dsv.Name) float64 {
		ds := t.levels(n).Deltas(-1, t.to)
		ds = slices.DeleteFunc(slices.Clone(ds), func(d dsv.Delta) bool { return !(d.Weight > 0) })
		if len(ds) == 0 {
			return 0
		}
		first, _ := ds[0].Value.Number()
		last, _ := ds[len(ds)-1].Value.Number()
		return last/ds[len(ds)-1].Weight - first/ds[0].Weight
	}
	if d := rise(x); d >= minDescriptors {
		return Number(rise(y) / d)
	}
	return Number(math.NaN())
}

// levels is the history of a variable, without a part of it where there is no variable.
func (t *totals) levels(n dsv.Name) *dmm.Window {
	if w := t.window(n); w != nil {
		return w
	}
	return dmm.NewWindow(dsv.Declaration{Name: n, Kind: dsv.Float, Merge: dsv.Mean}, 0)
}

// ofProcesses lists who has a process's variables beside servers: they are not a module's.
func ofProcesses(plan *scenario.Plan) []string {
	return slices.DeleteFunc(plan.Processes(), func(name string) bool { return slices.Contains(plan.Topology.Servers, name) })
}
