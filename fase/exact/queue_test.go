package exact_test

import (
	"math"
	"testing"

	"github.com/eve-emulation/eve/fase/exact"
)

// value fails a test where a formula fails.
func value(t *testing.T) func(x float64, err error) float64 {
	return func(x float64, err error) float64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

func TestQueues(t *testing.T) {
	v := value(t)
	l := func(c, k int, rho float64) exact.Limited {
		x, err := exact.MMcK(c, k, rho)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	low, high, err := exact.ForkedBounds(8, 0.9)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what            string
		got, want, with float64
	}{
		{"Erlang C of one", v(exact.ErlangC(1, 0.7)), 0.7, 1e-12},
		{"Erlang C of 4 at .8", v(exact.ErlangC(4, 0.8)), 0.5964, 1e-4}, // Kleinrock's figure; R/S 1.7455 in accuracy.md, E4
		{"Erlang C as MMc", 1 + v(exact.ErlangC(16, 0.9))/(16*0.1), v(exact.MMc(16, 0.9)), 1e-12},
		{"p99 of M/M/1 at .7", v(exact.MM1Quantile(0.7, 0.99)), 15.35, 1e-4}, // accuracy.md, E1
		{"quantile of M/M/c of one", v(exact.MMcQuantile(1, 0.7, 0.99)), v(exact.MM1Quantile(0.7, 0.99)), 1e-9},
		{"tail at 0", v(exact.MMcTail(4, 0.7, 0)), 1, 1e-12},
		{"tail where rates are alike", v(exact.MMcTail(2, 0.5, 1.5)), v(exact.MMcTail(2, 0.5+1e-7, 1.5)), 1e-6},
		{"loss is Erlang B", l(5, 5, 0.8).Turned, exact.ErlangB(5, 4), 1e-12},
		{"M/M/1/K", l(1, 4, 0.8).Turned, 0.2 * math.Pow(0.8, 4) / (1 - math.Pow(0.8, 5)), 1e-12},
		{"M/M/1/K at 1", l(1, 9, 1).Turned, 0.1, 1e-12},
		{"M/M/c/K with much room", l(4, 2000, 0.7).Response, v(exact.MMc(4, 0.7)), 1e-9},
		{"flow", l(3, 7, 1.4).Utilisation, 1.4 * (1 - l(3, 7, 1.4).Turned), 1e-12},
		{"overload", l(1, 5000, 3).Turned, 1 - 1/3.0, 1e-9},
		{"G/G/c is M/M/c", v(exact.GGc(4, 0.8, 1, 1)), v(exact.MMc(4, 0.8)), 1e-12},
		{"G/G/1 is M/G/1", v(exact.GGc(1, 0.8, 1, 4)), v(exact.MG1(0.8, 4)), 1e-12},
		{"D/D/c never waits", v(exact.GGc(4, 0.8, 0, 0)), 1, 1e-12},
		{"shared", v(exact.Shared(0.8, 3)), 15, 1e-12},
		{"variation of shared", v(exact.SharedSCV(0.7)), 2.7 / 1.3, 1e-12},
		{"variance of M/M/1", v(exact.MG1Variance(0.7, 2, 6)), 1 / 0.09, 1e-12}, // the response is exponential
		{"variance of M/D/1", v(exact.MG1Variance(0.5, 1, 1)), 0.25 + 1.0/3, 1e-12},
		{"two branches", v(exact.Forked(2, 0.7)), 4.7083, 1e-4},  // accuracy.md, E12
		{"four branches", v(exact.Forked(4, 0.5)), 3.842, 0.05},  // and E13, simulated
		{"eight branches", v(exact.Forked(8, 0.7)), 7.743, 0.05}, //
		{"eight at .9", v(exact.Forked(8, 0.9)), 21.45, 1e-3},    // its own figure there
		{"least of branches", low, 10, 1e-12},
		{"most of branches", high, 10 * exact.Harmonic(8), 1e-12},
		{"longest of equals", v(exact.Longest(1, 1, 1, 1)), exact.Harmonic(4), 1e-12},
		{"longest of two", v(exact.Longest(1, 3)), 1 + 3 - 0.75, 1e-12},
		{"feedback", v(exact.Feedback(0.4, []float64{1 / 0.7, 1 / 0.7}, []float64{1, 0.5})), 1/(0.7-0.4) + 0.5/(0.7-0.4*0.5), 1e-12}, // E9
	} {
		if math.Abs(c.got-c.want) > c.with*math.Abs(c.want) {
			t.Errorf("%s: got %.8g, want %.8g", c.what, c.got, c.want)
		}
	}
}

// TestQuantilesInvert puts quantiles back into the tail.
func TestQuantilesInvert(t *testing.T) {
	v := value(t)
	for _, c := range []int{1, 2, 5, 64} {
		for _, rho := range []float64{0, 0.5, 0.8, 0.99} {
			for _, q := range []float64{0, 0.5, 0.95, 0.999} {
				if got := v(exact.MMcTail(c, rho, v(exact.MMcQuantile(c, rho, q)))); math.Abs(got-(1-q)) > 1e-9 {
					t.Errorf("%d servers at %g: got a tail of %g, want %g", c, rho, got, 1-q)
				}
			}
		}
	}
}

// TestServers has the counts of capacity.md: a mean response of 1.2 demands with one line.
func TestServers(t *testing.T) {
	for load, want := range map[float64]int{5: 7, 10: 13, 50: 53, 100: 104} {
		if got, err := exact.Servers(load, 1.2); err != nil || got != want {
			t.Errorf("%g: got %d, %v, want %d", load, got, err, want)
		}
	}
	if got, err := exact.Servers(0, 1.2); err != nil || got != 1 {
		t.Errorf("got %d, %v, want one server for nothing", got, err)
	}
	for _, limit := range []float64{1, 0.5, math.NaN()} {
		if _, err := exact.Servers(1, limit); err == nil {
			t.Errorf("got no error for a response of %g demands", limit)
		}
	}
}

// TestFormulasAgree has bounds hold over loads.
func TestFormulasAgree(t *testing.T) {
	v := value(t)
	for rho := 0.05; rho < 1; rho += 0.05 {
		for _, n := range []int{2, 3, 8, 32} {
			low, high, err := exact.ForkedBounds(n, rho)
			if r := v(exact.Forked(n, rho)); err != nil || r < low || r > high {
				t.Errorf("%d branches at %g: got %g, beyond %g to %g", n, rho, r, low, high)
			}
		}
		for _, scv := range []float64{0, 1, 4} {
			if r, most := v(exact.MG1(rho, scv)), v(exact.Kingman(rho, 1, scv)); r > most {
				t.Errorf("M/G/1 at %g: got %g, above Kingman's %g", rho, r, most)
			}
		}
	}
}

func TestNoQueue(t *testing.T) {
	for name, err := range map[string]error{
		"ErlangC":      second(exact.ErlangC(0, 0.5)),
		"unsteady":     second(exact.ErlangC(2, 1)),
		"quantile":     second(exact.MM1Quantile(0.5, 1)),
		"quantile c":   second(exact.MMcQuantile(2, 0.5, -1)),
		"tail":         second(exact.MMcTail(2, 0.5, -1)),
		"GGc":          second(exact.GGc(2, 0.5, -1, 1)),
		"Kingman":      second(exact.Kingman(1, 1, 1)),
		"shared":       second(exact.Shared(1, 1)),
		"shared scv":   second(exact.SharedSCV(-1)),
		"MG1 variance": second(exact.MG1Variance(1, 2, 6)),
		"forked":       second(exact.Forked(0, 0.5)),
		"longest":      second(exact.Longest()),
		"no mean":      second(exact.Longest(0)),
		"feedback":     second(exact.Feedback(1, []float64{1}, nil)),
	} {
		if err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if _, err := exact.MMcK(3, 2, 0.5); err == nil {
		t.Error("got no error for room for fewer than servers")
	}
	if _, _, err := exact.ForkedBounds(2, 1); err == nil {
		t.Error("got no error for an unsteady fork")
	}
}
