package lqn_test

import (
	"container/heap"
	"math"
	"math/rand/v2"

	"github.com/eve-emulation/eve/fase/lqn"
)

// A simulation is a model run event by event: tasks with threads serve first come, first served, hosts share or serve in order. It is
// written for tests: simple, and independent of the solver.
type simulation struct {
	m     *lqn.Model
	r     *rand.Rand
	now   float64
	due   events
	seq   int
	hosts []*simHost
	tasks []*simTask
	index map[string][2]int // entry: task and entry

	from          float64 // figures are from here on
	sum, count    []float64
	turned        []float64
	held          []float64 // by task: threads × s
	waited, asked []float64 // by task
}

type event struct {
	at  float64
	seq int
	do  func()
}

type events []event

func (h events) Len() int { return len(h) }
func (h events) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h events) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *events) Push(x any)   { *h = append(*h, x.(event)) }
func (h *events) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

func (s *simulation) after(d float64, do func()) {
	s.seq++
	heap.Push(&s.due, event{s.now + d, s.seq, do})
}

// A simHost shares by giving each present demand its part at every change, or serves in order.
type simHost struct {
	*lqn.Host
	s       *simulation
	present []*demand
	last    float64
	version int
	busy    int
}

type demand struct {
	left     float64
	priority int
	done     func()
}

func (h *simHost) serve(d float64, priority int, done func()) {
	if h.Delay {
		h.s.after(d, done)
		return
	}
	if h.Discipline == lqn.Sharing {
		h.progress()
		h.present = append(h.present, &demand{left: d, done: done})
		h.plan()
		return
	}
	h.present = append(h.present, &demand{left: d, priority: priority, done: done})
	h.next()
}

func (h *simHost) next() {
	for h.busy < max(h.Servers, 1) && len(h.present) > 0 {
		first := 0
		for i, d := range h.present {
			if h.Discipline == lqn.Priority && d.priority < h.present[first].priority {
				first = i
			}
		}
		d := h.present[first]
		h.present = append(h.present[:first:first], h.present[first+1:]...)
		h.busy++
		h.s.after(d.left, func() {
			h.busy--
			h.next()
			d.done()
		})
	}
}

func (h *simHost) progress() {
	speed := math.Min(1, float64(max(h.Servers, 1))/float64(max(len(h.present), 1)))
	for _, d := range h.present {
		d.left -= (h.s.now - h.last) * speed
	}
	h.last = h.s.now
}

func (h *simHost) plan() {
	h.version++
	if len(h.present) == 0 {
		return
	}
	first := h.present[0]
	for _, d := range h.present {
		if d.left < first.left {
			first = d
		}
	}
	speed := math.Min(1, float64(max(h.Servers, 1))/float64(len(h.present)))
	version := h.version
	h.s.after(math.Max(0, first.left/speed), func() {
		if version != h.version {
			return
		}
		h.progress()
		for i, d := range h.present {
			if d == first {
				h.present = append(h.present[:i:i], h.present[i+1:]...)
				break
			}
		}
		h.plan()
		first.done()
	})
}

type simTask struct {
	*lqn.Task
	busy  int
	since float64
	line  []func()
}

func simulate(m *lqn.Model, seed uint64, until float64) *simulation {
	s := &simulation{
		m: m, r: rand.New(rand.NewPCG(seed, 1)), index: map[string][2]int{}, from: until / 10,
		sum: make([]float64, len(m.Sources)), count: make([]float64, len(m.Sources)), turned: make([]float64, len(m.Sources)),
		held: make([]float64, len(m.Tasks)), waited: make([]float64, len(m.Tasks)), asked: make([]float64, len(m.Tasks)),
	}
	for i := range m.Hosts {
		s.hosts = append(s.hosts, &simHost{Host: &m.Hosts[i], s: s})
	}
	for i := range m.Tasks {
		s.tasks = append(s.tasks, &simTask{Task: &m.Tasks[i]})
		for j, e := range m.Tasks[i].Entries {
			s.index[e.Name] = [2]int{i, j}
		}
	}
	for i := range m.Sources {
		src := &m.Sources[i]
		if src.Rate > 0 {
			var arrive func()
			arrive = func() {
				s.after(s.r.ExpFloat64()/src.Rate, arrive)
				s.request(i, func() {})
			}
			s.after(s.r.ExpFloat64()/src.Rate, arrive)
		}
		for range src.Users {
			var ask func()
			ask = func() { s.request(i, func() { s.after(s.r.ExpFloat64()*src.Think, ask) }) }
			s.after(s.r.ExpFloat64()*src.Think, ask)
		}
	}
	for len(s.due) > 0 && s.due[0].at < until {
		e := heap.Pop(&s.due).(event)
		s.now = e.at
		e.do()
	}
	for t := range s.tasks {
		s.hold(t, 0)
	}
	return s
}

