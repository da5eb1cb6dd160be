package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
)

// replicationsFile is the table of replications in their folder.
const replicationsFile = "replications.json"

// mostReplications bounds those of a goal: each is kept in memory and in a folder of its own.
const mostReplications = 10_000

// repeating are the flags of replications.
type repeating struct {
	count int
	until string
	most  int
}

func (r *repeating) flags(c *cobra.Command) {
	f := c.Flags()
	f.IntVarP(&r.count, "replications", "n", 0, "simulate `N` times, with seeds one after another, and tell every figure with its interval")
	f.StringVar(&r.until, "until", "", "replicate until `GOAL` is reached, as 'mean(crowd.latency) ± 1%', or a condition is decided, as 'p95(crowd.latency) < 2s'")
	f.IntVar(&r.most, "max", campaign.DefaultMost, "--until: at most `N` replications")
}

// asked says whether there is more than one.
func (r *repeating) asked() bool { return r.count != 0 || r.until != "" }

// check refuses what does not go together.
func (r *repeating) check(changed func(flag string) bool, f *findFlags) error {
	switch {
	case changed("until") && strings.TrimSpace(r.until) == "":
		return errors.New("--until is empty: want a goal, as 'mean(crowd.latency) ± 1%'")
	case changed("json") && !r.asked() && f.text == "":
		return errors.New("--json goes with --replications, --until or --find; of one simulation summary.json in its folder has the figures")
	case changed("replications") && (r.count < 2 || r.count > maxSeeds):
		return fmt.Errorf("--replications %d: want from 2 to %d", r.count, maxSeeds)
	case changed("max") && r.until == "":
		return errors.New("--max bounds the replications of --until; --replications says how many there are")
	case r.most < 2 || r.most > mostReplications:
		return fmt.Errorf("--max %d: want from 2 to %d", r.most, mostReplications)
	case r.until != "" && r.count > r.most:
		return fmt.Errorf("--replications %d: --until looks at --max %d at most: want fewer, or a greater --max", r.count, r.most)
	case r.asked() && f.text != "":
		return errors.New("--find searches a load, each probe with a seed of its own: it goes without --replications and --until")
	}
	return nil
}

// replicate does `eve sim SCENARIO --replications …`.
func (a *App) replicate(ctx context.Context, arg string, s settings, r repeating, jsonTo string) error {
	plan, err := a.load(arg, s.overrides)
	if err != nil {
		return err
	}
	if err := sim.Check(plan); err != nil {
		return wrong(err)
	}
	for _, w := range plan.Warnings {
		fmt.Fprintln(a.err, "warning:", w.Error())
	}
	a.notes(plan)
	study := campaign.Study{Seed: plan.Seed, Count: r.count, Most: r.most, Version: version()}
	if r.until != "" {
		g, err := campaign.ParseGoal(plan, r.until)
		if err != nil {
			return wrong(fmt.Errorf("--until %w", err))
		}
		study.Goal = &g
	}
	dir, err := runs.NewDir(s.out, plan.Name+"-replications", time.Now())
	if err != nil {
		return wrong(err)
	}
	a.study(&study, arg, s.overrides, dir)
	shown := a.progress(&study, s.quiet)
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as for one simulation
	t, err := study.Run(ctx)
	shown()
	if t == nil {
		_ = os.Remove(dir) // nothing was kept
		if ctx.Err() != nil {
			return &exitError{code: runs.ExitInterrupted, err: errors.New("interrupted before a replication had ended")}
		}
		return err
	}
	return a.replicated(ctx, t, dir, jsonTo, err)
}

// notes tells what of a plan has no effect in virtual time.
func (a *App) notes(plan *scenario.Plan) {
	for _, n := range sim.Notes(plan) {
		fmt.Fprintln(a.err, "note:", report.Clean(n))
	}
}

// study fills what a study of a scenario needs, and has each replication kept below dir.
func (a *App) study(x *campaign.Study, arg string, o overrides, dir string) {
	x.Plan = func(seed uint64) (*scenario.Plan, error) {
		return a.load(arg, o.seeded(seed))
	}
	x.Hooks = func(plan *scenario.Plan) campaign.Hooks {
		return campaign.Hooks{Prepare: connecting(plan, func(string) {})}
	}
	x.Done = func(ctx context.Context, r *campaign.Result) (err error) {
		r.Summary.Adaptation, err = judge.Run(ctx, r.Plan, r.History, r.Summary, judge.Options{Budget: -1})
		if err != nil {
			return err
		}
		env := runs.Here(version(), time.Now())
		env.Kind = runs.Virtual
		own := filepath.Join(dir, fmt.Sprintf("seed-%d", r.Plan.Seed))
		if err := runs.Keep(own, r.Plan, env, r.Summary); err != nil {
			return errors.Join(err, os.RemoveAll(own)) // half a run is none
		}
		return nil
	}
}

// progress has a study tell how far it is, on a terminal. The function that it returns ends that.
func (a *App) progress(x *campaign.Study, quiet bool) (end func()) {
	out := a.err
	if quiet {
		out = discard{}
	}
	v := newScreen(out)
	if !v.terminal() {
		return func() {}
	}
	began := time.Now()
	x.Progress = func(ended, wanted int) {
		v.show([]string{fmt.Sprintf("%d of %d replications, %s", ended, wanted, spell(time.Since(began)))})
	}
	return v.clear
}

// replicated keeps and tells the table. cause is what ended the replications early.
func (a *App) replicated(ctx context.Context, t *campaign.Table, dir, jsonTo string, cause error) error {
	interrupted := cause != nil && ctx.Err() != nil
	if interrupted {
		t.Exit, cause = runs.ExitInterrupted, nil
	}
	b, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("write replications: %w", err)
	}
	b = append(b, '\n')
	err = errors.Join(cause, runs.WriteIn(dir, replicationsFile, b))
	write := func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
	switch jsonTo {
	case "-":
		err = errors.Join(err, write(a.out))
	case "":
		err = errors.Join(err, report.ReplicationsText(a.out, t, dir))
	default:
		err = errors.Join(err, a.to(jsonTo, write), report.ReplicationsText(a.out, t, dir))
	}
	switch {
	case err != nil:
		return err
	case t.Exit != runs.ExitOK:
		return &exitError{code: t.Exit}
	}
	return nil
}
