package report_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/plan"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/stat"
)

// planned is an answer with one tier.
func planned() *plan.Result {
	point := func(how plan.How, n int, v, half float64, verdict find.Verdict) plan.Point {
		return plan.Point{
			How: how, Counts: plan.Counts{n}, Factor: 1, Load: 400, Verdict: verdict, Holds: v < 0.3,
			Values: []stat.Estimate{{Value: v, Low: v - half, High: v + half}}, Used: []plan.Use{{Name: "web.cpu", Tier: "web", Utilisation: 0.8}},
		}
	}
	solve, simulate, emulate := point(plan.Solved, 4, 0.22, 0, find.Pass), point(plan.Simulated, 4, 0.24, 0.01, find.Pass), point(plan.Emulated, 4, 0.28, 0.04, find.Inconclusive)
	r := &plan.Result{
		Tiers: []plan.Tier{{Name: "web", Now: 2}}, Counts: plan.Counts{4}, Low: plan.Counts{4}, High: plan.Counts{5}, Spare: plan.Counts{5}, Error: 0.05,
		Shown: true, Exact: true, Solve: &solve, Answer: &simulate, Emulate: &emulate, LessTier: 0, Ratios: []float64{1},
		Less:   []plan.Point{point(plan.Solved, 3, math.Inf(1), 0, find.Fail), point(plan.Simulated, 3, 0.9, 0.1, find.Fail)},
		First:  &plan.Bottleneck{Name: "web.cpu", Tier: "web", Factor: 1.25, Rate: 500},
		Points: []plan.Point{solve, simulate, emulate}, Growth: []plan.Growth{{Factor: 1, Load: 400, Counts: plan.Counts{4}}, {Factor: 2, Load: 800, Counts: nil}},
	}
	r.Limits, _ = find.ParseLimits("p95(users.latency) < 300ms")
	for i := range 10 {
		x := point(plan.Solved, 4, 0.02*float64(i+1), 0, find.Pass)
		x.Load = 45 * float64(i+1)
		r.Curve = append(r.Curve, x)
	}
	return r
}

func TestPlanText(t *testing.T) {
	var b bytes.Buffer
	r := planned()
	if err := report.PlanText(&b, "shop", "rate=400/s", r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"shop: p95(users.latency) < 300ms at rate=400/s\n", "web       2      4    4 to 5         5  80.0 %    500/s  bottleneck: web.cpu\n",
		"220 ms ✓", "240 ms (230 ms to 250 ms) ✓", "280 ms (240 ms to 320 ms) (✓)", "with web=3", "never ✗", "900 ms (800 ms to 1 s) ✗",
		"least: web=4 (a simulation shows it)\n", "bottleneck: web.cpu (hardware), full at 500/s\n", "one less of web: breaks the objectives (solve, simulate)\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("want %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := report.PlanText(&b, "shop", "rate=400/s", &plan.Result{Limits: r.Limits, LessTier: -1, Unreachable: "never"}); err != nil || !strings.Contains(b.String(), "unreachable: never\n") {
		t.Errorf("unreachable: got %v\n%s", err, b.String())
	}
}

func TestPlanFiles(t *testing.T) {
	files, err := report.PlanFiles("shop <b>", "rate=400/s", planned(), []byte("eve: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
		if len(f.Content) < 500 {
			t.Errorf("%s has %d bytes", f.Name, len(f.Content))
		}
		if f.Name == report.PageFile && (!bytes.Contains(f.Content, []byte("shop &lt;b&gt;")) || !bytes.Contains(f.Content, []byte("<svg")) || bytes.Contains(f.Content, []byte("<script"))) {
			t.Errorf("the page: got\n%.2000s", f.Content)
		}
	}
	if got, want := strings.Join(names, " "), "response.svg response.png servers.svg servers.png report.html"; got != want {
		t.Errorf("files: got %s, want %s", got, want)
	}
}
