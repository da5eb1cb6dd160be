package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/scenarios"
)

// keeper is a Recorder that keeps what a test asks for.
type keeper struct {
	updates int
	want    map[dsv.Name]func(dsv.Update)
}

func (k *keeper) Declare(dsv.Declaration) error { return nil }
func (k *keeper) Record(u dsv.Update) error {
	k.updates++
	if f := k.want[u.Name]; f != nil {
		f(u)
	}
	return nil
}
func (k *keeper) Flush() error { return nil }
func (k *keeper) Close() error { return nil }

func load(t testing.TB, name string, set ...string) *scenario.Plan {
	t.Helper()
	src, err := scenarios.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := scenario.Load(name, src, scenario.Options{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// simulate runs a plan and hands the changes of some variables to functions.
func simulate(t testing.TB, p *scenario.Plan, want map[dsv.Name]func(dsv.Update)) *dsv.Store {
	t.Helper()
	store := dsv.NewStore(&keeper{want: want})
	s, err := sim.New(context.Background(), p, store)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	return store
}

func TestFlashCrowdDecides(t *testing.T) {
	var got []string
	simulate(t, load(t, "flash-crowd"), map[dsv.Name]func(dsv.Update){adapt.DecisionsName: func(u dsv.Update) {
		var d adapt.Decision
		if err := json.Unmarshal(u.Reading.Value.Bytes, &d); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%.1f %s: %s %s", d.At.Seconds(), d.Rule, d.Action, d.Phase))
	}})
	for _, g := range got {
		t.Log(g)
	}
}
