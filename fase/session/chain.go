package session

// A Chain is a finite absorbing Markov chain: what sessions walk. It is immutable and may be used from any goroutine.
type Chain struct {
	Pages []string // names, by page
	Steps []Step
	Start []Edge // of steps, with probabilities that add up to 1
}

// A Step is a page in a state of the session.
type Step struct {
	Page  int
	State []int
	// Next are the steps that may follow, with their probabilities. What these lack of 1 is the probability of the exit.
	Next []Edge
}

// Mix is the chain of sessions of one page each, chosen by weight. Weights are at least 0, and one is above.
func Mix(pages []string, weights []float64) *Chain {
	c := &Chain{Pages: pages}
	total := 0.0
	for _, w := range weights {
		total += w
	}
	for i, w := range weights {
		c.Steps = append(c.Steps, Step{Page: i})
		c.Start = append(c.Start, Edge{To: i, P: w / total})
	}
	return c
}

// First is the step that a session begins at, by a uniform in [0, 1).
func (c *Chain) First(u float64) int { return First(c.Start, u) }

// First is the step that edges lead to, by a uniform in [0, 1). They add up to 1 but for rounding.
func First(edges []Edge, u float64) int {
	if to := pick(edges, u); to != Exit {
		return to
	}
	for i := len(edges) - 1; i > 0; i-- {
		if edges[i].P > 0 {
			return edges[i].To // their sum fell short of 1 by rounding
		}
	}
	return edges[0].To
}

// After is the step that follows, by a uniform in [0, 1), or Exit.
func (c *Chain) After(step int, u float64) int { return pick(c.Steps[step].Next, u) }

// almost is a sum of probabilities that is taken for 1: it fell short of it by rounding.
const almost = 1 - 1e-9

func pick(edges []Edge, u float64) int {
	sum := 0.0
	for _, e := range edges {
		if sum += e.P; u < sum {
			return e.To
		}
	}
	if sum >= almost {
		return edges[len(edges)-1].To
	}
	return Exit
}

// exit is the probability that a session ends after a step; 0 where what is missing to 1 is rounding.
func (s *Step) exit() float64 {
	sum := 0.0
	for _, e := range s.Next {
		sum += e.P
	}
	if sum >= almost {
		return 0
	}
	return 1 - sum
}

// ending tells for each step whether a session can end from it.
func (c *Chain) ending() []bool {
	before := make([][]int, len(c.Steps)) // which steps lead to each
	ends := make([]bool, len(c.Steps))
	var found []int
	for i := range c.Steps {
		for _, e := range c.Steps[i].Next {
			before[e.To] = append(before[e.To], i)
		}
		if c.Steps[i].exit() > 0 {
			ends[i] = true
			found = append(found, i)
		}
	}
	for len(found) > 0 {
		i := found[len(found)-1]
		found = found[:len(found)-1]
		for _, j := range before[i] {
			if !ends[j] {
				ends[j] = true
				found = append(found, j)
			}
		}
	}
	return ends
}
