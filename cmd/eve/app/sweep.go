package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sweep"
)

// sweptFile is the scenario without what is varied, in the folder of a sweep.
const sweptFile = "base.yaml"

// mostWorkers bounds the simulations that are in memory at once: more than there are processors bring nothing.
const mostWorkers = 256

// sweeping are the flags of `eve sweep`.
type sweeping struct {
	settings
	over, metrics []string
	list          string
	seeds         string
	virtual       bool
	theory        bool
	resume        bool
	workers       int
	json          string

	given func(flag string) bool // whether a flag was set
}

func (a *App) sweepCommand() *cobra.Command {
	var s sweeping
	c := &cobra.Command{
		Use:   "sweep SCENARIO",
		Short: "Run a scenario at many settings, and put what came of it into one table",
		Long: "Run a scenario at many settings, with several seeds: for real, one after the other, or with --sim in virtual time, side\n" +
			"by side. Several --over are combined, each value of one with each of the others; --list sets several paths row by row.\n" +
			"The folder has the table as CSV and JSON, pictures, and each result as soon as it is there: a sweep that was cut off\n" +
			"goes on with --resume.",
		Example: "  eve sweep mm1 --over 'clients.jobs.rate=[20..95 step 15]/s' --sim\n" +
			"  eve sweep three-tier --over app=1..4 --over db=1..3 --seeds 1..5 --sim\n" +
			"  eve sweep mine.yaml --list settings.csv --metric 'p95(users.latency)' --metric web_1.cpu.utilisation\n" +
			"  eve sweep --resume --out runs/sweep-20260101-120000",
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			s.given = c.Flags().Changed
			return a.sweep(c.Context(), args, s)
		},
	}
	s.flags(c)
	fl := c.Flags()
	fl.Lookup("out").Usage = "the folder of the sweep; default runs/sweep-TIME"
	fl.StringArrayVar(&s.over, "over", nil, "vary a value: `PATH=FROM..TO`, PATH='FROM..TO step S', PATH='[A, B, C]/s'; may be repeated")
	fl.StringVar(&s.list, "list", "", "vary what the columns of this CSV `FILE` name, row by row")
	fl.StringVar(&s.seeds, "seeds", "", "the seeds: `LIST`, as 1..5 or 1,4,9; default the scenario's")
	fl.StringArrayVar(&s.metrics, "metric", nil, "tell this `EXPRESSION` of each point, as 'p95(jobs.latency)', instead of the usual figures; may be repeated")
	fl.BoolVar(&s.virtual, "sim", false, "run in virtual time")
	fl.BoolVar(&s.theory, "theory", false, "set what theory says beside (eve solve); with --sim it does unless --theory=false")
	fl.BoolVar(&s.resume, "resume", false, "go on with the sweep in --out, which was cut off or had failures")
	fl.IntVar(&s.workers, "workers", 0, "--sim: how many run at once, at most 256; default one for each processor")
	fl.StringVar(&s.json, "json", "", "print the table as JSON, or write it to `FILE`: --json, --json=FILE")
	fl.Lookup("json").NoOptDefVal = "-"
	return c
}

// check refuses flags that do not go together.
func (s *sweeping) check(args []string) error {
	switch {
	case s.resume && s.out == "":
		return errors.New("--resume: name the folder of the sweep by --out")
	case !s.resume && len(args) == 0:
		return errors.New("want SCENARIO, got none; see eve sweep --help")
	case !s.resume && !s.defines():
		return errors.New("nothing is varied: want --over PATH=FROM..TO, or --list FILE")
	case s.resume && !s.defines() && (s.given("set") || s.given("duration") || s.given("seed") || s.given("seeds") || s.given("metric") || s.given("sim") || s.given("theory")):
		return errors.New("--resume goes on with what was defined: give all flags as before, or none of them")
	case s.resume && s.defines() && len(args) == 0:
		return errors.New("--resume: give the scenario too, or leave --over and --list out")
	case s.seeds != "" && s.seed >= 0:
		return errors.New("--seed: name the seeds by --seeds")
	case s.workers < 0 || s.workers > mostWorkers || s.workers == 0 && s.given("workers"):
		return fmt.Errorf("--workers %d: want from 1 to %d", s.workers, mostWorkers)
	case s.workers > 0 && !s.virtual && s.defines():
		return errors.New("--workers is of --sim: real runs go one after the other, or they would disturb each other")
	}
	return nil
}

