package judge_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/runs"
)

// subject is a run with a mean response time, a share of errors and a p95.
func subject(seed uint64, arrivals string, mean, p95 float64, errors int64, text string) judge.Subject {
	return judge.Subject{Dir: "x", Scenario: []byte(text), Summary: &runs.Summary{
		Scenario: "x", Kind: runs.Virtual, Seed: seed, Window: runs.Interval{From: 0, To: 10},
		Clients: map[string]runs.Client{"crowd": {
			Requests: 1000, Errors: map[string]int64{runs.AllErrors: errors}, Throughput: 100, ArrivalsSHA256: arrivals,
			Response: runs.Distribution{Count: 1000, Mean: runs.Number(mean), P50: 0.01, P95: runs.Number(p95), P99: 0.2},
		}},
	}}
}

func side(name string, rs ...judge.Subject) judge.Side { return judge.Side{Name: name, Runs: rs} }

func measure(t *testing.T, c *judge.Comparison, name string) judge.Measure {
	t.Helper()
	for _, m := range c.Measures {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("no %s in %+v", name, c.Measures)
	return judge.Measure{}
}

// Pairs take away what chance does to both sides: the differences 10, 11 and 12 ms have the interval 11 ± 4.30265·1/√3.
func TestComparePaired(t *testing.T) {
	a := side("a", subject(1, "h1", 0.100, 0.3, 0, ""), subject(2, "h2", 0.200, 0.5, 10, ""), subject(3, "h3", 0.300, 0.4, 0, ""))
	b := side("b", subject(3, "h3", 0.312, 0.41, 5, ""), subject(1, "h1", 0.110, 0.2, 0, ""), subject(2, "h2", 0.211, 0.6, 0, ""))
	c, err := judge.Compare(a, b, judge.CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m := measure(t, c, "crowd mean")
	half := 4.302653 * 0.001 / math.Sqrt(3)
	if !c.Paired || math.Abs(float64(m.Difference.Value)-0.011) > 1e-12 || math.Abs(float64(m.Difference.High)-0.011-half) > 1e-8 {
		t.Errorf("got %+v", m)
	}
	if m.Verdict != judge.Differs || m.Better != "a" || math.Abs(float64(m.Relative)-0.055) > 1e-9 {
		t.Errorf("got %+v", m)
	}
	if x := measure(t, c, "crowd p95"); x.Verdict != judge.Unknown {
		t.Errorf("got %+v", x)
	}
	if x := measure(t, c, "crowd p50"); x.Verdict != judge.Alike {
		t.Errorf("got %+v", x)
	}
	// Of other arrivals the same figures tell nothing.
	b.Runs[0].Summary.Clients["crowd"] = func() runs.Client { g := b.Runs[0].Summary.Clients["crowd"]; g.ArrivalsSHA256 = "other"; return g }()
	c, err = judge.Compare(a, b, judge.CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if x := measure(t, c, "crowd mean"); c.Paired || !strings.Contains(c.Unpaired, "seed 3") || x.Verdict != judge.Unknown {
		t.Errorf("got %q, %+v", c.Unpaired, x)
	}
}

// A margin says from when on a difference counts.
func TestCompareMargin(t *testing.T) {
	a := side("a", subject(1, "h", 0.100, 0.3, 0, ""), subject(2, "h", 0.100, 0.5, 0, ""))
	b := side("b", subject(1, "h", 0.103, 0.3, 0, ""), subject(2, "h", 0.103, 0.5, 0, ""))
	for margin, want := range map[float64]string{0.05: judge.Alike, 0.01: judge.Differs} {
		c, err := judge.Compare(a, b, judge.CompareOptions{Margin: margin})
		if err != nil {
			t.Fatal(err)
		}
		if m := measure(t, c, "crowd mean"); m.Verdict != want {
			t.Errorf("margin %v: got %+v, want %s", margin, m, want)
		}
	}
}

// One run each tells what its own intervals tell, and else nothing.
func TestCompareSingle(t *testing.T) {
	x, y := subject(1, "h", 0.100, 0.3, 0, ""), subject(2, "i", 0.200, 0.31, 0, "")
	interval := func(s judge.Subject, name string, v, half float64) {
		c := s.Summary.Clients["crowd"]
		if c.Intervals == nil {
			c.Intervals = map[string]runs.Estimate{}
		}
		c.Intervals[name] = runs.Estimate{Value: runs.Number(v), Low: runs.Number(v - half), High: runs.Number(v + half), Confidence: 0.95, Batches: 20, Samples: 1000}
		s.Summary.Clients["crowd"] = c
	}
	interval(x, "mean", 0.1, 0.03)
	interval(y, "mean", 0.2, 0.04)
	c, err := judge.Compare(side("a", x), side("b", y), judge.CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if m := measure(t, c, "crowd mean"); m.Verdict != judge.Differs || math.Abs(float64(m.Difference.Low)-0.05) > 1e-9 {
		t.Errorf("got %+v", m)
	}
	if m := measure(t, c, "crowd p95"); m.Verdict != judge.Unknown || !math.IsNaN(float64(m.Difference.Low)) {
		t.Errorf("got %+v", m)
	}
	if _, err := json.Marshal(c); err != nil {
		t.Error(err)
	}
}

func TestCompareSettingsAndNotes(t *testing.T) {
	a := side("a", subject(1, "h", 0.1, 0.3, 0, "seed: 1\nservers: {one: {cpus: 1}, two: }\nadapt: [{name: r, for: 3s}]\n"))
	y := subject(1, "h", 0.1, 0.3, 0, "# other\nseed: 2\nservers:\n  one: {cpus: 2}\nadapt:\n  - {name: r, for: 3s}\n  - {name: q}\n")
	y.Summary.Kind, y.Summary.Interrupted = runs.Real, true
	c, err := judge.Compare(a, side("b", y), judge.CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range c.Settings {
		got = append(got, d.Path+": "+d.A+" | "+d.B)
	}
	if want := "servers.one.cpus: 1 | 2, servers.two: null | , adapt.1:  | {name: q}"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %q", strings.Join(got, ", "), want)
	}
	notes := strings.Join(c.Notes, "; ")
	if !strings.Contains(notes, "ended early") || !strings.Contains(notes, "real runs are compared with simulated") {
		t.Errorf("got %q", notes)
	}
	if _, err := judge.Compare(a, side("b"), judge.CompareOptions{}); err == nil {
		t.Error("nothing is compared with something")
	}
}

// Runs of different lengths are no pairs, and what is on both sides, or of another name, is told.
func TestCompareUnlike(t *testing.T) {
	a, b := side("a", subject(1, "h", 0.1, 0.3, 0, "")), side("b", subject(1, "h", 0.1, 0.3, 0, ""))
	c, err := judge.Compare(a, b, judge.CompareOptions{})
	if notes := strings.Join(c.Notes, "; "); err != nil || !c.Paired || !strings.Contains(notes, "x is on both sides") || strings.Contains(notes, "do not compare") {
		t.Errorf("got %+v, %v", c, err)
	}
	b.Runs[0].Dir, b.Runs[0].Summary.Scenario, b.Runs[0].Summary.Window.To = "y", "z", 12
	c, err = judge.Compare(a, b, judge.CompareOptions{})
	if err != nil || c.Paired || !strings.Contains(c.Unpaired, "from 0 s to 10 s, the other from 0 s to 12 s") {
		t.Errorf("got %+v, %v", c, err)
	}
	notes := strings.Join(c.Notes, "; ")
	for _, want := range []string{"called x and z", "10 s to 12 s: counts"} {
		if !strings.Contains(notes, want) {
			t.Errorf("got %q, want %q", notes, want)
		}
	}
	if strings.Contains(notes, "both sides") {
		t.Errorf("got %q", notes)
	}
}