func (s *simulation) request(i int, done func()) {
	at := s.now
	failed := false
	s.phase(s.m.Sources[i].Calls, false, &failed, func() {
		if at > s.from {
			s.sum[i], s.count[i] = s.sum[i]+s.now-at, s.count[i]+1
			if failed {
				s.turned[i]++
			}
		}
		done()
	})
}

// phase makes the calls of a phase.
func (s *simulation) phase(calls []lqn.Call, second bool, failed *bool, done func()) {
	var steps []func(next func())
	forks := map[int][]lqn.Call{}
	for _, c := range calls {
		if c.Phase2 != second || c.Kind == lqn.Forward {
			continue
		}
		if c.Fork > 0 {
			forks[c.Fork] = append(forks[c.Fork], c)
			continue
		}
		for range s.times(c.Mean) {
			if c.Kind == lqn.Async {
				steps = append(steps, func(next func()) { s.call(c.Entry, nil, func() {}); next() })
			} else {
				steps = append(steps, func(next func()) { s.call(c.Entry, failed, next) })
			}
		}
	}
	for f := 1; f <= len(forks); f++ {
		branches := forks[f]
		steps = append(steps, func(next func()) {
			left := len(branches)
			for _, c := range branches {
				s.call(c.Entry, failed, func() {
					if left--; left == 0 {
						next()
					}
				})
			}
		})
	}
	var run func(i int)
	run = func(i int) {
		if i == len(steps) {
			done()
			return
		}
		steps[i](func() { run(i + 1) })
	}
	run(0)
}

func (s *simulation) times(mean float64) int {
	if mean == 0 {
		return 1
	}
	n := math.Floor(mean)
	if s.r.Float64() < mean-n {
		n++
	}
	return int(n)
}

// law draws a time: constant, exponential or between (gamma), or more varied than it (hyperexponential, of balanced means).
func (s *simulation) law(mean, scv float64) float64 {
	switch {
	case mean == 0 || scv == 0:
		return mean
	case scv < 1:
		sum, n := 0.0, int(math.Round(1/scv))
		for range n {
			sum += s.r.ExpFloat64() * mean / float64(n)
		}
		return sum
	case scv > 1:
		p := (1 + math.Sqrt((scv-1)/(scv+1))) / 2
		if s.r.Float64() < p {
			return s.r.ExpFloat64() * mean / (2 * p)
		}
		return s.r.ExpFloat64() * mean / (2 * (1 - p))
	}
	return s.r.ExpFloat64() * mean
}

func (s *simulation) hold(t, by int) {
	k := s.tasks[t]
	if s.now > s.from {
		s.held[t] += float64(k.busy) * (s.now - math.Max(k.since, s.from))
	}
	k.since = s.now
	k.busy += by
}

func (s *simulation) call(entry string, failed *bool, reply func()) {
	i := s.index[entry]
	t := s.tasks[i[0]]
	at := s.now
	start := func() {
		if at > s.from {
			s.waited[i[0]], s.asked[i[0]] = s.waited[i[0]]+s.now-at, s.asked[i[0]]+1
		}
		s.hold(i[0], 1)
		s.serve(i[0], &t.Entries[i[1]], failed, reply)
	}
	switch {
	case t.Threads == 0 || t.busy < t.Threads:
		start()
	case t.Queue != 0 && len(t.line) >= max(t.Queue, 0):
		if failed != nil {
			*failed = true
		}
		reply()
	default:
		t.line = append(t.line, start)
	}
}

func (s *simulation) serve(task int, e *lqn.Entry, failed *bool, reply func()) {
	t := s.tasks[task]
	free := func() {
		s.hold(task, -1)
		if len(t.line) > 0 {
			next := t.line[0]
			t.line = t.line[1:]
			next()
		}
	}
	work := func(d float64, then func()) {
		if d == 0 {
			then()
			return
		}
		s.hosts[s.hostOf(t)].serve(s.law(d, e.SCV), t.Priority, then)
	}
	work(e.Demand, func() {
		s.after(s.law(e.Delay, e.SCV), func() {
			s.phase(e.Calls, false, failed, func() {
				for _, c := range e.Calls {
					if c.Kind == lqn.Forward && (c.Mean == 0 || s.r.Float64() < c.Mean) {
						s.call(c.Entry, failed, reply)
						free()
						return
					}
				}
				reply()
				work(e.Phase2, func() { s.phase(e.Calls, true, failed, free) })
			})
		})
	})
}

func (s *simulation) hostOf(t *simTask) int {
	for i := range s.m.Hosts {
		if s.m.Hosts[i].Name == t.Host {
			return i
		}
	}
	return -1
}

func (s *simulation) response(i int) float64   { return s.sum[i] / s.count[i] }
func (s *simulation) throughput(i int) float64 { return s.count[i] / (s.now - s.from) }
