package scenario_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/scenarios"
)

// TestOverride sets values and then loads the text that the plan says was run, which must come to the same.
func TestOverride(t *testing.T) {
	seed := uint64(18446744073709551615)
	for _, c := range []struct {
		name string
		o    scenario.Options
		want func(p *scenario.Plan) any
		is   any
	}{
		{"rate", scenario.Options{Set: []string{"clients.crowd.rate=400/s"}}, func(p *scenario.Plan) any { return p.Clients[0].Rate }, []user.Point{{Rate: 400}}},
		{"patience", scenario.Options{Set: []string{"clients.crowd.patience=2s"}}, func(p *scenario.Plan) any { return p.Clients[0].Patience }, 2 * time.Second},
		{"curve", scenario.Options{Set: []string{"clients.crowd.rate={0s: 1/s, 10s: 2/s}"}}, func(p *scenario.Plan) any { return p.Clients[0].Rate }, []user.Point{{Rate: 1}, {At: dsv.At(10 * time.Second), Rate: 2}}},
		{"point", scenario.Options{Set: []string{"clients.crowd.rate.22s=80/s"}}, func(p *scenario.Plan) any { return p.Clients[0].Rate[2].Rate }, 80.0},
		{"new key", scenario.Options{Set: []string{"clients.crowd.stop=30s"}}, func(p *scenario.Plan) any { return p.Clients[0].End }, dsv.At(30 * time.Second)},
		{"new mapping", scenario.Options{Set: []string{"servers.server_1.disk.seek=3ms"}}, func(p *scenario.Plan) any { return p.Servers[0].Machine.Disk.Seek }, 3 * time.Millisecond},
		{"new server", scenario.Options{Set: []string{"servers.extra={cpus: 3}"}}, func(p *scenario.Plan) any { return p.Servers[3].Machine.CPU.Cores }, 3},
		{"new top", scenario.Options{Set: []string{"records=10/s"}}, func(p *scenario.Plan) any { return p.Clients[0].RecordShare }, 10.0 / 160},
		{"item", scenario.Options{Set: []string{"adapt.1.for=7s"}}, func(p *scenario.Plan) any { return p.Adapt.Rules[1].For }, 7 * time.Second},
		{"text with a comma", scenario.Options{Set: []string{`adapt.0.when="p95(static.latency, 2s) > 1s"`}}, func(p *scenario.Plan) any { return p.Adapt.Rules[0].WhenText }, "p95(static.latency, 2s) > 1s"},
		{"plain text with a comma", scenario.Options{Set: []string{"adapt.0.when=p95(static.latency, 2s) > 1s"}}, func(p *scenario.Plan) any { return p.Adapt.Rules[0].WhenText }, "p95(static.latency, 2s) > 1s"},
		{"list", scenario.Options{Set: []string{"services.app.on=[server_1, cdn]"}}, func(p *scenario.Plan) any { return p.Services[1].On }, []int{0, 2}},
		{"no rules", scenario.Options{Set: []string{"adapt=[]"}}, func(p *scenario.Plan) any { return len(p.Adapt.Rules) }, 0},
		{"measure", scenario.Options{Set: []string{"measure.app.latency.sync.count=9"}}, func(p *scenario.Plan) any { return measure(p, "app.latency").Sync.Count }, 9},
		{"new measure", scenario.Options{Set: []string{"measure.crowd.errors.sync.every=1s"}}, func(p *scenario.Plan) any { return measure(p, "crowd.errors").Sync.Every }, time.Second},
		{"last wins", scenario.Options{Set: []string{"seed=1", "seed=2"}}, func(p *scenario.Plan) any { return p.Seed }, uint64(2)},
		{"duration and seed", scenario.Options{Set: []string{"seed=1"}, Seed: &seed, Duration: 10500 * time.Millisecond}, func(p *scenario.Plan) any { return []any{p.Seed, p.Duration} }, []any{seed, 10500 * time.Millisecond}},
		{"request", scenario.Options{Set: []string{`requests="request page { call app { cpu 1ms } }"`}}, func(p *scenario.Plan) any { return p.Clients[0].Request.Services() }, []string{"app"}},
		{"name", scenario.Options{Set: []string{`name="a: \"b\" # c"`}}, func(p *scenario.Plan) any { return p.Name }, `a: "b" # c`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := shipped(t, "flash-crowd", c.o)
			again, err := scenario.Load("again", p.Text, scenario.Options{})
			if err != nil {
				t.Fatalf("%s\n%s", render(err), p.Text)
			}
			for _, p := range []*scenario.Plan{p, again} {
				if got := fmt.Sprint(c.want(p)); got != fmt.Sprint(c.is) {
					t.Errorf("got %s, want %v\n%s", got, c.is, p.Text)
				}
			}
			if !bytes.Contains(p.Text, []byte("# What to expect: at the usual 40/s")) || !bytes.Contains(p.Text, []byte("expect:\n  - p95(crowd.latency) < 2s\n")) {
				t.Errorf("the text lost what was not set:\n%s", p.Text)
			}
		})
	}
	src, _ := scenarios.Open("flash-crowd")
	if p := shipped(t, "flash-crowd", scenario.Options{}); !bytes.Equal(p.Text, src) {
		t.Error("without overrides the text is another one")
	}
}

