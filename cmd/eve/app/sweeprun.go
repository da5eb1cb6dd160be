package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/fase/sweep"
	"github.com/eve-emulation/eve/modules/adapter"
)

// runsFolder is where a sweep of real runs has their run folders.
const runsFolder = "points"

// A job is one point with one seed.
type job struct {
	point int
	seed  uint64
}

// look loads the points before anything runs: all, where theory is asked what it says of them, else until one is no mistake.
func (x *campaigning) look(ctx context.Context, quiet bool) error {
	if x.def.Theory {
		return x.predict(ctx, quiet)
	}
	var first error
	for p := range x.grid.Points() {
		plan, err := x.load(p, x.def.Seeds[0])
		if err == nil {
			return x.can(plan)
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return first
}

// can refuses a plan that the sweep cannot run.
func (x *campaigning) can(plan *scenario.Plan) error {
	if x.def.Kind == runs.Virtual {
		return wrong(sim.Check(plan))
	}
	return nil
}

// left lists what has no result yet.
func (x *campaigning) left() []job {
	var out []job
	for p := range x.grid.Points() {
		for _, seed := range x.def.Seeds {
			if r, ok := x.log.Result(p, seed); !ok || r.Error != "" {
				out = append(out, job{p, seed})
			}
		}
	}
	return out
}

// run does what is left, and keeps each result as it comes. Its error is that results cannot be kept, or the context's.
func (x *campaigning) run(ctx context.Context, s sweeping) error {
	jobs := x.left()
	workers := s.workers
	if x.def.Kind == runs.Real {
		workers = 1
	} else {
		defer debug.SetGCPercent(debug.SetGCPercent(400)) // as for one simulation
	}
	t := x.telling(s, len(jobs))
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := campaign.Each(inner, len(jobs), workers, func(ctx context.Context, i int) error {
		r, err := x.point(ctx, jobs[i])
		switch {
		case ctx.Err() != nil:
			return nil // unfinished; told once, below
		case full(err):
			stop(err) // nothing more can be kept
			return nil
		case err != nil:
			r = sweep.Result{Error: brief(err).Error()}
		}
		r.Point, r.Seed = jobs[i].point, jobs[i].seed
		if err := x.log.Add(r); err != nil {
			stop(err)
			return nil
		}
		t.done(r)
		return nil
	})
	t.leave()
	switch cause := context.Cause(inner); {
	case ctx.Err() != nil:
		return ctx.Err()
	case cause != nil:
		return cause
	}
	return err
}

// full says that an error comes of a full disk.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// point runs one point with one seed.
func (x *campaigning) point(ctx context.Context, j job) (sweep.Result, error) {
	plan, err := x.load(j.point, j.seed)
	if err != nil {
		return sweep.Result{}, err
	}
	if x.def.Kind == runs.Virtual {
		return x.simulated(ctx, plan)
	}
	return x.emulated(ctx, plan, j)
}

// simulated runs a point in virtual time, in memory.
func (x *campaigning) simulated(ctx context.Context, plan *scenario.Plan) (sweep.Result, error) {
	r, err := campaign.Simulate(ctx, plan, campaign.Options{Version: version(), Hooks: campaign.Hooks{Prepare: func(s *sim.Sim) (func() error, error) {
		programs, err := connected(s, plan, func(string) {})
		return func() error { return errors.Join(adapter.Lost(programs), adapter.Close(programs)) }, err
	}}})
	if err != nil {
		return sweep.Result{}, err
	}
	return x.result(plan, r.Summary, r.History)
}

// emulated runs a point for real, into a run folder of its own. What a run that was cut off has left there goes.
func (x *campaigning) emulated(ctx context.Context, plan *scenario.Plan, j job) (sweep.Result, error) {
	run := filepath.Join(runsFolder, fmt.Sprintf("%04d-seed-%d", j.point, j.seed))
	dir := x.log.Path(run)
	if err := os.RemoveAll(dir); err != nil {
		return sweep.Result{}, err
	}
	o, err := x.app.perform(ctx, plan, dir, runs.Real, nil, newView(plan, discard{}))
	if o == nil || full(err) {
		return sweep.Result{}, err
	}
	if o.summary.Exit == runs.ExitFailed {
		return sweep.Result{}, errors.Join(errors.New(o.summary.Error), err)
	}
	f, err := runs.Open(dir)
	if err != nil {
		return sweep.Result{}, err
	}
	r, err := x.result(plan, o.summary, f.History())
	r.Run = run
	return r, errors.Join(err, f.Close())
}

// result reads the metrics of what a run has left.
func (x *campaigning) result(plan *scenario.Plan, s *runs.Summary, h runs.History) (sweep.Result, error) {
	r := sweep.Result{Values: map[string]sweep.Reading{}}
	var reader expr.Reader
	for _, m := range x.def.Metrics {
		if m.Figure != "" {
			r.Values[m.Name] = m.Of(s)
			continue
		}
		p, err := plan.Expression(m.Name)
		if err != nil {
			continue // of what is not at this point
		}
		if reader == nil {
			reader = runs.Reader(plan, h, s.Interrupted)
		}
		v, err := p.Eval(reader)
		if err != nil {
			return r, fmt.Errorf("%s: %w", m.Name, err)
		}
		if v.Known() {
			r.Values[m.Name] = sweep.Exactly(v.Number)
		}
	}
	r.Busiest, _ = sweep.BusiestOf(s)
	for _, c := range s.Clients {
		r.Limited = r.Limited || c.GeneratorLimited
	}
	return r, nil
}

// A sweepView tells how a sweep goes, on standard error.
type sweepView struct {
	*screen
	x     *campaigning
	quiet bool

	mu    sync.Mutex // guards what follows
	n, of int
	begun time.Time
	told  time.Time
}

// tellEvery is how often a sweep is told elsewhere than on a terminal, where points are many and short.
const tellEvery = 5 * time.Second

func (x *campaigning) telling(s sweeping, jobs int) *sweepView {
	now := time.Now()
	t := &sweepView{screen: newScreen(x.app.err), x: x, quiet: s.quiet, of: jobs, begun: now, told: now}
	if !s.quiet {
		how := "for real, one after the other"
		if x.def.Kind == runs.Virtual {
			how = "in virtual time"
		}
		done := ""
		if all := x.grid.Points() * len(x.def.Seeds); all > jobs {
			done = fmt.Sprintf("; %s done before", counted(all-jobs, "run"))
		}
		t.say(fmt.Sprintf("%s: %s with %s, %s → %s%s", x.def.Name, counted(x.grid.Points(), "point"), counted(len(x.def.Seeds), "seed"), how, x.log.Dir(), done))
	}
	return t
}

// counted writes "1 point", "2 points".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// done tells a result.
func (t *sweepView) done(r sweep.Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	if t.quiet {
		return
	}
	label := fmt.Sprintf("%s, seed %d", t.x.grid.Label(r.Point), r.Seed)
	if r.Error != "" {
		t.say(fmt.Sprintf("failed: %s: %s", label, firstLine(r.Error)))
	}
	line := fmt.Sprintf("%d of %d: %s", t.n, t.of, label)
	switch {
	case t.terminal():
		left := ""
		if spent := time.Since(t.begun); spent > 2*time.Second && t.n < t.of {
			left = fmt.Sprintf(", about %s more", (spent * time.Duration(t.of-t.n) / time.Duration(t.n)).Round(time.Second))
		}
		t.show([]string{line + left})
	case t.x.def.Kind == runs.Real || time.Since(t.told) >= tellEvery:
		t.told = time.Now()
		t.say(line)
	}
}
