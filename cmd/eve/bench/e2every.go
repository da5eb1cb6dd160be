package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules"
)

// An arrival is a delta as the observer saw it.
type arrival struct {
	at     dsv.Instant
	writer dsv.WriterID
	t1     dsv.Instant
	count  float64
}

// A ledger is what one participant wrote to one cell: the instants at which writes were done, in order of time.
type ledger struct {
	writer dsv.WriterID
	mu     sync.Mutex // guards done
	done   []dsv.Instant
}

// runEvery writes to all cells at once from modules, as authors do, while an observer notes when the kernel's value
// changes. Cells differ in manipulator or period; the pace is the same for all.
func (x *e2) runEvery(ctx context.Context, cells []*cell, pace time.Duration) error {
	names := []string{"writer_1", "writer_2", "writer_3"}
	k, err := x.cfg.openKernel(ctx, opening{Parties: names})
	if err != nil {
		return err
	}
	defer k.stop()
	observer, err := k.dial(ctx)
	if err != nil {
		return err
	}
	defer observer.close()
	for _, c := range cells { // without history: nothing is recorded here
		if err := observer.Create(ctx, c.spec.Declaration("1", "", false)); err != nil {
			return err
		}
	}
	w, err := observer.Watch(ctx, dsv.WatchRequest{Pattern: "bench.*", Mode: dsv.All})
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()

	var mu sync.Mutex
	ledgers := map[dsv.Name][]*ledger{}
	t0 := make(chan int64, len(names))
	g, gctx := errgroup.WithContext(ctx)
	wctx, done := context.WithCancel(ctx) // it outlives the modules
	defer done()
	arrivals := map[dsv.Name][]arrival{}
	var watched sync.WaitGroup
	var watchErr error
	watched.Go(func() { arrivals, watchErr = observe(wctx, w, cells, t0) })
	for i, name := range names {
		g.Go(func() error {
			return modules.Run(gctx, modules.Func(func(ctx context.Context, env *modules.Env) error {
				return writeEvery(ctx, env, i, cells, pace, t0, func(n dsv.Name, l *ledger) {
					mu.Lock()
					defer mu.Unlock()
					ledgers[n] = append(ledgers[n], l)
				})
			}), modules.Link{Name: name, URL: k.URL, Token: k.Token})
		})
	}
	err = g.Wait()
	if err == nil { // all deltas are acknowledged; give the last updates time to come
		err = settle(ctx, observer, cells)
	}
	done()
	watched.Wait()
	if err := errors.Join(err, watchErr); err != nil {
		return err
	}
	for _, c := range cells {
		c.ageOf(ledgers[c.spec.Name], arrivals[c.spec.Name])
	}
	return nil
}

// settle waits until the observer's watch must have seen everything: what it reads has been sent to it after the updates.
func settle(ctx context.Context, observer *client, cells []*cell) error {
	for _, c := range cells {
		r, err := fresh(ctx, observer, c.spec.Name)
		if err != nil {
			return err
		}
		c.lost = int(math.Round(math.Abs(float64(c.updates) - c.seen(r))))
	}
	select {
	case <-time.After(200 * time.Millisecond):
	case <-ctx.Done():
	}
	return ctx.Err()
}

// observe notes the deltas of all cells until ctx ends.
func observe(ctx context.Context, w dsv.Watch, cells []*cell, t0 <-chan int64) (map[dsv.Name][]arrival, error) {
	byName := map[dsv.Name]*cell{}
	for _, c := range cells {
		byName[c.spec.Name] = c
	}
	start := int64(0)
	all := map[dsv.Name][]arrival{}
	for {
		u, err := w.Next(ctx)
		now := mono.Now()
		switch {
		case ctx.Err() != nil:
			return all, nil
		case err != nil:
			return nil, err
		case u.Gap != 0:
			return nil, dsv.ErrGap
		case u.Delta == nil || byName[u.Name] == nil:
			continue
		}
		if start == 0 {
			start = <-t0
		}
		all[u.Name] = append(all[u.Name], arrival{
			at: dsv.Instant(now - start), writer: u.Delta.Writer, t1: u.Delta.T1, count: byName[u.Name].written(u.Delta),
		})
	}
}

