// Package qn solves queueing networks: it tells throughputs, response times, queues and utilisations in the long run from what classes of
// requests demand of stations in the mean, without running anything. It is pure: no clock, no draws.
//
// A network is solved exactly where it has a product form (Baskett, Chandy, Muntz and Palacios, "Open, Closed, and Mixed Networks of Queues
// with Different Classes of Customers", Journal of the ACM 22(2), 1975) and is small enough, and approximately elsewhere; a
// Solution says which, and what it assumes.
package qn

import (
	"errors"
	"fmt"
	"math"
)

// ErrUnstable reports open classes that offer a station more than it can carry: queues grow without bound.
var ErrUnstable = errors.New("unstable")

// A Network is stations that classes of requests visit.
type Network struct {
	Stations []Station
	Classes  []Class
	// Largest is how many populations times stations are small enough for the exact analysis; 0: Largest of the package.
	Largest float64
}

// A Station is a place where requests are served, and wait where they must.
type Station struct {
	Name    string
	Servers int  // with one line; 1 if 0
	Delay   bool // each request has a server of its own: nobody waits
	// Rates are how fast it serves with 1, 2, … requests present, in demands per second and in place of Servers: a demand d takes d/Rates[n-1]
	// where n are served together. The last holds for more requests, and none may be faster than the last. Nil: 1, 2, … Servers.
	Rates []float64
}

// servers is how many times a demand a station serves per second at most.
func (s *Station) servers() float64 {
	if s.Rates != nil {
		return s.Rates[len(s.Rates)-1]
	}
	return float64(max(s.Servers, 1))
}

func (s *Station) check() error {
	if s.Servers < 0 || s.Rates != nil && (len(s.Rates) == 0 || s.Servers > 0 || s.Delay) {
		return fmt.Errorf("%d servers, %d rates, delay %t: want one of them", s.Servers, len(s.Rates), s.Delay)
	}
	for _, r := range s.Rates {
		if !(r > 0) || math.IsInf(r, 1) || r > s.servers()*(1+1e-9) {
			return fmt.Errorf("a rate of %g, where the last one is %g", r, s.servers())
		}
	}
	return nil
}

// A Class is requests that are alike: open, with a rate of arrivals, or closed, with users who ask, think and ask again.
type Class struct {
	Name    string
	Rate    float64   // open: Poisson arrivals per second
	Users   int       // closed: how many
	Think   float64   // closed: mean between an answer and the next request, s
	Demands []float64 // by station: mean service of one request, all its visits together, s
}

func (c *Class) closed() bool { return c.Users > 0 }

// total is the mean service of one request.
func (c *Class) total() float64 {
	sum := 0.0
	for _, d := range c.Demands {
		sum += d
	}
	return sum
}

// Check returns an error that names what is wrong with a network: a class that is neither open nor closed, or both, demands that are
// missing, negative or not finite, or users who need no time at all.
func (n *Network) Check() error {
	for k := range n.Stations {
		if err := n.Stations[k].check(); err != nil {
			return fmt.Errorf("station %s: %w", n.Stations[k].Name, err)
		}
	}
	for i := range n.Classes {
		c := &n.Classes[i]
		if err := c.check(len(n.Stations)); err != nil {
			return fmt.Errorf("class %s: %w", c.Name, err)
		}
	}
	if len(n.Classes) == 0 {
		return errors.New("no classes")
	}
	return nil
}

func (c *Class) check(stations int) error {
	switch {
	case len(c.Demands) != stations:
		return fmt.Errorf("demands of %d stations, want %d", len(c.Demands), stations)
	case c.Users < 0 || !(c.Rate >= 0) || math.IsInf(c.Rate, 1) || !(c.Think >= 0) || math.IsInf(c.Think, 1):
		return errors.New("negative or endless users, rate or think time")
	case c.Users > 0 && c.Rate > 0:
		return errors.New("both a rate and users")
	}
	for k, d := range c.Demands {
		if !(d >= 0) || math.IsInf(d, 1) {
			return fmt.Errorf("demand %d is %g s", k, d)
		}
	}
	if c.closed() && c.Think+c.total() == 0 {
		return errors.New("users who need no time")
	}
	return nil
}

// A Solution is how a network behaves in the long run.
type Solution struct {
	Classes  []ClassSolution
	Stations []StationSolution
	// Exact says that nothing was approximated: the figures are those of the network, where it has a product form.
	Exact bool
	// Method names the algorithm, and Approximated what it does not treat exactly, in words; empty where Exact.
	Method       string
	Approximated []string
}

// A ClassSolution is what one class sees.
type ClassSolution struct {
	Throughput float64   // requests that end, per second
	Response   float64   // mean of a request without thinking, s
	Residence  []float64 // by station: its part of Response, s
	Queue      []float64 // by station: mean number there, in service or waiting
}

// A StationSolution is what one station sees of all classes.
type StationSolution struct {
	Utilisation float64 // of each server, or share of the fastest rate; of a Delay, the mean number present
	Queue       float64 // mean number present
	Busy        float64 // mean number in service, at most the servers or rates that there are; of a Delay, all
	// Present has the probabilities that 0, 1, … are there, up to one less than it serves at once; nil of a Delay, and where it was not computed.
	Present []float64
}

// Bottleneck returns the station whose servers a class or a mix of classes keeps busiest, -1 where there is none, and by what factor its
// demand per server exceeds that of the next one (+Inf where there is no other). weights are requests per second, or their shares, by class.
func (n *Network) Bottleneck(weights []float64) (station int, lead float64) {
	station = -1
	first, second := 0.0, 0.0
	for k := range n.Stations {
		if n.Stations[k].Delay {
			continue
		}
		d := 0.0
		for i := range n.Classes {
			d += weights[i] * n.Classes[i].Demands[k] / n.Stations[k].servers()
		}
		if d > first {
			first, second, station = d, first, k
		} else {
			second = max(second, d)
		}
	}
	return station, first / second
}

// Bounds are what no scheduling and no laws of demands can break (Denning and Buzen, "The Operational Analysis of Queueing Network Models",
// ACM Computing Surveys 10(3), 1978), for one class alone.
type Bounds struct {
	Throughput float64 // at most, per second
	Response   float64 // at least, s
	Knee       float64 // closed: users from which on someone must wait, (D + Z) ÷ Dmax; +Inf where nothing is ever in the way
}

// Bounds returns the bounds of class i, as if it were alone: X ≤ min(N/(D + Z), 1/Dmax) and R ≥ max(D, N·Dmax − Z), Dmax being
// the largest demand per server.
func (n *Network) Bounds(i int) Bounds {
	c := &n.Classes[i]
	most := 0.0
	for k, d := range c.Demands {
		if !n.Stations[k].Delay {
			most = max(most, d/n.Stations[k].servers())
		}
	}
	total := c.total()
	b := Bounds{Throughput: 1 / most, Response: total, Knee: (total + c.Think) / most}
	if c.closed() {
		b.Throughput = min(b.Throughput, float64(c.Users)/(total+c.Think))
		b.Response = max(b.Response, float64(c.Users)*most-c.Think)
	}
	return b
}
