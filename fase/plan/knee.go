package plan

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/usl"
)

// largest searches the largest load at which the objectives hold, at the counts that were found: first by the calibrated model, then by
// simulations that begin there.
func (p *Planner) largest(ctx context.Context, r *Result, s Steps) error {
	if !s.Knee || len(p.groups) == 0 {
		return nil
	}
	c := r.Counts
	if c == nil {
		c = p.now()
	}
	guess, err := p.crossing(c)
	if err != nil {
		return err
	}
	k := &Knee{Asked: p.rate, Analytic: guess * p.rate}
	k.Answer.Crossing.Value = math.NaN()
	scale := p.rate
	if k.Path = p.groups[0].path; len(p.groups) > 1 {
		k.Path = "the load of all groups, in step"
	}
	if math.IsNaN(p.rate) { // users alone
		k.Whole = true
		scale = 0
		for _, g := range p.groups {
			scale += g.value
		}
		k.Asked, k.Analytic = scale, guess*scale
	}
	r.Knee = k
	if s.Left() <= 0 {
		r.Left = append(r.Left, "the largest load by simulation")
		return nil
	}
	s.Say(Step{Text: "largest load"})
	start := math.Max(guess, 0.05) * scale
	if k.Whole {
		start = math.Max(1, math.Round(start))
	}
	k.Answer.Failed = math.Inf(1)
	defer k.settle(r.Shown)
	search, err := find.NewSearch(find.Config{
		Limits: p.q.Limits, Start: start, Factor: 1.1, Whole: k.Whole && len(p.groups) == 1, Min: start / 50, Max: 50 * start,
		Probe: p.q.Probe, Confirm: 4 * p.q.Probe, Resolve: 0.02,
	})
	if err != nil {
		return err
	}
	for probe, more := search.Next(); more; probe, more = search.Next() {
		if s.Left() <= 0 {
			r.Left = append(r.Left, "the end of the search for the largest load")
			break
		}
		x, o, err := p.probe(ctx, c, probe, scale)
		if err != nil {
			return err
		}
		if s.Left() <= 0 && o.Verdict == find.Inconclusive {
			continue // it was cut short, and tells nothing
		}
		search.Tell(o, "")
		p.say(x)
		k.Answer, k.Trials = search.Answer(), search.Trials()
	}
	return nil
}

// settle says which load is known to hold; shown: the one that was asked for is.
func (k *Knee) settle(shown bool) {
	k.Holds = k.Answer.Load
	if shown {
		k.Holds = math.Max(k.Holds, k.Asked)
	}
}

// Open reports whether no load was simulated that does not hold: the largest one is not known, but by the model.
func (k *Knee) Open() bool {
	return !k.Answer.Confirmed && !slices.ContainsFunc(k.Trials, func(t find.Trial) bool { return !t.Holds() })
}

// probe simulates a load for a search. Of objectives on several groups or services the outcome is that of the one that is worst off.
func (p *Planner) probe(ctx context.Context, c Counts, probe find.Probe, scale float64) (Point, find.Outcome, error) {
	x, err := p.simulate(ctx, c, probe.Load/scale, p.seed+uint64(probe.N), probe.Test.Most, probe.Test.Whole)
	return x, x.outcome, err
}

// crossing is the multiple of the load at which the calibrated model breaks an objective, by bisection; at most 1000.
func (p *Planner) crossing(c Counts) (float64, error) {
	ok := func(f float64) (bool, error) {
		a, err := p.analyse(c, f)
		if err != nil {
			return false, err
		}
		return p.holds(a, 1), nil
	}
	low, high := 0.0, 1.0
	for high < 1000 {
		good, err := ok(high)
		if err != nil {
			return 0, err
		}
		if !good {
			break
		}
		low, high = high, 2*high
	}
	for range 12 {
		mid := (low + high) / 2
		good, err := ok(mid)
		if err != nil {
			return 0, err
		}
		if good {
			low = mid
		} else {
			high = mid
		}
	}
	return low, nil
}

// Of a scaling: counts that are tried, how long each is simulated, and how much more load there is than can be carried.
const (
	scalingMost  = 8
	scalingTime  = 20 * time.Second
	scalingOver  = 1.3
	scalingOther = 4
)

