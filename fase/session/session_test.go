package session_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/fase/session"
	"github.com/eve-emulation/eve/rdr"
)

const exit = session.Exit

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(b)) }

func check(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if !near(got[i], want[i]) {
			t.Errorf("%s: got %v, want %v", what, got, want)
			return
		}
	}
}

// ruin is the gambler's ruin on 0..4, playing from 2 with even chances: its visits are in every textbook (Kemeny and Snell,
// 1960, chapter 3: N of the drunkard's walk), 1, 2 and 1 to the corners 1, 2 and 3.
func ruin() *session.Chain {
	return &session.Chain{
		Pages: []string{"one", "two", "three"},
		Steps: []session.Step{
			{Page: 0, Next: []session.Edge{{To: 1, P: 0.5}}},
			{Page: 1, Next: []session.Edge{{To: 0, P: 0.5}, {To: 2, P: 0.5}}},
			{Page: 2, Next: []session.Edge{{To: 1, P: 0.5}}},
		},
		Start: []session.Edge{{To: 1, P: 1}},
	}
}

func TestVisitsOfTheDrunkardsWalk(t *testing.T) {
	v, err := ruin().Visits()
	if err != nil {
		t.Fatal(err)
	}
	check(t, "mean", v.Mean, []float64{1, 2, 1})
	// N(2N_dg − I) − N_sq with N = [1.5 1 .5; 1 2 1; .5 1 1.5].
	check(t, "variance", v.Variance, []float64{1*(2*1.5-1) - 1, 2*(2*2-1) - 4, 1*(2*1.5-1) - 1})
	check(t, "left of two", v.Left[1], []float64{1, 1, 1})
	check(t, "last", v.Last, []float64{0.5, 0, 0.5})
	if !near(v.Length, 4) {
		t.Errorf("length: got %v, want 4", v.Length)
	}
	if v.Once[0] || v.Once[1] || v.Once[2] {
		t.Errorf("once: got %v of pages that come again", v.Once)
	}
}

func TestVisitsOfAGeometricSession(t *testing.T) {
	// A page that comes again with p is visited geometrically often: mean 1/(1−p), variance p/(1−p)².
	for _, p := range []float64{0, 0.5, 0.9, 0.999999} {
		c := &session.Chain{Pages: []string{"a"}, Steps: []session.Step{{Next: []session.Edge{{To: 0, P: p}}}}, Start: []session.Edge{{To: 0, P: 1}}}
		v, err := c.Visits()
		if err != nil {
			t.Fatal(err)
		}
		if want := 1 / (1 - p); math.Abs(v.Mean[0]/want-1) > 1e-9 {
			t.Errorf("p %v: mean: got %v, want %v", p, v.Mean[0], want)
		}
		if want := p / (1 - p) / (1 - p); math.Abs(v.Variance[0]-want) > 1e-6*max(1, want) {
			t.Errorf("p %v: variance: got %v, want %v", p, v.Variance[0], want)
		}
	}
}

func TestVisitsOfAMixAreBernoulli(t *testing.T) {
	v, err := session.Mix([]string{"browse", "buy"}, []float64{9, 3}).Visits()
	if err != nil {
		t.Fatal(err)
	}
	check(t, "mean", v.Mean, []float64{0.75, 0.25})
	check(t, "variance", v.Variance, []float64{0.75 * 0.25, 0.75 * 0.25})
	if !v.Once[0] || !v.Once[1] {
		t.Errorf("once: got %v, want both", v.Once)
	}
}

func TestVisitsRefuseAnEndlessChain(t *testing.T) {
	c := &session.Chain{Pages: []string{"a"}, Steps: []session.Step{{Next: []session.Edge{{To: 0, P: 1}}}}, Start: []session.Edge{{To: 0, P: 1}}}
	if _, err := c.Visits(); !errors.Is(err, session.ErrEndless) {
		t.Errorf("got %v, want %v", err, session.ErrEndless)
	}
}

