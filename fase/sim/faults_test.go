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
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
)

// regular is a scenario with a request each 10 ms, which asks for 4 ms of a processor; more are its further lines.
func regular(duration, request, server string, more ...string) []byte {
	return fmt.Appendf(nil, `eve: 1
name: regular
duration: %s
requests: |
  request page { call app { %s } }
servers:
  server_1: {%s}
  server_2: {}
services:
  app: {on: [server_1]}
clients:
  crowd: {request: page, arrive: constant, rate: 100/s}
%s
`, duration, request, server, strings.Join(more, "\n"))
}

// causes counts the records of a group by what became of the requests.
func (s *simulation) causes(t *testing.T) map[service.Cause]int {
	t.Helper()
	n := map[service.Cause]int{}
	for _, r := range s.requests(t, "crowd") {
		n[r.Cause]++
	}
	return n
}

// at is the record of the request that was due at an instant.
func (s *simulation) at(t *testing.T, due time.Duration) (took time.Duration, cause service.Cause) {
	t.Helper()
	for _, r := range s.requests(t, "crowd") {
		if r.Due == dsv.At(due) {
			return r.Done.Sub(r.Due), r.Cause
		}
	}
	t.Fatalf("no request was due at %v", due)
	return 0, 0
}

// TestCrash: who is there loses its connection, who comes is refused until the server has been repaired and has booted; then it
// serves again, with nobody waiting.
func TestCrash(t *testing.T) {
	for _, discipline := range []string{"fcfs", "ps", "sjf", "priority"} {
		s := simulate(t, load(t, "crash.yaml", regular("5s", "cpu 4ms reply 1KiB", "boot: 500ms, discipline: "+discipline,
			"faults:\n  - {name: outage, crash: server_1, at: 2002ms, for: 1s}"), scenario.Options{}))
		want := map[service.Cause]int{service.OK: 499 - 151, service.Reset: 1, service.Refused: 150}
		if got := s.causes(t); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: requests by cause: got %v, want %v", discipline, got, want)
		}
		if took, cause := s.at(t, 2*time.Second); took != 2*time.Millisecond || cause != service.Reset {
			t.Errorf("%s: request under way: got %v after %v, want a reset after 2ms", discipline, cause, took)
		}
		if took, cause := s.at(t, 3510*time.Millisecond); took != 4*time.Millisecond || cause != service.OK {
			t.Errorf("%s: first request after the boot: got %v after %v, want it answered after 4ms", discipline, cause, took)
		}
		if got := s.area(t, service.UpName("server_1")); math.Abs(got-3.5) > 1e-9 {
			t.Errorf("%s: time that the server was up: got %v s, want 3.5", discipline, got)
		}
		if got := s.area(t, "server_1.cpu.utilisation"); math.Abs(got-(348*0.004+0.002)) > 1e-9 {
			t.Errorf("%s: busy time: got %v s, want %v", discipline, got, 348*0.004+0.002)
		}
	}
}

// TestCrashEmptiesCache: what a server has in its cache is lost with it.
func TestCrashEmptiesCache(t *testing.T) {
	src := regular("5s", "file web reply file", "cache: 1GiB",
		"files:\n  web: {directories: 2}\nfaults:\n  - {crash: server_1, at: 4s, for: 1ms}")
	crashed := simulate(t, load(t, "cache.yaml", src, scenario.Options{}))
	spared := simulate(t, load(t, "cache.yaml", src, scenario.Options{Set: []string{"faults.0.at=4.999s"}}))
	if a, b := crashed.count(t, "server_1.cache.misses"), spared.count(t, "server_1.cache.misses"); a <= b {
		t.Errorf("misses with a crash: got %v, want more than the %v without", a, b)
	}
}

