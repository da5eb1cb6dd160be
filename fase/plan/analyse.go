package plan

import (
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/solve"
	"github.com/eve-emulation/eve/fase/stat"
)

// An analysis is the analytic model's word on some counts at some share of the load.
type analysis struct {
	plan     *scenario.Plan
	answer   *solve.Answer // nil: unstable
	unstable *solve.Unstable
	values   []float64 // by objective, not calibrated; NaN: the model says nothing; +Inf: unstable
}

// analyse solves the scenario at counts, with the load multiplied.
func (p *Planner) analyse(c Counts, factor float64) (*analysis, error) {
	k := cacheKey{c.key(), factor}
	if a := p.solved[k]; a != nil {
		return a, nil
	}
	plan, err := p.load(c)
	if err != nil {
		return nil, err
	}
	a, err := p.solve(plan, factor)
	if err == nil {
		p.solved[k] = a
		p.Solved++
	}
	return a, err
}

type cacheKey struct {
	counts string
	factor float64
}

func (p *Planner) solve(plan *scenario.Plan, factor float64) (*analysis, error) {
	m, err := solve.Of(plan, solve.Options{})
	if err != nil {
		return nil, err
	}
	if factor != 1 {
		m = m.Scaled(factor)
	}
	a := &analysis{plan: plan, values: make([]float64, len(p.q.Limits))}
	a.answer, err = m.Solve()
	if err != nil {
		u, ok := errors.AsType[*solve.Unstable](err)
		if !ok && !errors.Is(err, solve.ErrUnstable) {
			return nil, err
		}
		if u == nil {
			u = &solve.Unstable{Resource: err.Error(), Offered: math.NaN(), Rate: math.NaN(), Largest: math.NaN()}
		}
		a.answer, a.unstable = nil, u
	}
	for i, l := range p.q.Limits {
		a.values[i] = a.value(l)
	}
	return a, nil
}

// value is what the model says of an objective's metric.
func (a *analysis) value(l find.Limit) float64 {
	if a.answer == nil {
		return math.Inf(1)
	}
	name := subjectOf(l)
	if i := slices.IndexFunc(a.answer.Groups, func(g solve.Group) bool { return g.Name == name }); i >= 0 {
		g := &a.answer.Groups[i]
		switch l.Metric {
		case find.Mean:
			return g.Response
		case find.Errors:
			return g.Errors
		}
		x, _ := g.Quantile(l.Q)
		return x
	}
	if i := slices.IndexFunc(a.answer.Services, func(s solve.Service) bool { return s.Name == name }); i >= 0 {
		s := &a.answer.Services[i]
		switch l.Metric {
		case find.Mean:
			return s.Response
		case find.Errors:
			return s.Rejected
		}
		return -s.Response * math.Log1p(-l.Q) // taken for exponential: the model knows the mean
	}
	return math.NaN()
}

// holds says whether the calibrated model keeps the objectives when all demands are multiplied: that is the same as a load so many times as
// great, in a time that goes so many times as slowly.
func (p *Planner) holds(a *analysis, demand float64) bool {
	if a.unstable != nil {
		return false
	}
	for i, l := range p.q.Limits {
		scale := demand
		if l.Metric == find.Errors {
			scale = 1
		}
		if x := a.values[i] * p.ratio(i) * scale; x >= l.Bound { // NaN: nothing is said against it
			return false
		}
	}
	return true
}

// ratio is by how much simulations differ from the model.
func (p *Planner) ratio(limit int) float64 {
	if r := p.ratios[limit]; r > 0 && !math.IsInf(r, 1) {
		return r
	}
	return 1
}

// point tells an analysis as a point.
func (p *Planner) point(c Counts, factor float64, a *analysis) Point {
	x := Point{How: Solved, Counts: slices.Clone(c), Factor: factor, Load: p.rate * factor, Holds: true, Verdict: find.Pass}
	for i, l := range p.q.Limits {
		v := a.values[i]
		x.Values = append(x.Values, stat.Estimate{Value: v, Low: v, High: v})
		if v >= l.Bound {
			x.Holds, x.Verdict = false, find.Fail
		}
	}
	if a.unstable != nil {
		x.Holds, x.Verdict, x.Unstable = false, find.Fail, a.unstable.Error()
		return x
	}
	for _, g := range a.answer.Groups {
		x.Rate += g.Throughput
	}
	x.Used = p.uses(a.plan, func(yield func(string, float64)) {
		for _, r := range a.answer.Resources {
			yield(r.Name, r.Utilisation)
		}
	})
	return x
}

// uses puts the utilisations of resources together by tier, the busiest first.
func (p *Planner) uses(plan *scenario.Plan, each func(yield func(name string, utilisation float64))) []Use {
	type sum struct {
		Use
		n int
	}
	var all []*sum
	by := map[string]*sum{}
	each(func(name string, u float64) {
		class, server, soft := place(plan, name)
		s := by[class]
		if s == nil {
			s = &sum{Use: Use{Name: class, Soft: soft}}
			if t := tierOf(plan, p.tiers, class, server); t >= 0 {
				s.Tier = p.tiers[t].Name
			}
			by[class] = s
			all = append(all, s)
		}
		if !math.IsNaN(u) {
			s.Utilisation += u
			s.n++
		}
	})
	out := make([]Use, 0, len(all))
	for _, s := range all {
		if s.n > 0 && s.Utilisation > 0 {
			s.Utilisation /= float64(s.n)
			out = append(out, s.Use)
		}
	}
	slices.SortStableFunc(out, func(a, b Use) int { return -compare(a.Utilisation, b.Utilisation) })
	return out
}

// subjectOf is the group or service that an objective is on.
func subjectOf(l find.Limit) string {
	name, _, _ := strings.Cut(l.Of, ".")
	return name
}
