package solve

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
)

// A Model is what a plan comes to at one instant. It is immutable, and may be solved from several goroutines at once.
type Model struct {
	net   network
	notes []Assumption
	name  string
	at    dsv.Instant
	scale float64
	exact bool
}

// Of makes the model of a plan. The error is a scenario.Errors that names the statements which cannot be solved, or have no mean.
func Of(plan *scenario.Plan, o Options) (*Model, error) {
	if _, err := plan.Demands(); err != nil {
		return nil, err
	}
	if len(plan.Clients) == 0 {
		return nil, fmt.Errorf("solve %s: nobody asks: the scenario has no clients", plan.Name)
	}
	b, err := build(plan, o)
	if err != nil {
		return nil, err
	}
	m := &Model{net: b.net, notes: b.notes.sorted(), name: plan.Name, at: b.at(), scale: 1, exact: true}
	for _, a := range m.notes {
		m.exact = m.exact && a.How == Exact
	}
	return m, nil
}

// Scaled is the model with the rates of all open groups, and the users of all closed ones, multiplied by a factor above 0. Users are
// rounded, to at least one.
func (m *Model) Scaled(factor float64) *Model {
	c := *m
	c.scale *= factor
	return &c
}

// Groups lists the names of the client groups, in order.
func (m *Model) Groups() []string {
	var names []string
	for i := range m.net.groups {
		names = append(names, m.net.groups[i].name)
	}
	return names
}

// WithRate is the model with an open group, by its name, at a rate of requests per second; a closed one at so many users.
func (m *Model) WithRate(group string, rate float64) (*Model, error) {
	c := *m
	c.net.groups = slices.Clone(m.net.groups)
	for i := range c.net.groups {
		g := &c.net.groups[i]
		switch {
		case g.name != group:
		case g.users > 0:
			g.users = rate / m.scale
			return &c, nil
		default:
			g.rate = rate / m.scale / g.requests()
			return &c, nil
		}
	}
	return nil, fmt.Errorf("solve %s: there is no client group %q", m.name, group)
}

// requests is how many requests a round has in the mean.
func (p *population) requests() float64 {
	n := 0.0
	for _, a := range p.asks {
		n += a.times
	}
	return max(n, 1e-12)
}

// Solve solves the model and finds what is full first when the load grows. The error is an ErrUnstable, an [Unstable], where an open group offers a
// resource more than it carries.
func (m *Model) Solve() (*Answer, error) {
	a, err := m.Point()
	if err != nil {
		return nil, err
	}
	first, station := m.limit(nil)
	a.Bottleneck = first
	if station >= 0 {
		a.Second, _ = m.limit(map[string]bool{first.Tier: true})
	}
	m.bounds(a)
	return a, nil
}

// Point is Solve without Bottleneck, Second and Bounds: for curves of many points.
func (m *Model) Point() (*Answer, error) {
	s := newSolver(&m.net, m.scale)
	if err := s.solve(); err != nil {
		if u, ok := errors.AsType[*Unstable](err); ok {
			m.complete(u)
		}
		return nil, fmt.Errorf("solve %s: %w", m.name, err)
	}
	return m.answer(s), nil
}

// complete adds the rates to an error.
func (m *Model) complete(u *Unstable) {
	for i := range m.net.groups {
		u.Rate += m.net.groups[i].rate * m.net.groups[i].requests() * m.scale
	}
	u.Largest = u.Rate / u.Offered
	if m.net.stations[u.station].kind != Hardware {
		if f := m.boundary(nil); !math.IsInf(f, 1) {
			u.Largest = u.Rate * f
		}
	}
}

// answer reads off what was found.
func (m *Model) answer(s *solver) *Answer {
	a := &Answer{
		At: m.at.Sub(0), Assumptions: m.notes, Iterations: s.rounds,
		Bounds: Bounds{Response: map[string]float64{}, Knee: map[string]float64{}},
		Method: "open network, station by station",
	}
	switch {
	case s.product:
		a.Method = s.network.Method
	case s.closed:
		a.Method = "arrival theorem (Bard and Schweitzer), by iteration"
	}
	for g := range m.net.groups {
		a.Groups = append(a.Groups, m.group(s, g))
	}
	for i, name := range m.net.services {
		v := &s.service[i]
		if v.calls == 0 {
			continue
		}
		x := Service{Name: name, Throughput: v.calls - v.turned, Response: v.time / v.calls, Rejected: v.turned / v.calls}
		if v.executions > 0 {
			x.Residence = v.stay / v.executions
		}
		a.Services = append(a.Services, x)
	}
	for k := range m.net.stations {
		a.Resources = append(a.Resources, m.resources(s, k)...)
	}
	return a
}

