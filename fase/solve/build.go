package solve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// builder makes a network of a plan, and notes what it has to assume.
type builder struct {
	plan *scenario.Plan
	o    Options
	net  network

	kinds   [][]int // servers that are alike
	kindOf  []int   // by server
	parts   map[string]int
	entries map[entryKey]*entry
	classes map[class]int
	files   []moments // bytes, by set
	notes   notes
	errs    scenario.Errors
}

// entryKey tells entries apart: the same block may be called from several places, which differ in how near they are, how urgent, and how
// many can come at once.
type entryKey struct {
	block   *rdr.Block
	service int
	class   int
	from    int     // service of the caller, where the callee is picked by it
	local   float64 // probability that caller and callee are one server
	inv     float64
}

// frame is where a block runs.
type frame struct {
	service int // -1: at a client
	class   int
	local   float64
	inv     float64
	dist    []place // where the service's requests are
}

// A place is a kind of servers with its share of a service's requests.
type place struct {
	kind  int
	share float64
}

func build(plan *scenario.Plan, o Options) (*builder, error) {
	b := &builder{plan: plan, o: o, parts: map[string]int{}, entries: map[entryKey]*entry{}, classes: map[class]int{}}
	b.net.services = plan.Topology.Services
	b.alike()
	for _, set := range plan.Files {
		b.files = append(b.files, sizes(set))
	}
	for i := range plan.Clients {
		b.population(i)
	}
	if len(b.errs) > 0 {
		return nil, b.errs
	}
	b.runs()
	b.tie()
	b.layers()
	b.tell()
	return b, nil
}

// alike groups the servers that cannot be told apart: by what they are, and what of which service they get.
func (b *builder) alike() {
	p := b.plan
	shares := make([]strings.Builder, len(p.Servers))
	for i := range p.Services {
		for k, share := range b.shares(i) {
			if k < len(p.Servers) {
				fmt.Fprintf(&shares[k], " %d:%g", i, share)
			}
		}
	}
	known := map[string]int{}
	b.kindOf = make([]int, len(p.Servers))
	for i := range p.Servers {
		s := &p.Servers[i]
		key := fmt.Sprintf("%+v %+v %d %v %s %t", s.Machine, s.Admit, s.Workers, s.Cache, shares[i].String(), scenario.Looped(s.Engine))
		k, ok := known[key]
		if !ok {
			k = len(b.kinds)
			known[key] = k
			b.kinds = append(b.kinds, nil)
		}
		b.kinds[k] = append(b.kinds[k], i)
		b.kindOf[i] = k
	}
}

// shares is which share of a service's calls each of its servers gets at the start, by server.
func (b *builder) shares(svc int) map[int]float64 {
	s := &b.plan.Services[svc]
	out := map[int]float64{}
	if s.Balance == service.First && len(s.On) > 0 {
		out[s.On[0]] = 1
		return out
	}
	sum := 0.0
	for _, on := range s.On {
		sum += float64(s.Weight(on))
	}
	for _, on := range s.On {
		out[on] = float64(s.Weight(on)) / sum
	}
	return out
}

// places is where the requests of a service are.
func (b *builder) places(svc int) []place {
	var out []place
	shares := b.shares(svc)
	for _, on := range b.plan.Services[svc].On {
		if on >= len(b.kindOf) || shares[on] == 0 {
			continue // a target
		}
		k := b.kindOf[on]
		if i := slices.IndexFunc(out, func(p place) bool { return p.kind == k }); i >= 0 {
			out[i].share += shares[on]
		} else {
			out = append(out, place{k, shares[on]})
		}
	}
	return out
}

// together is the probability that a request of a service and its call of another are at one server.
func (b *builder) together(from, to int) float64 {
	if from < 0 {
		return 0
	}
	at, there := b.shares(from), b.shares(to)
	p := 0.0
	for s, x := range at {
		if b.plan.Services[to].Balance == service.Local && there[s] > 0 {
			p += x
		} else {
			p += x * there[s]
		}
	}
	return p
}

// machine is that of a kind of servers.
func (b *builder) machine(kind int) *machine.Config { return &b.plan.Servers[b.kinds[kind][0]].Machine }

