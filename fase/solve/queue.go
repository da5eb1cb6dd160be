package solve

import (
	"math"
	"slices"
	"sort"
)

// queue finds the waits at every station for what it is asked, and returns by how much they changed. The error is an Unstable.
func (s *solver) queue() (change float64, err error) {
	if err := s.offer(); err != nil {
		return 0, err
	}
	for k := range s.at {
		if s.layerOf(k) >= 0 {
			continue
		}
		st := &s.at[k]
		st.before = append(st.before[:0], st.wait...)
		if x := s.settle(k); !st.within {
			change = max(change, x)
		}
		st.within = false
	}
	change = max(change, s.inside())
	if s.product {
		more, err := s.crowd()
		return max(change, more), err
	}
	return change, nil
}

// offer finds the utilisations: of hardware first, as pools above hardware that is full are full because of it.
func (s *solver) offer() error {
	full := func(layers bool) error {
		worst, rho := -1, 1-1e-9
		for k := range s.at {
			i := s.layerOf(k)
			if layers != (i >= 0) {
				continue
			}
			x := 0.0
			if i < 0 {
				x = s.load(k)
			} else {
				x = s.loaded(k, &s.stacks[i])
			}
			if x >= rho {
				worst, rho = k, x
			}
		}
		if worst < 0 {
			return nil
		}
		return &Unstable{Resource: s.n.stations[worst].names[0], Offered: rho, tier: s.n.stations[worst].tier, station: worst}
	}
	if err := full(false); err != nil {
		return err
	}
	if err := s.stack(); err != nil {
		return err
	}
	return full(true)
}

// load finds the utilisation of a station, and returns what of it has no bound: that of open groups where nobody is turned away.
func (s *solver) load(k int) float64 {
	st, sn := &s.at[k], &s.n.stations[k]
	all, open, rate, apart := 0.0, 0.0, 0.0, 0.0
	for c := range st.flows {
		f := &st.flows[c]
		all += f.b1
		rate += f.rate
		apart += f.apart
		if s.n.groups[s.n.classes[c].group].users == 0 {
			open += f.b1
		}
	}
	st.apart = 1
	if rate > 0 {
		st.apart = apart / rate
	}
	if sn.turns {
		st.apart /= float64(len(sn.names))
	}
	servers := float64(max(sn.servers, 1))
	st.turned, st.offered = 0, all/servers
	st.rho = st.offered
	if s.relieved[sn.tier] {
		st.rho, st.offered = 0, 0
		return 0
	}
	if sn.room > 0 && !s.unbounded {
		st.turned, _, _ = bounded(sn.servers, sn.servers+sn.room, all)
		st.rho = st.offered * (1 - st.turned)
		return 0
	}
	if s.closed {
		st.rho = min(st.rho, 1)
	}
	return open / servers
}

// settle finds the waits at one station.
func (s *solver) settle(k int) (change float64) {
	st, sn := &s.at[k], &s.n.stations[k]
	if s.product && s.visited(k) {
		return 0 // crowd does it
	}
	before := slices.Clone(st.wait)
	switch {
	case s.relieved[sn.tier] || st.offered == 0:
		clear(st.wait)
		clear(st.vari)
	case sn.room > 0 && !s.unbounded:
		s.turning(k)
	case sn.order == urgent:
		s.urgent(k)
	case sn.order == shortest:
		s.shortest(k)
	default:
		s.line(k)
	}
	held := sn.kind != Hardware || s.closed
	for c := range st.wait {
		if !(st.wait[c] >= 0) {
			st.wait[c] = 0
		}
		if held && s.rounds > 1 { // what is held depends on what waits in turn
			st.wait[c] = (st.wait[c] + before[c]) / 2
		}
		// Relative to the service it is at least, so that what hardly waits does not count.
		scale := 1.0
		if f := st.flows[c]; f.rate > 0 && sn.order != sharing {
			scale = f.b1/f.rate + 1e-12
		}
		change = max(change, math.Abs(st.wait[c]-before[c])/max(scale, st.wait[c]))
	}
	return change
}

