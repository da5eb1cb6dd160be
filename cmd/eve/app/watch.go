package app

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dsv"
)

// watchFlags are those of `eve watch`.
type watchFlags struct {
	reach
	json, all             bool
	every, window, length time.Duration
	count                 int
}

func (a *App) watchCommand() *cobra.Command {
	var f watchFlags
	c := &cobra.Command{
		Use:   "watch PATTERN…",
		Short: "Print the changes of a live run's variables",
		Long: "Print the changes of a live run's variables, a line each: instant, name, value. A pattern is a name, one with * as\n" +
			"crowd.* or *.cpu.utilisation, or a derived value of a name: NAME.p50, p90, p95, p99, p999, mean, count, rate, min, max or\n" +
			"sum. Where changes come faster than they are read, the latest counts; --all shows every one.",
		Example: "  eve watch crowd.rate 'map.*'\n" +
			"  eve watch app.latency.p99 crowd.requests.rate --window 2s\n" +
			"  eve watch '*.cpu.utilisation' --every 1s --for 30s --json",
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, patterns []string) error {
			if err := f.check(patterns); err != nil {
				return wrong(err)
			}
			ctx := c.Context()
			if f.length > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, f.length)
				defer cancel()
			}
			err := a.visit(ctx, &f.reach, func(ctx context.Context, g *guest) error { return a.watch(ctx, g, f, patterns) })
			if ctx.Err() != nil && (err == nil || errors.Is(err, context.Cause(ctx))) {
				return nil // its time is over, or a signal ended it
			}
			return err
		},
	}
	f.flags(c)
	c.Flags().BoolVar(&f.json, "json", false, "one JSON object a line")
	c.Flags().BoolVar(&f.all, "all", false, "every change, not only the latest; what was missed nevertheless is told")
	c.Flags().DurationVar(&f.every, "every", 0, "show each variable at most once every `D`; derived values: default 1s")
	c.Flags().DurationVar(&f.window, "window", 0, "derive values from the last `D`; default from all since the start, of rate from 5s")
	c.Flags().DurationVar(&f.length, "for", 0, "end after `D`")
	c.Flags().IntVar(&f.count, "count", 0, "end after `N` lines")
	return c
}

func (f *watchFlags) check(patterns []string) error {
	for _, p := range patterns {
		if err := dsv.CheckPattern(p); err != nil {
			return fmt.Errorf("watch: %w; a pattern is a name, or one with * as crowd.* or *.cpu.utilisation", err)
		}
	}
	switch {
	case f.every < 0 || f.window < 0 || f.length < 0 || f.count < 0:
		return errors.New("watch: --every, --window, --for and --count are above 0")
	case f.all && f.every > 0:
		return errors.New("watch: --all shows every change, --every does not: say one of them")
	}
	return nil
}

// A watcher prints the changes of one live run.
type watcher struct {
	watchFlags
	g     *guest
	out   *bufio.Writer
	notes io.Writer
	units map[dsv.Name]string
	width int
	lines int

	held    map[dsv.Name]dsv.Update // what waits for the next multiple of every
	derived map[dsv.Name]bool       // the kernel tells these in time
}

// errEnough ends a watch that has shown what it was to show.
var errEnough = errors.New("as many lines as wanted")

// watch prints changes until ctx ends, the run does, or there were enough.
func (a *App) watch(ctx context.Context, g *guest, f watchFlags, patterns []string) error {
	w := &watcher{
		watchFlags: f, g: g, out: bufio.NewWriter(a.out), notes: a.err, units: map[dsv.Name]string{},
		held: map[dsv.Name]dsv.Update{}, derived: map[dsv.Name]bool{},
	}
	requests, err := w.requests(ctx, patterns)
	if err != nil {
		return err
	}
	updates := make(chan dsv.Update, 256)
	work, wctx := errgroup.WithContext(ctx)
	for _, r := range requests {
		work.Go(func() error { return w.follow(wctx, r, updates) })
	}
	work.Go(func() error { return w.print(wctx, updates) })
	err = work.Wait()
	if !errors.Is(err, errEnough) {
		if rerr := w.release(); rerr != nil && !errors.Is(rerr, errEnough) { // what was held back
			err = rerr
		}
	}
	if ferr := w.out.Flush(); ferr != nil {
		return ferr
	}
	switch {
	case errors.Is(err, errEnough):
		return nil
	case errors.Is(err, dsv.ErrClosed):
		fmt.Fprintf(a.err, "%s: the run has ended\n", g.said)
		return nil
	}
	return err
}

