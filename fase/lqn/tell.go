package lqn

import "math"

// tell returns the solution.
func (s *solver) tell() Solution {
	a := &sums{response: make([]float64, len(s.entries)), second: make([]float64, len(s.entries)), wait: make([]float64, len(s.Tasks)), queue: make([]float64, len(s.Hosts))}
	out := make([]span, len(s.entries))
	for _, t := range s.limited {
		s.add(a, s.task[t], s.bodies[t], s.within[t], out)
	}
	for i, b := range s.top0 {
		s.add(a, s.x[i], b, s.views[i], out)
	}
	s.add(a, 1, s.async, s.aside, out)
	r := Solution{Iterations: s.iterations, Residual: s.residual, Method: s.network0.Method, Exact: s.network0.Exact, Approximated: s.network0.Approximated}
	if len(s.limited) > 0 {
		r.Method = "method of layers over " + r.Method
	}
	s.tellHosts(&r, a)
	s.tellTasks(&r, a)
	s.tellSources(&r)
	s.tellLimits(&r)
	s.confess(&r)
	return r
}

// sums are over all contexts, per second.
type sums struct {
	response, second []float64 // by entry of tasks without limits
	wait             []float64 // by task
	queue            []float64 // by host
}

// add adds what a context sees, at a rate.
func (s *solver) add(a *sums, rate float64, b *body, v *view, out []span) {
	s.spans(b, v, out)
	for e, n := range b.times {
		if n == 0 {
			continue
		}
		x, h := s.entries[e], s.host[s.task0[e]]
		a.response[e] += rate * n * out[e].mean
		if h >= 0 {
			a.queue[h] += rate * n * (x.Demand + s.atHost(e, x.Demand, v))
		}
		if b.share[e] > 0 && h >= 0 {
			a.queue[h] += rate * n * (x.Phase2 + s.atHost(e, x.Phase2, v))
		}
	}
	for t, n := range b.visit {
		if n > 0 {
			a.wait[t] += rate * n * v.wait[t]
		}
	}
}

func (s *solver) tellHosts(r *Solution, a *sums) {
	for h := range s.Hosts {
		for _, e := range s.hosted[h] { // second phases of tasks without limits
			if x := s.entries[e].Phase2; x > 0 && s.limit[s.task0[e]] == 0 {
				a.queue[h] += s.entry[e] * (x + s.atHost(e, x, s.aside))
			}
		}
		y := HostSolution{Name: s.Hosts[h].Name, Utilisation: s.load[h], Queue: a.queue[h], Stretch: 1}
		if s.load[h] > 0 {
			y.Stretch = y.Queue / s.load[h]
		}
		if !s.Hosts[h].Delay {
			y.Utilisation /= s.capacity(h)
		}
		r.Hosts = append(r.Hosts, y)
	}
}

func (s *solver) tellTasks(r *Solution, a *sums) {
	e := 0
	for t := range s.Tasks {
		y := TaskSolution{Name: s.Tasks[t].Name, Throughput: s.task[t], Capacity: math.Inf(1), Turned: s.turned[t]}
		if y.Throughput > 0 {
			y.Wait = a.wait[t] / y.Throughput
		}
		y.Queue = y.Throughput * y.Wait
		for range s.Tasks[t].Entries {
			z := EntrySolution{Name: s.entries[e].Name, Throughput: s.entry[e]}
			switch {
			case s.limit[t] > 0:
				z.Service, z.Phase2 = s.service[e].mean, s.after[e].mean
			case z.Throughput > 0:
				z.Service, z.Phase2 = a.response[e]/z.Throughput, s.second(e, s.aside, s.free).mean
			default:
				z.Service, z.Phase2 = s.bare[e].mean, s.bare2[e].mean
			}
			z.Response = y.Wait + z.Service
			y.Busy += z.Throughput * (z.Service + z.Phase2)
			y.Entries = append(y.Entries, z)
			e++
		}
		if n := s.Tasks[t].Threads; n > 0 {
			y.Utilisation = y.Busy / float64(n)
		}
		if l := s.layers[t]; l != nil {
			y.Capacity = l.rates[len(l.rates)-1]
		}
		r.Tasks = append(r.Tasks, y)
	}
}

func (s *solver) tellSources(r *Solution) {
	for i := range s.Sources {
		src, b := &s.Sources[i], s.top0[i]
		y := SourceSolution{Name: src.Name, Throughput: s.x[i], Response: s.response[i].mean}
		if src.Users > 0 && y.Throughput > 0 {
			y.Response = float64(src.Users)/y.Throughput - src.Think
		}
		for h := range s.Hosts {
			y.Parts = append(y.Parts, b.host[h]+b.below[h])
		}
		kept := 0.0
		for t, n := range s.asked(i) {
			if s.turned[t] > 0 {
				kept += n * math.Log1p(-math.Min(s.turned[t], 1-1e-12))
			}
		}
		y.Turned = math.Max(0, -math.Expm1(kept))
		r.Sources = append(r.Sources, y)
	}
}