// line is first come, first served, or processor sharing. An arrival sees what is there without itself (the arrival theorem, Reiser and
// Lavenberg 1980; Sevcik and Mitrani 1981), of a bounded population the share that the others are (Bard 1979, Schweitzer 1979), of the
// request in service what is left of it (Pollaczek 1930), and of several servers one that waits with Erlang's probability (Lee and Longton
// 1959; Allen 1990). Open classes are solved at once, closed ones by iteration.
func (s *solver) line(k int) {
	st, sn := &s.at[k], &s.n.stations[k]
	n := len(st.flows)
	c := float64(sn.servers)
	share := sn.order == sharing
	b1, b2, b3, rate := 0.0, 0.0, 0.0, 0.0
	for i := range st.flows {
		f := &st.flows[i]
		b1, b2, b3, rate = b1+f.b1, b2+f.b2, b3+f.b3, rate+f.runs
	}
	mean := b1 / rate
	scv := max(0, b2/b1/mean-1)
	apart := (st.apart + scv) / (1 + scv)
	if st.apart < 1 && !share { // less than evenly spread arrivals wait still less (Kraemer and Langenbach-Belz 1976)
		rho := st.rho
		apart *= math.Exp(-2 * (1 - rho) / 3 / max(rho, 1e-9) * (1 - st.apart) * (1 - st.apart) / (st.apart + scv + 1e-12))
	}
	if share {
		apart = (st.apart + 1) / 2
	}
	a, inv, rest, closed := make([]float64, n), make([]float64, n), make([]float64, n), make([]bool, n)
	rho, limited := 0.0, false
	for i := range st.flows {
		f := &st.flows[i]
		a[i] = f.b1 / c
		if f.b1 > 0 {
			inv[i] = f.inv / f.b1
		}
		closed[i] = s.n.groups[s.n.classes[i].group].users > 0
		if closed[i] {
			inv[i] = max(inv[i], 1/max(1, math.Round(s.n.groups[s.n.classes[i].group].users*s.scale)))
		}
		limited = limited || inv[i] > 0
		rho += a[i]
	}
	for i := range st.flows {
		seen := min(rho-a[i]*inv[i], 1-1e-6)
		switch {
		case sn.servers > 1:
			p := erlang(sn.servers, max(seen, 0)) * max(0, 1-c*inv[i])
			rest[i] = p * mean / c * (1 + scv) / 2
			if share {
				rest[i] = p / c
			}
		case share:
			rest[i] = max(seen, 0)
		default:
			for j := range st.flows {
				if f := &st.flows[j]; f.b1 > 0 {
					x := a[j] * f.b2 / f.b1 / 2
					if i == j {
						x *= 1 - inv[j]
					}
					rest[i] += x
				}
			}
		}
		rest[i] *= apart
	}
	if f := s.kept(k, rho); f < 1 {
		for i := range rest {
			rest[i] *= f
		}
	}
	w := solveLine(a, inv, rest, closed, st.wait)
	copy(st.wait, w)
	for i := range w {
		seen := min(max(rho-a[i]*inv[i], 1e-12), 1)
		p := seen
		if sn.servers > 1 {
			p = min(1, erlang(sn.servers, min(seen, 1-1e-9)))
		}
		switch {
		case share:
			st.vari[i] = 0
		case sn.choices > 1 && sn.servers == 1 && sn.callers == 1 && rate > 0:
			st.vari[i] = s.evened(k, w[i], mean, rho)
		case sn.servers == 1 && !limited:
			st.vari[i] = w[i]*w[i] + b3/(3*(1-rho))
		default:
			st.vari[i] = w[i] * w[i] * max(0, 2/p-1)
		}
	}
}

// solveLine solves W(g) = rest(g) + Σ a(j)·W(j) − inv(g)·a(g)·W(g) for the open classes, with what the closed ones wait as it was.
func solveLine(a, inv, rest []float64, closed []bool, before []float64) []float64 {
	w := make([]float64, len(a))
	others := 0.0
	for j := range a {
		if closed[j] {
			others += a[j] * before[j]
		}
	}
	sum, left := 0.0, 1.0
	for g := range a {
		if !closed[g] {
			d := 1 + inv[g]*a[g]
			sum += a[g] * (rest[g] + others) / d
			left -= a[g] / d
		}
	}
	sum /= left
	for g := range a {
		if closed[g] {
			w[g] = rest[g] + others - inv[g]*a[g]*before[g] + sum
		} else {
			w[g] = (rest[g] + others + sum) / (1 + inv[g]*a[g])
		}
	}
	return w
}

// erlang is the probability that an arrival at c servers waits, at utilisation rho of each (Erlang 1917).
func erlang(c int, rho float64) float64 {
	if rho >= 1 {
		return 1
	}
	a, b := rho*float64(c), 1.0
	for k := 1; k <= c; k++ {
		b = a * b / (float64(k) + a*b)
	}
	return b / (1 - rho*(1-b))
}

// bounded is M/M/c with room for most at an offered load of a servers: the share that is turned away, the mean number that wait, and the
// probability that who is let in waits.
func bounded(c, most int, a float64) (turned, line, waits float64) {
	p, sum, busy := 1.0, 1.0, 0.0
	for n := 1; n <= most; n++ {
		p *= a / float64(min(n, c))
		if sum += p; sum > 1e200 { // only ratios count
			p, line, busy = p/sum, line/sum, busy/sum
			sum = 1
		}
		line += p * float64(max(0, n-c))
		if n >= c && n < most {
			busy += p
		}
	}
	if c == 0 {
		return 0, 0, 0
	}
	turned = p / sum
	return turned, line / sum, busy / sum / max(1-turned, 1e-12)
}

