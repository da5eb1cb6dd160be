package lqn

import "math"

// A span is a time that passes, s and s².
type span struct{ mean, variance float64 }

func (a span) then(b span) span { return span{a.mean + b.mean, a.variance + b.variance} }

// times is so many of a span, one after the other: the whole part of n always, and one more as often as the rest says.
func (a span) times(n float64) span {
	rest := n - math.Floor(n)
	return span{n * a.mean, n*a.variance + rest*(1-rest)*a.mean*a.mean}
}

// waited is a wait of so much in the mean beside a service of mean d, spread as that of an M/M/1, whose response is exponential.
func waited(w, d float64) span { return span{w, w * (w + 2*d)} }

// atHost is the wait of a demand at the host of an entry.
func (s *solver) atHost(e int, d float64, v *view) float64 {
	h := s.host[s.task0[e]]
	if h < 0 || d == 0 || s.Hosts[h].Delay {
		return 0
	}
	w := v.stretch[h] - 1
	if s.Hosts[h].Discipline == Sharing {
		return w * d
	}
	// In order all wait alike: for the rest of demands that are served (Pollaczek and Khinchine; of several servers Allen and Cunneen).
	w *= s.rest(h, d)
	if s.Hosts[h].Discipline == Priority {
		before, upTo, all := s.ranked(h, s.Tasks[s.task0[e]].Priority)
		w *= (1 - all) / ((1 - before) * (1 - upTo)) // Cobham 1954
	}
	return w
}

// rest is the mean rest of a demand that a host is at, E[d²]/2E[d]; that of an exponential d where there is none.
func (s *solver) rest(h int, d float64) float64 {
	first, second := 0.0, 0.0
	for _, e := range s.hosted[h] {
		x := s.entries[e]
		first += s.entry[e] * (x.Demand + x.Phase2)
		second += s.entry[e] * (1 + x.SCV) * (x.Demand*x.Demand + x.Phase2*x.Phase2)
	}
	if first == 0 {
		return d
	}
	return second / (2 * first)
}

// ranked is the utilisation of a host by tasks that go before a priority, by those and its own, and by all.
func (s *solver) ranked(h, priority int) (before, upTo, all float64) {
	for _, e := range s.hosted[h] {
		u := s.entry[e] * (s.entries[e].Demand + s.entries[e].Phase2) / s.capacity(h)
		p := s.Tasks[s.task0[e]].Priority
		if all += u; p <= priority {
			upTo += u
		}
		if p < priority {
			before += u
		}
	}
	if all > fullest { // while the throughputs are not known yet
		before, upTo, all = before*fullest/all, upTo*fullest/all, fullest
	}
	return before, upTo, all
}

// spans fills in how long the entries of a body take until the reply, as its context sees hosts and tasks, in out; others are left alone.
// service tells the same of entries of tasks with limits, without the wait for a thread.
func (s *solver) spans(b *body, v *view, out []span) {
	for i := len(s.order) - 1; i >= 0; i-- {
		if e := s.order[i]; b.times[e] > 0 {
			out[e] = s.reply(e, v, out)
		}
	}
}

// served is the time of a demand at the host of an entry. Shared among all, that of an exponential one varies as (2 + ρ)/(2 − ρ), ρ being
// the share of it that is due to others (Coffman, Muntz and Trotter, "Waiting Time Distributions for Processor-Sharing Systems", Journal
// of the ACM 17(1), 1970).
func (s *solver) served(e int, d float64, v *view) span {
	if d == 0 {
		return span{}
	}
	w := s.atHost(e, d, v)
	variance := s.entries[e].SCV * d * d
	if h := s.host[s.task0[e]]; s.Hosts[h].Discipline == Sharing {
		share := w / (w + d)
		return span{d + w, variance*(1+w/d)*(1+w/d) + (d+w)*(d+w)*2*share/(2-share)}
	}
	return span{d, variance}.then(waited(w, d))
}

// reply is how long an entry takes until its reply.
func (s *solver) reply(e int, v *view, out []span) span {
	x := s.entries[e]
	a := s.served(e, x.Demand, v).then(span{x.Delay, x.SCV * x.Delay * x.Delay})
	return a.then(s.sequence(s.calls[e], s.entry[e], false, v, out))
}

// second is how long an entry goes on after its reply.
func (s *solver) second(e int, v *view, out []span) span {
	return s.served(e, s.entries[e].Phase2, v).then(s.sequence(s.calls[e], s.entry[e], true, v, out))
}

