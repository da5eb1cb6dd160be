package judge

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
)

// A Subject is one run that is compared.
type Subject struct {
	Dir      string
	Summary  *runs.Summary
	Scenario []byte // as run
	// History, where not nil, lets two single runs be compared request by request.
	History runs.History
}

// A Side is the runs of one way to do it, which differ by their seeds.
type Side struct {
	Name string
	Runs []Subject
}

// CompareOptions say how sides are compared. The zero value works.
type CompareOptions struct {
	Confidence float64 // of intervals; 0: 0.95
	Margin     float64 // up to which share of A two figures are alike; 0: 0.05
}

// Verdicts on a measure.
const (
	Differs = "differs" // the interval of the difference does not hold 0
	Alike   = "alike"   // the interval lies within the margin
	Unknown = "unknown" // neither can be said
)

// A Comparison sets two sides against each other.
type Comparison struct {
	Confidence runs.Number `json:"confidence"`
	Margin     runs.Number `json:"margin"`
	A          Party       `json:"a"`
	B          Party       `json:"b"`
	// Paired says that runs of the same seed and the same arrivals are compared with each other; Unpaired why not.
	Paired   bool                  `json:"paired"`
	Unpaired string                `json:"unpaired,omitempty"`
	Settings []scenario.Difference `json:"settings"` // in which the scenarios differ; seeds do not count
	Measures []Measure             `json:"measures"`
	Notes    []string              `json:"notes"`
}

// A Party is who a side is.
type Party struct {
	Name      string   `json:"name"`
	Runs      []string `json:"runs"`
	Scenarios []string `json:"scenarios"`
	Kinds     []string `json:"kinds"`
	Seeds     []uint64 `json:"seeds"`
}

// A Measure is one figure of both sides.
type Measure struct {
	Name string `json:"name"` // "crowd p95", "server_1 cpu"
	Unit string `json:"unit"` // "s", "1/s", "1" for shares, "" for counts
	Part string `json:"part"` // clients, services, servers, caches, adaptation, variables
	// Better is the side whose figure is better, where they differ and more, or less, is better: "a" or "b".
	Better     string      `json:"better,omitempty"`
	Good       int         `json:"-"` // 1: more is better; -1: less is; 0: neither
	A          Figure      `json:"a"`
	B          Figure      `json:"b"`
	Difference Figure      `json:"difference"` // B less A
	Relative   runs.Number `json:"relative"`   // as a share of A
	Verdict    string      `json:"verdict"`
	By         string      `json:"by"` // how the interval was found, or why there is none
}

// A Figure is a mean over runs with its interval; both null where there is none.
type Figure struct {
	Value runs.Number `json:"value"`
	Low   runs.Number `json:"low"`
	High  runs.Number `json:"high"`
	N     int         `json:"n"` // runs
}

// Compare sets two sides against each other. Means over runs have Student's interval. The difference is that of pairs where each
// run of A has one of B with its seed and its arrivals, so that what chance does to both cancels (common random numbers; Law,
// Simulation Modeling and Analysis, section 11.2); else Welch's. Of one run each, mean response times are compared request by
// request, and other figures by the batches of their summaries.
func Compare(a, b Side, o CompareOptions) (*Comparison, error) {
	if o.Confidence == 0 {
		o.Confidence = 0.95
	}
	if o.Margin == 0 {
		o.Margin = 0.05
	}
	if len(a.Runs) == 0 || len(b.Runs) == 0 {
		return nil, fmt.Errorf("compare %s with %s: %w", a.Name, b.Name, stat.ErrTooShort)
	}
	c := &Comparison{
		Confidence: runs.Number(o.Confidence), Margin: runs.Number(o.Margin), A: party(a), B: party(b), Notes: []string{},
		Settings: scenario.Diff(a.Runs[0].Scenario, b.Runs[0].Scenario), Measures: []Measure{},
	}
	pairs, why := pair(a, b)
	c.Paired, c.Unpaired = why == "", why
	if c.Paired {
		b.Runs = arrange(b.Runs, pairs)
	}
	for _, f := range figures(a, b) {
		m := f.compare(c.Paired, o)
		if len(a.Runs) == 1 && len(b.Runs) == 1 {
			m = f.single(m, a.Runs[0], b.Runs[0], c.Paired, o)
		}
		c.Measures = append(c.Measures, m)
	}
	c.note(a, b)
	return c, nil
}

