package qn

import (
	"errors"
	"fmt"
	"math"
)

// A Growth is how a network with one closed class behaves with every number of its users. It is read-only, and may be read at once by many.
type Growth struct {
	// Throughput is by users, from none.
	Throughput []float64
	chain      *chain
	places     []int // by station: those in service at most, 0 of a delay
}

// Grow solves a network for 0 to so many users of its only closed class, exactly, where its own Users do not count: the speeds of a station
// that stands for it (Chandy, Herzog and Woo, "Parametric Analysis of Queuing Networks", IBM Journal of Research and Development
// 19(1), 1975). The error is that of Solve.
func (n *Network) Grow(users int) (*Growth, error) {
	if users < 1 {
		return nil, fmt.Errorf("grow network: %d users", users)
	}
	m := *n
	m.Classes = append([]Class(nil), n.Classes...)
	closed := -1
	for i := range m.Classes {
		if c := &m.Classes[i]; c.closed() {
			if closed >= 0 {
				return nil, errors.New("grow network: more than one closed class")
			}
			closed, c.Users = i, users
		}
	}
	if closed < 0 {
		return nil, errors.New("grow network: no closed class")
	}
	c, err := m.prepare()
	if err != nil {
		return nil, fmt.Errorf("grow network: %w", err)
	}
	g := &Growth{chain: newChain(c.speeds, m.Classes[closed].Think, m.Classes[closed].Demands, users)}
	g.Throughput = g.chain.throughput
	for _, v := range c.speeds {
		g.places = append(g.places, len(v.rates))
	}
	return g, nil
}

// Queue is the mean number of requests of the closed class at a station, for so many users.
func (g *Growth) Queue(station, users int) float64 { return g.chain.queue[station][users] }

// Busy is the mean number in service at a station, of all classes, for so many users.
func (g *Growth) Busy(station, users int) float64 {
	v := g.chain.speeds[station]
	if v.delay {
		return v.load + g.Queue(station, users)
	}
	_, busy := v.beside(g.chain.probabilities(station, users), g.Queue(station, users))
	return busy
}

// Present returns the probabilities that 0, 1, … requests of all classes are at a station, for so many users, up to one less than it serves
// at once. It is nil of a delay.
func (g *Growth) Present(station, users int) []float64 {
	v := g.chain.speeds[station]
	if v.delay {
		return nil
	}
	return v.present(g.chain.probabilities(station, users))
}

// present returns the probabilities of fewer requests, of open and closed classes, than a station serves at once; p are those of closed ones.
func (v *speed) present(p []float64) []float64 {
	m := len(v.rates)
	out := make([]float64, m)
	if v.load == 0 {
		copy(out, p)
		return out
	}
	for j := 0; j < min(len(p), m); j++ {
		if p[j] < 1e-18 {
			continue
		}
		term, total := 0.0, v.total[j] // logarithms of the weight beside k open ones, and of their sum
		for k := 0; j+k < m; k++ {
			y := p[j] * math.Exp(term-total)
			if out[j+k] += y; y < 1e-18 && float64(j+k+1)*v.load < float64(k+1)*v.rates[j+k] {
				break // the rest is less
			}
			term += math.Log(float64(j+k+1) / float64(k+1) * v.load / v.rates[j+k])
		}
	}
	return out
}
