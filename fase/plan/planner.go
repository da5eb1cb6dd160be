package plan

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/solve"
	"github.com/eve-emulation/eve/fase/stat"
)

// A Planner answers one question. It belongs to one goroutine.
type Planner struct {
	Solved    int // how often the analytic model was solved
	Simulated int // how many simulations were made

	q      Question
	plan   *scenario.Plan // at the present counts
	tiers  []Tier
	base   []string // overrides that everything is loaded with
	groups []load   // that ask
	rate   float64  // requests per second of open groups together
	warmup time.Duration
	seed   uint64
	costed bool

	solved map[cacheKey]*analysis
	ratios []float64 // by objective: simulated by analytic
	tested []Point   // simulated at the load that was asked for
	say    func(Point)
	left   func() time.Duration // of the budget
}

// A load is what one group asks for.
type load struct {
	path  string
	value float64
	users bool
}

// Defaults of a Question.
const (
	defaultProbe       = 5 * time.Minute
	defaultSimulations = 24
)

// New checks a question. The error is an ErrQuestion, or tells what is wrong with the scenario.
func New(q Question) (*Planner, error) {
	if q.Probe == 0 {
		q.Probe = defaultProbe
	}
	if q.Simulations == 0 {
		q.Simulations = defaultSimulations
	}
	switch {
	case len(q.Limits) == 0:
		return nil, fmt.Errorf("%w: there is no objective", ErrQuestion)
	case q.Probe < time.Second:
		return nil, fmt.Errorf("%w: a simulation of %v, want at least 1s", ErrQuestion, q.Probe)
	case !(q.Error >= 0 && q.Error < 1):
		return nil, fmt.Errorf("%w: an error of the demands of %g, want a share from 0 to below 1", ErrQuestion, q.Error)
	}
	plan, err := q.Load(q.Set)
	if err != nil {
		return nil, err
	}
	p := &Planner{
		q: q, plan: plan, warmup: plan.Warmup, seed: plan.Seed, costed: Costed(plan), solved: map[cacheKey]*analysis{},
		ratios: make([]float64, len(q.Limits)), say: func(Point) {}, left: func() time.Duration { return math.MaxInt64 },
	}
	p.q.Limits = slices.Clone(q.Limits)
	if err := p.subjects(); err != nil {
		return nil, err
	}
	if !q.Fixed {
		if p.tiers, err = Tiers(plan, q.Vary); err != nil {
			return nil, err
		}
	}
	if err := p.still(); err != nil {
		return nil, err
	}
	return p, nil
}

// Tiers are those that are varied.
func (p *Planner) Tiers() []Tier { return p.tiers }

// Limits are the objectives, each with what it is on.
func (p *Planner) Limits() []find.Limit { return p.q.Limits }

// Plan is the scenario at the load that is asked for, with its present counts.
func (p *Planner) Plan() *scenario.Plan { return p.plan }

// subjects checks what objectives are on, and fills in the only group.
func (p *Planner) subjects() error {
	for i := range p.q.Limits {
		l := &p.q.Limits[i]
		name := subjectOf(*l)
		if !Understood(*l) {
			return fmt.Errorf("%w: %s: want the response of a group or a service, as %s(%s.latency), or the share of its errors, as errors(%s)", ErrQuestion, l, l.Name(), name, name)
		}
		if name == "" {
			if len(p.plan.Clients) != 1 {
				return fmt.Errorf("%w: %s: say of which group, as %s(%s.latency); there are %s", ErrQuestion, l, l.Name(), p.plan.Clients[0].Name, groupNames(p.plan))
			}
			name = p.plan.Clients[0].Name
		}
		group := slices.ContainsFunc(p.plan.Topology.Services, func(s string) bool { return s == name })
		for j := range p.plan.Clients {
			group = group || p.plan.Clients[j].Name == name
		}
		if !group {
			return fmt.Errorf("%w: %s: there is no group and no service %q; there are %s, and the services %s", ErrQuestion, l, name, groupNames(p.plan), strings.Join(p.plan.Topology.Services, ", "))
		}
		l.Of = name + ".latency"
		if l.Metric == find.Errors {
			l.Of = name
		}
	}
	return nil
}

// Understood reports whether an objective is on what a planner judges: NAME.latency, or of errors NAME or NAME.errors; NAME alone stands for
// either, and nothing for the only group.
func Understood(l find.Limit) bool {
	_, leaf, dotted := strings.Cut(l.Of, ".")
	return !dotted || leaf == "latency" && l.Metric != find.Errors || leaf == "errors" && l.Metric == find.Errors
}

