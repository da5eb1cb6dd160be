package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/cmd/eve/bench"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// A truthCase is a shipped scenario of one open group and one service, of which the exact path of every request is known.
type truthCase struct {
	name     string
	scenario string
	set      []string // overrides
	real     bool     // run for real too
	path     func(servers int, jobs []exact.Job) []dsv.Instant
	slack    time.Duration // by which virtual time may deviate: processor sharing rounds each departure up to the nanosecond
}

func truthCases() []truthCase {
	return []truthCase{
		{name: "mm1", scenario: "mm1", path: exact.FCFS, real: true},
		{name: "mm2", scenario: "mm1", path: exact.FCFS, set: []string{"servers.server_1.cpus=2", "clients.jobs.rate=140/s"}},
		{name: "mm1_ps", scenario: "mm1", path: exact.PS, set: []string{"servers.server_1.discipline=ps"}, slack: time.Microsecond},
		{name: "mm1_sjf", scenario: "mm1", path: exact.SJF, set: []string{"servers.server_1.discipline=sjf"}},
	}
}

// truth is one `eve bench truth`.
type truth struct {
	app      *App
	cases    []truthCase
	seeds    []int64
	duration time.Duration
	out      string // folder of the run folders
	kept     bool   // it stays
	verdicts []verdict

	systems             []system // of T0 and T1
	facts               []fact   // of virtual time
	load, burn, hundred bool     // these parts too
	agree               bool     // simulation and run too
	sim                 bool     // nothing but theory and virtual time
	claims              []claim
	tier                []int         // of the systems
	quick               bool          // of the clients: small settings
	report              *bench.Report // of the clients
	files               []string      // that it left
}

func (a *App) truthCommand() *cobra.Command {
	var only []string
	var out string
	var keep bool
	t := &truth{app: a}
	c := &cobra.Command{
		Use:   "truth",
		Short: "Compare what Eve measures with theory and with the exact path of the same requests",
		Long: "Compare what Eve measures with theory and with the exact path of the same requests, one by one.\n\n" +
			"E1 to E17 are queueing systems of which theory knows the mean response. Their exact paths are held against it over so many\n" +
			"requests that the standard error is 0.5 %, and must be within four of them. In virtual time every request of all of them,\n" +
			"side by side, must be on its path; and for real, on sockets, on the path of what the servers had read.\n\n" +
			"Arrivals and demands are keyed, so the departure of every request from an ideal server can be computed. In virtual\n" +
			"time Eve must hit it to the nanosecond. For real, the mean difference must lie within 3 % or 0.5 ms, whichever is\n" +
			"more, with its whole confidence interval. Seconds in which the machine was disturbed do not count; with less than\n" +
			"80 % of the seconds clean the run is not certified, whatever it measured.\n\n" +
			"The case burn is what is really consumed: CPU time, idle and against competitors, disk, memory, and a queue that burns its\n" +
			"demands. The case hundred is a hundred emulated servers at 140 requests/s each, and where their truth ends.\n\n" +
			"The case agree runs the scenario flash-crowd, and holds its settled phases and its decisions against its simulation.\n\n" +
			"--sim is all that takes no sockets: theory, virtual time, E18 (retries) and E20 (one seed, the same bytes). It has to pass anywhere.\n\n" +
			"The case load is the clients: whether arrivals keep their instants and their law (G1), whether a server that stands\n" +
			"still shows (G2), whether answers that never come count (G3), open against closed at the same throughput beside theory\n" +
			"(G4), and whether they say that they are the limit before a quantile moves (G5).\n\n" +
			"Exit code: 0 all pass; 5 a run is not certified or not conclusive, whatever the others say; 3 something differs.",
		Example: "  eve bench truth\n  eve bench truth --sim\n  eve bench truth --only E1,E4,burn\n  eve bench truth --only load --out truth\n  eve bench truth --only mm1 --seeds 7 --duration 120s --out truth",
		Args:    args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if err := t.choose(only); err != nil {
				return wrong(err)
			}
			t.out, t.kept = out, out != "" || keep
			if out == "" {
				if t.out, err = os.MkdirTemp("", "eve-truth-"); err != nil {
					return err
				}
				if keep {
					defer func() { fmt.Fprintln(a.out, "run folders:", t.out) }()
				} else {
					defer func() { err = errors.Join(err, os.RemoveAll(t.out)) }()
				}
			}
			err = t.run(c.Context())
			err = errors.Join(t.tellClients(), err)
			t.tellClaims()
			t.tell()
			if c.Context().Err() != nil {
				return &exitError{code: runs.ExitInterrupted}
			}
			if err != nil {
				return err
			}
			return t.exit()
		},
	}
	f := c.Flags()
	f.StringSliceVar(&only, "only", nil, "only these cases, of: "+strings.Join(caseNames(), ", "))
	f.Int64SliceVar(&t.seeds, "seeds", []int64{1, 2, 3}, "the seeds")
	f.DurationVar(&t.duration, "duration", time.Minute, "length of each run, 5 s of warm-up included")
	f.StringVar(&out, "out", "", "where to leave the run folders; default a temporary folder, removed at the end")
	f.BoolVar(&keep, "keep", false, "leave the temporary folder")
	f.IntSliceVar(&t.tier, "tier", []int{0, 1}, "E1 to E17: 0 for theory and virtual time, 1 for sockets")
	f.BoolVar(&t.sim, "sim", false, "theory and virtual time alone: E1 to E20, and mm1 to mm1_sjf")
	f.BoolVar(&t.quick, "quick", false, "load: small settings, which try the machinery and measure nothing")
	return c
}

