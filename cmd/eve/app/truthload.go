package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/cmd/eve/bench"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
)

// loadCase is the case of Eve's clients, beside those of its servers.
const loadCase = "load"

// clients holds Eve's clients against what is known without them: G1 to G5 of the accuracy experiments.
func (t *truth) clients(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cfg := bench.Config{
		Self:    append([]string{self}, append(slices.Clone(t.app.args), "bench", "part")...),
		Version: version(), Quick: t.quick, Progress: t.app.err,
	}
	t.report, err = bench.LoadTruth(ctx, cfg, uint64(t.seeds[0]))
	if err != nil {
		return fmt.Errorf("%s: %w", loadCase, err)
	}
	if err := t.models(ctx); err != nil {
		return fmt.Errorf("%s: %w", loadCase, err)
	}
	t.report.Charts = append(t.report.Charts, t.modelsChart())
	files, err := t.report.Write(t.out)
	if err == nil && t.kept {
		t.files = files
	}
	return err
}

// modelsChart draws the means of both models by theory, along their path, in virtual time and for real.
func (t *truth) modelsChart() report.Chart {
	panel := report.ChartPanel{Title: "mean response time", Groups: []string{"closed", "open"}, FormatY: report.Seconds}
	of := func(label string, pick func(v *verdict, name string) (float64, bool)) {
		s := report.ChartSeries{Label: label}
		for _, name := range panel.Groups {
			x := math.NaN()
			for i := range t.verdicts {
				if y, ok := pick(&t.verdicts[i], name); ok {
					x = y
				}
			}
			s.Ys = append(s.Ys, x)
		}
		panel.Series = append(panel.Series, s)
	}
	of("theory", func(v *verdict, name string) (float64, bool) { return v.exact, v.name == name+", theory" })
	of("exact path of hours", func(v *verdict, name string) (float64, bool) { return v.measured, v.name == name+", theory" })
	for _, kind := range []runs.Kind{runs.Virtual, runs.Real} {
		of("a minute, eve "+string(kind), func(v *verdict, name string) (float64, bool) {
			return v.measured, v.name == name && v.kind == kind && v.seed == t.seeds[0]
		})
	}
	return report.Chart{
		Name: "g4-closed-open", Title: "G4: the same throughput, closed and open", Panels: []report.ChartPanel{panel},
		Caption: "Ten users who think for 50 ms, and Poisson arrivals at the rate that they come to; one server each, 5 ms, exponential. A minute is short: its mean lies some percent off theory.",
	}
}

// tellClients prints what was found of the clients.
func (t *truth) tellClients() error {
	if t.report == nil {
		return nil
	}
	_, err := fmt.Fprintln(t.app.out, t.report.Text())
	if len(t.files) > 0 {
		_, ferr := fmt.Fprintf(t.app.out, "files  %s\n\n", strings.Join(t.files, "\n       "))
		err = errors.Join(err, ferr)
	}
	return err
}
