package judge_test

import (
	"context"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
)

func load(t testing.TB, src string, o scenario.Options) *scenario.Plan {
	t.Helper()
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
