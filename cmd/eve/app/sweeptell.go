package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/sweep"
)

// The files of a sweep that tell what it came to.
const (
	tableFile  = "table.csv"
	resultFile = "table.json"
)

// conclude tells what a sweep came to, as far as it came, and how the program ends for it. why is why it did not come to its end.
func (x *campaigning) conclude(ctx context.Context, s sweeping, why error) error {
	t, err := sweep.Tabulate(x.def, x.log.Result, x.theory)
	if err != nil {
		return errors.Join(why, err)
	}
	t.Interrupted = ctx.Err() != nil
	if t.Complete() {
		t.Curves = x.curves(ctx)
	}
	if t.Results == 0 && t.Failed == 0 && why != nil {
		return x.ending(ctx, t, why)
	}
	var notes []string
	if x.inexact != "" {
		notes = append(notes, x.inexact)
	}
	pictures, err := x.keep(t, notes)
	kept := err == nil
	err = errors.Join(err, x.tell(t, s, notes, pictures, kept)) // what cannot be kept can be told
	if why == nil {
		why = err
	}
	return x.ending(ctx, t, why)
}

// keep writes the table, the pictures and the page, and returns the PNG files.
func (x *campaigning) keep(t *sweep.Table, notes []string) (pictures []string, err error) {
	var csv, js bytes.Buffer
	if err := errors.Join(t.CSV(&csv), t.JSON(&js)); err != nil {
		return nil, err
	}
	if err := errors.Join(x.log.Write(tableFile, csv.Bytes()), x.log.Write(resultFile, js.Bytes())); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(x.log.Path(sweptFile))
	if err != nil {
		return nil, err
	}
	files, err := report.SweepFiles(t, text, notes...)
	for _, f := range files {
		if err != nil {
			break
		}
		err = x.log.Write(f.Name, f.Content)
		if strings.HasSuffix(f.Name, ".png") {
			pictures = append(pictures, x.log.Path(f.Name))
		}
	}
	return pictures, err
}

// tell prints the table, and where it was kept.
func (x *campaigning) tell(t *sweep.Table, s sweeping, notes, pictures []string, kept bool) error {
	if s.json == "-" {
		return t.JSON(x.app.out)
	}
	if s.json != "" {
		if err := x.app.to(s.json, func(w io.Writer) error { return t.JSON(w) }); err != nil {
			return err
		}
	}
	if err := report.SweepText(x.app.out, t, notes...); err != nil || !kept {
		return err
	}
	fmt.Fprintln(x.app.out)
	if len(pictures) > 0 {
		fmt.Fprintf(x.app.out, "pictures  %s\n", strings.Join(pictures, ", "))
	}
	_, err := fmt.Fprintf(x.app.out, "table     %s\nreport    %s\n", x.log.Path(tableFile), x.log.Path(report.PageFile))
	return err
}

// ending is how the program ends.
func (x *campaigning) ending(ctx context.Context, t *sweep.Table, why error) error {
	on := fmt.Sprintf("eve sweep --resume --out %s goes on", filepath.Clean(x.log.Dir()))
	switch {
	case ctx.Err() != nil:
		return &exitError{code: runs.ExitInterrupted, err: fmt.Errorf("interrupted: %d of %d runs are kept; %s", t.Results, t.Runs, on)}
	case full(why):
		return fmt.Errorf("sweep: no more can be kept: %w; %d of %d runs are kept; with room, %s", brief(why), t.Results, t.Runs, on)
	case why != nil:
		return fmt.Errorf("sweep: %w", brief(why))
	case t.Failed > 0:
		return fmt.Errorf("sweep: %d of %d runs failed; %s with them", t.Failed, t.Runs, on)
	}
	for _, r := range t.Rows {
		for _, n := range r.Notes {
			if strings.HasPrefix(n, "limited") {
				return &exitError{code: runs.ExitGeneratorLimited}
			}
		}
	}
	return nil
}
