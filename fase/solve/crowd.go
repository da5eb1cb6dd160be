package solve

import (
	"fmt"
	"math"

	"github.com/eve-emulation/eve/fase/qn"
)

// serial reports whether the closed groups do one thing after the other: nothing at once, and nothing that they do not wait for.
func (n *network) serial() bool {
	for _, e := range n.entries {
		if n.groups[n.classes[e.class].group].users > 0 && !e.root.serial() {
			return false
		}
	}
	return true
}

func (a *act) serial() bool {
	if a.verb == doPar || a.verb == doFork || a.verb == doTimeout {
		return false
	}
	for _, x := range a.body {
		if !x.serial() {
			return false
		}
	}
	return true
}

// visited reports whether a closed group asks anything of a station that is a queue of its own.
func (s *solver) visited(k int) bool {
	st := &s.n.stations[k]
	if st.kind != Hardware || st.order != fcfs && st.order != sharing || st.room > 0 || s.relieved[st.tier] {
		return false
	}
	for c, f := range s.at[k].flows {
		if f.b1 > 0 && s.n.groups[s.n.classes[c].group].users > 0 {
			return true
		}
	}
	return false
}

// crowd solves the stations that closed groups visit as a queueing network, in which whatever else a request takes is thinking: exactly,
// where it has a product form. At one that serves in order what waits is the same for all.
func (s *solver) crowd() (change float64, err error) {
	var net qn.Network
	var stations []int // each copy is one of the network
	for k := range s.at {
		if s.visited(k) {
			for _, name := range s.n.stations[k].names {
				net.Stations = append(net.Stations, qn.Station{Name: name, Servers: s.n.stations[k].servers})
				stations = append(stations, k)
			}
		}
	}
	if len(stations) == 0 {
		return 0, nil
	}
	for g := range s.n.groups {
		p := &s.n.groups[g]
		c := qn.Class{Name: p.name, Demands: make([]float64, len(stations))}
		x := s.rate[g]
		there := 0.0 // how long a round is at these stations, as it is known
		for i, k := range stations {
			for class, f := range s.at[k].flows {
				if s.n.classes[class].group == g && x > 0 {
					c.Demands[i] += f.b1 / x
					there += s.there(k, class) / x
				}
			}
		}
		if p.users > 0 {
			c.Users = int(max(1, math.Round(p.users*s.scale)))
			c.Think = max(0, p.think+p.requests()*s.took[g].mean-there)
			if c.Think < 1e-9*p.think {
				c.Think = 0
			}
			if sum := there; sum == 0 && c.Think == 0 {
				return 0, nil
			}
		} else {
			c.Rate = x
		}
		net.Classes = append(net.Classes, c)
	}
	s.network, err = net.Solve()
	if err != nil {
		return 0, fmt.Errorf("closed groups: %w", err)
	}
	for i, k := range stations {
		if i == 0 || stations[i-1] != k {
			change = max(change, s.settled(k, i, &net))
		}
	}
	return change, nil
}

// there is how long requests of a class are at all visits to a copy of a station, per second.
func (s *solver) there(k, class int) float64 {
	f := s.at[k].flows[class]
	if s.n.stations[k].order == sharing {
		return f.b1 * (1 + s.at[k].wait[class])
	}
	return f.b1 + f.runs*s.at[k].wait[class]
}

// settled takes the waits of one station from the network's solution.
func (s *solver) settled(k, i int, net *qn.Network) (change float64) {
	st := &s.at[k]
	waits, rate, b1, b2 := 0.0, 0.0, 0.0, 0.0
	grow := make([]float64, len(net.Classes)) // how many times its demand a request of a group is there
	for g := range net.Classes {
		if d := net.Classes[g].Demands[i]; d > 0 {
			grow[g] = s.network.Classes[g].Residence[i] / d
		}
	}
	for c, f := range st.flows {
		waits += f.b1 * max(0, grow[s.n.classes[c].group]-1)
		rate, b1, b2 = rate+f.runs, b1+f.b1, b2+f.b2
	}
	scv := max(0, b2*rate/b1/b1-1)
	alike := s.same(k)
	for c, f := range st.flows {
		if f.rate == 0 {
			continue
		}
		own := max(0, grow[s.n.classes[c].group]-1)
		w := own
		if s.n.stations[k].order != sharing {
			w = own * f.b1 / f.runs
			if !alike { // demands of other laws wait longer or shorter, and all classes about alike
				w = waits / rate * (1 + scv) / 2
			}
		}
		if s.rounds > 2 && s.layered {
			if d := (w - st.wait[c]) / 2; math.Abs(d) > 1e-12*w {
				w = st.wait[c] + d
			}
		}
		scale := max(w, 1e-12)
		if s.n.stations[k].order != sharing {
			scale = max(w, f.b1/f.runs)
		}
		change = max(change, math.Abs(w-st.wait[c])/scale)
		st.wait[c] = w
		p := min(max(st.rho, 1e-9), 1)
		st.vari[c] = w * w * max(0, 2/p-1)
		if s.n.stations[k].servers == 1 {
			// Of N users an arrival sees Q in the mean: between a geometric law, of many, and always N − 1, where they do nothing else.
			q := w * f.runs / f.b1
			n := 0.0
			for g := range net.Classes {
				if net.Classes[g].Demands[i] > 0 {
					n += float64(net.Classes[g].Users)
				}
			}
			if q <= n-1+1e-6 && n > 1 {
				each := f.b1 / f.runs
				st.vari[c] = min(st.vari[c], each*each*(q+q*(1+q)*max(0, 1-q/(n-1))))
			}
		}
		if s.n.stations[k].order == sharing {
			st.vari[c] = 0
		}
	}
	return change
}

// same reports whether all visits to a station are exponential and of one mean.
func (s *solver) same(k int) bool {
	mean := 0.0
	for _, f := range s.at[k].flows {
		if f.rate == 0 {
			continue
		}
		m := f.b1 / f.runs
		if mean > 0 && math.Abs(m/mean-1) > 1e-9 || math.Abs(f.b2/f.runs/(2*m*m)-1) > 1e-9 {
			return false
		}
		mean = m
	}
	return true
}
