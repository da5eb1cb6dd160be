package plan_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/plan"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/scenarios"
)

// networks is how many random networks there are in TestBottleneckIsTheGreatestDemand; a quarter of it in TestCountsAreBruteForce. The figures
// that are told of are those of `go test ./fase/plan -args -networks 200` and `-networks 800`.
var networks = flag.Int("networks", 20, "random networks")

func limits(t testing.TB, text string) []find.Limit {
	t.Helper()
	ls, err := find.ParseLimits(text)
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

// text loads a scenario that is written in a test.
func text(src string) func([]string) (*scenario.Plan, error) {
	return func(set []string) (*scenario.Plan, error) {
		return scenario.Load("test.yaml", []byte(src), scenario.Options{Set: set})
	}
}

// shipped loads a shipped scenario.
func shipped(name string) func([]string) (*scenario.Plan, error) {
	return func(set []string) (*scenario.Plan, error) {
		src, err := scenarios.Open(name)
		if err != nil {
			return nil, err
		}
		return scenario.Load(name+".yaml", src, scenario.Options{Set: set, ReadFile: func(p string) ([]byte, error) { return fs.ReadFile(scenarios.FS(), p) }})
	}
}

func answer(t *testing.T, q plan.Question, s plan.Steps) *plan.Result {
	t.Helper()
	p, err := plan.New(q)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// alone has the model alone answer: there is no time for anything else.
func alone() plan.Steps { return plan.Steps{Left: func() time.Duration { return 0 }} }

// yaml writes a network as a scenario: a farm for each station, of which a caller draws a server.
func (n *network) yaml() string {
	var b, servers, services strings.Builder
	for i, d := range n.demands {
		fmt.Fprintf(&b, " call s%d { cpu exp(%.6fms) }", i, d*1000)
		fmt.Fprintf(&servers, "  f%d: {count: 1, cost: %g}\n", i, n.cost[i])
		fmt.Fprintf(&services, "  s%d: {on: f%d}\n", i, i)
	}
	return "eve: 1\nname: drawn\nduration: 100s\nrequests: |\n  request r {" + b.String() + " }\nservers:\n" + servers.String() +
		"services:\n" + services.String() + fmt.Sprintf("clients:\n  c: {request: r, arrive: poisson, rate: %g/s}\n", n.rate)
}

// TestBottleneckIsTheGreatestDemand: of random product-form networks the tier with the greatest demand for each server is named, and the next
// one once there is plenty of that.
func TestBottleneckIsTheGreatestDemand(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	led := 0
	for k := range *networks {
		n := draw(r)
		n.rate = 0.2
		counts, sets := make(plan.Counts, len(n.demands)), []string{}
		type each struct {
			name string
			load float64
		}
		var order []each
		for i, d := range n.demands {
			counts[i] = 1 + r.IntN(4)
			sets = append(sets, fmt.Sprintf("servers.f%d.count=%d", i, counts[i]))
			order = append(order, each{fmt.Sprintf("f%d", i), d / float64(counts[i])})
		}
		slices.SortFunc(order, func(a, b each) int {
			if a.load > b.load {
				return -1
			}
			return 1
		})
		if order[0].load < 1.05*order[1].load {
			continue
		}
		led++
		res := answer(t, plan.Question{Load: text(n.yaml()), Set: sets, Limits: limits(t, "mean < 1000s"), Vary: varied(n.demands, counts)}, alone())
		switch {
		case res.First == nil || res.First.Tier != order[0].name || res.First.Soft:
			t.Errorf("network %d, %v of %v: bottleneck: got %+v, want %s", k, counts, n.demands, res.First, order[0].name)
		case math.Abs(res.First.Rate*order[0].load-1) > 1e-6:
			t.Errorf("network %d: full at %g/s, want %g/s", k, res.First.Rate, 1/order[0].load)
		}
	}
	if led < *networks*3/5 {
		t.Errorf("in %d networks one leads: the test shows too little", led)
	}
}

// varied fixes the counts as bounds, so that they are the answer.
func varied(demands []float64, c plan.Counts) []string {
	var out []string
	for i := range demands {
		out = append(out, fmt.Sprintf("servers.f%d.count=%d..%d", i, c[i], c[i]))
	}
	return out
}

// TestCountsAreBruteForce: the counts that the model proposes for random product-form networks cost what those cost that brute force finds with
// the textbook's formula, in at least 95 of 100, and are never off by more than one server.
func TestCountsAreBruteForce(t *testing.T) {
	networks := max(*networks/4, 5)
	r := rand.New(rand.NewPCG(5, 5))
	equal, all := 0, 0
	for k := range networks {
		n := draw(r)
		n.split, n.rate = true, 0.5+r.Float64()
		for i := range n.cost {
			n.cost[i] = 1
		}
		most := make(plan.Counts, len(n.demands))
		for i := range most {
			most[i] = 30
		}
		want := n.brute(t, most)
		if math.IsInf(want, 1) {
			continue
		}
		bound := fmt.Sprintf("mean < %.6fs", n.bound)
		got := answer(t, plan.Question{Load: text(n.yaml()), Limits: limits(t, bound)}, alone())
		all++
		switch {
		case got.Counts == nil:
			t.Errorf("network %d: got none (%s), want %g", k, got.Unreachable, want)
		case float64(got.Counts.Sum()) == want:
			equal++
		case math.Abs(float64(got.Counts.Sum())-want) > 1:
			t.Errorf("network %d: got %v, want %g together", k, got.Counts, want)
		}
	}
	if float64(equal) < 0.95*float64(all) || all < networks*9/10 {
		t.Errorf("%d of %d have the count that brute force has, want 95 %%", equal, all)
	}
}

// TestSoftwareBottleneck: a planted pool is named, and not the processors below it, which idle; workers are what is added.
func TestSoftwareBottleneck(t *testing.T) {
	q := plan.Question{
		Load: shipped("software-bottleneck"), Limits: limits(t, "p95 < 100ms"), Vary: []string{"threads"}, Probe: 30 * time.Second,
		Set: []string{"clients.crowd.rate=150/s"},
	}
	r := answer(t, q, alone())
	if r.First == nil || !r.First.Soft || r.First.Name != "app.pool" || r.First.Tier != "app.pool" {
		t.Errorf("bottleneck: got %+v, want the software app.pool", r.First)
	}
	if r.Second == nil || r.Second.Soft {
		t.Errorf("relieved: got %+v, want hardware", r.Second)
	}
	q.Set = nil // 300/s: four workers carry 190/s
	r = answer(t, q, plan.Steps{})
	if r.Counts == nil || !r.Shown || r.Counts[0] < 7 || r.Counts[0] > 10 {
		t.Errorf("workers: got %v, shown %t (%s), want about 8", r.Counts, r.Shown, r.Unreachable)
	}
}

// TestSearchIsShown: the counts of the shipped three-tier hold in a simulation, one less of any does not, and what is told agrees with itself.
func TestSearchIsShown(t *testing.T) {
	q := plan.Question{
		Load: shipped("three-tier"), Limits: limits(t, "p95(users.latency) < 300ms"), Set: []string{"clients.users.rate=400/s"}, Error: 0.05,
		Probe: 2 * time.Minute,
	}
	steps := 0
	r := answer(t, q, plan.Steps{Say: func(plan.Step) { steps++ }})
	if want := (plan.Counts{3, 4, 3}); !slices.Equal(r.Counts, want) || !r.Shown || !r.Exact {
		t.Fatalf("got %v, shown %t, exact %t, want %v", r.Counts, r.Shown, r.Exact, want)
	}
	if r.Answer == nil || r.Answer.Verdict != find.Pass || r.Solve == nil || !(r.Answer.Values[0].High < 0.3) {
		t.Errorf("simulated: got %+v, want a pass", r.Answer)
	}
	if r.LessTier != 1 || r.First.Name != "app_farm.cpu" || r.Second == nil || r.Second.Name != "web_farm.cpu" {
		t.Errorf("bottlenecks: got %+v and %+v, one less of %d, want app_farm.cpu, then web_farm.cpu", r.First, r.Second, r.LessTier)
	}
	for _, x := range r.Less {
		if x.Holds {
			t.Errorf("one less of app_farm, by %s: got %v, want that it breaks the objective", x.How, x.Values)
		}
	}
	if !r.Counts.Covers(r.Low) || !r.High.Covers(r.Counts) || !r.Spare.Covers(r.Counts) || slices.Equal(r.Spare, r.Counts) {
		t.Errorf("interval %v to %v, one down %v, want them around %v", r.Low, r.High, r.Spare, r.Counts)
	}
	if steps < 5 {
		t.Errorf("%d steps were told", steps)
	}
	if r := math.Abs(r.Ratios[0] - 1); r > 0.3 {
		t.Errorf("the simulation differs from the model by %.2f", r)
	}
}

// TestKnee: the largest load of M/M/1 that keeps p95 ≤ x is μ - ln(20)/x.
func TestKnee(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	q := plan.Question{Load: shipped("mm1"), Limits: limits(t, "p95(jobs.latency) < 200ms"), Fixed: true, Probe: 10 * time.Minute}
	r := answer(t, q, plan.Steps{Knee: true})
	want := 100 - math.Log(20)/0.2 // 85.0/s
	if k := r.Knee; k == nil || !k.Answer.Confirmed || k.Holds > want || k.Holds < 0.9*want || math.Abs(k.Answer.Crossing.Value/want-1) > 0.03 {
		t.Errorf("got %+v, want %.2f/s: crossed within 3 %%, and shown to hold at hardly less", r.Knee.Answer, want)
	} else if math.Abs(k.Analytic/want-1) > 0.02 {
		t.Errorf("by the model: got %.2f/s, want %.2f/s", k.Analytic, want)
	}
}

func TestUnreachable(t *testing.T) {
	q := plan.Question{Load: shipped("three-tier"), Limits: limits(t, "p95(users.latency) < 15ms"), Probe: 10 * time.Second}
	r := answer(t, q, plan.Steps{})
	if r.Counts != nil || !strings.Contains(r.Unreachable, "any number") || !strings.Contains(r.Unreachable, "p95") {
		t.Errorf("below the bare demand: got %v, %q, want that no number of servers keeps it", r.Counts, r.Unreachable)
	}
	q.Limits, q.Vary, q.Set = limits(t, "p95 < 300ms"), []string{"web=1..3", "app=1..2"}, []string{"rate=400/s"}
	r = answer(t, q, plan.Steps{})
	if r.Counts != nil || !strings.Contains(r.Unreachable, "with the most") {
		t.Errorf("too few at most: got %v, %q, want that they do not suffice", r.Counts, r.Unreachable)
	}
}

// TestTheModelProvesNothing: where the model, but no simulation, says that an objective is not kept, it is.
func TestTheModelProvesNothing(t *testing.T) {
	q := plan.Question{Load: shipped("disk-bound"), Limits: limits(t, "p95 < 12ms"), Fixed: true, Probe: 10 * time.Second}
	r := answer(t, q, plan.Steps{})
	if r.Answer == nil || !r.Answer.Holds || r.Solve.Holds || !r.Shown || r.Unreachable != "" {
		t.Errorf("by the model %+v, simulated %+v, shown %t (%s): want that the simulation is believed", r.Solve.Values, r.Answer, r.Shown, r.Unreachable)
	}
}

// TestEachObjectiveIsSuspected: the first is kept hardly, and the second by nothing.
func TestEachObjectiveIsSuspected(t *testing.T) {
	q := plan.Question{Load: shipped("mm1"), Limits: limits(t, "mean < 11ms and p95 < 20ms"), Fixed: true, Probe: 10 * time.Second}
	if r := answer(t, q, plan.Steps{}); !strings.HasPrefix(r.Unreachable, "p95") {
		t.Errorf("got %q, want that p95 is unreachable", r.Unreachable)
	}
}

// TestBeyondTheBounds: greater demands take more than there may be.
func TestBeyondTheBounds(t *testing.T) {
	q := plan.Question{
		Load: shipped("three-tier"), Limits: limits(t, "p95 < 300ms"), Set: []string{"rate=400/s"}, Error: 0.3, Vary: []string{"web=1..3", "app=1..4", "db=1..3"},
	}
	if r := answer(t, q, alone()); r.Counts == nil || !r.Beyond {
		t.Errorf("got %v, high %v, beyond %t, want counts, and none for demands that are greater by 30 %%", r.Counts, r.High, r.Beyond)
	}
	q.Error = 0
	if r := answer(t, q, alone()); r.Beyond {
		t.Error("without an error of the demands: got beyond the bounds")
	}
}

// TestRunsForReal: what there is no time for is told, and an error leaves what was found.
func TestRunsForReal(t *testing.T) {
	q := plan.Question{Load: shipped("three-tier"), Limits: limits(t, "p95 < 300ms"), Set: []string{"rate=400/s"}}
	s := alone()
	s.Emulate = func(context.Context, plan.Counts, bool) (*plan.Point, error) { return nil, nil }
	if r := answer(t, q, s); r.Emulate != nil || !slices.Contains(r.Left, "the runs for real") {
		t.Errorf("got %v left out, want the runs for real", r.Left)
	}
	broken := errors.New("no port")
	s.Emulate = func(context.Context, plan.Counts, bool) (*plan.Point, error) { return nil, broken }
	p, err := plan.New(q)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := p.Run(t.Context(), s); !errors.Is(err, broken) || r == nil || r.Counts == nil || r.First == nil {
		t.Errorf("got %+v, %v, want the counts, and the error", r, err)
	}
}

// TestFailuresAreAbove: a request that is turned away at once is above every bound, in the figure as in the verdict.
func TestFailuresAreAbove(t *testing.T) {
	q := plan.Question{Load: shipped("software-bottleneck"), Limits: limits(t, "p95 < 100ms and p50 < 100ms"), Fixed: true, Probe: 10 * time.Second}
	r := answer(t, q, plan.Steps{}) // 300/s, of which four workers carry 190/s
	if r.Answer == nil || r.Answer.Holds || !math.IsInf(r.Answer.Values[0].Value, 1) || !(r.Answer.Values[1].Value < 0.2) {
		t.Errorf("got %+v, want no p95, as every third request is turned away, and a median", r.Answer)
	}
}

// TestRelievedBeyondTheBounds: what is behind a bottleneck is told of plenty of it, however few may be tried.
func TestRelievedBeyondTheBounds(t *testing.T) {
	q := plan.Question{Load: shipped("software-bottleneck"), Limits: limits(t, "p95 < 100ms"), Vary: []string{"threads=1..12"}}
	if r := answer(t, q, alone()); r.Second == nil || r.Second.Name == r.First.Name || r.Second.Soft {
		t.Errorf("got %+v, then %+v, want hardware behind the pool", r.First, r.Second)
	}
}

// TestOpenKnee: without a load that does not hold nothing is known of the largest that does.
func TestOpenKnee(t *testing.T) {
	pass, fail := find.Trial{Outcome: find.Outcome{Verdict: find.Pass}}, find.Trial{Outcome: find.Outcome{Verdict: find.Fail}}
	for _, c := range []struct {
		k    plan.Knee
		want bool
	}{{plan.Knee{}, true}, {plan.Knee{Trials: []find.Trial{pass}}, true}, {plan.Knee{Trials: []find.Trial{pass, fail}}, false}} {
		if got := c.k.Open(); got != c.want {
			t.Errorf("%+v: got %t, want %t", c.k.Trials, got, c.want)
		}
	}
}

func TestWrongQuestions(t *testing.T) {
	for _, c := range []struct {
		q    plan.Question
		want string
	}{
		{plan.Question{Load: shipped("mm1")}, "no objective"},
		{plan.Question{Load: shipped("mm1"), Limits: limits(t, "p95(nobody.latency) < 1s")}, "nobody"},
		{plan.Question{Load: shipped("closed-open"), Limits: limits(t, "p95 < 1s")}, "say of which group"},
		{plan.Question{Load: shipped("mm1"), Limits: limits(t, "p95 < 1s"), Vary: []string{"servers.server_1.count"}}, "no farm"},
		{plan.Question{Load: shipped("mm1"), Limits: limits(t, "p95 < 1s"), Vary: []string{"duration"}}, "want a count"},
		{plan.Question{Load: shipped("three-tier"), Limits: limits(t, "p95 < 1s"), Vary: []string{"web=5..2"}}, "FROM..TO"},
		{plan.Question{Load: shipped("three-tier"), Limits: limits(t, "p95 < 1s"), Vary: []string{"web", "servers.web_farm.count"}}, "twice"},
		{plan.Question{Load: shipped("mm1"), Limits: limits(t, "p95 < 1s"), Error: 1}, "share"},
		{plan.Question{Load: shipped("mm1"), Limits: limits(t, "p95(jobs.errors) < 1s")}, "as p95(jobs.latency)"},
		{plan.Question{Load: shipped("mm1"), Limits: limits(t, "mean(server_1.cpu.utilisation) < 1s")}, "want the response"},
		{plan.Question{Load: shipped("mm1"), Limits: limits(t, "errors(jobs.latency) < 1%")}, "as errors(jobs)"},
		{plan.Question{Load: shipped("replay-log"), Limits: limits(t, "p95 < 1s")}, "replay a trace"},
	} {
		if _, err := plan.New(c.q); !errors.Is(err, plan.ErrQuestion) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want an ErrQuestion that says %q", err, c.want)
		}
	}
	if _, err := plan.New(plan.Question{Load: shipped("mm1"), Limits: limits(t, "p95 < 1s"), Set: []string{"nothing=1"}}); err == nil {
		t.Error("an override of nothing: got no error")
	}
}

// TestInterrupted: what was found before stays.
func TestInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	p, err := plan.New(plan.Question{Load: shipped("three-tier"), Limits: limits(t, "p95 < 300ms"), Set: []string{"rate=400/s"}, Probe: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Run(ctx, plan.Steps{Say: func(s plan.Step) {
		if s.Point != nil {
			stop()
		}
	}})
	if !errors.Is(err, context.Canceled) || r == nil || r.Counts == nil {
		t.Errorf("got %+v, %v, want the counts of the model, and that it was interrupted", r, err)
	}
}
