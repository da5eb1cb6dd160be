package campaign_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
)

// quick is a study of short runs of M/M/1 at 50 %: 10 ms of demand, 50/s.
func quick(t *testing.T, set ...string) campaign.Study {
	return campaign.Study{Seed: 1, Version: "test", Plan: func(seed uint64) (*scenario.Plan, error) {
		return shipped(t, "mm1", scenario.Options{Seed: &seed, Set: append([]string{"duration=11s", "warmup=2s", "clients.jobs.rate=50/s"}, set...)}), nil
	}}
}

func TestReplications(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; other tests run side by side as well")
	}
	s := quick(t)
	s.Count = 12
	one, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Workers = 3
	many, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := content(t, many), content(t, one); !bytes.Equal(got, want) {
		t.Errorf("on three workers: got\n%s\nwant\n%s", got, want)
	}
	if one.Replications != 12 || one.Seeds[0] != 1 || one.Seeds[11] != 12 {
		t.Errorf("replications: got %d, seeds %v", one.Replications, one.Seeds)
	}
	// Theory: mean response S/(1-ρ) = 20 ms, utilisation 0.5.
	for name, want := range map[string]float64{
		"clients.jobs.response_seconds.mean": 0.020, "servers.server_1.cpu.utilisation": 0.5, "clients.jobs.achieved_rate_per_second": 50,
		"clients.jobs.error_share": 0,
	} {
		f, ok := one.Figure(name)
		if !ok || f.N != 12 || len(f.Values) != 12 {
			t.Errorf("%s: got %+v, want it of each replication", name, f)
			continue
		}
		if w := runs.Number(want); f.Low > w || f.High < w {
			t.Errorf("%s: got %v (%v to %v), want %v inside", name, f.Value, f.Low, f.High, want)
		}
		if want > 0 && f.Half() > 0.15*want {
			t.Errorf("%s: half width %v of %v: it could not fail", name, f.Half(), want)
		}
	}
	if _, ok := one.Figure("clients.jobs.intervals.mean.value"); ok {
		t.Error("intervals of single runs are figures")
	}
	if x := one.Transients[0]; x.Group != "jobs" || x.Verdict == stat.Fail {
		t.Errorf("transient: got %+v, want that the warm-up leaves it out", x)
	}
}

func content(t *testing.T, x *campaign.Table) []byte {
	t.Helper()
	b, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Expectations are judged by intervals: some hold, some do not, and some cannot be told.
func TestExpectOverReplications(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; other tests run side by side as well")
	}
	s := quick(t, "expect=[mean(jobs.latency) < 100ms, mean(jobs.latency) < 5ms, mean(jobs.latency) < 19ms,"+
		" 'jobs.errors / jobs.requests <= 0 and mean(jobs.latency) < 100ms', 'jobs.errors > 0 or p95(jobs.latency) > 1s']")
	s.Count = 4
	x, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []stat.Verdict{stat.Pass, stat.Fail, stat.Inconclusive, stat.Pass, stat.Fail}
	for i, e := range x.Expect {
		if e.Verdict != want[i] {
			t.Errorf("%s: got %s (%s), %+v, want %s", e.Text, e.Verdict, e.Reason, e.Comparisons, want[i])
		}
	}
	if x.Exit != runs.ExitExpectFailed || x.Expect[0].Passed != 4 || x.Expect[1].Passed != 0 {
		t.Errorf("exit %d, passed %d and %d; want 3, 4 and 0", x.Exit, x.Expect[0].Passed, x.Expect[1].Passed)
	}
}

func TestTruthOfIntervals(t *testing.T) {
	unknown := math.NaN()
	for _, tt := range []struct {
		low, high                float64
		lt, le, gt, ge, eq, not_ float64
	}{
		{-2, -1, 1, 1, 0, 0, 0, 1},
		{1, 2, 0, 0, 1, 1, 0, 1},
		{-1, 1, unknown, unknown, unknown, unknown, unknown, unknown},
		{0, 0, 0, 1, 0, 1, 1, 0},
		{-1, 0, unknown, 1, 0, unknown, unknown, unknown},
		{0, 1, 0, unknown, unknown, 1, unknown, unknown},
	} {
		want := map[string]float64{"<": tt.lt, "<=": tt.le, ">": tt.gt, ">=": tt.ge, "==": tt.eq, "!=": tt.not_}
		for op, w := range want {
			if got := campaign.Truth(op, tt.low, tt.high); got != w && !(math.IsNaN(got) && math.IsNaN(w)) {
				t.Errorf("difference in [%v, %v], %s 0: got %v, want %v", tt.low, tt.high, op, got, w)
			}
		}
	}
}

// A study with a goal goes on until it is reached, says so, and where it may not, how far it came.
func TestUntil(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; other tests run side by side as well")
	}
	s := quick(t)
	plan, err := s.Plan(1)
	if err != nil {
		t.Fatal(err)
	}
	goal := func(text string) *campaign.Goal {
		g, err := campaign.ParseGoal(plan, text)
		if err != nil {
			t.Fatal(err)
		}
		return &g
	}
	s.Goal = goal("mean(jobs.latency) ± 6%")
	x, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	u := x.Until
	if !u.Reached || u.Figure.Half() > 0.06*float64(u.Figure.Value) || u.Figure.N != x.Replications || u.Looks < 2 {
		t.Errorf("got %+v over %d replications; want it reached at the second look or later", u, x.Replications)
	}
	s.Workers = 1
	again, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again.Replications != x.Replications {
		t.Errorf("on one worker: got %d replications, want %d", again.Replications, x.Replications)
	}
	s.Goal, s.Most = goal("rate(jobs.requests) ± 0.01/s"), 11
	if x, err = s.Run(t.Context()); err != nil || x.Until.Reached || x.Replications != 11 {
		t.Errorf("an interval that is out of reach: got %+v over %d, %v; want 11 replications, and not reached", x.Until, x.Replications, err)
	}
	s.Goal, s.Most = goal("p95(jobs.latency) < 10ms"), 0
	if x, err = s.Run(t.Context()); err != nil || !x.Until.Reached || x.Until.Verdict != stat.Fail || x.Exit != runs.ExitExpectFailed {
		t.Errorf("a condition that does not hold: got %+v, %v; want that told", x.Until, err)
	}
}

