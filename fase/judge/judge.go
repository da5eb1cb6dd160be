// Package judge says how well a run adapted: how long it kept what was asked of it, at what expense, and what would have
// been possible with the same arrivals.
//
// The nouns: an objective is a condition that should hold in each second (`slo:`); the supply is how many replicas of a
// service serve, the demand how many it takes at the least; a baseline is another way to serve the same arrivals, in virtual
// time. [Run] judges one run from what its folder holds; [Compare] sets runs against each other, with intervals.
//
// Settling, overshoot and oscillation are those of control (Hellerstein, Diao, Parekh and Tilbury, Feedback Control of
// Computing Systems, 2004; Villegas et al., "A Framework for Evaluating Quality-Driven Self-Adaptive Software Systems",
// SEAMS 2011); over- and under-provisioning are those of elasticity (Herbst, Kounev and Reussner, "Elasticity in Cloud
// Computing: What It Is, and What It Is Not", ICAC 2013; "Ready for Rain? A View from SPEC Research on the Future of Cloud
// Metrics", SPEC-RG-2016-01). As in BUNGEE (Herbst, Kounev, Weber and Groenda, SEAMS 2015) the demand is found by trying; but
// on the very arrivals of the run, so that it is the clairvoyant best at the same time.
package judge

import (
	"context"
	"fmt"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
)

// DefaultBudget is how many requests and calls the baselines of one run may simulate: some seconds of work.
const DefaultBudget = 2_000_000

// Options say how a run is judged. The zero value works.
type Options struct {
	// Budget bounds the requests and calls that baselines simulate; 0: DefaultBudget; negative: there are no baselines.
	Budget int
	// Known are baselines of the same plan and window that were computed before.
	Known *runs.Baselines
}

// Judged says whether there is anything to judge: whether anybody adapts, or objectives are written.
func Judged(plan *scenario.Plan) bool {
	return len(plan.SLO) > 0 || len(plan.Adapt.Rules)+len(plan.Adapt.Controls) > 0
}

// Run judges the run that a summary is of, from its history; nil where there is nothing to judge. Equal plans, histories,
// summaries and budgets give equal results. An error is the context's: then there is no result.
func Run(ctx context.Context, plan *scenario.Plan, h runs.History, s *runs.Summary, o Options) (*runs.Adaptation, error) {
	from, to := instant(s.Window.From), instant(s.Window.To)
	if !Judged(plan) || from >= to {
		return nil, nil
	}
	out := &runs.Adaptation{}
	v := read(plan, h, from, to)
	v.tell(out)
	u := readSupply(plan, h)
	u.tell(out, from, to)
	if o.Budget >= 0 && len(plan.Adapt.Rules)+len(plan.Adapt.Controls) > 0 {
		b, err := baselines(ctx, plan, s, o)
		if err != nil {
			return nil, fmt.Errorf("judge %s: %w", plan.Name, err)
		}
		out.Baselines = b
	}
	u.compare(out, from, to)
	return out, nil
}

// instant is a time of a summary, which is rounded to nine digits.
func instant(x runs.Number) dsv.Instant { return dsv.Instant(float64(x)*1e9 + 0.5) }
