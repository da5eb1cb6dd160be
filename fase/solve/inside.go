package solve

import "math"

// inside finds what workers wait for below them, the highest layers first, and what is waited for them.
func (s *solver) inside() (change float64) {
	num, den := make([][]float64, len(s.at)), make([][]float64, len(s.at))
	for i := range s.stacks {
		s.stacks[i].weight, s.stacks[i].waits = 0, 0
		s.stacks[i].mixed = make([]float64, len(s.stacks[i].rates))
	}
	for i := len(s.stacks) - 1; i >= 0; i-- {
		l, at := &s.n.layers[i], &s.stacks[i]
		if at.rates == nil {
			continue
		}
		if at.weight > 0 {
			above := max(0, at.rate-at.weight)
			for n := range at.present {
				at.present[n] = (above*at.present[n] + at.mixed[n]) / (above + at.weight)
			}
			at.wait = (above*at.wait + at.waits) / (above + at.weight)
		}
		s.look(l, at, num, den)
		change = max(change, s.workers(l.station, at))
	}
	for k := range num {
		if num[k] != nil {
			change = max(change, s.blend(k, num[k], den[k]))
		}
	}
	return change
}

// look averages what workers see over how many of them are busy.
func (s *solver) look(l *layer, at *stacked, num, den [][]float64) {
	idle := at.present[0]
	rest := 1 - idle
	ps := make([]float64, len(at.rates)+1) // of those who are busy
	for n := 1; n < len(at.rates); n++ {
		ps[n] = at.present[n]
		rest -= ps[n]
	}
	ps[len(at.rates)] = max(0, rest)
	rate, sum := 0.0, 0.0
	for n, p := range ps {
		rate, sum = rate+p*at.growth.Throughput[n], sum+p
	}
	if sum <= 1e-300 || rate <= 0 {
		ps[1], rate, sum, idle = 1, at.growth.Throughput[1], 1, 0
	}
	for i, a := range at.body {
		k := at.first[i]
		if k < 0 {
			continue
		}
		queue := 0.0
		for n, p := range ps {
			if n > 0 && p > 1e-15*sum {
				queue += p * at.growth.Queue(k, n)
			}
		}
		if u := s.layerOf(a.station); u >= 0 {
			s.under(&s.stacks[u], l, at, a, k, ps, queue, rate, idle)
			continue
		}
		stretch := queue / (rate * a.demand / a.copies)
		s.credit(l, a.station, stretch, num, den)
	}
}

// under tells a layer what another one that calls it sees of it.
func (s *solver) under(u *stacked, l *layer, at *stacked, a asked, k int, ps []float64, queue, rate, idle float64) {
	part := a.visits / a.copies
	own, busy := rate*part, 0.0
	weight := at.rate * a.visits * float64(len(s.n.stations[l.station].names)) / float64(len(s.n.stations[a.station].names))
	for n, p := range ps {
		if n == 0 || p <= 1e-15 {
			continue
		}
		busy += p * at.growth.Busy(k, n)
		for j, y := range at.growth.Present(k, n) {
			u.mixed[j] += weight * p * y
		}
	}
	u.mixed[0] += weight * idle
	others := (1 - idle) * max(0, u.rate-at.rate*part)
	wait := max(0, queue/own-busy/(own+others)) * u.uneven * s.even(u)
	u.weight += weight
	u.waits += weight * wait
}

// credit adds what the passes of a layer wait at hardware, in s per s and copy, by class.
func (s *solver) credit(l *layer, k int, stretch float64, num, den [][]float64) {
	if num[k] == nil {
		num[k], den[k] = make([]float64, len(s.n.classes)), make([]float64, len(s.n.classes))
	}
	for i := range l.passes {
		p := &l.passes[i]
		w := s.held[p.entry][p.hold] * p.share * (1 - s.at[l.station].turned) / float64(len(s.n.stations[k].names))
		for _, a := range p.asks {
			if c := s.n.entries[p.entry].class; a.station == k {
				num[k][c] += w * a.demand * (stretch - 1)
				den[k][c] += w * a.demand
			}
		}
	}
}

// workers sets the wait for the workers of a layer.
func (s *solver) workers(k int, at *stacked) (change float64) {
	st := &s.at[k]
	m := float64(len(at.rates))
	waits := 1.0
	for _, p := range at.present {
		waits -= p
	}
	waits = min(max(waits, at.busy/m*1e-3, 1e-9), 1)
	for c := range st.wait {
		change = max(change, math.Abs(at.wait-st.wait[c])/max(at.wait, at.hold))
		st.wait[c] = at.wait
		st.vari[c] = at.wait * at.wait * max(0, 2/waits-1)
		if st.turned > 0.01 { // hardly varies at a line that is full: so many services of those in front
			line := at.wait * at.rate
			st.vari[c] = min(st.vari[c], at.wait*at.wait/max(1, line)*2*at.uneven)
		}
	}
	return change
}

// blend sets the waits at hardware: of those who come from within layers as workers see them, of others as they were found.
func (s *solver) blend(k int, num, den []float64) (change float64) {
	st, share := &s.at[k], s.n.stations[k].order == sharing
	b1, b2, rate := 0.0, 0.0, 0.0
	for _, f := range st.flows {
		b1, b2, rate = b1+f.b1, b2+f.b2, rate+f.runs
	}
	law := max(1, b2*rate/b1/b1) // 1 + c²
	grow := (st.apart + law - 1) / 2
	if share {
		grow = (st.apart + 1) / 2
	}
	grow *= s.kept(k, st.rho)
	for c, f := range st.flows {
		if den[c] <= 0 || f.b1 <= 0 {
			continue
		}
		part, all := min(1, den[c]/f.b1), f.runs
		if share {
			all = f.b1
		}
		w := max(0, num[c])*grow/all + (1-part)*st.wait[c]
		if old := st.wait[c]; old > 0 {
			st.vari[c] *= w / old * w / old
		}
		st.wait[c] = w
	}
	st.within = true
	for c, w := range st.wait {
		scale := 1.0
		if f := st.flows[c]; f.rate > 0 && !share {
			scale = f.b1/f.rate + 1e-12
		}
		change = max(change, math.Abs(w-st.before[c])/max(scale, w))
	}
	return change
}
