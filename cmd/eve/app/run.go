package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
)

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
			return a.execute(c.Context(), args[0], s, runs.Real, nil)
		},
	}
	s.flags(c)
	return c
}

func (a *App) simCommand() *cobra.Command {
	var s settings
	var f findFlags
	var r repeating
	var vary, to, overhead string
	c := &cobra.Command{
		Use:   "sim SCENARIO",
		Short: "Run a scenario in virtual time, into the same run folder",
		Long: "Run a scenario in virtual time: the same cores, stepped by a simulator. Demands are held, whatever the scenario\n" +
			"says, and the same seed gives the same bytes.\n\n" +
			"With --replications it is simulated many times, with seeds one after another, on all processors: every figure then has\n" +
			"an interval over replications, and so are the conditions of expect judged. --until goes on until a figure is known well\n" +
			"enough, or a condition is decided.\n\n" +
			"With --find the highest rate, or number of users, is searched at which a condition holds; then there is no run folder.",
		Example: "  eve sim flash-crowd\n  eve sim mm1 --replications 20\n  eve sim mm1 --until 'mean(jobs.latency) ± 1%'\n" +
			"  eve sim mm1 --find 'p99(jobs.latency) < 200ms'",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := r.check(c.Flags().Changed, &f); err != nil {
				return wrong(fmt.Errorf("sim: %w", err))
			}
			f.vary, f.json = vary, to
			if c.Flags().Changed("overhead") {
				var err error
				if s.overrides, err = a.charge(c.Context(), args[0], overhead, s.overrides, s.quiet); err != nil {
					return err
				}
			}
			if r.asked() {
				return a.replicate(c.Context(), args[0], s, r, to)
			}
			if f.text != "" {
				return a.findSimulated(c.Context(), args[0], s, f)
			}
			return a.execute(c.Context(), args[0], s, runs.Virtual, nil)
		},
	}
	s.flags(c)
	f.flags(c, "rate, or number of users,", virtualProbe)
	r.flags(c)
	c.Flags().StringVar(&overhead, "overhead", "", "what each call takes beside its demands: a `DELAY`, as 200us, or the folder of a run for real, in which it is measured")
	c.Flags().StringVar(&vary, "vary", "", "--find: the `PATH` of what is varied; default clients.GROUP.rate, or users, of the condition's group")
	c.Flags().StringVar(&to, "json", "", "--find, --replications, --until: print the result as JSON, or write it to `FILE`: --json, --json=FILE")
	c.Flags().Lookup("json").NoOptDefVal = "-"
	return c
}

// execute runs a scenario into a run folder, with modules of its own or started by hand, and reports.
func (a *App) execute(ctx context.Context, arg string, s settings, kind runs.Kind, h *hand) error {
	plan, err := a.load(arg, s.overrides)
	if err != nil {
		return err
	}
	for _, w := range plan.Warnings {
		fmt.Fprintln(a.err, "warning:", w.Error())
	}
	if kind == runs.Virtual {
		a.notes(plan)
	}
	out := a.out
	if s.quiet {
		out = discard{}
	}
	r, err := a.perform(ctx, plan, s.out, kind, h, newView(plan, out))
	if r == nil {
		return err
	}
	fmt.Fprintln(out)
	if terr := report.Text(a.out, r.summary, r.page); terr != nil {
		return errors.Join(err, terr)
	}
	if err != nil {
		return &exitError{code: runs.ExitFailed, err: errors.Join(r.failure(), brief(err))}
	}
	return r.failure()
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
