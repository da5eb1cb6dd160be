package app

import (
	"context"
	"runtime/debug"

	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
)

// judged adds to a summary how well the run adapted. Whoever interrupts it while it simulates baselines has the rest.
func judged(ctx context.Context, plan *scenario.Plan, f *runs.Folder, s *runs.Summary) error {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as for the simulation of the run itself
	a, err := judge.Folder(ctx, f, plan, s, judge.Options{})
	if ctx.Err() != nil {
		a, err = judge.Folder(context.WithoutCancel(ctx), f, plan, s, judge.Options{Budget: -1})
	}
	s.Adaptation = a
	return err
}

// rejudged does so for a run that was cut off.
func (a *App) rejudged(ctx context.Context, f *runs.Folder, s *runs.Summary) error {
	plan, err := f.Plan(a.kinds(), a.registry.Manipulators()...)
	if err != nil {
		return err
	}
	return judged(ctx, plan, f, s)
}
