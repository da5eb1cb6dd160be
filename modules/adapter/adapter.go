// Package adapter is the module that adapts a run: it joins the core of the rules (fase/adapt) to the variables of the
// kernel.
package adapter

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/modules"
)

// Spec is the module's kind.
var Spec = modules.Spec{
	Name: "adapter",
	Help: "evaluates the rules of a scenario and carries their actions out",
	New:  func() modules.Module { return modules.Func(run) },
}

func run(ctx context.Context, env *modules.Env) error {
	plan, err := scenario.Fetch(ctx, env.Space(), env.Manipulators()...)
	if err != nil {
		return err
	}
	loop := adapt.NewLoop(plan.Adapt)
	updates := make(chan dsv.Update, 1024)
	g, gctx := errgroup.WithContext(ctx)
	for _, pattern := range loop.Watches() {
		g.Go(func() error {
			return modules.Follow(gctx, env.Space(), string(pattern), func(u dsv.Update) {
				select {
				case updates <- u:
				case <-gctx.Done():
				}
			})
		})
	}
	g.Go(func() error {
		if err := env.Ready(gctx); err != nil {
			return err
		}
		return drive(gctx, env, loop, updates)
	})
	return g.Wait()
}

// drive steps the rules: on updates, and when they want to act.
func drive(ctx context.Context, env *modules.Env, loop *adapt.Loop, updates <-chan dsv.Update) error {
	router := &writer{ctx: ctx, space: env.Space(), loop: loop}
	d := step.NewDriver(router, loop)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for router.err == nil {
		timer.Reset(wait(d.Next(), env.Now()))
		select {
		case <-ctx.Done():
			return nil
		case u := <-updates:
			now := max(env.Now(), 0)
			d.Run(now)
			loop.Changed(now, u)
			d.Flush()
		case <-timer.C:
			d.Run(max(env.Now(), 0))
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return router.err
}

// wait is the time until an instant, an hour at most.
func wait(next, now dsv.Instant) time.Duration {
	if next == dsv.Never {
		return time.Hour
	}
	return min(max(next.Sub(now), 0), time.Hour)
}

// writer carries Set effects to the kernel.
type writer struct {
	ctx   context.Context
	space dsv.Space
	loop  *adapt.Loop
	err   error
}

// Route implements step.Router.
func (w *writer) Route(_ int, e step.Effect) {
	name, v := w.loop.Write(e.Ref)
	if _, err := w.space.Write(w.ctx, name, v); err != nil && w.err == nil {
		w.err = err
	}
}