// TestSlow: work that was done counts, and what is left takes longer, until it is as fast as before.
func TestSlow(t *testing.T) {
	for _, tt := range []struct{ resource, server, request string }{
		{"cpu", "discipline: fcfs", "cpu 100ms"},
		{"cpu", "discipline: ps", "cpu 100ms"},
		{"cpu", "discipline: priority", "cpu 100ms"},
		{"cpu", "discipline: priority, preempt: true", "cpu 100ms"},
		{"cpu", "discipline: sjf, preempt: true", "cpu 100ms"},
		{"cpu", "speed: 2, cpus: 2", "cpu 200ms"},
		{"disk", "disk: {rate: 10MB/s}", "disk read 1MB"},
		{"link", "link: {rate: 80Mbit}", "reply 1MB"},
	} {
		// By 1.05 s half is done; in the 40 ms at half the speed a fifth, and the rest takes 30 ms.
		s := simulate(t, load(t, "slow.yaml", regular("3s", tt.request, tt.server, fmt.Sprintf(
			"faults:\n  - {slow: server_1.%s, factor: 2, at: 1050ms, for: 40ms}", tt.resource)), scenario.Options{Set: []string{"clients.crowd.rate=1/s"}}))
		took, cause := s.at(t, time.Second)
		if d := took - 120*time.Millisecond; cause != service.OK || d < -2 || d > 2 {
			t.Errorf("%s, %s: got %v after %v, want it answered after 120ms", tt.resource, tt.server, cause, took)
		}
		if took, _ := s.at(t, 2*time.Second); took < 100*time.Millisecond-2 || took > 100*time.Millisecond+2 {
			t.Errorf("%s, %s: after the repair: got %v, want 100ms", tt.resource, tt.server, took)
		}
		asked, met := s.count(t, dsv.Name("server_1."+tt.resource+".requested")), s.count(t, dsv.Name("server_1."+tt.resource+".delivered"))
		if math.Abs(asked-met) > 1e-6 {
			t.Errorf("%s, %s: delivered: got %v s, want the %v s that were asked for", tt.resource, tt.server, met, asked)
		}
	}
}

// TestPartition: what meets a partition passes with the first packet that is sent again after it has healed: 200, 400, 800 ms and so
// on after the one before.
func TestPartition(t *testing.T) {
	split := func(sides string) string { return "faults:\n  - {partition: " + sides + ", at: 2002ms, for: 1s}" }
	for _, tt := range []struct {
		sides           string
		answer, request time.Duration // the answer is under way at 2.002 s; the request is due at 2.01 s
	}{
		{"[[crowd], [server_1]]", 4*time.Millisecond + 1400*time.Millisecond, 1400*time.Millisecond + 4*time.Millisecond},
		{"[[server_1]]", 4*time.Millisecond + 1400*time.Millisecond, 1400*time.Millisecond + 4*time.Millisecond},
		{"[[crowd], [server_2, control]]", 4 * time.Millisecond, 4 * time.Millisecond},
		{"[[crowd, server_1], [server_2]]", 4 * time.Millisecond, 4 * time.Millisecond},
	} {
		s := simulate(t, load(t, "split.yaml", regular("5s", "cpu 4ms reply 1KiB", "cpus: 64", split(tt.sides)), scenario.Options{}))
		if got, _ := s.at(t, 2*time.Second); got != tt.answer {
			t.Errorf("%s: answer that was under way: got it after %v, want %v", tt.sides, got, tt.answer)
		}
		if got, _ := s.at(t, 2010*time.Millisecond); got != tt.request {
			t.Errorf("%s: request that met it: got its answer after %v, want %v", tt.sides, got, tt.request)
		}
		if got := s.causes(t)[service.OK]; got != 499 {
			t.Errorf("%s: answered requests: got %d, want 499", tt.sides, got)
		}
	}
	s := simulate(t, load(t, "split.yaml", regular("5s", "cpu 4ms", "cpus: 64", split("[[crowd], [server_1]]")),
		scenario.Options{Set: []string{"clients.crowd.connect_timeout=500ms"}}))
	if took, cause := s.at(t, 2010*time.Millisecond); took != 500*time.Millisecond || cause != service.ConnectTimeout {
		t.Errorf("request with a connect timeout: got %v after %v, want connect_timeout after 500ms", cause, took)
	}
}

// TestPartitionFromControl: who is cut off from the kernel keeps to the mapping and the settings that it knows.
func TestPartitionFromControl(t *testing.T) {
	src := regular("6s", "cpu 4ms", "", `faults:
  - {partition: [[crowd], [control]], at: 1s, for: 3s}
adapt:
  - {name: flee, when: server_1.cpu.utilisation > 0.1, for: 1500ms, do: ["set crowd.rate 50/s"]}`)
	s := simulate(t, load(t, "control.yaml", src, scenario.Options{}))
	n := 0
	for _, r := range s.requests(t, "crowd") {
		if r.Due > dsv.At(3*time.Second) && r.Due <= dsv.At(4*time.Second) {
			n++
		}
	}
	if n != 100 {
		t.Errorf("requests in the second before it heals: got %d, want 100, though a rule has set the rate to 50/s", n)
	}
	rs := s.requests(t, "crowd")
	if gap := rs[len(rs)-1].Due - rs[len(rs)-2].Due; gap < dsv.At(19*time.Millisecond) {
		t.Errorf("gap between the last requests: got %v, want 20ms", time.Duration(gap))
	}
}

