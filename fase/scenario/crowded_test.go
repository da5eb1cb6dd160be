package scenario_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
)

// Servers of very many are measured every second, and acknowledge only what may come to them.
func TestCrowdedServers(t *testing.T) {
	if testing.Short() {
		t.Skip("it loads four thousand servers")
	}
	for _, tt := range []struct {
		servers, services int

		adapt string
		every time.Duration
		acks  bool // of a service that is elsewhere
	}{
		{1024, 2, "", 100 * time.Millisecond, true},
		{1025, 2, "", time.Second, true},
		{1024, 10, "", 100 * time.Millisecond, false},
		{1024, 10, "adapt: [{name: r, when: p95(a.latency) > 1s, do: scale a to 2}]\n", 100 * time.Millisecond, true},
	} {
		var more strings.Builder
		for i := range tt.services - 2 {
			fmt.Fprintf(&more, "  s%d: {on: [x_%d]}\n", i, i+4)
		}
		p, err := scenario.Load("crowded.yaml", fmt.Appendf(nil, `eve: 1
duration: 10s
requests: |
  request r { call a { cpu 1ms call b { cpu 1ms } } }
servers:
  x: {count: %d}
services:
  a: {on: [x_1, x_2]}
  b: {on: [x_2]}
%sclients:
  c: {request: r, rate: 1/s}
%s`, tt.servers, more.String(), tt.adapt), scenario.Options{})
		if err != nil {
			t.Fatal(err)
		}
		every, found := time.Duration(0), map[dsv.Name]bool{}
		for i := range p.Measures {
			m := &p.Measures[i]
			if found[m.Name] = true; m.Name == "x_3.cpu.utilisation" {
				every = m.Sync.Every
			}
		}
		if every != tt.every || p.Servers[2].Accrue > tt.every {
			t.Errorf("%d servers: x_3 is measured every %v and brought up to date every %v, want %v", tt.servers, every, p.Servers[2].Accrue, tt.every)
		}
		if got := found["x_3.a.ready"]; got != tt.acks {
			t.Errorf("%d servers, %d services, %q: x_3.a.ready: got %v, want %v", tt.servers, tt.services, tt.adapt, got, tt.acks)
		}
		if !found["x_2.b.ready"] {
			t.Errorf("%d servers: x_2.b.ready is missing", tt.servers)
		}
	}
}
