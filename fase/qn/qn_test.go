package qn_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/qn"
)

// A chain is a Markov chain in continuous time: what it may do from a state, and at which rate.
type chain func(state string, to func(next string, rate float64))

// settle returns the probabilities of a chain's states in the long run, by uniformisation from a first state.
func settle(t *testing.T, first string, c chain) map[string]float64 {
	t.Helper()
	type move struct {
		to   int
		rate float64
	}
	index, names := map[string]int{first: 0}, []string{first}
	var moves [][]move
	fastest := 0.0
	for i := 0; i < len(names); i++ {
		var from []move
		sum := 0.0
		c(names[i], func(next string, rate float64) {
			j, ok := index[next]
			if !ok {
				j = len(names)
				index[next], names = j, append(names, next)
			}
			from = append(from, move{j, rate})
			sum += rate
		})
		moves, fastest = append(moves, from), math.Max(fastest, sum)
	}
	p := make([]float64, len(names))
	p[0] = 1
	for range 200_000 {
		next := append([]float64(nil), p...)
		for i, from := range moves {
			for _, m := range from {
				flow := p[i] * m.rate / (1.1 * fastest)
				next[i] -= flow
				next[m.to] += flow
			}
		}
		moved := 0.0
		for i := range p {
			moved = math.Max(moved, math.Abs(next[i]-p[i]))
		}
		if p = next; moved < 1e-13 {
			break
		}
	}
	out := map[string]float64{}
	for i, n := range names {
		out[n] = p[i]
	}
	return out
}

// cycle is the chain of a closed network with processor sharing: each user thinks, then visits the stations one after the other. A
// state has, class by class, the users who think and those at each station.
func cycle(n *qn.Network) (first string, c chain) {
	stations := len(n.Stations)
	width := stations + 1
	start := make([]byte, width*len(n.Classes))
	for r := range n.Classes {
		start[r*width] = byte(n.Classes[r].Users)
	}
	return string(start), func(state string, to func(string, float64)) {
		for r := range n.Classes {
			for at := range width {
				here := state[r*width+at]
				if here == 0 {
					continue
				}
				rate := float64(here)
				if at == 0 {
					rate /= n.Classes[r].Think
				} else {
					k := at - 1
					present := 0.0
					for s := range n.Classes {
						present += float64(state[s*width+at])
					}
					servers := present
					if !n.Stations[k].Delay {
						servers = math.Min(present, float64(max(n.Stations[k].Servers, 1)))
					}
					rate *= servers / present / n.Classes[r].Demands[k]
				}
				next := []byte(state)
				next[r*width+at]--
				next[r*width+(at+1)%width]++
				to(string(next), rate)
			}
		}
	}
}

// measure returns the throughput of each class and the queue of each class at each station.
func measure(n *qn.Network, p map[string]float64) (throughput []float64, queue [][]float64) {
	width := len(n.Stations) + 1
	throughput, queue = make([]float64, len(n.Classes)), make([][]float64, len(n.Classes))
	for r := range n.Classes {
		queue[r] = make([]float64, len(n.Stations))
		for state, x := range p {
			throughput[r] += x * float64(state[r*width]) / n.Classes[r].Think
			for k := range n.Stations {
				queue[r][k] += x * float64(state[r*width+1+k])
			}
		}
	}
	return throughput, queue
}

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within*math.Max(math.Abs(want), 1e-9)) {
		t.Errorf("%s: got %.8g, want %.8g", what, got, want)
	}
}

