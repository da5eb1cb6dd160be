package solve

import (
	"math"
	"slices"

	"github.com/eve-emulation/eve/fase/qn"
)

// stacked is what is known of a layer, of one copy of it.
type stacked struct {
	body    []asked   // of the mean pass
	offered float64   // requests per second
	rate    float64   // of them, those that are not turned away
	hold    float64   // s of the mean pass, where nobody waits
	delay   float64   // s of it beside its body
	uneven  float64   // what the laws of passes make of the wait
	first   []int     // by ask of the body: its first station of the network, -1 where it is part of the delay
	inputs  []float64 // what the growth was solved for
	growth  *qn.Growth
	rates   []float64 // passes per second with 1, 2, … workers busy; nil where it is not solved
	present []float64 // probabilities of 0, 1, … workers busy, one less than there are
	wait    float64   // s
	busy    float64
	// mixed is present as those who call from within other layers see it times their rate, which is weight, and waits what they wait times that.
	mixed         []float64
	weight, waits float64
}

// full is the requests per second of one copy with all workers busy.
func (l *stacked) full() float64 { return l.rates[len(l.rates)-1] }

// nearly is the share of a station's capacity that others may use at most.
const nearly = 0.9999

// stack solves the layers for what they are asked, the lowest first.
func (s *solver) stack() error {
	for i := range s.stacks {
		l, at := &s.n.layers[i], &s.stacks[i]
		s.mean(l, at)
		if at.rate <= 0 || s.relieved[s.n.stations[l.station].tier] {
			at.rates = nil
			continue
		}
		if err := s.grow(l, at); err != nil {
			return err
		}
	}
	return nil
}

// mean finds the mean pass of a layer.
func (s *solver) mean(l *layer, at *stacked) {
	st := &s.n.stations[l.station]
	at.body, at.offered = at.body[:0], 0
	first, second := 0.0, 0.0
	for i := range l.passes {
		p := &l.passes[i]
		w := s.held[p.entry][p.hold] * p.share / float64(len(st.names))
		bare := s.bare[p.entry][p.hold]
		at.offered, first, second = at.offered+w, first+w*bare.m1, second+w*bare.m2
		for _, a := range p.asks {
			k := slices.IndexFunc(at.body, func(b asked) bool { return b.station == a.station })
			if k < 0 {
				k = len(at.body)
				at.body = append(at.body, asked{station: a.station, copies: a.copies})
			}
			at.body[k].visits += w * a.visits
			at.body[k].demand += w * a.demand
		}
	}
	at.rate = at.offered * (1 - s.at[l.station].turned)
	if at.rate <= 0 || first <= 0 {
		at.rate = 0
		return
	}
	at.hold = first / at.offered
	at.uneven = max(1, second/first/at.hold) / 2
	for k := range at.body {
		at.body[k].visits /= at.offered
		at.body[k].demand /= at.offered
	}
}

// layerOf is the layer of a station that is solved as one, -1 of others.
func (s *solver) layerOf(k int) int {
	for i := range s.stacks {
		if s.n.layers[i].station == k && s.stacks[i].rates != nil {
			return i
		}
	}
	return -1
}

// ended reports whether a line has an end.
func (s *solver) ended(k int) bool { return s.n.stations[k].room > 0 && !s.unbounded }

// grow finds how fast a layer is with 1, 2, … workers busy.
func (s *solver) grow(l *layer, at *stacked) error {
	workers := s.n.stations[l.station].servers
	net := qn.Network{Classes: []qn.Class{{Name: "workers", Users: 1}, {Name: "others", Rate: 1}}}
	own, others := &net.Classes[0], &net.Classes[1]
	at.first, at.delay = at.first[:0], at.hold
	inputs, steps := []float64{}, 0
	for _, a := range at.body {
		q, part, load, hold := s.place(a, at)
		at.delay -= hold
		if steps += int(a.copies) * workers * max(q.Servers, len(q.Rates)); part == 0 || steps > mostSteps {
			at.first = append(at.first, -1)
			at.delay += hold + s.waited(a)
			continue
		}
		at.first = append(at.first, len(net.Stations))
		inputs = append(append(inputs, float64(a.station), a.copies, part, load), q.Rates...)
		for range int(a.copies) {
			net.Stations, own.Demands, others.Demands = append(net.Stations, q), append(own.Demands, part), append(others.Demands, load)
		}
	}
	if at.delay < 1e-9*at.hold { // what is left of rounding, and of what goes on after a reply
		at.delay = 0
	}
	if inputs = append(inputs, at.delay); at.rates != nil && close(inputs, at.inputs) {
		return nil
	}
	net.Stations = append(net.Stations, qn.Station{Name: "delay", Delay: true})
	own.Demands, others.Demands = append(own.Demands, at.delay), append(others.Demands, 0)
	var err error
	if at.growth, err = net.Grow(workers); err != nil {
		return err
	}
	at.inputs, at.rates = inputs, make([]float64, workers)
	for n := range at.rates {
		at.rates[n] = at.growth.Throughput[n+1]
		if n > 0 {
			at.rates[n] = max(at.rates[n], at.rates[n-1]) // rounding
		}
	}
	return nil
}

