package sim_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
)

const altered = `eve: 1
duration: 20s
requests: |
  request page { call app { cpu 1ms } }
servers: {a: {}}
services: {app: {on: a, replicas: {least: 0}}}
clients: {crowd: {request: page, arrive: constant, rate: 100/s, stop: 18s}}
adapt:
  - {name: begin, when: crowd.in_flight >= 0, for: 5s, do: resume app}
  - {name: end, when: crowd.in_flight >= 0, for: 10s, do: [resume app, limit app none, scale app to 1]}
`

// TestAlteredServices limits, pauses and empties a service from 5.1 s to 10.1 s, and counts what became of its requests.
func TestAlteredServices(t *testing.T) {
	for _, tc := range []struct {
		name, do, empty string
		cause           service.Cause // of those that fail
		least, most     int           // of them
		waits           bool          // those of the time wait until it is over
	}{
		// 100/s for 5 s meet 40/s and the ten tokens of a full bucket.
		{"limit", "limit app 40/s", "queue", service.Limited, 500 - 200 - 12, 500 - 200 - 8, false},
		{"pause", "pause app", "queue", service.OK, 0, 0, true},
		{"pause is no failure", "pause app", "fail", service.OK, 0, 0, true},
		{"empty, queue", "scale app to 0", "queue", service.OK, 0, 0, true},
		{"empty, fail", "scale app to 0", "fail", service.Unavailable, 498, 502, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := simulate(t, load(t, "altered.yaml", []byte(altered), scenario.Options{
				Set: []string{"adapt.0.do=" + tc.do, "services.app.empty=" + tc.empty},
			}))
			failed, late := 0, 0
			for _, r := range s.requests(t, "crowd") {
				switch {
				case r.Cause == service.OK:
					if r.Done.Sub(r.Due) > 100*time.Millisecond {
						late++
						if r.Done < dsv.At(10*time.Second) {
							t.Errorf("request due at %v ended at %v, within the time", r.Due, r.Done)
						}
					}
				case r.Cause != tc.cause:
					t.Errorf("request due at %v: got %v, want %v", r.Due, r.Cause, tc.cause)
				default:
					failed++
					if r.Due < dsv.At(5*time.Second) || r.Due > dsv.At(11*time.Second) {
						t.Errorf("request due at %v: %v", r.Due, r.Cause)
					}
				}
			}
			if failed < tc.least || failed > tc.most {
				t.Errorf("got %d failed, want %d to %d", failed, tc.least, tc.most)
			}
			if tc.waits && late < 450 || !tc.waits && late > 0 {
				t.Errorf("got %d that waited", late)
			}
			if c := s.summary().Clients["crowd"]; c.GeneratorLimited || !c.Accounting.Balanced {
				t.Errorf("got %+v, limited by the generator: %v", c.Accounting, c.GeneratorLimited)
			}
		})
	}
}