// TestClosedAgainstMarkovChain compares the exact analysis with the chain that each network is.
func TestClosedAgainstMarkovChain(t *testing.T) {
	for name, n := range map[string]*qn.Network{
		"one class": {
			Stations: []qn.Station{{Name: "cpu"}, {Name: "disk"}},
			Classes:  []qn.Class{{Name: "a", Users: 6, Think: 3, Demands: []float64{0.7, 1.1}}},
		},
		"several servers": {
			Stations: []qn.Station{{Name: "cpu", Servers: 3}, {Name: "disk"}, {Name: "net", Delay: true}},
			Classes:  []qn.Class{{Name: "a", Users: 7, Think: 0.5, Demands: []float64{2, 0.5, 0.8}}},
		},
		"two classes": {
			Stations: []qn.Station{{Name: "cpu", Servers: 2}, {Name: "disk"}},
			Classes: []qn.Class{
				{Name: "a", Users: 3, Think: 2, Demands: []float64{1, 0.3}},
				{Name: "b", Users: 2, Think: 1, Demands: []float64{0.4, 1.2}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := n.Solve()
			if err != nil || !s.Exact {
				t.Fatalf("got %v, exact %v; want an exact solution", err, s.Exact)
			}
			first, c := cycle(n)
			throughput, queue := measure(n, settle(t, first, c))
			for r := range n.Classes {
				near(t, "throughput", s.Classes[r].Throughput, throughput[r], 1e-6)
				for k := range n.Stations {
					near(t, n.Stations[k].Name, s.Classes[r].Queue[k], queue[r][k], 1e-5)
				}
				// The response time law: R = N/X − Z.
				near(t, "response", s.Classes[r].Response, float64(n.Classes[r].Users)/throughput[r]-n.Classes[r].Think, 1e-5)
			}
		})
	}
}

// TestMixedAgainstMarkovChain has an open class and a closed one share a processor.
func TestMixedAgainstMarkovChain(t *testing.T) {
	const rate, open, users, think, demand = 0.5, 0.8, 2, 1.5, 0.9
	n := &qn.Network{
		Stations: []qn.Station{{Name: "cpu"}},
		Classes:  []qn.Class{{Name: "open", Rate: rate, Demands: []float64{open}}, {Name: "closed", Users: users, Think: think, Demands: []float64{demand}}},
	}
	s, err := n.Solve()
	if err != nil {
		t.Fatal(err)
	}
	p := settle(t, string([]byte{0, 0}), func(state string, to func(string, float64)) {
		a, b := state[0], state[1] // open and closed jobs that are served
		present := float64(a) + float64(b)
		if a < 120 {
			to(string([]byte{a + 1, b}), rate)
		}
		if a > 0 {
			to(string([]byte{a - 1, b}), float64(a)/present/open)
		}
		if b < users {
			to(string([]byte{a, b + 1}), float64(users-b)/think)
		}
		if b > 0 {
			to(string([]byte{a, b - 1}), float64(b)/present/demand)
		}
	})
	var opens, closed float64
	for state, x := range p {
		opens, closed = opens+x*float64(state[0]), closed+x*float64(state[1])
	}
	near(t, "open queue", s.Classes[0].Queue[0], opens, 1e-5)
	near(t, "closed queue", s.Classes[1].Queue[0], closed, 1e-5)
	if !s.Exact {
		t.Errorf("got %v, want an exact solution", s.Approximated)
	}
}

func TestOpenAgainstFormulas(t *testing.T) {
	for _, c := range []int{1, 2, 4, 16} {
		for _, rho := range []float64{0, 0.3, 0.9, 0.99} {
			n := &qn.Network{Stations: []qn.Station{{Name: "cpu", Servers: c}}, Classes: []qn.Class{{Rate: rho * float64(c) / 0.02, Demands: []float64{0.02}}}}
			s, err := n.Solve()
			if err != nil {
				t.Fatal(err)
			}
			want, err := exact.MMc(c, rho)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "response", s.Classes[0].Response, 0.02*want, 1e-9)
			near(t, "utilisation", s.Stations[0].Utilisation, rho, 1e-9)
		}
	}
}

// random is a closed network of two classes.
func random(r *rand.Rand, users int) *qn.Network {
	n := &qn.Network{}
	for range 2 + r.IntN(4) {
		n.Stations = append(n.Stations, qn.Station{Delay: r.IntN(6) == 0})
	}
	for range 2 {
		c := qn.Class{Users: 1 + r.IntN(users), Think: 20 * r.Float64()}
		for range n.Stations {
			c.Demands = append(c.Demands, 3*r.Float64())
		}
		n.Classes = append(n.Classes, c)
	}
	return n
}

