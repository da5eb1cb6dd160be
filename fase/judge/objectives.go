package judge

import (
	"math"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
)

// second is the stretch for which an objective is judged; seconds end at whole ones since T0.
const second = dsv.Instant(time.Second)

// verdicts judges objectives second by second. It is fed by add, and looked at in order of time.
type verdicts struct {
	objectives []*objective
	windows    map[dsv.Name]*dmm.Window
	flights    []dsv.Name // the in_flight of every group
	at         dsv.Instant
	judged     []bool // by second, whether it is known
	violated   []bool // whether some objective did not hold
	first      int    // number of the first second
	brief      bool   // nobody asks for the worst readings
}

// objective is one condition with what became of it.
type objective struct {
	scenario.Expect
	last             bool // it did not hold when it was last known
	known            bool // it was
	judged, violated int
	worst            map[string]float64
}

// newVerdicts returns verdicts of the seconds that lie in a window.
func newVerdicts(plan *scenario.Plan, from dsv.Instant) *verdicts {
	v := &verdicts{windows: map[dsv.Name]*dmm.Window{}, first: int((from + second - 1) / second)}
	for _, o := range plan.Objectives() {
		v.objectives = append(v.objectives, &objective{Expect: o, worst: map[string]float64{}})
		for _, r := range o.Program.Reads() {
			if v.windows[r.Name] == nil {
				v.windows[r.Name] = dmm.NewWindow(r.Declaration, 0)
			}
		}
	}
	for i := range plan.Clients {
		n := dsv.Name(plan.Clients[i].Name + ".in_flight")
		v.flights = append(v.flights, n)
		if v.windows[n] == nil {
			v.windows[n] = dmm.NewWindow(dsv.Declaration{Name: n, Kind: dsv.Float, Merge: dsv.Mean}, 0)
		}
	}
	return v
}

// add files a delta of any variable.
func (v *verdicts) add(d *dsv.Delta) {
	if w := v.windows[d.Name]; w != nil {
		w.Add(*d)
	}
}

// look judges the second that ends at an instant, and returns whether some objective did not hold.
func (v *verdicts) look(at dsv.Instant) bool {
	v.at = at
	known, broken := len(v.objectives) > 0, false
	for _, o := range v.objectives {
		x, err := o.Program.Eval(v)
		switch {
		case err == nil && x.Known():
			o.known, o.last = true, x.False()
		case o.known && v.waiting(): // nothing ended: it is as it was
		default:
			o.known = false
		}
		if !o.known {
			known = false
			continue
		}
		o.judged++
		if o.last {
			o.violated++
			broken = true
		}
		if v.brief {
			continue
		}
		for text, y := range o.Program.Readings(v) {
			if was, ok := o.worst[text]; !ok || y > was {
				o.worst[text] = y
			}
		}
	}
	v.judged, v.violated = append(v.judged, known || broken), append(v.violated, broken)
	return broken
}

// waiting says whether requests were in flight in the second.
func (v *verdicts) waiting() bool {
	return slices.ContainsFunc(v.flights, func(n dsv.Name) bool {
		return v.windows[n].Sum(v.at-second, v.at).Mean() > 0
	})
}

// Total implements expr.Reader: without a window it is the second.
func (v *verdicts) Total(n dsv.Name, window time.Duration) (dmm.Total, error) {
	w := v.windows[n]
	if w == nil {
		return dmm.Total{}, dsv.ErrNotFound
	}
	if window == 0 {
		window = time.Duration(second)
	}
	return w.Sum(max(v.at.Add(-window), 0), v.at), nil
}

// Text implements expr.Reader.
func (v *verdicts) Text(n dsv.Name) (string, error) {
	w := v.windows[n]
	if w == nil {
		return "", dsv.ErrNotFound
	}
	t := w.Sum(-1, v.at)
	if t.Value.Kind != dsv.Text {
		return "", dsv.ErrUnset
	}
	return t.Value.Text, nil
}

var _ expr.Reader = (*verdicts)(nil)

// read judges the seconds of a window by what a run measured.
func read(plan *scenario.Plan, h runs.History, from, to dsv.Instant) *verdicts {
	v := newVerdicts(plan, from)
	if len(v.objectives) == 0 {
		return v
	}
	for n := range v.windows {
		// What cannot be read is told by the summary's warnings already.
		_ = h.History(n, -1, dsv.Never, func(u dsv.Update) error {
			switch {
			case u.Delta != nil:
				v.add(u.Delta)
			case !u.Deleted:
				v.add(&dsv.Delta{Name: n, T0: u.Reading.T1, T1: u.Reading.T1, Value: u.Reading.Value, Weight: 1})
			}
			return nil
		})
	}
	for k := v.first; dsv.Instant(k+1)*second <= to; k++ {
		v.look(dsv.Instant(k+1) * second)
	}
	return v
}

// tell writes what became of the objectives.
func (v *verdicts) tell(a *runs.Adaptation) {
	a.SLO, a.Violations = []runs.Objective{}, []runs.Interval{}
	for _, o := range v.objectives {
		a.SLO = append(a.SLO, o.tell())
	}
	if len(v.objectives) == 0 {
		a.Violation = runs.Number(math.NaN())
		return
	}
	for i := range v.judged {
		if v.judged[i] {
			a.Judged++
		}
		if !v.violated[i] {
			continue
		}
		a.Violation++
		begin := runs.Number(v.first + i)
		if n := len(a.Violations); n > 0 && a.Violations[n-1].To == begin {
			a.Violations[n-1].To++
		} else {
			a.Violations = append(a.Violations, runs.Interval{From: begin, To: begin + 1})
		}
	}
	a.Settling = settling(a.Violations, runs.Number(v.first+len(v.judged)))
}

func (o *objective) tell() runs.Objective {
	out := runs.Objective{
		Text: o.Text, Judged: runs.Number(o.judged), Violation: runs.Number(o.violated),
		Worst: map[string]runs.Number{}, Bound: runs.Number(math.NaN()), Overshoot: runs.Number(math.NaN()),
	}
	for text, x := range o.worst {
		out.Worst[text] = runs.Number(x)
	}
	if t, bound, ok := o.Program.Bound(); ok && bound > 0 {
		out.Bound = runs.Number(bound)
		if x, ok := o.worst[t.Text]; ok && x > bound {
			out.Overshoot = runs.Number(x/bound - 1)
		}
	}
	return out
}

// settling takes stretches of violated seconds that are closer than SettledAfter for one disturbance.
func settling(violations []runs.Interval, end runs.Number) *runs.Settling {
	var merged []runs.Interval
	for _, x := range violations {
		if n := len(merged); n > 0 && x.From-merged[n-1].To < runs.SettledAfter {
			merged[n-1].To = x.To
		} else {
			merged = append(merged, x)
		}
	}
	if len(merged) == 0 {
		return nil
	}
	s := &runs.Settling{Disturbances: len(merged), Unsettled: end-merged[len(merged)-1].To < runs.SettledAfter}
	for _, x := range merged {
		length := x.To - x.From
		s.Mean += length / runs.Number(len(merged))
		s.Max = max(s.Max, length)
	}
	return s
}
