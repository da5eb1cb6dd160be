package stat_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/eve-emulation/eve/fase/stat"
)

// TestPublishedLevels compares the shares with the tables of Stephens ("EDF Statistics for Goodness of Fit and Some
// Comparisons", JASA 69, 1974, table 1) and of D'Agostino and Stephens (1986, table 4.14).
func TestPublishedLevels(t *testing.T) {
	for _, tt := range []struct {
		known        bool
		level, value float64
	}{
		{true, 0.15, 1.610},
		{true, 0.10, 1.933},
		{true, 0.05, 2.492},
		{true, 0.025, 3.070},
		{true, 0.01, 3.857},
		{false, 0.25, 0.736},
		{false, 0.20, 0.816},
		{false, 0.15, 0.916},
		{false, 0.10, 1.062},
		{false, 0.05, 1.321},
		{false, 0.025, 1.591},
		{false, 0.01, 1.959},
		{false, 0.005, 2.244},
		{false, 0.0025, 2.534},
	} {
		a := stat.AndersonDarling{Statistic: tt.value, N: 10_000, Known: tt.known}
		if got := a.P(); math.Abs(got-tt.level) > 0.07*tt.level {
			t.Errorf("known %v, A² %v: got %.5f, want %v within 7 %%", tt.known, tt.value, got, tt.level)
		}
	}
	for _, known := range []bool{true, false} {
		before := 1.0
		for z := 0.05; z < 60; z *= 1.02 {
			got := stat.AndersonDarling{Statistic: z, N: 100, Known: known}.P()
			if got > before+2e-3 || got < 0 || math.IsNaN(got) {
				t.Errorf("known %v, A² %.3f: got %v after %v, want shares that fall", known, z, got, before)
			}
			before = got
		}
		if before > 1e-9 {
			t.Errorf("known %v: got %v at the end, want nearly nothing", known, before)
		}
	}
	if got := (stat.AndersonDarling{}).P(); !math.IsNaN(got) {
		t.Errorf("no samples: got %v, want NaN", got)
	}
}

// alarms is the share of runs in which a gate fires.
func alarms(runs int, fires func(r *rand.Rand) bool) float64 {
	n := 0
	for i := range runs {
		if fires(rand.New(rand.NewPCG(71, uint64(i)))) {
			n++
		}
	}
	return float64(n) / float64(runs)
}

// varying draws arrivals whose rate swings between 5 and 35 per second over ten seconds, from 0 to end, and returns the
// integral of that rate.
func varying(r *rand.Rand, end float64) (at []float64, cumulative func(float64) float64) {
	rate := func(t float64) float64 { return 20 + 15*math.Sin(2*math.Pi*t/10) }
	for t := r.ExpFloat64() / 35; t < end; t += r.ExpFloat64() / 35 {
		if r.Float64() < rate(t)/35 {
			at = append(at, t)
		}
	}
	return at, func(t float64) float64 { return 20*t + 15*10/(2*math.Pi)*(1-math.Cos(2*math.Pi*t/10)) }
}

func TestKnownLawKeepsItsLevel(t *testing.T) {
	const runs = 2000
	for _, tt := range []struct {
		name string
		test func(r *rand.Rand) (stat.AndersonDarling, error)
	}{
		{"known rate, 12 gaps", func(r *rand.Rand) (stat.AndersonDarling, error) { return stat.ExponentialMean(poisson(r, 12, 3), 3) }},
		{"known rate, 400 gaps", func(r *rand.Rand) (stat.AndersonDarling, error) { return stat.ExponentialMean(poisson(r, 400, 3), 3) }},
		{"a rate that swings", func(r *rand.Rand) (stat.AndersonDarling, error) {
			at, cumulative := varying(r, 15)
			return stat.ExponentialMean(stat.Rescale(at, cumulative), 1)
		}},
	} {
		for _, level := range []float64{0.1, 0.01} {
			got := alarms(runs, func(r *rand.Rand) bool {
				a, err := tt.test(r)
				if err != nil {
					t.Fatal(err)
				}
				return a.Rejects(level)
			})
			if sd := math.Sqrt(level * (1 - level) / runs); math.Abs(got-level) > 4*sd {
				t.Errorf("%s: rejects %.4f of true samples, want %v", tt.name, got, level)
			}
		}
	}
}

func poisson(r *rand.Rand, n int, mean float64) []float64 {
	gaps := make([]float64, n)
	for i := range gaps {
		gaps[i] = mean * r.ExpFloat64()
	}
	return gaps
}

func TestKnownLawFires(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 9))
	swings, cumulative := varying(r, 60)
	flat := func(at float64) float64 { return 20 * at }
	for _, tt := range []struct {
		name string
		gaps []float64
		want bool
	}{
		{"the law", poisson(r, 4000, 1), false},
		{"a tenth too fast", poisson(r, 4000, 0.9), true},
		{"a tenth too slow", poisson(r, 4000, 1.1), true},
		{"a rate that swings, rescaled by it", stat.Rescale(swings, cumulative), false},
		{"a rate that swings, taken as constant", stat.Rescale(swings, flat), true},
	} {
		a, err := stat.ExponentialMean(tt.gaps, 1)
		if err != nil || a.Rejects(0.001) != tt.want {
			t.Errorf("%s: got %+v with share %v, %v, want rejected: %v", tt.name, a, a.P(), err, tt.want)
		}
		if plain := a.Distance() > 0.1; plain != (tt.name == "a rate that swings, taken as constant") {
			t.Errorf("%s: got distance %.3f", tt.name, a.Distance())
		}
	}
	if _, err := stat.ExponentialMean([]float64{1, 1, 1, 1, 1, 1, 1, -1}, 1); !errors.Is(err, stat.ErrRange) {
		t.Errorf("a negative gap: got %v, want ErrRange", err)
	}
	if _, err := stat.ExponentialMean(make([]float64, 7), 1); !errors.Is(err, stat.ErrTooShort) {
		t.Errorf("seven gaps: got %v, want ErrTooShort", err)
	}
	if got := stat.Rescale([]float64{1}, flat); got != nil {
		t.Errorf("one arrival: got gaps %v, want none", got)
	}
}

func TestEven(t *testing.T) {
	d, err := stat.Even([]float64{1, 1.25, 0.75, 1, 1, 1, 1, 1, 1, 2}, 1)
	if want := (stat.Deviations{N: 10, Mean: 1.1, P50: 0, P99: 1, Max: 1}); err != nil || d != want {
		t.Errorf("got %+v, %v, want %+v", d, err, want)
	}
	if _, err := stat.Even(nil, 1); !errors.Is(err, stat.ErrTooShort) {
		t.Errorf("no gaps: got %v, want ErrTooShort", err)
	}
	if _, err := stat.Even([]float64{1}, 0); !errors.Is(err, stat.ErrRange) {
		t.Errorf("no period: got %v, want ErrRange", err)
	}
}
