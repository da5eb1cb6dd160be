package judge_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
)

// steps is a load that one server bears, then three do, then two, with rules that add one server late and never take one away.
const staircase = `
eve: 1
duration: 42s
warmup: 2s
seed: 3
requests: |
  request page { call app { cpu 10ms  reply 1KiB } }
servers:
  one:
  two: {state: standby}
  three: {state: standby}
services:
  app: {on: one}
clients:
  crowd: {request: page, rate: {0s: 50/s, 12s: 50/s, 12001ms: 240/s, 22s: 240/s, 22001ms: 150/s, 32s: 150/s, 32001ms: 40/s}, patience: 5s}
adapt:
  - {name: second, when: one.cpu.utilisation > 0.9, for: 2s, do: replicate app to two}
  - {name: third, when: two.cpu.utilisation > 0.9, for: 2s, do: replicate app to three}
slo: mean(crowd.latency) < 150ms
`

// The best of the baselines is the best of all schedules, each of which is simulated, and the bound says so.
func TestBestAgainstBruteForce(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates each of 81 schedules")
	}
	p := load(t, staircase, scenario.Options{Set: []string{"slo=mean(crowd.latency) < 150ms"}})
	a, s := simulated(t, p, judge.Options{Budget: 1 << 30})
	b := a.Baselines
	if b == nil || b.Best == nil || b.Missing != "" {
		t.Fatalf("got %+v", b)
	}
	fine, coarse := dsv.Instant(float64(b.Interval)*1e9), dsv.At(10*time.Second)
	if fine != dsv.At(5*time.Second) {
		t.Fatalf("got intervals of %v", fine)
	}
	want, tried, err := judge.BruteForce(context.Background(), p, s, coarse)
	if err != nil || tried != 81 {
		t.Fatalf("got %d schedules, %v", tried, err)
	}
	// Every schedule of long intervals is one of short ones.
	if got := float64(b.Best.ServerSeconds); got > want || float64(b.AtLeast) > got {
		t.Errorf("got %v server-seconds, no less than %v; the best of long intervals is %v", got, b.AtLeast, want)
	}
	of, found, err := judge.BestOf(context.Background(), p, s, coarse)
	if err != nil || found != want || of > want {
		t.Errorf("got %v server-seconds of long intervals, no less than %v, %v; want %v", found, of, err, want)
	}
}

// A run is set beside what its arrivals would have met otherwise.
func TestBaselines(t *testing.T) {
	p := load(t, staircase, scenario.Options{})
	a, s := simulated(t, p, judge.Options{})
	b := a.Baselines
	if b == nil || b.None == nil || b.Peak == nil || b.Best == nil {
		t.Fatalf("got %+v", b)
	}
	if b.None.ServerSeconds != 40 || b.Peak.ServerSeconds != 120 || b.Peak.Violation != 0 || b.Best.Violation != 0 {
		t.Errorf("got none %+v, peak %+v, best %+v", b.None, b.Peak, b.Best)
	}
	switch x := b.Best.ServerSeconds; {
	case x < b.AtLeast, x < 40+10*2, x >= b.Peak.ServerSeconds:
		t.Errorf("got %v server-seconds at best, no less than %v", x, b.AtLeast)
	}
	if a.Violation == 0 || b.None.Violation <= a.Violation {
		t.Errorf("got %v s of violation, and %v without adaptation", a.Violation, b.None.Violation)
	}
	if a.ServerSeconds <= b.None.ServerSeconds || a.ServerSeconds >= b.Peak.ServerSeconds {
		t.Errorf("got %v server-seconds", a.ServerSeconds)
	}
	e := a.Services["app"]
	if e.Up != 2 || e.Down != 0 || e.Provisioning == nil || len(e.Demand) < 3 {
		t.Fatalf("got %+v", e)
	}
	if x := e.Provisioning; x.UnderTime <= 0 || x.UnderAccuracy <= 0 || x.UnderAccuracy > x.UnderTime || x.OverTime <= 0.2 {
		t.Errorf("got %+v", x)
	}
	ended := s.Clients["crowd"].Requests // the same requests; but for those that end on the other side of the window's ends
	if d := b.Peak.Clients["crowd"].Requests - ended; d < -20 || d > 20 || b.None.Clients["crowd"].Errors == 0 {
		t.Errorf("got %+v at the peak, where the run has %d; %+v without adaptation", b.Peak.Clients, ended, b.None.Clients)
	}
	again, _ := simulated(t, p, judge.Options{})
	x, _ := json.Marshal(a)
	if y, _ := json.Marshal(again); string(x) != string(y) {
		t.Errorf("got other bytes the second time:\n%s\n%s", x, y)
	}
}

