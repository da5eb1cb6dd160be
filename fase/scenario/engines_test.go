package scenario_test

import (
	"fmt"
	"testing"

	"github.com/eve-emulation/eve/fase/scenario"
)

// TestEngineForms reads an engine as a name and as a mapping, and what follows from it.
func TestEngineForms(t *testing.T) {
	for _, tt := range []struct {
		engine  string
		kind    string
		threads int
		helpers int
		queue   int
		workers int
	}{
		{"reactors", "reactors", 0, 4, 1024, 0},
		{"pool", "pool", 64, 4, 1024, 64},
		{"{kind: pool, threads: 8, queue: 3}", "pool", 8, 4, 3, 8},
		{"{kind: amped, helpers: 9}", "amped", 0, 9, 1024, 0},
		{"threads-1to1", "threads-1to1", 0, 4, 1024, 0},
	} {
		t.Run(tt.engine, func(t *testing.T) {
			text := fmt.Sprintf("eve: 1\nduration: 1s\nservers:\n  one: {engine: %s}\n"+
				"services:\n  web: {on: [one]}\nrequests: |\n  request r { call web { cpu 1ms } }\nclients:\n  c: {request: r, rate: 1/s}\n", tt.engine)
			p, err := scenario.Load("engine.yaml", []byte(text), scenario.Options{})
			if err != nil {
				t.Fatal(err)
			}
			s := p.Servers[0]
			if s.Engine != tt.kind || s.Threads != tt.threads || s.Helpers != tt.helpers || s.Queue != tt.queue || s.Workers != tt.workers {
				t.Errorf("engine: got %s, %d threads, %d helpers, queue %d, %d workers; want %s, %d, %d, %d, %d", s.Engine, s.Threads, s.Helpers,
					s.Queue, s.Workers, tt.kind, tt.threads, tt.helpers, tt.queue, tt.workers)
			}
		})
	}
}
