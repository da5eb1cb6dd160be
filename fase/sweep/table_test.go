package sweep_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/sweep"
)

func TestTable(t *testing.T) {
	d := definition(t)
	d.Seeds = []uint64{1, 2, 3}
	failing := func(p int, seed uint64) (sweep.Result, bool) {
		switch {
		case p == 1 && seed == 2:
			return sweep.Result{Point: p, Seed: seed, Error: "the server died"}, true
		case p == 2 && seed > 1:
			return sweep.Result{}, false
		case p == 3:
			return sweep.Result{}, false
		}
		r := result(p, seed)
		r.Limited = p == 4
		return r, true
	}
	theory := make([]sweep.Prediction, 6)
	theory[0] = sweep.Prediction{Values: map[string]float64{"jobs mean": 0.5}}
	theory[5] = sweep.Prediction{Unstable: "s1.cpu is offered 110 %"}
	x, err := sweep.Tabulate(d, failing, theory)
	if err != nil {
		t.Fatal(err)
	}
	if x.Results != 18-1-2-3 || x.Failed != 1 || x.Runs != 18 || x.Complete() {
		t.Errorf("got %d results and %d failures of %d", x.Results, x.Failed, x.Runs)
	}
	var means []float64
	for _, seed := range d.Seeds {
		means = append(means, float64(result(0, seed).Values["jobs mean"].Value))
	}
	want, err := stat.Mean(means, sweep.Confidence)
	if err != nil {
		t.Fatal(err)
	}
	if c := x.Rows[0].Cells[0]; math.Abs(float64(c.Value)-want.Value) > 1e-12 || math.Abs(float64(c.High)-want.High) > 1e-12 || c.N != 3 || c.Theory != 0.5 {
		t.Errorf("three seeds: got %+v, want %+v", c, want)
	}
	if c, own := x.Rows[2].Cells[0], result(2, 1).Values["jobs mean"]; c.Reading != own || c.N != 1 {
		t.Errorf("one seed: got %+v, want its own interval %+v", c, own)
	}
	if c := x.Rows[3].Cells[0]; !math.IsNaN(float64(c.Value)) || c.N != 0 {
		t.Errorf("no seed: got %+v", c)
	}
	if r := x.Rows[1]; r.Seeds != 2 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "seed 2: the server died") {
		t.Errorf("a failure: got %+v", r)
	}
	if r := x.Rows[4]; len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "limited by the generator") || r.Busiest != "s0.cpu" {
		t.Errorf("limited: got %+v", r)
	}
	if x.HasTheory(1) || !x.HasTheory(0) || !x.HasIntervals(0) {
		t.Error("theory and intervals: not where they are")
	}

	var b bytes.Buffer
	if err := x.CSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	head := strings.Join(rows[0], "|")
	if want := "point|a|b|seeds|jobs mean (s)|jobs mean low|jobs mean high|jobs mean theory|p95(jobs.latency) (s)|p95(jobs.latency) low|p95(jobs.latency) high|busiest resource|unstable|notes"; head != want {
		t.Errorf("got head %s, want %s", head, want)
	}
	if got, want := strings.Join(rows[4], "|"), "3|2|y|0||||||||||"; got != want {
		t.Errorf("an empty row: got %s, want %s", got, want)
	}
	if rows[6][12] != "s1.cpu is offered 110 %" {
		t.Errorf("got %q", rows[6])
	}
	b.Reset()
	if err := x.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var back sweep.Table
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || len(back.Rows) != 6 || back.Rows[0].Cells[0].Theory != 0.5 || back.Axes[0].Name() != "a" {
		t.Errorf("read again: %v, %+v", err, back)
	}
}

func TestMetricsOfASummary(t *testing.T) {
	s := &runs.Summary{
		Clients: map[string]runs.Client{"jobs": {
			Requests: 200, Errors: map[string]int64{runs.AllErrors: 5}, Throughput: 19.5,
			Response:  runs.Distribution{Mean: 0.1, P50: 0.08, P95: 0.3, P99: 0.5},
			Intervals: map[string]runs.Estimate{"mean": {Value: 0.1, Low: 0.09, High: 0.11}, "p95": {Value: 0.3, Low: 0.2, High: 0.4, TooShort: true}},
		}},
		Servers: map[string]map[runs.Resource]runs.Resourced{
			"web_1": {"cpu": {Utilisation: 0.5}, "memory": {Utilisation: 0.99}}, "web_2": {"cpu": {Utilisation: 0.4}, "disk": {Utilisation: 0.7}},
		},
		Stations: map[string]runs.Station{"app.pool": {Utilisation: 0.9}},
		Expect:   []runs.Expect{{Verdict: stat.Pass}, {Verdict: stat.Inconclusive}},
	}
	for _, c := range []struct {
		figure          sweep.Figure
		want, low, high float64
	}{
		{sweep.Throughput, 19.5, math.NaN(), math.NaN()},
		{sweep.Errors, 0.025, math.NaN(), math.NaN()},
		{sweep.Mean, 0.1, 0.09, 0.11},
		{sweep.P50, 0.08, math.NaN(), math.NaN()},
		{sweep.P95, 0.3, math.NaN(), math.NaN()}, // its interval is too narrow to be believed
		{sweep.P99, 0.5, math.NaN(), math.NaN()},
		{sweep.Busiest, 0.9, math.NaN(), math.NaN()},
		{sweep.Expect, math.NaN(), math.NaN(), math.NaN()},
	} {
		got := sweep.Metric{Name: string(c.figure), Group: "jobs", Figure: c.figure}.Of(s)
		if !same(got.Value, c.want) || !same(got.Low, c.low) || !same(got.High, c.high) {
			t.Errorf("%s: got %v, want %v from %v to %v", c.figure, got, c.want, c.low, c.high)
		}
	}
	if name, _ := sweep.BusiestOf(s); name != "app.pool" {
		t.Errorf("the busiest: got %s", name)
	}
	s.Expect[1].Verdict = stat.Fail
	if got := (sweep.Metric{Figure: sweep.Expect}).Of(s); got.Value != 0 {
		t.Errorf("an expectation that does not hold: got %v", got.Value)
	}
	if got := (sweep.Metric{Group: "others", Figure: sweep.Mean}).Of(s); !math.IsNaN(float64(got.Value)) {
		t.Errorf("no such group: got %v", got.Value)
	}
}

func same(a runs.Number, b float64) bool {
	return float64(a) == b || math.IsNaN(float64(a)) && math.IsNaN(b)
}