// tier names servers that are alike: a farm, or themselves.
func (b *builder) tier(kind int) string {
	servers := b.kinds[kind]
	for _, f := range b.plan.Farms {
		if slices.Contains(f.Servers, servers[0]) {
			return f.Name
		}
	}
	name := b.plan.Servers[servers[0]].Name
	if len(servers) > 1 {
		name += fmt.Sprintf(" and %d more", len(servers)-1)
	}
	return name
}

// station is that of a kind of servers with a name of its own, made by make at first.
func (b *builder) station(kind int, leaf string, make func(s *station)) int {
	key := fmt.Sprintf("%d.%s", kind, leaf)
	if i, ok := b.parts[key]; ok {
		return i
	}
	s := station{kind: Hardware, server: kind, servers: 1, tier: b.tier(kind) + "." + leaf, where: b.plan.Where("servers." + b.plan.Servers[b.kinds[kind][0]].Name)}
	for _, i := range b.kinds[kind] {
		s.names = append(s.names, b.plan.Servers[i].Name+"."+leaf)
	}
	make(&s)
	b.net.stations = append(b.net.stations, s)
	b.parts[key] = len(b.net.stations) - 1
	return len(b.net.stations) - 1
}

// cpu is the processors of a kind of servers.
func (b *builder) cpu(kind int) int {
	return b.station(kind, "cpu", func(s *station) {
		c := &b.machine(kind).CPU
		s.servers, s.preempt = max(c.Cores, 1), c.Preempt
		switch d := c.Discipline; {
		case d.Shares():
			s.order = sharing
		case d == machine.SJF:
			s.order = shortest
		case d == machine.Priority:
			s.order = urgent
		case d.Ranked():
			b.notes.add(b.plan.Where("servers."+b.plan.Servers[b.kinds[kind][0]].Name+".discipline"), "earliest deadline first is solved as first come first served", Approximated,
				"the mean over all requests of one law of demands is that; who is urgent waits less, and others more")
		}
		b.balanced(kind, s)
	})
}

// balanced says how the lines of the processors are kept even, where all of what they get comes through one balancer.
func (b *builder) balanced(kind int, s *station) {
	for i := range b.plan.Services {
		svc := &b.plan.Services[i]
		if !slices.Contains(svc.On, b.kinds[kind][0]) || len(svc.On) < 2 {
			continue
		}
		n := len(svc.On)
		switch svc.Balance {
		case service.Least, service.Custom:
			s.choices = n
		case service.Power:
			s.choices = min(svc.Choices, n)
		case service.RoundRobin:
			s.turns = true
		}
		s.callers = b.callers(i)
		if svc.View > 0 {
			s.callers = 1
		}
		b.noteBalance(svc)
	}
}

// callers is how many participants call a service, each with a balancer of its own.
func (b *builder) callers(svc int) int {
	n := 0
	calls := func(blocks ...*rdr.Block) bool {
		return slices.ContainsFunc(blocks, func(r *rdr.Block) bool { return r != nil && callsItself(r, b.plan.Services[svc].Name) })
	}
	for i := range b.plan.Clients {
		if calls(b.plan.Clients[i].Requests()...) {
			n += max(b.plan.Clients[i].Parts, 1)
		}
	}
	seen := map[*rdr.Block]bool{}
	var visit func(steps []rdr.Step, at string)
	visit = func(steps []rdr.Step, at string) {
		for _, s := range steps {
			if s.Verb == rdr.VerbCall && s.Block != nil {
				if s.Name == b.plan.Services[svc].Name && at != "" {
					if i := b.plan.Topology.Service(at); i >= 0 && !seen[s.Block] {
						n += len(b.plan.Services[i].On)
					}
				}
				if !seen[s.Block] {
					seen[s.Block] = true
					visit(s.Block.Outline(), s.Name)
				}
			}
			visit(s.Body, at)
			for _, a := range s.Arms {
				visit(a.Body, at)
			}
		}
	}
	for i := range b.plan.Clients {
		for _, r := range b.plan.Clients[i].Requests() {
			if r != nil {
				visit(r.Outline(), "")
			}
		}
	}
	return max(n, 1)
}