func groupNames(p *scenario.Plan) string {
	var names []string
	for i := range p.Clients {
		names = append(names, p.Clients[i].Name)
	}
	return strings.Join(names, ", ")
}

// still finds the overrides that hold everything else as it is: every group asks at its peak all the time, and no rule changes anything.
func (p *Planner) still() error {
	d, err := p.plan.Demands()
	if err != nil {
		return err
	}
	p.base = slices.Clone(p.q.Set)
	for i := range p.plan.Clients {
		g := &p.plan.Clients[i]
		switch {
		case g.Users > 0:
			p.groups = append(p.groups, load{"clients." + g.Name + ".users", float64(g.Users), true})
		case g.Trace != nil:
			return fmt.Errorf("%w: the clients %s replay a trace, whose load cannot be held or multiplied: give them a `rate` in its place, as %.4g/s, which is its peak", ErrQuestion, g.Name, d.Groups[i].Rate)
		case len(g.Rate) > 0:
			l := load{"clients." + g.Name + ".rate", d.Groups[i].Rate, false}
			p.groups = append(p.groups, l)
			p.rate += l.value
			if len(g.Rate) > 1 || g.Sine != nil {
				p.base = append(p.base, l.at(1))
			}
		}
	}
	if p.rate == 0 {
		p.rate = math.NaN()
	}
	for i := range p.plan.Adapt.Rules {
		p.base = append(p.base, "adapt."+strconv.Itoa(i)+".enabled=false")
	}
	p.plan, err = p.q.Load(p.base)
	return err
}

func (l load) at(factor float64) string {
	if l.users {
		return l.path + "=" + strconv.Itoa(max(1, int(math.Round(l.value*factor))))
	}
	return l.path + "=" + strconv.FormatFloat(l.value*factor, 'f', -1, 64) + "/s"
}

// loads are the overrides for a load so many times as great.
func (p *Planner) loads(factor float64) []string {
	if factor == 1 {
		return nil
	}
	var sets []string
	for _, l := range p.groups {
		sets = append(sets, l.at(factor))
	}
	return sets
}

// sets are the overrides that make the scenario have counts.
func (p *Planner) sets(c Counts) []string {
	sets := slices.Clone(p.base)
	for i, n := range c {
		sets = append(sets, p.tiers[i].Path+"="+strconv.Itoa(n))
	}
	return sets
}

// Sets are the overrides, beyond those of the question, that make the scenario have counts: what a run of it is made with.
func (p *Planner) Sets(c Counts) []string { return p.sets(c) }

func (p *Planner) load(c Counts) (*scenario.Plan, error) { return p.q.Load(p.sets(c)) }

// now are the present counts.
func (p *Planner) now() Counts {
	c := make(Counts, len(p.tiers))
	for i, t := range p.tiers {
		c[i] = min(max(t.Now, t.Least), t.Most)
	}
	return c
}

// bounds are those of a search over counts.
func (p *Planner) bounds() Bounds {
	b := Bounds{Start: p.now(), Most: 4000}
	for _, t := range p.tiers {
		b.From, b.To, b.Cost = append(b.From, t.Least), append(b.To, t.Most), append(b.Cost, t.Cost)
	}
	return b
}

// suffices is the oracle of the search: what simulations showed, and else the calibrated model. demand multiplies all demands.
func (p *Planner) suffices(c Counts, load, demand float64) (bool, error) {
	if load == 1 && demand == 1 {
		if v := p.shown(c); v != nil {
			return v.Verdict == find.Pass, nil
		}
	}
	a, err := p.analyse(c, load*demand)
	if err != nil {
		return false, err
	}
	return p.holds(a, demand), nil
}

// shown is a simulation that settles whether counts hold, of these or of fewer or more; nil: none does. One that could not tell counts for
// one that does not hold.
func (p *Planner) shown(c Counts) *Point {
	for i := range p.tested {
		t := &p.tested[i]
		if t.Verdict == find.Pass && c.Covers(t.Counts) || t.Verdict != find.Pass && t.Counts.Covers(c) {
			return t
		}
	}
	return nil
}

// cheapest searches the counts that suffice at a load, with demands multiplied.
func (p *Planner) cheapest(ctx context.Context, load, demand float64, start Counts) (Least, error) {
	b := p.bounds()
	if start != nil {
		b.Start = start
	}
	return Cheapest(ctx, b, func(c Counts) (bool, error) { return p.suffices(c, load, demand) })
}