// TestLinearizer compares the approximation with the exact analysis over random networks.
func TestLinearizer(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	worst, sum, seen := 0.0, 0.0, 0
	for range 500 {
		n := random(r, 20)
		want, err := n.Solve()
		if err != nil {
			t.Fatal(err)
		}
		got, err := qn.Linearize(n)
		if err != nil || got.Exact {
			t.Fatalf("got %v, exact %v; want an approximation", err, got.Exact)
		}
		for i := range n.Classes {
			worst = math.Max(worst, math.Abs(got.Classes[i].Throughput/want.Classes[i].Throughput-1))
			sum, seen = sum+math.Abs(got.Classes[i].Response/want.Classes[i].Response-1), seen+1
		}
	}
	// What its authors found: mostly a fraction of a percent, and hardly ever more than two.
	if mean := sum / float64(seen); worst > 0.02 || mean > 0.005 {
		t.Errorf("got responses %.2f %% off in the mean and throughputs at most %.2f %%, want 0.5 and 2 %%", 100*mean, 100*worst)
	}
}

// TestBounds has no network break the bounds of a class that is alone, nor the laws that all must obey.
func TestBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		n := random(r, 30)
		n.Classes = n.Classes[:1]
		s, err := n.Solve()
		if err != nil {
			t.Fatal(err)
		}
		b, got := n.Bounds(0), s.Classes[0]
		if got.Throughput > b.Throughput*(1+1e-9) || got.Response < b.Response*(1-1e-9) {
			t.Fatalf("got X %g and R %g, beyond the bounds %+v", got.Throughput, got.Response, b)
		}
		for k := range n.Stations {
			if u := s.Stations[k].Utilisation; !n.Stations[k].Delay && u > 1+1e-9 {
				t.Fatalf("got a utilisation of %g", u)
			}
		}
	}
}

func TestBottleneck(t *testing.T) {
	n := &qn.Network{
		Stations: []qn.Station{{Name: "wait", Delay: true}, {Name: "cpu", Servers: 4}, {Name: "disk"}},
		Classes:  []qn.Class{{Rate: 1, Demands: []float64{9, 2, 0.3}}, {Rate: 1, Demands: []float64{9, 0.4, 0.4}}},
	}
	if k, lead := n.Bottleneck([]float64{1, 0}); k != 1 || math.Abs(lead-0.5/0.3) > 1e-12 {
		t.Errorf("got %d by %g, want cpu", k, lead)
	}
	if k, lead := n.Bottleneck([]float64{0, 1}); k != 2 || math.Abs(lead-4) > 1e-12 {
		t.Errorf("got %d by %g, want disk", k, lead)
	}
}

func TestWrongNetworks(t *testing.T) {
	station := []qn.Station{{Name: "cpu"}}
	for name, tt := range map[string]struct {
		n    qn.Network
		want string
	}{
		"none":      {qn.Network{Stations: station}, "no classes"},
		"demands":   {qn.Network{Stations: station, Classes: []qn.Class{{Name: "a", Rate: 1}}}, "class a: demands of 0 stations, want 1"},
		"both":      {qn.Network{Stations: station, Classes: []qn.Class{{Rate: 1, Users: 1, Demands: []float64{1}}}}, "both a rate and users"},
		"not a sum": {qn.Network{Stations: station, Classes: []qn.Class{{Rate: 1, Demands: []float64{math.NaN()}}}}, "demand 0 is NaN s"},
		"idle":      {qn.Network{Stations: station, Classes: []qn.Class{{Users: 1, Demands: []float64{0}}}}, "users who need no time"},
		"overload":  {qn.Network{Stations: station, Classes: []qn.Class{{Rate: 2, Demands: []float64{0.5}}}}, "unstable: cpu is offered 1 of its capacity"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tt.n.Solve()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if name == "overload" && !errors.Is(err, qn.ErrUnstable) {
				t.Errorf("got %v, want ErrUnstable", err)
			}
		})
	}
}

