package runs

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
)

// MaxVariables bounds the variables of modules in a summary.
const MaxVariables = 1000

// A Variable is what modules measured in one variable, over the window. One of its parts is set, by what the variable
// tells; all numbers have the variable's unit, or are counts.
type Variable struct {
	Unit  string        `json:"unit"`
	Sum   *Sum          `json:"sum,omitempty"`
	Dist  *Distribution `json:"distribution,omitempty"`
	Level *Level        `json:"level,omitempty"`
}

// A Sum is what a counter, or another sum, added up to.
type Sum struct {
	Total Number `json:"total"`
	Rate  Number `json:"rate_per_second"`
}

// A Level is what a variable told that has a value at each instant: the latest one, a mean, a least or a greatest. What
// it does not tell is NaN, null in JSON: all of it when nothing was written, the mean of a least or a greatest.
type Level struct {
	Last Number `json:"last"`
	Mean Number `json:"mean"` // weighted by how long each value held, or as its writers weighted it
	Min  Number `json:"min"`
	Max  Number `json:"max"`
}

// VariableNames lists the variables of modules, in the order of CompareNames.
func (s *Summary) VariableNames() []string { return names(s.Variables) }

// variables computes what modules measured: every number and histogram with a history that is not of a group, a server,
// a service, or the run itself.
func (t *totals) variables(plan *scenario.Plan) map[string]Variable {
	ns := t.ofModules(plan)
	if n := len(ns); n > MaxVariables {
		t.warnings = append(t.warnings, fmt.Sprintf("modules measured %d variables: the summary has the first %d, the run folder has all", n, MaxVariables))
		ns = ns[:MaxVariables]
	}
	out := make(map[string]Variable, len(ns))
	for _, n := range ns {
		t.passing(n, func(w *dmm.Window) { out[string(n)] = t.variable(t.declarations[n], w) })
	}
	return out
}

// ofModules lists the variables of modules, in the order of CompareNames.
func (t *totals) ofModules(plan *scenario.Plan) []dsv.Name {
	others := map[string]bool{"run": true, "map": true, "eve": true}
	for _, g := range plan.Clients {
		others[g.Name] = true
	}
	for _, n := range slices.Concat(plan.Topology.Servers, plan.Topology.Services, ofProcesses(plan)) {
		others[n] = true
	}
	var ns []dsv.Name
	for n, d := range t.declarations {
		owner, _, _ := strings.Cut(string(n), ".")
		number := d.Kind == dsv.Float || d.Kind == dsv.Int || d.Kind == dsv.Histogram
		if number && d.History && !others[owner] {
			ns = append(ns, n)
		}
	}
	slices.SortFunc(ns, func(a, b dsv.Name) int { return CompareNames(string(a), string(b)) })
	return ns
}

// passing hands fn the history of a variable and keeps it no longer than that, unless it was kept before: modules may
// have more variables than fit in memory.
func (t *totals) passing(n dsv.Name, fn func(w *dmm.Window)) {
	_, kept := t.windows[n]
	fn(t.window(n))
	if !kept {
		delete(t.windows, n)
	}
}

func (t *totals) variable(d dsv.Declaration, w *dmm.Window) Variable {
	x := w.Sum(t.from, t.to)
	v := Variable{Unit: d.Unit}
	switch {
	case d.Kind == dsv.Histogram:
		v.Dist = new(Distribute(x.Value.Hist))
	case d.Merge == dsv.Sum:
		v.Sum = &Sum{Total: Number(x.Number()), Rate: t.perSecond(x.Number())}
	default:
		v.Level = t.level(d.Merge, w, x)
	}
	return v
}

// level describes a variable that is no sum and no histogram.
func (t *totals) level(rule dsv.Merge, w *dmm.Window, x dmm.Total) *Level {
	nan := Number(math.NaN())
	l := &Level{Last: nan, Mean: nan, Min: nan, Max: nan}
	switch {
	case x.Empty() || t.seconds() <= 0:
	case rule == dsv.Min:
		l.Min = Number(x.Number())
	case rule == dsv.Max:
		l.Max = Number(x.Number())
	case rule == dsv.Mean:
		l.Mean = Number(x.Mean())
		for _, d := range w.Deltas(t.from, t.to) {
			if sum, ok := d.Value.Number(); ok && d.Weight > 0 {
				l.reach(sum / d.Weight)
			}
		}
	default:
		t.hold(l, w.Deltas(-1, t.to))
	}
	return l
}

// reach tells that the level was x, and that this is the latest that is known.
func (l *Level) reach(x float64) {
	n := Number(x)
	if l.Last = n; math.IsNaN(float64(l.Min)) {
		l.Min, l.Max = n, n
	}
	l.Min, l.Max = min(l.Min, n), max(l.Max, n)
}

// hold describes a level of which each value holds until the next one, and the last one until the end of the window.
func (t *totals) hold(l *Level, ds []dsv.Delta) {
	area, held := 0.0, 0.0
	for i := range ds {
		x, ok := ds[i].Value.Number()
		if !ok {
			continue
		}
		until := t.to
		if i+1 < len(ds) {
			until = ds[i+1].T1
		}
		if until <= t.from && until < t.to {
			continue // it was over before the window began
		}
		l.reach(x)
		seconds := until.Sub(max(ds[i].T1, t.from)).Seconds()
		area, held = area+x*seconds, held+seconds
	}
	if l.Mean = l.Last; held > 0 {
		l.Mean = Number(area / held)
	}
}
