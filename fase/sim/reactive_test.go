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
	"github.com/eve-emulation/eve/fase/stat"
)

// values are what was written to a variable that keeps its last value, and when.
func (s *simulation) values(t testing.TB, n dsv.Name) (at []dsv.Instant, xs []float64) {
	t.Helper()
	err := s.history.History(n, -1, dsv.Never, func(u dsv.Update) error {
		x, _ := u.Reading.Value.Number()
		at, xs = append(at, u.Reading.T1), append(xs, x)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return at, xs
}

// TestBackPressure has the rule halve the rate, and looks at the arrivals before and after: each comes when the integral of
// the rate reaches what the plan says, and the gaps are exponential with the mean of their rate.
func TestBackPressure(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		s := simulate(t, shipped(t, "back-pressure", scenario.Options{Seed: &seed}))
		at, rates := s.values(t, "crowd.rate")
		if fmt.Sprint(rates) != "[110 55]" || at[0] != 0 {
			t.Fatalf("seed %d: rates %v at %v, want 110 from the start and 55 later", seed, rates, at)
		}
		change := at[1].Add(adapt.Notice)
		plan := s.plan.Clients[0]
		plan.End = dsv.At(10 * time.Minute)
		due := s.requests(t, "crowd")
		n := 0
		var gaps [2][]float64
		for key, planned := range plan.Arrivals() {
			if n == len(due) {
				break
			}
			got := 110 * min(due[n].Due, change).Sub(0).Seconds()
			if due[n].Due > change {
				got += 55 * due[n].Due.Sub(change).Seconds()
			}
			if want := 110 * planned.Sub(0).Seconds(); due[n].Key != key || math.Abs(got-want) > 1e-6 {
				t.Fatalf("seed %d: arrival %d: key %x at an integral of %v, want %x at %v", seed, n, due[n].Key, got, key, want)
			}
			switch {
			case n > 0 && due[n].Due < change:
				gaps[0] = append(gaps[0], 110*due[n].Due.Sub(due[n-1].Due).Seconds())
			case n > 0 && due[n-1].Due >= change:
				gaps[1] = append(gaps[1], 55*due[n].Due.Sub(due[n-1].Due).Seconds())
			}
			n++
		}
		for i, g := range gaps {
			if a, err := stat.ExponentialMean(g, 1); err != nil || a.Rejects(0.001) || len(g) < 100 {
				t.Errorf("seed %d: %d gaps, part %d: p = %v, %v", seed, len(g), i, a.P(), err)
			}
		}
		sum := s.summary()
		for _, e := range sum.Expect {
			if e.Verdict != "pass" {
				t.Errorf("seed %d: %s: %s", seed, e.Text, e.Verdict)
			}
		}
		if c := sum.Clients["crowd"]; c.ArrivalsOffPlan != 0 || !c.Accounting.Balanced || len(sum.Decisions) < 1 {
			t.Errorf("seed %d: %d off the plan, accounting %+v, %d decisions", seed, c.ArrivalsOffPlan, c.Accounting, len(sum.Decisions))
		}
	}
}

const reactive = `eve: 1
name: reactive
duration: 20s
seed: 3
records: 100000/s
requests: |
  request page { call web { cpu exp(10ms)  reply 2KiB } }
  request buy { call web { cpu exp(20ms)  reply 2KiB } }
servers:
  server_1: {cpus: 1, run: hold}
services:
  web: {on: [server_1]}
clients:
  crowd:
    mix: {page: 9, buy: {expr: "p95(crowd.latency, 2s) > 300ms ? 0 : 1", init: 1}}
    users: {expr: "400 / (1 + 5/s * p95(crowd.latency, 2s))", init: 400, least: 20}
    think: {expr: 1s + 4 * mean(crowd.latency), init: exp(1s)}
    patience: {expr: "crowd.in_flight > 20 ? 500ms : 2s", init: 2s}
    retry: {attempts: 2, backoff: 50ms, budget: 20%}
  stream: {request: page, rate: {expr: 20/s - 0.1 * rate(crowd.requests), init: 20/s, least: 5/s}}
`

// TestPopulationReacts has everything of a population follow expressions.
func TestPopulationReacts(t *testing.T) {
	s := simulate(t, load(t, "reactive", []byte(reactive), scenario.Options{}))
	for _, v := range []struct {
		name        dsv.Name
		first       float64
		least, most float64
	}{
		{"crowd.users", 400, 20, 400},
		{"crowd.think", 1, 1, 9},
		{"crowd.patience", 2, 0.5, 2},
		{"crowd.weight.buy", 1, 0, 1},
		{"stream.rate", 20, 5, 20},
	} {
		at, xs := s.values(t, v.name)
		if len(xs) < 3 || xs[0] != v.first || at[0] != 0 || slices.Min(xs) < v.least || slices.Max(xs) > v.most {
			t.Errorf("%s: %v: want more than two values, first %v, from %v to %v", v.name, xs, v.first, v.least, v.most)
		}
		for i := 1; i < len(at); i++ {
			if at[i]%dsv.At(adapt.Period) != 0 || at[i] <= at[i-1] || xs[i] == xs[i-1] {
				t.Errorf("%s: %v at %v after %v at %v: want another value at a multiple of %v", v.name, xs[i], at[i], xs[i-1], at[i-1], adapt.Period)
			}
		}
	}
	for name, c := range s.summary().Clients {
		if a := c.Accounting; !a.Balanced || a.Issued < 200 {
			t.Errorf("%s: accounting %+v", name, a)
		}
	}
	if c := s.summary().Clients["crowd"]; c.Errors["abandoned"] == 0 {
		t.Errorf("nobody lost patience: %v", c.Errors)
	}
}

// TestPartsInVirtualTime runs a group that is shared among processes: the whole group, request by request.
func TestPartsInVirtualTime(t *testing.T) {
	var want string
	for _, set := range []string{"clients.crowd.processes=1", "clients.crowd.processes=3"} {
		b, err := json.Marshal(simulate(t, load(t, "reactive", []byte(reactive), scenario.Options{Set: []string{set}})).requests(t, "crowd"))
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = string(b)
		}
		if string(b) != want || strings.Count(want, "Key") < 300 {
			t.Errorf("%s: %d requests, want the %d of one process", set, strings.Count(string(b), "Key"), strings.Count(want, "Key"))
		}
	}
}

