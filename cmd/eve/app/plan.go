package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/plan"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
)

// planning are the flags of `eve plan`.
type planning struct {
	settings
	slo, load, vary []string
	fixed, noRun    bool
	share           string // --error
	budget, probe   time.Duration
	json            string
}

func (a *App) planCommand() *cobra.Command {
	var s planning
	c := &cobra.Command{
		Use:   "plan SCENARIO",
		Short: "Say how many servers an objective takes at a load, and where the bottleneck is",
		Long: "Say how many servers an objective takes at a load, where the bottleneck is and which one is behind it, how far the\n" +
			"cliff is, and what one server less does. The analytic model proposes counts, simulations in virtual time show that\n" +
			"they hold, and that fewer do not, and a run for real confirms both: three answers, side by side, with intervals.",
		Example: "  eve plan three-tier --slo 'p95(users.latency) < 300ms' --for clients.users.rate=400/s\n" +
			"  eve plan three-tier --slo 'p95 < 300ms' --for rate=400/s --vary app=2..20 --no-run\n" +
			"  eve plan software-bottleneck --slo 'p95 < 100ms' --vary services.app.pool.threads --no-run\n" +
			"  eve plan mm1 --slo 'p95(jobs.latency) < 200ms' --fixed",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return a.plan(c.Context(), args[0], s) },
	}
	s.flags(c)
	c.Flags().Lookup("out").Usage = "the folder of the runs that are made, of the pictures and of plan.json; default runs/plan-TIME, and with --no-run none"
	c.Flags().Lookup("duration").Usage = "how long each run for real takes, as `90s`; default as the scenario says"
	fl := c.Flags()
	fl.StringArrayVar(&s.slo, "slo", nil, "an objective: a `CONDITION` as 'p95(users.latency) < 300ms', also several joined by 'and'; may be repeated; default those of the scenario")
	fl.StringArrayVar(&s.load, "for", nil, "the load that is planned for: `PATH=VALUE`, as clients.users.rate=400/s; may be repeated")
	fl.StringArrayVar(&s.vary, "vary", nil, "what may be varied: the `PATH` of a count, perhaps with bounds, as servers.web.count=1..8; may be repeated; default all farms and replicas")
	fl.BoolVar(&s.fixed, "fixed", false, "vary nothing: search the largest load that the scenario carries as it is")
	fl.StringVar(&s.share, "error", "5%", "how far the demands may be off, either way: counts get an interval; `SHARE`, 0 for none")
	fl.DurationVar(&s.budget, "budget", 3*time.Minute, "how long all of it may take: what is optional is left out then")
	fl.DurationVar(&s.probe, "probe", 5*time.Minute, "longest simulation of one vector of counts, in virtual time")
	fl.BoolVar(&s.noRun, "no-run", false, "run nothing for real")
	fl.StringVar(&s.json, "json", "", "print the answer as JSON, or write it to `FILE`: --json, --json=FILE")
	fl.Lookup("json").NoOptDefVal = "-"
	return c
}

// question makes a question of the flags.
func (a *App) question(arg string, s *planning) (plan.Question, error) {
	q := plan.Question{Vary: s.vary, Fixed: s.fixed, Set: s.load, Probe: s.probe}
	q.Load = func(set []string) (*scenario.Plan, error) {
		// --duration and --seed are those of the runs for real: simulations, whose length and seed come behind, have their own.
		o := s.overrides
		o.set = append([]string(nil), o.set...)
		if o.duration > 0 {
			o.set, o.duration = append(o.set, fmt.Sprintf("duration=%gs", o.duration.Seconds())), 0
		}
		if o.seed >= 0 {
			o.set, o.seed = append(o.set, fmt.Sprintf("seed=%d", o.seed)), -1
		}
		o.set = append(o.set, set...)
		return a.load(arg, o)
	}
	share, percent := strings.CutSuffix(s.share, "%")
	x, err := strconv.ParseFloat(strings.TrimSpace(share), 64)
	if percent {
		x /= 100
	}
	if err != nil || !(x >= 0 && x < 1) {
		return q, fmt.Errorf("--error %s: want a share from 0 to below 1, as 5%% or 0.05", s.share)
	}
	q.Error = x
	switch {
	case s.fixed && len(s.vary) > 0:
		return q, errors.New("--fixed varies nothing: it does not go with --vary")
	case s.budget <= 0:
		return q, fmt.Errorf("--budget %v: want a time above 0, as 3m", s.budget)
	}
	for _, text := range s.slo {
		ls, err := find.ParseLimits(text)
		if err != nil {
			return q, fmt.Errorf("--slo: %w", err)
		}
		q.Limits = append(q.Limits, ls...)
	}
	for _, l := range s.load {
		if path, value, ok := strings.Cut(l, "="); !ok || path == "" || value == "" {
			return q, fmt.Errorf("--for %s: want PATH=VALUE, as clients.users.rate=400/s", l)
		}
	}
	return q, nil
}

