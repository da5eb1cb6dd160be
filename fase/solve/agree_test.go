package solve_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/solve"
)

// TestAgreesWithSimulation holds answers against simulations of the same scenario: what is off by more than the tolerance is a
// mistake of one of the two. docs/planning.md has the table of longer ones.
func TestAgreesWithSimulation(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates for seconds")
	}
	for _, c := range []struct {
		name       string
		set        []string
		length     time.Duration
		mean, tail float64 // tolerances of the mean and the 95th percentile, as shares
	}{
		{"mm1", nil, 200 * time.Second, 0.08, 0.1},
		{"closed-open", nil, 90 * time.Second, 0.1, 0.15},
		{"flash-crowd", []string{"adapt=[]", "clients.crowd.rate=60/s"}, 200 * time.Second, 0.08, 0.1},
		{"soa-order", nil, 150 * time.Second, 0.05, 0.08},
		{"three-tier", nil, 90 * time.Second, 0.08, 0.1},
		{"software-bottleneck", []string{"threads=8"}, 60 * time.Second, 0.08, 0.1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			set := append([]string{fmt.Sprintf("duration=%gs", c.length.Seconds()), "records=1/s"}, c.set...)
			p := shipped(t, c.name, set...)
			a := answer(t, p)
			r, err := campaign.Simulate(context.Background(), p, campaign.Options{NoSummary: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range a.Groups {
				q, _ := g.Quantile(0.95)
				near(t, "mean of "+g.Name, g.Response, measured(t, p, r, "mean("+g.Name+".latency)"), c.mean)
				near(t, "p95 of "+g.Name, q, measured(t, p, r, "p95("+g.Name+".latency)"), c.tail)
			}
			for _, x := range a.Resources {
				if x.Kind == solve.Hardware && x.Utilisation > 0.1 {
					near(t, x.Name, x.Utilisation, measured(t, p, r, "mean("+x.Name+".utilisation)"), 0.08)
				}
			}
		})
	}
}

func measured(t *testing.T, p *scenario.Plan, r *campaign.Result, what string) float64 {
	t.Helper()
	e, err := p.Expression(what)
	if err != nil {
		t.Fatal(err)
	}
	x, err := r.Eval(e)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	t.Logf("%s: solve %.4g, sim %.4g, off by %+.1f %%", what, got, want, 100*(got/want-1))
	if !(math.Abs(got/want-1) <= tolerance) {
		t.Errorf("%s: solve %g, sim %g", what, got, want)
	}
}
