package lqn

import "math"

// A body is what one request of a context does in the mean: the context itself, and all that it waits for in tasks without limits of
// threads. Tasks with limits are stations that it visits.
type body struct {
	host  []float64 // work of hosts, s
	visit []float64 // by task with a limit
	delay float64   // s
	below []float64 // by host: work in the tasks that it visits and what is below them, s
	times []float64 // by entry: how often, where it is part of the body and no station
	share []float64 // by entry: the share of the requests of a task that are of it
}

// flow computes the rates of everything from the throughputs of the sources.
func (s *solver) flow(x []float64) {
	clear(s.entry)
	clear(s.offered)
	clear(s.task)
	clear(s.load)
	for i, calls := range s.source {
		s.pass(calls, x[i])
	}
	for _, e := range s.order {
		t := s.task0[e]
		s.task[t] += s.entry[e]
		if h := s.host[t]; h >= 0 {
			s.load[h] += s.entry[e] * (s.entries[e].Demand + s.entries[e].Phase2)
		}
		s.pass(s.calls[e], s.entry[e])
	}
}

// by computes what each closed source makes of the rates, as flow does of all.
func (s *solver) by(x []float64) {
	if s.loadBy == nil {
		s.loadBy, s.taskBy = make([][]float64, len(s.Sources)), make([][]float64, len(s.Sources))
	}
	one := make([]float64, len(x))
	for i := range s.Sources {
		if s.Sources[i].Users == 0 {
			continue
		}
		clear(one)
		one[i] = x[i]
		s.flow(one)
		s.loadBy[i], s.taskBy[i] = append(s.loadBy[i][:0], s.load...), append(s.taskBy[i][:0], s.task...)
	}
}

// self is how much of what others bring to a station is the same users', who are not there while they are here: of each closed source one
// user's part. here tells the rate at which a source's requests come here, and there what they bring there elsewhere.
func (s *solver) self(here, there func(source int) float64) float64 {
	all, sum := 0.0, 0.0
	for i := range s.Sources {
		if n := s.Sources[i].Users; n > 0 {
			x := here(i)
			all += x
			sum += x * math.Max(0, there(i)) / float64(n)
		}
	}
	if all == 0 {
		return 0
	}
	return sum / all
}

// pass gives calls on, but those that are turned away.
func (s *solver) pass(calls []call, rate float64) {
	for _, c := range calls {
		t := s.task0[c.entry]
		s.offered[t] += rate * c.mean
		s.entry[c.entry] += rate * c.mean * (1 - s.turned[t])
	}
}

// bodyOf returns the body of a context whose requests make calls, and are those of entries as shares says.
func (s *solver) bodyOf(calls []call, shares func(e int) float64) *body {
	b := &body{
		host: make([]float64, len(s.Hosts)), visit: make([]float64, len(s.Tasks)), below: make([]float64, len(s.Hosts)),
		times: make([]float64, len(s.entries)), share: make([]float64, len(s.entries)),
	}
	ask := func(calls []call, by float64, second bool) {
		for _, c := range calls {
			if c.async || c.phase2 && !second {
				continue
			}
			t := s.task0[c.entry]
			if n := by * c.mean * (1 - s.turned[t]); s.limit[t] > 0 {
				b.visit[t] += n
			} else {
				b.times[c.entry] += n
			}
		}
	}
	ask(calls, 1, false)
	for _, e := range s.order {
		share := shares(e)
		by := b.times[e] + share
		if by == 0 {
			continue
		}
		b.times[e], b.share[e] = by, share
		entry, h := s.entries[e], s.host[s.task0[e]]
		b.delay += by * entry.Delay
		if h >= 0 {
			b.host[h] += by * entry.Demand
			b.host[h] += share * entry.Phase2 // only who holds a thread has a second phase that counts
		}
		ask(s.calls[e], by, share > 0)
	}
	return b
}

// sink adds to a body the work below the tasks that it visits, whose bodies are known.
func (s *solver) sink(b *body) {
	for t, n := range b.visit {
		if n == 0 {
			continue
		}
		under := s.bodies[t]
		for h := range b.below {
			b.below[h] += n * (under.host[h] + under.below[h])
		}
	}
}

// fullest is the share of a station's capacity that others may use at most while the throughputs are not known yet.
const fullest = 0.9999

// beside is the rate or load of a station by others, of a total and a part, below its capacity.
func beside(total, part, capacity float64) float64 {
	return math.Min(math.Max(0, total-part), fullest*capacity)
}

// crowd takes from the load of a station by others what so few closed users, who would be an endless number if they came at random, cannot bring:
// of what is left by the rest of the load, at most the share that keeps no more of them there than they are.
func (s *solver) crowd(load, capacity float64, closed func(source int) float64) float64 {
	users, theirs := 0.0, 0.0
	for i := range s.Sources {
		if n := s.Sources[i].Users; n > 0 && s.loadBy != nil {
			if x := closed(i); x > 0 {
				users, theirs = users+float64(n), theirs+x
			}
		}
	}
	if theirs == 0 {
		return load
	}
	rest := math.Max(0, load-theirs)
	return rest + math.Min(load-rest, math.Max(0, capacity-rest)*users/(users+capacity))
}
