package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/solve"
	"github.com/eve-emulation/eve/fase/sweep"
)

// solving are the flags of `eve solve`.
type solving struct {
	overrides
	at    time.Duration
	level string
	vary  string
	out   string
	json  string
}

func (a *App) solveCommand() *cobra.Command {
	s := solving{at: -1}
	c := &cobra.Command{
		Use:   "solve SCENARIO",
		Short: "Answer a scenario by theory: responses, utilisations, the bottleneck, and what is assumed",
		Long: "Answer a scenario by theory, in milliseconds: response times and throughputs of the long run, how busy each resource\n" +
			"is, what is full first when the load grows and what then, and every assumption, with the place that needs it and by\n" +
			"how much it may be off. The rates are those of one instant of the scenario: by default of the highest.",
		Example: "  eve solve mm1\n  eve solve three-tier --set rate=170/s\n  eve solve flash-crowd --at 10s\n" +
			"  eve solve three-tier --vary 'servers.db_farm.count=2..6'\n  eve solve closed-open --out runs/solved",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return a.solve(c.Context(), args[0], s) },
	}
	s.flags(c)
	fl := c.Flags()
	fl.Lookup("duration").Hidden = true
	fl.Lookup("seed").Hidden = true
	fl.DurationVar(&s.at, "at", -1, "the instant of the scenario whose rates are solved, as `10s`; default when the open groups ask for the most")
	fl.Lookup("at").DefValue = ""
	fl.StringVar(&s.level, "level", "", "the quality `LEVEL` of services that have it; default the first that requests name")
	fl.StringVar(&s.vary, "vary", "", "solve for several values: `PATH=VALUES`, as servers.web.count=1..8 or rate=[100, 200]/s")
	fl.StringVar(&s.out, "out", "", "a folder for pictures, a page and solve.json; default none")
	fl.StringVar(&s.json, "json", "", "print the answer as JSON, or write it to `FILE`: --json, --json=FILE")
	fl.Lookup("json").NoOptDefVal = "-"
	return c
}

func (a *App) solve(ctx context.Context, arg string, s solving) error {
	if s.vary != "" {
		return a.solveEach(ctx, arg, s)
	}
	plan, err := a.load(arg, s.overrides)
	if err != nil {
		return err
	}
	m, err := s.model(plan)
	if err != nil {
		return err
	}
	answer, err := m.Solve()
	if err != nil {
		return err
	}
	j := solveJSON(plan.Name, answer)
	if s.out != "" {
		if err := a.keepSolved(plan, m, answer, j, s.out); err != nil {
			return err
		}
	}
	if s.json != "" && s.json != "-" {
		if err := a.to(s.json, func(w io.Writer) error { return writeJSON(w, j) }); err != nil {
			return err
		}
	}
	if s.json == "-" {
		return writeJSON(a.out, j)
	}
	if err := report.SolveText(a.out, plan.Name, answer); err != nil {
		return err
	}
	if s.out != "" {
		fmt.Fprintf(a.out, "\nreport  %s\n", filepath.Join(s.out, report.PageFile))
	}
	return nil
}

// model makes the model that the flags ask for.
func (s *solving) model(plan *scenario.Plan) (*solve.Model, error) {
	var o solve.Options
	if s.at >= 0 {
		if s.at >= plan.Duration {
			return nil, wrong(fmt.Errorf("solve: --at %v: the scenario ends at %v", s.at, plan.Duration))
		}
		at := dsv.At(s.at)
		o.At = &at
	}
	if s.level != "" {
		o.Level = func(string) string { return s.level }
	}
	m, err := solve.Of(plan, o)
	if err != nil {
		return nil, wrong(err)
	}
	return m, nil
}

// solvePoints is how many loads the pictures of an answer show.
const solvePoints = 60

// keepSolved writes solve.json, the page and its pictures.
func (a *App) keepSolved(plan *scenario.Plan, m *solve.Model, answer *solve.Answer, j jsonSolved, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files, err := report.SolveFiles(plan.Name, answer, m.Curve(solvePoints), plan.Text)
	for _, f := range files {
		if werr := os.WriteFile(filepath.Join(dir, f.Name), f.Content, 0o644); werr != nil {
			return errors.Join(err, werr)
		}
	}
	if err != nil {
		return err
	}
	return a.to(filepath.Join(dir, "solve.json"), func(w io.Writer) error { return writeJSON(w, j) })
}

// solveEach solves for several values of a path, a line each. What cannot be solved is told in its line, and leaves the others whole.
func (a *App) solveEach(ctx context.Context, arg string, s solving) error {
	axis, err := sweep.ParseAxis(s.vary)
	if err != nil {
		return wrong(fmt.Errorf("solve: --vary %w", err))
	}
	if s.out != "" {
		return wrong(errors.New("solve: --out does not go with --vary: eve sweep draws pictures over settings"))
	}
	var all []jsonVaried
	bad := 0
	for _, v := range axis.Values {
		if ctx.Err() != nil {
			break
		}
		o := s
		o.set = append(append([]string(nil), s.set...), axis.Paths[0]+"="+v.Texts[0])
		x := jsonVaried{Value: v.Label()}
		plan, err := a.load(arg, o.overrides)
		if err != nil {
			return err // the others would be as wrong
		}
		m, err := o.model(plan)
		if err != nil {
			return err
		}
		if answer, err := m.Solve(); err != nil {
			x.Error = err.Error()
			bad++
		} else {
			j := solveJSON(plan.Name, answer)
			x.Answer = &j
		}
		all = append(all, x)
	}
	if s.json != "" {
		file := strings.TrimPrefix(s.json, "-")
		err = a.to(file, func(w io.Writer) error { return writeJSON(w, all) })
	}
	if s.json != "-" && err == nil {
		err = a.tellVaried(axis.Name(), all)
	}
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return &exitError{code: runs.ExitInterrupted}
	case bad == len(all):
		return &exitError{code: runs.ExitFailed}
	}
	return nil
}

// tellVaried prints a line for each value.
func (a *App) tellVaried(path string, all []jsonVaried) error {
	t := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "%s\tgroup\trate/s\tmean\tp95\tbusiest\tbottleneck\tat\n", path)
	for _, x := range all {
		if x.Answer == nil {
			fmt.Fprintf(t, "%s\t%s\n", x.Value, report.Clean(x.Error))
			continue
		}
		for i, g := range x.Answer.Groups {
			value, busiest, bottleneck, at := "", "", "", ""
			if i == 0 {
				value = x.Value
				busiest, bottleneck, at = x.Answer.busiest(), x.Answer.Bottleneck.Resource, report.Count(float64(x.Answer.Bottleneck.Rate))+"/s"
				if bottleneck == "" {
					at = ""
				}
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", value, g.Name, report.Count(float64(g.Rate)), report.Seconds(float64(g.Mean)), report.Seconds(float64(g.P95)), busiest, bottleneck, at)
		}
	}
	return t.Flush()
}