// mixed is the chain of a station that open and closed requests share, its speed depending on how many are there.
func mixed(rate, open float64, users int, think, demand float64, speed func(int) float64) chain {
	return func(state string, to func(string, float64)) {
		a, b := state[0], state[1]
		present := float64(a) + float64(b)
		if a < 200 {
			to(string([]byte{a + 1, b}), rate)
		}
		if present > 0 {
			each := speed(int(present)) / present
			if a > 0 {
				to(string([]byte{a - 1, b}), float64(a)*each/open)
			}
			if b > 0 {
				to(string([]byte{a, b - 1}), float64(b)*each/demand)
			}
		}
		if int(b) < users {
			to(string([]byte{a, b + 1}), float64(users-int(b))/think)
		}
	}
}

// TestMixedSpeeds has open and closed requests share stations whose speed depends on how many there are, of one closed class and of two
// that are alike.
func TestMixedSpeeds(t *testing.T) {
	const rate, open, users, think, demand = 0.9, 0.8, 4, 1.5, 0.9
	for name, st := range map[string]qn.Station{
		"servers":      {Name: "cpu", Servers: 3},
		"rates":        {Name: "pool", Rates: []float64{0.7, 1.1, 1.3, 1.6, 1.65}},
		"one":          {Name: "one", Rates: []float64{1.3}},
		"more servers": {Name: "cpu", Servers: 7},
	} {
		t.Run(name, func(t *testing.T) {
			speed := func(n int) float64 {
				if st.Rates != nil {
					return st.Rates[min(n, len(st.Rates))-1]
				}
				return float64(min(n, st.Servers))
			}
			p := settle(t, string([]byte{0, 0}), mixed(rate, open, users, think, demand, speed))
			most := max(len(st.Rates), st.Servers)
			var opens, closed, busy float64
			present := make([]float64, most)
			for state, x := range p {
				n := int(state[0]) + int(state[1])
				opens, closed = opens+x*float64(state[0]), closed+x*float64(state[1])
				if busy += x * float64(min(n, most)); n < most {
					present[n] += x
				}
			}
			one := []qn.Class{{Rate: rate, Demands: []float64{open}}, {Users: users, Think: think, Demands: []float64{demand}}}
			two := []qn.Class{one[0], {Users: 1, Think: think, Demands: []float64{demand}}, {Users: users - 1, Think: think, Demands: []float64{demand}}}
			for _, classes := range [][]qn.Class{one, two} {
				n := &qn.Network{Stations: []qn.Station{st}, Classes: classes}
				s, err := n.Solve()
				if err != nil || !s.Exact {
					t.Fatalf("got %v, exact %v; want an exact solution", err, s.Exact)
				}
				near(t, "open queue", s.Classes[0].Queue[0], opens, 1e-5)
				near(t, "queue", s.Stations[0].Queue, opens+closed, 1e-5)
				near(t, "busy", s.Stations[0].Busy, busy, 1e-5)
				for i, x := range present {
					near(t, "present", s.Stations[0].Present[i], x, 1e-4)
				}
			}
			n := &qn.Network{Stations: []qn.Station{st}, Classes: one}
			g, err := n.Grow(users + 3)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "grown queue", g.Queue(0, users), closed, 1e-5)
			near(t, "grown busy", g.Busy(0, users), busy, 1e-5)
			near(t, "grown throughput", g.Throughput[users], (users-closed)/think, 1e-5)
			near(t, "grown present", g.Present(0, users)[0], present[0], 1e-4)
		})
	}
}

