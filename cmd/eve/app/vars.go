package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dsv"
)

func (a *App) varsCommand() *cobra.Command {
	var o overrides
	var r reach
	var now bool
	c := &cobra.Command{
		Use:   "vars SCENARIO | --live [PATTERN]",
		Short: "List the variables that a scenario measures, or those of a live run with their values",
		Long: "List the variables that a scenario measures; with --live, --run or --kernel those of a live run, with their values, and\n" +
			"how long ago each was written or synchronised.",
		Example: "  eve vars flash-crowd\n  eve vars --live\n  eve vars --live 'crowd.*'",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			if now || r.given() {
				return a.liveVars(c.Context(), &r, given)
			}
			if len(given) == 0 {
				return args(cobra.ExactArgs(1))(c, given)
			}
			return a.plannedVars(given[0], o)
		},
	}
	o.flags(c)
	c.Flags().BoolVar(&now, "live", false, "those of the live run that began last below runs")
	r.flags(c)
	return c
}

// plannedVars lists what a scenario measures.
func (a *App) plannedVars(scenario string, o overrides) error {
	plan, err := a.load(scenario, o)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tKIND\tUNIT\tMANIPULATOR\tWHAT IT IS")
	measured := map[string]string{}
	for _, m := range plan.Measures {
		measured[string(m.Name)] = m.Manipulator
	}
	for _, d := range plan.Declarations() {
		fmt.Fprintf(t, "%s\t%v\t%s\t%s\t%s\n", d.Name, d.Kind, d.Unit, measured[string(d.Name)], d.Help)
	}
	return t.Flush()
}

// liveVars lists the variables of a live run that match a pattern.
func (a *App) liveVars(ctx context.Context, r *reach, patterns []string) error {
	pattern := "*"
	if len(patterns) == 1 {
		pattern = patterns[0]
		if err := dsv.CheckPattern(pattern); err != nil {
			return wrong(fmt.Errorf("%w; a pattern is a name, or one with * as crowd.* or *.cpu.utilisation", err))
		}
	}
	return a.visit(ctx, r, func(ctx context.Context, g *guest) error {
		ds, err := g.declared(ctx, pattern)
		if err != nil {
			return err
		}
		rs, err := g.readAll(ctx, ds)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.err, "%s, %s\n", g.said, strings.TrimSpace(instant(g.now())))
		t := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "NAME\tVALUE\tAGE\tWHAT IT IS")
		for i, d := range ds {
			writeVar(t, d, rs[i], g.now())
		}
		return t.Flush()
	})
}

// declared lists the variables that match a pattern, which may be a derived value. It is an error that there are none.
func (g *guest) declared(ctx context.Context, pattern string) ([]dsv.Declaration, error) {
	ds, err := g.List(ctx, pattern)
	if err != nil || len(ds) > 0 {
		return ds, err
	}
	name, err := dsv.ParseName(pattern)
	if err != nil {
		return nil, wrong(fmt.Errorf("%s: no variable matches %s; eve vars --live lists what there is", g.said, pattern))
	}
	i, err := g.Info(ctx, name)
	return []dsv.Declaration{i.Declaration}, missing("list", err)
}

func writeVar(w io.Writer, d dsv.Declaration, r dsv.Reading, now dsv.Instant) {
	old := ""
	if r.Revision != 0 && r.T1 != 0 {
		old = age(now.Sub(r.T1))
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.Name, cut(shown(r.Value, d.Unit), 60), old, d.Help)
}

// readAll reads variables, many at a time. What was never written, or is no more, is the zero Reading.
func (g *guest) readAll(ctx context.Context, ds []dsv.Declaration) ([]dsv.Reading, error) {
	rs := make([]dsv.Reading, len(ds))
	var mu sync.Mutex // guards next
	next := 0
	work, ctx := errgroup.WithContext(ctx)
	for range min(64, len(ds)) {
		work.Go(func() error {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(ds) {
					return nil
				}
				r, err := g.ReadFresh(ctx, ds[i].Name)
				if err != nil && !errors.Is(err, dsv.ErrUnset) && !errors.Is(err, dsv.ErrNotFound) {
					return err
				}
				rs[i] = r
			}
		})
	}
	return rs, work.Wait()
}
