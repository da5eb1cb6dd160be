package usl_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/usl"
)

// points are those of a law at some counts, each off by a share of itself.
func points(seed uint64, lambda, sigma, kappa, noise float64, counts ...float64) []usl.Point {
	r := rand.New(rand.NewPCG(seed, 9))
	var out []usl.Point
	for _, n := range counts {
		x := lambda * n / (1 + sigma*(n-1) + kappa*n*(n-1))
		out = append(out, usl.Point{N: n, X: x * (1 + noise*r.NormFloat64())})
	}
	return out
}

var counts = []float64{1, 2, 4, 8, 16, 32, 48, 64}

func TestExactPoints(t *testing.T) {
	for _, c := range [][2]float64{{0.05, 0.001}, {0.2, 0.005}, {0, 0.01}, {0.3, 0}, {0, 0}} {
		f, err := usl.Of(points(1, 7, c[0], c[1], 0, counts...), 1)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(f.Lambda.Value-7) > 1e-6 || math.Abs(f.Sigma.Value-c[0]) > 1e-7 || math.Abs(f.Kappa.Value-c[1]) > 1e-7 {
			t.Errorf("got %+v, want σ and κ %v", f, c)
		}
		if want := 7 * 20 / (1 + c[0]*19 + c[1]*380); math.Abs(f.At(20)/want-1) > 1e-6 {
			t.Errorf("got %g at 20, want %g", f.At(20), want)
		}
		if want := math.Sqrt((1 - c[0]) / c[1]); c[1] > 0 && math.Abs(f.Peak.Value/want-1) > 1e-6 {
			t.Errorf("got a peak at %g, want %g", f.Peak.Value, want)
		}
		if c[1] == 0 && f.Identifiable {
			t.Errorf("got %+v, want no peak without κ", f)
		}
	}
}

// TestRecovers fits 8 points with 2 % noise over many seeds: σ and κ come back within 10 %, and intervals hold the truth as often as they say.
func TestRecovers(t *testing.T) {
	const seeds, sigma, kappa = 160, 0.2, 0.005
	near, told := 0, 0
	var holds [4]int
	for seed := range uint64(seeds) {
		f, err := usl.Of(points(seed, 100, sigma, kappa, 0.02, counts...), seed)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(f.Sigma.Value/sigma-1) < 0.1 && math.Abs(f.Kappa.Value/kappa-1) < 0.1 {
			near++
		}
		if f.Identifiable {
			told++
		}
		for i, yes := range []bool{f.Lambda.Holds(100), f.Sigma.Holds(sigma), f.Kappa.Holds(kappa), f.Peak.Holds(math.Sqrt((1 - sigma) / kappa))} {
			if yes {
				holds[i]++
			}
		}
	}
	if near < seeds*96/100 || told < seeds {
		t.Errorf("got σ and κ within 10 %% in %d of %d, identifiable %d", near, seeds, told)
	}
	for i, n := range holds { // of 95 %: three standard errors, 5.2 %
		if n < seeds*898/1000 {
			t.Errorf("got the truth in %d of %d intervals of parameter %d, want 95 %%", n, seeds, i)
		}
	}
}

// TestNotIdentifiable has no points without coherency show a peak but as rarely as the confidence allows.
func TestNotIdentifiable(t *testing.T) {
	const seeds = 100
	told := 0
	for seed := range uint64(seeds) {
		f, err := usl.Of(points(seed, 100, 0.1, 0, 0.02, counts...), seed)
		if err != nil {
			t.Fatal(err)
		}
		if f.Identifiable {
			told++
			continue
		}
		if !strings.Contains(f.Reason, "not identifiable") || f.Kappa.Low > 0 {
			t.Errorf("got %+v", f)
		}
		if f.Kappa.Low == 0 && f.Kappa.High > 0 && !math.IsInf(f.Peak.High, 1) {
			t.Errorf("got a peak up to %g where κ may be 0", f.Peak.High)
		}
	}
	if told > seeds*8/100 { // 2.5 % and three standard errors
		t.Errorf("got a peak in %d of %d", told, seeds)
	}
}

// TestTheLawGoesThroughThePoints: where σ or κ would be below 0 the others make up for it.
func TestTheLawGoesThroughThePoints(t *testing.T) {
	for _, xs := range [][]float64{
		{46.9, 91.7, 140.75, 189.8, 237.65, 283.95, 328.5, 379.45}, // σ would be below 0
		{100, 190, 274, 353, 431, 508, 586, 668},                   // κ would be
		{100, 201, 303, 406, 510, 615, 721, 828},                   // both
	} {
		var ps []usl.Point
		for i, x := range xs {
			ps = append(ps, usl.Point{N: float64(i + 1), X: x})
		}
		f, err := usl.Of(ps, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range ps {
			if d := f.At(p.N)/p.X - 1; math.Abs(d) > 0.03 {
				t.Errorf("%v: at %g the law is off by %.3f: %+v", xs, p.N, d, f)
			}
		}
		if f.Sigma.Value < 0 || f.Kappa.Value < 0 || !f.Sigma.Holds(f.Sigma.Value) || !f.Lambda.Holds(f.Lambda.Value) {
			t.Errorf("%v: got %+v", xs, f)
		}
	}
}

func TestSuperlinear(t *testing.T) {
	var ps []usl.Point
	for _, n := range counts {
		ps = append(ps, usl.Point{N: n, X: math.Pow(n, 1.2)})
	}
	if f, err := usl.Of(ps, 1); err != nil || f.Identifiable || !strings.Contains(f.Reason, "not identifiable") {
		t.Errorf("got %+v, %v", f, err)
	}
}

func TestSameSeedSameFit(t *testing.T) {
	ps := points(3, 100, 0.1, 0.002, 0.02, counts...)
	a, _ := usl.Of(ps, 5)
	if b, _ := usl.Of(ps, 5); a != b {
		t.Errorf("got %+v and %+v", a, b)
	}
}

func TestWrongPoints(t *testing.T) {
	few := []usl.Point{{1, 1}, {2, 2}, {2, 2.1}, {4, 3}}
	if _, err := usl.Of(few, 1); !errors.Is(err, usl.ErrTooFew) {
		t.Errorf("got %v, want ErrTooFew", err)
	}
	for _, p := range []usl.Point{{0, 1}, {-1, 1}, {3, 0}, {math.NaN(), 1}, {3, math.Inf(1)}} {
		if _, err := usl.Of(append([]usl.Point{p}, points(1, 1, 0, 0, 0, counts...)...), 1); err == nil {
			t.Errorf("got no error for %+v", p)
		}
	}
}
