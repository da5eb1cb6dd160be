package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/internal/mono"
)

var nan = math.NaN()

// settings are the flags of the commands that execute a scenario.
type settings struct {
	overrides
	out   string
	quiet bool
}

func (s *settings) flags(c *cobra.Command) {
	s.overrides.flags(c)
	c.Flags().StringVar(&s.out, "out", "", "the run folder; default runs/SCENARIO-TIME")
	c.Flags().BoolVar(&s.quiet, "quiet", false, "print the summary only")
}

func (a *App) runCommand() *cobra.Command {
	var s settings
	c := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "Run a scenario for real: a file, or a shipped one by name",
		Long: "Run a scenario for real: every server is a process with sockets and event loops, every client really asks.\n" +
			"The run folder then holds the measurements, the summary, the report and its pictures.",
		Example: "  eve run flash-crowd\n  eve run mine.yaml --duration 10s --seed 3 --set clients.crowd.patience=2s",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return a.execute(c.Context(), args[0], s, runs.Real)
		},
	}
	s.flags(c)
	return c
}

func (a *App) simCommand() *cobra.Command {
	var s settings
	c := &cobra.Command{
		Use:   "sim SCENARIO",
		Short: "Run a scenario in virtual time, into the same run folder",
		Long: "Run a scenario in virtual time: the same cores, stepped by a simulator. Demands are held, whatever the scenario\n" +
			"says, and the same seed gives the same bytes.",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return a.execute(c.Context(), args[0], s, runs.Virtual)
		},
	}
	s.flags(c)
	return c
}

// execute runs a scenario into a run folder, and reports.
func (a *App) execute(ctx context.Context, arg string, s settings, kind runs.Kind) error {
	plan, err := a.load(arg, s.overrides)
	if err != nil {
		return err
	}
	for _, w := range plan.Warnings {
		fmt.Fprintln(a.err, "warning:", w.Error())
	}
	out := a.out
	if s.quiet {
		out = discard{}
	}
	r, err := a.perform(ctx, plan, s.out, kind, newView(plan, out))
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	if err := report.Text(a.out, r.summary, r.page); err != nil {
		return err
	}
	return r.failure()
}

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

// perform executes a plan into the run folder dir, by default one of its own. An execution that failed or was interrupted
// has an outcome too; the error is of what keeps it from having one.
func (a *App) perform(ctx context.Context, plan *scenario.Plan, dir string, kind runs.Kind, v *view) (*outcome, error) {
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
	if kind == runs.Virtual {
		err = a.simulate(ctx, plan, folder, v)
	} else {
		err = a.emulate(ctx, plan, folder, v, &x, &env)
	}
	v.done()
	if err != nil {
		x.Interrupted = errors.Is(err, context.Canceled)
		if !x.Interrupted {
			x.Error = err.Error()
		}
	}
	env.End = new(time.Now())
	return conclude(plan, folder, x, env)
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// conclude writes what follows from the measurements, whatever became of the run.
func conclude(plan *scenario.Plan, folder *runs.Folder, x runs.Extras, env runs.Environment) (*outcome, error) {
	r := &outcome{dir: folder.Dir(), summary: runs.Summarise(plan, folder.History(), x), noise: env.Noise}
	err := errors.Join(folder.Finish(r.summary), folder.WriteEnvironment(env))
	page, perr := report.Write(folder, r.summary)
	r.page = page
	if err = errors.Join(err, perr, folder.Close()); err != nil {
		if x.Error != "" {
			err = errors.Join(errors.New(x.Error), err)
		}
		return nil, err
	}
	return r, nil
}

func (a *App) simulate(ctx context.Context, plan *scenario.Plan, folder *runs.Folder, v *view) error {
	store := dsv.NewStore(folder.Store())
	s, err := sim.New(ctx, plan, store)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	vctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var now dsv.Instant
	var mu sync.Mutex // guards now
	wg.Go(func() {
		_ = v.follow(vctx, store, func() dsv.Instant {
			mu.Lock()
			defer mu.Unlock()
			return now
		})
	})
	err = s.Run(ctx, func(at dsv.Instant) {
		mu.Lock()
		now = at
		mu.Unlock()
	})
	stop()
	wg.Wait()
	return errors.Join(err, store.Close())
}

func (a *App) emulate(ctx context.Context, plan *scenario.Plan, folder *runs.Folder, v *view, extras *runs.Extras, env *runs.Environment) error {
	e, err := newExecution(a, plan, folder.Store(), folder.Dir(), v.say)
	if err != nil {
		return err
	}
	probe := runs.StartProbe()
	wall := time.Now()
	vctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	err = e.run(ctx, func(t0 int64) {
		wall = time.Now().Add(time.Duration(t0 - mono.Now()))
		wg.Go(func() {
			_ = v.follow(vctx, e.kernel.Space(), func() dsv.Instant { return dsv.Instant(mono.Now() - t0) })
		})
	})
	stop()
	wg.Wait()
	env.Noise = probe.Stop(wall)
	err = errors.Join(err, e.kernel.Close())
	modules, died := e.modules()
	extras.Modules = modules
	if err == nil && died != "" {
		err = errors.New(died)
	}
	return err
}

// readings are figures by expression, as people read them.
func readings[N ~float64](m map[string]N) string {
	var parts []string
	for k, x := range m {
		parts = append(parts, fmt.Sprintf("%s = %.4g", k, float64(x)))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
