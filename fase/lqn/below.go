package lqn

import (
	"fmt"
	"math"

	"github.com/eve-emulation/eve/fase/qn"
)

// A layer is the network that the threads of a task go round in: the hosts and tasks below it.
type layer struct {
	hosts, tasks []int // stations: hosts first
	growth       *qn.Growth
	faster       []float64 // by threads: how many times their throughput is that of the growth, as branches of forks go on together
	rates        []float64 // throughput with 1, 2, … threads busy
	present      []float64 // probabilities of 0, 1, … requests, one less than it has threads
}

// stations lists what a body visits.
func (s *solver) stations(b *body) (hosts, tasks []int) {
	for h, d := range b.host {
		if d > 0 {
			hosts = append(hosts, h)
		}
	}
	for t, n := range b.visit {
		if n > 0 && s.layers[t] != nil && s.bound[t] == nil {
			tasks = append(tasks, t)
		}
	}
	return hosts, tasks
}

// network has the stations and a delay, the last of them.
func (s *solver) network(hosts, tasks []int) *qn.Network {
	n := &qn.Network{}
	for _, h := range hosts {
		n.Stations = append(n.Stations, qn.Station{Name: "host " + s.Hosts[h].Name, Servers: s.Hosts[h].Servers, Delay: s.Hosts[h].Delay})
		if s.Hosts[h].Delay {
			n.Stations[len(n.Stations)-1].Servers = 0
		}
	}
	for _, t := range tasks {
		n.Stations = append(n.Stations, qn.Station{Name: "task " + s.Tasks[t].Name, Rates: s.layers[t].rates})
	}
	n.Stations = append(n.Stations, qn.Station{Name: "delay", Delay: true})
	return n
}

// demands is what a body demands of the stations.
func (s *solver) demands(b *body, hosts, tasks []int) []float64 {
	out := make([]float64, 0, len(hosts)+len(tasks)+1)
	for _, h := range hosts {
		out = append(out, b.host[h])
	}
	for _, t := range tasks {
		out = append(out, b.visit[t])
	}
	return append(out, b.delay+s.bounded(b))
}

// bounded is the time of a body in tasks whose queues are bounded, whose waits are known.
func (s *solver) bounded(b *body) float64 {
	sum := 0.0
	for t, n := range b.visit {
		if q := s.bound[t]; q != nil && n > 0 {
			sum += n * (q.wait + q.hold)
		}
	}
	return sum
}

// capacity is what a host serves at most.
func (s *solver) capacity(h int) float64 { return float64(max(s.Hosts[h].Servers, 1)) }

// below solves the layers of tasks with limits, the lowest first: how fast they are with 1, 2, … of their threads busy.
func (s *solver) below() error {
	clear(s.layers)
	for _, t := range s.limited {
		x := s.task[t]
		first := true
		b := s.bodyOf(nil, func(e int) float64 {
			switch {
			case s.task0[e] != t:
				return 0
			case x > 0:
				return s.entry[e] / x
			case first: // nobody calls it: as if by its first entry
				first = false
				return 1
			}
			return 0
		})
		s.sink(b)
		s.bodies[t] = b
		l := &layer{}
		l.hosts, l.tasks = s.stations(b)
		n := s.network(l.hosts, l.tasks)
		own := s.demands(b, l.hosts, l.tasks)
		others := make([]float64, len(own))
		threads, total := float64(s.limit[t]), 0.0
		for i, h := range l.hosts {
			total += own[i]
			if !s.Hosts[h].Delay {
				elsewhere := func(i int) float64 { return s.loadBy[i][h] - s.taskBy[i][t]*(b.host[h]+b.below[h]) }
				others[i] = beside(s.load[h], x*(b.host[h]+b.below[h]/threads)+s.selfAt(t, elsewhere), s.capacity(h))
				others[i] = s.crowd(others[i], s.capacity(h), elsewhere)
			}
		}
		for i, u := range l.tasks {
			i += len(l.hosts)
			total += own[i]
			others[i] = beside(s.task[u], x*own[i]+s.selfAt(t, func(i int) float64 {
				return s.taskBy[i][u] - s.taskBy[i][t]*b.visit[u]
			}), n.Stations[i].Rates[len(n.Stations[i].Rates)-1])
		}
		if total+own[len(own)-1] == 0 {
			continue // it needs no time
		}
		n.Classes = []qn.Class{{Name: "threads", Users: 1, Demands: own}, {Name: "others", Rate: 1, Demands: others}}
		var err error
		if l.growth, err = n.Grow(s.limit[t]); err != nil {
			return fmt.Errorf("task %s: %w", s.Tasks[t].Name, err)
		}
		l.rates = make([]float64, s.limit[t])
		l.faster = s.overlap(b, n, s.limit[t])
		for i := range l.rates {
			l.rates[i] = l.growth.Throughput[i+1] * l.faster[i]
			if i > 0 {
				l.rates[i] = math.Max(l.rates[i], l.rates[i-1])
			}
		}
		s.layers[t] = l
		s.bind(t, l)
	}
	return nil
}

