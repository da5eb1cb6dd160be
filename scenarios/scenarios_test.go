package scenarios_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/scenarios"
)

func TestEveryScenarioOpensWithWhatItShows(t *testing.T) {
	var names []string
	for _, s := range scenarios.List() {
		names = append(names, s.Name)
		text, err := scenarios.Open(s.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"# " + s.Name + ":", "# What it shows:", "# What to expect:", "\nname: " + s.Name + "\n", s.About} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: want %q in it", s.Name, want)
			}
		}
		if !strings.HasPrefix(string(text), "# "+s.Name+":") || s.About == "" {
			t.Errorf("%s: it opens with its name and has an `about`", s.Name)
		}
	}
	if want := []string{"aem-figure-6", "autoscale-hpa", "back-pressure", "blackout", "bursty", "c10k", "closed-open", "disk-bound", "flash-crowd-admission", "flash-crowd", "hello", "http-site", "hundred-thousand", "kecho-balance", "load-balance-n", "metastable", "migrate-live", "mm1", "noisy-neighbour", "overload-control", "power-of-two", "real-server", "relay", "replay-log", "resource-managers", "seda-table", "shedding", "soa-order", "software-bottleneck", "static-mix", "three-tier", "two-phase"}; !slices.Equal(names, want) {
		t.Errorf("shipped: got %v, want %v", names, want)
	}
}

func TestUnknownScenario(t *testing.T) {
	for _, name := range []string{"", "nope", "../doc", "hello.yaml"} {
		if _, err := scenarios.Open(name); !errors.Is(err, scenarios.ErrNotFound) {
			t.Errorf("open %q: got %v, want %v", name, err, scenarios.ErrNotFound)
		}
	}
}

func TestBeside(t *testing.T) {
	if got := scenarios.Beside("replay-log"); !slices.Equal(got, []string{"replay-log.log.gz"}) {
		t.Errorf("beside replay-log: got %v", got)
	}
	if got := scenarios.Beside("hello"); len(got) != 0 {
		t.Errorf("beside hello: got %v, want none", got)
	}
}
