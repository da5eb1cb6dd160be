package plan_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/fase/plan"
	"github.com/eve-emulation/eve/fase/qn"
)

// A network is open: requests visit every station, whose servers have one line or, with split, a line each of which one is drawn.
type network struct {
	rate    float64
	demands []float64
	split   bool
	cost    []float64
	bound   float64 // of the mean response, s
}

// response is the mean response with so many servers at each station: M/M/1 queues by the textbook where they are split, else M/M/c by package qn.
func (n *network) response(t *testing.T, c plan.Counts) float64 {
	t.Helper()
	if n.split {
		sum := 0.0
		for i, d := range n.demands {
			u := n.rate * d / float64(c[i])
			if u >= 1 {
				return math.Inf(1)
			}
			sum += d / (1 - u)
		}
		return sum
	}
	net := qn.Network{Classes: []qn.Class{{Name: "c", Rate: n.rate, Demands: n.demands}}}
	for i := range c {
		net.Stations = append(net.Stations, qn.Station{Name: string(rune('a' + i)), Servers: c[i]})
	}
	s, err := net.Solve()
	if errors.Is(err, qn.ErrUnstable) {
		return math.Inf(1)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.Classes[0].Response
}

// brute is the least cost of all counts up to most, looked at one by one.
func (n *network) brute(t *testing.T, most plan.Counts) float64 {
	t.Helper()
	best := math.Inf(1)
	c := make(plan.Counts, len(most))
	for i := range c {
		c[i] = 1
	}
	for {
		if k := n.price(c); k < best && n.response(t, c) < n.bound {
			best = k
		}
		i := 0
		for ; i < len(c); i++ {
			if c[i]++; c[i] <= most[i] {
				break
			}
			c[i] = 1
		}
		if i == len(c) {
			return best
		}
	}
}

func (n *network) price(c plan.Counts) float64 {
	sum := 0.0
	for i := range c {
		sum += n.cost[i] * float64(c[i])
	}
	return sum
}

// draw makes a network of which about need servers of each station suffice.
func draw(r *rand.Rand) network {
	n := network{rate: 1, split: r.IntN(2) == 0, bound: 0}
	for range 2 + r.IntN(2) {
		n.demands = append(n.demands, 0.3+3*r.Float64())
		n.cost = append(n.cost, []float64{1, 1, 2, 3.5}[r.IntN(4)])
	}
	bare := 0.0
	for _, d := range n.demands {
		bare += d
	}
	n.bound = bare * (1.1 + 2*r.Float64())
	return n
}

// TestCheapestIsBruteForce: the counts of random product-form networks cost what those cost that brute force finds.
func TestCheapestIsBruteForce(t *testing.T) {
	networks := 200
	if testing.Short() {
		networks = 40
	}
	r := rand.New(rand.NewPCG(7, 1))
	found := 0
	for k := range networks {
		n := draw(r)
		most := make(plan.Counts, len(n.demands))
		b := plan.Bounds{Cost: n.cost}
		for i := range most {
			most[i] = 24
			b.From, b.To = append(b.From, 1), append(b.To, 24)
		}
		got, err := plan.Cheapest(t.Context(), b, func(c plan.Counts) (bool, error) { return n.response(t, c) < n.bound, nil })
		if err != nil {
			t.Fatal(err)
		}
		want := n.brute(t, most)
		switch {
		case math.IsInf(want, 1):
			if got.Counts != nil {
				t.Errorf("network %d: got %v, want none", k, got.Counts)
			}
		case got.Counts == nil || math.Abs(got.Cost-want) > 1e-9 || !got.Exact:
			t.Errorf("network %d: got %v at %g, exact %t, want %g", k, got.Counts, got.Cost, got.Exact, want)
		default:
			found++
			for i := range got.Counts { // none can be taken away
				if got.Counts[i] > 1 && n.response(t, got.Counts.With(i, -1)) < n.bound {
					t.Errorf("network %d: %v holds with one less of %d", k, got.Counts, i)
				}
			}
		}
	}
	if found < networks*9/10 {
		t.Errorf("%d of %d networks have an answer: the test shows too little", found, networks)
	}
}

func TestCheapestGivesUpInOrder(t *testing.T) {
	b := plan.Bounds{From: plan.Counts{1, 1, 1}, To: plan.Counts{64, 64, 64}, Most: 40}
	sum := func(c plan.Counts) (bool, error) { return c.Sum() >= 60, nil }
	got, err := plan.Cheapest(t.Context(), b, sum)
	if err != nil || got.Exact || got.Counts.Sum() != 60 {
		t.Errorf("too many to look at: got %+v, %v, want counts of which none can be taken away, and not exact", got, err)
	}
	if _, err := plan.Cheapest(t.Context(), plan.Bounds{From: plan.Counts{3}, To: plan.Counts{2}}, sum); !errors.Is(err, plan.ErrBounds) {
		t.Errorf("no counts: got %v, want ErrBounds", err)
	}
	got, err = plan.Cheapest(t.Context(), plan.Bounds{From: plan.Counts{1}, To: plan.Counts{9}}, func(plan.Counts) (bool, error) { return false, nil })
	if err != nil || got.Counts != nil {
		t.Errorf("nothing suffices: got %v, %v, want none", got.Counts, err)
	}
	bad := errors.New("bad")
	if _, err := plan.Cheapest(t.Context(), b, func(plan.Counts) (bool, error) { return false, bad }); !errors.Is(err, bad) {
		t.Errorf("an oracle that fails: got %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := plan.Cheapest(ctx, b, sum); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: got %v", err)
	}
	none, err := plan.Cheapest(t.Context(), plan.Bounds{}, func(plan.Counts) (bool, error) { return true, nil })
	if err != nil || none.Counts == nil || len(none.Counts) != 0 {
		t.Errorf("nothing to vary: got %+v, %v, want empty counts that hold", none, err)
	}
}

func TestCounts(t *testing.T) {
	a := plan.Counts{4, 5, 3}
	if b := a.With(1, -1); !slices.Equal(b, plan.Counts{4, 4, 3}) || a[1] != 5 || b.Sum() != 11 {
		t.Errorf("with one less: got %v of %v", b, a)
	}
	if !a.Covers(a.With(0, -1)) || a.With(0, -1).Covers(a) || !a.Covers(a) {
		t.Error("covers: more covers less, and not the other way round")
	}
}