// selfAt is self for the requests of a task, of whom others may be open ones.
func (s *solver) selfAt(t int, there func(source int) float64) float64 {
	if s.loadBy == nil || s.task[t] == 0 {
		return 0
	}
	closed := 0.0
	for i := range s.Sources {
		if s.Sources[i].Users > 0 {
			closed += s.taskBy[i][t]
		}
	}
	return math.Min(1, closed/s.task[t]) * s.self(func(i int) float64 { return s.taskBy[i][t] }, there)
}

// A bound is a task whose queue is, alone with calls at random from those who are not there.
type bound struct{ wait, hold, queue, busy float64 }

// bind solves a task with a bounded queue, as a chain of births and deaths, and tells what it turns away.
func (s *solver) bind(t int, l *layer) {
	places, m := s.places[t], len(l.rates)
	if places == 0 {
		return
	}
	callers, each := float64(s.most[t]), s.offered[t]
	if s.most[t] < endless {
		each = s.offered[t] / callers
	}
	q := &bound{hold: 1 / l.rates[0]}
	var p []float64
	rate := func(n int) float64 {
		if s.most[t] == endless {
			return each
		}
		return each * math.Max(0, callers-float64(n))
	}
	for range 100 {
		p = births(places, func(n int) float64 { return rate(n) / l.rates[min(n+1, m)-1] })
		*q = bound{hold: q.hold}
		for n := range p {
			q.queue += p[n] * float64(max(n-m, 0))
			q.busy += p[n] * float64(min(n, m))
		}
		was := each
		if s.most[t] < endless { // they call so often in all
			each = s.offered[t] / math.Max(1, callers-q.queue-q.busy)
		}
		if math.Abs(each-was) <= 1e-12*each {
			break
		}
	}
	l.present = p[:m:m]
	if s.offered[t] > 0 {
		s.refused[t] = math.Min(1, p[places]*rate(places)/s.offered[t])
	}
	if accepted := s.offered[t] * (1 - s.refused[t]); accepted > 0 {
		q.wait, q.hold = s.uneven(t)*q.queue/accepted, q.busy/accepted
	}
	s.bound[t] = q
}

// births returns the probabilities of the states 0 to last of a chain, where up(n) is the rate from n to n + 1 by that back.
func births(last int, up func(n int) float64) []float64 {
	p, sum := make([]float64, last+1), 1.0
	p[0] = 1
	for n := range last {
		p[n+1] = p[n] * up(n)
		if sum += p[n+1]; sum > 1e200 {
			for i := range n + 2 {
				p[i] *= 1e-200
			}
			sum *= 1e-200
		}
	}
	for n := range p {
		p[n] /= sum
	}
	return p
}
