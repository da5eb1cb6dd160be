package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules/adapter"
)

var nan = math.NaN()

// An outcome is what one execution left behind.
type outcome struct {
	dir     string // the run folder, closed
	page    string // the report in it
	summary *runs.Summary
	noise   *runs.Noise // nil in virtual time
}

// failure is how the program ends for it.
func (r *outcome) failure() error {
	if r.summary.Exit == runs.ExitOK {
		return nil
	}
	var err error
	if r.summary.Error != "" {
		err = errors.New(r.summary.Error)
	}
	return &exitError{code: r.summary.Exit, err: err}
}

// mostEmulated is how many servers a run for real has at most: each listens at a socket, and has threads.
const mostEmulated = 1024

// perform executes a plan into the run folder dir, by default one of its own. An execution that failed or was interrupted
// has an outcome too. The error is that it did not begin, and then there is none, or that not everything could be written.
// Where h is not nil, the modules of a run for real are started by hand.
func (a *App) perform(ctx context.Context, plan *scenario.Plan, dir string, kind runs.Kind, h *hand, v *view) (*outcome, error) {
	if kind == runs.Virtual {
		if err := sim.Check(plan); err != nil {
			return nil, wrong(err)
		}
	}
	if n := len(plan.Servers); kind != runs.Virtual && n > mostEmulated {
		return nil, wrong(fmt.Errorf("run %s: %d servers: at most %d are emulated at once; `eve sim` simulates more", plan.Name, n, mostEmulated))
	}
	folder, err := runs.Create(dir, plan, time.Now())
	if err != nil {
		return nil, wrong(err)
	}
	x := runs.Extras{Version: version(), Kind: kind}
	env := runs.Here(version(), time.Now())
	env.Kind = kind
	if err := folder.WriteEnvironment(env); err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	v.say(fmt.Sprintf("%s → %s", plan.Name, folder.Dir()))
	kctx, store, stop := keep(ctx, folder.Store())
	defer stop()
	began := false
	if kind == runs.Virtual {
		began, err = simulate(kctx, plan, store, v, &x)
	} else {
		began, err = a.emulate(kctx, plan, store, folder.Dir(), h, v, &x, &env)
	}
	v.done()
	if err != nil && !began {
		return nil, errors.Join(err, abandon(folder))
	}
	if lost := loss(kctx); lost != nil {
		err, x.Interrupted = lost, true
		if folder, err = again(folder, err); folder == nil {
			return nil, err
		}
	}
	if err != nil {
		x.Error = err.Error()
	}
	env.End = new(time.Now())
	return conclude(ctx, plan, folder, x, env)
}

// again opens the folder of a run whose store failed, to read what it has. It returns cause, and with it what went wrong
// when there is no folder.
func again(folder *runs.Folder, cause error) (*runs.Folder, error) {
	_ = folder.Close() // fails for the same cause
	f, err := runs.Open(folder.Dir())
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	return f, cause
}

// abandon removes what a run that did not begin has put into its folder, so that the next may use it; what a target has
// written there stays, for it may tell why.
func abandon(folder *runs.Folder) error {
	errs := []error{folder.Close()}
	for _, name := range []string{runs.ScenarioFile, runs.StoreFile, runs.EnvironmentFile, runs.InputsFolder} {
		errs = append(errs, os.RemoveAll(folder.Path(name)))
	}
	left, err := os.ReadDir(folder.Dir())
	if err == nil && len(left) == 0 {
		err = os.Remove(folder.Dir())
		_ = os.Remove(filepath.Dir(folder.Dir())) // runs, if this was the first; otherwise it is not empty
	}
	return errors.Join(append(errs, err)...)
}

