package user_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
)

// dues are the instants of a group's plan.
func dues(cfg user.Config) []dsv.Instant {
	var at []dsv.Instant
	for _, due := range cfg.Arrivals() {
		at = append(at, due)
	}
	return at
}

// gaps are the seconds between instants.
func gaps(at []dsv.Instant) []float64 {
	out := make([]float64, len(at))
	last := dsv.Instant(0)
	for i, t := range at {
		out[i], last = t.Sub(last).Seconds(), t
	}
	return out
}

// counts are the arrivals in each window of a length.
func counts(at []dsv.Instant, window, end dsv.Instant) []float64 {
	out := make([]float64, end/window)
	for _, t := range at {
		if i := int(t / window); i < len(out) {
			out[i]++
		}
	}
	return out
}

func meanVariance(xs []float64) (mean, variance float64) {
	for _, x := range xs {
		mean += x / float64(len(xs))
	}
	for _, x := range xs {
		variance += (x - mean) * (x - mean) / float64(len(xs)-1)
	}
	return mean, variance
}

// The gaps of Poisson arrivals are exponential, with the mean that was asked for; those of bursts at the same mean rate are not.
func TestPoissonGapsAreExponential(t *testing.T) {
	const rate = 200
	for seed := range uint64(5) {
		cfg := user.Config{Seed: seed, Rate: []user.Point{{Rate: rate}}, End: dsv.At(50 * time.Second)}
		fit, err := stat.ExponentialMean(gaps(dues(cfg)), 1.0/rate)
		if err != nil || fit.P() < 0.002 {
			t.Errorf("seed %d: A² %.2f of %d gaps, P %.4f, %v; want P above 0.002", seed, fit.Statistic, fit.N, fit.P(), err)
		}
		cfg.Law, cfg.Bursts = user.MMPP, &user.Bursts{States: []user.Burst{{1, time.Second}, {5, 300 * time.Millisecond}}}
		fit, err = stat.ExponentialMean(gaps(dues(cfg)), 1.0/rate)
		if err != nil || fit.P() > 1e-6 {
			t.Errorf("bursts, seed %d: A² %.2f of %d gaps, P %.4f, %v; want next to 0", seed, fit.Statistic, fit.N, fit.P(), err)
		}
	}
}

// Mean rate and index of dispersion of an MMPP against the closed form, over 8000 windows of 5 s. Windows of several cycles
// of states are nearly independent; the relative standard error of a variance of n is sqrt((2+k)/n) with k the excess kurtosis,
// here below 6, so 3 %, and that of the mean count is sqrt(I/(n·m)), so 0.9 % or less; four of each are allowed.
func TestBurstsHaveTheDispersionOfTheClosedForm(t *testing.T) {
	if testing.Short() {
		t.Skip("a million draws of one goroutine: long under the race detector, which learns nothing from them")
	}
	const n, window = 8000, 5 * time.Second
	for _, tt := range []struct {
		name   string
		rate   float64
		states []user.Burst
	}{
		{"two states", 20, []user.Burst{{1, 900 * time.Millisecond}, {10, 100 * time.Millisecond}}},
		{"silence", 10, []user.Burst{{0, 500 * time.Millisecond}, {1, 500 * time.Millisecond}}},
	} {
		b := &user.Bursts{States: tt.states}
		cfg := user.Config{Seed: 1, Law: user.MMPP, Bursts: b, Rate: []user.Point{{Rate: tt.rate}}, End: dsv.At(n * window)}
		mean, variance := meanVariance(counts(dues(cfg), dsv.At(window), cfg.End))
		if want := tt.rate * window.Seconds(); math.Abs(mean/want-1) > 0.036 {
			t.Errorf("%s: mean count: got %.3f, want %.3f ± 3.6 %%", tt.name, mean, want)
		}
		if got, want := variance/mean, b.DispersionOver(tt.rate, window); math.Abs(got/want-1) > 0.12 {
			t.Errorf("%s: index of dispersion over %v: got %.3f, want %.3f ± 12 %%", tt.name, window, got, want)
		}
	}
}

