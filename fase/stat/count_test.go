package stat_test

import (
	"math"
	"testing"

	"github.com/eve-emulation/eve/fase/stat"
)

func TestBinomialBounds(t *testing.T) {
	for _, tt := range []struct {
		n         int
		p, level  float64
		low, high int // as qbinom of R has them
	}{
		{10, 0.5, 0.95, 2, 8},
		{20, 0.1, 0.95, 0, 5},
		{0, 0.5, 0.95, 0, 0},
		{7, 0, 0.95, 0, 0},
		{7, 1, 0.95, 7, 7},
	} {
		low, high := stat.Binomial(tt.n, tt.p, tt.level)
		inside := 0.0
		for k := low; k <= high; k++ {
			inside += pmf(tt.n, k, tt.p)
		}
		if low != tt.low || high != tt.high || inside < tt.level-1e-12 {
			t.Errorf("n %d, p %v: got %d to %d, which holds %v, want at least %v", tt.n, tt.p, low, high, inside, tt.level)
		}
		// One less on either side would leave more than half of the rest out.
		if tt.p > 0 && tt.p < 1 && tt.n > 0 {
			below, above := 0.0, 0.0
			for k := range tt.n + 1 {
				if k <= low {
					below += pmf(tt.n, k, tt.p)
				}
				if k >= high {
					above += pmf(tt.n, k, tt.p)
				}
			}
			if rest := (1 - tt.level) / 2; below < rest || above < rest {
				t.Errorf("n %d, p %v: %d to %d is wider than it need be", tt.n, tt.p, low, high)
			}
		}
	}
	// Large counts: the normal law is close.
	low, high := stat.Binomial(1_000_000, 0.3, 0.99)
	sd := math.Sqrt(1_000_000 * 0.3 * 0.7)
	if z := stat.Normal(0.99); math.Abs(float64(low)-(300_000-z*sd)) > 2 || math.Abs(float64(high)-(300_000+z*sd)) > 2 {
		t.Errorf("got %d to %d, want about %v either side of 300 000", low, high, z*sd)
	}
}

func pmf(n, k int, p float64) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	if p == 0 || p == 1 {
		if k == int(p)*n {
			return 1
		}
		return 0
	}
	return math.Exp(a - b - c + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}

func TestNormalAndTogether(t *testing.T) {
	if got, want := stat.Normal(0.95), 1.959963984540054; math.Abs(got-want) > 1e-12 {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := stat.Together(0.99, 5), 0.998; math.Abs(got-want) > 1e-12 {
		t.Errorf("got %v, want %v", got, want)
	}
}
