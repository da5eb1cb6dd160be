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
				others[i] = beside(s.load[h], x*(b.host[h]+b.below[h]/threads), s.capacity(h))
			}
		}
		for i, u := range l.tasks {
			i += len(l.hosts)
			total += own[i]
			others[i] = beside(s.task[u], x*own[i], n.Stations[i].Rates[len(n.Stations[i].Rates)-1])
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

// A bound is a task whose queue is, alone with arrivals at random.
type bound struct{ wait, hold, queue, busy float64 }

// bind solves a task with a bounded queue, as a chain of births and deaths, and tells what it turns away.
func (s *solver) bind(t int, l *layer) {
	places := s.places[t]
	if places == 0 {
		return
	}
	m := len(l.rates)
	p, sum := make([]float64, places+1), 1.0
	p[0] = 1
	for n := 1; n <= places; n++ {
		p[n] = p[n-1] * s.offered[t] / l.rates[min(n, m)-1]
		sum += p[n]
		if p[n] > 1e200 {
			for i := range n + 1 {
				p[i] *= 1e-200
			}
			sum *= 1e-200
		}
	}
	q := &bound{}
	l.present = make([]float64, m)
	for n := range p {
		p[n] /= sum
		q.queue += p[n] * float64(max(n-m, 0))
		q.busy += p[n] * float64(min(n, m))
		if n < m {
			l.present[n] = p[n]
		}
	}
	accepted := s.offered[t] * (1 - p[places])
	q.hold = 1 / l.rates[0]
	if accepted > 0 {
		q.wait, q.hold = s.uneven(t)*q.queue/accepted, q.busy/accepted
	}
	s.bound[t], s.refused[t] = q, p[places]
}