// sequence is the time of the synchronous calls of a phase, one after the other but those of forks, made at a rate.
func (s *solver) sequence(calls []call, rate float64, phase2 bool, v *view, out []span) span {
	var sum span
	forks := false
	for _, c := range calls {
		if c.async || c.phase2 != phase2 {
			continue
		}
		if c.fork > 0 {
			forks = true
			continue
		}
		sum = sum.then(s.called(c, v, out))
	}
	if forks {
		for _, f := range forked(calls, phase2) {
			sum = sum.then(s.join(f, rate, v, out))
		}
	}
	return sum
}

// called is the time of a call, all the times that it is made.
func (s *solver) called(c call, v *view, out []span) span {
	t := s.task0[c.entry]
	n := c.mean * (1 - s.turned[t])
	if s.limit[t] == 0 {
		return out[c.entry].times(n)
	}
	return s.service[c.entry].then(waited(v.wait[t], s.service[c.entry].mean)).times(n)
}

// forked groups the calls of forks.
func forked(calls []call, phase2 bool) [][]call {
	at := map[int]int{}
	var out [][]call
	for _, c := range calls {
		if c.fork == 0 || c.async || c.phase2 != phase2 {
			continue
		}
		i, ok := at[c.fork]
		if !ok {
			i = len(out)
			at[c.fork], out = i, append(out, nil)
		}
		out[i] = append(out[i], c)
	}
	return out
}

// join is the time until all branches of a fork are back: the largest of independent times, each with the law of gamma of its mean and
// variance, less what it matters that branches queue at the same time (Nelson and Tantawi, "Approximate Analysis of Fork/Join
// Synchronization in Parallel Queues", IEEE Transactions on Computers 37(6), 1988, who have this of equal queues that nobody else
// visits and serve in order; of shared ones two thirds of it, as simulations of 2 to 8 branches at 50 and 70 % show within 1 %).
func (s *solver) join(branches []call, rate float64, v *view, out []span) span {
	spans := make([]span, len(branches))
	together, least, shared := 0.0, 0.0, 0.0
	for i, c := range branches {
		spans[i] = s.called(c, v, out)
		least = math.Max(least, spans[i].mean)
		if h := s.host[s.task0[c.entry]]; h < 0 || s.Hosts[h].Discipline == Sharing {
			shared += 1 / float64(len(branches))
		}
		if m := spans[i].mean; m > 0 {
			bare := s.bare[c.entry].mean * c.mean
			together += math.Max(0, 1-bare/m) * s.alone(c, rate) / float64(len(branches))
		}
	}
	if len(spans) == 1 {
		return spans[0]
	}
	j := largest(spans)
	k := 1 - (1-synchronous(len(branches), together))*(1-shared/3)
	return span{math.Max(least, k*j.mean), j.variance}
}

// alone is the share of the load where a branch is served that is the branch's own.
func (s *solver) alone(c call, rate float64) float64 {
	x := s.entries[c.entry]
	if h := s.host[s.task0[c.entry]]; h >= 0 && x.Demand > 0 && s.load[h] > 0 {
		return math.Min(1, rate*c.mean*x.Demand/s.load[h])
	}
	if s.entry[c.entry] > 0 {
		return math.Min(1, rate*c.mean/s.entry[c.entry])
	}
	return 0
}

// synchronous is how many times that of independent ones the mean of n branches is, of a share of waiting in each: 1 of two that never wait.
func synchronous(n int, waiting float64) float64 {
	if n < 2 {
		return 1
	}
	sum := 0.0
	for i := 1; i <= n; i++ {
		sum += 1 / float64(i)
	}
	return (1/1.5 + 4.0/11*(1/sum-1/1.5)*waiting) * (12 - waiting) / 8
}

// uneven is what the law of the times that requests hold a thread makes of the wait for one: (1 + c²)/2 (Allen and Cunneen).
func (s *solver) uneven(t int) float64 {
	weight, first, second := 0.0, 0.0, 0.0
	for e, of := range s.task0 {
		if of != t {
			continue
		}
		w := s.entry[e]
		if s.task[t] == 0 {
			w = 1
		}
		h := s.bare[e].then(s.bare2[e])
		weight, first, second = weight+w, first+w*h.mean, second+w*(h.variance+h.mean*h.mean)
	}
	if first == 0 {
		return 1
	}
	return (1 + second*weight/(first*first) - 1) / 2
}
