package solve

import (
	"errors"
	"math"
)

// full is the utilisation from which on a resource of a scenario without open groups is taken for full.
const full = 0.99

// limit finds what is full first when the load grows, where some tiers have as much as it takes, and the station, -1 for none. Without anything
// that is held, and without users who wait, the utilisations grow with the load, and the greatest is full first.
func (m *Model) limit(relieved map[string]bool) (Limit, int) {
	none := Limit{Factor: math.Inf(1), Rate: math.Inf(1)}
	if m.closed() {
		return m.crowded(relieved)
	}
	f := m.boundary(relieved)
	if math.IsInf(f, 1) {
		return none, -1
	}
	s := m.over(f*(1+1e-6), relieved)
	k, most := -1, 0.0
	for i := range s.at {
		if st := &m.net.stations[i]; !relieved[st.tier] && s.at[i].offered > most {
			k, most = i, s.at[i].offered
		}
	}
	if k < 0 {
		return none, -1
	}
	if hard, most := m.below(s, relieved); m.net.stations[k].kind != Hardware && most > nearlyFull {
		k, f = hard, f/most // it is held for so long because what is below it is full
	}
	return m.limitAt(k, f, f*m.offered()), k
}

// nearlyFull is the utilisation of hardware from which on workers and locks that are full are so because of it.
const nearlyFull = 0.9

// below is the busiest hardware, and how busy it is.
func (m *Model) below(s *solver, relieved map[string]bool) (k int, most float64) {
	k = -1
	for i := range s.at {
		if st := &m.net.stations[i]; st.kind == Hardware && !relieved[st.tier] && s.at[i].offered > most {
			k, most = i, s.at[i].offered
		}
	}
	return k, most
}

// limitAt is a limit by its station.
func (m *Model) limitAt(k int, factor, rate float64) Limit {
	st := &m.net.stations[k]
	return Limit{Resource: st.names[0], Kind: st.kind, Tier: st.tier, Factor: factor, Rate: rate}
}

// over solves at a factor of the present load, as far as it comes.
func (m *Model) over(f float64, relieved map[string]bool) *solver {
	s := newSolver(&m.net, m.scale*f)
	s.relieved, s.unbounded = relieved, true
	_ = s.solve() // what is unstable has its utilisations, which are what is asked for
	return s
}

// offered is the requests per second of all open groups together.
func (m *Model) offered() float64 {
	sum := 0.0
	for i := range m.net.groups {
		sum += m.net.groups[i].rate * m.net.groups[i].requests() * m.scale
	}
	return sum
}

func (m *Model) closed() bool {
	for i := range m.net.groups {
		if m.net.groups[i].users > 0 {
			return true
		}
	}
	return false
}

// boundary is the factor of the present load up to which everything is stable; +Inf where nothing is ever full. What is held longer when the load
// grows is full earlier than in proportion, so it is found by bisection below the factor of hardware.
func (m *Model) boundary(relieved map[string]bool) float64 {
	stable := func(f float64) bool {
		s := newSolver(&m.net, m.scale*f)
		s.relieved, s.unbounded = relieved, true
		return !errors.Is(s.solve(), ErrUnstable)
	}
	// At next to no load nothing waits, and utilisations are in proportion.
	const little = 1e-6
	s := m.over(little, relieved)
	most, held := 0.0, false
	for k := range s.at {
		st := &m.net.stations[k]
		if relieved[st.tier] {
			continue
		}
		most = max(most, s.at[k].offered)
		held = held || st.kind != Hardware && s.at[k].offered > 0
	}
	if most == 0 {
		return math.Inf(1)
	}
	high := little / most
	if !held {
		return high
	}
	low := 0.0
	for range 60 {
		mid := (low + high) / 2
		if stable(mid) {
			low = mid
		} else {
			high = mid
		}
		if high-low < 1e-5*high {
			break
		}
	}
	return low
}

