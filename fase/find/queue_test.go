package find_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/find"
)

// The queue of these tests is M/M/1 with a mean demand of 1 ms. Its response times are exponential with the rate 1000/s - λ, so
// p99 < 20ms holds up to λ = 1000 - ln(100)/0.020 = 769.7/s.
const holdsUpTo = 769.74

func limits(t *testing.T, text string) []find.Limit {
	t.Helper()
	ls, err := find.ParseLimits(text)
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

// queue calls each with the requests of the queue in the order in which they end, until it returns false.
func queue(r *rand.Rand, lambda float64, each func(done dsv.Instant, seconds float64) bool) {
	var at, free float64
	for {
		at += r.ExpFloat64() / lambda
		free = max(free, at) + r.ExpFloat64()/1000
		if !each(dsv.Instant(free*1e9), free-at) {
			return
		}
	}
}

// probe tests the queue at one load.
func probe(t *testing.T, cfg find.TestConfig, lambda float64, r *rand.Rand) find.Outcome {
	t.Helper()
	test, err := find.NewTest(cfg, 0)
	if err != nil {
		t.Fatal(err)
	}
	queue(r, lambda, func(done dsv.Instant, seconds float64) bool {
		if done >= test.Next() && test.Look(test.Next()) {
			return false
		}
		test.Add(done, seconds, false)
		return true
	})
	return test.Outcome()
}

// TestFalsePasses probes a load at which the limit is just reached: at most one in a hundred may pass.
func TestFalsePasses(t *testing.T) {
	runs := 200
	if testing.Short() || raceDetector {
		runs = 60
	}
	for _, test := range []struct {
		name  string
		cfg   find.TestConfig
		fails float64 // at most
	}{
		{"sequential", find.TestConfig{Most: 20 * time.Second}, 0.1},
		{"confirmation", find.TestConfig{Most: 20 * time.Second, Whole: true}, 0.1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.cfg.Limits = limits(t, "p99 < 20ms")
			count := map[find.Verdict]int{}
			for i := range runs {
				count[probe(t, test.cfg, holdsUpTo, rand.New(rand.NewPCG(uint64(i), 1))).Verdict]++
			}
			n := float64(runs)
			if got := float64(count[find.Pass]) / n; got > 0.01+2*math.Sqrt(0.01*0.99/n) {
				t.Errorf("%.3f of probes at the limit pass, want at most 0.01", got)
			}
			if got := float64(count[find.Fail]) / n; got > test.fails+2*math.Sqrt(0.05*0.95/n) {
				t.Errorf("%.3f of probes at the limit fail, want at most %.2f", got, test.fails)
			}
		})
	}
}

func TestProbesDecide(t *testing.T) {
	for _, test := range []struct {
		lambda float64
		limit  string
		want   find.Verdict
		before time.Duration // it is decided
	}{
		{400, "p99 < 20ms", find.Pass, time.Minute},
		{600, "p99 < 20ms", find.Pass, 2 * time.Minute},
		{900, "p99 < 20ms", find.Fail, time.Minute},
		{1500, "p99 < 20ms", find.Fail, 3 * time.Second},
		{400, "mean < 20ms", find.Pass, 10 * time.Second},
		{900, "mean < 2ms", find.Fail, time.Minute},
		{400, "p99 < 20ms and mean < 1ms", find.Fail, time.Minute},
		{400, "errors < 1%", find.Pass, time.Minute},
	} {
		for seed := range uint64(5) {
			o := probe(t, find.TestConfig{Limits: limits(t, test.limit), Most: 4 * time.Minute}, test.lambda, rand.New(rand.NewPCG(seed, 2)))
			if o.Verdict != test.want || o.Took > test.before {
				t.Errorf("%g/s, %s, seed %d: got %s after %v, want %s within %v", test.lambda, test.limit, seed, o.Verdict, o.Took, test.want, test.before)
			}
		}
	}
}