// Three states, over windows so long that the index of dispersion is that of the long run but for 3 %.
func TestBurstsOfThreeStates(t *testing.T) {
	if testing.Short() {
		t.Skip("a million draws of one goroutine: long under the race detector, which learns nothing from them")
	}
	const n, window, rate = 3000, 20 * time.Second, 20
	b := &user.Bursts{States: []user.Burst{{1, 200 * time.Millisecond}, {0, 100 * time.Millisecond}, {8, 50 * time.Millisecond}}}
	cfg := user.Config{Seed: 3, Law: user.MMPP, Bursts: b, Rate: []user.Point{{Rate: rate}}, End: dsv.At(n * window)}
	mean, variance := meanVariance(counts(dues(cfg), dsv.At(window), cfg.End))
	// An independent solution: Q h = -(λ-λ̄) on the ring, by hand: s = 0.2 0.1 0.05, f scaled by 0.35/0.6.
	f := []float64{1 * 0.35 / 0.6, 0, 8 * 0.35 / 0.6}
	h1 := -0.2 * (f[0] - 1)
	h2 := h1 - 0.1*(f[1]-1)
	hm := (0.1*h1 + 0.05*h2) / 0.35
	want := 1 + 2*rate*(0.2*f[0]*(0-hm)+0.1*f[1]*(h1-hm)+0.05*f[2]*(h2-hm))/0.35
	if got := b.Dispersion(rate); math.Abs(got/want-1) > 1e-9 {
		t.Errorf("index of dispersion: got %.6f, want %.6f", got, want)
	}
	if got := variance / mean; math.Abs(got/want-1) > 0.14 {
		t.Errorf("measured: got %.3f, want %.3f ± 14 %%", got, want)
	}
	if math.Abs(mean/(rate*window.Seconds())-1) > 0.01 {
		t.Errorf("mean count: got %.2f, want %.2f ± 1 %%", mean, rate*window.Seconds())
	}
}