const stormy = `eve: 1
name: stormy
duration: 60s
seed: 1
requests: |
  request page { call web { cpu 10ms } }
servers:
  server_1: {cpus: 1, run: hold, admit: {limit: 1, queue: 5}}
services:
  web: {on: [server_1]}
clients:
  crowd: {request: page, rate: 150/s, patience: 20s, retry: {attempts: 5, backoff: 20ms}}
`

// TestRetriesMultiplyAnOverload sends 1.5 times what a server can do, which refuses the rest: with five further attempts
// each it is asked three times as often as users come, with a budget of a tenth hardly more often.
func TestRetriesMultiplyAnOverload(t *testing.T) {
	for _, tt := range []struct {
		set       []string
		low, high float64 // calls per request
	}{
		{[]string{"clients.crowd.retry.attempts=5"}, 2.5, 5},
		{[]string{"clients.crowd.retry.budget=10%"}, 1.09, 1.1},
	} {
		s := simulate(t, load(t, "stormy", []byte(stormy), scenario.Options{Set: tt.set}))
		sum := s.summary()
		a := sum.Clients["crowd"].Accounting
		retries := 0.0
		if err := s.history.History("crowd.retries", -1, dsv.Never, func(u dsv.Update) error {
			x, _ := u.Delta.Value.Number()
			retries += x
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		calls := float64(a.Issued) + retries
		if got := calls / float64(a.Issued); got < tt.low || got > tt.high || !a.Balanced {
			t.Errorf("%v: %v calls by request, want %v to %v; accounting %+v", tt.set, got, tt.low, tt.high, a)
		}
	}
}
