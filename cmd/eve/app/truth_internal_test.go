package app

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/modules"
	"github.com/eve-emulation/eve/rdr"
)

func compiled(name, text string) (*scenario.Plan, error) {
	return scenario.Load(name, []byte(text), scenario.Options{})
}

// Every system is a scenario that compiles, side by side with all others, and its tag leads its names alone.
func TestSystemsCompile(t *testing.T) {
	list := append(systems(), hundredAt(hundredRate))
	plan, err := compiled("systems", scenarioOf("systems", list, 30*time.Second, systemsWarmup, 1))
	if err != nil {
		t.Fatal(err)
	}
	groups := 0
	for i := range list {
		gs, svcs := list[i].parts(plan)
		groups += len(gs)
		if len(gs) != len(list[i].clients) || len(svcs) != len(list[i].services) {
			t.Errorf("%s: got %d groups and %d services, want %d and %d", list[i].name, len(gs), len(svcs), len(list[i].clients), len(list[i].services))
		}
	}
	if groups != len(plan.Clients) {
		t.Errorf("groups of all systems: got %d, want %d", groups, len(plan.Clients))
	}
}

// The exact paths of all systems but those near saturation come to what theory says; a theory that is 5 % off does not pass.
func TestTheories(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and without shared data")
	}
	p, list := shortPrecision, systems()
	vs, err := theories(context.Background(), list, 1, p, compiled)
	if err != nil {
		t.Fatal(err)
	}
	if len(vs) < 24 {
		t.Errorf("systems: got %d, want two dozen", len(vs))
	}
	for _, v := range vs {
		if v.verdict != stat.Pass || !(v.measured > 0) || math.Abs(v.measured/v.exact-1) > 0.05 {
			t.Errorf("%s: got %.4g ms, %s %q, want %.4g ms", v.name, 1e3*v.measured, v.verdict, v.notes, 1e3*v.exact)
		}
	}
	wrong := systems()[:2]
	for i := range wrong {
		wrong[i].theory *= 1.06
	}
	vs, err = theories(context.Background(), wrong, 1, p, compiled)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vs {
		if v.verdict != stat.Fail {
			t.Errorf("%s with a wrong theory: got %s, want fail", v.name, v.verdict)
		}
	}
}

func TestAgainstTheory(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector")
	}
	near := []float64{0.99, 1.01, 1, 0.995, 1.005, 1}
	for _, tt := range []struct {
		name  string
		means []float64
		exact float64
		want  stat.Verdict
	}{
		{"on theory", near, 1, stat.Pass},
		{"off theory", near, 1.1, stat.Fail},
		{"too few to tell", []float64{0.5, 1.5, 1, 0.7, 1.2, 1.1}, 1, stat.Inconclusive},
		{"one path", []float64{1}, 1, stat.Inconclusive},
	} {
		v := verdict{exact: tt.exact}
		v.againstTheory(tt.means, 0.005, 0)
		if v.verdict != tt.want {
			t.Errorf("%s: got %s %q, want %s", tt.name, v.verdict, v.notes, tt.want)
		}
	}
}

// Two stations that are asked at once, one after the other, and many of which each request has one.
func TestCoursePaths(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector")
	}
	at := func(ms int) dsv.Instant { return dsv.At(time.Duration(ms) * time.Millisecond) }
	c := &course{}
	for i, demands := range [][2]int64{{10, 30}, {20, 5}, {10, 10}} {
		a := asked{due: at(10 * i), calls: make([]calledAt, 2)}
		for k, d := range demands {
			a.calls[k] = calledAt{demand: d * 1e6, server: i % 2}
		}
		c.asked = append(c.asked, a)
	}
	for _, tt := range []struct {
		name string
		path func(*course) []dsv.Instant
		want []int
	}{
		{"fork-join", (*course).forkJoin, []int{30, 35, 45}},
		{"tandem", (*course).tandem, []int{40, 45, 55}},
		{"per server", (*course).perServer, []int{10, 30, 30}},
		{"single", func(c *course) []dsv.Instant {
			return c.single(func(js []exact.Job) []dsv.Instant { return exact.FCFS(2, js) })
		}, []int{10, 30, 30}},
	} {
		var want []dsv.Instant
		for _, ms := range tt.want {
			want = append(want, at(ms))
		}
		if got := tt.path(c); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, want)
		}
	}
}

// The step of E16 and the throughput of E17 are judged by what was measured, so that both can fail.
func TestStepAndSaturation(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector")
	}
	step := func(service time.Duration) *pairing {
		p := &pairing{}
		free := dsv.Instant(0)
		for due := time.Duration(0); due < 20*time.Second; {
			free = max(free, dsv.At(due)).Add(service)
			p.requests = append(p.requests, paired{due: dsv.At(due), want: free, got: free})
			if due += 10 * time.Millisecond; due > stepsUp && due < stepsUp+stepsFor {
				due -= 10*time.Millisecond - time.Second/300
			}
		}
		return p
	}
	for service, want := range map[time.Duration]stat.Verdict{demand: stat.Pass, demand + 300*time.Microsecond: stat.Fail} {
		v := verdict{verdict: stat.Pass}
		step(service).judgeStep(&v)
		if v.verdict != want {
			t.Errorf("step, %v each: got %s %q, want %s", service, v.verdict, v.notes, want)
		}
	}
	for service, want := range map[time.Duration]stat.Verdict{demand: stat.Pass, demand + 100*time.Microsecond: stat.Fail} {
		p := &pairing{from: dsv.At(time.Second), to: dsv.At(12 * time.Second)}
		for i := range 4000 {
			p.requests = append(p.requests, paired{got: dsv.At(time.Duration(i+1) * service)})
		}
		v := verdict{verdict: stat.Pass}
		p.judgeFull(&v)
		if v.verdict != want || !strings.Contains(strings.Join(v.notes, ""), "capacity 200.00/s") {
			t.Errorf("saturated, %v each: got %s %q, want %s", service, v.verdict, v.notes, want)
		}
	}
}

