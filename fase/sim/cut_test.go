package sim_test

import (
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
)

// TestPartitionToControl: what servers behind a partition measure reaches the rules once it has healed, and no sooner; so does
// that they are ready to take a service.
func TestPartitionToControl(t *testing.T) {
	src := func(faults, rule string) []byte {
		return []byte(`eve: 1
name: cut
duration: 12s
warmup: 0s
seed: 1
requests: |
  request page { call app { cpu 4ms reply 1KiB } }
servers:
  one: {run: hold}
  two: {run: hold}
services:
  app: {on: [one, two], replicas: 1}
clients:
  crowd: {request: page, arrive: constant, rate: 100/s, patience: 2s}
` + faults + `
adapt:
  - {name: grow, ` + rule + `}
`)
	}
	decided := func(faults, rule string) (all []runs.Decision) {
		t.Helper()
		s := simulate(t, load(t, "cut.yaml", src(faults, rule), scenario.Options{}))
		return s.summary().Decisions
	}
	const busy = "when: one.cpu.utilisation > 30%, do: scale app to 2"
	phases := func(ds []runs.Decision) string {
		var ps []string
		for _, d := range ds {
			ps = append(ps, d.Phase)
		}
		return strings.Join(ps, " ")
	}
	free := decided("", busy)
	if phases(free) != "decided copied switched done" || free[0].Time > 1 {
		t.Fatalf("without a partition: got %+v", free)
	}
	// TCP sends again after times that double: what waits for 4 s may wait for 8.
	for _, tt := range []struct {
		name, faults string
		first, last  float64 // not before
	}{
		{"between the server that is measured and the rules", "faults:\n  - {partition: [[one], [control]], at: 0s, for: 4s}", 4, 4},
		{"between the rules and everybody", "faults:\n  - {partition: [[control]], at: 0s, for: 4s}", 4, 4},
		{"between the server that is to serve and the rules", "faults:\n  - {partition: [[two], [control]], at: 0s, for: 4s}", 0, 4},
		{"elsewhere", "faults:\n  - {partition: [[one], [two]], at: 5s, for: 1s}", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := decided(tt.faults, busy)
			if phases(got) != phases(free) {
				t.Fatalf("got %+v, want it done", got)
			}
			first, last := float64(got[0].Time), float64(got[len(got)-1].Time)
			if first < tt.first || last < tt.last || first > 2*tt.first+1.5 || last > 2*tt.last+1.5 {
				t.Errorf("decided at %v s and done at %v s, want from %v s and %v s on", first, last, tt.first, tt.last)
			}
		})
	}
	if got := decided("faults:\n  - {partition: [[one], [control]], at: 0s}", busy); len(got) > 0 {
		t.Errorf("behind a partition that does not heal: got %+v, want nothing", got)
	}
	// What the clients measure themselves comes through.
	through := decided("faults:\n  - {partition: [[one], [control]], at: 0s, for: 4s}", `when: "rate(crowd.requests, 1s) > 50/s", do: set crowd.rate 20/s`)
	if len(through) == 0 || through[0].Time > 2 {
		t.Errorf("what comes from elsewhere: got %+v, want it decided at once", through)
	}
}
