package campaign

import (
	"fmt"
	"math"
	"time"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
)

// A Table is what replications of one scenario came to: the content of replications.json.
type Table struct {
	Replications int           `json:"replications"`
	Scenario     string        `json:"scenario"`
	Version      string        `json:"version"`
	Seeds        []uint64      `json:"seeds"`
	Duration     runs.Number   `json:"duration_seconds"` // of each, warm-up included
	Window       runs.Interval `json:"window_seconds"`
	Confidence   runs.Number   `json:"confidence"` // of each interval
	Until        *Reached      `json:"until,omitempty"`
	Expect       []Expect      `json:"expect"`
	Transients   []Transient   `json:"transients"` // by group
	Figures      []Figure      `json:"figures"`
	Warnings     []string      `json:"warnings"`
	Interrupted  bool          `json:"interrupted"` // ended early: these are the replications that had ended
	Exit         runs.Exit     `json:"exit"`
}

// A Reached says how far a goal was reached.
type Reached struct {
	Goal    string       `json:"goal"`
	Reached bool         `json:"reached"`
	Figure  Figure       `json:"figure"` // of the expression, or of a condition's left side
	Wanted  runs.Number  `json:"wanted"` // half of the interval's width that was asked for; null where none was
	Verdict stat.Verdict `json:"verdict"`
	Why     string       `json:"why,omitempty"` // it is not
	Looks   int          `json:"looks"`
}

// An Expect is the verdict on a condition of the scenario over all replications.
type Expect struct {
	Text        string       `json:"text"`
	Verdict     stat.Verdict `json:"verdict"`
	Reason      string       `json:"reason,omitempty"` // why it is inconclusive
	Passed      int          `json:"passed"`           // replications in which it holds
	Comparisons []Comparison `json:"comparisons"`
}

// A Comparison is one of a condition's: it holds where the interval of Left less Right does not reach 0.
type Comparison struct {
	Op         string `json:"op"`
	Left       Figure `json:"left"`
	Right      Figure `json:"right"`
	Difference Figure `json:"difference"`
}

// A Transient says how long response times take to settle, by MSER-5 of their means over all replications at each time
// (Welch's procedure, with MSER-5 for the eye: Law, section 9.5.1; White, "An Effective Truncation Heuristic for Bias Reduction
// in Simulation Output", Simulation 69, 1997).
type Transient struct {
	Group   string       `json:"group"`
	Warmup  runs.Number  `json:"warmup_seconds"` // as the scenario says: that is left out
	MSER5   runs.Number  `json:"mser5_seconds"`  // null: it is not found
	Verdict stat.Verdict `json:"verdict"`        // Pass: the warm-up leaves the transient out
	Words   string       `json:"words"`
}

// Figure finds a figure by its name.
func (t *Table) Figure(name string) (Figure, bool) {
	for _, f := range t.Figures {
		if f.Name == name {
			return f, true
		}
	}
	return Figure{}, false
}

func (s *Study) table(plan *scenario.Plan, reps []*replication, reached *Reached) *Table {
	t := &Table{
		Replications: len(reps), Scenario: plan.Name, Version: s.Version, Duration: runs.Number(plan.Duration.Seconds()),
		Window: reps[0].summary.Window, Confidence: DefaultConfidence, Until: reached, Expect: []Expect{}, Warnings: []string{},
	}
	flat := make([]map[string]float64, len(reps))
	for i, r := range reps {
		t.Seeds = append(t.Seeds, r.seed)
		flat[i] = r.flat
	}
	t.Figures = figures(flat, DefaultConfidence)
	for k, e := range plan.Expect {
		t.Expect = append(t.Expect, expect(e, reps, k))
	}
	t.Transients = transients(plan, reps)
	t.warn(reps)
	t.Exit = t.ends(reps).Exit()
	return t
}

func expect(e scenario.Expect, reps []*replication, k int) Expect {
	x := Expect{Text: e.Text}
	x.Verdict, x.Comparisons, x.Reason = decide(e.Program, sidesOf(reps, func(r *replication) []expr.Sides { return r.expect[k] }), DefaultConfidence)
	for i := range x.Comparisons {
		c := &x.Comparisons[i]
		c.Left.Values, c.Right.Values, c.Difference.Values = nil, nil, nil
	}
	for _, r := range reps {
		if r.summary.Expect[k].Verdict == stat.Pass {
			x.Passed++
		}
	}
	return x
}

// warn tells each warning of replications once, with how many have it.
func (t *Table) warn(reps []*replication) {
	count := map[string]int{}
	var order []string
	for _, r := range reps {
		for _, w := range r.summary.Warnings {
			if count[w]++; count[w] == 1 {
				order = append(order, w)
			}
		}
	}
	const most = 20
	for i, w := range order {
		if i == most {
			t.Warnings = append(t.Warnings, fmt.Sprintf("%d other warnings are in the summaries", len(order)-most))
			break
		}
		t.Warnings = append(t.Warnings, fmt.Sprintf("%s (in %d of %d)", w, count[w], len(reps)))
	}
}