func party(s Side) Party {
	p := Party{Name: s.Name, Runs: []string{}, Scenarios: []string{}, Kinds: []string{}, Seeds: []uint64{}}
	once := func(xs []string, x string) []string {
		if slices.Contains(xs, x) {
			return xs
		}
		return append(xs, x)
	}
	for _, r := range s.Runs {
		p.Runs, p.Seeds = append(p.Runs, r.Dir), append(p.Seeds, r.Summary.Seed)
		p.Scenarios, p.Kinds = once(p.Scenarios, r.Summary.Scenario), once(p.Kinds, string(r.Summary.Kind))
	}
	return p
}

// pair finds for each run of A the one of B with the same seed and the same plan of arrivals; why is what prevents it.
func pair(a, b Side) (of []int, why string) {
	if len(a.Runs) != len(b.Runs) {
		return nil, fmt.Sprintf("%d runs and %d", len(a.Runs), len(b.Runs))
	}
	taken := map[int]bool{}
	for _, x := range a.Runs {
		k := slices.IndexFunc(b.Runs, func(y Subject) bool { return y.Summary.Seed == x.Summary.Seed })
		if k < 0 || taken[k] {
			return nil, "the seeds differ"
		}
		taken[k] = true
		of = append(of, k)
		if w, v := x.Summary.Window, b.Runs[k].Summary.Window; w != v {
			return nil, fmt.Sprintf("with seed %d one measured from %v s to %v s, the other from %v s to %v s", x.Summary.Seed, w.From, w.To, v.From, v.To)
		}
		shared := 0
		for name, g := range x.Summary.Clients {
			h, ok := b.Runs[k].Summary.Clients[name]
			if !ok {
				continue
			}
			if shared++; h.ArrivalsSHA256 != g.ArrivalsSHA256 {
				return nil, fmt.Sprintf("the arrivals of %s differ with seed %d", name, x.Summary.Seed)
			}
		}
		if shared == 0 && len(x.Summary.Clients) > 0 {
			return nil, "no group of clients is in both"
		}
	}
	return of, ""
}

// arrange returns the runs in an order.
func arrange(rs []Subject, order []int) []Subject {
	out := make([]Subject, len(order))
	for i, k := range order {
		out[i] = rs[k]
	}
	return out
}

// note tells what to know before believing the rest.
func (c *Comparison) note(a, b Side) {
	for _, s := range []Side{a, b} {
		for _, r := range s.Runs[1:] {
			if d := scenario.Diff(s.Runs[0].Scenario, r.Scenario); len(d) > 0 {
				c.Notes = append(c.Notes, fmt.Sprintf("runs of %s differ in %s", s.Name, d[0].Path))
				break
			}
		}
		for _, r := range s.Runs {
			switch e := r.Summary.Exit; {
			case r.Summary.Interrupted:
				c.Notes = append(c.Notes, r.Dir+" ended early")
			case e == runs.ExitFailed, e == runs.ExitGeneratorLimited:
				c.Notes = append(c.Notes, fmt.Sprintf("%s ended with exit code %d", r.Dir, e))
			}
		}
	}
	if len(c.A.Kinds) != 1 || len(c.B.Kinds) != 1 || c.A.Kinds[0] != c.B.Kinds[0] {
		c.Notes = append(c.Notes, "real runs are compared with simulated ones")
	}
	if !slices.Equal(c.A.Scenarios, c.B.Scenarios) {
		c.Notes = append(c.Notes, fmt.Sprintf("the scenarios are called %s and %s", strings.Join(c.A.Scenarios, ", "), strings.Join(c.B.Scenarios, ", ")))
	}
	if x, y, ok := lengths(a, b); !ok {
		c.Notes = append(c.Notes, fmt.Sprintf("runs measured for %v s to %v s: counts and totals of seconds do not compare", x, y))
	}
	for _, d := range c.A.Runs {
		if slices.ContainsFunc(c.B.Runs, func(e string) bool { return filepath.Clean(d) == filepath.Clean(e) }) {
			c.Notes = append(c.Notes, d+" is on both sides")
		}
	}
	n := 0
	for _, m := range c.Measures {
		if m.Verdict == Differs {
			n++
		}
	}
	if chance := (1 - float64(c.Confidence)) * float64(len(c.Measures)); n > 0 && len(c.Measures) > 1 {
		c.Notes = append(c.Notes, fmt.Sprintf("%d measures are compared at %g %% each: about %.1f would seem to differ by chance, were nothing different",
			len(c.Measures), 100*float64(c.Confidence), chance))
	}
}

