package stat_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/eve-emulation/eve/fase/stat"
)

// TestAlarms states how often each gate fires on runs that are good, and that it does on runs that are not.
func TestAlarms(t *testing.T) {
	drifting := func(xs []float64, by float64) []float64 {
		for i := range xs {
			xs[i] *= 1 + by*float64(i)/float64(len(xs))
		}
		return xs
	}
	correlated := func(xs []float64) bool { return stat.Steady(xs, 0.95).Correlated }
	few := func(xs []float64) bool { return stat.Steady(xs, 0.95).TooFew }
	drifts := func(xs []float64) bool { return stat.Stationary(xs).Verdict == stat.Fail }
	unsettled := func(xs []float64) bool { _, err := stat.MSER5(xs); return err != nil }
	m := func(n int, rho float64) func(r *rand.Rand) []float64 {
		return func(r *rand.Rand) []float64 { return mm1(r, n, rho) }
	}
	tests := []struct {
		name      string
		series    func(r *rand.Rand) []float64
		fires     func([]float64) bool
		low, high float64
	}{
		{"batches of independent samples are correlated", func(r *rand.Rand) []float64 { return ar1(r, 2000, 0) }, correlated, 0, 0.02},
		{"batches of a long queue are correlated", m(20_000, 0.5), correlated, 0, 0.025},
		{"batches of a random walk are correlated", func(r *rand.Rand) []float64 { return ar1(r, 2000, 0.999) }, correlated, 0.8, 1},
		{"independent samples are too few", func(r *rand.Rand) []float64 { return ar1(r, 400, 0) }, few, 0, 0.02},
		{"a long queue is too short", m(20_000, 0.5), few, 0, 0.02},
		{"a short run of a busy queue is too short", m(2000, 0.9), few, 0.9, 1},
		{"independent samples drift", func(r *rand.Rand) []float64 { return ar1(r, 400, 0) }, drifts, 0, 0.02},
		{"a queue drifts", m(20_000, 0.5), drifts, 0, 0.02},
		{"a busier queue drifts", m(100_000, 0.8), drifts, 0, 0.02},
		{"a queue that gets slower by half drifts", func(r *rand.Rand) []float64 { return drifting(mm1(r, 20_000, 0.5), 0.5) }, drifts, 0.6, 1},
		{"a queue that gets near its capacity drifts", func(r *rand.Rand) []float64 { return nearing(r, 12_000) }, drifts, 0.95, 1},
		{"a short run of a busy queue drifts", m(2000, 0.9), drifts, 0, 0.04},
		{"a queue that gets twice as slow drifts", func(r *rand.Rand) []float64 { return drifting(mm1(r, 20_000, 0.5), 1) }, drifts, 0.95, 1},
		{"a queue above its capacity drifts", m(5000, 1.1), drifts, 0.95, 1},
		{"a queue never settles", m(20_000, 0.5), unsettled, 0, 0.02},
		{"a queue above its capacity never settles", m(5000, 1.1), unsettled, 0.7, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := alarms(200, func(r *rand.Rand) bool { return tt.fires(tt.series(r)) })
			if t.Logf("%.3f", got); got < tt.low || got > tt.high {
				t.Errorf("fires in %.3f of runs, want %.2f to %.2f", got, tt.low, tt.high)
			}
		})
	}
}

// nearing is responses of a queue whose utilisation rises from 0.5 to 1.
func nearing(r *rand.Rand, n int) []float64 {
	xs, w := make([]float64, n), 0.0
	for i := range xs {
		s := r.ExpFloat64() * (0.5 + 0.5*float64(i)/float64(n))
		xs[i] = w + s
		w = max(0, w+s-r.ExpFloat64())
	}
	return xs
}