// writeEvery is one of the modules: it measures the cells that take several participants, and the first one the others
// too, with so many goroutines.
func writeEvery(ctx context.Context, env *modules.Env, i int, cells []*cell, pace time.Duration, t0 chan<- int64, keep func(dsv.Name, *ledger)) error {
	var mine []*cell
	var specs []dmm.Spec
	for _, c := range cells {
		if i == 0 || c.many() {
			mine, specs = append(mine, c), append(specs, c.spec)
		}
	}
	if err := env.Measure(specs...); err != nil {
		return err
	}
	if err := env.Ready(ctx); err != nil {
		return err
	}
	t0 <- env.T0()
	w, err := env.Space().(*modules.Proxy).Welcome(ctx)
	if err != nil {
		return err
	}
	var threads sync.WaitGroup
	for _, c := range mine {
		l := &ledger{writer: dsv.WriterID(w.Writer)}
		keep(c.spec.Name, l)
		n, threadsOf := c.updates/writers, 1
		if !c.many() {
			threadsOf = writers
		}
		for t := range threadsOf {
			count := n
			if (c.many() && i == 0) || (!c.many() && t == 0) {
				count += c.updates - n*writers
			}
			threads.Go(func() { writePaced(ctx, env, c, count, pace, l) })
		}
	}
	threads.Wait()
	return ctx.Err()
}

// writePaced spreads n writes over about the time pace, a few each millisecond.
func writePaced(ctx context.Context, env *modules.Env, c *cell, n int, pace time.Duration, l *ledger) {
	v := env.Var(c.spec.Name)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	done := make([]dsv.Instant, 0, n)
	in := &feed{seed: 11, rise: true}
	for len(done) < n && ctx.Err() == nil {
		due := int(float64(n) * min(float64(max(env.Now(), 0))/float64(pace), 1))
		for len(done) < due {
			at, x := env.Now(), in.next()
			if c.numeric() {
				v.Write(at, x)
			} else {
				v.Append(at, binary.BigEndian.AppendUint64(nil, math.Float64bits(x)))
			}
			done = append(done, env.Now())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, done...)
}

// ageOf computes how old the kernel's value was just before each synchronisation: the time since the oldest write that it
// did not have. That may be a period and one synchronisation: the time from the end of the window until the value is
// there.
func (c *cell) ageOf(ledgers []*ledger, arrivals []arrival) {
	period := time.Duration(c.setting * float64(time.Second))
	for _, l := range ledgers {
		slices.Sort(l.done)
		had := 0
		for _, a := range arrivals {
			if a.writer != l.writer || a.count == 0 {
				continue
			}
			trip := a.at.Sub(a.t1)
			if had < len(l.done) {
				age := a.at.Sub(l.done[had])
				c.ages = append(c.ages, age.Seconds())
				c.trips = append(c.trips, trip.Seconds())
				c.checks++
				if age > period+trip {
					c.broken++
				}
			}
			had += int(math.Round(a.count))
			c.syncs++
		}
		if had != len(l.done) {
			c.broken++
		}
	}
}

// everyCells are all manipulators under one period.
func (x *e2) everyCells(period time.Duration, updates int) []*cell {
	var cells []*cell
	for _, m := range manipulators() {
		c := newCell("every", m, period.Seconds(), updates)
		c.spec.Sync = dmm.Trigger{Every: period}
		cells = append(cells, c)
	}
	return cells
}

// newCell makes a cell without its trigger.
func newCell(kind string, m dmm.Manipulator, setting float64, updates int) *cell {
	c := &cell{kind: kind, man: m, setting: setting, updates: updates}
	c.spec = dmm.Spec{Name: dsv.Name(fmt.Sprintf("bench.%s_%s_%.0f", m.Name, kind, 1000*setting)), Manipulator: m.Name}
	if m.NeedsParam {
		c.spec.Param = 0.1
	}
	return c
}

// manipulators are those whose deltas carry each update once.
func manipulators() []dmm.Manipulator {
	return slices.DeleteFunc(slices.Clone([]dmm.Manipulator(dmm.Shipped())), func(m dmm.Manipulator) bool {
		return m.Name == "sample" || m.Name == "window" // these leave updates out, or carry them several times, on purpose
	})
}
