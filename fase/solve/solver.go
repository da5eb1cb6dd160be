package solve

import (
	"math"
	"slices"

	"github.com/eve-emulation/eve/fase/qn"
)

// solver finds the fixed point of a network: how long everything takes given how full the stations are, and how full they are given how
// often everything is done and how long what is held takes.
type solver struct {
	n     *network
	scale float64
	// relieved are the tiers that have as many servers as it takes, and unbounded says that nobody is turned away: for the search for what is
	// full first.
	relieved  map[string]bool
	unbounded bool

	at      []state
	spans   []span
	calls   []visited // by entry
	rate    []float64 // by group: rounds per second
	took    []span    // by group: one request
	closed  bool
	service []served
	rounds  int
	joins   map[int]*joined // by act
	// product says that closed groups do one thing after the other, so that they are classes of a queueing network; network is its solution.
	product bool
	layered bool // something is held, so that waits depend on waits
	network qn.Solution
	stacks  []stacked   // by layer; none beside closed groups
	bare    [][]moments // by entry and hold: as if nobody waited
	held    [][]float64 // by entry and hold: how often per second
}

// state is what is known of one copy of a station.
type state struct {
	flows      []flow    // by class
	sizes      []sized   // shortest first
	wait, vari []float64 // by class: mean and variance of the wait of a visit, s; of a shared station the mean in own demands
	rho        float64   // utilisation
	offered    float64   // the same without anybody turned away
	turned     float64   // share that is turned away
	// apart is the index of dispersion of the gaps of arrivals, 1 of a Poisson process.
	apart float64
	// within says that workers above have a part in the waits, which were before as they are in before.
	within bool
	before []float64
}

// flow is what one class asks of a copy of a station: visits per second, runs of visits, and the sums of the moments of the demands.
type flow struct{ rate, runs, b1, b2, b3, inv, apart float64 }

type sized struct {
	class int
	rate  float64
	v     visit
}

// visited is an entry in an evaluation.
type visited struct {
	span   span
	weight float64 // executions per second that are asked for
	hold   []moments
	open   float64 // share that is let in
	stay   float64 // mean at the server, until the reply has left
}

// served sums what callers see of a service.
type served struct{ calls, time, stay, executions, turned float64 }

// span is how long something takes that is begun, and how it ends. r is up to the reply, where there is one within it.
type span struct {
	ok               float64
	mean, vari, most float64 // most: no less than this
	r, rv, rl        float64
	replied          float64
	rho              float64 // utilisation of where the time is spent, weighted by it
	away             float64 // share that is turned away at its beginning, and takes no time
}

func newSolver(n *network, scale float64) *solver {
	s := &solver{n: n, scale: scale, at: make([]state, len(n.stations)), calls: make([]visited, len(n.entries)), rate: make([]float64, len(n.groups)), took: make([]span, len(n.groups))}
	for i := range s.at {
		c := len(n.classes)
		s.at[i] = state{flows: make([]flow, c), wait: make([]float64, c), vari: make([]float64, c)}
	}
	for i := range n.groups {
		s.closed = s.closed || n.groups[i].users > 0
	}
	s.spans, s.joins = make([]span, n.acts), map[int]*joined{}
	s.service = make([]served, len(n.services))
	s.product = s.closed && n.serial()
	if !s.closed {
		s.stacks = make([]stacked, len(n.layers))
	}
	s.held = make([][]float64, len(n.entries))
	for i, e := range n.entries {
		s.held[i] = make([]float64, len(e.hold))
	}
	for k := range n.stations {
		s.layered = s.layered || n.stations[k].kind != Hardware
	}
	return s
}

// tolerance is by how much nothing changes any more, relatively, and most how many rounds there are at most.
const (
	tolerance = 1e-10
	coarse    = 1e-6 // in the search for what is full first
	mostRound = 3000
)

// solve iterates to the fixed point. The error is an Unstable.
func (s *solver) solve() error {
	for s.rounds = 1; s.rounds <= mostRound; s.rounds++ {
		for i, e := range s.n.entries {
			s.entry(i, e)
		}
		if s.rounds == 1 {
			s.bare = make([][]moments, len(s.calls))
			for i := range s.calls {
				s.bare[i] = slices.Clone(s.calls[i].hold)
			}
		}
		change := s.ask()
		s.spread()
		moved, err := s.queue()
		if err != nil {
			return err
		}
		if moved = max(moved, change); moved < tolerance || s.unbounded && moved < coarse {
			break
		}
	}
	for i, e := range s.n.entries { // with the waits that were found
		s.entry(i, e)
	}
	s.ask()
	return nil
}

// ask finds how often each group asks, and returns by how much that changed.
func (s *solver) ask() (change float64) {
	for g := range s.n.groups {
		p := &s.n.groups[g]
		s.took[g] = s.request(p)
		x := p.rate * s.scale
		if p.users > 0 {
			total := 0.0
			for _, a := range p.asks {
				total += a.times
			}
			r := p.think + total*s.took[g].mean
			users := max(1, math.Round(p.users*s.scale))
			x = users / max(r, 1e-9)
			if s.rate[g] > 0 && !s.product {
				x = math.Sqrt(x * s.rate[g])
			}
		}
		change = max(change, relative(x, s.rate[g]))
		s.rate[g] = x
	}
	return change
}

func relative(a, b float64) float64 {
	if a == b {
		return 0
	}
	return math.Abs(a-b) / max(math.Abs(a), math.Abs(b), 1e-12)
}

