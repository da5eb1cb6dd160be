package adapter_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/modules"
	"github.com/eve-emulation/eve/modules/adapter"
	"github.com/eve-emulation/eve/modules/client"
	"github.com/eve-emulation/eve/modules/server"
)

const text = `eve: 1
name: small
duration: 30s
seed: 2
requests: |
  request page { call web { cpu 1ms  reply 1KiB } }
servers:
  one: {run: hold}
  two: {run: hold, state: standby}
services:
  web: {on: [one], size: 64KiB}
clients:
  crowd: {request: page, arrive: poisson, rate: 100/s, patience: 1s}
adapt:
  - {name: away, when: "count(crowd.requests, 1s) > 10", do: move web to two}
`

// inside starts modules inside the test's process, as evekernel.ModuleSpec.Func.
type inside struct {
	t      *testing.T
	kernel *evekernel.Kernel
	plan   *scenario.Plan
	failed chan evekernel.ModuleEvent
}

func begin(t *testing.T) *inside {
	t.Helper()
	return beginWith(t, load(t, text))
}

func load(t *testing.T, text string) *scenario.Plan {
	t.Helper()
	plan, err := scenario.Load("small.yaml", []byte(text), scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func beginWith(t *testing.T, plan *scenario.Plan) *inside {
	t.Helper()
	in := &inside{t: t, plan: plan, failed: make(chan evekernel.ModuleEvent, 16)}
	k, err := evekernel.New(evekernel.Config{Run: "test", OnModule: func(e evekernel.ModuleEvent) {
		if e.State == evekernel.Failed {
			in.failed <- e
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	in.kernel = k
	if err := k.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, k.Close()); err != nil {
			t.Errorf("kernel: %v", err)
		}
		goleak.VerifyNone(t)
	})
	for _, d := range plan.Declarations() {
		in.check(k.Space().Create(t.Context(), d))
	}
	for _, s := range plan.Servers {
		in.check(k.Space().Create(t.Context(), dsv.Declaration{Name: adapt.AddressName(s.Name), Kind: dsv.Text}))
	}
	in.check(scenario.Publish(t.Context(), k.Space(), plan))
	return in
}

func (in *inside) check(err error) {
	in.t.Helper()
	if err != nil {
		in.t.Fatal(err)
	}
}

func (in *inside) start(spec modules.Spec, name string, config any) {
	in.t.Helper()
	raw, err := json.Marshal(config)
	in.check(err)
	in.check(in.kernel.Start(in.t.Context(), evekernel.ModuleSpec{
		Name: name, Kind: spec.Name, Config: raw, Func: func(ctx context.Context, r evekernel.Reach) error {
			return modules.Run(ctx, spec.New(), modules.Link{Name: r.Name, URL: r.URL, Token: r.Token, Dial: r.Dial})
		},
	}))
}

// until waits for an update of a variable that suits.
func (in *inside) until(pattern string, ok func(dsv.Update) bool) {
	in.t.Helper()
	ctx, cancel := context.WithTimeout(in.t.Context(), 20*time.Second)
	defer cancel()
	w, err := in.kernel.Space().Watch(ctx, dsv.WatchRequest{Pattern: pattern, Mode: dsv.All})
	in.check(err)
	defer w.Close()
	for {
		u, err := w.Next(ctx)
		if err != nil {
			in.t.Fatalf("wait for %s: %v", pattern, err)
		}
		if ok(u) {
			return
		}
	}
}

// The three modules of a scenario together: clients ask, the rule fires, the service moves, and clients follow.
func TestAdapts(t *testing.T) {
	in := begin(t)
	in.check(in.kernel.Hub().Expect(egs.StartBarrier, "one", "two", "crowd", "adapt"))
	in.start(server.Spec, "one", server.ModuleConfig{Servers: []string{"one"}})
	in.start(server.Spec, "two", server.ModuleConfig{Servers: []string{"two"}})
	addresses := map[string]string{}
	for _, s := range in.plan.Servers {
		in.until(string(adapt.AddressName(s.Name)), func(u dsv.Update) bool {
			addresses[s.Name] = u.Reading.Value.Text
			return u.Reading.Value.Text != ""
		})
	}
	for svc, m := range in.plan.Mappings() {
		for i := range m.Replicas {
			m.Replicas[i].Address = addresses[m.Replicas[i].Server]
		}
		_, err := in.kernel.Space().Write(t.Context(), service.MapName(in.plan.Topology.Services[svc]), dsv.TextValue(m.Encode()))
		in.check(err)
	}
	in.start(adapter.Spec, "adapt", nil)
	in.start(client.Spec, "crowd", client.ModuleConfig{Group: "crowd"})

	var phases []string
	in.until(string(adapt.DecisionsName), func(u dsv.Update) bool {
		var d adapt.Decision
		if json.Unmarshal(u.Reading.Value.Bytes, &d) != nil {
			return false
		}
		phases = append(phases, d.Phase)
		if d.Phase == "decided" && d.Reading["count(crowd.requests, 1s)"] <= 10 {
			t.Errorf("decided on %v, want a count above 10", d.Reading)
		}
		return d.Phase == "done"
	})
	if got, want := strings.Join(phases, " "), "decided copied switched done"; got != want {
		t.Errorf("phases %s, want %s", got, want)
	}
	in.until("map.web", func(u dsv.Update) bool {
		m, err := service.ParseMapping(u.Reading.Value.Text)
		return err == nil && m.Epoch > 1 && len(m.Replicas) == 1 && m.Replicas[0].Server == "two" && m.Replicas[0].State == service.Serving
	})
	in.until("two.cpu.delivered", func(u dsv.Update) bool { // the clients ask there
		x, _ := u.Reading.Value.Number()
		return x > 0.05
	})
	if r, err := in.kernel.Space().Read(t.Context(), "crowd.errors"); !errors.Is(err, dsv.ErrUnset) {
		t.Errorf("errors: %v (%v), want none through a move", r.Value, err)
	}
	in.check(in.kernel.Stop(t.Context(), "adapt", "crowd"))
	select {
	case e := <-in.failed:
		t.Errorf("module %s: %s", e.Name, e.Status)
	default:
	}
}

// A module that is told something wrong says what.
func TestWrongConfig(t *testing.T) {
	for _, c := range []struct {
		name   string
		spec   modules.Spec
		config any
		want   string
	}{
		{"no such group", client.Spec, client.ModuleConfig{Group: "nobody"}, "emulate nobody: no such group of clients"},
		{"no such server", server.Spec, server.ModuleConfig{Servers: []string{"nobody"}}, "emulate nobody: no such server"},
		{"an unknown key", client.Spec, map[string]int{"grp": 1}, `unknown field "grp"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := begin(t)
			in.start(c.spec, "one", c.config)
			select {
			case e := <-in.failed:
				if !strings.Contains(e.Status, c.want) {
					t.Errorf("got %q, want %q", e.Status, c.want)
				}
			case <-time.After(20 * time.Second):
				t.Error("the module did not fail")
			}
		})
	}
}