// TestFaultLaws: a law is a schedule that follows from the seed, and the up-time is what the schedule leaves.
func TestFaultLaws(t *testing.T) {
	src := regular("2000s", "cpu 4ms", "", "faults:\n  - {name: flaky, crash: [server_1, server_2], every: exp(20s), for: exp(5s)}")
	o := scenario.Options{Set: []string{"clients.crowd.rate=1/s"}}
	p := load(t, "law.yaml", src, o)
	s := simulate(t, p)
	for i, name := range []string{"server_1", "server_2"} {
		up, n := 2000.0, 0
		for _, f := range service.FaultsOf(p.Faults, i) {
			up -= (min(f.Until, dsv.At(p.Duration)) - f.At).Seconds()
			n++
		}
		if got := s.area(t, service.UpName(name)); math.Abs(got-up) > 1e-6 {
			t.Errorf("%s: up for %v s, want the %v s that its schedule leaves", name, got, up)
		}
		if n < 50 || n > 110 || math.Abs(up/2000-0.8) > 0.08 {
			t.Errorf("%s: got %d faults and %.3f up, want about 80 and 0.8", name, n, up/2000)
		}
	}
	again := load(t, "law.yaml", src, o)
	if fmt.Sprint(again.Faults) != fmt.Sprint(p.Faults) {
		t.Error("the same seed gave other faults")
	}
	seed := uint64(2)
	o.Seed = &seed
	if other := load(t, "law.yaml", src, o); fmt.Sprint(other.Faults) == fmt.Sprint(p.Faults) {
		t.Error("another seed gave the same faults")
	}
}

// TestFaultMarks: run.faults tells of each fault when it begins and when it ends.
func TestFaultMarks(t *testing.T) {
	s := simulate(t, load(t, "marks.yaml", regular("5s", "cpu 4ms", "", `faults:
  - {name: outage, crash: server_1, at: 2s, for: 1s}
  - {partition: [[crowd], [server_2, control]], at: 1s}`), scenario.Options{}))
	var got []string
	if err := s.history.History(scenario.FaultsName, -1, dsv.Never, func(u dsv.Update) error {
		var m scenario.FaultMark
		if err := json.Unmarshal(u.Reading.Value.Bytes, &m); err != nil {
			return err
		}
		got = append(got, fmt.Sprintf("%v %s: %s %s", time.Duration(m.At), m.Name, m.What, m.Phase))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"1s partition crowd | server_2, control: partition crowd | server_2, control begins",
		"2s outage: crash server_1 begins", "3s outage: crash server_1 ends",
	}
	if !slices.Equal(got, want) {
		t.Errorf("marks: got %q, want %q", got, want)
	}
}

// TestStandbyBoots: a server on standby is off until an action names it, and ready once it has booted.
func TestStandbyBoots(t *testing.T) {
	src := strings.Replace(string(regular("10s", "cpu 4ms", "", `adapt:
  - {name: grow, when: server_1.cpu.utilisation > 0.1, for: 500ms, do: replicate app to server_2}`)),
		"server_2: {}", "server_2: {state: standby, boot: 3s}", 1)
	s := simulate(t, load(t, "boot.yaml", []byte(src), scenario.Options{}))
	var decided, switched dsv.Instant
	for _, d := range s.summary().Decisions {
		switch d.Phase {
		case "decided":
			decided = dsv.Instant(d.Time * 1e9)
		case "switched":
			switched = dsv.Instant(d.Time * 1e9)
		}
	}
	if took := switched.Sub(decided); took < 3*time.Second || took > 3200*time.Millisecond {
		t.Errorf("from the decision to the switch: got %v, want the boot time of 3s and little more", took)
	}
	want := (dsv.At(10*time.Second) - switched).Seconds()
	if got := s.area(t, service.UpName("server_2")); math.Abs(got-want) > 0.2 {
		t.Errorf("server_2 up: got %v s, want about %v, since the switch", got, want)
	}
}