// crowded finds what is full first when the users of closed groups, and the rates beside them, grow.
func (m *Model) crowded(relieved map[string]bool) (Limit, int) {
	k, most, f, rate := -1, 0.0, 1.0, 0.0
	var last *solver
	for range 24 {
		s := newSolver(&m.net, m.scale*f)
		s.relieved, s.unbounded, s.product = relieved, true, false
		err := s.solve()
		last = s
		k, most, rate = -1, 0, 0
		for i := range s.at {
			if st := &m.net.stations[i]; !relieved[st.tier] && s.at[i].offered > most {
				k, most = i, s.at[i].offered
			}
		}
		for g := range m.net.groups {
			rate += s.rate[g] * m.net.groups[g].requests()
		}
		if err != nil || most >= full || k < 0 {
			break
		}
		f *= 2
	}
	if k < 0 || most < full/2 {
		return Limit{Factor: math.Inf(1), Rate: math.Inf(1)}, -1
	}
	if hard, busy := m.below(last, relieved); m.net.stations[k].kind != Hardware && busy > nearlyFull {
		k, most = hard, busy
	}
	return m.limitAt(k, m.knee(k), rate/most), k
}

// knee is the factor of the present users at which, if nobody waited, a station would be full: N*/N.
func (m *Model) knee(k int) float64 {
	const little = 1e-9
	s := newSolver(&m.net, little) // one user of each group
	_ = s.solve()
	load := 0.0
	for c, f := range s.at[k].flows {
		g := &m.net.groups[m.net.classes[c].group]
		if g.users > 0 {
			load += f.b1 * g.users * m.scale
		} else {
			load += f.b1 / little * m.scale
		}
	}
	return float64(max(m.net.stations[k].servers, 1)) / load
}

// bounds fills in what no scheduling can break: of hardware alone, which needs no assumption on what is held how long.
func (m *Model) bounds(a *Answer) {
	hard := map[string]bool{}
	for k := range m.net.stations {
		if st := &m.net.stations[k]; st.kind != Hardware {
			hard[st.tier] = true
		}
	}
	const little = 1e-9
	s := newSolver(&m.net, little)
	s.relieved, s.unbounded = hard, true
	_ = s.solve()
	total, most := 0.0, 0.0
	for g := range m.net.groups {
		total += s.rate[g] * m.net.groups[g].requests()
		a.Bounds.Response[m.net.groups[g].name] = s.took[g].mean // nobody else is there
	}
	for k := range m.net.stations {
		if !hard[m.net.stations[k].tier] {
			most = max(most, s.at[k].offered)
		}
	}
	a.Bounds.Throughput = math.Inf(1)
	if most > 0 && !m.closed() {
		a.Bounds.Throughput = total / most
	}
	for g := range m.net.groups {
		if p := &m.net.groups[g]; p.users > 0 {
			m.bound(a, s, g)
		}
	}
	if m.closed() {
		a.Bounds.Throughput = 0
		for g := range m.net.groups {
			p := &m.net.groups[g]
			x := p.rate * m.scale * p.requests()
			if p.users > 0 {
				dmax := m.dmax(s, g)
				x = float64(a.Groups[g].Users) / (p.think/p.requests() + a.Bounds.Response[p.name])
				if dmax > 0 {
					x = min(x, 1/dmax)
				}
			}
			a.Bounds.Throughput += x
		}
	}
}

// dmax is the largest demand of a group's request per server, s.
func (m *Model) dmax(s *solver, g int) float64 {
	most := 0.0
	for k := range m.net.stations {
		if st := &m.net.stations[k]; st.kind == Hardware {
			most = max(most, m.demand(s, k, g)/float64(len(st.names)*max(st.servers, 1)))
		}
	}
	return most
}

// bound fills in the knee of a closed group, and its least response.
func (m *Model) bound(a *Answer, s *solver, g int) {
	p := &m.net.groups[g]
	dmax := m.dmax(s, g)
	if dmax == 0 {
		a.Bounds.Knee[p.name] = math.Inf(1)
		return
	}
	r, think := a.Bounds.Response[p.name], p.think/p.requests()
	a.Bounds.Knee[p.name] = (r + think) / dmax
	a.Bounds.Response[p.name] = max(r, float64(a.Groups[g].Users)*dmax-think)
}
