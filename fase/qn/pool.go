package qn

import "fmt"

// A Pool is a pool of threads in front of a network: requests wait in line for a thread, and hold it while they go through the network.
type Pool struct {
	Wait     float64   // mean wait for a thread, s
	Hold     float64   // mean time that a thread is held, s
	Queue    float64   // mean number that wait
	Busy     float64   // mean threads that are held
	Capacity float64   // requests per second with all threads busy
	Stretch  []float64 // by station: mean time there in demands; 1 where nothing is demanded
	Present  []float64 // probabilities that 0, 1, … requests are there, waiting or not, up to one less than threads
}

// Pool solves a pool of so many threads that requests come to at random, at a rate per second, where the network's only closed class is
// what a thread goes through for a request (its Users and Think do not count), and open classes are what else comes to the stations. The
// number of requests is that at a station which is as fast as its busy threads are alone (Grow), so that a full pool and full stations below
// it come together, as they do: exact where the network has a product form. The error is that of Solve, ErrUnstable where the rate is
// no less than the capacity.
func (n *Network) Pool(threads int, rate float64) (Pool, error) {
	closed := -1
	for i := range n.Classes {
		if n.Classes[i].closed() {
			closed = i
		}
	}
	g, err := n.Grow(threads)
	if err != nil {
		return Pool{}, fmt.Errorf("solve pool: %w", err)
	}
	station := Station{Name: "pool", Rates: make([]float64, threads)}
	for i := range station.Rates {
		station.Rates[i] = g.Throughput[i+1]
		if i > 0 {
			station.Rates[i] = max(station.Rates[i], station.Rates[i-1]) // rounding
		}
	}
	p := Pool{Capacity: station.servers(), Stretch: make([]float64, len(n.Stations)), Hold: 1 / station.Rates[0]}
	if rate >= p.Capacity*(1-1e-12) || !(rate >= 0) {
		return Pool{}, fmt.Errorf("solve pool: %w: %d threads are offered %.3g of their capacity", ErrUnstable, threads, rate/p.Capacity)
	}
	v := station.speed(rate, 0)
	p.Present, p.Busy = v.present([]float64{1}), v.busy[0]
	if p.Queue = max(0, v.open[0]-p.Busy); rate > 0 {
		p.Wait, p.Hold = p.Queue/rate, p.Busy/rate
	}
	rest := 1 - p.Present[0]
	through, queue := 0.0, make([]float64, len(n.Stations))
	for i := 1; i <= threads; i++ {
		x := rest
		if i < threads {
			x = p.Present[i]
			rest -= x
		}
		if rate == 0 { // as the first request sees it
			x = 0
			if i == 1 {
				x = 1
			}
		}
		if x <= 0 {
			continue
		}
		through += x * g.Throughput[i]
		for k := range queue {
			queue[k] += x * g.Queue(k, i)
		}
	}
	for k, d := range n.Classes[closed].Demands {
		if p.Stretch[k] = 1; d > 0 {
			p.Stretch[k] = queue[k] / (through * d)
		}
	}
	return p, nil
}