// windows cuts a queue's responses into cells by when they ended, as a run's history has them.
func windows(r *rand.Rand, n int, rho, length float64) (sums, counts []float64, hits func(x float64) []float64) {
	var cells [][]float64
	w, now := 0.0, 0.0
	for i := -2000; i < n; i++ {
		s := r.ExpFloat64()
		if c := int((now + w + s) / length); i >= 0 {
			for len(cells) <= c {
				cells = append(cells, nil)
			}
			cells[c] = append(cells[c], w+s)
		}
		gap := r.ExpFloat64() / rho
		if w = max(0, w+s-gap); i >= -1 {
			now += gap
		}
	}
	sums, counts = make([]float64, len(cells)), make([]float64, len(cells))
	for i, c := range cells {
		for _, x := range c {
			sums[i] += x
		}
		counts[i] = float64(len(c))
	}
	return sums, counts, func(x float64) []float64 {
		above := make([]float64, len(cells))
		for i, c := range cells {
			for _, y := range c {
				if y > x {
					above[i]++
				}
			}
		}
		return above
	}
}

func TestCellsCover(t *testing.T) {
	// An M/M/1 queue at 0.5: responses are exponential with mean 2, so their p99 is 2·ln 100.
	mean := func(r *rand.Rand) stat.Interval {
		sums, counts, _ := windows(r, 10_000, 0.5, 20)
		return stat.SteadyRatio(sums, counts, 0.95)
	}
	quantile := func(q float64) func(r *rand.Rand) stat.Interval {
		return func(r *rand.Rand) stat.Interval {
			_, counts, hits := windows(r, 10_000, 0.5, 20)
			share := func(x float64) float64 { // of responses up to x
				above, n := 0.0, 0.0
				for i, c := range hits(x) {
					above, n = above+c, n+counts[i]
				}
				return 1 - above/n
			}
			inverse := func(q float64) float64 {
				low, high := 0.0, 200.0
				for range 40 {
					if x := (low + high) / 2; share(x) < q {
						low = x
					} else {
						high = x
					}
				}
				return high
			}
			return stat.SteadyQuantile(q, inverse, hits(inverse(q)), counts, 0.95)
		}
	}
	for _, tt := range []struct {
		name      string
		truth     float64
		estimate  func(r *rand.Rand) stat.Interval
		runs      int
		low, high float64
	}{
		{"mean", 2, mean, 400, 0.91, 0.98},
		{"p50", 2 * math.Ln2, quantile(0.5), 100, 0.89, 0.99},
		{"p99", 2 * math.Log(100), quantile(0.99), 100, 0.86, 0.99},
	} {
		got := 1 - alarms(tt.runs, func(r *rand.Rand) bool {
			e := tt.estimate(r)
			return tt.truth < e.Low || tt.truth > e.High
		})
		if t.Logf("%s %.3f", tt.name, got); got < tt.low || got > tt.high {
			t.Errorf("%s: 95 %% interval covers the truth in %.3f of runs, want %.2f to %.2f", tt.name, got, tt.low, tt.high)
		}
	}
}

func TestTooFew(t *testing.T) {
	few := func(name string, i stat.Interval) {
		t.Helper()
		if !i.TooFew || i.Trusted() || !math.IsInf(i.High, 1) || !math.IsInf(i.Low, -1) {
			t.Errorf("%s: got %+v, want too few, and an interval without ends", name, i)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	few("nothing", stat.Steady(nil, 0.95))
	few("19 samples", stat.Steady(ar1(r, 19, 0), 0.95))
	few("39 samples", stat.Steady(ar1(r, 39, 0), 0.95))
	few("empty cells", stat.SteadyRatio(make([]float64, 100), make([]float64, 100), 0.95))
	counts := make([]float64, 100)
	for i := range counts {
		counts[i] = 5
	}
	few("five samples beyond the p99", stat.SteadyQuantile(0.99, func(float64) float64 { return 1 }, make([]float64, 100), counts, 0.95))
	if s := stat.Stationary(ar1(r, 39, 0)); s.Verdict != stat.Inconclusive {
		t.Errorf("39 samples: got %+v, want inconclusive", s)
	}
	if s := stat.Stationary(make([]float64, 100)); s.Verdict != stat.Pass || s.Drift != 0 {
		t.Errorf("a constant: got %+v, want one that stays", s)
	}
}