// requests checks the patterns, and learns units.
func (w *watcher) requests(ctx context.Context, patterns []string) ([]dsv.WatchRequest, error) {
	var rs []dsv.WatchRequest
	for _, p := range patterns {
		r := dsv.WatchRequest{Pattern: p}
		if w.all {
			r.Mode = dsv.All
		}
		ds, err := w.g.List(ctx, p)
		if err != nil {
			return nil, err
		}
		if len(ds) == 0 && !strings.Contains(p, "*") {
			i, err := w.g.Info(ctx, dsv.Name(p))
			if err != nil {
				return nil, missing("watch", err)
			}
			ds = []dsv.Declaration{i.Declaration}
			r.Window, r.Every = w.window, w.every
			w.derived[dsv.Name(p)] = true
		}
		for _, d := range ds {
			w.units[d.Name] = d.Unit
			w.width = min(max(w.width, len(d.Name)), 40)
		}
		if len(ds) == 0 {
			fmt.Fprintf(w.notes, "no variable matches %s yet\n", p)
		}
		rs = append(rs, r)
	}
	if w.window > 0 && len(w.derived) == 0 {
		return nil, wrong(errors.New("watch: --window is of derived values, as app.latency.p99"))
	}
	return rs, nil
}

// follow hands on the changes that one request asks for. Where it was too slow, it tells so and goes on with what is
// still known.
func (w *watcher) follow(ctx context.Context, r dsv.WatchRequest, out chan<- dsv.Update) error {
	for {
		watch, err := w.g.Watch(ctx, r)
		if err != nil {
			return err
		}
		var u dsv.Update
		for u.Gap == 0 {
			if u, err = watch.Next(ctx); err != nil {
				_ = watch.Close()
				return err
			}
			select {
			case out <- u:
			case <-ctx.Done():
				_ = watch.Close()
				return context.Cause(ctx)
			}
		}
		_ = watch.Close()
		r.From = u.Gap
	}
}

// print shows what comes, in its order.
func (w *watcher) print(ctx context.Context, updates <-chan dsv.Update) error {
	var tick <-chan time.Time
	if w.every > 0 {
		t := time.NewTicker(w.every)
		defer t.Stop()
		tick = t.C
	}
	for {
		var err error
		select {
		case u := <-updates:
			err = w.take(ctx, u)
		case <-tick:
			err = w.release()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err == nil && len(updates) == 0 {
			err = w.out.Flush()
		}
		if err != nil {
			return err
		}
	}
}

// take shows an update, or holds it back.
func (w *watcher) take(ctx context.Context, u dsv.Update) error {
	if u.Gap != 0 {
		fmt.Fprintf(w.notes, "changes before revision %d were missed: they came faster than they were read\n", u.Gap)
		return nil
	}
	if _, known := w.units[u.Name]; !known && !u.Deleted {
		i, err := w.g.Info(ctx, u.Name)
		if err != nil && !errors.Is(err, dsv.ErrNotFound) {
			return err
		}
		w.units[u.Name] = i.Declaration.Unit
	}
	if w.every > 0 && !w.derived[u.Name] {
		u.Skipped += w.held[u.Name].Skipped
		w.held[u.Name] = u
		return nil
	}
	return w.show(u)
}

// release shows what was held back, in the order in which it happened.
func (w *watcher) release() error {
	var us []dsv.Update
	for _, u := range w.held {
		us = append(us, u)
	}
	clear(w.held)
	slices.SortFunc(us, func(a, b dsv.Update) int { return cmp.Compare(a.Revision, b.Revision) })
	for _, u := range us {
		if err := w.show(u); err != nil {
			return err
		}
	}
	return nil
}

// A watched is one line of JSON.
type watched struct {
	At       float64  `json:"at"` // seconds since the start
	Name     dsv.Name `json:"name"`
	Value    any      `json:"value"`
	Unit     string   `json:"unit,omitempty"`
	Weight   float64  `json:"weight,omitempty"`
	Revision uint64   `json:"revision,omitempty"`
	Skipped  int      `json:"skipped,omitempty"`
	Deleted  bool     `json:"deleted,omitempty"`
}

// show writes one line.
func (w *watcher) show(u dsv.Update) error {
	at, unit := u.Reading.T1, w.units[u.Name]
	if at == 0 {
		at = w.g.now()
	}
	var err error
	if w.json {
		var b []byte
		b, err = json.Marshal(watched{
			At: at.Seconds(), Name: u.Name, Value: plain(u.Reading.Value), Unit: unit, Weight: u.Reading.Weight,
			Revision: uint64(u.Revision), Skipped: u.Skipped, Deleted: u.Deleted,
		})
		if err == nil {
			_, err = w.out.Write(append(b, '\n'))
		}
	} else {
		value := shown(u.Reading.Value, unit)
		if u.Deleted {
			value = "deleted"
		}
		_, err = fmt.Fprintf(w.out, "%s  %-*s  %s\n", instant(at), w.width, u.Name, value)
	}
	if w.lines++; err == nil && w.count > 0 && w.lines >= w.count {
		return errEnough
	}
	return err
}
