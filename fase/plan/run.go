package plan

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/stat"
)

// A Step is news of how far the answer is.
type Step struct {
	Text  string // what comes next, or came of it; empty: a point
	Point *Point // nil: text alone
}

// Steps say what is done beyond the counts, how long it may take, and how it is told.
type Steps struct {
	Say func(Step) // nil: nobody is told
	// Left tells how much of the time budget is left; nil: there is no budget. What is optional is left out when it is gone.
	Left func() time.Duration
	// Emulate runs the scenario for real with overrides, and returns the point that Judge made of it; nil: nothing is emulated. less says that
	// it is the run with one less at the bottleneck. It returns nil when there is no time for it.
	Emulate func(ctx context.Context, c Counts, less bool) (*Point, error)
	Knee    bool // search the largest load by simulation
	Scaling bool // fit the universal scalability law to the bottleneck's tier
	Curves  bool // analytic curves for pictures
}

// Run answers the question. When ctx ends, the result is what was found so far, and the error the context's.
func (p *Planner) Run(ctx context.Context, s Steps) (*Result, error) {
	if s.Say == nil {
		s.Say = func(Step) {}
	}
	if s.Left == nil {
		s.Left = func() time.Duration { return math.MaxInt64 }
	}
	p.left = s.Left
	r := &Result{Tiers: p.tiers, Limits: p.q.Limits, LessTier: -1, Error: p.q.Error, Costed: p.costed}
	p.say = func(x Point) {
		r.Points = append(r.Points, x)
		s.Say(Step{Point: &x})
	}
	for _, step := range []func(context.Context, *Result, Steps) error{
		p.reach, p.search, p.about, p.lesser, p.intervals, p.emulation, p.scaling, p.curves, p.largest,
	} {
		if err := step(ctx, r, s); err != nil {
			if ctx.Err() != nil {
				return r, ctx.Err()
			}
			return r, err
		}
		if r.Unreachable != "" {
			break
		}
	}
	return r, nil
}

// idle is a load at which nobody is in anybody's way.
const idle = 1e-6

// reach looks whether the objectives can hold at all: requests of whom nobody is in the way take as long as they take.
func (p *Planner) reach(ctx context.Context, r *Result, s Steps) error {
	s.Say(Step{Text: "bounds and solve"})
	c := p.now()
	a, err := p.analyse(c, idle)
	if err != nil {
		return err
	}
	var suspects []int
	for i, l := range p.q.Limits {
		if a.values[i] >= 0.9*l.Bound && l.Metric != find.Errors {
			suspects = append(suspects, i)
		}
	}
	if len(suspects) == 0 {
		return nil
	}
	// The model's quantiles are approximated: so it is simulated, so rarely asked for that requests hardly ever meet.
	factor := math.Min(0.01, 1/math.Max(p.rate, 1))
	if math.IsNaN(p.rate) {
		factor = idle // one user
	}
	x, err := p.simulate(ctx, c, factor, p.seed, time.Duration(float64(p.q.Probe)*20), true)
	if err != nil {
		return err
	}
	p.say(x)
	if x.Verdict != find.Fail {
		for _, i := range suspects {
			p.learn(i, a.values[i], x.Values[i])
		}
		return nil
	}
	for _, i := range suspects {
		if l := p.q.Limits[i]; x.Values[i].Value >= l.Bound {
			r.Unreachable = fmt.Sprintf("%s cannot be kept by any number of servers: with hardly anybody there, so that no request waits for another, %s is %s already (simulated: %s)",
				l, l.Name(), told(l, x.Values[i].Value), proof(&x, l, i))
			return nil
		}
	}
	return nil
}

// proof says by what a simulation shows that an objective does not hold.
func proof(x *Point, l find.Limit, i int) string {
	v := x.Values[i]
	switch e := x.outcome.Evidence; {
	case v.Low >= l.Bound && !math.IsInf(v.High, 1):
		return fmt.Sprintf("95%% interval %s to %s", told(l, v.Low), told(l, v.High))
	case i < len(e) && l.Metric == find.Quantile:
		return fmt.Sprintf("%.3g %% of the requests take longer than the bound, surely more than %.3g %%, and %.3g %% may", 100*e[i].Share, 100*e[i].Low, 100*e[i].Allowed)
	}
	return "surely above the bound"
}

func told(l find.Limit, x float64) string {
	if l.Metric == find.Errors {
		return fmt.Sprintf("%.3g %%", 100*x)
	}
	if math.IsInf(x, 1) {
		return "never, as too many requests fail"
	}
	if math.IsNaN(x) {
		return "unknown"
	}
	return time.Duration(x * 1e9).Round(100 * time.Microsecond).String()
}

