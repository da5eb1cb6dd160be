package qn

import "math"

// chain solves networks with one closed class exactly, whatever its population, by convolution (Buzen, "Computational Algorithms for Closed
// Queueing Networks with Exponential Servers", Communications of the ACM 16(9), 1973) of logarithms, which neither overflow nor cancel: the
// mean value analysis of stations whose speed depends on their queue does (Chandy and Sauer, "Computational Algorithms for Product Form
// Queueing Networks", Communications of the ACM 23(10), 1980).
type chain struct {
	speeds  []*speed
	demands []float64
	rest    float64 // think time and delays, s

	throughput []float64   // by population from 0
	queue      [][]float64 // by station and population: of the closed class
	p          [][]float64 // by station, population × the speeds that it has: probabilities of so few closed requests
}

func newChain(speeds []*speed, think float64, demands []float64, users int) *chain {
	c := &chain{speeds: speeds, demands: demands, rest: think}
	var plain, varied []int
	for k, v := range speeds {
		switch {
		case v.delay:
			c.rest += demands[k]
		case demands[k] == 0:
		case len(v.left) == 1:
			plain = append(plain, k)
		default:
			varied = append(varied, k)
		}
	}
	g := make([]float64, users+1)
	for n := range g {
		ln, _ := math.Lgamma(float64(n + 1))
		if g[n] = float64(n)*math.Log(c.rest) - ln; c.rest == 0 && n > 0 {
			g[n] = math.Inf(-1)
		}
	}
	g[0] = 0
	for _, k := range plain {
		g = c.with(g, k)
	}
	c.queue, c.p = make([][]float64, len(speeds)), make([][]float64, len(speeds))
	without := make([][]float64, len(speeds))
	all := g
	if len(varied) > 0 {
		c.leaveOut(g, varied, without)
		all = c.with(without[varied[0]], varied[0])
	}
	c.throughput = make([]float64, users+1)
	for n := 1; n <= users; n++ {
		c.throughput[n] = math.Exp(all[n-1] - all[n])
	}
	for k := range speeds {
		c.station(k, all, without[k])
	}
	return c
}

// with returns the convolution of normalising constants with the weights of a station, as logarithms.
func (c *chain) with(g []float64, k int) []float64 {
	v, d := c.speeds[k], math.Log(c.demands[k])
	weights := make([]float64, len(v.left)) // of fewer requests than speeds
	for j := 1; j < len(weights); j++ {
		weights[j] = weights[j-1] + d - math.Log(v.left[j-1])
	}
	slope, last := d-math.Log(v.left[len(v.left)-1]), len(weights)-1
	out, tail := make([]float64, len(g)), math.Inf(-1)
	for n := range g {
		if n > last {
			tail = slope + plus(tail, weights[last]+g[n-1-last])
		}
		sum := tail
		for j := 0; j <= min(last, n); j++ {
			sum = plus(sum, weights[j]+g[n-j])
		}
		out[n] = sum
	}
	return out
}

// plus is ln(e^a + e^b).
func plus(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if a-b > 40 || math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// leaveOut fills in, for each of some stations, the normalising constants with all the others: half of them at a time.
func (c *chain) leaveOut(g []float64, stations []int, without [][]float64) {
	if len(stations) == 1 {
		without[stations[0]] = g
		return
	}
	half := len(stations) / 2
	for i, part := range [][]int{stations[:half], stations[half:]} {
		with := g
		for _, k := range [][]int{stations[half:], stations[:half]}[i] {
			with = c.with(with, k)
		}
		c.leaveOut(with, part, without)
	}
}

// station fills in the queues and probabilities of a station.
func (c *chain) station(k int, all, without []float64) {
	users := len(all) - 1
	v, d := c.speeds[k], c.demands[k]
	c.queue[k] = make([]float64, users+1)
	if v.delay {
		for n := 1; n <= users; n++ {
			c.queue[k][n] = c.throughput[n] * d
		}
		return
	}
	if d == 0 || len(v.left) == 1 {
		c.plain(k)
		return
	}
	kinds, last := len(v.left), v.left[len(v.left)-1]
	p := make([]float64, (users+1)*kinds)
	p[0] = 1
	for n := 1; n <= users; n++ {
		now, before := p[n*kinds:(n+1)*kinds], p[(n-1)*kinds:n*kinds]
		seen := 1 + c.queue[k][n-1]
		x := c.throughput[n] * d
		now[0] = math.Exp(without[n] - all[n])
		for j := 1; j < kinds; j++ {
			now[j] = x / v.left[j-1] * before[j-1]
			seen += float64(j) * (last/v.left[j-1] - 1) * before[j-1]
		}
		c.queue[k][n] = x * seen / last
	}
	c.p[k] = p
}

// plain is a station of one server, and one that the class does not visit.
func (c *chain) plain(k int) {
	v, d := c.speeds[k], c.demands[k]
	kinds := len(v.left)
	p := make([]float64, len(c.throughput)*kinds)
	p[0] = 1
	for n := 1; n < len(c.throughput); n++ {
		x := c.throughput[n] * d / v.left[0]
		c.queue[k][n] = x * (1 + c.queue[k][n-1])
		p[n*kinds] = math.Max(0, 1-x)
	}
	c.p[k] = p
}

// probabilities are those of so few closed requests at a station that its speed depends on them.
func (c *chain) probabilities(k, users int) []float64 {
	kinds := len(c.speeds[k].left)
	return c.p[k][users*kinds : (users+1)*kinds]
}