// defines says that the flags say what is varied.
func (s *sweeping) defines() bool { return len(s.over) > 0 || s.list != "" }

// A campaigning is a sweep with all that it takes to run its points.
type campaigning struct {
	app  *App
	def  *sweep.Definition
	grid *sweep.Grid
	base overrides // of all points

	log     *sweep.Log
	theory  []sweep.Prediction // by point; nil: none was asked for
	inexact string             // why theory is none, or approximated; empty: it is exact
}

// sweep does `eve sweep`.
func (a *App) sweep(ctx context.Context, args []string, s sweeping) error {
	if err := s.check(args); err != nil {
		return wrong(fmt.Errorf("sweep: %w", err))
	}
	x, err := a.define(args, s)
	if err != nil {
		return err
	}
	if err := x.look(ctx, s.quiet); err != nil {
		if ctx.Err() != nil {
			return &exitError{code: runs.ExitInterrupted, err: errors.New("interrupted: nothing has run")}
		}
		return err
	}
	if s.out == "" {
		s.out = filepath.Join(runs.DefaultRoot, "sweep-"+time.Now().Format("20060102-150405"))
	}
	if err := x.open(s); err != nil {
		return err
	}
	err = x.run(ctx, s)
	return errors.Join(x.conclude(ctx, s, err), x.log.Close())
}

// define makes a sweep of the flags, or of the folder that it goes on in.
func (a *App) define(args []string, s sweeping) (*campaigning, error) {
	x := &campaigning{app: a, base: s.overrides}
	x.base.seed = -1
	var err error
	if s.resume && !s.defines() {
		if x.def, err = sweep.Read(s.out); err != nil {
			return nil, wrong(fmt.Errorf("sweep: %w", err))
		}
		x.base.set = x.def.Set
		if x.def.Duration != "" {
			if x.base.duration, err = time.ParseDuration(x.def.Duration); err != nil {
				return nil, wrong(fmt.Errorf("sweep: %s: %w", filepath.Join(s.out, sweep.DefinitionFile), err))
			}
		}
		if len(args) > 0 {
			x.def.Scenario = args[0]
		}
	} else if x.def, err = s.definition(args[0]); err != nil {
		return nil, wrong(fmt.Errorf("sweep: %w", err))
	}
	if x.grid, err = sweep.NewGrid(x.def.Axes...); err != nil {
		return nil, wrong(fmt.Errorf("sweep: %w", err))
	}
	plan, err := a.load(x.def.Scenario, x.base)
	if err != nil {
		return nil, err
	}
	for _, w := range plan.Warnings {
		fmt.Fprintln(a.err, "warning:", w.Error())
	}
	x.def.Name, x.def.Eve, x.def.SHA256 = plan.Name, version(), fingerprint(plan)
	if err := x.measures(plan, s); err != nil {
		return nil, wrong(fmt.Errorf("sweep: %w", err))
	}
	return x, nil
}

// definition is what the flags say, without what the scenario says.
func (s *sweeping) definition(arg string) (*sweep.Definition, error) {
	d := &sweep.Definition{Sweep: sweep.DefinitionVersion, Scenario: arg, Kind: runs.Real, Set: s.set, Seeds: []uint64{}, Theory: s.theory}
	if strings.ContainsAny(arg, "/.") {
		if abs, err := filepath.Abs(arg); err == nil {
			d.Scenario = abs
		}
	}
	if s.virtual {
		d.Kind, d.Theory = runs.Virtual, s.theory || !s.given("theory")
	}
	if s.duration > 0 {
		d.Duration = s.duration.String()
	}
	for _, text := range s.over {
		axis, err := sweep.ParseAxis(text)
		if err != nil {
			return nil, fmt.Errorf("--over '%s': %w", text, err)
		}
		d.Axes = append(d.Axes, axis)
	}
	if s.list != "" {
		axis, err := readAxis(s.list)
		if err != nil {
			return nil, fmt.Errorf("--list %w", err)
		}
		d.Axes = append(d.Axes, axis)
	}
	for _, axis := range d.Axes {
		if slices.Contains(axis.Paths, "seed") {
			return nil, errors.New("--over seed: name the seeds by --seeds, as --seeds 1..5")
		}
	}
	switch {
	case s.seeds != "":
		var err error
		if d.Seeds, err = parseSeeds(s.seeds); err != nil {
			return nil, err
		}
	case s.seed >= 0:
		d.Seeds = []uint64{uint64(s.seed)}
	}
	return d, nil
}

