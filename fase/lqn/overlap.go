package lqn

import (
	"math"

	"github.com/eve-emulation/eve/fase/qn"
)

// overlap tells, of 1 to so many threads of a task, how many times faster they get on as branches of forks below it go on together, or slower
// as they wait in order for longer demands of others: what Schweitzer's mean value analysis (1979) has of a network with these
// responses, over what it has of one whose response is the sum of shared times.
func (s *solver) overlap(b *body, n *qn.Network, threads int) []float64 {
	out := make([]float64, threads)
	if !s.special(b) {
		for i := range out {
			out[i] = 1
		}
		return out
	}
	a := &amva{solver: s, body: b, network: n}
	last := 0
	for i := 1; ; i = min(threads, i+max(1, i/4)) {
		out[i-1] = a.throughput(i, true) / a.throughput(i, false)
		for j := last + 1; j < i; j++ { // between what was computed, a straight line
			part := float64(j-last) / float64(i-last)
			out[j-1] = out[last-1]*(1-part) + out[i-1]*part
		}
		if last = i; i == threads {
			return out
		}
	}
}

// special tells whether a body has forks, or waits in order for demands that are not like its own.
func (s *solver) special(b *body) bool {
	for e, n := range b.times {
		if n == 0 {
			continue
		}
		if h, d := s.host[s.task0[e]], s.entries[e].Demand; d > 0 && s.Hosts[h].Discipline != Sharing && !s.Hosts[h].Delay && math.Abs(s.rest(h, d)/d-1) > 0.01 {
			return true
		}
		for _, c := range s.calls[e] {
			if c.fork > 0 {
				return true
			}
		}
	}
	return false
}

type amva struct {
	*solver
	body    *body
	network *qn.Network
}

// throughput is that of so many threads.
func (a *amva) throughput(threads int, joined bool) float64 {
	n := a.network
	own, others := n.Classes[0].Demands, n.Classes[1].Demands
	queue := make([]float64, len(own))
	out := make([]span, len(a.entries))
	hosts, tasks := a.stations(a.body)
	x := 0.0
	for range 200 {
		v := a.newView()
		sum := 0.0
		residence := make([]float64, len(own))
		for k := range own {
			st := &n.Stations[k]
			residence[k] = own[k] * a.seen(st, others[k], queue[k]*float64(threads-1)/float64(threads))
			sum += residence[k]
		}
		if joined {
			for i, h := range hosts {
				v.stretch[h] = residence[i] / own[i]
			}
			for i, t := range tasks {
				k := len(hosts) + i
				v.wait[t] = math.Max(0, residence[k]/own[k]-1/n.Stations[k].Rates[0])
			}
			sum = a.cycle(a.body, v, out).mean
		}
		was := x
		x = float64(threads) / sum
		for k := range queue {
			queue[k] = (queue[k] + x*residence[k]) / 2
		}
		if math.Abs(x-was) < 1e-6*x {
			break
		}
	}
	return x
}

// seen is how many times its demand a request is at a station beside a load and so many of its kind.
func (a *amva) seen(st *qn.Station, load, queue float64) float64 {
	if st.Delay {
		return 1
	}
	fastest, first := float64(max(st.Servers, 1)), 1.0
	if st.Rates != nil {
		fastest, first = st.Rates[len(st.Rates)-1], st.Rates[0]
	}
	c := fastest / first
	return ((1+queue)/c + (c-1)/c) / (first * (1 - load/fastest))
}

// cycle is how long a request of a task holds its thread, its entries mixed as they are called.
func (s *solver) cycle(b *body, v *view, out []span) span {
	s.spans(b, v, out)
	var sum span
	for e, share := range b.share {
		if share > 0 {
			sum = sum.then(out[e].then(s.second(e, v, out)).times(share))
		}
	}
	return sum
}
