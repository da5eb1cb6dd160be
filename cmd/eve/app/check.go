package app

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/rdr"
	"github.com/eve-emulation/eve/scenarios"
)

func (a *App) checkCommand() *cobra.Command {
	var o overrides
	c := &cobra.Command{
		Use:   "check SCENARIO",
		Short: "Check a scenario, and tell what it offers to its servers",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			plan, err := a.load(args[0], o)
			if err != nil {
				return err
			}
			return a.tellPlan(plan)
		},
	}
	o.flags(c)
	return c
}

func (a *App) tellPlan(plan *scenario.Plan) error {
	title := plan.Name
	if plan.About != "" {
		title += ": " + plan.About
	}
	fmt.Fprintf(a.out, "%s\n%v with %v of warm-up, seed %d\n", title, plan.Duration, plan.Warmup, plan.Seed)
	for _, s := range plan.Short {
		fmt.Fprintf(a.out, "--set %s=…: %s\n", s.Name, strings.Join(s.Paths, ", "))
	}
	for _, w := range plan.Warnings {
		fmt.Fprintln(a.out, "warning:", w.Error())
	}
	d, err := plan.Demands()
	if err != nil {
		fmt.Fprintf(a.out, "the mean demand cannot be told: %v\n", err)
		return nil
	}
	t := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	for _, g := range d.Groups {
		what := "at its peak"
		if g.Closed {
			what = "if nothing ever queued"
		}
		fmt.Fprintf(t, "\n%s\tasks %.4g/s %s; each request, in the mean:\n", g.Name, g.Rate, what)
		if g.Dispersion > 0 {
			fmt.Fprintf(t, "  its arrivals come in bursts: index of dispersion %.3g, where Poisson arrivals have 1\n", g.Dispersion)
		}
		for _, s := range g.Mean.Services() {
			if s == "" {
				continue // the client itself, which has no resources
			}
			u := g.Mean.Of(s)
			got, bytes := plan.FileUse(&g.Mean, s)
			fmt.Fprintf(t, "  %s\t%.3g visits\tcpu %s\tdisk %s\treply %s", s, u.Visits, report.Seconds(u.CPU),
				report.Size(u.DiskReadBytes+u.DiskWriteBytes), report.Size(u.ReplyBytes+bytes.Replies))
			if got.Gets > 0 {
				fmt.Fprintf(t, "\tfiles %.3g × %s", got.Gets, report.Size(bytes.Gets/got.Gets))
			}
			fmt.Fprintln(t)
		}
	}
	for _, set := range plan.Files {
		fmt.Fprintf(t, "\nfiles %s, %s\tcache\tfound in it, once it is full\n", set.Name(), report.Size(float64(set.Bytes())))
		for i := range plan.Servers {
			s := &plan.Servers[i]
			fmt.Fprintf(t, "  %s\t%s\t%s\n", s.Name, report.Size(float64(s.Cache)), report.Share(set.HitRatio(int64(s.Cache)).Requests))
		}
	}
	open := slices.ContainsFunc(d.Groups, func(g scenario.GroupDemand) bool { return !g.Closed })
	if open && len(d.Servers) > 0 {
		fmt.Fprintf(t, "\noffered at the peak by open groups\tcpu\tdisk\tlink\n")
		for _, s := range d.Servers {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", s.Name, report.Share(s.CPU.Utilisation), report.Share(s.Disk.Utilisation), report.Share(s.Link.Utilisation))
		}
	}
	if open && len(d.Held) > 0 {
		fmt.Fprintf(t, "\nheld at the peak by open groups, at least\tshare\n")
		for _, h := range d.Held {
			fmt.Fprintf(t, "  %s\t%s\n", h.Name, report.Share(h.Utilisation))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if first := d.SoftwareFirst(); first != "" {
		fmt.Fprintln(a.out, "note:", first)
	}
	for _, o := range d.Overloads() {
		fmt.Fprintln(a.out, "note:", o)
	}
	return nil
}

func (a *App) fmtCommand() *cobra.Command {
	var write, list bool
	c := &cobra.Command{
		Use:   "fmt FILE…",
		Short: "Format scenario and .rdr files",
		Long: "Format scenario (.yaml) and resource demand request (.rdr) files. Without flags the result is printed. What a file\n" +
			"means never changes.",
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			differ := false
			for _, f := range args {
				changed, err := a.format(f, write, list)
				if err != nil {
					return wrong(err)
				}
				differ = differ || changed
			}
			if list && differ {
				return &exitError{code: 1}
			}
			return nil
		},
	}
	c.Flags().BoolVarP(&write, "write", "w", false, "write the result to the file")
	c.Flags().BoolVarP(&list, "list", "l", false, "print the names of files whose form differs, and exit 1 if there are any")
	return c
}

func (a *App) format(file string, write, list bool) (changed bool, err error) {
	src, err := readFile(file, scenario.MaxSize)
	if err != nil {
		return false, fmt.Errorf("format %w", err)
	}
	var out []byte
	if filepath.Ext(file) == ".rdr" {
		out, err = rdr.Format(file, src)
		if es, ok := errors.AsType[rdr.Errors](err); ok {
			return false, errors.New(strings.TrimRight(es.Pretty(), "\n"))
		}
	} else {
		out, err = scenario.Format(file, src)
	}
	if err != nil {
		return false, err
	}
	changed = !bytes.Equal(src, out)
	switch {
	case list && changed:
		fmt.Fprintln(a.out, file)
	case list:
	case write && changed:
		return true, os.WriteFile(file, out, 0o644)
	case !write:
		_, err = a.out.Write(out)
	}
	return changed, err
}

func (a *App) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of scenario files, for editors",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := a.out.Write(scenario.Schema())
			return err
		},
	}
}

func (a *App) scenariosCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "scenarios",
		Short: "List the scenarios that are shipped",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			t := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
			for _, s := range scenarios.List() {
				fmt.Fprintf(t, "%s\t%s\n", s.Name, s.About)
			}
			return t.Flush()
		},
	}
}