func measure(p *scenario.Plan, name dsv.Name) scenario.Measure {
	i := slices.IndexFunc(p.Measures, func(m scenario.Measure) bool { return m.Name == name })
	return p.Measures[i]
}

// TestOverrideFlow sets a value in a scenario whose whole is one mapping in brackets.
func TestOverrideFlow(t *testing.T) {
	src := `{eve: 1, duration: 1s, requests: "request r { call s { cpu 1ms } }", servers: {x: {}}, services: {s: {on: x}}, clients: {c: {request: r, rate: 1/s}}}`
	p, err := scenario.Load("x", []byte(src), scenario.Options{Set: []string{"servers.x.cpus=2", "about=a, b"}})
	if err != nil {
		t.Fatal(render(err))
	}
	again, err := scenario.Load("x", p.Text, scenario.Options{})
	if err != nil {
		t.Fatal(render(err))
	}
	if again.Servers[0].Machine.CPU.Cores != 2 || again.About != "a, b" {
		t.Errorf("got %+v %q from %s", again.Servers[0], again.About, p.Text)
	}
}

func TestOverrideMistakes(t *testing.T) {
	src, _ := scenarios.Open("flash-crowd")
	for _, c := range []struct{ set, want string }{
		{"clients.crowd.rate", "--set clients.crowd.rate:1:1: an override is PATH=VALUE; write it as clients.crowd.rate=400/s"},
		{"=3", "--set =3:1:1: an override is PATH=VALUE"},
		{"seed=", "--set seed=:1:6: the override has no value"},
		{"clients.crowd.rate=400", "--set clients.crowd.rate=400:1:20: 400 has no unit; write it as 40/s, 2400/min"},
		{"clients.crowd.rate={0s: 4}", "--set clients.crowd.rate={0s: 4}:1:25: 4 has no unit"},
		{"clients.crowd.paitence=2s", `--set clients.crowd.paitence=2s:1:1: client group crowd has no key "paitence"; did you mean "patience"?`},
		{"clients.crowds.patience=2s", `client group crowds has no request`},
		{"adapt.4.for=7s", `--set adapt.4.for=7s:1:1: "4" is no item of adapt; it has 4 items, from 0`},
		{"adapt.first.for=7s", `"first" is no item of adapt`},
		{"seed.low=1", "--set seed.low=1:1:1: seed is a value: nothing is below it"},
		{"seed=[1", "--set seed=[1:1:6: this `[` has no `]`"},
		{"seed=&a 1", "--set seed=&a 1:1:6: anchors, aliases and merge keys are not read"},
		{"duration=5s", "--set duration=5s:1:10: the warm-up of 5s is not shorter than the run of 5s"},
		{"duration=1s", "--set duration=1s:1:10: the warm-up of 5s is not shorter than the run of 1s"},
		{"adapt.0.when=p95(static.latncy) > 1s", "--set adapt.0.when=p95(static.latncy) > 1s:1:18: no such variable static.latncy"},
		{"target=nginx", `--set target=nginx:1:1: the scenario has no key "target"; did you mean "targets"?`},
		{"requests=request page { call apq { cpu 1ms } }", ":1:25: no service apq; did you mean \"app\"?"},
	} {
		_, err := scenario.Load("x", src, scenario.Options{Set: []string{c.set}})
		if _, ok := errors.AsType[scenario.Errors](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.set, err, c.want)
		}
	}
}

// TestShort sets values by short names, and loads the text that the plan says was run.
func TestShort(t *testing.T) {
	const src = `eve: 1
duration: 5s
set: {target: targets.web.kind, users: [clients.a.users, clients.b.users], ready: targets.web.ready.within}
requests: |
  request r { http web GET "/" }
targets: {web: {kind: nginx}}
clients:
  a: {request: r, users: 1, think: 1s}
  b: {request: r, users: 2, think: 1s}
`
	p, err := scenario.Load("x", []byte(src), scenario.Options{Set: []string{"target=yaws", "users=7", "users=9", "ready=3s", "clients.b.users=8"}})
	if err != nil {
		t.Fatal(render(err))
	}
	again, err := scenario.Load("again", p.Text, scenario.Options{})
	if err != nil {
		t.Fatalf("%s\n%s", render(err), p.Text)
	}
	for _, p := range []*scenario.Plan{p, again} {
		web := p.Targets[0]
		if web.Kind != "yaws" || web.Ready.Within != 3*time.Second || p.Clients[0].Users != 9 || p.Clients[1].Users != 8 || len(p.Short) != 3 {
			t.Errorf("got %+v, %d and %d users, %+v", web, p.Clients[0].Users, p.Clients[1].Users, p.Short)
		}
	}
	for _, c := range []struct{ set, want string }{
		{"target=nginks", `--set target=nginks:1:8: "nginks" is none of nginx, lighttpd, apache, yaws, node, tornado, eve; did you mean "nginx"?`},
		{"targt=nginx", `--set targt=nginx:1:1: the scenario has no key and no short name "targt"; did you mean "target"?`},
		{"zzzzzzzz=1", `the scenario has no key and no short name "zzzzzzzz"; its short names are target, users, ready`},
	} {
		_, err := scenario.Load("x", []byte(src), scenario.Options{Set: []string{c.set}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.set, err, c.want)
		}
	}
}
