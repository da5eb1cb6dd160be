package plan

import (
	"context"
	"slices"

	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/find"
)

// lesser takes one away at the bottleneck, or where that cannot be, where the least is to spare.
func (p *Planner) lesser(ctx context.Context, r *Result, s Steps) error {
	if r.Counts == nil {
		return nil
	}
	can := func(t int) bool { return r.Counts[t] > p.tiers[t].Least }
	if r.First != nil {
		r.LessTier = slices.IndexFunc(p.tiers, func(t Tier) bool { return t.Name == r.First.Tier })
	}
	for i := 0; r.LessTier >= 0 && !can(r.LessTier) || r.LessTier < 0 && i < len(p.tiers); i++ {
		if r.LessTier = -1; i >= len(p.tiers) {
			break
		}
		if can(i) {
			r.LessTier = i
		}
	}
	if r.LessTier < 0 {
		return nil
	}
	d := r.Counts.With(r.LessTier, -1)
	a, err := p.analyse(d, 1)
	if err != nil {
		return err
	}
	r.Less = append(r.Less, p.point(d, 1, a))
	for i := range p.tested {
		if slices.Equal(p.tested[i].Counts, d) {
			r.Less = append(r.Less, p.tested[i])
			return nil
		}
	}
	if s.Left() <= 0 {
		return nil
	}
	x, err := p.try(ctx, d)
	if err == nil {
		r.Less = append(r.Less, x)
	}
	return err
}

// intervals says how many it takes if the demands are off, and to have one to spare.
func (p *Planner) intervals(ctx context.Context, r *Result, _ Steps) error {
	if r.Counts == nil || len(p.tiers) == 0 {
		return nil
	}
	r.Low, r.High = slices.Clone(r.Counts), slices.Clone(r.Counts)
	if p.q.Error > 0 {
		for _, side := range []struct {
			demand float64
			out    Counts
			pick   func(a, b int) int
		}{{1 - p.q.Error, r.Low, minOf}, {1 + p.q.Error, r.High, maxOf}} {
			l, err := p.cheapest(ctx, 1, side.demand, r.Counts)
			if err != nil {
				return err
			}
			if l.Counts == nil {
				r.Beyond = true
			}
			for i := range l.Counts {
				side.out[i] = side.pick(side.out[i], l.Counts[i])
			}
		}
	}
	for i := range p.tested { // what could not be told to fail may hold
		if t := &p.tested[i]; t.Verdict == find.Inconclusive && r.Counts.Covers(t.Counts) {
			for k := range r.Low {
				r.Low[k] = min(r.Low[k], t.Counts[k])
			}
		}
	}
	l, err := p.spare(ctx, r.Counts)
	r.Spare = l.Counts
	return err
}

func minOf(a, b int) int { return min(a, b) }
func maxOf(a, b int) int { return max(a, b) }

// emulation runs the answer for real, and one less.
func (p *Planner) emulation(ctx context.Context, r *Result, s Steps) error {
	c := r.Counts
	if s.Emulate == nil || c == nil {
		return nil
	}
	s.Say(Step{Text: "emulate"})
	x, err := s.Emulate(ctx, c, false)
	if err != nil {
		return err
	}
	if x == nil {
		r.Left = append(r.Left, "the runs for real")
		return nil
	}
	r.Emulate = x
	p.say(*x)
	if r.Twin, err = p.twin(ctx, c); err != nil {
		return err
	}
	if r.LessTier < 0 {
		return nil
	}
	x, err = s.Emulate(ctx, c.With(r.LessTier, -1), true)
	if err != nil {
		return err
	}
	if x == nil {
		r.Left = append(r.Left, "the run for real with one less")
		return nil
	}
	r.Less = append(r.Less, *x)
	p.say(*x)
	return nil
}

// twin simulates what is run for real: the same seed has the same arrivals and demands.
func (p *Planner) twin(ctx context.Context, c Counts) (*Point, error) {
	plan, err := p.load(c)
	if err != nil {
		return nil, err
	}
	r, err := campaign.Simulate(ctx, plan, campaign.Options{NoSummary: true})
	if err != nil {
		return nil, err
	}
	x, err := p.Judge(plan, r.History, c, Simulated, false)
	return &x, err
}