// search finds the counts: the model proposes, simulations dispose.
func (p *Planner) search(ctx context.Context, r *Result, s Steps) error {
	var last Counts
	for n := 0; ; n++ {
		least, err := p.cheapest(ctx, 1, 1, last)
		if err != nil {
			return err
		}
		if least.Counts == nil {
			again, err := p.most(ctx, s)
			if err != nil {
				return err
			}
			if again {
				continue
			}
			return p.none(r)
		}
		r.Counts, r.Exact, last = least.Counts, least.Exact, least.Counts
		if n == 0 {
			a, err := p.analyse(least.Counts, 1)
			if err != nil {
				return err
			}
			p.say(p.point(least.Counts, 1, a))
			s.Say(Step{Text: "simulate"})
		}
		if v := p.shown(least.Counts); v != nil { // proposed again: it holds, since the oracle says so
			r.Shown = true
			more, err := p.fewer(ctx, least.Counts, s)
			if err != nil || !more {
				return err
			}
			continue
		}
		if n >= p.q.Simulations || s.Left() <= 0 {
			r.Left = append(r.Left, "simulations of the counts")
			return nil
		}
		x, err := p.try(ctx, least.Counts)
		if err != nil {
			return err
		}
		if x.Verdict == find.Pass || x.Verdict == find.Inconclusive || !anyInf(x.Values) {
			if err := p.calibrate(x); err != nil {
				return err
			}
		}
	}
}

func anyInf(vs []stat.Estimate) bool {
	return slices.ContainsFunc(vs, func(e stat.Estimate) bool { return math.IsInf(e.Value, 0) || math.IsNaN(e.Value) })
}

// top are the most of everything that may be varied.
func (p *Planner) top() Counts {
	c := make(Counts, len(p.tiers))
	for i, t := range p.tiers {
		c[i] = t.Most
	}
	return c
}

// most simulates the most of everything, where the model says that not even that holds: the model errs, and its word proves nothing but
// that a resource is offered more than it can give. again says that it does hold, and that the model has learnt.
func (p *Planner) most(ctx context.Context, s Steps) (again bool, err error) {
	c := p.top()
	a, err := p.analyse(c, 1)
	if err != nil || a.unstable != nil || p.shown(c) != nil || s.Left() <= 0 {
		return false, err
	}
	x, err := p.try(ctx, c)
	if err != nil {
		return false, err
	}
	return x.Verdict == find.Pass, p.calibrate(x)
}

// none tells that no counts within the bounds hold.
func (p *Planner) none(r *Result) error {
	if len(p.tiers) == 0 {
		return nil // the counts are what they are; the knee says how much they carry
	}
	top := p.top()
	a, err := p.analyse(top, 1)
	if err != nil {
		return err
	}
	r.Counts = nil
	x := p.shown(top)
	verb := "do not hold"
	if x != nil && x.Verdict == find.Inconclusive {
		verb = "cannot be shown to hold"
	}
	r.Unreachable = fmt.Sprintf("the objectives %s with the most of everything that may be varied (%s)", verb, p.Spell(top))
	if a.unstable != nil {
		r.Unreachable += ": " + a.unstable.Error()
		return nil
	}
	how := "by the model"
	if x != nil {
		how = "simulated"
	}
	for i, l := range p.q.Limits {
		v := a.values[i] * p.ratio(i)
		if x != nil {
			v = x.Values[i].Value
		}
		if v >= l.Bound {
			r.Unreachable += fmt.Sprintf(": %s is %s then, %s", l.Name(), told(l, v), how)
			if a.answer.Bottleneck.Resource != "" {
				r.Unreachable += "; the busiest is " + a.answer.Bottleneck.Resource
			}
			break
		}
	}
	return nil
}

// fewer simulates one less of each tier, so that what is told to be the least was shown to be; more says that one of them holds, or that the
// model has learnt: the search goes on.
func (p *Planner) fewer(ctx context.Context, c Counts, s Steps) (more bool, err error) {
	for i := range c {
		if c[i] <= p.tiers[i].Least || p.tiers[i].pool && p.tiers[i].Cost < 1e-3 {
			continue
		}
		d := c.With(i, -1)
		if p.shown(d) != nil {
			continue
		}
		if len(p.tested) >= p.q.Simulations || s.Left() <= 0 {
			return false, nil
		}
		x, err := p.try(ctx, d)
		if err != nil {
			return false, err
		}
		if x.Verdict == find.Pass {
			return true, nil
		}
	}
	return false, nil
}

// about fills in what is known of the counts.
func (p *Planner) about(_ context.Context, r *Result, _ Steps) error {
	c := r.Counts
	if c == nil {
		c = p.now()
	}
	a, err := p.analyse(c, 1)
	if err != nil {
		return err
	}
	x := p.point(c, 1, a)
	r.Solve = &x
	for i := range p.tested {
		if slices.Equal(p.tested[i].Counts, c) {
			r.Answer = &p.tested[i]
		}
	}
	r.Ratios = make([]float64, len(p.q.Limits))
	for i := range r.Ratios {
		r.Ratios[i] = p.ratio(i)
	}
	plan, err := p.load(c)
	if err != nil {
		return err
	}
	r.Cost = Cost(plan)
	r.First, r.Second, r.Assumptions, err = p.bottlenecks(c)
	return err
}

// Spell writes counts with the names of their tiers.
func (p *Planner) Spell(c Counts) string { return Spell(p.tiers, c) }

// Spell writes counts with the names of their tiers: web_farm=4 app_farm=5.
func Spell(ts []Tier, c Counts) string {
	words := make([]string, len(c))
	for i, n := range c {
		words[i] = fmt.Sprintf("%s=%d", ts[i].Name, n)
	}
	return strings.Join(words, " ")
}
