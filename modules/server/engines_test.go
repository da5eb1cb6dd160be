package server_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/scenario"
)

// TestEngineNames holds the engines that a scenario may name, and how many loops it may give them, to those that exist.
func TestEngineNames(t *testing.T) {
	if got, want := scenario.Engines(), engine.Shipped().Names(); !slices.Equal(got, want) {
		t.Errorf("engines of scenarios: got %v, want %v", got, want)
	}
	for _, kind := range engine.Shipped() {
		t.Run(kind.Name, func(t *testing.T) {
			for _, loops := range []int{1, 2} {
				text := fmt.Sprintf("eve: 1\nduration: 1s\nservers:\n  one: {engine: %s, reactors: %d}\n"+
					"services:\n  web: {on: [one]}\nrequests: |\n  request r { call web { cpu 1ms } }\nclients:\n  c: {request: r, rate: 1/s}\n",
					kind.Name, loops)
				p, err := scenario.Load("engine.yaml", []byte(text), scenario.Options{})
				if wrong := kind.MaxLoops > 0 && loops > kind.MaxLoops; (err != nil) != wrong {
					t.Errorf("%d loops: got error %v, want one: %v", loops, err, wrong)
				}
				if err == nil && (p.Servers[0].Engine != kind.Name || p.Servers[0].Reactors != loops) {
					t.Errorf("server: got %s with %d loops, want %s with %d", p.Servers[0].Engine, p.Servers[0].Reactors, kind.Name, loops)
				}
			}
		})
	}
}
