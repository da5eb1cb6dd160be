package campaign_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/scenario"
)

const tiers = `eve: 1
name: tiers
duration: 40s
warmup: 2s
seed: 5
requests: |
  request page { call web { cpu exp(2ms) call app { cpu exp(6ms) reply 4KiB } cpu 1ms reply 20KiB } }
servers:
  a: {link: {rate: 1Gbit, delay: 200us}}
  b: {cpus: 2}
services:
  web: {on: a}
  app: {on: b}
clients:
  crowd: {request: page, rate: 60/s}
`

func tiered(t *testing.T, set ...string) *scenario.Plan {
	t.Helper()
	p, err := scenario.Load("tiers.yaml", []byte(tiers), scenario.Options{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What is known of a run's overhead is found again: the run is simulated with it, and calibrated as if it had been real.
func TestCalibrate(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; other tests run side by side as well")
	}
	bare := tiered(t)
	for _, set := range [][]string{
		nil,
		{"services.web.overhead.delay=400us", "services.app.overhead.delay=150us"},
		{"services.web.overhead.cpu=300us", "services.app.overhead.delay=1ms", "services.app.overhead.cpu=80us"},
	} {
		p := tiered(t, set...)
		run, err := campaign.Simulate(t.Context(), p, campaign.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := campaign.Calibrate(t.Context(), p, run.History, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 {
			t.Fatalf("with %v: got %+v, want both services", set, got)
		}
		for i, x := range got {
			want := p.Services[i].Overhead
			if x.Service != p.Services[i].Name || !near(x.Delay, want.Delay) || !near(x.CPU, want.CPU) || x.Calls < 1000 {
				t.Errorf("with %v: %s: got %+v, want %+v", set, x.Service, x, want)
			}
		}
	}
	if o := bare.Services[0].Overhead; o.Delay != 0 || o.CPU != 0 {
		t.Errorf("without the key: got %+v, want none", o)
	}
}

// near says that a time is within what queueing behind a longer service shifts: a twentieth, and the resolution of quantiles.
func near(got, want time.Duration) bool {
	return (got - want).Abs() <= want/20+25*time.Microsecond
}

// Overhead delays each call, and its processor time is demanded once an execution; a plan's means follow.
func TestOverheadIsSimulated(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; other tests run side by side as well")
	}
	mean := func(set ...string) (latency, requested float64) {
		p := tiered(t, append(set, "clients.crowd.rate=2/s", "clients.crowd.arrive=constant")...)
		r, err := campaign.Simulate(t.Context(), p, campaign.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return float64(r.Summary.Clients["crowd"].Response.Mean), float64(r.Summary.Servers["a"]["cpu"].Requested)
	}
	without, asked := mean()
	with, more := mean("services.web.overhead.delay=10ms", "services.app.overhead.delay=5ms", "services.web.overhead.cpu=3ms")
	if d := with - without - 0.018; d < -1e-4 || d > 1e-4 { // nobody waits for another one: two a second
		t.Errorf("mean response: got %.6f s more, want 18 ms: 10 and 5 of delay and 3 of processor time", with-without)
	}
	if d := more - asked - 0.003*76; d < -1e-6 || d > 1e-6 {
		t.Errorf("processor time: got %.6f s more, want 3 ms for each of 76 requests", more-asked)
	}
}
