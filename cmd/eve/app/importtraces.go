package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/spans"
)

func (a *App) importTraces() *cobra.Command {
	var out string
	var skew time.Duration
	c := &cobra.Command{
		Use:   "traces FILE...",
		Short: "Make a system of services of its traces",
		Long: "Make a system of services of its traces: OpenTelemetry's (OTLP as JSON, one document or a line each) or Jaeger's (as its\n" +
			"interface saves them). Services, their operations, calls in sequence and in parallel, how often and how likely they are,\n" +
			"demands and arrivals follow from the spans. What was assumed and left out is listed. The scenario goes to standard output,\n" +
			"or to a file that does not exist.",
		Example: "  eve import traces shop.jsonl -o shop.yaml\n  eve check shop.yaml\n  eve sim shop.yaml",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.convertTraces(args, out, spans.Options{Skew: skew})
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "the scenario `FILE`; without it standard output")
	c.Flags().DurationVar(&skew, "skew", time.Millisecond, "how far the clocks of two hosts may be apart")
	return c
}

// convertTraces writes the scenario of traces.
func (a *App) convertTraces(files []string, out string, o spans.Options) error {
	if o.Skew <= 0 {
		return wrong(fmt.Errorf("import traces: --skew %s: it is longer than 0s", o.Skew))
	}
	m := spans.New(o)
	for _, file := range files {
		if err := readTraces(m, file); err != nil {
			return err
		}
	}
	base := filepath.Base(files[0])
	base, _, _ = strings.Cut(base, ".")
	r, err := m.Scenario(nameOf(base))
	if err != nil {
		return wrong(fmt.Errorf("import traces %s: %w", strings.Join(files, " "), err))
	}
	if out == "" {
		_, err := a.out.Write(r.Text)
		a.toldNotes(a.err, r.Notes)
		return err
	}
	if err := writeNew(out, r.Text); err != nil {
		return err
	}
	a.toldNotes(a.out, r.Notes)
	fmt.Fprintf(a.out, "%s has %d operations of %s, of %d traces with %d spans. Next: eve check %[1]s; eve sim %[1]s\n",
		out, r.Operations, strings.Join(r.Services, ", "), r.Traces, r.Spans)
	return nil
}

func readTraces(m *spans.Model, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return wrong(fmt.Errorf("import traces: %w", err))
	}
	defer f.Close()
	err = m.Read(f)
	if _, ok := errors.AsType[*spans.Error](err); ok {
		return wrong(fmt.Errorf("import traces: %s:%w", file, err))
	}
	if err != nil {
		return fmt.Errorf("import traces %s: %w", file, err)
	}
	return nil
}