// Without adaptation a run is what its baseline without adaptation says, request by request.
func TestNoneIsTheRunItself(t *testing.T) {
	p := load(t, staircase, scenario.Options{Set: []string{"adapt.0.for=1h", "adapt.1.for=1h"}})
	a, s := simulated(t, p, judge.Options{})
	got, c := a.Baselines.None, s.Clients["crowd"]
	want := runs.BaselineGroup{Requests: c.Requests, Errors: c.Errors[runs.AllErrors], Mean: c.Response.Mean, P95: c.Response.P95, P99: c.Response.P99}
	if got.Clients["crowd"] != want || got.Violation != a.Violation || got.ServerSeconds != a.ServerSeconds {
		t.Errorf("got %+v, want %+v, %v s of violation and %v server-seconds", got, want, a.Violation, a.ServerSeconds)
	}
}

// Why baselines are missing is told.
func TestBaselinesMissing(t *testing.T) {
	long := strings.Replace(staircase, "slo: mean(crowd.latency) < 150ms", "", 1)
	for name, c := range map[string]struct {
		src, want string
		budget    int
		none      bool
	}{
		"no slo":       {src: long, want: "there is no slo", none: true},
		"no budget":    {src: staircase, want: "more than 15000 requests", budget: 15000, none: true},
		"nothing else": {src: strings.Replace(staircase, "replicate app to two", "degrade app to lite", 1), want: ""},
		"only degrades": {
			src:  strings.NewReplacer("replicate app to two", "degrade app to lite", "replicate app to three", "degrade app to full").Replace(staircase),
			want: "places nothing", none: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := simulated(t, load(t, c.src, scenario.Options{}), judge.Options{Budget: c.budget})
			b := a.Baselines
			if (b.None != nil) != true || !strings.Contains(b.Missing, c.want) || (b.Missing == "") != (c.want == "") || c.none && b.Best != nil {
				t.Errorf("got %+v", b)
			}
		})
	}
	a, _ := simulated(t, load(t, staircase, scenario.Options{}), judge.Options{Budget: -1})
	if a.Baselines != nil || a.Violation == 0 {
		t.Errorf("got %+v", a)
	}
	still := staircase[:strings.Index(staircase, "adapt:")] + "slo: mean(crowd.latency) < 150ms\n"
	if a, _ := simulated(t, load(t, still, scenario.Options{}), judge.Options{}); a == nil || a.Baselines != nil || a.Violation == 0 {
		t.Errorf("got %+v of a scenario with an slo alone", a)
	}
	if a, _ := simulated(t, load(t, strings.Replace(still, "slo:", "expect:", 1), scenario.Options{}), judge.Options{}); a != nil {
		t.Errorf("got %+v of a scenario that neither adapts nor has an slo", a)
	}
}

// Intervals are as short as the budget allows.
func TestInterval(t *testing.T) {
	for _, c := range []struct {
		seconds, budget, cost int
		want                  time.Duration
	}{
		{55, 1000, 1, 5 * time.Second},
		{8, 1000, 1, time.Second},
		{600, 1000, 1, 20 * time.Second},
		{600, 1000, 20, 30 * time.Second},
		{600, 1000, 100, 120 * time.Second},
		{600, 1000, 300, 0},
		{36000, 1000, 1, 1200 * time.Second},
	} {
		if got := judge.Interval(0, dsv.At(time.Duration(c.seconds)*time.Second), c.budget, c.cost); got != dsv.At(c.want) {
			t.Errorf("%d s, %d of %d: got %v, want %v", c.seconds, c.cost, c.budget, time.Duration(got), c.want)
		}
	}
}