// shop is a graph with a cart of at most three things, which leads to the checkout once there are two.
func shop(t *testing.T) *session.Graph {
	t.Helper()
	g := &session.Graph{State: []session.Var{{Name: "cart", Most: 3}, {Name: "login", Most: 1, Truth: true}}}
	f := func(src string) *expr.Formula {
		f, err := expr.CompileFormula(src, g.Inputs())
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	g.Pages = []session.Page{
		{Name: "list", Next: []session.Way{{To: []session.Edge{{To: 1, P: 0.75}, {To: exit, P: 0.25}}}}},
		{
			Name: "cart", Do: []session.Update{{Var: 0, Value: f("cart + 1")}},
			Next: []session.Way{
				{When: f("cart >= 2 and not login"), To: []session.Edge{{To: 2, P: 1}}},
				{To: []session.Edge{{To: 0, P: 1}}},
			},
		},
		{
			Name: "login", Do: []session.Update{{Var: 1, Value: f("true")}},
			Next: []session.Way{{To: []session.Edge{{To: 0, P: 0.5}, {To: exit, P: 0.5}}}},
		},
	}
	return g
}

func TestUnfoldFollowsTheState(t *testing.T) {
	c, mistakes := shop(t).Unfold()
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	// list and cart at 0 and 1, login at 2, and then list and cart with 2 and 3 things after the login.
	if got, want := len(c.Steps), 9; got != want {
		t.Errorf("steps: got %d (%v), want %d", got, c.Steps, want)
	}
	v, err := c.Visits()
	if err != nil {
		t.Fatal(err)
	}
	// Two carts before the login, with 0.75²; then, with half of it, list once more and a cart with 0.75 each, geometrically.
	again := 0.75 * 0.75 * 0.5 / 0.25
	check(t, "mean", v.Mean, []float64{1.75 + again, 0.75 + 0.75*0.75 + 0.75*again, 0.75 * 0.75})
	if v.Once[0] || v.Once[1] || !v.Once[2] {
		t.Errorf("once: got %v, want login only", v.Once)
	}
}

func TestUnfoldTellsMistakes(t *testing.T) {
	always := func(to ...session.Edge) []session.Way { return []session.Way{{To: to}} }
	plus := func(in []expr.Input, src string) *expr.Formula {
		f, err := expr.CompileFormula(src, in)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	grows := &session.Graph{State: []session.Var{{Name: "n", Least: -session.Unbounded, Most: session.Unbounded}}}
	grows.Pages = []session.Page{{
		Name: "a", Do: []session.Update{{Value: plus(grows.Inputs(), "n + 1")}}, Next: always(session.Edge{To: 0, P: 0.5}, session.Edge{To: exit, P: 0.5}),
	}}
	stuck := &session.Graph{State: []session.Var{{Name: "n", Most: 9}}}
	stuck.Pages = []session.Page{{
		Name: "a", Do: []session.Update{{Value: plus(stuck.Inputs(), "n + 1")}},
		Next: []session.Way{{When: plus(stuck.Inputs(), "n < 3"), To: []session.Edge{{To: 0, P: 0.5}, {To: exit, P: 0.5}}}},
	}}
	for _, tc := range []struct {
		name string
		g    *session.Graph
		page int
		want string
	}{
		{"unreached", &session.Graph{Pages: []session.Page{{Name: "a", Next: always(session.Edge{To: exit, P: 1})}, {Name: "b", Next: always(session.Edge{To: exit, P: 1})}}}, 1, "no session reaches page b"},
		{"endless", &session.Graph{Pages: []session.Page{{Name: "a", Next: always(session.Edge{To: 1, P: 0.5}, session.Edge{To: exit, P: 0.5})}, {Name: "b", Next: always(session.Edge{To: 1, P: 1})}}}, 1, "a session at page b can never end"},
		{"no chance", &session.Graph{Pages: []session.Page{{Name: "a", Next: always(session.Edge{To: 0, P: 1}, session.Edge{To: exit, P: 0})}}}, 0, "a session at page a can never end"},
		{"grows", grows, -1, "n grows without bound"},
		{"stuck", stuck, 0, "a session at page a with n = 3 has no way onward"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, ms := tc.g.Unfold()
			if c != nil || len(ms) != 1 {
				t.Fatalf("got %v and %d mistakes", c, len(ms))
			}
			if ms[0].Page != tc.page || ms[0].Msg != tc.want {
				t.Errorf("got page %d: %s, want page %d: %s", ms[0].Page, ms[0].Msg, tc.page, tc.want)
			}
			if ms[0].Fix == "" || !strings.HasSuffix(ms[0].Error(), ms[0].Fix) {
				t.Errorf("the error %q does not end in its fix", ms[0].Error())
			}
		})
	}
}

// TestWalksKeepTheirProbabilities walks the shop with keyed draws: the visits to each page are within 4 standard deviations of
// what the fundamental matrix says; with a chance of one page changed, they are not.
func TestWalksKeepTheirProbabilities(t *testing.T) {
	c, _ := shop(t).Unfold()
	v, err := c.Visits()
	if err != nil {
		t.Fatal(err)
	}
	const sessions = 20_000
	count := func(c *session.Chain) []float64 {
		n := make([]float64, len(c.Pages))
		for s := range uint64(sessions) {
			key := rdr.Root(1, 2, s, 0)
			for at, k := c.First(key.Mix(1).Uniform()), uint64(2); at != exit; k++ {
				n[c.Steps[at].Page]++
				at = c.After(at, key.Mix(k).Uniform())
			}
		}
		return n
	}
	worst := func(n []float64) float64 {
		most := 0.0
		for p := range n {
			most = max(most, math.Abs(n[p]-sessions*v.Mean[p])/math.Sqrt(sessions*v.Variance[p]))
		}
		return most
	}
	if z := worst(count(c)); z > 4 {
		t.Errorf("got %v standard deviations", z)
	}
	wrong := *c
	wrong.Steps = append([]session.Step(nil), c.Steps...)
	wrong.Steps[0].Next = []session.Edge{{To: c.Steps[0].Next[0].To, P: 0.72}}
	if z := worst(count(&wrong)); z < 4 {
		t.Errorf("a chance of 0.72 for one of 0.75 stays within %v standard deviations", z)
	}
}

func TestWalkingDoesNotAllocate(t *testing.T) {
	c := ruin()
	u := 0.0
	if n := testing.AllocsPerRun(1000, func() {
		u = math.Mod(u+0.3719, 1)
		_ = c.After(c.First(u), u)
	}); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}

func FuzzVisits(f *testing.F) {
	f.Add(uint64(1), uint8(3))
	f.Add(uint64(99), uint8(40))
	f.Fuzz(func(t *testing.T, seed uint64, size uint8) {
		n := int(size)%60 + 1
		c := &session.Chain{Start: []session.Edge{{To: 0, P: 1}}}
		key := rdr.Root(seed, 0, 0, 0)
		for i := range n {
			c.Pages = append(c.Pages, "p")
			s := session.Step{Page: i}
			left := 0.5 + 0.49*key.Mix(uint64(i)).Uniform()
			for e := range uint64(3) {
				k := key.Mix(uint64(i)).Mix(e)
				p := left * k.Mix(1).Uniform()
				left -= p
				s.Next = append(s.Next, session.Edge{To: int(uint64(k) % uint64(n)), P: p})
			}
			c.Steps = append(c.Steps, s)
		}
		v, err := c.Visits()
		if err != nil {
			t.Fatal(err)
		}
		// What a page is visited is where sessions begin and what leads to it; every session ends once.
		in := make([]float64, n)
		in[0] = 1
		ends := 0.0
		for i, s := range c.Steps {
			ends += v.Last[i]
			for _, e := range s.Next {
				in[e.To] += v.Mean[i] * e.P
			}
		}
		for i := range in {
			if math.Abs(in[i]-v.Mean[i]) > 1e-9*max(1, in[i]) || v.Variance[i] < 0 {
				t.Errorf("page %d: %v visits from %v that lead there, variance %v", i, v.Mean[i], in[i], v.Variance[i])
			}
		}
		if math.Abs(ends-1) > 1e-9 {
			t.Errorf("a session ends %v times", ends)
		}
	})
}