// TestFailuresExceed refuses fast: no quantile holds, though every response is short.
func TestFailuresExceed(t *testing.T) {
	for _, text := range []string{"p99 < 20ms", "errors < 1%"} {
		test, err := find.NewTest(find.TestConfig{Limits: limits(t, text), Most: time.Minute}, 0)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(3, 3))
		for at := dsv.Instant(0); ; at += 1e6 {
			if at >= test.Next() && test.Look(test.Next()) {
				break
			}
			test.Add(at, 1e-4, r.IntN(20) == 0)
		}
		o := test.Outcome()
		if o.Verdict != find.Fail || o.Failed == 0 {
			t.Errorf("%s with 5 %% refused: got %s with %d failed, want fail", text, o.Verdict, o.Failed)
		}
		if text == "p99 < 20ms" && !math.IsInf(o.Evidence[0].Value, 1) {
			t.Errorf("p99 of 5 %% that failed is %g, want none", o.Evidence[0].Value)
		}
	}
}

// TestSilence has a server that stops answering: what is under way for longer than the bound is above it.
func TestSilence(t *testing.T) {
	test, err := find.NewTest(find.TestConfig{Limits: limits(t, "p99 < 20ms"), Most: time.Minute}, 0)
	if err != nil {
		t.Fatal(err)
	}
	issued := int64(0)
	for at := dsv.Instant(0); ; at += 1e6 {
		if at >= test.Next() && test.Look(test.Next()) {
			break
		}
		issued++
		if at < 100e6 {
			test.Add(at, 1e-3, false)
		}
		if at%100e6 == 0 {
			test.Issued(at, issued)
		}
	}
	if o := test.Outcome(); o.Verdict != find.Fail || o.Took > 10*time.Second {
		t.Errorf("a server that falls silent: got %s after %v, want fail", o.Verdict, o.Took)
	}
}

// TestHiccup stalls once: one clump is no failure of the load, however many requests it holds up.
func TestHiccup(t *testing.T) {
	test, err := find.NewTest(find.TestConfig{Limits: limits(t, "p99 < 20ms"), Most: 30 * time.Second}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for at := dsv.Instant(0); ; at += 1e6 {
		if at >= test.Next() && test.Look(test.Next()) {
			break
		}
		seconds := 1e-3
		if at > 300e6 && at < 420e6 {
			seconds = 0.1
		}
		test.Add(at, seconds, false)
	}
	if o := test.Outcome(); o.Verdict != find.Pass {
		t.Errorf("got %s, want pass", o.Verdict)
	}
}

// TestSearch finds the limit of the queue in virtual time, in ten of ten.
func TestSearch(t *testing.T) {
	t.Parallel()
	seeds := uint64(10)
	if testing.Short() || raceDetector {
		seeds = 2
	}
	for seed := range seeds {
		s, err := find.NewSearch(find.Config{Limits: limits(t, "p99 < 20ms"), Probe: 10 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(seed, 4))
		for p, more := s.Next(); more; p, more = s.Next() {
			s.Tell(probe(t, p.Test, p.Load, r), "")
		}
		a := s.Answer()
		if !a.Confirmed || math.Abs(a.Load/holdsUpTo-1) > 0.05 {
			t.Errorf("seed %d: got %.1f/s, confirmed %t, want %.1f/s within 5 %%", seed, a.Load, a.Confirmed, holdsUpTo)
		}
		if math.Abs(a.Crossing.Value/holdsUpTo-1) > 0.02 {
			t.Errorf("seed %d: the limit is crossed at %.1f/s, want %.1f/s within 2 %%", seed, a.Crossing.Value, holdsUpTo)
		}
	}
}

// TestUntil measures the queue until its p90 is known to 5 %: intervals of 95 % hold the truth about that often.
func TestUntil(t *testing.T) {
	t.Parallel()
	goal, err := find.ParseGoal("p90 < 10ms ± 5%")
	if err != nil {
		t.Fatal(err)
	}
	const truth = 2.302585 / 500 // at 500/s
	hits, runs := 0, 100
	if testing.Short() || raceDetector {
		runs = 40
	}
	for i := range runs {
		m := find.NewMeter(goal, 0)
		queue(rand.New(rand.NewPCG(uint64(i), 5)), 500, func(done dsv.Instant, seconds float64) bool {
			m.Add(done, seconds, false)
			return !m.Look(done)
		})
		e := m.Estimate()
		if e.Half() > 0.05*e.Value || m.Verdict() != find.Pass {
			t.Fatalf("got %+v and %s, want ± 5 %% and pass", e, m.Verdict())
		}
		if e.Low <= truth && truth <= e.High {
			hits++
		}
	}
	if got := float64(hits) / float64(runs); got < 0.88 {
		t.Errorf("intervals at 95 %% hold the truth in %.2f of runs", got)
	}
}
