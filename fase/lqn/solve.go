package lqn

import (
	"fmt"
	"math"
	"slices"

	"github.com/eve-emulation/eve/fase/qn"
)

// solver iterates over the layers of a model.
type solver struct {
	*layered
	task0   []int   // by entry: its task
	hosted  [][]int // by host: the entries that demand it
	limited []int   // tasks whose limits can be in the way, those below before those above
	places  []int   // by task: requests that it takes, in work and waiting, where that is bounded and can be in the way; 0 elsewhere
	bounds  bool    // there are such tasks
	closed  bool    // there are closed sources

	gains    []gain    // of the unknowns
	x, think []float64 // by source: throughput, and the think time for which the network has the right cycle
	turned   []float64 // by task: share of calls that find no place
	refused  []float64 // what that would be by the last solution

	entry, offered, task, load []float64   // rates, see flow
	loadBy, taskBy             [][]float64 // by source, of closed ones, see by

	bodies   []*body // of tasks with limits
	layers   []*layer
	bound    []*bound
	top0     []*body // of sources
	async    *body   // per second: what nobody waits for
	views    []*view // of sources
	aside    *view   // of what nobody waits for
	within   []*view // of tasks with limits
	network0 *qn.Solution

	bare, bare2 []span // of entries, if nobody ever waited: until the reply, and after it
	service     []span // of entries of tasks with limits, until the reply
	after       []span // and after it
	response    []span // by source
	free        []span // of entries of tasks without limits, as those see them that nobody waits for

	iterations int
	residual   float64
}

// Solve solves a model. The error is that of Check, or ErrUnstable with the name of the host or task.
func (m *Model) Solve() (Solution, error) {
	l, err := compile(m)
	if err != nil {
		return Solution{}, fmt.Errorf("solve layers: %w", err)
	}
	s := newSolver(l)
	if err := s.solve(); err != nil {
		return Solution{}, fmt.Errorf("solve layers: %w", err)
	}
	return s.tell(), nil
}

func newSolver(l *layered) *solver {
	tasks, entries, sources := len(l.Tasks), len(l.entries), len(l.Sources)
	s := &solver{
		layered: l, task0: l.task, hosted: make([][]int, len(l.Hosts)),
		gains: make([]gain, 2*sources+tasks),
		x:     make([]float64, sources), think: make([]float64, sources), turned: make([]float64, tasks), refused: make([]float64, tasks),
		entry: make([]float64, entries), offered: make([]float64, tasks), task: make([]float64, tasks), load: make([]float64, len(l.Hosts)),
		bodies: make([]*body, tasks), layers: make([]*layer, tasks), bound: make([]*bound, tasks),
		top0: make([]*body, sources), views: make([]*view, sources), within: make([]*view, tasks),
		bare: make([]span, entries), bare2: make([]span, entries), service: make([]span, entries), after: make([]span, entries),
		free: make([]span, entries), response: make([]span, sources), places: make([]int, tasks),
	}
	for _, e := range slices.Backward(l.order) {
		if h := l.host[l.task[e]]; h >= 0 && l.entries[e].Demand+l.entries[e].Phase2 > 0 {
			s.hosted[h] = append(s.hosted[h], e)
		}
	}
	for _, t := range l.lowest {
		if l.limit[t] > 0 {
			s.limited = append(s.limited, t)
			if q := l.Tasks[t].Queue; q != 0 && l.most[t] > l.limit[t]+max(q, 0) {
				s.places[t], s.bounds = l.limit[t]+max(q, 0), true
			}
		}
	}
	for i := range s.Sources {
		s.think[i] = s.Sources[i].Think
		s.closed = s.closed || s.Sources[i].Users > 0
	}
	s.nobodyWaits()
	return s
}

// nobodyWaits fills in what entries take if nobody ever waits.
func (s *solver) nobodyWaits() {
	v := s.newView()
	for _, e := range slices.Backward(s.order) {
		s.bare[e] = s.reply(e, v, s.bare)
		s.bare2[e] = s.second(e, v, s.bare)
		s.service[e] = s.bare[e]
	}
}

// Most is how many times the layers are solved at most, and closeness the relative change at which they stand.
const (
	most      = 300
	closeness = 1e-7
)

func (s *solver) solve() error {
	if err := s.stable(); err != nil {
		return err
	}
	s.start()
	for s.iterations = 1; s.iterations <= most; s.iterations++ {
		moved, err := s.iterate()
		if err != nil {
			return err
		}
		s.residual = moved
		if moved < closeness {
			break
		}
	}
	s.iterations = min(s.iterations, most)
	s.flow(s.x)
	return s.carried()
}

// carried returns an error where what nobody waits for, which no number of users limits, is more than hosts or tasks can carry.
func (s *solver) carried() error {
	const over = 1.01 // approximations do not add up to the last percent
	for h, load := range s.load {
		if share := load / s.capacity(h); !s.Hosts[h].Delay && share >= over && s.async.host[h]+s.async.below[h] > 0 {
			return fmt.Errorf("%w: host %s is offered %.3g of its capacity, with what nobody waits for", ErrUnstable, s.Hosts[h].Name, share)
		}
	}
	for t, l := range s.layers {
		if l == nil || s.bound[t] != nil {
			continue
		}
		if share := s.task[t] / l.rates[len(l.rates)-1]; share >= over && s.async.visit[t] > 0 {
			return fmt.Errorf("%w: task %s is offered %.3g of what its %d threads can do, with what nobody waits for", ErrUnstable, s.Tasks[t].Name, share, s.limit[t])
		}
	}
	return nil
}