// spare searches the counts that suffice while any one is missing.
func (p *Planner) spare(ctx context.Context, start Counts) (Least, error) {
	b := p.bounds()
	b.Start = slices.Clone(start)
	for i := range b.From {
		if !p.tiers[i].pool {
			b.From[i] = min(b.From[i]+1, b.To[i])
		}
	}
	return Cheapest(ctx, b, func(c Counts) (bool, error) {
		for i := range c {
			if p.tiers[i].pool {
				continue // workers do not fail one by one
			}
			if c[i] < 2 {
				return false, nil
			}
			ok, err := p.suffices(c.With(i, -1), 1, 1)
			if !ok || err != nil {
				return false, err
			}
		}
		return p.suffices(c, 1, 1)
	})
}

// try simulates counts at the load that was asked for, and learns from it.
func (p *Planner) try(ctx context.Context, c Counts) (Point, error) {
	x, err := p.simulate(ctx, c, 1, p.seed, p.q.Probe, false)
	if err != nil {
		return x, err
	}
	p.say(x)
	if x.Verdict != find.Inconclusive || p.left() > 0 { // what was cut short tells nothing
		p.tested = append(p.tested, x)
	}
	return x, nil
}

// calibrate takes the ratio of a simulation to the model, where the model's figure is not in the simulation's interval: that of the end of the
// interval that is nearer, for a probe that has decided early is rough.
func (p *Planner) calibrate(x Point) error {
	a, err := p.analyse(x.Counts, 1)
	if err != nil || a.unstable != nil {
		return err
	}
	for i, v := range x.Values {
		p.learn(i, a.values[i], v)
	}
	return nil
}

// learn takes the ratio for one objective.
func (p *Planner) learn(i int, model float64, v stat.Estimate) {
	if r := min(max(model, v.Low), v.High) / model; r > 0 && !math.IsInf(r, 1) {
		p.ratios[i] = r
	}
}

// bottlenecks are what is full first when the load grows, and what is once there is more of that.
func (p *Planner) bottlenecks(c Counts) (first, second *Bottleneck, assumptions []solve.Assumption, err error) {
	a, err := p.analyse(c, 1)
	if err != nil {
		return nil, nil, nil, err
	}
	if a.answer == nil {
		class, server, soft := place(a.plan, a.unstable.Resource)
		b := &Bottleneck{Name: class, Soft: soft, Factor: 1 / a.unstable.Offered, Rate: a.unstable.Largest}
		if t := tierOf(a.plan, p.tiers, class, server); t >= 0 {
			b.Tier = p.tiers[t].Name
		}
		return b, nil, nil, nil
	}
	first = p.prime(a)
	second = p.limit(a, a.answer.Second)
	if first != nil {
		if t := slices.IndexFunc(p.tiers, func(t Tier) bool { return t.Name == first.Tier }); t >= 0 {
			if second, err = p.relieved(c, t); err != nil {
				return nil, nil, nil, err
			}
		}
	}
	return first, second, a.answer.Assumptions, nil
}

// lead is by how much, as a share, software has to be full before the hardware below it to be named: any line of workers is full when what
// they wait for is.
const lead = 0.05

// prime is the bottleneck of the model; hardware, where software is full hardly before it.
func (p *Planner) prime(a *analysis) *Bottleneck {
	first, second := p.limit(a, a.answer.Bottleneck), p.limit(a, a.answer.Second)
	if first != nil && second != nil && first.Soft && !second.Soft && second.Factor < (1+lead)*first.Factor {
		return second
	}
	return first
}

// So many times as many relieve a tier.
const (
	plentyServers = 8
	plentyWorkers = 256
)

// relieved is the bottleneck when there is plenty of one tier.
func (p *Planner) relieved(c Counts, tier int) (*Bottleneck, error) {
	d, plenty := slices.Clone(c), plentyServers
	if p.tiers[tier].pool {
		plenty = plentyWorkers
	}
	if d[tier] = min(plenty*c[tier], p.tiers[tier].limit); d[tier] == c[tier] { // beyond what may be varied: it is a what-if
		return nil, nil
	}
	a, err := p.analyse(d, 1)
	if err != nil || a.answer == nil {
		return nil, err
	}
	return p.prime(a), nil
}

// limit tells a limit of the model by tier; nil: there is none.
func (p *Planner) limit(a *analysis, l solve.Limit) *Bottleneck {
	if l.Resource == "" || math.IsInf(l.Factor, 1) {
		return nil
	}
	class, server, soft := place(a.plan, l.Resource)
	b := &Bottleneck{Name: class, Soft: soft || l.Kind == solve.Pool || l.Kind == solve.Lock, Factor: l.Factor, Rate: l.Rate}
	if t := tierOf(a.plan, p.tiers, class, server); t >= 0 {
		b.Tier = p.tiers[t].Name
	}
	return b
}