// request is one request of a group, whatever kind it is: with what its users add.
func (s *solver) request(p *population) span {
	var arms []span
	var ps []float64
	total := 0.0
	for _, a := range p.asks {
		total += a.times
	}
	for _, a := range p.asks {
		arms, ps = append(arms, s.calls[a.entry.id].span), append(ps, a.times/total)
	}
	if len(arms) == 0 {
		return span{ok: 1}
	}
	x := mixture(arms, ps)
	if p.patience > 0 {
		x = cutOff(x, p.patience)
	}
	if p.retries > 0 && x.ok < 1 {
		x = attempts(x, p.retries, constant(p.backoff))
	}
	return x
}

// spread counts how often everything is done, from the groups down to the stations.
func (s *solver) spread() {
	for k := range s.at {
		st := &s.at[k]
		clear(st.flows)
		st.sizes = st.sizes[:0]
	}
	for i := range s.calls {
		s.calls[i].weight = 0
	}
	clear(s.service)
	for g := range s.n.groups {
		p := &s.n.groups[g]
		more := 1.0
		if p.retries > 0 {
			fail, q := 0.0, 1.0
			for _, a := range p.asks {
				fail = max(fail, 1-s.calls[a.entry.id].span.ok)
			}
			for range p.retries {
				q *= fail
				more += q
			}
		}
		for _, a := range p.asks {
			s.calls[a.entry.id].weight += s.rate[g] * a.times * more
		}
	}
	for i := len(s.n.entries) - 1; i >= 0; i-- {
		e, c := s.n.entries[i], &s.calls[i]
		w := c.weight
		for h, hold := range e.hold {
			s.flow(hold.visits, e.class, w, 0, &c.hold[h])
			s.held[i][h] = w
			w *= 1 - s.turned(hold.visits)
		}
		if e.service >= 0 {
			v := &s.service[e.service]
			v.executions += w
			v.turned += c.weight - w
			v.stay += w * c.stay
		}
		s.down(e.root, e.class, w)
	}
}

// turned is the share of visits that are turned away.
func (s *solver) turned(visits []visit) float64 {
	p := 0.0
	for i := range visits {
		p += visits[i].share * s.at[visits[i].station].turned
	}
	return p
}

// flow adds visits to stations, w per second; with held, each takes so long instead of its own demand.
func (s *solver) flow(visits []visit, class int, w, inv float64, held *moments) {
	group := &s.n.groups[s.n.classes[class].group]
	for i := range visits {
		v := &visits[i]
		m := v.moments
		if held != nil {
			m = *held
		}
		st := &s.at[v.station]
		rate := w * v.share / float64(len(s.n.stations[v.station].names))
		f := &st.flows[class]
		f.rate += rate
		f.b1 += rate * m.m1
		f.b2 += rate * (m.m2 + v.more)
		f.runs += rate / max(v.run, 1)
		f.b3 += rate * m.m3
		f.inv += rate * m.m1 * inv
		thin := 1.0
		if x := s.rate[s.n.classes[class].group]; x > 0 {
			thin = min(1, rate/x)
		}
		f.apart += rate * (1 + (group.scv-1)*thin)
		if s.n.stations[v.station].order == shortest {
			u := *v
			u.moments = m
			st.sizes = append(st.sizes, sized{class, rate, u})
		}
	}
}

// down does an act w times per second.
func (s *solver) down(a *act, class int, w float64) {
	if w <= 0 {
		return
	}
	switch a.verb {
	case doSeq:
		for _, x := range a.body {
			s.down(x, class, w)
			w *= s.spans[x.id].ok
		}
	case doDemand, doReply:
		s.flow(a.visits, class, w, a.inv, nil)
	case doPar, doFork, doTimeout:
		for _, x := range a.body {
			s.down(x, class, w)
		}
		for _, t := range a.ties {
			copies := float64(len(s.n.stations[t.station].names))
			// They meet as often as others are there that hold the first of them up.
			s.at[t.station].flows[class].b2 += w * t.product / copies / copies * s.at[t.station].rho
		}
	case doChoose:
		for i, x := range a.body {
			s.down(x, class, w*a.p[i])
		}
	case doRepeat:
		s.down(a.body[0], class, w*passes(s.spans[a.body[0].id].ok, a.amount.m1))
	case doRetry:
		n, q := 1.0, 1.0
		for range a.count {
			q *= 1 - s.spans[a.body[0].id].ok
			n += q
		}
		s.down(a.body[0], class, w*n)
	case doLock:
		held := momentsOf(s.spans[a.body[0].id])
		s.flow(a.visits, class, w, 0, &held)
		s.down(a.body[0], class, w)
	case doCall:
		s.flow(a.visits, class, w, a.inv, nil)
		s.calls[a.entry.id].weight += w
		v := &s.service[a.entry.service]
		v.calls += w
		v.time += w * s.spans[a.id].mean
	}
}

// passes is how many passes of a loop are begun, of which each goes on with a probability.
func passes(ok, n float64) float64 {
	if ok == 1 {
		return n
	}
	return (1 - math.Pow(ok, n)) / (1 - ok)
}

// momentsOf is those of a span, the third as a gamma law has it.
func momentsOf(x span) moments {
	m := moments{m1: x.mean, m2: x.vari + x.mean*x.mean, least: x.most}
	if x.mean > 0 {
		scv := x.vari / x.mean / x.mean
		m.m3 = x.mean * x.mean * x.mean * (1 + scv) * (1 + 2*scv)
	}
	return m
}
