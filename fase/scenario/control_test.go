package scenario_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
)

const controlled = `eve: 1
duration: 60s
seed: 42
requests: |
  request r { call a { cpu 1ms } call b { cpu 1ms } }
servers:
  web: {count: 4, admit: {limit: 20}}
  db: {}
services:
  a: {on: web, replicas: {start: 2, least: 1, most: 3}}
  b: {on: db}
clients:
  c: {request: r, rate: 1/s}
control:
  - {name: one, KIND}
expect:
  - run.control.one >= 0
`

// control loads a scenario with one controller.
func control(t *testing.T, text string, o scenario.Options) (*scenario.Plan, *adapt.Control) {
	t.Helper()
	p, err := scenario.Load("x.yaml", []byte(strings.Replace(controlled, "KIND", text, 1)), o)
	if err != nil {
		t.Fatal(render(err))
	}
	if len(p.Adapt.Controls) != 1 || !p.Adapt.Active() {
		t.Fatalf("got %d controllers, want one", len(p.Adapt.Controls))
	}
	return p, &p.Adapt.Controls[0]
}

// TestControl compiles controllers: their defaults, bounds, metrics and targets.
func TestControl(t *testing.T) {
	for _, tt := range []struct {
		text   string
		period time.Duration
		want   adapt.Actuator
		// of the first metric
		target float64
		each   []int
	}{
		{"kind: hpa, scale: a, metric: it.cpu.utilisation, target: 60%", 15 * time.Second, adapt.Actuator{Verb: adapt.Scale, Bounds: adapt.Bounds{Least: 1, Most: 3, Whole: true}}, 0.6, []int{0, 1, 2, 3}},
		{"kind: predictive, scale: a, metric: rate(a.requests), target: 40/s, most: 2, every: 2s", 2 * time.Second, adapt.Actuator{Verb: adapt.Scale, Bounds: adapt.Bounds{Least: 1, Most: 2, Whole: true}}, 40, nil},
		{"kind: overload, limit: b, metric: p90(b.residence), target: 200ms", time.Second, adapt.Actuator{Verb: adapt.Limit, Service: 1, Bounds: adapt.Bounds{Least: 1, Most: 1e7}}, 0.2, nil},
		{"kind: envoy, set: web_3.admit.limit, metric: p50(a.residence), least: 2, most: 80, init: 5", 100 * time.Millisecond, adapt.Actuator{Verb: adapt.Assign, Service: -1, Var: "web_3.admit.limit", Bounds: adapt.Bounds{Least: 2, Most: 80, Whole: true}, Init: 5}, math.NaN(), nil},
		{"kind: pi, degrade: b, levels: [full, lite, bare], metric: it.cpu.utilisation, target: 0.7, kp: 1", time.Second, adapt.Actuator{Verb: adapt.Degrade, Service: 1, Bounds: adapt.Bounds{Most: 2, Whole: true}}, 0.7, []int{4}},
		{"kind: expr, set: c.rate, expr: 3/s", 100 * time.Millisecond, adapt.Actuator{Verb: adapt.Assign, Service: -1, Var: "c.rate", Bounds: adapt.Bounds{Most: 1e7}}, math.NaN(), nil},
	} {
		_, c := control(t, tt.text, scenario.Options{})
		a := c.Actuator
		if c.Name != "one" || c.Period != tt.period || c.Seed != 42 || c.New == nil || a.Verb != tt.want.Verb || a.Service != tt.want.Service || a.Var != tt.want.Var || a.Bounds != tt.want.Bounds {
			t.Errorf("%s: got every %v, %+v, want every %v, %+v", tt.text, c.Period, a, tt.period, tt.want)
		}
		if tt.want.Init != 0 && a.Init != tt.want.Init || tt.want.Init == 0 && !math.IsNaN(a.Init) {
			t.Errorf("%s: got %v at the start", tt.text, a.Init)
		}
		m := c.Metrics[0]
		var each []int
		for x, p := range m.Each {
			if p != nil {
				each = append(each, x)
			}
		}
		if got := m.Target; got != tt.target && !(math.IsNaN(got) && math.IsNaN(tt.target)) || !slices.Equal(each, tt.each) || (m.Expr == nil) != (tt.each != nil) {
			t.Errorf("%s: got a target of %v at %v, want %v at %v", tt.text, got, each, tt.target, tt.each)
		}
		r := adapt.Reading{At: dsv.At(c.Period), Value: 2, Metrics: make([]adapt.Sample, len(c.Metrics)), Bounds: a.Bounds}
		if got := c.New().Step(&r); math.IsInf(got.Value, 0) {
			t.Errorf("%s: got %v of no reading", tt.text, got.Value)
		}
	}
}

