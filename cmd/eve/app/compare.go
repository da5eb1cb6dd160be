package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
)

// comparing are the flags of `eve compare`.
type comparing struct {
	settings
	a, b       []string // overrides of one side
	seeds      string
	virtual    bool
	json       string
	confidence float64
	margin     float64
}

func (a *App) compareCommand() *cobra.Command {
	var s comparing
	c := &cobra.Command{
		Use:   "compare A B",
		Short: "Set runs against each other, with intervals: run folders, or scenarios that are run with several seeds",
		Long: "Set runs against each other: which figures differ, which do not, and of which it cannot be told. A and B are run\n" +
			"folders, folders of run folders, patterns of them such as 'runs/mine-*', or scenarios, which are run once for each seed.\n" +
			"Runs of one seed that have the same arrivals are compared in pairs. A scenario alone is both, changed by --a and --b.",
		Example: "  eve compare runs/mine-1 runs/mine-2\n  eve compare 'runs/old-*' 'runs/new-*'\n" +
			"  eve compare old.yaml new.yaml --seeds 1..3 --sim\n  eve compare flash-crowd --b adapt.1.for=10s --sim",
		Args: args(cobra.RangeArgs(1, 2)),
		RunE: func(c *cobra.Command, args []string) error { return a.compare(c.Context(), args, s) },
	}
	s.flags(c)
	c.Flags().Lookup("seed").Hidden = true
	c.Flags().Lookup("out").Usage = "the folder of the runs that are made, of the pictures and of compare.json; default runs/compare-TIME for scenarios, none for run folders"
	c.Flags().StringArrayVar(&s.a, "a", nil, "override a value of A: `PATH=VALUE`; may be repeated")
	c.Flags().StringArrayVar(&s.b, "b", nil, "override a value of B: `PATH=VALUE`; may be repeated")
	c.Flags().StringVar(&s.seeds, "seeds", "1..3", "the seeds of scenarios: `LIST`, as 1..5 or 1,4,9")
	c.Flags().BoolVar(&s.virtual, "sim", false, "run scenarios in virtual time")
	c.Flags().StringVar(&s.json, "json", "", "print the comparison as JSON, or write it to `FILE`: --json, --json=FILE")
	c.Flags().Lookup("json").NoOptDefVal = "-"
	c.Flags().Float64Var(&s.confidence, "confidence", 0.95, "of the intervals, between 0.5 and 1")
	c.Flags().Float64Var(&s.margin, "margin", 0.05, "up to which share of A two figures are alike")
	return c
}

// check refuses flags that do not go together, and returns the seeds.
func (s *comparing) check(args []string) ([]uint64, error) {
	switch {
	case !(s.confidence >= 0.5 && s.confidence < 1):
		return nil, fmt.Errorf("--confidence %g: want a share from 0.5 to below 1", s.confidence)
	case !(s.margin >= 0 && s.margin < 1):
		return nil, fmt.Errorf("--margin %g: want a share from 0 to below 1", s.margin)
	case len(args) == 1 && len(s.a)+len(s.b) == 0:
		return nil, errors.New("want A and B, or one scenario and what --a or --b change in it; see eve compare --help")
	case s.seed >= 0:
		return nil, errors.New("--seed: name the seeds by --seeds")
	}
	return parseSeeds(s.seeds)
}

// maxSeeds bounds the runs of one side.
const maxSeeds = 1000

// parseSeeds reads "1..3" and "1,4,9".
func parseSeeds(text string) ([]uint64, error) {
	var out []uint64
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "..")
		a, err := strconv.ParseUint(from, 10, 63)
		b := a
		if err == nil && isRange {
			b, err = strconv.ParseUint(to, 10, 63)
		}
		if err != nil || b < a || b-a >= maxSeeds || len(out) >= maxSeeds {
			return nil, fmt.Errorf("--seeds %s: want numbers from 0, as 1..5 or 1,4,9, at most %d", text, maxSeeds)
		}
		for x := a; x <= b; x++ {
			if slices.Contains(out, x) {
				return nil, fmt.Errorf("--seeds %s: %d stands twice", text, x)
			}
			out = append(out, x)
		}
	}
	return out, nil
}

// A party is one side before it is compared: folders, or a scenario with overrides.
type party struct {
	name string
	dirs []string
	arg  string // the scenario; empty for folders
	set  []string
}

func (a *App) compare(ctx context.Context, args []string, s comparing) error {
	seeds, err := s.check(args)
	if err != nil {
		return wrong(fmt.Errorf("compare: %w", err))
	}
	parties, err := s.parties(args)
	if err != nil {
		return wrong(fmt.Errorf("compare: %w", err))
	}
	made := false
	for i := range parties {
		made = made || parties[i].arg != ""
		if err := a.checkParty(&parties[i], s); err != nil {
			return err
		}
	}
	if made && s.out == "" {
		s.out = filepath.Join(runs.DefaultRoot, "compare-"+time.Now().Format("20060102-150405"))
	}
	for i := range parties {
		if err := a.runParty(ctx, &parties[i], string(rune('a'+i)), seeds, s); err != nil {
			return err
		}
	}
	return a.compared(parties, s)
}

// parties says what the arguments name.
func (s *comparing) parties(args []string) ([]party, error) {
	if len(args) == 1 {
		args = []string{args[0], args[0]}
	}
	out := make([]party, 2)
	for i, arg := range args {
		p := &out[i]
		p.name, p.set = arg, [][]string{s.a, s.b}[i]
		dirs, err := runFolders(arg)
		if err != nil {
			return nil, err
		}
		if p.dirs = dirs; len(dirs) == 0 {
			p.arg = arg
		}
		if len(p.set) > 0 {
			if len(dirs) > 0 {
				return nil, fmt.Errorf("%s has run already: --a and --b change scenarios", arg)
			}
			p.name += " with " + strings.Join(p.set, ", ")
		}
	}
	return out, nil
}

