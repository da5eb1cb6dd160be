package scenario_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/scenarios"
)

func TestSpin(t *testing.T) {
	tests := []struct {
		name, scenario string
		set            []string
		cpus           int
		want           time.Duration
	}{
		{"few requests at one server", "mm1", nil, 2, 100 * time.Microsecond},
		{"more loops than two a processor", "flash-crowd", nil, 1, 0},
		{"enough processors", "flash-crowd", nil, 2, 100 * time.Microsecond},
		{"many requests", "mm1", []string{"clients.jobs.rate=501/s"}, 2, 0},
		{"burned demands", "mm1", []string{"servers.server_1.run=burn"}, 2, 0},
		{"many reactors", "mm1", []string{"servers.server_1.reactors=8"}, 4, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src, err := scenarios.Open(tt.scenario)
			if err != nil {
				t.Fatal(err)
			}
			p, err := scenario.Load(tt.scenario, src, scenario.Options{Set: tt.set})
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Spin(tt.cpus); got != tt.want {
				t.Errorf("with %d processors: got %v, want %v", tt.cpus, got, tt.want)
			}
		})
	}
}