// TestManyServers has a population that keeps many servers busy, where differences cancel: it is a loss system turned round, and its
// throughput is known.
func TestManyServers(t *testing.T) {
	for _, servers := range []int{2, 16, 64, 256} {
		const users, demand = 400, 2.0
		think := float64(users-servers) / float64(servers) * demand
		n := &qn.Network{Stations: []qn.Station{{Servers: servers}}, Classes: []qn.Class{{Users: users, Think: think, Demands: []float64{demand}}}}
		s, err := n.Solve()
		if err != nil || !s.Exact {
			t.Fatalf("got %v, exact %v", err, s.Exact)
		}
		// Machine repair: p(n+1) = p(n)·(N − n)/Z·D/min(n + 1, c).
		p, sum, busy := 1.0, 1.0, 0.0
		for i := range users {
			p *= float64(users-i) / think * demand / math.Min(float64(i+1), float64(servers))
			sum, busy = sum+p, busy+p*math.Min(float64(i+1), float64(servers))
			if p > 1e200 {
				p, sum, busy = p*1e-200, sum*1e-200, busy*1e-200
			}
		}
		near(t, "throughput", s.Classes[0].Throughput, busy/sum/demand, 1e-8)
		near(t, "busy", s.Stations[0].Busy, busy/sum, 1e-6)
	}
}

// open is a network of up to four open classes at up to eight stations, some of several servers.
func open(r *rand.Rand) *qn.Network {
	n := &qn.Network{}
	for k := range 2 + r.IntN(7) {
		n.Stations = append(n.Stations, qn.Station{Name: string(rune('a' + k)), Servers: 1 + r.IntN(4), Delay: k > 1 && r.IntN(5) == 0})
		if n.Stations[k].Delay {
			n.Stations[k].Servers = 0
		}
	}
	for range 1 + r.IntN(4) {
		c := qn.Class{Rate: 0.1 + r.Float64()}
		for range n.Stations {
			c.Demands = append(c.Demands, 0.01+r.Float64())
		}
		n.Classes = append(n.Classes, c)
	}
	return n
}

// TestBottleneckFillsFirst has the station that is named the bottleneck be the one that is full first as the load grows, over random networks
// where it leads by more than 5 %.
func TestBottleneckFillsFirst(t *testing.T) {
	led := 0
	for seed := range uint64(400) {
		n := open(rand.New(rand.NewPCG(seed, 5)))
		var rates []float64
		for _, c := range n.Classes {
			rates = append(rates, c.Rate)
		}
		k, lead := n.Bottleneck(rates)
		if lead < 1.05 {
			continue
		}
		led++
		use := 0.0
		for i, c := range n.Classes {
			use += rates[i] * c.Demands[k] / float64(n.Stations[k].Servers)
		}
		scale := func(to float64) (qn.Solution, error) {
			for i := range n.Classes {
				n.Classes[i].Rate = rates[i] * to / use
			}
			return n.Solve()
		}
		before := 0.0
		for _, to := range []float64{0.2, 0.6, 0.9, 0.999} {
			s, err := scale(to)
			if err != nil {
				t.Fatalf("%d: %v", seed, err)
			}
			for j, st := range s.Stations {
				if j != k && !n.Stations[j].Delay && st.Utilisation >= s.Stations[k].Utilisation {
					t.Errorf("%d: got %s fuller than the bottleneck %s", seed, n.Stations[j].Name, n.Stations[k].Name)
				}
			}
			if r := s.Classes[0].Response; r < before {
				t.Errorf("%d: at %g of the capacity got a response of %g, with less load %g", seed, to, r, before)
			}
			before = s.Classes[0].Response
		}
		if _, err := scale(1.001); !errors.Is(err, qn.ErrUnstable) || !strings.Contains(err.Error(), ": "+n.Stations[k].Name+" is") {
			t.Errorf("%d: beyond the capacity of %s got %v", seed, n.Stations[k].Name, err)
		}
	}
	if led < 200 {
		t.Errorf("got %d networks with a lead, want 200", led)
	}
}