// runFolders returns the run folders that an argument names: itself, those directly in it, or those that match; none for a
// scenario.
func runFolders(arg string) ([]string, error) {
	is := func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, runs.ScenarioFile))
		return err == nil
	}
	found := []string{arg}
	if strings.ContainsAny(arg, "*?[") {
		matches, err := filepath.Glob(arg)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		found = matches
	} else if info, err := os.Stat(arg); err != nil || !info.IsDir() {
		return nil, nil
	} else if !is(arg) {
		entries, err := os.ReadDir(arg)
		if err != nil {
			return nil, err
		}
		found = nil
		for _, e := range entries {
			found = append(found, filepath.Join(arg, e.Name()))
		}
	}
	dirs := slices.DeleteFunc(found, func(d string) bool { return !is(d) })
	if len(dirs) == 0 {
		return nil, fmt.Errorf("%s: no run folder", arg)
	}
	return dirs, nil
}

// checkParty loads a scenario, so that a mistake in B is told before A has run.
func (a *App) checkParty(p *party, s comparing) error {
	if p.arg == "" {
		return nil
	}
	plan, err := a.load(p.arg, overrides{set: slices.Concat(s.set, p.set), duration: s.duration, seed: -1})
	if err != nil {
		return err
	}
	for _, w := range plan.Warnings {
		fmt.Fprintln(a.err, "warning:", w.Error())
	}
	return nil
}

// runParty runs the scenario of a party once for each seed, into folders called LETTER-SEED.
func (a *App) runParty(ctx context.Context, p *party, letter string, seeds []uint64, s comparing) error {
	if p.arg == "" {
		return nil
	}
	kind := runs.Real
	if s.virtual {
		kind = runs.Virtual
	}
	for i, seed := range seeds {
		plan, err := a.load(p.arg, overrides{set: slices.Concat(s.set, p.set), duration: s.duration, seed: int64(seed)})
		if err != nil {
			return err
		}
		if !s.quiet {
			fmt.Fprintf(a.err, "%s, seed %d (%d of %d)\n", p.name, seed, i+1, len(seeds))
		}
		r, err := a.perform(ctx, plan, filepath.Join(s.out, fmt.Sprintf("%s-%d", letter, seed)), kind, nil, newView(plan, discard{}))
		if err != nil {
			return err
		}
		if r.summary.Interrupted || r.summary.Exit == runs.ExitFailed {
			return r.failure()
		}
		p.dirs = append(p.dirs, r.dir)
	}
	return nil
}

// compared compares what has run, and tells it.
func (a *App) compared(parties []party, s comparing) (err error) {
	var sides [2]judge.Side
	var drawn [2]report.Sided
	for i, p := range parties {
		sides[i].Name, drawn[i].Name = p.name, p.name
		for _, dir := range p.dirs {
			f, ferr := runs.Open(dir)
			if ferr != nil {
				return wrong(ferr)
			}
			defer func() { err = errors.Join(err, f.Close()) }()
			sum, serr := f.SummaryOrRescue(a.kinds(), a.registry.Manipulators()...)
			text, terr := f.Scenario()
			if e := errors.Join(serr, terr); e != nil {
				return e
			}
			sides[i].Runs = append(sides[i].Runs, judge.Subject{Dir: dir, Summary: sum, Scenario: text, History: f.History()})
			if s.out != "" {
				drawn[i].Runs = append(drawn[i].Runs, report.Read(f.History(), sum))
			}
		}
	}
	c, err := judge.Compare(sides[0], sides[1], judge.CompareOptions{Confidence: s.confidence, Margin: s.margin})
	if err != nil {
		return err
	}
	pictures, err := s.keep(c, drawn)
	if err != nil {
		return err
	}
	if s.json == "-" {
		return writeComparison(a.out, c)
	}
	if s.json != "" {
		if err := a.to(s.json, func(w io.Writer) error { return writeComparison(w, c) }); err != nil {
			return err
		}
	}
	if err := report.CompareText(a.out, c); err != nil || len(pictures) == 0 {
		return err
	}
	_, err = fmt.Fprintf(a.out, "\npictures  %s\n", strings.Join(pictures, ", "))
	return err
}

// keep writes compare.json and the pictures, where there is a folder for them, and returns the PNG files.
func (s *comparing) keep(c *judge.Comparison, drawn [2]report.Sided) (pictures []string, err error) {
	if s.out == "" {
		return nil, nil
	}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return nil, err
	}
	w, err := os.Create(filepath.Join(s.out, "compare.json"))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(writeComparison(w, c), w.Close()); err != nil {
		return nil, err
	}
	for _, p := range report.Overlay(drawn[0], drawn[1]) {
		for _, form := range []struct {
			ext  string
			draw func() ([]byte, error)
		}{{".svg", p.SVG}, {".png", p.PNG}} {
			b, err := form.draw()
			if err == nil {
				err = os.WriteFile(filepath.Join(s.out, p.Name+form.ext), b, 0o644)
			}
			if err != nil {
				return nil, err
			}
		}
		pictures = append(pictures, filepath.Join(s.out, p.Name+".png"))
	}
	return pictures, nil
}

func writeComparison(w io.Writer, c *judge.Comparison) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(c); err != nil {
		return fmt.Errorf("write comparison: %w", err)
	}
	return nil
}
