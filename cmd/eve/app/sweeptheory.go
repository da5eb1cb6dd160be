package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/solve"
	"github.com/eve-emulation/eve/fase/sweep"
)

// predict asks theory what it says of each point. The error is a mistake that all points have, a plan that cannot be run, or the context's.
func (x *campaigning) predict(ctx context.Context, quiet bool) error {
	n := x.grid.Points()
	x.theory = make([]sweep.Prediction, n)
	wrongs, refused, notes := make([]error, n), make([]error, n), make([]string, n)
	var solved atomic.Int64
	t := newScreen(x.app.err)
	defer t.clear()
	err := campaign.Each(ctx, n, 0, func(_ context.Context, i int) error {
		if k := solved.Add(1); t.terminal() && !quiet && k%100 == 0 {
			t.show([]string{fmt.Sprintf("theory of %d of %d points", k, n)})
		}
		plan, err := x.load(i, x.def.Seeds[0])
		if wrongs[i] = err; err != nil {
			return nil // told in the table, unless all are wrong
		}
		if refused[i] = x.can(plan); refused[i] == nil {
			x.theory[i], notes[i] = theoryAt(plan, x.def.Metrics)
		}
		return nil
	})
	x.inexact = cmp.Or(notes...)
	for _, e := range refused {
		if e != nil {
			return e
		}
	}
	if err == nil && !slices.Contains(wrongs, nil) {
		return wrongs[0]
	}
	return err
}

// theoryAt is what theory says of the metrics of a plan; note says why it says nothing, or that it is an approximation.
func theoryAt(plan *scenario.Plan, metrics []sweep.Metric) (p sweep.Prediction, note string) {
	m, err := solve.Of(plan, solve.Options{})
	if err != nil {
		return p, "theory says nothing of it: " + firstLine(err.Error())
	}
	a, err := m.Solve()
	if u, ok := errors.AsType[*solve.Unstable](err); ok {
		p.Unstable = fmt.Sprintf("%s is offered %s of its capacity", u.Resource, report.Share(u.Offered))
		if !steady(plan) {
			p.Unstable += " at the highest rate"
		}
		return p, ""
	}
	if err != nil {
		return p, "theory says nothing of it: " + firstLine(err.Error())
	}
	if !steady(plan) {
		return p, "theory is of a load that does not change, and a system that does not adapt: it tells overloads only"
	}
	p.Values = map[string]float64{}
	for _, metric := range metrics {
		if v := theoryOf(plan, a, metric); !math.IsNaN(v) {
			p.Values[metric.Name] = v
		}
	}
	for _, s := range a.Assumptions {
		if s.How != solve.Exact {
			note = "theory is an approximation here: eve solve says of what, and how far it may be off"
		}
	}
	return p, note
}

// steady says that neither load nor system change during the run, so that theory is of all of it.
func steady(plan *scenario.Plan) bool {
	for i := range plan.Clients {
		g := &plan.Clients[i]
		if len(g.Rate) > 1 || g.Sine != nil || g.Trace != nil {
			return false
		}
	}
	return len(plan.Adapt.Rules)+len(plan.Adapt.Controls)+len(plan.Adapt.Follows)+len(plan.FaultMarks()) == 0
}

// theoryOf is what an answer tells of a metric; NaN where it does not.
func theoryOf(plan *scenario.Plan, a *solve.Answer, m sweep.Metric) float64 {
	switch m.Figure {
	case "":
		return expressionOf(plan, a, m.Name)
	case sweep.Busiest:
		most := nan
		for _, r := range a.Resources {
			most = math.Max(orMinus(most), r.Utilisation)
		}
		return most
	case sweep.Expect:
		return nan
	}
	return groupOf(a, m.Group, m.Figure)
}

// orMinus is what a maximum begins with.
func orMinus(x float64) float64 {
	if math.IsNaN(x) {
		return math.Inf(-1)
	}
	return x
}

// groupOf is a figure of a group.
func groupOf(a *solve.Answer, name string, f sweep.Figure) float64 {
	for i := range a.Groups {
		g := &a.Groups[i]
		if g.Name != name {
			continue
		}
		q := nan
		switch f {
		case sweep.Throughput:
			return g.Throughput
		case sweep.Errors:
			return g.Errors
		case sweep.Mean:
			return g.Response
		case sweep.P50:
			q, _ = g.Quantile(0.50)
		case sweep.P95:
			q, _ = g.Quantile(0.95)
		case sweep.P99:
			q, _ = g.Quantile(0.99)
		}
		return q
	}
	return nan
}

// expressionOf is what theory says of an expression that is no more than one figure: a mean or a quantile of a group's response time, the
// utilisation of a resource.
func expressionOf(plan *scenario.Plan, a *solve.Answer, text string) float64 {
	p, err := plan.Expression(text)
	if err != nil {
		return nan
	}
	terms := p.Terms()
	if len(terms) != 1 || terms[0].Window != 0 || terms[0].Text != strings.TrimSpace(text) {
		return nan
	}
	name, f := string(terms[0].Name), terms[0].Function
	if group, ok := strings.CutSuffix(name, ".latency"); ok {
		switch f {
		case "mean", "p50", "p95", "p99":
			return groupOf(a, group, sweep.Figure(f))
		}
	}
	if resource, ok := strings.CutSuffix(name, ".utilisation"); ok && (f == "" || f == "mean") {
		for _, r := range a.Resources {
			if r.Name == resource {
				return r.Utilisation
			}
		}
	}
	return nan
}
