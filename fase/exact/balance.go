package exact

import (
	"fmt"
	"math"
)

// maxStates bounds the chain that ChoicesOf solves.
const maxStates = 200_000

// ChoicesOf is the mean response of n servers at utilisation rho, each request joining the shortest of the lines of d of them, drawn
// without replacement, exponential demands, in mean demands. It is that of the Markov chain of the lines' lengths, whose stationary
// probabilities come from iterating it; lines longer than most are cut off, so that what it is too small by falls with most. An error
// says that the chain is too large.
func ChoicesOf(n, d int, rho float64, most int) (float64, error) {
	if err := steady("choices", rho); err != nil || d < 1 || d > n || most < 1 {
		return 0, fmt.Errorf("%d choices of %d servers at %g", d, n, rho)
	}
	if binomial(n+most, n) > maxStates {
		return 0, fmt.Errorf("%d choices of %d servers: their lines have too many lengths", d, n)
	}
	c := lines{n: n, most: most, binomials: binomials(n + most)}
	c.build(d, rho)
	return c.jobs(c.stationary()) / (rho * float64(n)), nil
}

// lines is the chain of n lines of at most so many jobs. A state is their lengths in falling order.
type lines struct {
	n, most   int
	binomials [][]int
	states    [][]int
	from, to  []int32   // of each transition
	share     []float64 // its probability in a step of the uniformised chain
}

// index numbers the states: how many there are whose lengths, in falling order, come before (the combinatorial number system).
func (c *lines) index(s []int) int {
	k := 0
	for i, x := range s {
		k += c.binomials[x+c.n-1-i][c.n-i]
	}
	return k
}

func (c *lines) build(d int, rho float64) {
	var grow func(prefix []int, top int)
	grow = func(prefix []int, top int) {
		if len(prefix) == c.n {
			c.states = append(c.states, append([]int(nil), prefix...))
			return
		}
		for k := 0; k <= top; k++ {
			grow(append(prefix, k), k)
		}
	}
	grow(make([]int, 0, c.n), c.most)
	uniform := float64(c.n) * (1 + rho)
	for k, s := range c.states {
		for i := range s {
			// The i-th longest is the shortest of those drawn when it is drawn and all others are of the i before it.
			if p := binomial(i, d-1) / binomial(c.n, d); p > 0 && s[i] < c.most {
				c.edge(k, s, i, 1, rho*float64(c.n)*p/uniform)
			}
			if s[i] > 0 {
				c.edge(k, s, i, -1, 1/uniform)
			}
		}
	}
}

// edge adds the transition of a state by which its i-th line gets one longer or shorter.
func (c *lines) edge(k int, s []int, i, by int, share float64) {
	next := append([]int(nil), s...)
	for by > 0 && i > 0 && next[i-1] == next[i] { // those of one length are alike: the first stays in order
		i--
	}
	for by < 0 && i+1 < len(next) && next[i+1] == next[i] {
		i++
	}
	next[i] += by
	c.from, c.to, c.share = append(c.from, int32(k)), append(c.to, int32(c.index(next))), append(c.share, share)
}

func (c *lines) stationary() []float64 {
	p, q := make([]float64, len(c.states)), make([]float64, len(c.states))
	p[0] = 1
	for change := 1.0; change > 1e-11; p, q = q, p {
		copy(q, p)
		for e, k := range c.from {
			flow := p[k] * c.share[e]
			q[k] -= flow
			q[c.to[e]] += flow
		}
		change = 0
		for k := range p {
			change += math.Abs(p[k] - q[k])
		}
	}
	return p
}

func (c *lines) jobs(p []float64) float64 {
	sum := 0.0
	for k, s := range c.states {
		for _, x := range s {
			sum += p[k] * float64(x)
		}
	}
	return sum
}

func binomial(n, k int) float64 {
	x := 1.0
	for i := range k {
		x *= float64(n-i) / float64(i+1)
	}
	return x
}

// binomials is Pascal's triangle; row n has n+1 entries, and zeros up to the width of all.
func binomials(most int) [][]int {
	rows := make([][]int, most+1)
	for n := range rows {
		rows[n] = make([]int, most+2)
		rows[n][0] = 1
		for k := 1; k <= n; k++ {
			rows[n][k] = rows[n-1][k-1] + rows[n-1][k]
		}
	}
	return rows
}

// ErlangArrivals is the mean response of E_n/M/1 in mean demands at utilisation rho: of a server that gets every n-th request of a
// Poisson stream, as one of n does that take turns. It is 1/(1 − σ), σ being the root in (0, 1) of σ = A*(μ(1 − σ)), the transform of
// the gaps (Kleinrock, Queueing Systems I, section 6.4).
func ErlangArrivals(n int, rho float64) (float64, error) {
	if err := steady("E_n/M/1", rho); err != nil || n < 1 {
		return 0, fmt.Errorf("E_%d/M/1 at %g", n, rho)
	}
	sigma := rho
	for range 100_000 {
		next := math.Pow(rho*float64(n)/(rho*float64(n)+1-sigma), float64(n))
		if math.Abs(next-sigma) < 1e-15 {
			break
		}
		sigma = next
	}
	return 1 / (1 - sigma), nil
}
