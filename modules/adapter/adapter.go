// Package adapter is the module that adapts a run: it joins the core of the rules and controllers (fase/adapt) to the
// variables of the kernel, and to controllers that are programs (modules/program).
package adapter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/modules"
	"github.com/eve-emulation/eve/modules/program"
)

// Spec is the module's kind.
var Spec = modules.Spec{
	Name: "adapter",
	Help: "evaluates the rules of a scenario and carries their actions out",
	New:  func() modules.Module { return modules.Func(run) },
}

func run(ctx context.Context, env *modules.Env) (err error) {
	plan, err := scenario.FetchWith(ctx, env.Space(), env.Controllers(), env.Manipulators()...)
	if err != nil {
		return err
	}
	programs, err := Programs(plan, func(line string) { env.Logf("%s", line) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, Close(programs)) }()
	d := newDriving(ctx, env, adapt.NewLoop(plan.Adapt), programs)
	g, gctx := errgroup.WithContext(ctx)
	for _, pattern := range d.loop.Watches() {
		g.Go(func() error {
			return modules.Follow(gctx, env.Space(), string(pattern), func(u dsv.Update) {
				select {
				case d.updates <- u:
				case <-gctx.Done():
				}
			})
		})
	}
	for _, p := range programs {
		g.Go(func() error {
			p.follow(gctx, d.events)
			return nil
		})
	}
	g.Go(func() error {
		if err := d.ready(gctx); err != nil {
			return err
		}
		return d.drive(gctx)
	})
	return g.Wait()
}

// ready waits until all modules are. A program that has ended before is an error: the run does not begin.
func (d *driving) ready(ctx context.Context) error {
	joined := make(chan error, 1)
	var join sync.WaitGroup
	defer join.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	join.Go(func() { joined <- d.env.Ready(ctx) })
	for {
		select {
		case err := <-joined:
			return err
		case e := <-d.events:
			if errors.Is(e.Err, program.ErrEnded) {
				return fmt.Errorf("controller %s %w", e.program.Name(), e.Err)
			}
			d.take(0, e) // told once the run has begun
		}
	}
}

// event is something that a program did.
type event struct {
	program *Program
	program.Event
}

// follow hands on what a program does, until it has ended or ctx ends.
func (p *Program) follow(ctx context.Context, to chan<- event) {
	for {
		select {
		case e, ok := <-p.process.Events():
			if !ok {
				return
			}
			select {
			case to <- event{p, e}:
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// driving steps the rules and controllers: on updates, on answers, and when they want to act.
type driving struct {
	ctx      context.Context // a field because Route is a callback
	env      *modules.Env
	loop     *adapt.Loop
	driver   *step.Driver
	programs []*Program
	updates  chan dsv.Update
	events   chan event
	err      error
}

func newDriving(ctx context.Context, env *modules.Env, loop *adapt.Loop, programs []*Program) *driving {
	d := &driving{ctx: ctx, env: env, loop: loop, programs: programs, updates: make(chan dsv.Update, 1024), events: make(chan event, 16)}
	d.driver = step.NewDriver(d, loop)
	return d
}

func (d *driving) drive(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for d.err == nil {
		timer.Reset(wait(d.driver.Next(), d.env.Now()))
		select {
		case <-ctx.Done():
			return nil
		case u := <-d.updates:
			d.loop.Changed(d.now(), u)
			d.driver.Flush()
		case e := <-d.events:
			d.take(d.now(), e)
			d.driver.Flush()
		case <-timer.C:
			d.now()
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return d.err
}

// now is the present instant, up to which everything that is due has been done.
func (d *driving) now() dsv.Instant {
	now := max(d.env.Now(), 0)
	d.driver.Run(now)
	return now
}

// take takes what a program did.
func (d *driving) take(now dsv.Instant, e event) {
	i := e.program.Control
	told := func(cause string) { d.loop.Refuse(now, i, cause, false) }
	switch {
	case e.Act != nil:
		d.loop.Answer(now, i, int64(e.Act.N)-1, e.program.answer(e.Act, told))
	case errors.Is(e.Err, program.ErrEnded):
		d.loop.Refuse(now, i, e.Err.Error(), true)
	default:
		e.program.tell(e.Err, told)
	}
}

// Route implements step.Router: Set effects go to the kernel, Tick effects to programs.
func (d *driving) Route(_ int, e step.Effect) {
	if e.Kind == step.Tick {
		d.tick(e)
		return
	}
	name, v := d.loop.Write(e.Ref)
	if _, err := d.env.Space().Write(d.ctx, name, v); err != nil && d.err == nil {
		d.err = err
	}
}

// tick tells a program a tick, unless it is behind with too many.
func (d *driving) tick(e step.Effect) {
	t, ok := d.loop.Tick(e)
	i := slices.IndexFunc(d.programs, func(p *Program) bool { return p.Control == t.Control })
	if !ok || i < 0 || d.programs[i].process.Busy() {
		return
	}
	if err := d.programs[i].process.Tick(frame(t)); err != nil {
		d.loop.Refuse(t.At, t.Control, err.Error(), false)
	}
}

// wait is the time until an instant, an hour at most.
func wait(next, now dsv.Instant) time.Duration {
	if next == dsv.Never {
		return time.Hour
	}
	return min(max(next.Sub(now), 0), time.Hour)
}