// objectives are those of the scenario that a planner understands: bounds of quantiles, means and errors.
func objectives(p *scenario.Plan) []find.Limit {
	var out []find.Limit
	for _, e := range p.Objectives() {
		if ls, err := find.ParseLimits(e.Text); err == nil {
			for _, l := range ls {
				if plan.Understood(l) {
					out = append(out, l)
				}
			}
		}
	}
	return out
}

// plan does `eve plan`.
func (a *App) plan(ctx context.Context, arg string, s planning) error {
	q, err := a.question(arg, &s)
	if err != nil {
		return wrong(fmt.Errorf("plan: %w", err))
	}
	begun := time.Now()
	now, err := q.Load(q.Set)
	if err != nil {
		return err
	}
	if err := sim.Check(now); err != nil {
		return wrong(fmt.Errorf("plan: %w; measure it and make demands of what was measured: eve fit", err))
	}
	if q.Limits = append(q.Limits, defaultObjectives(q.Limits, now)...); len(q.Limits) == 0 {
		return wrong(errors.New("plan: say what is wanted, as --slo 'p95(users.latency) < 300ms': the scenario has no `slo:` that bounds response times"))
	}
	p, err := plan.New(q)
	if err != nil {
		if errors.Is(err, plan.ErrQuestion) {
			err = wrong(fmt.Errorf("plan: %w", err))
		}
		return err
	}
	given := s.fixed
	if len(p.Tiers()) == 0 {
		s.fixed = true
	}
	if s.out == "" && !s.noRun {
		s.out = filepath.Join(runs.DefaultRoot, "plan-"+time.Now().Format("20060102-150405"))
	}
	x := planRun{a: a, arg: arg, s: &s, p: p, plan: now, begun: begun, say: a.out}
	if len(p.Tiers()) == 0 && !given {
		x.notes = append(x.notes, "nothing was varied: the scenario has no farm (servers with a `count`) and no service with `replicas`; name a count by --vary")
	}
	if len(now.Adapt.Controls) > 0 {
		x.notes = append(x.notes, "the scenario's controllers go on while it is planned for, and may change what is counted")
	}
	return x.run(ctx)
}

func defaultObjectives(given []find.Limit, p *scenario.Plan) []find.Limit {
	if len(given) > 0 {
		return nil
	}
	return objectives(p)
}

// A planRun is one answer in the making.
type planRun struct {
	a     *App
	arg   string
	s     *planning
	p     *plan.Planner
	plan  *scenario.Plan
	begun time.Time
	say   io.Writer
	n     int
	notes []string
	bad   []string // of the runs for real, what they say of the generator and the like
}

// load is what is planned for, in words.
func (x *planRun) load() string {
	if len(x.s.load) > 0 {
		return strings.Join(x.s.load, ", ")
	}
	return "the scenario's load"
}

func (x *planRun) run(ctx context.Context) error {
	s := x.s
	switch {
	case s.quiet:
		x.say = io.Discard
	case s.json == "-":
		x.say = x.a.err
	}
	if s.out != "" { // before any work is done
		if err := x.claim(); err != nil {
			return err
		}
	}
	reserve := time.Duration(0)
	steps := plan.Steps{Say: x.step, Knee: true, Scaling: !s.fixed, Curves: s.out != ""}
	if !s.noRun {
		length := x.plan.Duration
		if s.duration > 0 {
			length = s.duration
		}
		each := length + 8*time.Second
		for reserve < 2*each && reserve+each < s.budget*9/10 { // the rest is for simulations
			reserve += each
		}
		steps.Emulate = func(ctx context.Context, c plan.Counts, less bool) (*plan.Point, error) {
			if reserve < each {
				return nil, nil
			}
			reserve -= each
			return x.emulate(ctx, c, less)
		}
	}
	steps.Left = func() time.Duration { return s.budget - reserve - time.Since(x.begun) }
	r, err := x.p.Run(ctx, steps)
	interrupted := ctx.Err() != nil
	if err != nil && !interrupted {
		if r == nil || len(r.Points) == 0 {
			return err
		}
		x.notes = append(x.notes, "it could not be ended, and the answer is as far as it came: "+err.Error())
		return errors.Join(err, x.tell(r, interrupted))
	}
	if err := x.tell(r, interrupted); err != nil {
		return err
	}
	return x.verdict(r, interrupted)
}

