package stat_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/fase/stat"
)

// ar1 is a stationary series with mean 10 and autocorrelation phi^lag.
func ar1(r *rand.Rand, n int, phi float64) []float64 {
	xs := make([]float64, n)
	x := r.NormFloat64() / math.Sqrt(1-phi*phi)
	for i := range xs {
		xs[i] = 10 + x
		x = phi*x + r.NormFloat64()
	}
	return xs
}

// mm1 is a series of responses of an M/M/1 queue with mean demand 1, after a warm-up.
func mm1(r *rand.Rand, n int, rho float64) []float64 {
	xs := make([]float64, n)
	w := 0.0
	for i := -2000; i < n; i++ {
		s := r.ExpFloat64()
		if i >= 0 {
			xs[i] = w + s
		}
		w = max(0, w+s-r.ExpFloat64()/rho)
	}
	return xs
}

func coverage(t *testing.T, truth float64, series func(*rand.Rand) []float64, estimate func([]float64) (stat.Estimate, error)) float64 {
	t.Helper()
	const replications = 400
	hits := 0
	for i := range replications {
		e, err := estimate(series(rand.New(rand.NewPCG(7, uint64(i)))))
		if err != nil {
			t.Fatal(err)
		}
		if e.Low <= truth && truth <= e.High {
			hits++
		}
	}
	return float64(hits) / replications
}

func TestCoverage(t *testing.T) {
	ar := func(r *rand.Rand) []float64 { return ar1(r, 4000, 0.9) }
	batch := func(xs []float64) (stat.Estimate, error) { return stat.BatchMeans(xs, stat.Batches, 0.95) }
	naive := func(xs []float64) (stat.Estimate, error) { return stat.Mean(xs, 0.95) }
	quantile := func(xs []float64) (stat.Estimate, error) { return stat.QuantileBatches(xs, 0.9, stat.Batches, 0.95) }
	order := func(xs []float64) (stat.Estimate, error) {
		slices.Sort(xs)
		return stat.QuantileOrder(xs, 0.9, 0.95)
	}
	sd := 1 / math.Sqrt(1-0.81)
	tests := []struct {
		name      string
		truth     float64
		series    func(*rand.Rand) []float64
		estimate  func([]float64) (stat.Estimate, error)
		low, high float64
	}{
		{"independent mean", 10, func(r *rand.Rand) []float64 { return ar1(r, 100, 0) }, naive, 0.92, 0.98},
		{"AR(1) by batches", 10, ar, batch, 0.91, 0.98},
		{"AR(1) taken as independent", 10, ar, naive, 0.2, 0.5},
		{"M/M/1 at 0.5 by batches", 2, func(r *rand.Rand) []float64 { return mm1(r, 10000, 0.5) }, batch, 0.90, 0.98},
		{"AR(1) p90 by batches", 10 + 1.2815515655*sd, ar, quantile, 0.88, 0.98},
		{"independent p90 by order", 10 + 1.2815515655, func(r *rand.Rand) []float64 { return ar1(r, 500, 0) }, order, 0.92, 0.99},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := coverage(t, tt.truth, tt.series, tt.estimate); got < tt.low || got > tt.high {
				t.Errorf("95 %% interval covers the truth in %.3f of runs, want %.2f to %.2f", got, tt.low, tt.high)
			}
		})
	}
}

func TestStudentInterval(t *testing.T) {
	// Twenty batches of two equal samples: t(19) at 95 % is 2.093024.
	var xs []float64
	for i := range 20 {
		xs = append(xs, float64(i), float64(i))
	}
	e, err := stat.BatchMeans(xs, 20, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	if want := 2.093024 * math.Sqrt(35.0/20); e.Value != 9.5 || math.Abs(e.Half()-want) > 1e-5 || e.N != 40 || e.Batches != 20 {
		t.Errorf("got %+v with half width %.6f, want 9.5 ± %.6f of 40 samples", e, e.Half(), want)
	}
}

func TestShortSeries(t *testing.T) {
	if _, err := stat.BatchMeans(make([]float64, 39), 20, 0.95); !errors.Is(err, stat.ErrTooShort) {
		t.Errorf("39 samples in 20 batches: got %v, want ErrTooShort", err)
	}
	if _, err := stat.QuantileBatches(make([]float64, 1999), 0.99, 20, 0.95); !errors.Is(err, stat.ErrTooShort) {
		t.Errorf("p99 of batches of 99: got %v, want ErrTooShort", err)
	}
	if _, err := stat.QuantileBatches(make([]float64, 2000), 0.99, 20, 0.95); err != nil {
		t.Errorf("p99 of batches of 100: got %v, want none", err)
	}
	if _, err := stat.Paired(make([]float64, 40), make([]float64, 41), 20, 0.95); !errors.Is(err, stat.ErrLengths) {
		t.Errorf("unequal series: got %v, want ErrLengths", err)
	}
	if _, err := stat.QuantileOrder(make([]float64, 100), 0.99, 0.95); !errors.Is(err, stat.ErrTooShort) {
		t.Errorf("p99 of 100 by order: got %v, want ErrTooShort", err)
	}
}

func TestPairedCancelsSharedNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	want := mm1(r, 2000, 0.8)
	got := make([]float64, len(want))
	for i := range got {
		got[i] = want[i] + 0.1 + 0.01*r.NormFloat64()
	}
	e, err := stat.Paired(got, want, stat.Batches, 0.99)
	if err != nil {
		t.Fatal(err)
	}
	if e.Low > 0.1 || e.High < 0.1 || e.Half() > 0.002 {
		t.Errorf("got %.4f in [%.4f, %.4f], want a narrow interval round 0.1", e.Value, e.Low, e.High)
	}
}

