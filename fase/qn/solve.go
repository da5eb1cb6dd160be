package qn

import (
	"cmp"
	"fmt"
	"math"
)

// Largest is how many populations times stations Solve takes to be small enough for the exact analysis.
const Largest = 4_000_000

// Solve solves a network: open classes by the product form, closed ones exactly where that takes at most Largest steps, else by Linearizer, or
// for one class of ten thousand users or more by its limit of many, and both kinds together exactly too. The error is that of
// Check, or ErrUnstable with the name of the station.
func (n *Network) Solve() (Solution, error) {
	c, err := n.prepare()
	if err != nil {
		return Solution{}, fmt.Errorf("solve network: %w", err)
	}
	s := Solution{Exact: true, Method: "open product form"}
	if len(c.classes) > 0 {
		s.Method = "exact mean value analysis"
		switch {
		case c.steps() <= cmp.Or(n.Largest, Largest):
			if !c.exact() {
				n.estimate(&s, c, "stations with many servers, for which rounding spoils the exact analysis")
			}
		case len(c.classes) == 1 && c.classes[0].users >= crowd:
			s.Method, s.Exact = "limit of many users", false
			s.Approximated = append(s.Approximated, "the users are too many for the exact analysis: their requests come as from outside, at the rate that keeps so many of them there, which is exact in the limit")
			c.many(n, c.load)
		default:
			n.estimate(&s, c, "the closed classes are too many for the exact analysis")
		}
	}
	n.tell(&s, c)
	return s, nil
}

// crowd is how many users are so many that the limit is closer than an estimate.
const crowd = 10_000

func (n *Network) estimate(s *Solution, c *closed, why string) {
	s.Method, s.Exact = "Linearizer", false
	s.Approximated = append(s.Approximated, why+": queues that an arrival sees are estimated, and responses are off by 0.2 % in the mean, hardly ever by 3")
	c.approximate(s)
}

// prepare checks a network, and returns its closed classes in what the open ones leave of the stations.
func (n *Network) prepare() (*closed, error) {
	if err := n.Check(); err != nil {
		return nil, err
	}
	load, err := n.openLoad()
	if err != nil {
		return nil, err
	}
	c := &closed{stations: n.Stations, load: load, p: make([][]float64, len(n.Stations))}
	most := 0
	for i := range n.Classes {
		if class := &n.Classes[i]; class.closed() {
			c.classes = append(c.classes, population{index: i, users: class.Users, think: class.Think, demands: class.Demands})
			most += class.Users
		}
	}
	for k := range n.Stations {
		c.speeds = append(c.speeds, n.Stations[k].speed(load[k], most))
		if len(c.classes) == 0 && !n.Stations[k].Delay {
			c.p[k] = []float64{1}
		}
	}
	return c, nil
}

// openLoad is the work that open classes bring to each station per second.
func (n *Network) openLoad() ([]float64, error) {
	load := make([]float64, len(n.Stations))
	for i := range n.Classes {
		for k, d := range n.Classes[i].Demands {
			load[k] += n.Classes[i].Rate * d
		}
	}
	for k := range n.Stations {
		if share := load[k] / n.Stations[k].servers(); !n.Stations[k].Delay && share >= 1 {
			return nil, fmt.Errorf("%w: %s is offered %.3g of its capacity", ErrUnstable, n.Stations[k].Name, share)
		}
	}
	return load, nil
}

// tell fills in the solution.
func (n *Network) tell(s *Solution, c *closed) {
	s.Classes, s.Stations = make([]ClassSolution, len(n.Classes)), make([]StationSolution, len(n.Stations))
	queue := make([]float64, len(n.Stations)) // of closed classes
	for r, p := range c.classes {
		cs := ClassSolution{Throughput: c.throughput[r], Residence: c.residence[r], Queue: make([]float64, len(n.Stations))}
		for k := range n.Stations {
			cs.Queue[k] = cs.Throughput * cs.Residence[k]
			cs.Response += cs.Residence[k]
			queue[k] += cs.Queue[k]
		}
		s.Classes[p.index] = cs
	}
	stretch := make([]float64, len(n.Stations)) // of open classes
	for k := range n.Stations {
		stretch[k] = n.stretch(s, c, k, queue[k])
	}
	for i := range n.Classes {
		class := &n.Classes[i]
		if class.closed() {
			continue
		}
		cs := ClassSolution{Throughput: class.Rate, Residence: make([]float64, len(n.Stations)), Queue: make([]float64, len(n.Stations))}
		for k := range n.Stations {
			cs.Residence[k] = class.Demands[k] * stretch[k]
			cs.Queue[k] = class.Rate * cs.Residence[k]
			cs.Response += cs.Residence[k]
		}
		s.Classes[i] = cs
	}
	for k := range n.Stations {
		st := &s.Stations[k]
		for i := range n.Classes {
			st.Queue += s.Classes[i].Queue[k]
			st.Utilisation += s.Classes[i].Throughput * n.Classes[i].Demands[k]
		}
		if !n.Stations[k].Delay {
			st.Utilisation /= n.Stations[k].servers()
		}
	}
}

// stretch is how many times its demand an open request is at a station, with so many of closed classes there; it fills in how many are in
// service.
func (n *Network) stretch(s *Solution, c *closed, k int, queue float64) float64 {
	v, st := c.speeds[k], &s.Stations[k]
	if v.delay {
		st.Busy = v.load + queue
		return 1
	}
	if c.p[k] != nil {
		if c.merged {
			queue = 0
		}
		open, busy := v.beside(c.p[k], queue)
		st.Present = v.present(c.p[k])
		if st.Busy = busy; v.load > 0 {
			return open / v.load
		}
		return v.alone(queue)
	}
	// An estimate has no probabilities.
	if v.load > 0 && queue > 0 && len(v.rates) > 1 {
		s.Approximated = append(s.Approximated, "open classes beside closed ones at "+n.Stations[k].Name+", a station of several servers: open requests wait for closed ones as at one fast server")
	}
	m := float64(len(v.rates))
	alone := 1 / v.rates[0]
	if v.load > 0 {
		alone = v.open[0] / v.load
	}
	st.Busy = math.Min(m, m*(v.share()+closedShare(s, n, k)))
	return alone + math.Max(0, queue-m+1)/(v.fastest()*(1-v.share()))
}

// alone is what a first open request would see.
func (v *speed) alone(queue float64) float64 {
	m := float64(len(v.rates))
	return 1/v.rates[0] + math.Max(0, queue-m+1)/v.fastest()
}

// closedShare is what closed classes use of a station.
func closedShare(s *Solution, n *Network, k int) float64 {
	x := 0.0
	for i := range n.Classes {
		if n.Classes[i].closed() {
			x += s.Classes[i].Throughput * n.Classes[i].Demands[k]
		}
	}
	return x / n.Stations[k].servers()
}