// turning is a line with an end.
func (s *solver) turning(k int) {
	st, sn := &s.at[k], &s.n.stations[k]
	rate, b1, b2 := 0.0, 0.0, 0.0
	for i := range st.flows {
		rate, b1, b2 = rate+st.flows[i].rate, b1+st.flows[i].b1, b2+st.flows[i].b2
	}
	turned, line, waits := bounded(sn.servers, sn.servers+sn.room, b1)
	mean := b1 / rate
	scv := max(0, b2/b1/mean-1)
	// Where the line is full most of the time, how long it takes does not depend on the law.
	grow := 1 + ((1+scv)/2-1)*(1-turned)
	w := line / max(rate*(1-turned), 1e-12) * grow
	for i := range st.wait {
		st.wait[i] = w
		st.vari[i] = w * w * max(0, 2/max(waits, 1e-9)-1)
		if turned > 0.01 { // hardly varies at a line that is full: so many services of those in front
			st.vari[i] = min(st.vari[i], w*w/max(1, line)*(1+scv))
		}
	}
}

// urgent is priorities: those before, and those of one's own (Cobham 1954; with preemption as Kleinrock, Queueing Systems II, section 3.4);
// several servers as Bondi and Buzen ("The Response Times of Priority Classes under Preemptive Resume in M/G/m Queues", SIGMETRICS 1984).
func (s *solver) urgent(k int) {
	st, sn := &s.at[k], &s.n.stations[k]
	c := float64(sn.servers)
	factor := 1.0
	if sn.servers > 1 && st.rho > 0 {
		factor = erlang(sn.servers, min(st.rho, 1-1e-9)) / st.rho
	}
	for i := range st.flows {
		before, with, left := 0.0, 0.0, 0.0
		own := s.n.classes[i].priority
		for j := range st.flows {
			f, p := &st.flows[j], s.n.classes[j].priority
			if p > own {
				before += f.b1 / c
			}
			if p >= own {
				with += f.b1 / c
			}
			if p >= own || !sn.preempt {
				left += f.b2 / 2 / c / c
			}
		}
		before, with = min(before, 1-1e-6), min(with, 1-1e-6)
		w := left / ((1 - before) * (1 - with))
		if sn.preempt && st.flows[i].rate > 0 {
			w += st.flows[i].b1 / st.flows[i].rate / c * before / (1 - before)
		}
		st.wait[i] = w * factor
		st.vari[i] = st.wait[i] * st.wait[i] * max(0, 2/min(max(st.rho, 1e-9), 1)-1)
	}
}

// grid is how many quantiles stand for the law of a demand.
const grid = 200

// shortest is the least demand first: M/G/1-SJF, or with preemption SRPT (Schrage and Miller 1966; Kleinrock, Queueing Systems II,
// section 3.7), by quantiles of the demands.
func (s *solver) shortest(k int) {
	st, sn := &s.at[k], &s.n.stations[k]
	type point struct {
		x, rate float64
		class   int
	}
	var ps []point
	for _, z := range st.sizes {
		for i := range grid {
			ps = append(ps, point{z.v.quantile((float64(i) + 0.5) / grid), z.rate / grid, z.class})
		}
	}
	sort.Slice(ps, func(i, j int) bool { return ps[i].x < ps[j].x })
	c := float64(sn.servers)
	factor := 1.0
	if sn.servers > 1 && st.rho > 0 {
		factor = erlang(sn.servers, min(st.rho, 1-1e-9)) / st.rho
	}
	b2, rate := 0.0, 0.0
	for i := range st.flows {
		b2 += st.flows[i].b2
	}
	for _, p := range ps {
		rate += p.rate
	}
	below, second, grown, last := 0.0, 0.0, 0.0, 0.0
	sums, squares, counts := make([]float64, len(st.wait)), make([]float64, len(st.wait)), make([]float64, len(st.wait))
	for _, p := range ps {
		half := p.rate * p.x / c / 2
		grown += (p.x - last) / max(1-below, 1e-6) // SRPT: how long it takes to be served among those that are shorter by then
		last = p.x
		u := max(1-below-half, 1e-6)
		w := b2 / 2 / c / c / u / u
		if sn.preempt {
			second += p.rate * p.x * p.x
			w = (second+rate*p.x*p.x)/2/c/c/u/u + (grown-p.x)/1
		}
		below += 2 * half
		rate -= p.rate
		sums[p.class] += p.rate * w
		squares[p.class] += p.rate * w * w
		counts[p.class] += p.rate
	}
	for i := range st.wait {
		if counts[i] > 0 {
			st.wait[i] = sums[i] / counts[i] * factor
			st.vari[i] = max(0, 2*squares[i]/counts[i]*factor*factor-st.wait[i]*st.wait[i])
		}
	}
}

// quantile is what a share u of a visit's demands stays below; of what is held, as a lognormal law of its mean and variance has it.
func (v *visit) quantile(u float64) float64 {
	if v.size != nil {
		return v.size.Quantile(u) * v.unit
	}
	scv := max(0, v.m2/v.m1/v.m1-1)
	sigma := math.Sqrt(math.Log1p(scv))
	return v.m1 * math.Exp(sigma*math.Sqrt2*math.Erfinv(2*u-1)-sigma*sigma/2)
}
