package judge_test

import (
	"math/rand/v2"
	"testing"

	"github.com/eve-emulation/eve/fase/judge"
)

// chain are n options of 1 to n servers.
func chain(n int) (picks [][]int, costs []float64) {
	for i := range n {
		picks, costs = append(picks, []int{i}), append(costs, float64(i+1))
	}
	return picks, costs
}

// Of intervals that share nothing the search finds the cheapest schedule, and knows that there is none cheaper.
func TestSearchApart(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	for range 300 {
		n, servers := 1+r.IntN(12), 1+r.IntN(6)
		needs := make([]int, n)
		want := 0.0
		p := judge.Problem{Weights: make([]float64, n)}
		p.Picks, p.Costs = chain(servers)
		for k := range needs {
			needs[k], p.Weights[k] = r.IntN(servers), 1+r.Float64()
			want += p.Weights[k] * float64(needs[k]+1)
		}
		p.Holds = func(s []int) int {
			for k, o := range s {
				if o < needs[k] {
					return k
				}
			}
			return len(s)
		}
		schedule, cost, least, asked, err := p.Solve()
		if err != nil {
			t.Fatal(err)
		}
		if cost != want || least > cost*(1+1e-12) || least < cost*(1-1e-12) {
			t.Fatalf("needs %v: got %v at %v, no less than %v; want %v", needs, schedule, cost, least, want)
		}
		if most := 2*servers*n + 2; asked > most {
			t.Errorf("%d intervals of %d servers: asked %d times, want at most %d", n, servers, asked, most)
		}
	}
}

// backlog is a world in which work that an interval leaves is there in the next: at the end of each no more than slack may be left.
func backlog(work []int, slack int) func(s []int) int {
	return func(s []int) int {
		left := 0
		for k, o := range s {
			if left = max(0, left+work[k]-(o+1)); left > slack {
				return k
			}
		}
		return len(s)
	}
}

// brute is the cost of the cheapest schedule that holds; -1: none.
func brute(p judge.Problem) float64 {
	n, best := len(p.Weights), -1.0
	s := make([]int, n)
	for {
		cost := 0.0
		for k, o := range s {
			cost += p.Weights[k] * p.Costs[o]
		}
		if (best < 0 || cost < best) && p.Holds(s) == n {
			best = cost
		}
		i := n - 1
		for ; i >= 0; i-- {
			if s[i]++; s[i] < len(p.Costs) {
				break
			}
			s[i] = 0
		}
		if i < 0 {
			return best
		}
	}
}

// Where work is left over, the schedule holds, costs no less than the bound, the best lies between, and the search goes back where
// an interval cannot make up for the one before.
func TestSearchBacklog(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	exact, tries, back := 0, 300, 0
	for range tries {
		n, servers := 2+r.IntN(4), 2+r.IntN(3)
		work := make([]int, n)
		for k := range work {
			work[k] = r.IntN(servers + 2)
		}
		p := judge.Problem{Weights: make([]float64, n), Holds: backlog(work, 2)}
		for k := range p.Weights {
			p.Weights[k] = 1
		}
		p.Picks, p.Costs = chain(servers)
		want := brute(p)
		schedule, cost, least, _, err := p.Solve()
		if want < 0 {
			if err == nil {
				t.Fatalf("work %v: got %v, where none holds", work, schedule)
			}
			continue
		}
		if err != nil {
			t.Fatalf("work %v of %d servers: %v", work, servers, err)
		}
		if p.Holds(schedule) != n || cost < want || least > want {
			t.Fatalf("work %v of %d servers: got %v at %v, no less than %v; the best is %v", work, servers, schedule, cost, least, want)
		}
		for k := range n - 1 {
			if work[k] < schedule[k]+1 && work[k+1] > servers {
				back++
			}
		}
		if cost == want {
			exact++
		}
	}
	t.Logf("%d of %d are the best", exact, tries)
	if exact < tries*8/10 || back == 0 {
		t.Errorf("got the best %d of %d times, went back %d times", exact, tries, back)
	}
}

// Of two services at once the cheapest combination is found, though neither covers the other.
func TestSearchTwoServices(t *testing.T) {
	p := judge.Problem{
		Picks:   [][]int{{0, 0}, {1, 0}, {0, 1}, {1, 1}, {0, 2}, {1, 2}},
		Costs:   []float64{1, 2, 2, 3, 3, 4},
		Weights: []float64{1, 1, 1},
	}
	needs := [][]int{{0, 0}, {0, 1}, {1, 1}}
	p.Holds = func(s []int) int {
		for k, o := range s {
			if p.Picks[o][0] < needs[k][0] || p.Picks[o][1] < needs[k][1] {
				return k
			}
		}
		return len(s)
	}
	schedule, cost, least, _, err := p.Solve()
	if err != nil || cost != 6 || least != 6 {
		t.Errorf("got %v at %v, no less than %v, %v; want 6", schedule, cost, least, err)
	}
}
