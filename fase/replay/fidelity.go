package replay

import (
	"fmt"
	"math"
	"slices"

	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/runs"
)

// The bounds of a replay that is believed.
const (
	// DefaultBound is by how much of it a figure of the recording may be missed by the replay with its own controllers.
	DefaultBound = 0.1
	// slack is what a response time may differ by whatever the bound: what sockets and processes take, which are not simulated.
	slack = 1e-3
	// slackSeconds is the same of seconds of violation, at whose ends a second counts as a whole or not at all.
	slackSeconds = 2
	// soon is how far apart two decisions may be that count as the same: two of the longest usual sampling periods.
	soon = 2.0
)

// Fidelity says how well a recording comes out when it is replayed with its own controllers.
type Fidelity struct {
	Bound     runs.Number `json:"bound"`     // asked for
	Worst     runs.Number `json:"worst"`     // the greatest share by which a figure was missed that is beyond its slack
	Believed  bool        `json:"believed"`  // all checks hold
	Checks    []Check     `json:"checks"`    // what was looked at
	Decisions Decisions   `json:"decisions"` // told, and no part of the verdict: a replay may decide otherwise where a reading is at its threshold
}

// A Check is one figure of the recording, and what the replay made of it.
type Check struct {
	Name     string      `json:"name"`
	Unit     string      `json:"unit"`
	Recorded runs.Number `json:"recorded"`
	Replayed runs.Number `json:"replayed"`
	Off      runs.Number `json:"off"` // as a share of the recorded one
	Holds    bool        `json:"holds"`
}

// Decisions compares what was decided, in order.
type Decisions struct {
	Recorded int         `json:"recorded"`
	Replayed int         `json:"replayed"`
	Alike    int         `json:"alike"` // from the first on: the same rule and action
	Apart    runs.Number `json:"apart"` // s: the greatest distance in time of those
	// Same says that all are alike, and none further apart than two seconds.
	Same  bool   `json:"same"`
	First string `json:"first,omitempty"` // the first in which they differ
}

// Judge holds a recording against its replay with its own controllers: mean and p95 of the response times of each group of clients, the
// share of errors, and the seconds in which its goals were violated. Each may be off by the bound, a share of the recorded figure (0:
// DefaultBound), or by 1 ms, a hundredth of the requests, or 2 s.
func Judge(recorded, replayed *runs.Summary, bound float64) *Fidelity {
	if bound == 0 {
		bound = DefaultBound
	}
	f := &Fidelity{Bound: runs.Number(bound), Believed: true, Checks: []Check{}}
	for _, name := range recorded.Groups() {
		a, b := recorded.Clients[name], replayed.Clients[name]
		f.check(name+" mean", "s", a.Response.Mean, b.Response.Mean, slack)
		f.check(name+" p95", "s", a.Response.P95, b.Response.P95, slack)
		f.check(name+" errors", "1", failed(a), failed(b), 0.01)
	}
	if a, b := recorded.Adaptation, replayed.Adaptation; a != nil && b != nil && len(a.SLO) > 0 {
		f.check("seconds of violation", "s", a.Violation, b.Violation, slackSeconds)
	}
	f.Decisions = decided(recorded.Decisions, replayed.Decisions)
	return f
}

func failed(c runs.Client) runs.Number {
	if c.Requests == 0 {
		return 0
	}
	return runs.Number(float64(c.Errors[runs.AllErrors]) / float64(c.Requests))
}

// check adds one figure; what is known of neither is not looked at.
func (f *Fidelity) check(name, unit string, a, b runs.Number, slack float64) {
	x, y := float64(a), float64(b)
	if math.IsNaN(x) && math.IsNaN(y) {
		return
	}
	c := Check{Name: name, Unit: unit, Recorded: a, Replayed: b, Off: runs.Number((y - x) / math.Abs(x))}
	off := math.Abs(y - x)
	c.Holds = off <= max(float64(f.Bound)*math.Abs(x), slack)
	if off <= slack {
		c.Off = runs.Number(min(1, max(-1, float64(c.Off)))) // of nearly nothing
	} else if share := off / math.Abs(x); !(share <= float64(f.Worst)) {
		f.Worst = runs.Number(share)
	}
	if off <= 1e-8*math.Abs(x) { // summaries have nine digits
		c.Off = 0
	}
	f.Believed = f.Believed && c.Holds
	f.Checks = append(f.Checks, c)
}