func (m *Model) group(s *solver, i int) Group {
	p, x := &m.net.groups[i], s.took[i]
	if x.ok > 1-1e-12 { // what is left of rounding
		x.ok = 1
	}
	n := p.requests()
	g := Group{
		Name: p.name, Closed: p.users > 0, Rate: s.rate[i] * n, Throughput: s.rate[i] * n * x.ok, Response: x.mean, Deviation: math.Sqrt(x.vari),
		Least: x.most, Errors: max(0, 1-x.ok), Quality: Approximated,
	}
	if g.Closed {
		g.Users = max(1, int(math.Round(p.users*s.scale)))
	}
	if m.exact && (!s.closed || s.product && s.network.Exact) {
		g.Quality = Exact
	}
	g.Shape = Shape{Least: x.most, Mean: x.mean, Deviation: g.Deviation, Quality: Approximated, Away: x.away}
	if g.Quality == Exact && m.simple(p) {
		g.Shape.Quality = Exact
	}
	for k := range m.net.stations {
		if m.net.stations[k].kind == Hardware {
			g.Demand += m.demand(s, k, i)
		}
	}
	return g
}

// demand is what a request of a group asks of all copies of a station, s.
func (m *Model) demand(s *solver, k, group int) float64 {
	sum := 0.0
	for c, f := range s.at[k].flows {
		if m.net.classes[c].group == group {
			sum += f.b1 * float64(len(m.net.stations[k].names))
		}
	}
	if x := s.rate[group] * m.net.groups[group].requests(); x > 0 {
		return sum / x
	}
	return 0
}

// simple reports whether a group's requests are one exponential demand on one processor and nothing else: an M/M/1, whose response is
// exponential.
func (m *Model) simple(p *population) bool {
	if len(p.asks) != 1 || p.users > 0 {
		return false
	}
	demands := 0
	plain := true
	var in func(a *act)
	in = func(a *act) {
		for i := range a.visits {
			v := &a.visits[i]
			st := &m.net.stations[v.station]
			demands++
			plain = plain && a.verb == doDemand && st.order == fcfs && st.servers == 1 && math.Abs(v.m2-2*v.m1*v.m1) <= 1e-9*v.m2
		}
		switch a.verb {
		case doSeq, doDemand, doReply, doCall:
		default:
			plain = false
		}
		for _, x := range a.body {
			in(x)
		}
		if a.entry != nil && plain {
			plain = len(a.entry.hold) == 0
			in(a.entry.root)
		}
	}
	in(p.asks[0].entry.root)
	return plain && demands == 1
}

// resources are the copies of a station.
func (m *Model) resources(s *solver, k int) []Resource {
	st, at := &m.net.stations[k], &s.at[k]
	r := Resource{Kind: st.kind, Tier: st.tier, Servers: st.servers, Utilisation: at.rho, Demand: make([]float64, len(m.net.groups))}
	wait := 0.0
	for c := range at.flows {
		f := &at.flows[c]
		w := at.wait[c] * f.runs
		if st.order == sharing {
			w = at.wait[c] * f.b1
		}
		wait += w
		r.Rate += f.rate
		r.Service += f.b1
	}
	if wait < 1e-9*r.Service { // what is left of rounding
		wait = 0
	}
	if r.Rate > 0 {
		r.Queue = (wait + r.Service) * (1 - at.turned)
		r.Wait, r.Service = wait/r.Rate, r.Service/r.Rate
		r.Rate *= 1 - at.turned
	}
	for g := range r.Demand {
		r.Demand[g] = m.demand(s, k, g) / float64(len(st.names))
	}
	out := make([]Resource, 0, len(st.names))
	for _, name := range st.names {
		x := r
		x.Name = name
		out = append(out, x)
	}
	return out
}
