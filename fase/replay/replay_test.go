package replay_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/replay"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// farm is a service that a crowd overloads; clients and adapt take the place of its own.
func farm(clients, adapt string) string {
	return `eve: 1
duration: 20s
warmup: 2s
seed: 3
requests: |
  request page { call app { cpu exp(10ms)  reply 1KiB } }
servers:
  one: {cpus: 1}
  two: {state: standby}
services:
  app: {on: one}
clients:
  crowd: {` + clients + `}
` + adapt + `slo: p95(crowd.latency) < 300ms
`
}

const (
	rising = "request: page, rate: {0s: 40/s, 8s: 40/s, 8001ms: 150/s}, patience: 5s"
	grows  = "adapt:\n  - {name: grow, when: one.cpu.utilisation > 0.85, for: 1s, do: replicate app to two}\n"
)

func load(t *testing.T, text string, o scenario.Options) *scenario.Plan {
	t.Helper()
	p, err := scenario.Load("farm.yaml", []byte(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// record simulates a scenario and takes that for a recording. until, where above 0, cuts it off at that second.
func record(t *testing.T, plan *scenario.Plan, until int) *replay.Recording {
	t.Helper()
	r, err := campaign.Simulate(t.Context(), plan, campaign.Options{Hooks: campaign.Hooks{
		Live: func(at dsv.Instant) bool { return until == 0 || at < dsv.Instant(until)*1e9 },
	}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := judge.Run(t.Context(), plan, r.History, r.Summary, judge.Options{Budget: -1})
	if err != nil {
		t.Fatal(err)
	}
	r.Summary.Adaptation = a
	return &replay.Recording{Plan: plan, Summary: r.Summary, History: r.History}
}

func played(t *testing.T, r *replay.Recording, plan *scenario.Plan, o replay.Options) *replay.Replay {
	t.Helper()
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	x, err := r.Replay(t.Context(), plan, o)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// arrivals are when the requests of crowd were due, by key.
func arrivals(t *testing.T, h runs.History) map[rdr.Key]dsv.Instant {
	t.Helper()
	due := map[rdr.Key]dsv.Instant{}
	if err := runs.Requests(h, "crowd", func(r user.Record) error {
		due[r.Key] = r.Due
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return due
}

func same(t *testing.T, got, want map[rdr.Key]dsv.Instant) (n int) {
	t.Helper()
	for k, at := range want {
		if got[k] == at {
			n++
		}
	}
	return n
}

// What was simulated comes out as it was, whoever was adapting; and without adaptation it is worse.
func TestReplayIsExact(t *testing.T) {
	for name, clients := range map[string]string{
		"open": rising, "closed": "request: page, users: 40, think: exp(300ms), start: 1s", "constant": "request: page, rate: 90/s, arrive: constant",
	} {
		if testing.Short() && name != "open" {
			continue // long under the race detector
		}
		text := farm(clients, grows)
		r := record(t, load(t, text, scenario.Options{}), 0)
		own := played(t, r, load(t, text, scenario.Options{}), replay.Options{})
		f := replay.Judge(r.Summary, own.Summary, 0)
		if !f.Believed || f.Worst != 0 || !f.Decisions.Same || f.Decisions.Recorded == 0 {
			t.Errorf("%s: fidelity: got %+v, want an exact replay with decisions", name, f)
		}
		none := played(t, r, load(t, text, scenario.Options{Graft: &scenario.Graft{}}), replay.Options{})
		a, err := r.Answer("dir", "nobody", own, none, 0)
		if err != nil {
			t.Fatal(err)
		}
		verdicts := map[string]string{}
		for _, x := range a.Rows {
			verdicts[x.Name] = x.Verdict
			if x.Recorded != x.Replayed {
				t.Errorf("%s: %s: got %v replayed, want %v", name, x.Name, x.Replayed, x.Recorded)
			}
		}
		if got := verdicts["crowd p95"]; got != replay.Worse {
			t.Errorf("%s: p95 without adaptation: got %q, want %q", name, got, replay.Worse)
		}
		if got := verdicts["server-seconds"]; got != replay.Better {
			t.Errorf("%s: server-seconds without adaptation: got %q, want %q", name, got, replay.Better)
		}
		if len(a.Taken.Recorded) == 0 || len(a.Taken.Other) != 0 {
			t.Errorf("%s: decisions: got %v, %v", name, a.Taken.Recorded, a.Taken.Other)
		}
	}
}

// A rate that rules set is replayed as it was when others decide, from all records and from a few.
func TestArrivalsOfARateThatWasSet(t *testing.T) {
	const clients = "request: page, rate: 40/s"
	rules := `adapt:
  - {name: rush, when: p95(crowd.latency) > 1ms, for: 5s, do: set crowd.rate 80/s}
`
	for _, x := range []struct {
		records string
		exact   bool
	}{{"", true}, {"records: 20/s\n", false}} {
		text := farm(clients, rules) + x.records
		r := record(t, load(t, text, scenario.Options{}), 0)
		none := played(t, r, load(t, text, scenario.Options{Graft: &scenario.Graft{}}), replay.Options{})
		g := none.Work.Groups[0]
		got, want := none.Summary.Clients["crowd"].Accounting.Issued, r.Summary.Clients["crowd"].Accounting.Issued
		if g.How != replay.AsRecorded || got < want-5 || got > want {
			t.Errorf("records %q: got %+v with %d requests, want %s with %d", x.records, g, got, replay.AsRecorded, want)
		}
		if want < 1200 {
			t.Errorf("records %q: %d requests: the rate was not set", x.records, want)
		}
		recorded := arrivals(t, r.History)
		if n := same(t, arrivals(t, none.History), recorded); x.exact && n != len(recorded) || !x.exact && n < len(recorded)*9/10 {
			t.Errorf("records %q: got %d of %d recorded requests at their instants", x.records, n, len(recorded))
		}
		if inFlight := r.Summary.Clients["crowd"].Accounting.InFlight; x.exact != (g.Estimated <= int(inFlight)) {
			t.Errorf("records %q: got %d estimated instants", x.records, g.Estimated)
		}
		own := played(t, r, load(t, text, scenario.Options{}), replay.Options{})
		if got := own.Work.Groups[0].How; got != replay.AsDecided {
			t.Errorf("records %q: with its own rules: got %q, want %q", x.records, got, replay.AsDecided)
		}
	}
}

// Clients whose rate follows an expression ask what they asked, or, live, what they would.
func TestClientsThatReact(t *testing.T) {
	const clients = "request: page, rate: {expr: 200/s / (1 + crowd.in_flight / 10), init: 60/s, least: 10/s, most: 150/s}"
	text := farm(clients, grows)
	r := record(t, load(t, text, scenario.Options{}), 0)
	none := load(t, text, scenario.Options{Graft: &scenario.Graft{}})
	did, would := played(t, r, none, replay.Options{}), played(t, r, none, replay.Options{Live: true})
	recorded, now := arrivals(t, r.History), arrivals(t, did.History)
	for k, at := range recorded {
		if got, ok := now[k]; ok && got != at { // some do not end without adaptation
			t.Fatalf("as recorded: a request is due at %v, want %v", got, at)
		}
	}
	if len(now) < len(recorded)/2 {
		t.Errorf("as recorded: got %d requests of %d", len(now), len(recorded))
	}
	got, want := would.Summary.Clients["crowd"].Accounting.Issued, r.Summary.Clients["crowd"].Accounting.Issued
	if got >= want*9/10 {
		t.Errorf("live: got %d requests, want fewer than %d: one server makes them wait", got, want)
	}
}

// A recording that ended early is replayed as far as it goes.
func TestReplayOfAnInterruptedRun(t *testing.T) {
	text := farm(rising, grows)
	r := record(t, load(t, text, scenario.Options{}), 13)
	if !r.Summary.Interrupted || r.End() > r.Plan.Duration/2+4e9 {
		t.Fatalf("recording: got %+v until %v", r.Summary.Window, r.End())
	}
	own := played(t, r, load(t, text, scenario.Options{Duration: r.End()}), replay.Options{})
	f := replay.Judge(r.Summary, own.Summary, 0)
	if !f.Believed || own.Summary.Interrupted || float64(f.Worst) > 0.02 {
		t.Errorf("got %+v, want it as it was", f)
	}
	if r := record(t, load(t, text, scenario.Options{}), 2); !errors.Is(r.Check(), replay.ErrUnfit) {
		t.Errorf("cut off at its warm-up: got %v, want %v", r.Check(), replay.ErrUnfit)
	}
}

func TestWhatCannotBeReplayed(t *testing.T) {
	text := farm(rising, grows)
	r := record(t, load(t, text, scenario.Options{}), 0)
	for name, other := range map[string]string{
		"seed is":             strings.Replace(text, "seed: 3", "seed: 4", 1),
		"was elsewhere":       strings.NewReplacer("app: {on: one}", "app: {on: two}", "two: {state: standby}", "two: {}").Replace(text),
		"clients are others":  strings.ReplaceAll(text, "crowd", "mob"),
		"services, are other": strings.ReplaceAll(text, "two", "three"),
	} {
		_, err := r.Replay(t.Context(), load(t, other, scenario.Options{}), replay.Options{})
		if !errors.Is(err, replay.ErrUnfit) || !strings.Contains(fmt.Sprint(err), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	const real = "eve: 1\nduration: 5s\nrequests: |\n  request page { http site GET \"/\" }\ntargets:\n  site: {url: \"http://127.0.0.1:1\"}\nclients:\n  crowd: {request: page, rate: 1/s}\n"
	bad := replay.Recording{Plan: load(t, real, scenario.Options{}), Summary: r.Summary, History: r.History}
	if err := bad.Check(); !errors.Is(err, replay.ErrUnfit) || !strings.Contains(err.Error(), "target site") {
		t.Errorf("a target: got %v", err)
	}
}

// A simulation that misses what was recorded is not believed, and says by which figures.
func TestJudgeRefuses(t *testing.T) {
	text := farm(rising, grows)
	r := record(t, load(t, text, scenario.Options{}), 0)
	slower := record(t, load(t, strings.Replace(text, "exp(10ms)", "exp(12ms)", 1), scenario.Options{}), 0)
	for _, x := range []struct {
		bound    float64
		believed bool
	}{{0, false}, {0.15, false}, {1e3, true}} {
		f := replay.Judge(r.Summary, slower.Summary, x.bound)
		if f.Believed != x.believed || f.Believed == (len(f.Reasons()) > 0) {
			t.Errorf("bound %v: got %+v, want believed %v", x.bound, f, x.believed)
		}
	}
	fewer := *r.Summary
	fewer.Decisions = nil
	if d := replay.Judge(r.Summary, &fewer, 0).Decisions; d.Same || !strings.Contains(d.First, "replicate app to two") || !strings.Contains(d.First, "nothing further") {
		t.Errorf("decisions: got %+v", d)
	}
}