// ends says how the replications ended: an expectation fails by its interval, or where the books of one do not balance.
func (t *Table) ends(reps []*replication) runs.Ends {
	var e runs.Ends
	for _, r := range reps {
		switch r.summary.Exit {
		case runs.ExitFailed:
			e.Failed = true
		case runs.ExitGeneratorLimited:
			e.GeneratorLimited = true
		case runs.ExitExpectFailed:
			held := true
			for _, x := range r.summary.Expect {
				held = held && x.Verdict != stat.Fail
			}
			e.BooksBroken = e.BooksBroken || held
		}
	}
	for _, x := range t.Expect {
		e.ExpectFailed = e.ExpectFailed || x.Verdict == stat.Fail
	}
	e.ExpectFailed = e.ExpectFailed || t.Until != nil && t.Until.Verdict == stat.Fail
	return e
}

// A series is the sum and the number of response times by when they ended, in cells of equal length.
type series struct{ sums, counts []float64 }

// maxCells bounds them: enough for MSER-5 to find a hundredth of a run.
const maxCells = 500

// cellWidth is the length of the cells of a run: a multiple of the period in which latencies are synchronised.
func cellWidth(duration time.Duration) dsv.Instant {
	const period = dsv.Instant(100e6)
	return max(1, (dsv.At(duration)+maxCells*period-1)/(maxCells*period)) * period
}

func cellsOf(h runs.History, group string, duration time.Duration) series {
	width := cellWidth(duration)
	n := int((dsv.At(duration) + width - 1) / width)
	s := series{make([]float64, n), make([]float64, n)}
	_ = h.History(dsv.Name(group+".latency"), -1, dsv.Never, func(u dsv.Update) error { // without one there is no series
		if u.Delta != nil && u.Delta.Value.Hist.Count() > 0 {
			i := min(max(int((u.Delta.T1-1)/width), 0), n-1)
			s.sums[i] += u.Delta.Value.Hist.Sum()
			s.counts[i] += float64(u.Delta.Value.Hist.Count())
		}
		return nil
	})
	return s
}

func transients(plan *scenario.Plan, reps []*replication) []Transient {
	out := []Transient{}
	for i := range plan.Clients {
		all := series{make([]float64, len(reps[0].cells[i].sums)), make([]float64, len(reps[0].cells[i].sums))}
		for _, r := range reps {
			for k := range all.sums {
				all.sums[k] += r.cells[i].sums[k]
				all.counts[k] += r.cells[i].counts[k]
			}
		}
		t := Transient{Group: plan.Clients[i].Name, Warmup: runs.Number(plan.Warmup.Seconds()), MSER5: runs.Number(nan), Verdict: stat.Inconclusive}
		if why := moves(plan, i); why != "" {
			t.Words = why + ", so response times have no one level to settle at"
		} else {
			t.judge(all, cellWidth(plan.Duration), len(reps))
		}
		out = append(out, t)
	}
	return out
}

// moves says why the load of a group does not stay the same; empty where it does.
func moves(plan *scenario.Plan, group int) string {
	g := &plan.Clients[group]
	switch {
	case len(plan.Adapt.Rules)+len(plan.Adapt.Controls) > 0:
		return "something adapts"
	case len(plan.Faults) > 0:
		return "there are faults"
	case len(g.Rate) > 1 || g.Trace != nil:
		return "the rate changes"
	}
	return ""
}

func (t *Transient) judge(s series, width dsv.Instant, n int) {
	var means []float64
	var begin []dsv.Instant
	for k := range s.sums {
		if s.counts[k] > 0 {
			means, begin = append(means, s.sums[k]/s.counts[k]), append(begin, dsv.Instant(k)*width)
		}
	}
	const least = 50
	if len(means) < least {
		t.Words = "too few requests ended to find a transient by MSER-5"
		return
	}
	cut, err := stat.MSER5(means)
	if err != nil && stat.Stationary(means).Verdict != stat.Fail { // a burst at the end is taken for a level that was never reached
		t.Words = "response times vary so much that MSER-5 finds no end of a transient, though they stay at one level"
		return
	}
	if err != nil {
		t.Verdict, t.Words = stat.Fail, fmt.Sprintf("response times do not settle within half of the run, by MSER-5 of %d replications", n)
		return
	}
	until := begin[min(cut, len(begin)-1)].Seconds()
	if cut == 0 {
		until = 0
	}
	t.MSER5 = runs.Number(until)
	t.Verdict = stat.Pass
	switch {
	case until == 0:
		t.Words = fmt.Sprintf("no transient, by MSER-5 of %d replications", n)
	case until <= float64(t.Warmup):
		t.Words = fmt.Sprintf("by MSER-5 of %d replications the transient lasts %s, which the warm-up leaves out", n, round(until))
	default:
		t.Verdict = stat.Fail
		t.Words = fmt.Sprintf("by MSER-5 of %d replications the transient lasts %s: the warm-up of %s is too short", n, round(until), round(float64(t.Warmup)))
	}
}

func round(seconds float64) string {
	return time.Duration(math.Round(seconds*10) * 1e8).String()
}