// TestGrows has throughput and response grow with the users, throughput ever less.
func TestGrows(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 6))
		n := random(r, 1)
		n.Classes = n.Classes[:1]
		for k := range n.Stations {
			if !n.Stations[k].Delay && r.IntN(2) == 0 {
				n.Stations[k].Servers = 1 + r.IntN(5)
			}
		}
		g, err := n.Grow(60)
		if err != nil {
			t.Fatal(err)
		}
		x := g.Throughput
		for i := 2; i < len(x); i++ {
			if x[i] < x[i-1]*(1-1e-12) || x[i]-x[i-1] > (x[i-1]-x[i-2])*(1+1e-9)+1e-12 || float64(i)/x[i] < float64(i-1)/x[i-1]*(1-1e-12) {
				t.Fatalf("%d: got throughputs %v, neither growing nor ever less", seed, x[i-2:i+1])
			}
		}
		n.Classes[0].Users = 60
		if b := n.Bounds(0); x[60] > b.Throughput*(1+1e-9) {
			t.Errorf("%d: got %g/s, above the bound %g", seed, x[60], b.Throughput)
		}
	}
}

// TestCrowd has the limit of many users meet the exact solution, below and beyond the knee.
func TestCrowd(t *testing.T) {
	for _, think := range []float64{4000, 2500, 2000, 1500} {
		n := &qn.Network{
			Stations: []qn.Station{{Name: "cpu", Servers: 4}, {Name: "disk"}, {Name: "net", Delay: true}},
			Classes: []qn.Class{
				{Name: "users", Users: 20_000, Think: think, Demands: []float64{0.3, 0.1, 0.05}},
				{Name: "others", Rate: 0.5, Demands: []float64{0.5, 0.2, 0}},
			},
		}
		want, err := n.Solve()
		if err != nil || !want.Exact {
			t.Fatalf("got %v, %v, want an exact solution", err, want.Approximated)
		}
		n.Largest = 1
		got, err := n.Solve()
		if err != nil || got.Exact {
			t.Fatalf("got %v, exact %v, want an approximation", err, got.Exact)
		}
		near(t, "throughput", got.Classes[0].Throughput, want.Classes[0].Throughput, 1e-3)
		if think >= 2500 {
			near(t, "response", got.Classes[0].Response, want.Classes[0].Response, 0.01)
			near(t, "response of others", got.Classes[1].Response, want.Classes[1].Response, 0.01)
		} else { // what is beyond the knee waits
			near(t, "response", got.Classes[0].Response, want.Classes[0].Response, 0.03)
		}
	}
}

// TestPool has pools in front of what is known: a shared processor, with which they are M/M/1 whatever their threads, and a delay, with which they
// are M/M/c.
func TestPool(t *testing.T) {
	for _, rho := range []float64{0, 0.3, 0.8, 0.97} {
		for _, threads := range []int{1, 4, 30} {
			cpu := &qn.Network{Stations: []qn.Station{{Name: "cpu"}}, Classes: []qn.Class{{Users: 1, Demands: []float64{0.01}}}}
			p, err := cpu.Pool(threads, rho/0.01)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "time", p.Wait+p.Hold, 0.01/(1-rho), 1e-9)
			near(t, "wait", p.Wait, 0.01*math.Pow(rho, float64(threads))/(1-rho), 1e-6)
			near(t, "stretch", p.Stretch[0], p.Hold/0.01, 1e-9)
			near(t, "capacity", p.Capacity, 100, 1e-9)

			sleep := &qn.Network{Stations: []qn.Station{{Name: "sleep", Delay: true}}, Classes: []qn.Class{{Users: 1, Demands: []float64{0.01}}}}
			if p, err = sleep.Pool(threads, rho*float64(threads)/0.01); err != nil {
				t.Fatal(err)
			}
			want, err := exact.MMc(threads, rho)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "time of a delay", p.Wait+p.Hold, 0.01*want, 1e-9)
		}
	}
	n := &qn.Network{Stations: []qn.Station{{Name: "cpu"}}, Classes: []qn.Class{{Users: 1, Demands: []float64{0.01}}}}
	if _, err := n.Pool(4, 100); !errors.Is(err, qn.ErrUnstable) {
		t.Errorf("got %v, want ErrUnstable", err)
	}
}