// close reports whether nothing has changed that counts.
func close(a, b []float64) bool {
	for i := range a {
		if i >= len(b) || relative(a[i], b[i]) > 1e-11 {
			return false
		}
	}
	return len(a) == len(b)
}

// place is one copy of what a pass asks as a station, what of it a pass demands, what others do, and how long all of it takes where nobody waits. A
// demand of 0 says that it is not treated as a station.
func (s *solver) place(a asked, at *stacked) (q qn.Station, part, load, hold float64) {
	st := &s.n.stations[a.station]
	if st.kind == Hardware {
		q = qn.Station{Name: st.tier, Servers: st.servers}
		if st.order != fcfs && st.order != sharing || st.room > 0 || s.relieved[st.tier] {
			return q, 0, 0, a.demand
		}
		for _, f := range s.at[a.station].flows {
			load += f.b1
		}
		part = a.demand / a.copies
		return q, part, min(max(0, load-at.rate*part), nearly*float64(st.servers)), a.demand
	}
	u := s.layerOf(a.station)
	if u < 0 {
		return q, 0, 0, 0
	}
	under := &s.stacks[u]
	hold = a.visits * under.hold
	if s.ended(a.station) {
		return q, 0, 0, hold
	}
	q, part = qn.Station{Name: st.tier, Rates: under.rates}, a.visits/a.copies
	return q, part, min(max(0, under.rate-at.rate*part), nearly*under.full()), hold
}

// waited is what a pass waits at a station that is not treated as one: as all that come there.
func (s *solver) waited(a asked) float64 {
	st, sum, runs := &s.at[a.station], 0.0, 0.0
	share := s.n.stations[a.station].order == sharing
	for c, f := range st.flows {
		if share {
			sum, runs = sum+f.b1*st.wait[c], runs+f.b1
		} else {
			sum, runs = sum+f.runs*st.wait[c], runs+f.rate
		}
	}
	for i := range s.stacks { // and what is held there is longer than where nobody waits
		if s.n.layers[i].station == a.station {
			now := 0.0
			for _, f := range st.flows {
				now += f.b1
			}
			sum += max(0, now-runs*s.stacks[i].hold)
		}
	}
	if runs == 0 {
		return 0
	}
	if share {
		return a.demand * sum / runs
	}
	return a.visits * sum / runs
}

// arrive solves a layer as requests from outside find it: a chain of births and deaths.
func (s *solver) arrive(k int, at *stacked) (turned float64) {
	sn, m := &s.n.stations[k], len(at.rates)
	p, sum := make([]float64, m), 1.0
	p[0] = 1
	x, queue, busy, line, last := 1.0, 0.0, 0.0, 0.0, 1.0
	scale := func(f float64) {
		for i := range p {
			p[i] *= f
		}
		x, sum, queue, busy, line, last = x*f, sum*f, queue*f, busy*f, line*f, last*f
	}
	end := math.MaxInt
	if s.ended(k) {
		end = m + sn.room
	}
	r := at.offered / at.full()
	for n := 1; n <= end; n++ {
		x *= at.offered / at.rates[min(n, m)-1]
		if last = x; n < m {
			p[n] = x
		}
		if n == m && end == math.MaxInt { // the rest is a geometric series
			r = min(r, 1-1e-9)
			sum, busy, queue = sum+x/(1-r), busy+x*float64(m)/(1-r), queue+x*r/(1-r)/(1-r)
			break
		}
		sum, busy, queue = sum+x, busy+x*float64(min(n, m)), queue+x*float64(max(0, n-m))
		if n >= m && n < end {
			line += x
		}
		if sum > 1e200 {
			scale(1e-200)
		}
	}
	if end < math.MaxInt {
		turned = last / sum
	}
	scale(1 / sum)
	at.present, at.busy = p, busy
	at.wait = queue / max(at.offered*(1-turned), 1e-12) * (1 + (at.uneven-1)*(1-turned)) * s.even(at)
	return turned
}

// even is what is left of a wait for workers where the processors behind them are balanced.
func (s *solver) even(at *stacked) float64 {
	f := 1.0
	for i, a := range at.body {
		if at.first[i] >= 0 && s.n.stations[a.station].kind == Hardware && a.copies == 1 {
			f = min(f, s.kept(a.station, s.at[a.station].rho))
		}
	}
	return f
}

// loaded finds the utilisation of a layer's workers, and returns what share of its capacity it is offered where nobody is turned away.
func (s *solver) loaded(k int, at *stacked) float64 {
	st := &s.at[k]
	st.apart, st.offered = 1, at.offered/at.full()
	st.turned = s.arrive(k, at)
	at.rate = at.offered * (1 - st.turned)
	st.rho = min(1, at.busy/float64(len(at.rates)))
	if s.ended(k) {
		return 0
	}
	return st.offered
}