// Reasons say why a replay is not believed; none where it is.
func (f *Fidelity) Reasons() []string {
	var out []string
	for _, c := range f.Checks {
		if !c.Holds {
			out = append(out, fmt.Sprintf("%s was %.4g and comes out as %.4g", c.Name, float64(c.Recorded), float64(c.Replayed)))
		}
	}
	return out
}

// decided compares two rows of decisions.
func decided(a, b []runs.Decision) Decisions {
	taken := func(ds []runs.Decision) []runs.Decision {
		return slices.DeleteFunc(slices.Clone(ds), func(d runs.Decision) bool { return d.Phase != "decided" })
	}
	a, b = taken(a), taken(b)
	d := Decisions{Recorded: len(a), Replayed: len(b)}
	for d.Alike < min(len(a), len(b)) && a[d.Alike].Rule == b[d.Alike].Rule && a[d.Alike].Action == b[d.Alike].Action {
		d.Apart = max(d.Apart, runs.Number(math.Abs(float64(a[d.Alike].Time-b[d.Alike].Time))))
		d.Alike++
	}
	d.Same = d.Alike == len(a) && len(a) == len(b) && d.Apart <= soon
	say := func(ds []runs.Decision) string {
		if d.Alike == len(ds) {
			return "nothing further"
		}
		x := ds[d.Alike]
		return fmt.Sprintf("%s at %.1f s (%s)", x.Action, float64(x.Time), x.Rule)
	}
	if d.Alike < max(len(a), len(b)) {
		d.First = fmt.Sprintf("recorded: %s; replayed: %s", say(a), say(b))
	}
	return d
}

// A Row is one figure of the recording, of its replay with its own controllers, and of that with others.
type Row struct {
	Name     string      `json:"name"`
	Unit     string      `json:"unit"` // "s", "1/s", "1" for shares, "" for counts
	Part     string      `json:"part"`
	Recorded runs.Number `json:"recorded"`
	Replayed runs.Number `json:"replayed"`
	Other    runs.Number `json:"other"`
	Change   runs.Number `json:"change"` // other less replayed
	// Verdict is better, worse or differs where the change is more than the replay missed the recording by; alike where the change is
	// within a twentieth, 0.1 ms, or half a percentage point of a share; else unclear.
	Verdict string `json:"verdict"`
}

// Verdicts on a row.
const (
	Better  = "better"
	Worse   = "worse"
	Differs = "differs"
	Alike   = "alike"
	Unclear = "unclear"
)

// alike is up to which share of the replayed figure a change is none.
const alike = 0.05

// Rows sets the figures of a recording beside those of its replays.
func Rows(recorded, replayed, other *runs.Summary) ([]Row, error) {
	side := func(s *runs.Summary) judge.Side { return judge.Side{Name: "x", Runs: []judge.Subject{{Summary: s}}} }
	missed, err := judge.Compare(side(recorded), side(replayed), judge.CompareOptions{})
	if err != nil {
		return nil, err
	}
	changed, err := judge.Compare(side(replayed), side(other), judge.CompareOptions{})
	if err != nil {
		return nil, err
	}
	was := map[string]judge.Measure{}
	for _, m := range missed.Measures {
		was[m.Part+" "+m.Name] = m
	}
	rows := []Row{}
	for _, m := range changed.Measures {
		r := Row{Name: m.Name, Unit: m.Unit, Part: m.Part, Recorded: runs.Number(math.NaN()), Replayed: m.A.Value, Other: m.B.Value, Change: m.Difference.Value}
		if w, ok := was[m.Part+" "+m.Name]; ok {
			r.Recorded = w.A.Value
		}
		r.judge(m.Good)
		rows = append(rows, r)
	}
	return rows, nil
}

// little is a change that nobody cares for, whatever share it is.
func (r *Row) little() float64 {
	switch r.Unit {
	case "s":
		return slack / 10
	case "1":
		return 0.005
	}
	return 0
}

// judge gives the verdict: good is 1 where more is better, -1 where less is.
func (r *Row) judge(good int) {
	change := float64(r.Change)
	missed := math.Abs(float64(r.Replayed - r.Recorded))
	switch {
	case math.IsNaN(change):
		r.Verdict = ""
	case math.Abs(change) <= max(alike*math.Abs(float64(r.Replayed)), r.little()):
		r.Verdict = Alike
	case !(math.Abs(change) > missed):
		r.Verdict = Unclear
	case good == 0:
		r.Verdict = Differs
	case change > 0 == (good > 0):
		r.Verdict = Better
	default:
		r.Verdict = Worse
	}
}
