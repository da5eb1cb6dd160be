package solve

import "math"

// joined is what was found of a par, so that it is not found again while its branches stay.
type joined struct {
	branches   []span
	mean, vari float64
}

// par is branches that begin together and all have to end. Each is taken for independent of the others and of a gamma law of its mean and
// variance, and the law of the longest is the product of theirs. Branches that queue for the same arrivals are more alike than that: see together.
func (s *solver) par(a *act, class int) span {
	x := span{ok: 1}
	branches := make([]span, len(a.body))
	for i, act := range a.body {
		branches[i] = s.eval(act, class)
	}
	if len(branches) == 0 {
		return x
	}
	s.behind(a, branches)
	for _, b := range branches {
		x.ok *= b.ok
		x.most = max(x.most, b.most)
		x.rho = max(x.rho, b.rho)
	}
	j := s.joins[a.id]
	if j == nil || !same(j.branches, branches) {
		mean, vari := longest(branches)
		j = &joined{branches, mean, vari}
		s.joins[a.id] = j
	}
	x.mean, x.vari = max(x.most, j.mean*together(branches)), j.vari
	return whole(x)
}

func same(a, b []span) bool {
	for i := range a {
		if relative(a[i].mean, b[i].mean) > 1e-11 || relative(a[i].vari, b[i].vari) > 1e-11 || relative(a[i].most, b[i].most) > 1e-11 {
			return false
		}
	}
	return len(a) == len(b)
}

// behind adds what a branch waits for its siblings before it, where both begin with a demand on the same station: they come as a batch, and
// those behind wait for the first.
func (s *solver) behind(a *act, branches []span) {
	firsts := make([][]visit, len(a.body))
	for i, act := range a.body {
		firsts[i] = firstOf(act)
		for _, v := range firsts[i] {
			st := &s.n.stations[v.station]
			if st.order == sharing || st.servers > 1 || s.relieved[st.tier] {
				continue
			}
			for j, before := range firsts[:i] {
				for _, u := range before {
					if u.station == v.station {
						more := v.share * u.share / float64(len(st.names)) * u.m1
						branches[i].mean += more
						branches[i].vari += more * more
						if len(st.names) == 1 && v.share*u.share > 1-1e-9 && twins(a.body[i], a.body[j]) {
							branches[j] = span{ok: branches[j].ok} // it always ends before
						}
					}
				}
			}
		}
	}
}

// twins reports whether two branches call the same and nothing else: in order, what began first ends first.
func twins(a, b *act) bool {
	return a.verb == doCall && b.verb == doCall && a.entry == b.entry && len(a.entry.root.body) <= 2
}

// firstOf is the first demand of an act that begins with one; nil otherwise.
func firstOf(a *act) []visit {
	switch a.verb {
	case doDemand:
		return a.visits
	case doSeq:
		if len(a.body) > 0 {
			return firstOf(a.body[0])
		}
	case doCall:
		if len(a.visits) == 0 {
			return firstOf(a.entry.root)
		}
	}
	return nil
}

// longest is the mean and variance of the longest of independent branches: the integrals of 1 − ΠF and 2t(1 − ΠF), by the trapezoidal rule over t = scale·x/(1 − x).
func longest(branches []span) (mean, vari float64) {
	scale, from := 0.0, math.Inf(1)
	shapes := make([]Shape, len(branches))
	for i, b := range branches {
		shapes[i] = Shape{Least: b.most, Mean: b.mean, Deviation: math.Sqrt(b.vari)}
		scale = max(scale, b.mean+shapes[i].Deviation)
		from = min(from, b.most)
	}
	if len(branches) == 1 || scale == 0 {
		return branches[0].mean, branches[0].vari
	}
	const n = 96
	var first, second float64
	for i := range n {
		x := (float64(i) + 0.5) / n
		t := scale * x / (1 - x)
		f := 1.0
		for k := range shapes {
			if f *= shapes[k].Below(t); f == 0 {
				break
			}
		}
		if f > 1-1e-13 {
			break
		}
		dt := scale / (1 - x) / (1 - x) / n
		first += (1 - f) * dt
		second += 2 * t * (1 - f) * dt
	}
	return first, max(0, second-first*first)
}

// together is how much shorter the longest branch is than of independent ones, because arrivals find the queues of all branches long or short
// together: what Nelson and Tantawi found for n queues M/M/1 that get the same arrivals ("Approximate Analysis of Fork/Join Synchronization in
// Parallel Queues", IEEE Trans. Computers 37(6), 1988), over n-th harmonic, at the utilisation of the idlest branch. Branches of unlike lengths
// have less of it: by the ratio of their means.
func together(branches []span) float64 {
	n, least, most, rho := 0, math.Inf(1), 0.0, 1.0
	for _, b := range branches {
		if b.mean > 0 {
			n++
			least, most, rho = min(least, b.mean), max(most, b.mean), min(rho, b.rho)
		}
	}
	if n < 2 || most == 0 {
		return 1
	}
	h, h2 := 0.0, 1.5
	for i := 1; i <= n; i++ {
		h += 1 / float64(i)
	}
	nt := (h/h2 + 4.0/11*(1-h/h2)*rho) * (1.5 - rho/8) / h
	return 1 + (nt-1)*least/most
}

// A tie is what branches of a par ask of one station together, beyond what each asks: the sum over pairs of the products of their demands, s².
type tie struct {
	station int
	product float64
}

// tie finds what the branches of every par ask of the same stations. For who comes behind them they are a batch: what counts is the second
// moment of what it asks together (Burke, "Delays in Single-Server Queues with Batch Input", Operations Research 23(4), 1975).
func (b *builder) tie() {
	loads, some := map[*entry]map[int]float64{}, false
	for _, e := range b.net.entries {
		e.root.each(func(a *act) { some = some || a.verb == doPar })
	}
	if !some {
		return
	}
	for _, e := range b.net.entries { // callees before callers
		loads[e] = map[int]float64{}
		sumLoads(e.root, 1, loads, loads[e])
		e.root.each(func(a *act) {
			if a.verb == doPar {
				a.ties = tiesOf(a, loads, b.net.stations)
			}
		})
	}
}

func tiesOf(a *act, loads map[*entry]map[int]float64, stations []station) []tie {
	sum, squares := map[int]float64{}, map[int]float64{}
	for _, x := range a.body {
		own := map[int]float64{}
		sumLoads(x, 1, loads, own)
		for k, d := range own {
			sum[k], squares[k] = sum[k]+d, squares[k]+d*d
		}
	}
	var out []tie
	for k := range stations {
		if p := sum[k]*sum[k] - squares[k]; p > 1e-12*squares[k] && stations[k].kind == Hardware {
			out = append(out, tie{k, p})
		}
	}
	return out
}

// sumLoads adds what an act that is done p times asks of each station.
func sumLoads(a *act, p float64, loads map[*entry]map[int]float64, out map[int]float64) {
	if a.verb != doLock {
		for i := range a.visits {
			out[a.visits[i].station] += p * a.visits[i].share * a.visits[i].m1
		}
	}
	if a.entry != nil {
		for k, d := range loads[a.entry] {
			out[k] += p * d
		}
	}
	for i, x := range a.body {
		q := p
		switch a.verb {
		case doChoose:
			q *= a.p[i]
		case doRepeat:
			q *= a.amount.m1
		}
		sumLoads(x, q, loads, out)
	}
}
