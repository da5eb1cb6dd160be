package sim_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
)

// A CPU whose work is withdrawn, waiting or begun, by callers who go and by time-outs within, was busy for what the executions got of it,
// to the rounding of each.
func TestWithdrawnWorkIsBooked(t *testing.T) {
	speed := 1.0
	for _, server := range []string{
		"discipline: fcfs", "discipline: ps", "discipline: sjf", "discipline: sjf, preempt: true", "discipline: fcfs, admit: {limit: 3}", "discipline: fcfs, cpus: 2, speed: 0.6",
	} {
		if strings.Contains(server, "0.6") {
			speed = 0.6
		}
		for _, cancel := range []string{"never", "on-close"} {
			t.Run(server+", "+cancel, func(t *testing.T) {
				s := simulate(t, load(t, "withdrawn.yaml", fmt.Appendf(nil, `eve: 1
name: withdrawn
duration: 20s
seed: 4
requests: |
  request ask { call app { cpu exp(5ms)  fork { timeout 20ms { cpu exp(6ms) } }  reply 1KiB } }
servers:
  web: {cancel: %s, %s}
services:
  app: {on: web}
clients:
  crowd: {request: ask, rate: 120/s, patience: 50ms}
`, cancel, server), scenario.Options{}))
				sum := s.summary()
				if n := sum.Clients["crowd"].Errors["abandoned"]; n < 20 {
					t.Fatalf("abandoned: got %d, want many", n)
				}
				x := sum.Books.Utilisation[0]
				if x.Verdict != stat.Pass {
					t.Errorf("utilisation law: got %+v, want pass", x)
				}
				// What is under way at the end is in neither what was served nor what was withdrawn.
				if low, high := float64(x.Served)-1e-4, math.Max(float64(x.Asked), float64(x.Served))+1e-4; float64(x.Busy) < low || float64(x.Busy) > high {
					t.Errorf("busy: got %.6f s, want %.6f to %.6f", float64(x.Busy), low, high)
				}
				if all := s.count(t, "web.cpu.requested"); float64(x.Asked) > all*0.98/speed {
					t.Errorf("withdrawn: got %.6f s left of %.6f s, want many", float64(x.Asked), all/speed)
				}
				if x.Asked > x.Served*1.01 {
					t.Errorf("asked and not withdrawn: got %.6f s, want little more than the %.6f s served", float64(x.Asked), float64(x.Served))
				}
			})
		}
	}
}
