package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/fit"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
)

// fitting are the flags of `eve fit`.
type fitting struct {
	fit.Options
	warmup   time.Duration
	predict  []string
	out      string
	scenario string
	law      string
	cpus     int
	json     string
}

func (a *App) fitCommand() *cobra.Command {
	var s fitting
	c := &cobra.Command{
		Use:   "fit RUN [RUN…]",
		Short: "Estimate what requests demand of servers, from the load and the utilisation of runs",
		Long: "Estimate what requests demand of servers: the processor time of each kind of request at each server or target, and the\n" +
			"bytes that a target answers, by a regression of use on throughput, with intervals. RUN is a run folder, a folder of run\n" +
			"folders, or a pattern of them. Kinds of requests can only be told apart where they vary: run a target at a few mixes of\n" +
			"them and fit all runs together.\n\n" +
			"With --predict the demands are held against runs that they were not fitted to. --out writes them as RDR, --scenario a\n" +
			"whole scenario with emulated servers in the place of the targets, for eve check, sim, solve and plan.",
		Example: "  eve fit runs/mix-1 runs/mix-2 runs/mix-3\n  eve fit 'runs/mix-*' --predict runs/other\n" +
			"  eve fit 'runs/mix-*' --out demands.rdr --scenario fitted.yaml",
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return a.fit(c.Context(), args, s) },
	}
	f := c.Flags()
	f.StringArrayVar(&s.predict, "predict", nil, "predict what `RUN` used, from its throughputs, and tell how far that is off; may be repeated")
	f.StringVar(&s.out, "out", "", "write the demands as RDR to `FILE`")
	f.StringVar(&s.scenario, "scenario", "", "write a scenario with emulated servers in the place of the targets to `FILE`")
	f.StringVar(&s.law, "law", "constant", "of the demands that are written: constant or exp; what is fitted is their mean")
	f.IntVar(&s.cpus, "cpus", 0, "processors of the servers that are written; default what the target's configuration keeps busy, or 1")
	f.DurationVar(&s.Batch, "batch", 0, "how long a batch is; default as the runs allow")
	f.BoolVar(&s.Background, "background", false, "estimate what is used without any request, too")
	f.DurationVar(&s.warmup, "warmup", 0, "leave out so much of the beginning of each run; default the scenario's warm-up")
	f.Float64Var(&s.Confidence, "confidence", 0.95, "of the intervals, between 0.5 and 1")
	f.StringVar(&s.json, "json", "", "print the fit as JSON, or write it to `FILE`: --json, --json=FILE")
	f.Lookup("json").NoOptDefVal = "-"
	return c
}

// check refuses flags that are out of their range.
func (s *fitting) check() error {
	switch {
	case !(s.Confidence >= 0.5 && s.Confidence < 1):
		return fmt.Errorf("--confidence %g: want a share from 0.5 to below 1", s.Confidence)
	case s.Batch < 0:
		return fmt.Errorf("--batch %v: want a time above 0", s.Batch)
	case s.law != "constant" && s.law != "exp":
		return fmt.Errorf("--law %s: want constant or exp", s.law)
	case s.cpus < 0:
		return fmt.Errorf("--cpus %d: want a number above 0", s.cpus)
	case s.warmup < 0:
		return fmt.Errorf("--warmup %v: want a time from 0", s.warmup)
	}
	return nil
}

// A fitReport is what `eve fit --json` writes.
type fitReport struct {
	*fit.Fit
	Predicted []predicted `json:"predicted,omitempty"`
}

// predicted is a run that was predicted.
type predicted struct {
	Run       string           `json:"run"`
	Resources []fit.Prediction `json:"resources"`
}

func (a *App) fit(ctx context.Context, args []string, s fitting) error {
	if err := s.check(); err != nil {
		return wrong(fmt.Errorf("fit: %w", err))
	}
	fitted, err := a.recordings(ctx, args, s.warmup)
	if err != nil {
		return err
	}
	others, err := a.recordings(ctx, s.predict, s.warmup)
	if err != nil {
		return err
	}
	f, err := fit.Estimate(fitted, s.Options)
	if err != nil {
		return wrong(err)
	}
	out := fitReport{Fit: f}
	for _, r := range others {
		ps, err := f.Check(r)
		if err != nil {
			return wrong(err)
		}
		out.Predicted = append(out.Predicted, predicted{r.Name, ps})
	}
	if err := a.writeFit(f, s); err != nil {
		return err
	}
	if s.json == "-" {
		return writeFitJSON(a.out, out)
	}
	if s.json != "" {
		if err := a.to(s.json, func(w io.Writer) error { return writeFitJSON(w, out) }); err != nil {
			return err
		}
	}
	return fitText(a.out, out)
}

// recordings reads the runs that arguments name.
func (a *App) recordings(ctx context.Context, args []string, warmup time.Duration) ([]*fit.Recording, error) {
	var out []*fit.Recording
	for _, arg := range args {
		dirs, err := runFolders(arg)
		if err == nil && len(dirs) == 0 {
			err = fmt.Errorf("%s: no run folder", arg)
		}
		if err != nil {
			return nil, wrong(fmt.Errorf("fit: %w", err))
		}
		for _, dir := range dirs {
			if ctx.Err() != nil {
				return nil, &exitError{code: runs.ExitInterrupted}
			}
			err := a.reading(dir, func(f *runs.Folder) error {
				r, err := a.recording(f, warmup)
				out = append(out, r)
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// recording reads one run: of one that was cut off, what there is.
func (a *App) recording(f *runs.Folder, warmup time.Duration) (*fit.Recording, error) {
	if err := f.Damage(); err != nil {
		return nil, fmt.Errorf("fit %s: %w", f.Dir(), err)
	}
	plan, err := f.Plan(a.kinds(), a.registry.Manipulators()...)
	if err != nil {
		return nil, err
	}
	s, err := f.SummaryOrRescue(a.kinds(), a.registry.Manipulators()...)
	if err != nil {
		return nil, err
	}
	if warmup == 0 {
		warmup = plan.Warmup
	}
	end := dsv.At(time.Duration(float64(s.Window.To) * float64(time.Second)))
	r, err := fit.Read(f.Dir(), f.History(), plan, dsv.At(warmup), end)
	if errors.Is(err, fit.ErrNoRequests) || errors.Is(err, fit.ErrNoUse) {
		return nil, wrong(err)
	}
	return r, err
}

// writeFit writes what the flags ask for.
func (a *App) writeFit(f *fit.Fit, s fitting) error {
	w := fit.Writing{
		Exponential: s.law == "exp", CPUs: s.cpus,
		Load: scenario.Options{Kinds: a.kinds(), Manipulators: a.registry.Manipulators()},
	}
	if s.out != "" {
		text, err := f.RDR(w)
		if err != nil {
			return wrong(err)
		}
		if err := a.writeText(s.out, text); err != nil {
			return err
		}
	}
	if s.scenario != "" {
		text, left, err := f.Scenario(w)
		if err != nil {
			return wrong(err)
		}
		for _, l := range left {
			fmt.Fprintf(a.err, "%s leaves out %s\n", filepath.Base(s.scenario), l)
		}
		return a.writeText(s.scenario, text)
	}
	return nil
}

func (a *App) writeText(file string, text []byte) error {
	return a.to(file, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

func writeFitJSON(w io.Writer, r fitReport) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("write fit: %w", err)
	}
	return nil
}
