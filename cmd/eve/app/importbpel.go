package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/bpel"
)

func (a *App) importBPEL() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "bpel FILE",
		Short: "Make services of a business process in WS-BPEL",
		Long: "Make a composition of services of a business process in WS-BPEL 2.0 (or BPEL4WS 1.1): the process and each of its\n" +
			"partners become services, and the order and the parallelism of its calls stay. What a process does not say, such as\n" +
			"demands and the probabilities of branches, is assumed and marked `fill in`. What a scenario cannot have is listed.\n" +
			"The scenario goes to standard output, or to a file that does not exist.",
		Example: "  eve import bpel order.bpel -o order.yaml\n  eve check order.yaml\n  eve run order.yaml",
		Args:    args(cobra.ExactArgs(1)),
		RunE:    func(_ *cobra.Command, args []string) error { return a.convertBPEL(args[0], out) },
	}
	c.Flags().StringVarP(&out, "output", "o", "", "the scenario `FILE`; without it standard output")
	return c
}

// convertBPEL writes the scenario of a process.
func (a *App) convertBPEL(file, out string) error {
	f, err := os.Open(file)
	if err != nil {
		return wrong(fmt.Errorf("import bpel: %w", err))
	}
	defer f.Close()
	process, err := bpel.Read(f)
	var at *bpel.Error
	switch {
	case errors.As(err, &at):
		return wrong(fmt.Errorf("import bpel: %s:%w", file, err))
	case err != nil:
		return fmt.Errorf("import bpel %s: %w", file, err)
	}
	base := filepath.Base(file)
	r, err := process.Scenario(nameOf(strings.TrimSuffix(base, filepath.Ext(base))))
	if err != nil {
		return wrong(fmt.Errorf("import bpel: %s:%w", file, err))
	}
	notes := make([]string, len(r.Notes))
	for i, n := range r.Notes {
		notes[i] = file + ":" + n
	}
	if out == "" {
		_, err := a.out.Write(r.Text)
		a.toldNotes(a.err, notes)
		return err
	}
	if err := writeNew(out, r.Text); err != nil {
		return err
	}
	a.toldNotes(a.out, notes)
	fmt.Fprintf(a.out, "%s has a process with %d operations and %d calls to %d services. Fill in what is marked, then: eve check %[1]s; eve run %[1]s\n",
		out, r.Operations, r.Calls, len(r.Services))
	return nil
}