func caseNames() []string {
	var names []string
	for _, c := range truthCases() {
		names = append(names, c.name)
	}
	for _, s := range systems() {
		if !slices.Contains(names, s.card) {
			names = append(names, s.card)
		}
	}
	for _, x := range facts() {
		names = append(names, x.card)
	}
	return append(names, burnCase, hundredCase, loadCase, agreeCase)
}

func (t *truth) choose(only []string) error {
	all := func(name string) bool { return len(only) == 0 || slices.Contains(only, name) }
	t.cases, t.systems = truthCases(), slices.DeleteFunc(systems(), func(s system) bool { return !all(s.card) })
	t.facts = slices.DeleteFunc(facts(), func(f fact) bool { return !all(f.card) || !slices.Contains(t.tier, 0) })
	t.load, t.burn, t.hundred, t.agree = all(loadCase), all(burnCase), all(hundredCase), all(agreeCase)
	if t.sim {
		t.load, t.burn, t.hundred, t.agree, t.tier = false, false, false, false, []int{0}
		for i := range t.cases {
			t.cases[i].real = false
		}
	}
	if len(only) == 0 { // mm1 is among the systems
		t.cases[0].real = false
	} else {
		for _, name := range only {
			if !slices.Contains(caseNames(), name) {
				return fmt.Errorf("--only %s: no such case; there are: %s", name, strings.Join(caseNames(), ", "))
			}
		}
		t.cases = slices.DeleteFunc(t.cases, func(c truthCase) bool { return !slices.Contains(only, c.name) })
	}
	switch {
	case slices.ContainsFunc(t.tier, func(n int) bool { return n != 0 && n != 1 }):
		return errors.New("--tier: 0, 1 or both")
	case len(t.seeds) == 0:
		return errors.New("--seeds: none")
	case slices.Min(t.seeds) < 0:
		return errors.New("--seeds: at least 0")
	case t.duration < 10*time.Second:
		return fmt.Errorf("--duration %v: at least 10s", t.duration)
	}
	return nil
}

// run executes everything: first all that takes no time.
func (t *truth) run(ctx context.Context) error {
	for _, kind := range []runs.Kind{runs.Virtual, runs.Real} {
		for _, c := range t.cases {
			for _, seed := range t.seeds {
				if kind == runs.Real && !c.real {
					continue
				}
				if err := t.one(ctx, c, seed, kind); err != nil {
					return err
				}
			}
		}
	}
	for _, part := range []struct {
		on  bool
		run func(context.Context) error
	}{{len(t.facts) > 0, t.factual}, {len(t.systems) > 0, t.tiers}, {t.agree, t.agrees}, {t.burn, t.burning}, {t.hundred, t.hundredServers}, {t.load, t.clients}} {
		if part.on {
			if err := part.run(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// one executes a case once and judges it.
func (t *truth) one(ctx context.Context, c truthCase, seed int64, kind runs.Kind) error {
	plan, err := t.app.load(c.scenario, overrides{set: c.set, duration: t.duration, seed: seed})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%s %s, seed %d", c.name, kind, seed)
	if kind == runs.Real {
		fmt.Fprintf(t.app.err, "%s: %v …\n", what, t.duration)
	}
	dir := filepath.Join(t.out, fmt.Sprintf("%s-%s-seed%d", c.name, kind, seed))
	o, err := t.app.perform(ctx, plan, dir, kind, nil, newView(plan, discard{}))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	switch o.summary.Exit {
	case runs.ExitInterrupted, runs.ExitFailed:
		return fmt.Errorf("%s: %w", what, o.failure())
	}
	p, err := pair(plan, c, o)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	v := verdict{name: c.name, kind: kind, seed: seed}
	if kind == runs.Virtual {
		p.judgeVirtual(&v, c.slack)
	} else {
		p.judgeReal(&v, len(t.seeds))
		t.samePlan(&v)
	}
	t.verdicts = append(t.verdicts, v)
	return nil
}

// samePlan holds a run's plan against that of its simulation.
func (t *truth) samePlan(v *verdict) {
	for _, w := range t.verdicts {
		if w.name == v.name && w.seed == v.seed && w.kind == runs.Virtual {
			v.check(v.sha256 == w.sha256, "its arrivals_sha256 differs from that of the simulation")
		}
	}
}

// exit is how the command ends, in the order of all exit codes: a run that is not certified comes before one that differs.
func (t *truth) exit() error {
	var e runs.Ends
	if t.report != nil {
		e = t.report.Ends()
	}
	for _, c := range t.claims {
		e.ExpectFailed = e.ExpectFailed || c.verdict == stat.Fail
		e.NotCertified = e.NotCertified || c.verdict == notCertified
	}
	for _, v := range t.verdicts {
		switch v.verdict {
		case stat.Pass, breaks:
		case stat.Fail:
			e.ExpectFailed = true
		default:
			e.NotCertified = true
		}
	}
	if code := e.Exit(); code != runs.ExitOK {
		return &exitError{code: code}
	}
	return nil
}