// start gives closed sources a throughput to start from: that of an idle system, as far as its limits allow.
func (s *solver) start() {
	for i := range s.Sources {
		if src := &s.Sources[i]; src.Users > 0 {
			r := s.sequence(s.source[i], 0, false, s.newView(), s.bare).mean
			if r+src.Think > 0 {
				s.x[i] = float64(src.Users) / (r + src.Think)
			}
		}
	}
	s.flow(s.x)
	scale := 1.0
	for h := range s.Hosts {
		if !s.Hosts[h].Delay && s.load[h] > 0 {
			scale = math.Min(scale, 0.5*s.capacity(h)/s.load[h])
		}
	}
	for _, t := range s.limited {
		if l := s.layers[t]; l != nil && s.task[t] > 0 {
			scale = math.Min(scale, 0.5*l.rates[len(l.rates)-1]/s.task[t])
		}
	}
	for i := range s.Sources {
		if s.Sources[i].Users > 0 {
			s.x[i] *= scale
		}
	}
}

// iterate solves all layers once, and returns how much a throughput, a cycle or a share that is turned away has moved.
func (s *solver) iterate() (moved float64, err error) {
	if s.closed {
		s.by(s.x)
	}
	s.flow(s.x)
	clear(s.bound)
	if err := s.below(); err != nil {
		return 0, err
	}
	s.context()
	x, response, err := s.top()
	if err != nil {
		return 0, err
	}
	s.inside()
	s.times()
	s.within100(x)
	n := 0
	step := func(at *float64, to, scale float64) {
		moved = math.Max(moved, s.gains[n].step(at, to)/math.Max(scale, 1e-300))
		n++
	}
	for i := range s.Sources {
		if src := &s.Sources[i]; src.Users > 0 {
			step(&s.x[i], x[i], x[i])
			think := math.Max(0, src.Think+s.response[i].mean-response[i])
			if math.Abs(think-src.Think) <= 1e-9*(src.Think+response[i]) && s.think[i] == src.Think {
				think = src.Think // rounding
			}
			step(&s.think[i], think, src.Think+response[i])
		}
	}
	for t := range s.Tasks {
		step(&s.turned[t], s.refused[t], 1)
	}
	return moved, nil
}

// A gain is how much of the way an unknown goes to where a solution puts it: less each time that it has turned round, as it would swing.
type gain struct{ part, last float64 }

func (g *gain) step(at *float64, to float64) (moved float64) {
	d := to - *at
	switch {
	case g.part == 0:
		g.part = 1
	case d*g.last < 0:
		g.part = math.Max(1e-4, g.part/2)
	default:
		g.part = math.Min(1, 1.3*g.part)
	}
	g.last = d
	*at += g.part * d
	return math.Abs(d)
}

// within100 takes from the throughputs of closed sources what hosts cannot carry, which layers that see one another as open load may exceed by
// a percent or so.
func (s *solver) within100(x []float64) {
	for h := range s.Hosts {
		if s.Hosts[h].Delay {
			continue
		}
		closed, now := 0.0, 0.0 // load by closed sources with the new throughputs, and with the old ones
		for i := range s.Sources {
			if s.Sources[i].Users > 0 && s.x[i] > 0 {
				closed, now = closed+s.loadBy[i][h]*x[i]/s.x[i], now+s.loadBy[i][h]
			}
		}
		room := s.capacity(h) - (s.load[h] - now)
		if closed <= room || room <= 0 {
			continue
		}
		for i := range s.Sources {
			if s.Sources[i].Users > 0 && s.loadBy[i][h] > 0 {
				x[i] *= room / closed
			}
		}
	}
}

// context fills in the bodies of the sources, and of what nobody waits for.
func (s *solver) context() {
	none := func(int) float64 { return 0 }
	var aside []call
	for i, calls := range s.source {
		s.top0[i] = s.bodyOf(calls, none)
		s.sink(s.top0[i])
		for _, c := range calls {
			if c.async {
				aside = append(aside, call{entry: c.entry, mean: c.mean * s.x[i]})
			}
		}
	}
	for e, calls := range s.calls {
		for _, c := range calls {
			if c.async || c.phase2 && s.limit[s.task0[e]] == 0 {
				aside = append(aside, call{entry: c.entry, mean: c.mean * s.entry[e]})
			}
		}
	}
	s.async = s.bodyOf(aside, none)
	s.sink(s.async)
	for e, x := range s.entries {
		if h := s.host[s.task0[e]]; h >= 0 && s.limit[s.task0[e]] == 0 {
			s.async.host[h] += s.entry[e] * x.Phase2
		}
	}
}

// times fills in how long everything takes.
func (s *solver) times() {
	out := make([]span, len(s.entries))
	for _, t := range s.limited {
		b, v := s.bodies[t], s.within[t]
		s.spans(b, v, out)
		for e, share := range b.share {
			if share > 0 {
				s.service[e], s.after[e] = out[e], s.second(e, v, out)
			}
		}
	}
	for i, b := range s.top0 {
		s.spans(b, s.views[i], out)
		s.response[i] = s.sequence(s.source[i], s.x[i], false, s.views[i], out)
	}
	s.spans(s.async, s.aside, s.free)
}