// lengths are the shortest and the longest measured window; ok says that they are the same.
func lengths(a, b Side) (least, most runs.Number, ok bool) {
	for i, r := range slices.Concat(a.Runs, b.Runs) {
		x := r.Summary.Window.To - r.Summary.Window.From
		if i == 0 {
			least = x
		}
		least, most = min(least, x), max(most, x)
	}
	return least, most, most-least < 1e-6
}

// figure is one measure of the runs of both sides; NaN where a run has none.
type figure struct {
	name, unit, part string
	better           int // 1: more is better; -1: less is; 0: neither
	a, b             []float64
	group, stat      string // of a response time: whose, and which of its intervals
}

func (f *figure) compare(paired bool, o CompareOptions) Measure {
	m := Measure{Name: f.name, Unit: f.unit, Part: f.part, Good: f.better, Verdict: Unknown}
	as, bs := told(f.a), told(f.b)
	m.A, m.B = mean(as, o), mean(bs, o)
	var diffs []float64
	for i := range f.a {
		if paired && !math.IsNaN(f.a[i]) && !math.IsNaN(f.b[i]) {
			diffs = append(diffs, f.b[i]-f.a[i])
		}
	}
	m.Difference = Figure{Value: m.B.Value - m.A.Value, Low: none(), High: none()}
	e, err := stat.Estimate{}, stat.ErrTooShort
	switch {
	case len(diffs) >= 2:
		e, err = stat.Mean(diffs, o.Confidence)
		m.By = fmt.Sprintf("%d pairs of runs", len(diffs))
	case len(as) >= 2 && len(bs) >= 2:
		e, err = stat.Welch(as, bs, o.Confidence)
		m.By = fmt.Sprintf("%d and %d runs", len(as), len(bs))
	case len(as) == 0 || len(bs) == 0:
		m.By = "not measured in both"
	default:
		m.By = "one run tells no interval"
	}
	if err == nil {
		m.Difference = Figure{runs.Number(e.Value), runs.Number(e.Low), runs.Number(e.High), e.N}
	}
	f.judge(&m, o)
	return m
}

// judge gives the verdict that the interval of the difference allows.
func (f *figure) judge(m *Measure, o CompareOptions) {
	d, a := m.Difference, float64(m.A.Value)
	m.Relative = none()
	if a != 0 {
		m.Relative = d.Value / runs.Number(math.Abs(a))
	}
	if math.IsNaN(float64(d.Low)) || math.IsNaN(float64(d.High)) {
		return
	}
	within := runs.Number(o.Margin * math.Abs(a))
	switch {
	case d.Low >= -within && d.High <= within:
		m.Verdict = Alike
	case d.Low > 0 || d.High < 0:
		m.Verdict = Differs
		switch sign(float64(d.Value)) * f.better {
		case 1:
			m.Better = "b"
		case -1:
			m.Better = "a"
		}
	}
}

func told(xs []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(xs), math.IsNaN)
}

func none() runs.Number { return runs.Number(math.NaN()) }

// mean is that of runs, with an interval where there are two.
func mean(xs []float64, o CompareOptions) Figure {
	f := Figure{Value: none(), Low: none(), High: none(), N: len(xs)}
	if e, err := stat.Mean(xs, o.Confidence); err == nil {
		f.Value, f.Low, f.High = runs.Number(e.Value), runs.Number(e.Low), runs.Number(e.High)
	} else if len(xs) == 1 {
		f.Value = runs.Number(xs[0])
	}
	return f
}