// asked is how often one request of a source asks each task, in all that it waits for.
func (s *solver) asked(source int) []float64 {
	out, times := make([]float64, len(s.Tasks)), make([]float64, len(s.entries))
	ask := func(calls []call, by float64) {
		for _, c := range calls {
			if !c.async && !c.phase2 {
				t := s.task0[c.entry]
				out[t] += by * c.mean
				times[c.entry] += by * c.mean * (1 - s.turned[t])
			}
		}
	}
	ask(s.source[source], 1)
	for _, e := range s.order {
		ask(s.calls[e], times[e])
	}
	return out
}

// decisive is how many times the use of what is below it a task's threads must be used to be a bottleneck of their own.
const decisive = 1.05

// tellLimits finds what comes to its limit first.
func (s *solver) tellLimits(r *Solution) {
	consider := func(b Bottleneck) {
		switch {
		case b.Load > r.Bottleneck.Load:
			b.Next, b.NextLoad = r.Bottleneck.Name, r.Bottleneck.Load
			r.Bottleneck = b
		case b.Load > r.Bottleneck.NextLoad:
			r.Bottleneck.Next, r.Bottleneck.NextLoad = b.Name, b.Load
		}
	}
	for h := range s.Hosts {
		if !s.Hosts[h].Delay {
			consider(Bottleneck{Name: s.Hosts[h].Name, Load: r.Hosts[h].Utilisation})
		}
	}
	used := make([]float64, len(s.Tasks)) // the most of what is below and of the task itself
	software := -1
	for _, t := range s.limited {
		for h, d := range s.bodies[t].host {
			if d > 0 && !s.Hosts[h].Delay {
				used[t] = math.Max(used[t], r.Hosts[h].Utilisation)
			}
		}
		for u, n := range s.bodies[t].visit {
			if n > 0 {
				used[t] = math.Max(used[t], used[u])
			}
		}
		if s.layers[t] == nil {
			continue
		}
		load := s.offered[t] / r.Tasks[t].Capacity
		if load > decisive*used[t] {
			used[t] = load
			if consider(Bottleneck{Name: s.Tasks[t].Name, Software: true, Load: load}); r.Bottleneck.Name == s.Tasks[t].Name {
				software = t
			}
		}
	}
	if software >= 0 && r.Bottleneck.Software {
		r.Tasks[software].Software = true
	}
	r.Bottleneck.Scale = 1 / r.Bottleneck.Load
}

// confess names what was approximated.
func (s *solver) confess(r *Solution) {
	say := func(what string) { r.Exact, r.Approximated = false, append(r.Approximated, what) }
	if len(s.limited) > 0 && !s.plainPool() {
		say("tasks with threads: as stations that are as fast as their busy threads, all alone, get through what is below them")
	}
	if s.bounds {
		say("bounded queues of tasks: calls come at random, whatever was turned away before")
	}
	forks, uneven, order, phases := false, false, false, false
	for e, x := range s.entries {
		for _, c := range s.calls[e] {
			forks = forks || c.fork > 0
			phases = phases || c.async || c.phase2
		}
		phases = phases || x.Phase2 > 0
		if h := s.host[s.task0[e]]; h >= 0 && x.Demand > 0 && s.Hosts[h].Discipline != Sharing && !s.Hosts[h].Delay {
			order = order || s.Hosts[h].Discipline == Priority
			uneven = uneven || math.Abs(x.SCV-1) > 1e-9 || math.Abs(s.rest(h, x.Demand)/x.Demand-1) > 1e-9
		}
	}
	for _, calls := range s.source {
		for _, c := range calls {
			forks, phases = forks || c.fork > 0, phases || c.async
		}
	}
	if forks {
		say("forks: the largest of times that are independent and have laws of gamma, less what queueing at the same time saves by Nelson and Tantawi; 5 % off at equal queues")
	}
	if phases {
		say("second phases and asynchronous calls: they come at random")
	}
	if uneven {
		say("hosts that serve in order: waits as those of a single queue with these laws (Pollaczek and Khinchine, Allen and Cunneen)")
	}
	if order {
		say("priorities at hosts: by Cobham, of a single queue with Poisson arrivals")
	}
	if s.iterations == most {
		say("the layers did not come to rest: the figures are of the last of their rounds")
	}
}

// plainPool tells whether the model is a product form though tasks have limits: each of them holds a single exponential time.
func (s *solver) plainPool() bool {
	for _, t := range s.limited {
		b := s.bodies[t]
		hosts, tasks := s.stations(b)
		visits := len(hosts) + len(tasks)
		if b.delay > 0 {
			visits++
		}
		entries := 0
		for _, n := range b.share {
			if n > 0 {
				entries++
			}
		}
		if visits != 1 || len(tasks) > 0 || entries != 1 || math.Abs(s.uneven(t)-1) > 1e-9 || s.places[t] > 0 {
			return false
		}
		for _, h := range hosts {
			if s.load[h] > s.task[t]*b.host[h]*(1+1e-9) {
				return false
			}
		}
	}
	return true
}
