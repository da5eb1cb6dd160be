// Package campaign simulates plans in memory, many at once, and says how exactly their figures are known.
//
// The nouns:
//
//   - [Run] steps one plan in virtual time and keeps nothing: hooks see what is measured, and may end it early.
//   - [Simulate] does so and keeps the history in memory: a [Result] has the summary of a run folder, without the folder.
//   - [Each] does many things side by side on the processors. What it computes does not depend on how many there are.
//   - Replications are simulations of one scenario that differ by their seed alone. A [Table] has their figures, each with
//     Student's interval over replications, which are independent, as the requests of one run are not (Law, Simulation
//     Modeling and Analysis, section 9.4).
//
// One simulation is
//
//	r, err := campaign.Simulate(ctx, plan, campaign.Options{})
//	p, err := plan.Expression("p95(crowd.latency)")
//	x, err := r.Eval(p)
//
// and several points of a sweep are
//
//	results := make([]*campaign.Result, len(plans))
//	err := campaign.Each(ctx, len(plans), 0, func(ctx context.Context, i int) (err error) {
//		results[i], err = campaign.Simulate(ctx, plans[i], campaign.Options{})
//		return err
//	})
package campaign

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
)

// Hooks look at a simulation while it goes. The zero value does not look. All are called by the goroutine that simulates.
type Hooks struct {
	// Prepare is called before T0: to schedule writes, or to connect controllers that are programs. release, where not nil,
	// is called when the simulation has ended, and its error is the simulation's.
	Prepare func(s *sim.Sim) (release func() error, err error)
	// Deltas sees what is synchronised, at the instant at which it is; the deltas are valid until it returns. false ends the
	// simulation at the end of the virtual second.
	Deltas func(deltas []dsv.Delta) bool
	// Live is called about once a virtual second with the instant that was reached, once all is synchronised that was
	// measured before. false ends the simulation there.
	Live func(at dsv.Instant) bool
}

// An End is how far a simulation came.
type End struct {
	At      dsv.Instant // up to which it was simulated
	Stopped bool        // a hook ended it
}

// Run simulates a plan, and hands what is declared, written and synchronised to space; nil keeps nothing. A plan that needs
// something real is sim.ErrReal. When ctx ends, so does the simulation, with the context's error; the End says where. It
// changes nothing of the plan, so one plan may be simulated several times at once.
func Run(ctx context.Context, plan *scenario.Plan, space dsv.Space, h Hooks) (end End, err error) {
	if space == nil {
		space = &nowhere{}
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	over := func(more bool) {
		if !more {
			end.Stopped = true
			stop()
		}
	}
	if h.Deltas != nil {
		space = &tapped{Space: space, see: func(ds []dsv.Delta) { over(h.Deltas(ds)) }}
	}
	s, err := sim.New(inner, plan, space)
	if err != nil {
		return end, err
	}
	if h.Prepare != nil {
		release, perr := h.Prepare(s)
		if release != nil {
			defer func() { err = errors.Join(err, release()) }()
		}
		if perr != nil {
			return end, perr
		}
	}
	err = s.Run(inner, func(at dsv.Instant) {
		end.At = at
		if h.Live != nil && !end.Stopped {
			over(h.Live(at))
		}
	})
	if end.Stopped && ctx.Err() == nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return end, err
}

// Options say how a simulation is kept. The zero value keeps everything.
type Options struct {
	Hooks
	Version string // of Eve, for the summary
	// Keep says which variables' histories are kept; nil keeps all. A summary lacks what was not kept, and so do expressions.
	Keep func(n dsv.Name) bool
	// NoSummary leaves it out, which saves time where an expression is all that is asked.
	NoSummary bool
}

// A Result is what is left of one simulation.
type Result struct {
	End
	Plan    *scenario.Plan
	Summary *runs.Summary // nil with NoSummary
	History runs.History  // in memory
}

// Simulate runs a plan in virtual time, in memory: no folder, no pictures, no judgement of how it adapted. A simulation that
// a hook ended, or ctx, has the results up to there, and its summary says that it was interrupted; the error is the context's
// then. Equal plans give equal results, to the byte of the summary. It may be called from several goroutines, also with one
// plan.
func Simulate(ctx context.Context, plan *scenario.Plan, o Options) (*Result, error) {
	m := NewMemory(o.Keep)
	end, err := Run(ctx, plan, m.Space(), o.Hooks)
	if err != nil && (ctx.Err() == nil || end.At == 0) {
		return nil, err
	}
	r := &Result{End: end, Plan: plan, History: m}
	if !o.NoSummary {
		r.Summary = runs.Summarise(plan, m, runs.Extras{Version: o.Version, Kind: runs.Virtual, Interrupted: r.early()})
	}
	return r, err
}

// early says that the simulation did not come to its end.
func (r *Result) early() bool { return r.At < dsv.At(r.Plan.Duration) }

func (r *Result) reader() expr.Reader { return runs.Reader(r.Plan, r.History, r.early()) }

// Eval evaluates an expression over the measured window, as `expect` does: a condition is 1 or 0. NaN says that it is not
// known, because nothing was measured; an error, that the expression asks for what there is not.
func (r *Result) Eval(p *expr.Program) (float64, error) {
	v, err := p.Eval(r.reader())
	if err != nil {
		return 0, fmt.Errorf("evaluate %s: %w", p.Source(), err)
	}
	if !v.Known() {
		return nan, nil
	}
	return v.Number, nil
}

// Each calls do for each i from 0 to n-1, on at most workers goroutines at once; 0 is as many as there are processors. It
// waits for all. An error ends none of the others: those of all are joined, by i. When ctx ends, nothing more begins, and
// its error is joined as well. Whoever writes results by i has the same ones whatever the number of workers.
func Each(ctx context.Context, n, workers int, do func(ctx context.Context, i int) error) error {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	errs := make([]error, n+1)
	var next atomic.Int64
	var work sync.WaitGroup
	for range min(workers, n) {
		work.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				errs[i] = do(ctx, i)
			}
		})
	}
	work.Wait()
	if int(next.Load()) < n {
		errs[n] = ctx.Err()
	}
	return errors.Join(errs...)
}
