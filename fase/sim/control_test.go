package sim_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
)

// decided lists what was decided, "20s scale a to 3", and fails the test for what failed.
func (s *simulation) decided(t testing.TB) (list []string) {
	t.Helper()
	err := s.history.History(adapt.DecisionsName, -1, dsv.Never, func(u dsv.Update) error {
		b := u.Reading.Value.Bytes
		if len(b) == 0 && u.Delta != nil {
			b = u.Delta.Value.Bytes
		}
		var d adapt.Decision
		if err := json.Unmarshal(b, &d); err != nil {
			return err
		}
		switch d.Phase {
		case "decided":
			list = append(list, fmt.Sprintf("%v %s", time.Duration(d.At), d.Action))
		case "failed":
			t.Errorf("%v %s failed: %s", time.Duration(d.At), d.Action, d.Cause)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

const slept = `eve: 1
name: slept
duration: 240s
requests: |
  request p { call a { cpu exp(20ms) } }
servers: {web: {count: 4, run: hold}}
services: {a: {on: web, replicas: {start: 1, least: 0, most: 4}, size: 1MiB}}
clients: {crowd: {request: p, arrive: constant, rate: {0s: 20/s, 60s: 20/s, 61s: 0/s, 180s: 0/s, 181s: 20/s}, patience: 40s}}
control:
  - {name: sleep, kind: keda, scale: a, every: 10s, metric: crowd.in_flight, target: 10, per: true, activation: 0.05, cooldown: 30s, down: {window: 20s}}
`

// TestScaleToNothing has a service sleep while nobody asks, and wake: who comes first waits for it.
func TestScaleToNothing(t *testing.T) {
	s := simulate(t, load(t, "slept", []byte(slept), scenario.Options{}))
	got := s.decided(t)
	if len(got) < 2 || got[0] != "1m30s scale a to 0" || got[1] != "3m10s scale a to 1" && got[1] != "3m20s scale a to 1" {
		t.Errorf("got %v, want it to sleep 30 s after the last was seen, and to wake within 10 s of the first", got)
	}
	if sum := s.summary().Clients["crowd"]; sum.Errors["all"] > 0 || !sum.Accounting.Balanced {
		t.Errorf("got %v, want no error", sum.Errors)
	}
}

const crowded = `eve: 1
name: crowded
duration: 60s
requests: |
  request p { call a { cpu 8ms } call b { cpu 6ms } call c { cpu 4ms } }
servers: {one: {run: hold}, two: {run: hold}, three: {run: hold}}
services: {a: {on: one, size: 1MiB}, b: {on: one}, c: {on: one}}
clients: {crowd: {request: p, rate: 50/s, patience: 5s}}
control:
  - {name: spread, kind: remap, every: 10s, demands: {a: "rate(a.requests, 5s) * 8ms", b: "rate(b.requests, 5s) * 6ms", c: "rate(c.requests, 5s) * 4ms"}}
`

// TestRemapSpreads gives each of three services a server of its own, once, and loses nothing.
func TestRemapSpreads(t *testing.T) {
	s := simulate(t, load(t, "crowded", []byte(crowded), scenario.Options{}))
	got := s.decided(t)
	if len(got) != 2 || !strings.Contains(got[0], "move a to") || !strings.Contains(got[1], "move b to") {
		t.Errorf("got %v, want a and b to be moved, to a server each", got)
	}
	if sum := s.summary().Clients["crowd"]; sum.Errors["all"] > 0 || !sum.Accounting.Balanced {
		t.Errorf("got %v, want no error", sum.Errors)
	}
}

const limited = `eve: 1
name: limited
duration: 40s
requests: |
  request p { call a { cpu exp(10ms) } }
servers: {web: {run: hold, cpus: 4, admit: {limit: 50, queue: 1}}}
services: {a: {on: web}}
clients: {crowd: {request: p, rate: 600/s, patience: 5s}}
control:
  - {name: limit, kind: KIND, set: web.admit.limit, metric: "p50(a.residence, 100ms)", every: 100ms, least: 1, most: 200, MORE}
`

// TestConcurrencyLimits: at 1.5 times what four processors can do, a limit that 50 begin with comes down to a few more than four
// by the least response time, and the processors stay busy.
func TestConcurrencyLimits(t *testing.T) {
	for _, tt := range []struct {
		kind, more  string
		least, most float64 // of the mean of the second half
	}{
		{"envoy", "measure: 10s", 4, 20},
		{"vegas", "in_flight: web.in_flight", 4, 20},
		{"aimd", "target: 25ms, in_flight: web.in_flight", 4, 20},
		{"gradient2", "in_flight: web.in_flight", 20, 200}, // whose long mean comes to take the overload for normal
	} {
		t.Run(tt.kind, func(t *testing.T) {
			text := strings.NewReplacer("KIND", tt.kind, "MORE", tt.more).Replace(limited)
			s := simulate(t, load(t, "limited", []byte(text), scenario.Options{}))
			at, xs := s.values(t, "web.admit.limit")
			if xs[0] != 50 || at[0] != 0 {
				t.Fatalf("got %v at %v first, want the 50 that it begins with", xs[0], at[0])
			}
			var area float64
			for i := range at {
				until := dsv.At(40 * time.Second)
				if i+1 < len(at) {
					until = at[i+1]
				}
				if from := max(at[i], dsv.At(20*time.Second)); until > from {
					area += xs[i] * until.Sub(from).Seconds()
				}
			}
			if mean := area / 20; mean < tt.least || mean > tt.most {
				t.Errorf("got a limit of %.1f in the mean, want from %v to %v", mean, tt.least, tt.most)
			}
			if u := s.summary().Servers["web"]["cpu"].Utilisation; u < 0.9 {
				t.Errorf("got a utilisation of %.2f, want the processors busy", u)
			}
			if dips := slices.Contains(xs, 3); tt.kind == "envoy" && !dips {
				t.Error("envoy: the limit was never pinned to 3")
			}
		})
	}
}

// TestThrottleSheds: three times what a server can do; with K = 2, half of what comes to it is what it accepts.
func TestThrottleSheds(t *testing.T) {
	text := strings.NewReplacer("cpus: 4, admit: {limit: 50, queue: 1}", "admit: {limit: 1, queue: 20}", "600/s", "300/s",
		"web.admit.limit", "web.admit.shed", "KIND", "throttle", `"p50(a.residence, 100ms)", every: 100ms, least: 1, most: 200, MORE`,
		`"rate(a.requests, 1s)", accepts: "rate(a.requests, 1s) - rate(a.errors, 1s)"`).Replace(limited)
	s := simulate(t, load(t, "shed", []byte(text), scenario.Options{}))
	_, xs := s.values(t, "web.admit.shed")
	// In the steady state 300 (1 - share) come to the gate, of which 100 are accepted: the share is (300 - 200)/301.
	mean := 0.0
	for _, x := range xs[len(xs)/2:] {
		mean += x / float64(len(xs)-len(xs)/2)
	}
	if want := 100.0 / 301; math.Abs(mean-want) > 0.05 {
		t.Errorf("got a share of %.3f, want %.3f", mean, want)
	}
}

// TestControlIsDeterministic: the same seed gives the same decisions, noise and delay included.
func TestControlIsDeterministic(t *testing.T) {
	run := func(seed uint64) []string {
		set := []string{"control.0.noise=0.3", "control.0.delay=1700ms", "control.0.target=0.5", "clients.crowd.rate=60/s"}
		return simulate(t, load(t, "slept", []byte(slept), scenario.Options{Set: set, Seed: &seed})).decided(t)
	}
	a := run(1)
	if len(a) < 4 || !slices.Equal(a, run(1)) {
		t.Errorf("got %v and then %v, want the same again", a, run(1))
	}
	if slices.Equal(a, run(2)) {
		t.Errorf("another seed decided the same: %v", a)
	}
}
