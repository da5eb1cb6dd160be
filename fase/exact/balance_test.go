package exact_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/eve-emulation/eve/fase/exact"
)

func TestChoicesOf(t *testing.T) {
	for _, tt := range []struct {
		n, d int
		rho  float64
		most int
		want float64
		tol  float64
	}{
		{1, 1, 0.5, 60, 2, 1e-6},
		{3, 1, 0.5, 40, 2, 1e-6},        // of one choice each is an M/M/1
		{2, 2, 0.5, 40, 1.426321, 1e-6}, // by iterating the chain of ordered pairs, with the lines told apart
		{4, 4, 0.01, 5, 1, 1e-4},        // whoever comes finds a free one
		{4, 2, 0.7, 18, 1.800, 3e-3},    // simulated, lines told apart; that of draws with replacement is 1.956
		{4, 3, 0.7, 14, 1.590, 3e-3},    // 1.732
	} {
		t.Run(fmt.Sprintf("%d of %d", tt.d, tt.n), func(t *testing.T) {
			got, err := exact.ChoicesOf(tt.n, tt.d, tt.rho, tt.most)
			if err != nil || math.Abs(got-tt.want) > tt.tol*tt.want {
				t.Errorf("got %.7f, %v, want %.7f", got, err, tt.want)
			}
		})
	}
	// Between one line for all and each for itself; more choices are better; more servers come to the limit from above.
	last := 1 / (1 - 0.7)
	for d := 2; d <= 4; d++ {
		got, err := exact.ChoicesOf(4, d, 0.7, 16)
		least, _ := exact.MMc(4, 0.7)
		if err != nil || got >= last || got <= least {
			t.Errorf("%d of 4: got %.4f, %v, want between %.4f and %.4f", d, got, err, least, last)
		}
		last = got
	}
	limit, _ := exact.Choices(2, 0.5)
	last = 2
	for n := 2; n <= 5; n++ {
		got, err := exact.ChoicesOf(n, 2, 0.5, 10)
		if err != nil || got < limit || math.Abs(got-limit) >= math.Abs(last-limit) && n > 3 {
			t.Errorf("2 of %d: got %.4f, %v, want closer to the limit of %.4f than %.4f", n, got, err, limit, last)
		}
		last = got
	}
	if got, err := exact.ChoicesOf(20, 2, 0.9, 20); err == nil {
		t.Errorf("a chain of 10^11 states: got %v, want an error", got)
	}
	for _, bad := range [][2]int{{0, 1}, {2, 0}, {2, 3}} {
		if got, err := exact.ChoicesOf(bad[0], bad[1], 0.5, 5); err == nil {
			t.Errorf("%d choices of %d: got %v, want an error", bad[1], bad[0], got)
		}
	}
}

func TestErlangArrivals(t *testing.T) {
	for _, tt := range []struct {
		n         int
		rho, want float64
	}{
		{1, 0.9, 10},
		{2, 0.5, 1.618034},         // σ = (1/(2-σ))²: 1-σ is the golden ratio's inverse, 0.618034
		{1_000_000, 0.8, 2.692731}, // regular arrivals: σ = exp(-(1-σ)/0.8) = 0.6286298
	} {
		if got, err := exact.ErlangArrivals(tt.n, tt.rho); err != nil || math.Abs(got-tt.want) > 1e-4*tt.want {
			t.Errorf("E_%d/M/1 at %g: got %.6f, %v, want %.6f", tt.n, tt.rho, got, err, tt.want)
		}
	}
	if got, err := exact.ErlangArrivals(2, 1); err == nil {
		t.Errorf("at utilisation 1: got %v, want an error", got)
	}
}