// conclude writes what follows from the measurements, whatever became of the run. The outcome has the summary also when
// the error says that not everything could be written.
func conclude(ctx context.Context, plan *scenario.Plan, folder *runs.Folder, x runs.Extras, env runs.Environment) (*outcome, error) {
	r := &outcome{dir: folder.Dir(), summary: runs.Summarise(plan, folder.History(), x), noise: env.Noise}
	err := judged(ctx, plan, folder, r.summary)
	err = errors.Join(err, folder.Finish(r.summary), folder.WriteEnvironment(env))
	page, perr := report.Write(folder, r.summary)
	if perr == nil {
		r.page = page
	}
	return r, errors.Join(err, perr, folder.Close())
}

// simulate runs a plan in virtual time. That is soon over, so no more than its progress is shown, and that on a terminal.
// began is whether there is anything to tell.
func simulate(ctx context.Context, plan *scenario.Plan, rec dsv.Recorder, v *view, extras *runs.Extras) (began bool, err error) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // little lives long: a fifth less to compute for some memory
	store := dsv.NewStore(rec)
	s, err := sim.New(ctx, plan, store)
	if err != nil {
		return false, errors.Join(err, store.Close())
	}
	programs, err := connected(s, plan, v.say)
	if err != nil {
		return false, errors.Join(err, store.Close())
	}
	drawn := time.Now()
	err = s.Run(ctx, func(at dsv.Instant) {
		if v.terminal() && time.Since(drawn) > 200*time.Millisecond {
			drawn = time.Now()
			v.now = at // nobody else looks at it
			v.show([]string{v.progress()})
		}
	})
	if v.terminal() {
		v.clear()
	}
	if extras.Interrupted = errors.Is(err, context.Canceled); extras.Interrupted {
		err = nil
	}
	return true, errors.Join(err, adapter.Close(programs), store.Close())
}

// connected starts the programs that control a plan, and has them answer a simulation of it. The caller closes them.
func connected(s *sim.Sim, plan *scenario.Plan, say func(line string)) ([]*adapter.Program, error) {
	programs, err := adapter.Programs(plan, say)
	for _, p := range programs {
		s.Connect(p.Control, p)
	}
	return programs, err
}

// connecting does so for a simulation of package campaign, which closes them; that one of them was lost is an error.
func connecting(plan *scenario.Plan, say func(line string)) func(*sim.Sim) (release func() error, err error) {
	return func(s *sim.Sim) (func() error, error) {
		programs, err := connected(s, plan, say)
		return func() error { return errors.Join(adapter.Lost(programs), adapter.Close(programs)) }, err
	}
}

// emulate runs a plan for real, in the run folder dir. began is whether T0 came.
func (a *App) emulate(ctx context.Context, plan *scenario.Plan, rec dsv.Recorder, dir string, h *hand, v *view, extras *runs.Extras, env *runs.Environment) (began bool, err error) {
	e, err := newExecution(a, plan, rec, dir, h, v.say)
	if err != nil {
		return false, err
	}
	probe := runs.StartProbe()
	wall := time.Now()
	vctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer context.AfterFunc(ctx, func() {
		if loss(ctx) == nil {
			v.say("interrupted: the run ends in order; once more ends it at once")
		}
	})()
	err = e.run(ctx, func(t0 int64) {
		wall = time.Now().Add(time.Duration(t0 - mono.Now()))
		env.T0 = &wall
		ready := ""
		if n := len(e.names); n > 0 {
			ready = fmt.Sprintf("%d modules are ready; ", n)
		}
		v.say(ready + fmt.Sprintf("the run takes %v", plan.Duration))
		wg.Go(func() {
			_ = v.follow(vctx, e.kernel.Space(), func() dsv.Instant { return dsv.Instant(mono.Now() - t0) })
		})
	})
	stop()
	wg.Wait()
	env.Noise = probe.Stop(wall)
	began = e.begun()
	err = errors.Join(err, e.kernel.Close())
	modules, died := e.modules()
	extras.Modules, extras.Interrupted = modules, e.early
	extras.Warnings = append(extras.Warnings, warnings(e.kernel.Losses())...)
	if err == nil && died != "" {
		err = errors.New(died)
	}
	return began || err == nil, err
}