// scaling measures the throughput of 1 to 8 of the bottleneck's tier, while there is plenty of the others and more is asked for than can be
// carried, and fits the universal scalability law to it.
func (p *Planner) scaling(ctx context.Context, r *Result, s Steps) error {
	if !s.Scaling || r.Counts == nil || r.LessTier < 0 || math.IsNaN(p.rate) {
		return nil
	}
	if s.Left() <= 0 {
		r.Left = append(r.Left, "throughput over counts")
		return nil
	}
	s.Say(Step{Text: "throughput over counts"})
	t := &p.tiers[r.LessTier]
	out := &Scaling{Tier: t.Name}
	for n := max(t.Least, 1); n <= min(t.Most, scalingMost); n++ {
		if s.Left() <= 0 {
			r.Left = append(r.Left, "throughput over more counts")
			break
		}
		c := make(Counts, len(p.tiers))
		for i := range c {
			share := float64(r.Counts[i]) * float64(n) / float64(r.Counts[r.LessTier])
			c[i] = min(max(int(math.Ceil(scalingOther*share)), p.tiers[i].Least), p.tiers[i].Most)
		}
		c[r.LessTier] = n
		x, err := p.saturated(ctx, c)
		if err != nil {
			return err
		}
		if x > 0 {
			out.Points = append(out.Points, usl.Point{N: float64(n), X: x})
		}
	}
	fit, err := usl.Of(out.Points, p.seed)
	switch {
	case errors.Is(err, usl.ErrTooFew):
		out.Why = err.Error()
	case err != nil:
		return err
	default:
		out.Fit = &fit
	}
	r.Scaling = out
	return nil
}

// saturated is the throughput of counts, in requests per second that end well, when more is asked for than they carry, and nobody loses
// patience; 0 where the model knows no limit.
func (p *Planner) saturated(ctx context.Context, c Counts) (float64, error) {
	a, err := p.analyse(c, idle)
	if err != nil || a.answer == nil {
		return 0, err
	}
	carried := a.answer.Bottleneck.Rate
	if !(carried > 0) || math.IsInf(carried, 1) {
		return 0, nil
	}
	sets := append(p.sets(c), p.loads(scalingOver*carried/p.rate)...)
	for i := range p.plan.Clients {
		if p.plan.Clients[i].Users == 0 {
			sets = append(sets, "clients."+p.plan.Clients[i].Name+".patience=none")
		}
	}
	plan, err := p.q.Load(append(sets, "warmup=2s", "duration="+seconds(2*time.Second+scalingTime)))
	if err != nil {
		return 0, err
	}
	r, err := campaign.Simulate(ctx, plan, campaign.Options{NoSummary: true, Keep: func(n dsv.Name) bool {
		return strings.HasSuffix(string(n), ".requests") || strings.HasSuffix(string(n), ".errors")
	}})
	if err != nil {
		return 0, err
	}
	p.Simulated++
	sum := 0.0
	for i := range plan.Clients {
		e, err := plan.Expression("rate(" + plan.Clients[i].Name + ".requests) - rate(" + plan.Clients[i].Name + ".errors)")
		if err != nil {
			return 0, err
		}
		x, err := r.Eval(e)
		if err != nil {
			return 0, err
		}
		sum += x
	}
	return sum, nil
}

// Of the curves for pictures: points over the load.
const (
	curvePoints  = 24
	growthPoints = 8
)

// curves are what the calibrated model says over the load: responses at the counts, and counts.
func (p *Planner) curves(ctx context.Context, r *Result, s Steps) error {
	if !s.Curves || r.Counts == nil || len(p.groups) == 0 {
		return nil
	}
	top := 1.3
	if r.First != nil && r.First.Factor > 0 {
		top = r.First.Factor
	}
	for i := range curvePoints {
		f := top * (float64(i) + 0.5) / curvePoints
		a, err := p.analyse(r.Counts, f)
		if err != nil {
			return err
		}
		x := p.point(r.Counts, f, a)
		for k := range x.Values {
			x.Values[k].Value *= p.ratio(k)
		}
		r.Curve = append(r.Curve, x)
	}
	for i := range growthPoints {
		if s.Left() <= 0 {
			r.Left = append(r.Left, "counts over the load")
			return nil
		}
		f := float64(i+1) / (growthPoints / 2)
		l, err := p.cheapest(ctx, f, 1, r.Counts)
		if err != nil {
			return err
		}
		r.Growth = append(r.Growth, Growth{Factor: f, Load: f * p.rate, Counts: l.Counts})
	}
	return nil
}