// callsItself reports whether a block calls a service in its own statements.
func callsItself(r *rdr.Block, svc string) bool {
	var in func(steps []rdr.Step) bool
	in = func(steps []rdr.Step) bool {
		return slices.ContainsFunc(steps, func(s rdr.Step) bool {
			return s.Verb == rdr.VerbCall && s.Name == svc || in(s.Body) || slices.ContainsFunc(s.Arms, func(a rdr.Arm) bool { return in(a.Body) })
		})
	}
	return in(r.Outline())
}

// class returns the number of a class.
func (b *builder) class(group int, priority float64) int {
	c := class{group, priority}
	i, ok := b.classes[c]
	if !ok {
		i = len(b.net.classes)
		b.net.classes = append(b.net.classes, c)
		b.classes[c] = i
	}
	return i
}

// population adds a client group.
func (b *builder) population(i int) {
	g := &b.plan.Clients[i]
	p := population{name: g.Name, users: float64(g.Users), scv: 1, patience: g.Patience.Seconds(), retries: g.Retry.Attempts, backoff: g.Retry.Backoff.Seconds() * (1 - g.Retry.Jitter/2)}
	if g.Users == 0 {
		p.rate = b.plan.RatesAt(b.at())[i]
	}
	if g.Think != nil {
		p.think = g.Think.Mean.Seconds()
	}
	b.arrivals(g, &p)
	v, err := g.Visits()
	if err != nil {
		b.errs = append(b.errs, &scenario.Error{File: b.plan.Name, Line: 1, Col: 1, Msg: "clients." + g.Name + ": " + err.Error()})
		return
	}
	switch {
	case g.Trace != nil && len(g.Trace.Ask) > 0:
		b.traced(i, g, &p)
	case g.Sessions != nil:
		for k, page := range g.Sessions.Pages {
			if v.Mean[k] == 0 {
				continue
			}
			p.asks = append(p.asks, ask{v.Mean[k], b.request(i, page.Request)})
			if page.Think != nil {
				p.think += (v.Mean[k] - v.Last[k]) * page.Think.Mean.Seconds()
			}
		}
	case g.Request != nil:
		p.asks = []ask{{1, b.request(i, g.Request)}}
	}
	b.net.groups = append(b.net.groups, p)
}

// traced adds what the arrivals of a trace ask for, by how often.
func (b *builder) traced(i int, g *user.Config, p *population) {
	counts := map[*rdr.Block]float64{}
	for _, a := range g.Trace.Ask {
		r := g.Trace.Asks[a].Request
		if r == nil {
			r = g.Request
		}
		counts[r] += 1 / float64(len(g.Trace.Ask))
	}
	for _, r := range g.Requests() {
		if x := counts[r]; x > 0 && r != nil {
			p.asks = append(p.asks, ask{x, b.request(i, r)})
		}
	}
	if x := counts[g.Request]; x > 0 && g.Request != nil && !slices.Contains(g.Requests(), g.Request) {
		p.asks = append(p.asks, ask{x, b.request(i, g.Request)})
	}
}

// request makes the entry of a request at its client.
func (b *builder) request(group int, r *rdr.Block) *entry {
	inv := 0.0
	if n := b.plan.Clients[group].Users; n > 0 {
		inv = 1 / float64(n)
	}
	steps := r.Outline()
	return b.entry(r, steps, frame{service: -1, class: b.class(group, priorityOf(steps, 0)), inv: inv}, -1)
}

// priorityOf is that of a block, or what it inherits.
func priorityOf(steps []rdr.Step, inherited float64) float64 {
	for _, s := range steps {
		if s.Verb == rdr.VerbPriority {
			return s.Amount.Mean
		}
	}
	return inherited
}

// sizes are the moments of the sizes of what is asked for, in bytes. Every directory of a set has the same files.
func sizes(set *files.Set) moments {
	var m moments
	sum := 0.0
	for i := range set.Len() / max(set.Config().Directories, 1) {
		x, p := float64(set.Size(i)), set.Probability(i)
		sum += p
		m.m1, m.m2, m.m3 = m.m1+p*x, m.m2+p*x*x, m.m3+p*x*x*x
	}
	return moments{m.m1 / sum, m.m2 / sum, m.m3 / sum, 0}
}