// How many more paths it takes grows with the square of what the error is too large by.
func TestPrecisionExtends(t *testing.T) {
	p := precision{error: 0.01}
	wide := []float64{0.8, 1.2, 0.8, 1.2, 0.8, 1.2, 0.8, 1.2, 1, 1} // a standard error of 5.96 %
	for _, tt := range []struct {
		name  string
		means []float64
		want  int
	}{
		{"precise", []float64{1, 1.001, 0.999, 1}, 0},
		{"none", nil, 0},
		{"short", wide, 417}, // 10 × 1.2 × 5.96² − 10
	} {
		if got := p.short(tt.means, 1); got != tt.want {
			t.Errorf("%s: got %d more, want %d", tt.name, got, tt.want)
		}
	}
}

// A drawer sees what the block itself draws, whatever it drew before, and allocates nothing.
func TestDrawer(t *testing.T) {
	plan, err := compiled("drawer", scenarioOf("drawer", []system{tandem()}, 10*time.Second, time.Second, 1))
	if err != nil {
		t.Fatal(err)
	}
	g := &plan.Clients[0]
	var w drawer
	for n := range uint64(100) {
		want := int64(0)
		g.Request.Draw(g.Key(n, 0), "", func(d *rdr.Demand) {
			if d.Op == rdr.OpCall {
				d.Block.Draw(d.Key, "", func(d *rdr.Demand) {
					if d.Op == rdr.OpCPU {
						want += d.N
					}
				})
			}
		})
		if got := w.cpu(g.Request, g.Key(n, 0)); got != want || want == 0 {
			t.Fatalf("request %d: got %d ns, want %d", n, got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { w.cpu(g.Request, g.Key(7, 0)) }); n != 0 {
		t.Errorf("allocations of a draw: got %v, want 0", n)
	}
}

// Servers of many systems tell what they measure seldom; what clients measure is as it is.
func TestSeldom(t *testing.T) {
	text, err := seldom(scenarioOf("seldom", []system{tandem(), hundredAt(hundredRate)}, 20*time.Second, systemsWarmup, 1), compiled)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := compiled("seldom", text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range plan.Servers {
		if got := plan.Servers[i].Accrue; got != seldomTold {
			t.Errorf("%s: measures every %v, want %v", plan.Servers[i].Name, got, seldomTold)
		}
	}
	for i := range plan.Measures {
		if m := &plan.Measures[i]; m.Name == "t_g.in_flight" && m.Sync.Every != 100*time.Millisecond {
			t.Errorf("%s: told every %v, want 100ms", m.Name, m.Sync.Every)
		}
	}
}

// A station that loses all beyond one is Erlang's with one place, and the served take longer the more places there are.
func TestMM1K(t *testing.T) {
	for _, rho := range []float64{0.3, 0.8, 1.5} {
		lost, took := mm1k(rho, 1)
		if want := exact.ErlangB(1, rho); math.Abs(lost-want) > 1e-12 || math.Abs(took-1) > 1e-12 {
			t.Errorf("%g, one place: got %g lost, %g, want %g, 1", rho, lost, took, want)
		}
	}
	if lost, took := mm1k(0.8, 200); lost > 1e-9 || math.Abs(took-5) > 1e-6 {
		t.Errorf("many places: got %g lost, %g, want 0, 5", lost, took)
	}
}

// Retries that the load decides come out as it does, and a wrong figure does not pass.
func TestRetriesOfTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector")
	}
	tr := &truth{app: &App{registry: &modules.Registry{}}}
	claims, err := tr.retries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(claims) != 4 {
		t.Fatalf("got %d claims, want 4", len(claims))
	}
	for _, c := range claims {
		if c.verdict != stat.Pass {
			t.Errorf("%s: got %s, want %s", c.name, c.found, c.asked)
		}
	}
	if claims[1].found == claims[3].found {
		t.Errorf("who recovers and who does not come out alike: %s", claims[1].found)
	}
}

// An agreement is missed by a figure that is off, and not certified where the host was disturbed.
func TestAgreementCanFail(t *testing.T) {
	run := &runs.Summary{Decisions: []runs.Decision{{Time: 24, Rule: "r", Action: "a", Phase: "decided"}}}
	for _, tt := range []struct {
		name  string
		time  runs.Number
		rule  string
		clean bool
		want  stat.Verdict
	}{
		{"the same", 24, "r", true, stat.Pass},
		{"two periods", 24.2, "r", true, stat.Pass},
		{"three periods", 24.3, "r", true, stat.Fail},
		{"another rule", 24, "s", true, stat.Fail},
		{"disturbed", 24.3, "r", false, notCertified},
	} {
		sim := &runs.Summary{Decisions: []runs.Decision{{Time: tt.time, Rule: tt.rule, Action: "a", Phase: "decided"}}}
		if got := sameCourse(run, sim, tt.clean).verdict; got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}