func TestParseGoal(t *testing.T) {
	plan, err := quick(t).Plan(1)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"mean(jobs.latency) ± 1%":                      "0.01 0",
		"p99(jobs.latency) +- 2ms":                     "0 0.002",
		"p99(jobs.latency) < 1s ± 5%":                  "0.05 0",
		"jobs.errors / jobs.requests ± 0.1":            "0 0.1",
		"p95(jobs.latency) < 1s and jobs.errors == 0":  "0 0",
		"mean(jobs.latency)":                           "want a precision",
		"mean(jobs.latency) ± 0%":                      "want a share above 0",
		"mean(jobs.latency) ± 100%":                    "want a share above 0",
		"mean(jobs.latency) ± ":                        "want a share above 0",
		"mean(jobs.latency) ± 3/s":                     "is in s",
		"mean(crowd.latency) ± 1%":                     "crowd.latency",
		"jobs.errors == 0 and jobs.requests > 10 ± 1%": "here are 2",
	} {
		g, err := campaign.ParseGoal(plan, text)
		got := fmt.Sprint(g.Relative, g.Absolute)
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// What a sequence of looks says holds as often as it claims: the interval at the end has the true mean in it, and is as
// narrow as was asked; a condition that is decided is decided rightly.
func TestSequencesHoldTheirConfidence(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; other tests run side by side as well")
	}
	plan, err := quick(t).Plan(1)
	if err != nil {
		t.Fatal(err)
	}
	parse := func(text string) *campaign.Goal {
		g, err := campaign.ParseGoal(plan, text)
		if err != nil {
			t.Fatal(err)
		}
		return &g
	}
	const n, mean, spread = 500, 0.02, 0.004
	held, near, wrong, decided := 0, 0, 0, 0
	for seed := range uint64(n) {
		rng := rand.New(rand.NewPCG(seed, 7))
		draw := func(int) float64 { return mean + spread*(rng.ExpFloat64()-1) } // skewed, as quantiles are
		_, r := campaign.Study{Goal: parse("mean(jobs.latency) ± 4%")}.Sequence(0, draw)
		if float64(r.Figure.Low) <= mean && mean <= float64(r.Figure.High) {
			held++
		}
		if r.Reached && math.Abs(float64(r.Figure.Value)-mean) <= 0.04*mean {
			near++
		}
		// The bound lies above the mean by a quarter of the spread: it takes some looks to see that it holds.
		_, r = campaign.Study{Goal: parse("mean(jobs.latency) < 21ms")}.Sequence(mean+spread/4, draw)
		switch r.Verdict {
		case stat.Fail:
			wrong++
		case stat.Pass:
			decided++
		}
	}
	t.Logf("of %d: interval holds the mean in %d, estimate within the precision in %d; conditions decided rightly %d, wrongly %d", n, held, near, decided, wrong)
	if held < 455 || near < 455 {
		t.Errorf("intervals hold the mean in %d of %d, estimates are within the precision in %d; want 455 or more", held, n, near)
	}
	if wrong > 25 || decided < 455 {
		t.Errorf("conditions: got %d decided rightly and %d wrongly of %d, want 455 at least and 25 at most", decided, wrong, n)
	}
}

// What had ended when a study is interrupted, or when a replication fails, is summed up.
func TestStudiesEndEarly(t *testing.T) {
	s := quick(t, "duration=4s", "warmup=1s")
	s.Count, s.Workers = 9, 1
	ctx, stop := context.WithCancel(t.Context())
	s.Progress = func(ended, wanted int) {
		if wanted != 9 {
			t.Errorf("wanted: got %d, want 9", wanted)
		}
		if ended == 3 {
			stop()
		}
	}
	x, err := s.Run(ctx)
	if !errors.Is(err, context.Canceled) || x == nil || x.Replications != 3 || !x.Interrupted {
		t.Errorf("interrupted: got %v, %v; want three replications", x != nil && x.Interrupted, err)
	}
	s.Progress = nil
	broken := errors.New("disk full")
	s.Workers = 2
	s.Done = func(_ context.Context, r *campaign.Result) error {
		if r.Plan.Seed == 4 {
			return broken
		}
		return nil
	}
	x, err = s.Run(t.Context())
	if !errors.Is(err, broken) || errors.Is(err, context.Canceled) || x == nil {
		t.Fatalf("failed: got %v, want the cause alone, beside the table", err)
	}
	// Of the three before it two had ended when it began, and of the others some may have.
	if x.Replications < 2 || x.Replications > 8 || slices.Contains(x.Seeds, 4) || x.Interrupted {
		t.Errorf("failed: got seeds %v, interrupted %v; want those that had ended", x.Seeds, x.Interrupted)
	}
}
