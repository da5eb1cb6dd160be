package judge_test

import (
	"testing"

	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/scenario"
)

// A server that is down supplies nothing, and costs all the same.
func TestDownServersSupplyNothing(t *testing.T) {
	p := load(t, `
eve: 1
duration: 30s
requests: |
  request page { call app { cpu 5ms  reply 1KiB } }
servers:
  one:
  two:
services:
  app: {on: [one, two]}
clients:
  crowd: {request: page, rate: 40/s, patience: 1s}
faults:
  - {name: fall, crash: two, at: 10s, for: 8s}
slo: p95(crowd.latency) < 500ms
`, scenario.Options{})
	a, _ := simulated(t, p, judge.Options{})
	e := a.Services["app"]
	if len(e.Supply) != 3 || e.Supply[0].Replicas != 2 || e.Supply[1].Replicas != 1 || e.Supply[2].Replicas != 2 {
		t.Fatalf("got %+v", e)
	}
	if down, up := float64(e.Supply[1].From), float64(e.Supply[2].From); down < 9.9 || down > 10.2 || up < 17.9 || up > 18.2 {
		t.Errorf("got down at %v and up at %v, want 10 and 18 within a period of synchronisation", down, up)
	}
	if a.ServerSeconds != 60 || a.Changes != 2 {
		t.Errorf("got %v server-seconds and %d changes, want 60 and 2", a.ServerSeconds, a.Changes)
	}
}