func TestEquivalence(t *testing.T) {
	tests := []struct {
		low, high, tolerance float64
		want                 stat.Verdict
	}{
		{-0.5, 0.5, 1, stat.Pass},
		{-1, 1, 1, stat.Pass},
		{0.5, 1.5, 1, stat.Inconclusive},
		{-9, 9, 1, stat.Inconclusive},
		{1.1, 2, 1, stat.Fail},
		{-2, -1.1, 1, stat.Fail},
		{math.NaN(), 1, 1, stat.Inconclusive},
	}
	for _, tt := range tests {
		if got := stat.Equivalence(stat.Estimate{Low: tt.low, High: tt.high}, tt.tolerance); got != tt.want {
			t.Errorf("[%v, %v] within ±%v: got %s, want %s", tt.low, tt.high, tt.tolerance, got, tt.want)
		}
	}
}

func TestMSER5(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	xs := ar1(r, 2000, 0.3)
	steady, err := stat.MSER5(xs)
	if err != nil || steady > 200 {
		t.Errorf("steady series: got cut %d, %v, want almost none", steady, err)
	}
	for i := range 400 {
		xs[i] += 20 * (1 - float64(i)/400)
	}
	if cut, err := stat.MSER5(xs); err != nil || cut < 330 || cut > 450 {
		t.Errorf("transient of 400: got cut %d, %v, want about 400", cut, err)
	}
	for i := range xs {
		xs[i] = float64(i)
	}
	if _, err := stat.MSER5(xs); !errors.Is(err, stat.ErrTooShort) {
		t.Errorf("series that never settles: got %v, want ErrTooShort", err)
	}
}

func TestIACT(t *testing.T) {
	for _, tt := range []struct{ phi, want, tolerance float64 }{{0, 1, 0.2}, {0.5, 3, 0.4}, {0.9, 19, 4}} {
		xs := ar1(rand.New(rand.NewPCG(5, 6)), 50000, tt.phi)
		if got := stat.IACT(xs); math.Abs(got-tt.want) > tt.tolerance {
			t.Errorf("AR(1) at %v: got %.2f, want (1+φ)/(1-φ) = %v", tt.phi, got, tt.want)
		}
		if got := stat.Autocorrelation(xs, 1); math.Abs(got-tt.phi) > 0.03 {
			t.Errorf("lag 1: got %.3f, want %v", got, tt.phi)
		}
	}
	if got := stat.IACT(make([]float64, 100)); got != 1 {
		t.Errorf("constant series: got %v, want 1", got)
	}
}

func TestExponential(t *testing.T) {
	// Its own level: the share of truly exponential samples that is rejected.
	for _, level := range []float64{0.1, 0.05, 0.01} {
		rejected := 0
		const runs = 4000
		for i := range runs {
			r := rand.New(rand.NewPCG(11, uint64(i)))
			gaps := make([]float64, 50)
			for j := range gaps {
				gaps[j] = 0.02 * r.ExpFloat64()
			}
			a, err := stat.Exponential(gaps)
			if err != nil {
				t.Fatal(err)
			}
			if a.Rejects(level) {
				rejected++
			}
		}
		sd := math.Sqrt(level * (1 - level) / runs)
		if got := float64(rejected) / runs; math.Abs(got-level) > 4*sd {
			t.Errorf("at level %v: rejects %.4f of exponential samples", level, got)
		}
	}
	r := rand.New(rand.NewPCG(12, 0))
	others := map[string]func() float64{
		"constant": func() float64 { return 1 },
		"uniform":  r.Float64,
		"erlang 2": func() float64 { return r.ExpFloat64() + r.ExpFloat64() },
		"bursts": func() float64 {
			if r.Float64() < 0.9 {
				return 0.1 * r.ExpFloat64()
			}
			return 9 * r.ExpFloat64()
		},
	}
	for name, draw := range others {
		gaps := make([]float64, 300)
		for i := range gaps {
			gaps[i] = draw()
		}
		if a, err := stat.Exponential(gaps); err != nil || !a.Rejects(0.01) {
			t.Errorf("%s: got %+v, %v, want rejection at 1 %%", name, a, err)
		}
	}
	if _, err := stat.Exponential(make([]float64, 20)); !errors.Is(err, stat.ErrRange) {
		t.Errorf("gaps of zero: got %v, want ErrRange", err)
	}
}

func TestQuantile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for _, tt := range []struct {
		xs   []float64
		q    float64
		want float64
	}{
		{hundred, 0.5, 50},
		{hundred, 0.07, 7},
		{hundred, 0.99, 99},
		{hundred, 0.991, 100},
		{hundred, 1, 100},
		{hundred, 0, 1},
		{hundred, 2, 100},
		{[]float64{3}, 0.5, 3},
		{[]float64{1, 2}, 0.5, 1},
		{[]float64{1, 2}, 0.51, 2},
	} {
		if got := stat.Quantile(tt.xs, tt.q); got != tt.want {
			t.Errorf("q=%v of %d: got %v, want %v", tt.q, len(tt.xs), got, tt.want)
		}
	}
	if got := stat.Quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("no samples: got %v, want NaN", got)
	}
}