// claim makes the folder of the answer, and refuses one that has runs already.
func (x *planRun) claim() error {
	if err := os.MkdirAll(x.s.out, 0o755); err != nil {
		return fmt.Errorf("plan: --out: %w", err)
	}
	for _, name := range []string{answerFolder, lessFolder} {
		dir := filepath.Join(x.s.out, name)
		if _, err := os.Stat(dir); err == nil && !x.s.noRun {
			return wrong(fmt.Errorf("plan: --out %s: %s is there already: give another folder", x.s.out, dir))
		}
	}
	return nil
}

// The folders of the runs for real.
const (
	answerFolder = "answer"
	lessFolder   = "less"
)

// step tells what is done.
func (x *planRun) step(s plan.Step) {
	if s.Point == nil {
		fmt.Fprintln(x.say, s.Text)
		return
	}
	x.n++
	fmt.Fprintln(x.say, report.PlanStep(x.n, x.p.Tiers(), x.p.Limits(), *s.Point))
}

// emulate runs counts for real, into a folder of their own.
func (x *planRun) emulate(ctx context.Context, c plan.Counts, less bool) (_ *plan.Point, err error) {
	name := answerFolder
	if less {
		name = lessFolder
	}
	o := x.s.overrides
	o.set = append(append([]string(nil), o.set...), x.p.Sets(c)...)
	loaded, err := x.a.load(x.arg, o)
	if err != nil {
		return nil, err
	}
	r, err := x.a.perform(ctx, loaded, filepath.Join(x.s.out, name), runs.Real, nil, newView(loaded, discard{}))
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if r.summary.Exit == runs.ExitFailed {
		return nil, r.failure()
	}
	for _, name := range r.summary.Groups() {
		if r.summary.Clients[name].GeneratorLimited {
			x.bad = append(x.bad, fmt.Sprintf("%s: the clients %s did not keep their plan: the host is too busy, and the emulation tells of that too", r.dir, name))
		}
	}
	f, err := runs.Open(r.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	point, err := x.p.Judge(loaded, f.History(), c, plan.Emulated, r.summary.Interrupted)
	return &point, err
}

// tell writes the answer where it is wanted.
func (x *planRun) tell(r *plan.Result, interrupted bool) error {
	j := planJSON(x.plan.Name, x.load(), r, interrupted)
	var dir string
	if x.s.out != "" {
		var err error
		if dir, err = x.keep(r, j); err != nil {
			return err
		}
	}
	if x.s.json != "" && x.s.json != "-" {
		if err := x.a.to(x.s.json, func(w io.Writer) error { return writeJSON(w, j) }); err != nil {
			return err
		}
	}
	if x.s.json == "-" {
		return writeJSON(x.a.out, j)
	}
	if !x.s.quiet {
		fmt.Fprintln(x.a.out)
	}
	if err := report.PlanText(x.a.out, x.plan.Name, x.load(), r); err != nil {
		return err
	}
	for _, b := range append(x.notes, x.bad...) {
		fmt.Fprintln(x.a.out, folded("  ", "note: "+report.Clean(b)))
	}
	if interrupted {
		fmt.Fprintln(x.a.out, "interrupted: the answer is as far as it came")
	}
	if dir != "" {
		fmt.Fprintf(x.a.out, "\nreport  %s\n", filepath.Join(dir, report.PageFile))
	}
	return nil
}

// keep writes plan.json, the page and its pictures.
func (x *planRun) keep(r *plan.Result, j jsonPlan) (string, error) {
	if err := os.MkdirAll(x.s.out, 0o755); err != nil {
		return "", err
	}
	files, err := report.PlanFiles(x.plan.Name, x.load(), r, x.plan.Text)
	for _, f := range files {
		if werr := os.WriteFile(filepath.Join(x.s.out, f.Name), f.Content, 0o644); werr != nil {
			return "", errors.Join(err, werr)
		}
	}
	if err != nil {
		return "", err
	}
	return x.s.out, x.a.to(filepath.Join(x.s.out, "plan.json"), func(w io.Writer) error { return writeJSON(w, j) })
}

// verdict is how the command ends: well, when counts were shown to hold and the run for real does not speak against them.
func (x *planRun) verdict(r *plan.Result, interrupted bool) error {
	fails := r.Unreachable != "" || r.Emulate != nil && r.Emulate.Verdict == find.Fail
	if x.s.fixed || len(r.Tiers) == 0 {
		fails = r.Knee == nil || r.Knee.Holds == 0 && r.Knee.Analytic == 0
	}
	ends := runs.Ends{Interrupted: interrupted, GeneratorLimited: len(x.bad) > 0, ExpectFailed: fails}
	if code := ends.Exit(); code != runs.ExitOK {
		return &exitError{code: code}
	}
	return nil
}
