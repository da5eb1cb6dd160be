package solve_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/qn"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/solve"
)

// plan loads a scenario of a text.
func plan(t *testing.T, text string, set ...string) *scenario.Plan {
	t.Helper()
	p, err := scenario.Load("s.yaml", []byte("eve: 1\nduration: 60s\n"+text), scenario.Options{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shipped loads a scenario that Eve ships.
func shipped(t *testing.T, name string, set ...string) *scenario.Plan {
	t.Helper()
	src, err := os.ReadFile("../../scenarios/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := scenario.Load(name+".yaml", src, scenario.Options{
		Set: set, AnyKind: true, ReadFile: func(f string) ([]byte, error) { return os.ReadFile("../../scenarios/" + f) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func answer(t *testing.T, p *scenario.Plan) *solve.Answer {
	t.Helper()
	m, err := solve.Of(p, solve.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := m.Solve()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// single is one service on one kind of servers, asked by one group.
func single(cpu, server, service, clients string) string {
	return fmt.Sprintf("requests: |\n  request r { call s { %s } }\nservers:\n  x: {%s}\nservices:\n  s: {on: x%s}\nclients:\n  g: {request: r, %s, patience: none}\n", cpu, server, service, clients)
}

// TestFormulas holds the mean against theory where theory is exact, to ten digits.
func TestFormulas(t *testing.T) {
	of := func(x float64, err error) float64 {
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	lognormal := math.Exp(1.5*1.5) - 1 // squared coefficient of variation
	cobham, _ := exact.Cobham(0.3, 0.4)
	closed := of2(exact.MVA(10, 0.05, 0.005))
	for _, c := range []struct {
		name, text string
		want       float64 // mean response, s
		quality    solve.Quality
	}{
		{"M/M/1", single("cpu exp(10ms)", "cpus: 1", "", "rate: 70/s"), 0.010 / 0.3, solve.Exact},
		{"M/D/1", single("cpu 10ms", "cpus: 1", "", "rate: 70/s"), 0.010 * of(exact.MG1(0.7, 0)), solve.Exact},
		{"M/G/1", single("cpu lognormal(2ms, 1.5)", "cpus: 1", "", "rate: 100/s"), 0.002 * math.Exp(1.125) * of(exact.MG1(0.2*math.Exp(1.125), lognormal)), solve.Exact},
		{"M/G/1 shared", single("cpu lognormal(2ms, 1.5)", "cpus: 1, discipline: ps", "", "rate: 100/s"), 0.002 * math.Exp(1.125) / (1 - 0.2*math.Exp(1.125)), solve.Exact},
		{"M/M/4", single("cpu exp(10ms)", "cpus: 4", "", "rate: 300/s"), 0.010 * of(exact.MMc(4, 0.75)), solve.Exact},
		{"a farm", single("cpu exp(10ms)", "count: 5", "", "rate: 300/s"), 0.010 / (1 - 0.6), solve.Exact},
		{"speed", single("cpu exp(10ms)", "speed: 2", "", "rate: 100/s"), 0.005 / 0.5, solve.Exact},
		{"a delay", single("cpu exp(10ms)", "link: {delay: 7ms}", "", "rate: 50/s"), 0.010/0.5 + 0.014, solve.Exact},
		{"tandem in one request", single("cpu exp(10ms)  cpu exp(10ms)", "cpus: 1", "", "rate: 30/s"), 2 * 0.010 / (1 - 0.6), solve.Exact},
		{"closed", single("cpu exp(5ms)", "cpus: 1", "", "users: 10, think: exp(50ms)"), closed.Response, solve.Exact},
		{"round robin", single("cpu exp(10ms)", "count: 2", ", balance: round-robin", "rate: 140/s"), 0.010 * of(exact.ErlangArrivals(2, 0.7)), solve.Approximated},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := answer(t, plan(t, c.text))
			tolerance := 1e-10
			if c.quality != solve.Exact {
				tolerance = 0.05
			}
			if got := a.Groups[0].Response; math.Abs(got/c.want-1) > tolerance {
				t.Errorf("response %.9g s, want %.9g", got, c.want)
			}
			if got := a.Groups[0].Quality; got != c.quality {
				t.Errorf("it is %s, want %s: %v", got, c.quality, a.Assumptions)
			}
		})
	}
	two := "requests: |\n  request hi { priority 1  call s { cpu exp(10ms) } }\n  request lo { call s { cpu exp(10ms) } }\nservers:\n  x: {discipline: priority}\nservices:\n  s: {on: x}\n" +
		"clients:\n  a: {request: hi, rate: 30/s}\n  b: {request: lo, rate: 40/s}\n"
	a := answer(t, plan(t, two))
	for i, want := range cobham {
		if got := a.Groups[i].Response / 0.010; math.Abs(got/want-1) > 1e-9 {
			t.Errorf("priority %d: %g demands, want %g", i, got, want)
		}
	}
}

func of2(c exact.Closed, err error) exact.Closed {
	if err != nil {
		panic(err)
	}
	return c
}

// TestBalancers holds lines that a balancer keeps even against the exact chain.
func TestBalancers(t *testing.T) {
	for _, c := range []struct {
		n, d int
		rho  float64
		most int
	}{{2, 2, 0.5, 40}, {2, 2, 0.8, 60}, {3, 3, 0.7, 30}, {4, 4, 0.5, 12}, {3, 2, 0.7, 30}, {4, 2, 0.5, 14}} {
		want, err := exact.ChoicesOf(c.n, c.d, c.rho, c.most)
		if err != nil {
			t.Fatal(err)
		}
		balance := "least"
		if c.d < c.n {
			balance = fmt.Sprintf("power of %d", c.d)
		}
		a := answer(t, plan(t, single("cpu exp(10ms)", fmt.Sprintf("count: %d", c.n), ", balance: "+balance, fmt.Sprintf("rate: %g/s", 100*c.rho*float64(c.n)))))
		if got := a.Groups[0].Response / 0.010; math.Abs(got/want-1) > 0.04 {
			t.Errorf("%d of %d servers at %g: %g demands, want %g", c.d, c.n, c.rho, got, want)
		}
	}
}

// TestQuantilesOfMM1 are exact: −ln(1 − q) times the mean.
func TestQuantilesOfMM1(t *testing.T) {
	g := answer(t, shipped(t, "mm1")).Groups[0]
	for _, q := range []float64{0.5, 0.95, 0.999} {
		got, quality := g.Quantile(q)
		if want := -math.Log1p(-q) / 30; math.Abs(got/want-1) > 1e-9 || quality != solve.Exact {
			t.Errorf("quantile %g is %g s and %s, want %g and exact", q, got, quality, want)
		}
	}
}

// TestShape holds quantiles and shares of a law against each other.
func TestShape(t *testing.T) {
	for _, s := range []solve.Shape{{Mean: 1, Deviation: 1}, {Least: 0.5, Mean: 1, Deviation: 0.1}, {Mean: 3, Deviation: 9}, {Least: 1, Mean: 1}, {Mean: 1, Deviation: 0.01}, {Mean: 1, Deviation: 2, Away: 0.005}} {
		for _, q := range []float64{0.01, 0.5, 0.95, 0.999} {
			x, _ := s.Quantile(q)
			if got := s.Below(x * (1 + 1e-9)); s.Deviation > 0 && math.Abs(got-q) > 1e-6 {
				t.Errorf("%+v: %g of it is below its quantile of %g", s, got, q)
			}
			if x < s.Least || math.IsNaN(x) {
				t.Errorf("%+v: quantile %g is %g", s, q, x)
			}
		}
	}
}

// TestUnstable names the resource, and the largest rate.
func TestUnstable(t *testing.T) {
	for _, c := range []struct {
		name, text, resource string
		largest              float64
	}{
		{"processor", single("cpu exp(10ms)", "cpus: 2", "", "rate: 300/s"), "x.cpu", 200},
		{"disk", single("cpu 1ms  disk read 1MB", "disk: {rate: 100MB/s}", "", "rate: 120/s"), "x.disk", 100},
		{"link", single("cpu 1ms  reply 125kB", "link: {rate: 100Mbit}", "", "rate: 120/s"), "x.link", 100},
		{"workers", single("wait 40ms", "cpus: 1", ", pool: {threads: 4}", "rate: 120/s"), "s.pool", 100},
		{"lock", single("lock l { wait exp(10ms) }", "cpus: 1", "", "rate: 120/s"), "x.lock.l", 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.ReplaceAll(c.text, "125kB", "125KB")
			m, err := solve.Of(plan(t, text), solve.Options{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.Solve()
			u, ok := errors.AsType[*solve.Unstable](err)
			if !ok || !errors.Is(err, solve.ErrUnstable) {
				t.Fatalf("error %v, want that it is unstable", err)
			}
			if u.Resource != c.resource || math.Abs(u.Largest/c.largest-1) > 0.001 {
				t.Errorf("%s carries %g/s, want %s and %g/s", u.Resource, u.Largest, c.resource, c.largest)
			}
		})
	}
}

// TestCannotBeSolved names the statement.
func TestCannotBeSolved(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"requests: |\n  request r { http web GET \"/\" }\ntargets:\n  web: {url: \"http://127.0.0.1:80\"}\nclients:\n  g: {request: r, rate: 1/s}\n", "s.yaml:4:15: web asks a real target"},
		{single("cpu pareto(1ms, 0.9)", "cpus: 1", "", "rate: 1/s"), "s.yaml:4:24: `cpu`: pareto with shape 0.9 has no mean"},
	} {
		_, err := solve.Of(plan(t, c.text), solve.Options{})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("error %v, want %s…", err, c.want)
		}
	}
}

// TestSoftwareBottleneck finds the workers, and, once they are as many as it takes, the processors behind them.
func TestSoftwareBottleneck(t *testing.T) {
	a := answer(t, shipped(t, "software-bottleneck"))
	if got := a.Bottleneck; got.Resource != "app.pool" || got.Kind != solve.Pool || math.Abs(got.Rate-4/0.021) > 1 {
		t.Errorf("bottleneck %+v, want app.pool at 190/s", got)
	}
	if got := a.Second; got.Resource != "store.cpu" || math.Abs(got.Rate-1600) > 1 {
		t.Errorf("second bottleneck %+v, want store.cpu at 1600/s", got)
	}
	if got := a.Groups[0].Errors; math.Abs(got-(1-190.4/300)) > 0.01 {
		t.Errorf("%.3f are turned away, want %.3f", got, 1-190.4/300)
	}
	// Workers before hardware that is full are not it.
	if got := answer(t, shipped(t, "three-tier")).Second; got.Kind != solve.Hardware {
		t.Errorf("second bottleneck of three-tier %+v, want hardware", got)
	}
}

// TestRandomNetworks holds random scenarios of exponential demands against fase/qn, and their bottleneck against the largest demand.
func TestRandomNetworks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		n, closed := 1+r.IntN(5), i%2 == 1
		demands, cpus := make([]float64, n), make([]int, n)
		var calls, servers, services strings.Builder
		worst := 0.0
		for k := range n {
			demands[k], cpus[k] = math.Round(1000*(0.5+9*r.Float64()))/1e6, 1+r.IntN(3)
			if closed {
				cpus[k] = 1
			}
			worst = max(worst, demands[k]/float64(cpus[k]))
			fmt.Fprintf(&calls, " call s%d { cpu exp(%gus) }", k, math.Round(demands[k]*1e6))
			fmt.Fprintf(&servers, "  x%d: {cpus: %d, discipline: ps}\n", k, cpus[k])
			fmt.Fprintf(&services, "  s%d: {on: x%d}\n", k, k)
		}
		class := qn.Class{Name: "g", Demands: demands, Rate: math.Round(0.8*(0.2+r.Float64())/worst) + 1}
		clients := fmt.Sprintf("rate: %g/s", class.Rate)
		if closed {
			class.Rate, class.Users, class.Think = 0, 1+r.IntN(20), 0.02
			clients = fmt.Sprintf("users: %d, think: exp(20ms)", class.Users)
		}
		net := qn.Network{Classes: []qn.Class{class}}
		for k := range n {
			net.Stations = append(net.Stations, qn.Station{Name: fmt.Sprintf("x%d.cpu", k), Servers: cpus[k]})
		}
		text := fmt.Sprintf("requests: |\n  request r {%s }\nservers:\n%sservices:\n%sclients:\n  g: {request: r, %s, patience: none}\n", calls.String(), servers.String(), services.String(), clients)
		m, err := solve.Of(plan(t, text), solve.Options{})
		if err != nil {
			t.Fatal(err)
		}
		want, unstable := net.Solve()
		a, err := m.Solve()
		if unstable != nil || err != nil {
			if !errors.Is(unstable, qn.ErrUnstable) || !errors.Is(err, solve.ErrUnstable) {
				t.Fatalf("network %d: error %v, and of fase/qn %v", i, err, unstable)
			}
			continue
		}
		if got, x := a.Groups[0], want.Classes[0]; math.Abs(got.Response/x.Response-1) > 1e-8 || math.Abs(got.Throughput/x.Throughput-1) > 1e-8 {
			t.Errorf("network %d: %g/s in %g s, want %g/s in %g s\n%s", i, got.Throughput, got.Response, x.Throughput, x.Response, text)
		}
		if k, lead := net.Bottleneck([]float64{1}); lead > 1.05 && a.Bottleneck.Resource != net.Stations[k].Name {
			t.Errorf("network %d: bottleneck %s, want %s", i, a.Bottleneck.Resource, net.Stations[k].Name)
		}
		if g := a.Groups[0]; g.Response < a.Bounds.Response["g"]*(1-1e-9) || g.Throughput > a.Bounds.Throughput*(1+1e-9) {
			t.Errorf("network %d: %g/s in %g s breaks the bounds %+v", i, g.Throughput, g.Response, a.Bounds)
		}
	}
}

// TestCurveRises: more load, no shorter response, no less utilisation.
func TestCurveRises(t *testing.T) {
	for _, name := range []string{"mm1", "three-tier", "closed-open", "soa-order", "two-phase"} {
		m, err := solve.Of(shipped(t, name), solve.Options{})
		if err != nil {
			t.Fatal(err)
		}
		curve := m.Curve(12)
		if len(curve) < 4 {
			t.Errorf("%s: %d points", name, len(curve))
		}
		for i := 1; i < len(curve); i++ {
			for g := range curve[i].Answer.Groups {
				if was, is := curve[i-1].Answer.Groups[g].Response, curve[i].Answer.Groups[g].Response; is < was*(1-1e-6) {
					t.Errorf("%s: response %g s at %g, %g s at %g", name, was, curve[i-1].Load, is, curve[i].Load)
				}
			}
		}
	}
}

// TestShippedScenarios are solved, or refused by name, and nothing in an answer is no number.
func TestShippedScenarios(t *testing.T) {
	files, err := os.ReadDir("../../scenarios")
	if err != nil {
		t.Fatal(err)
	}
	solved := 0
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".yaml")
		if !ok || strings.Contains(name, ".") || testing.Short() && name == "hundred-thousand" {
			continue
		}
		p := shipped(t, name)
		m, err := solve.Of(p, solve.Options{})
		if err != nil {
			if len(p.Targets) == 0 && len(p.Clients) > 0 {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		a, err := m.Solve()
		if err != nil {
			if u, ok := errors.AsType[*solve.Unstable](err); !ok || !(u.Largest > 0 && u.Largest < u.Rate) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		solved++
		for _, g := range a.Groups {
			q, _ := g.Quantile(0.95)
			for _, x := range []float64{g.Rate, g.Throughput, g.Response, g.Deviation, q, g.Demand, g.Errors} {
				if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
					t.Errorf("%s: group %+v", name, g)
					break
				}
			}
		}
		for _, r := range a.Resources {
			if math.IsNaN(r.Utilisation+r.Wait+r.Service+r.Queue) || r.Utilisation < 0 || r.Utilisation > 1+1e-9 && r.Servers > 0 {
				t.Errorf("%s: resource %+v", name, r)
			}
		}
		for _, x := range a.Assumptions {
			if !strings.HasPrefix(x.Where, name+".yaml:") {
				t.Errorf("%s: %q is said to be at %q", name, x.What, x.Where)
			}
		}
	}
	if solved < 18 {
		t.Errorf("%d scenarios were solved", solved)
	}
}
