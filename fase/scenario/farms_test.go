package scenario_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/fase/scenario"
)

// TestFarms reads servers that one entry stands for, and the services on them.
func TestFarms(t *testing.T) {
	for _, tt := range []struct {
		name, servers, service string
		topology               []string
		on, candidates         []int
		start, least, most     int
		process                string
		farm                   []int
		cores                  int
		otherFarm              string
	}{
		{
			name: "all", servers: "web: {count: 3, process: farm, cpus: 2}", service: "on: web",
			topology: []string{"web_1", "web_2", "web_3"}, on: []int{0, 1, 2}, process: "farm", farm: []int{0, 1, 2}, cores: 2,
		},
		{
			name: "one", servers: "web: {count: 1}", service: "on: web",
			topology: []string{"web_1"}, on: []int{0}, process: "web_1", farm: []int{0}, cores: 1,
		},
		{
			name: "among others", servers: "web: {count: 2}\n  cdn: {}", service: "on: [cdn, web]",
			topology: []string{"web_1", "web_2", "cdn"}, on: []int{2, 0, 1}, process: "web_1", farm: []int{0, 1}, cores: 1,
		},
		{
			name: "replicas", servers: "web: {count: 4}", service: "on: web, replicas: 2",
			topology: []string{"web_1", "web_2", "web_3", "web_4"}, on: []int{0, 1}, candidates: []int{0, 1, 2, 3},
			start: 2, least: 1, most: 4, process: "web_1", farm: []int{0, 1, 2, 3}, cores: 1,
		},
		{
			name: "bounds", servers: "web: {count: 4}", service: "on: [web_4, web_1, web_2], replicas: {start: 1, least: 0, most: 2}",
			topology: []string{"web_1", "web_2", "web_3", "web_4"}, on: []int{3}, candidates: []int{3, 0, 1},
			start: 1, least: 0, most: 2, process: "web_1", farm: []int{0, 1, 2, 3}, cores: 1,
		},
		{
			name: "at most", servers: "web: {count: 4}", service: "on: web, replicas: {most: 3}",
			topology: []string{"web_1", "web_2", "web_3", "web_4"}, on: []int{0, 1, 2}, candidates: []int{0, 1, 2, 3},
			start: 3, least: 1, most: 3, process: "web_1", farm: []int{0, 1, 2, 3}, cores: 1,
		},
		{
			name: "none yet", servers: "web: {count: 2, state: standby}", service: "on: web, replicas: 0",
			topology: []string{"web_1", "web_2"}, on: []int{}, candidates: []int{0, 1},
			start: 0, least: 0, most: 2, process: "web_1", farm: []int{0, 1}, cores: 1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := load(t, fmt.Sprintf(`eve: 1
duration: 1s
requests: |
  request r { call s { cpu 1ms } }
servers:
  %s
services:
  s: {%s}
clients:
  c: {request: r, rate: 1/s}
`, tt.servers, tt.service), scenario.Options{})
			s := p.Services[0]
			if !slices.Equal(p.Topology.Servers, tt.topology) || !slices.Equal(s.On, tt.on) || !slices.Equal(s.Candidates, tt.candidates) {
				t.Errorf("got servers %v, on %v of %v; want %v, %v of %v", p.Topology.Servers, s.On, s.Candidates, tt.topology, tt.on, tt.candidates)
			}
			if s.Start != tt.start || s.Least != tt.least || s.Most != tt.most {
				t.Errorf("got start %d, least %d, most %d; want %d, %d, %d", s.Start, s.Least, s.Most, tt.start, tt.least, tt.most)
			}
			if x := p.Servers[0]; x.Process != tt.process || x.Machine.CPU.Cores != tt.cores {
				t.Errorf("got process %s, %d cores; want %s, %d", x.Process, x.Machine.CPU.Cores, tt.process, tt.cores)
			}
			if got := p.Called("web"); !slices.Equal(got, tt.farm) || len(p.Farms) != 1 {
				t.Errorf("got farm %v of %d; want %v", got, len(p.Farms), tt.farm)
			}
			if got := len(p.Mappings()[0].Replicas); got != len(tt.on) {
				t.Errorf("got %d replicas at the start, want %d", got, len(tt.on))
			}
		})
	}
}
