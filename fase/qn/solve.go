package qn

import (
	"fmt"
	"math"
)

// Largest is how many populations times stations Solve takes to be small enough for the exact analysis.
const Largest = 4_000_000

// Solve solves a network: open classes by the product form, closed ones by exact mean value analysis where that takes at most Largest steps,
// else by Linearizer, and both kinds together by what the open classes leave. The error is that of Check, or ErrUnstable
// with the name of the station.
func (n *Network) Solve() (Solution, error) {
	if err := n.Check(); err != nil {
		return Solution{}, fmt.Errorf("solve network: %w", err)
	}
	open, err := n.openLoad()
	if err != nil {
		return Solution{}, fmt.Errorf("solve network: %w", err)
	}
	s := Solution{Classes: make([]ClassSolution, len(n.Classes)), Stations: make([]StationSolution, len(n.Stations)), Exact: true}
	closed := n.closedPart(open, &s)
	if len(closed.classes) > 0 {
		if closed.steps() <= Largest {
			s.Method = "exact mean value analysis"
			closed.exact()
		} else {
			s.Method, s.Exact = "Linearizer", false
			s.Approximated = append(s.Approximated, "the closed classes are too many for the exact analysis: queues that an arrival sees are estimated, and responses are off by 0.2 % in the mean, hardly ever by 3")
			closed.approximate(&s)
		}
	} else {
		s.Method = "open product form"
	}
	n.tell(&s, open, closed)
	return s, nil
}

// openLoad is the utilisation of each station by open classes.
func (n *Network) openLoad() ([]float64, error) {
	load := make([]float64, len(n.Stations))
	for i := range n.Classes {
		for k, d := range n.Classes[i].Demands {
			load[k] += n.Classes[i].Rate * d
		}
	}
	for k := range n.Stations {
		if n.Stations[k].Delay {
			continue
		}
		if load[k] /= n.Stations[k].servers(); load[k] >= 1 {
			return nil, fmt.Errorf("%w: %s is offered %.3g of its capacity", ErrUnstable, n.Stations[k].Name, load[k])
		}
	}
	return load, nil
}

// closedPart is the network of the closed classes in what the open ones leave of each station: a demand takes 1/(1 − U) as
// long beside an open utilisation U (Lavenberg, Computer Performance Modeling Handbook, 1983), which is exact for one server.
func (n *Network) closedPart(open []float64, s *Solution) *closed {
	c := &closed{stations: n.Stations}
	mixed := false
	for i := range n.Classes {
		class := &n.Classes[i]
		if !class.closed() {
			continue
		}
		d := make([]float64, len(n.Stations))
		for k := range d {
			d[k] = class.Demands[k]
			if !n.Stations[k].Delay {
				d[k] /= 1 - open[k]
				mixed = mixed || open[k] > 0 && d[k] > 0 && n.Stations[k].servers() > 1
			}
		}
		c.classes = append(c.classes, population{index: i, users: class.Users, think: class.Think, demands: d})
	}
	if mixed {
		s.Exact = false
		s.Approximated = append(s.Approximated, "closed classes beside open ones at a station of several servers: what the open ones leave is taken to be as many slower servers")
	}
	return c
}

// tell fills in the solution.
func (n *Network) tell(s *Solution, open []float64, c *closed) {
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
	for i := range n.Classes {
		class := &n.Classes[i]
		if class.closed() {
			continue
		}
		cs := ClassSolution{Throughput: class.Rate, Residence: make([]float64, len(n.Stations)), Queue: make([]float64, len(n.Stations))}
		for k := range n.Stations {
			cs.Residence[k] = class.Demands[k] * n.stretch(k, open[k], queue[k], s)
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

// stretch is how many times its demand an open request is at a station, at an open utilisation and with so many of closed classes there.
func (n *Network) stretch(k int, open, queue float64, s *Solution) float64 {
	st := &n.Stations[k]
	if st.Delay {
		return 1
	}
	if st.servers() == 1 {
		return (1 + queue) / (1 - open)
	}
	c := max(st.Servers, 1)
	alone := 1 + waiting(c, open)/(float64(c)*(1-open))
	if queue == 0 {
		return alone
	}
	if s.Exact {
		s.Exact = false
		s.Approximated = append(s.Approximated, "open classes beside closed ones at a station of several servers: closed requests wait in front of them as at one fast server")
	}
	return alone + math.Max(0, queue-float64(c)+1)/(float64(c)*(1-open))
}

// waiting is Erlang's probability that an arrival at c servers waits, at utilisation rho of each (Erlang 1917; Kleinrock, Queueing Systems I,
// section 3.5), by the recursion of his formula for loss.
func waiting(c int, rho float64) float64 {
	a, b := rho*float64(c), 1.0
	for k := 1; k <= c; k++ {
		b = a * b / (float64(k) + a*b)
	}
	return b / (1 - rho*(1-b))
}