func readAxis(file string) (sweep.Axis, error) {
	b, err := readFile(file, maxInput)
	if err != nil {
		return sweep.Axis{}, err
	}
	return sweep.ReadList(file, strings.NewReader(string(b)))
}

// measures settles seeds and metrics by the scenario as it is, and where an expression is of what it does not have, as it is at some point.
func (x *campaigning) measures(plan *scenario.Plan, s sweeping) error {
	if len(x.def.Seeds) == 0 {
		x.def.Seeds = []uint64{plan.Seed}
	}
	if len(x.def.Metrics) > 0 {
		return nil // as they were
	}
	for _, text := range s.metrics {
		p, err := x.compile(plan, text)
		if err != nil {
			return fmt.Errorf("--metric: %w", err)
		}
		unit := p.Unit()
		if p.IsCondition() {
			unit = "1" // the share of seeds with which it holds
		}
		if slices.ContainsFunc(x.def.Metrics, func(m sweep.Metric) bool { return m.Name == text }) {
			return fmt.Errorf("--metric '%s' stands twice", text)
		}
		x.def.Metrics = append(x.def.Metrics, sweep.Metric{Name: text, Unit: unit})
	}
	if len(s.metrics) == 0 {
		x.def.Metrics = sweep.Defaults(plan)
	}
	return nil
}

// compile compiles an expression for a plan, or else for the points at the ends of the grid.
func (x *campaigning) compile(plan *scenario.Plan, text string) (*expr.Program, error) {
	p, err := plan.Expression(text)
	for _, i := range []int{0, x.grid.Points() - 1} {
		if err == nil {
			break
		}
		at, lerr := x.load(i, x.def.Seeds[0])
		if lerr != nil {
			continue
		}
		if q, qerr := at.Expression(text); qerr == nil {
			return q, nil
		}
	}
	return p, err
}

// load loads a point with a seed.
func (x *campaigning) load(point int, seed uint64) (*scenario.Plan, error) {
	o := x.base
	o.set = slices.Concat(o.set, x.grid.Set(point))
	return x.app.load(x.def.Scenario, o.seeded(seed))
}

// fingerprint tells scenarios apart, by their text with overrides and by what they read.
func fingerprint(plan *scenario.Plan) string {
	h := sha256.New()
	add := func(b []byte) { fmt.Fprintf(h, "%d\n%s\n", len(b), b) }
	add(plan.Text)
	for _, name := range slices.Sorted(maps.Keys(plan.Inputs)) {
		add([]byte(name))
		add(plan.Inputs[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// open makes the folder, or opens it again.
func (x *campaigning) open(s sweeping) (err error) {
	began := false
	if s.resume {
		x.log, err = sweep.Resume(s.out, x.def)
		began = !errors.Is(err, sweep.ErrNone)
	}
	if !began {
		x.log, err = sweep.Create(s.out, x.def)
	}
	switch {
	case errors.Is(err, sweep.ErrExists) && !s.resume:
		if _, rerr := sweep.Read(s.out); rerr == nil {
			err = fmt.Errorf("%w: --resume goes on with the sweep in it", err)
		}
		return wrong(err)
	case errors.Is(err, sweep.ErrExists), errors.Is(err, sweep.ErrDiffers), errors.Is(err, sweep.ErrInUse):
		return wrong(err)
	case err != nil:
		return err
	}
	plan, err := x.app.load(x.def.Scenario, x.base)
	if err == nil {
		err = x.log.Write(sweptFile, plan.Text)
	}
	return err
}
