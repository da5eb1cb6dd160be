package judge_test

import (
	"context"
	"io/fs"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/scenarios"
)

func load(t testing.TB, src string, o scenario.Options) *scenario.Plan {
	t.Helper()
	o.ReadFile = func(path string) ([]byte, error) { return fs.ReadFile(scenarios.FS(), path) }
	p, err := scenario.Load("x.yaml", []byte(src), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// simulated is a plan in virtual time, judged.
func simulated(t testing.TB, p *scenario.Plan, o judge.Options) (*runs.Adaptation, *runs.Summary) {
	t.Helper()
	m := runstest.NewMemory()
	s, err := sim.New(context.Background(), p, dsv.NewStore(m))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	sum := runs.Summarise(p, m, runs.Extras{Version: "test"})
	a, err := judge.Run(context.Background(), p, m, sum, o)
	if err != nil {
		t.Fatal(err)
	}
	return a, sum
}

func shipped(t testing.TB, name string, o scenario.Options) *scenario.Plan {
	t.Helper()
	src, err := scenarios.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return load(t, string(src), o)
}