// The long-run index of dispersion of two states is that of Heffes and Lucantoni (1986).
func TestDispersionOfTwoStates(t *testing.T) {
	b := &user.Bursts{States: []user.Burst{{1, 9 * time.Second}, {10, time.Second}}}
	f := b.Factors()
	const rate, r1, r2 = 70, 1.0 / 9, 1.0
	l1, l2 := rate*f[0], rate*f[1]
	want := 1 + 2*(l1-l2)*(l1-l2)*r1*r2/((r1+r2)*(r1+r2)*(l1*r2+l2*r1))
	if got := b.Dispersion(rate); math.Abs(got/want-1) > 1e-12 {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := b.DispersionOver(rate, 1000*time.Hour); math.Abs(got/want-1) > 1e-6 {
		t.Errorf("over a long window: got %v, want %v", got, want)
	}
	if got := b.DispersionOver(rate, time.Microsecond); got < 1 || got > 1.001 {
		t.Errorf("over a short window: got %v, want 1 and little more", got)
	}
}

// A sine's counts in each sixth of its period, over 600 periods, against the integral over it.
func TestSineCountsByPhase(t *testing.T) {
	const rate, amplitude, period, periods = 50, 0.8, 6 * time.Second, 600
	for _, phase := range []time.Duration{0, 1500 * time.Millisecond, 20 * time.Second} {
		cfg := user.Config{
			Seed: 2, Rate: []user.Point{{Rate: rate}}, Sine: &user.Sine{Amplitude: amplitude, Period: period, Phase: phase}, End: dsv.At(periods * period),
		}
		got := make([]float64, 6)
		for _, due := range dues(cfg) {
			got[int64(due)%int64(period)/int64(time.Second)]++
		}
		for i, n := range got {
			w, x := 2*math.Pi/6, float64(i)-phase.Seconds()
			want := periods * rate * (1 + amplitude/w*(math.Cos(w*x)-math.Cos(w*(x+1))))
			if z := (n - want) / math.Sqrt(want); math.Abs(z) > 4 {
				t.Errorf("phase %v, second %d: got %.0f arrivals, want %.0f ± %.0f", phase, i, n, want, 4*math.Sqrt(want))
			}
		}
	}
}

// Equal gaps under a sine are due where the exact integral reaches whole numbers, to a nanosecond, also where the rate falls to 0.
func TestSineIsInvertedExactly(t *testing.T) {
	for _, amplitude := range []float64{0.1, 0.9, 1} {
		const rate, period = 1000.0, 10 * time.Second
		cfg := user.Config{
			Law: user.Constant, Rate: []user.Point{{Rate: rate}}, Sine: &user.Sine{Amplitude: amplitude, Period: period}, End: dsv.At(25 * time.Second),
		}
		at := dues(cfg)
		if len(at) < 24_000 {
			t.Fatalf("amplitude %v: got %d arrivals", amplitude, len(at))
		}
		w := 2 * math.Pi / period.Seconds()
		for n, due := range at {
			x := due.Seconds()
			integral := rate * (x + amplitude/w*(1-math.Cos(w*x)))
			slope := rate * (1 + amplitude*math.Sin(w*x))
			// Half a nanosecond of rounding, and the precision of the sum here.
			if miss := math.Abs(integral - float64(n+1)); miss > 1e-9*slope+1e-9 {
				t.Fatalf("amplitude %v, arrival %d due at %v: the integral is %.9f", amplitude, n, due, integral)
			}
		}
	}
}

// A sine over a ramp, whose integral has no pieces of its own, agrees with a sum of small steps.
func TestSineOverARamp(t *testing.T) {
	cfg := user.Config{
		Rate: []user.Point{{At: 0, Rate: 10}, {At: dsv.At(10 * time.Second), Rate: 110}, {At: dsv.At(15 * time.Second), Rate: 0}},
		Sine: &user.Sine{Amplitude: 0.7, Period: 3 * time.Second, Phase: time.Second}, End: dsv.At(20 * time.Second),
	}
	offered := cfg.Offered()
	sum, at := 0.0, 0.0
	const step = 1e-4
	for second := 1; second <= 20; second++ {
		for ; at < float64(second)-step/2; at += step {
			x := at + step/2
			rate := 10 + 10*x
			if x > 10 {
				rate = math.Max(0, 110-22*(x-10))
			}
			sum += step * rate * (1 + 0.7*math.Sin(2*math.Pi*(x-1)/3))
		}
		if got := offered(dsv.At(time.Duration(second) * time.Second)); math.Abs(got-sum) > 1e-4 {
			t.Errorf("integral up to %d s: got %.6f, want %.6f", second, got, sum)
		}
	}
}

// The arrivals of an MMPP keep the states of their plan when the rate is set: twice the rate in half of the time of an integral.
func TestBurstsGoOnWhenTheRateIsSet(t *testing.T) {
	const n = 10_000
	end := dsv.At(n * time.Second)
	b := &user.Bursts{States: []user.Burst{{1, 900 * time.Millisecond}, {10, 100 * time.Millisecond}}}
	cfg := user.Config{Seed: 4, Law: user.MMPP, Bursts: b, Rate: []user.Point{{Rate: 5}}, End: end}
	g := newGroup(t, cfg)
	g.SetRate(0, end/2, 10)
	all := sends(g, end, math.MaxInt)
	for i, rate := range []float64{5, 10} {
		half := slices.DeleteFunc(slices.Clone(all), func(at dsv.Instant) bool { return (at < end/2) != (i == 0) })
		for k := range half {
			half[k] -= dsv.Instant(i) * end / 2
		}
		mean, variance := meanVariance(counts(half, dsv.At(time.Second), end/2))
		if math.Abs(mean/rate-1) > 0.07 {
			t.Errorf("half %d: mean rate: got %.3f, want %.0f ± 7 %%", i, mean, rate)
		}
		if got, want := variance/mean, b.DispersionOver(rate, time.Second); math.Abs(got/want-1) > 0.12 {
			t.Errorf("half %d: index of dispersion over 1 s: got %.2f, want %.2f ± 12 %%", i, got, want)
		}
	}
}

// Poisson arrivals stay Poisson before, between and after changes of the rate.
func TestPoissonKeepsItsLawWhenTheRateIsSet(t *testing.T) {
	end := dsv.At(90 * time.Second)
	g := newGroup(t, user.Config{Seed: 5, Rate: []user.Point{{Rate: 50}}, End: end})
	g.SetRate(0, end/3, 200)
	g.SetRate(0, 2*end/3, 20)
	all := sends(g, end, math.MaxInt)
	// By the integral of the rate all gaps are unit exponentials, those that a change cuts included.
	unit := make([]dsv.Instant, len(all))
	for i, at := range all {
		x := min(at, end/3)*50 + max(0, min(at, 2*end/3)-end/3)*200 + max(0, at-2*end/3)*20
		unit[i] = x
	}
	fit, err := stat.ExponentialMean(gaps(unit), 1)
	if err != nil || fit.P() < 0.002 || fit.N < 7500 {
		t.Errorf("A² %.2f of %d gaps, P %.4f, %v; want P above 0.002", fit.Statistic, fit.N, fit.P(), err)
	}
}

// The parts of a group share its plan: every arrival is of one of them, at the instant that it has in one process.
func TestPartsShareEveryLaw(t *testing.T) {
	end := dsv.At(20 * time.Second)
	for name, cfg := range laws(end) {
		want := sends(newGroup(t, cfg), end, math.MaxInt)
		if len(want) < 100 {
			t.Fatalf("%s: got %d arrivals", name, len(want))
		}
		if plan := dues(cfg); !slices.Equal(plan, want) {
			t.Errorf("%s: the group does not send when Arrivals says: %d and %d arrivals", name, len(want), len(plan))
		}
		var got []dsv.Instant
		for part := range 3 {
			cfg.Part, cfg.Parts = part, 3
			some := sends(newGroup(t, cfg), end, math.MaxInt)
			for i, at := range some {
				if at != want[part+3*i] {
					t.Fatalf("%s: arrival %d of part %d: got %v, want %v", name, i, part, at, want[part+3*i])
				}
			}
			got = append(got, some...)
		}
		if len(got) != len(want) {
			t.Errorf("%s: three parts have %d arrivals, one process %d", name, len(got), len(want))
		}
	}
}

// laws are groups of every law.
func laws(end dsv.Instant) map[string]user.Config {
	trace := &user.Trace{}
	for i := range 500 {
		trace.Due = append(trace.Due, dsv.Instant(i/2)*dsv.At(37*time.Millisecond))
	}
	rate := []user.Point{{At: 0, Rate: 10}, {At: end / 2, Rate: 60}, {At: end / 2, Rate: 5}, {At: end, Rate: 50}}
	bursts := &user.Bursts{States: []user.Burst{{1, 200 * time.Millisecond}, {0, 50 * time.Millisecond}, {7, 30 * time.Millisecond}}}
	sine := &user.Sine{Amplitude: 1, Period: 3 * time.Second, Phase: time.Second}
	return map[string]user.Config{
		"poisson":  {Seed: 1, Rate: rate, End: end},
		"constant": {Seed: 1, Rate: rate, Law: user.Constant, End: end},
		"bursts":   {Seed: 1, Rate: rate, Law: user.MMPP, Bursts: bursts, End: end},
		"sine":     {Seed: 1, Rate: rate, Sine: sine, End: end},
		"both":     {Seed: 1, Rate: rate, Sine: sine, Law: user.MMPP, Bursts: bursts, End: end},
		"replay":   {Seed: 1, Law: user.Replay, Trace: trace, End: end},
	}
}

// The hash of a plan tells every law from the others, and is the same each time.
func TestPlanHashCoversTheLaws(t *testing.T) {
	seen := map[string]string{}
	all := laws(dsv.At(20 * time.Second))
	more := all["bursts"]
	more.Bursts = &user.Bursts{States: []user.Burst{{1, time.Second}, {2, time.Second}}}
	all["other bursts"] = more
	more = all["sine"]
	more.Sine = &user.Sine{Amplitude: 0.5, Period: time.Second}
	all["other sine"] = more
	more = all["replay"]
	more.Trace = &user.Trace{Due: more.Trace.Due, Ask: make([]uint32, len(more.Trace.Due)), Asks: []user.Ask{{Method: "GET", Path: "/a"}}}
	all["other requests"] = more
	more.Trace = &user.Trace{Due: more.Trace.Due, Ask: more.Trace.Ask, Asks: []user.Ask{{Method: "GET", Path: "/b"}}}
	all["other path"] = more
	for name, cfg := range all {
		h := cfg.PlanHash()
		if again := cfg.PlanHash(); h != again {
			t.Errorf("%s: got two hashes of one plan", name)
		}
		if other := seen[h]; other != "" {
			t.Errorf("%s and %s have one hash", name, other)
		}
		seen[h] = name
	}
}

// A group whose rate is next to nothing comes to its end, whatever the law.
func TestBurstsOfNextToNothing(t *testing.T) {
	for _, rate := range []float64{0, 1e-300, 1e-9} {
		within(t, 5*time.Second, func() {
			cfg := user.Config{
				Law: user.MMPP, Bursts: &user.Bursts{States: []user.Burst{{0, 10 * time.Millisecond}, {1, time.Millisecond}}},
				Sine: &user.Sine{Amplitude: 1, Period: 10 * time.Millisecond}, Rate: []user.Point{{Rate: rate}}, End: dsv.At(time.Minute),
			}
			if got := sends(newGroup(t, cfg), cfg.End, 1); len(got) != 0 {
				t.Errorf("rate %v: sent at %v, want nothing", rate, got)
			}
		})
	}
}

// A trace is due when it says, whatever rate is set, and what it plans is what was due.
func TestReplay(t *testing.T) {
	s := dsv.At(time.Second)
	set, err := dmm.NewSet(1, 1, []dmm.Spec{{Name: "crowd.target", Manipulator: "sum"}})
	if err != nil {
		t.Fatal(err)
	}
	first, second := request(t, "call app { cpu 1ms }"), request(t, `http app GET "/"`)
	cfg := user.Config{
		Name: "crowd", Law: user.Replay, End: 10 * s, Request: first, Topology: topology, Services: []service.Config{{Name: "app"}},
		Trace: &user.Trace{
			Due: []dsv.Instant{0, s, s, 3 * s, 20 * s}, Ask: []uint32{0, 1, 2, 0, 0},
			Asks: []user.Ask{{}, {Request: second, Method: "POST", Path: "/cart?id=1"}, {Request: second, Method: "GET", Path: "/b"}},
		},
	}
	g := user.NewGroup(cfg, set.Var)
	g.Changed(0, 0, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}})
	g.SetRate(0, s/2, 1000)
	var got []string
	for g.Next() <= 10*s {
		g.Advance(g.Next())
		for _, e := range g.Effects() {
			r := g.Request(e.Ref)
			what := r.Method + " " + r.Path
			if r.Block != nil {
				what = "call"
			}
			got = append(got, fmt.Sprintf("%v %s", e.At.Seconds(), what))
		}
	}
	if want := []string{"0 call", "1 POST /cart?id=1", "1 GET /b", "3 call"}; !slices.Equal(got, want) {
		t.Errorf("sent: got %q, want %q", got, want)
	}
	set.Close(10 * s)
	for _, d := range set.Take(nil) {
		if d.Value.Float != 4 {
			t.Errorf("planned: got %v, want 4", d.Value.Float)
		}
	}
}

// Lines of one second are spread over it like uniforms, in their order.
func TestSpread(t *testing.T) {
	const n, each = 2000, 5
	at := make([]int64, n)
	for i := range at {
		at[i] = int64(i/each) * int64(time.Second)
	}
	cfg := user.Config{Seed: 1}
	cfg.Spread(at, time.Second)
	within := make([]float64, n)
	for i, x := range at {
		if x/int64(time.Second) != int64(i/each) || i > 0 && x < at[i-1] {
			t.Fatalf("line %d of second %d: due at %d ns after %d", i, i/each, x, at[max(i-1, 0)])
		}
		within[i] = float64(x%int64(time.Second)) / 1e9
	}
	slices.Sort(within)
	worst := 0.0
	for i, x := range within {
		worst = max(worst, math.Abs(x-(float64(i)+0.5)/n))
	}
	if worst > 1.63/math.Sqrt(n) { // Kolmogorov and Smirnov at 1 %; five of a second are even less apart
		t.Errorf("greatest distance from uniform: got %.4f, want %.4f at most", worst, 1.63/math.Sqrt(n))
	}
}
