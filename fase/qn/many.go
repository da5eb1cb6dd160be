package qn

import "math"

// many solves the network of one closed class whose users are so many that their requests come as from outside: at the rate X for which
// X·(Z + R) is their number, R being the response of open requests at that rate. It is the limit of the exact solution for many users.
func (c *closed) many(n *Network, open []float64) {
	p := c.classes[0]
	users := float64(p.users)
	most := math.Inf(1)
	for k := range n.Stations {
		if d := p.demands[k]; d > 0 && !n.Stations[k].Delay {
			most = math.Min(most, (n.Stations[k].servers()-open[k])/d)
		}
	}
	response := func(x float64) float64 {
		sum := 0.0
		for k, d := range p.demands {
			if d > 0 {
				c.speeds[k] = n.Stations[k].speed(open[k]+x*d, 0)
				sum += d * c.speeds[k].stretch()
			}
		}
		return sum
	}
	if total := response(0) + p.think; total > 0 {
		most = math.Min(most, users/total)
	}
	low, high := 0.0, most
	for range 200 {
		x := (low + high) / 2
		if x == low || x == high {
			break
		}
		if x*(p.think+response(x)) < users {
			low = x
		} else {
			high = x
		}
	}
	response(low)
	c.merged, c.throughput, c.residence = true, []float64{low}, [][]float64{make([]float64, len(n.Stations))}
	for k, d := range p.demands {
		if d > 0 {
			c.residence[0][k] = d * c.speeds[k].stretch()
		}
		if !c.speeds[k].delay {
			c.p[k] = []float64{1}
		}
	}
}

// stretch is how many times its demand an open request is at a station without closed ones.
func (v *speed) stretch() float64 {
	switch {
	case v.delay:
		return 1
	case v.load == 0:
		return 1 / v.rates[0]
	}
	return v.open[0] / v.load
}
