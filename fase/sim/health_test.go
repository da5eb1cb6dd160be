package sim_test

import (
	"fmt"
	"testing"

	"github.com/eve-emulation/eve/fase/scenario"
)

// judged is a scenario with a request each 10 ms, to four servers in turn.
func judged(health, faults string) []byte {
	return fmt.Appendf(nil, `eve: 1
name: farm
duration: 40s
requests: |
  request page { call app { cpu 4ms } }
servers:
  web: {count: 4}
services:
  app: {on: web, balance: round-robin, health: %s}
clients:
  crowd: {request: page, arrive: constant, rate: 100/s}
faults:
  - %s
`, health, faults)
}

// TestEjection: by hand, after Envoy's rules. A dead server costs three requests each time that it is tried.
func TestEjection(t *testing.T) {
	for _, tt := range []struct {
		name, health, faults string
		ejections, errors    float64
	}{
		// Ejected at 2.1 s for 5 s, back with the sweep at 8 s; ejected again at once for 10 s, back at 19 s; then for 15 s, back at 35 s.
		{"one dead", "{failures: 3, every: 1s, ejection: 5s}", "{crash: web_1, at: 2s, for: 30s}", 3, 9},
		// The same, but the second and the third time for no longer than 6 s: 8, 15, 22 and 29 s.
		{"longest", "{failures: 3, every: 1s, ejection: 5s, longest: 6s}", "{crash: web_1, at: 2s, for: 30s}", 5, 15},
		// Ejected at 2 s and at 8 s, then for 10 s; two healthy intervals make up for that, so at 32 s it is for 5 s again, and at 38 s
		// it is found dead once more.
		{"forgiven", "{failures: 3, every: 1s, ejection: 5s}", "{crash: web_1, at: 2s, for: 6500ms, every: 23500ms}", 4, 12},
		// Two may be out. Three failures each until the second is, and from the 212th call to the 299th half of them are the third's.
		{"at most half", "{failures: 3, every: 1s, ejection: 100s, most: 50%}", "{crash: [web_1, web_2, web_3], at: 2s, for: 1s}", 2, 53},
		// All are out, so all are called: 100 requests fail, as without.
		{"all dead", "{failures: 3, every: 1s, ejection: 100s, most: 100%}", "{crash: web, at: 2s, for: 1s}", 4, 100},
		{"patient", "{failures: 100, every: 1s}", "{crash: web_1, at: 2s, for: 1s}", 0, 25},
	} {
		s := simulate(t, load(t, "farm.yaml", judged(tt.health, tt.faults), scenario.Options{}))
		if got := s.count(t, "app.ejections"); got != tt.ejections {
			t.Errorf("%s: ejections: got %v, want %v", tt.name, got, tt.ejections)
		}
		if got := s.count(t, "crowd.errors"); got != tt.errors {
			t.Errorf("%s: errors: got %v, want %v", tt.name, got, tt.errors)
		}
	}
}
