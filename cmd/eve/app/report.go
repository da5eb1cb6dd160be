package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
)

func (a *App) reportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "report RUN",
		Short: "Make the report of a run folder again, and print its summary",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return a.reading(args[0], func(f *runs.Folder) error {
				s, err := f.SummaryOrRescue(a.kinds(), a.registry.Manipulators()...)
				if err != nil {
					return err
				}
				if _, ended := f.Summary(); errors.Is(ended, runs.ErrNoSummary) {
					if err := a.rejudged(c.Context(), f, s); err != nil {
						return err
					}
				}
				page, err := report.Write(f, s)
				if err != nil {
					return err
				}
				return report.Text(a.out, s, page)
			})
		},
	}
}

// reading opens a run folder for f.
func (a *App) reading(dir string, f func(*runs.Folder) error) error {
	folder, err := runs.Open(dir)
	if err != nil {
		return wrong(err)
	}
	return errors.Join(f(folder), folder.Close())
}

func (a *App) exportCommand() *cobra.Command {
	var out string
	var records bool
	c := &cobra.Command{
		Use:   "export RUN",
		Short: "Write the measurements of a run as CSV",
		Long: "Write the measurements of a run as CSV: one line for each window of each variable, or with --records one line for\n" +
			"each request.",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.reading(args[0], func(f *runs.Folder) error {
				return a.to(out, func(w io.Writer) error {
					if !records {
						return report.Export(f.History(), w)
					}
					plan, err := f.Plan(a.kinds(), a.registry.Manipulators()...)
					if err != nil {
						return err
					}
					var groups []string
					for _, c := range plan.Clients {
						groups = append(groups, c.Name)
					}
					return report.ExportRecords(f.History(), groups, w)
				})
			})
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "the file to write; default standard output")
	c.Flags().BoolVar(&records, "records", false, "one line for each request")
	return c
}

// to hands f a file, or standard output when it has no name.
func (a *App) to(file string, f func(io.Writer) error) error {
	if file == "" {
		return f(a.out)
	}
	w, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return errors.Join(f(w), w.Close())
}

func (a *App) runsCommand() *cobra.Command {
	var root string
	c := &cobra.Command{
		Use:   "runs",
		Short: "List the run folders below a folder",
		Args:  args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			info, err := os.Stat(root)
			switch {
			case errors.Is(err, fs.ErrNotExist) && !c.Flags().Changed("in"): // nothing has run yet
			case err != nil:
				return wrong(fmt.Errorf("list runs in %s: %w", root, cause(err)))
			case !info.IsDir():
				return wrong(fmt.Errorf("list runs in %s: not a folder", root))
			}
			list, err := runs.List(root)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				fmt.Fprintf(a.err, "no runs in %s\n", root)
			}
			t := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
			for _, r := range list {
				fmt.Fprintf(t, "%s\t%s\t%s\n", r.Dir, r.Scenario, state(r))
			}
			return t.Flush()
		},
	}
	c.Flags().StringVar(&root, "in", "runs", "the folder to look in")
	return c
}

// state tells how a listed run ended.
func state(r runs.Listed) string {
	switch {
	case !r.Finished:
		return "not finished"
	case !r.Ended:
		return fmt.Sprintf("%s, interrupted", r.Kind)
	}
	return fmt.Sprintf("%s, seed %d, exit %d", r.Kind, r.Seed, r.Exit)
}