// TestControlDeclares the variable of a controller, which conditions may name.
func TestControlDeclares(t *testing.T) {
	p, _ := control(t, "kind: overload, limit: b, metric: p90(b.residence), target: 200ms, delay: 2s, noise: 5%, window: 3s", scenario.Options{})
	i := slices.IndexFunc(p.Declarations(), func(d dsv.Declaration) bool { return d.Name == "run.control.one" })
	if i < 0 || p.Declarations()[i].Unit != "1/s" || !p.Declarations()[i].History {
		t.Errorf("got no run.control.one in 1/s with its history")
	}
	if c := p.Adapt.Controls[0]; c.Delay != 2*time.Second || c.Noise != 0.05 || c.Window != 3*time.Second {
		t.Errorf("got %+v", c)
	}
}

// TestControlSetsFarm: the setting of a farm is that of each of its servers, and never below what can serve.
func TestControlSetsFarm(t *testing.T) {
	_, c := control(t, "kind: aimd, set: web.admit.limit, metric: p90(a.residence), target: 200ms", scenario.Options{})
	a := c.Actuator
	if want := []dsv.Name{"web_2.admit.limit", "web_3.admit.limit", "web_4.admit.limit"}; a.Var != "web_1.admit.limit" || !slices.Equal(a.Also, want) {
		t.Errorf("got %s and %v, want web_1's and %v", a.Var, a.Also, want)
	}
	if want := (adapt.Bounds{Least: 1, Most: 1e6, Whole: true}); a.Bounds != want {
		t.Errorf("got %+v, want %+v", a.Bounds, want)
	}
	two := "kind: aimd, set: web.admit.limit, metric: p90(a.residence), target: 200ms}\n  - {name: two, kind: expr, set: web_3.admit.limit, expr: 3"
	_, err := scenario.Load("x.yaml", []byte(strings.Replace(controlled, "KIND", two, 1)), scenario.Options{})
	if err == nil || !strings.Contains(render(err), "one and two both control web_3.admit.limit") {
		t.Errorf("got %v, want that both control the same", err)
	}
	if _, err = scenario.Load("x.yaml", []byte(strings.Replace(controlled, "KIND", "kind: expr, set: db.admit.limit, expr: 3", 1)), scenario.Options{}); err == nil {
		t.Error("a setting of a server without admission: got no mistake")
	}
}

// TestThrottleWindow: what is a rate is counted over its window, so that one request is one.
func TestThrottleWindow(t *testing.T) {
	for text, want := range map[string]float64{
		"metric: 'rate(a.requests, 10s)', accepts: 'rate(a.requests, 10s)'": 10,
		"metric: rate(a.requests), accepts: rate(a.requests), window: 20s":  20,
		"metric: a.requests, accepts: a.requests":                           1,
	} {
		_, c := control(t, "kind: throttle, set: web_1.admit.shed, "+text, scenario.Options{})
		r := adapt.Reading{Metrics: []adapt.Sample{{Value: 5}, {Value: 0}}, Bounds: c.Actuator.Bounds}
		if got, want := c.New().Step(&r).Value, 5*want/(5*want+1); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

// TestServerSettings: what may be set of a server is declared, and has its first value.
func TestServerSettings(t *testing.T) {
	p, _ := control(t, "kind: expr, set: web_1.admit.shed, expr: 0.5", scenario.Options{})
	var got []string
	for _, i := range p.Initials() {
		if strings.HasPrefix(string(i.Name), "web_1.") || strings.HasPrefix(string(i.Name), "db.") {
			got = append(got, string(i.Name))
			if want := map[dsv.Name]float64{"web_1.admit.limit": 20, "web_1.admit.shed": 0}[i.Name]; i.Value != want {
				t.Errorf("%s: got %v at the start, want %v", i.Name, i.Value, want)
			}
		}
	}
	if want := []string{"web_1.admit.limit", "web_1.admit.shed"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for name, want := range map[dsv.Name]bool{"web_4.admit.limit": true, "web_4.admit.shed": true, "db.admit.limit": false, "db.admit.shed": false, "web_4.admit.queue": false, "web.admit.limit": false, "b.pool.threads": false} {
		if _, ok := p.Setting(name); ok != want {
			t.Errorf("%s: got %v, want %v", name, ok, want)
		}
	}
}
