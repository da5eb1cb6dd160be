package sim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
)

// three is regular with app on two of three servers, in turn, and further lines.
func three(third string, more ...string) []byte {
	src := strings.Replace(string(regular("12s", "cpu 4ms reply 1KiB", "", more...)), "server_2: {}", "server_2: {}\n  server_3: {"+third+"}", 1)
	return []byte(strings.Replace(src, "on: [server_1]", "on: [server_1, server_2], size: 1MB, balance: round-robin", 1))
}

// TestReplicateBesideTheDead: where the first replica is down, another one sends the copy.
func TestReplicateBesideTheDead(t *testing.T) {
	s := simulate(t, load(t, "copy.yaml", three("", `faults:
  - {crash: server_1, at: 2s}
adapt:
  - {name: grow, when: server_1.up < 0.5, for: 500ms, do: replicate app to server_3}`), scenario.Options{}))
	var phases []string
	for _, d := range s.summary().Decisions {
		phases = append(phases, d.Phase)
	}
	if want := []string{"decided", "copied", "switched", "done"}; !slices.Equal(phases, want) {
		t.Errorf("phases: got %v, want %v", phases, want)
	}
	if got := s.count(t, "server_3.cpu.requested"); got <= 0 {
		t.Errorf("demand at the new replica: got %v s, want some", got)
	}
}

// TestStandbyCrash: a server that had been on standby refuses as any other does until it is up again.
func TestStandbyCrash(t *testing.T) {
	s := simulate(t, load(t, "spare.yaml", three("state: standby, boot: 1s", `faults:
  - {crash: server_3, at: 6005ms, for: 1s}
adapt:
  - {name: grow, when: server_1.cpu.utilisation > 0.1, do: move app to server_3}`), scenario.Options{}))
	want := fmt.Sprint(map[service.Cause]int{service.OK: 1199 - 200, service.Refused: 200})
	if got := s.causes(t); fmt.Sprint(got) != want {
		t.Errorf("requests by cause: got %v, want %v", got, want)
	}
}

// TestBooksUnderFaults: whatever goes wrong, the books balance and the laws hold.
func TestBooksUnderFaults(t *testing.T) {
	for _, server := range []string{"discipline: fcfs", "discipline: ps, cpus: 2", "discipline: sjf, preempt: true", "quota: 0.8", "speed: 2, cpus: 2, quota: 1"} {
		for _, faults := range []string{
			"{crash: [server_1, server_2], every: exp(3s), for: exp(500ms)}",
			"{slow: [server_1.cpu, server_2.cpu], factor: 3, every: exp(2s), for: exp(1s)}",
			"{partition: [[crowd], [server_1]], every: exp(2s), for: exp(1s)}",
			"{crash: server_1, at: 2s, for: 3s}\n  - {slow: server_1.cpu, factor: 0.5, at: 1s, for: 8s}\n  - {partition: [[server_1]], at: 4s, for: 2s}",
		} {
			src := three("", "faults:\n  - "+faults)
			src = []byte(strings.Replace(string(src), "server_1: {}", "server_1: {boot: 300ms, "+server+"}", 1))
			sum := simulate(t, load(t, "books.yaml", src, scenario.Options{Set: []string{"clients.crowd.patience=700ms"}})).summary()
			if b := sum.Books; b.Verdict != stat.Pass {
				t.Errorf("%s, %s: books: got %v: %+v", server, faults, b.Verdict, b)
			}
			for _, c := range sum.Checks {
				if c.Verdict == stat.Fail {
					t.Errorf("%s, %s: law: got %+v", server, faults, c)
				}
			}
			for _, x := range sum.Books.Utilisation {
				if x.Verdict != stat.Pass {
					t.Errorf("%s, %s: utilisation law: got %+v", server, faults, x)
				}
			}
			for _, x := range sum.Books.Little {
				if !(x.Error <= runs.MaxLittleError) {
					t.Errorf("%s, %s: Little's law: got %+v", server, faults, x)
				}
			}
		}
	}
}

// TestEjectionForgets: a replica that leaves the mapping is no longer among those that are ejected, and comes back as a new one.
func TestEjectionForgets(t *testing.T) {
	src := strings.Replace(string(judged("{failures: 3, every: 1s, ejection: 100s, most: 30%}",
		"{crash: [web_1], at: 2s, for: 2s}\n  - {crash: [web_2], at: 8s, for: 1s}\nadapt:\n  - {name: out, when: web_1.up < 0.5, do: retire app from web_1}")),
		"duration: 40s", "duration: 12s", 1)
	s := simulate(t, load(t, "farm.yaml", []byte(src), scenario.Options{}))
	if got := s.count(t, "app.ejections"); got != 2 {
		t.Errorf("ejections: got %v, want 2: that of web_2 as well, for web_1 has gone", got)
	}
}
