package evekernel

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
)

// The bounds of watches of derived values.
const (
	leastEvery   = 10 * time.Millisecond
	defaultEvery = time.Second
	mostWindow   = 10 * time.Minute

	// deriveDelay is how long after a multiple of the period the value is told: what ends there has been synchronised.
	deriveDelay = 20 * time.Millisecond
	// freshness is how old the latest synchronisation may be for a window to end there, and not now.
	freshness = time.Second
)

// Read implements dsv.Space.
func (s space) Read(ctx context.Context, n dsv.Name) (dsv.Reading, error) {
	return s.k.ReadOver(ctx, n, 0)
}

// derivedInfo tells what is known of a derived value, when there is no variable of that name.
func (k *Kernel) derivedInfo(ctx context.Context, n dsv.Name) (dsv.Info, error) {
	base, f, err := k.derived(ctx, n)
	if err != nil {
		return dsv.Info{}, fmt.Errorf("info %.80s: %w", n, err)
	}
	i, err := k.store.Info(ctx, base.Name)
	if err == nil {
		i.Declaration = f.Declaration(base)
		i.Losses = k.losses.of(base.Name, k.cfg.Grace)
	}
	return i, err
}

// Watch implements dsv.Space.
func (s space) Watch(ctx context.Context, r dsv.WatchRequest) (dsv.Watch, error) {
	n, err := dsv.ParseName(r.Pattern)
	if err != nil {
		return s.plain(ctx, r)
	}
	if _, err := s.Store.Info(ctx, n); !errors.Is(err, dsv.ErrNotFound) {
		return s.plain(ctx, r)
	}
	if _, _, ok := dmm.Derived(n); !ok {
		return s.plain(ctx, r)
	}
	base, f, err := s.k.derived(ctx, n)
	if errors.Is(err, dsv.ErrNotFound) && r.Window == 0 && r.Every == 0 {
		return s.plain(ctx, r) // a variable of that name may come yet
	}
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", n, err)
	}
	w, err := s.k.follow(ctx, n, base, f, r)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", n, err)
	}
	return w, nil
}

// plain watches variables.
func (s space) plain(ctx context.Context, r dsv.WatchRequest) (dsv.Watch, error) {
	if r.Window != 0 || r.Every != 0 {
		return nil, fmt.Errorf("watch %.80s: window and every are of derived values, such as NAME.p95: %w", r.Pattern, dsv.ErrName)
	}
	return s.Store.Watch(ctx, r)
}

// derived takes the name of a derived value apart, which no variable has. It is ErrNotFound, with what may have been
// meant, when there is nothing to derive it of.
func (k *Kernel) derived(ctx context.Context, n dsv.Name) (dsv.Declaration, dmm.Derivation, error) {
	base, f, ok := dmm.Derived(n)
	if !ok {
		return dsv.Declaration{}, 0, k.notFound(n, "")
	}
	i, err := k.store.Info(ctx, base)
	switch {
	case errors.Is(err, dsv.ErrNotFound):
		return dsv.Declaration{}, 0, k.notFound(base, "."+f.String())
	case err != nil:
		return dsv.Declaration{}, 0, err
	}
	return i.Declaration, f, f.Check(i.Declaration)
}

// mostSearched bounds the variables among which a misspelt name is looked for.
const mostSearched = 10_000

// notFound says that there is no variable, and which may have been meant.
func (k *Kernel) notFound(n dsv.Name, suffix string) error {
	ds := k.store.Declarations()
	if len(ds) > mostSearched {
		return dsv.ErrNotFound
	}
	names := make([]string, len(ds))
	for i, d := range ds {
		names[i] = string(d.Name)
	}
	if near := expr.Nearest(string(n), names); near != "" {
		return fmt.Errorf("%w; did you mean %s%s?", dsv.ErrNotFound, near, suffix)
	}
	return dsv.ErrNotFound
}

// ReadOver reads a variable, or computes a derived value: over the last window, which ends now or where the variable was
// synchronised last; with window 0, over all since the variable was created, except a rate, which is over
// [dmm.RateWindow]. A window needs a history. A value of nothing is dsv.ErrUnset.
func (k *Kernel) ReadOver(ctx context.Context, n dsv.Name, window time.Duration) (dsv.Reading, error) {
	r, err := k.store.Read(ctx, n)
	switch {
	case err == nil && window != 0:
		return r, fmt.Errorf("read %.80s: a window is of derived values, such as NAME.p95: %w", n, dsv.ErrName)
	case !errors.Is(err, dsv.ErrNotFound):
		return r, err
	}
	base, f, err := k.derived(ctx, n)
	if err == nil {
		r, err = k.derive(ctx, base, f, window)
	}
	if err != nil {
		return dsv.Reading{}, fmt.Errorf("read %.80s: %w", n, err)
	}
	return r, nil
}

func (k *Kernel) derive(ctx context.Context, base dsv.Declaration, f dmm.Derivation, window time.Duration) (dsv.Reading, error) {
	if window == 0 {
		window = f.Window()
	}
	if err := checkWindow(window); err != nil {
		return dsv.Reading{}, err
	}
	r, err := k.store.Read(ctx, base.Name)
	if err != nil {
		return dsv.Reading{}, err
	}
	t := dmm.TotalOf(base, r)
	if window > 0 {
		to := k.Now()
		if to.Sub(r.T1) < min(freshness, window) {
			to = r.T1
		}
		if t, err = k.past(ctx, base, r, to.Add(-window), to); err != nil {
			return dsv.Reading{}, err
		}
	}
	got := reading(f, t)
	got.Revision = r.Revision
	if got.Value.Kind == 0 {
		return dsv.Reading{}, fmt.Errorf("nothing to compute it of: %w", dsv.ErrUnset)
	}
	return got, nil
}

// reading is a derived value as a Reading carries it; without a value where there is nothing to compute it of.
func reading(f dmm.Derivation, t dmm.Total) dsv.Reading {
	r := dsv.Reading{Weight: t.Weight, T1: t.T1}
	if x := f.Of(t); !math.IsNaN(x) && !math.IsInf(x, 0) {
		r.Value = dsv.FloatValue(x)
	}
	return r
}

func checkWindow(d time.Duration) error {
	if d < 0 || d > mostWindow {
		return fmt.Errorf("window %v: want at most %v: %w", d, mostWindow, dsv.ErrTooLarge)
	}
	return nil
}

// past sums what the history has of (from, to].
func (k *Kernel) past(ctx context.Context, base dsv.Declaration, now dsv.Reading, from, to dsv.Instant) (dmm.Total, error) {
	w := dmm.NewWindow(base, 0)
	if base.Merge == dsv.Last && now.T1 <= from {
		w.Add(dsv.Delta{Name: base.Name, T0: now.T1, T1: now.T1, Value: now.Value, Weight: 1}) // it still holds
	}
	err := k.history(ctx, base.Name, from, to, w.Add)
	return w.Sum(from, to), err
}

// history calls add with what the history has of (from, to].
func (k *Kernel) history(ctx context.Context, n dsv.Name, from, to dsv.Instant, add func(dsv.Delta)) error {
	req := dsv.HistoryRequest{Name: n, From: from, To: max(to, 1)} // a To of 0 would mean no bound
	for {
		page, err := k.store.History(ctx, req)
		if err != nil {
			return err
		}
		for _, d := range page.Deltas {
			add(d)
		}
		if !page.More {
			return nil
		}
		req.Cursor = page.Cursor
	}
}

// A derivedWatch tells a derived value at the multiples of a period. It follows the variable by a watch in mode Latest.
type derivedWatch struct {
	k             *Kernel
	name          dsv.Name
	base          dsv.Declaration
	f             dmm.Derivation
	window, every time.Duration
	of            dsv.Watch

	began bool        // the value at which the watch began has come
	next  dsv.Instant // when a value is due
	last  dsv.Revision
	now   dsv.Reading    // of the variable; without a kind before the first
	sums  *dmm.Window    // where there is a window
	known []dsv.Progress // how far the history told of each writer
}

// follow opens the watch of a derived value.
func (k *Kernel) follow(ctx context.Context, n dsv.Name, base dsv.Declaration, f dmm.Derivation, r dsv.WatchRequest) (dsv.Watch, error) {
	w := &derivedWatch{k: k, name: n, base: base, f: f, window: r.Window, every: r.Every}
	if w.window == 0 {
		w.window = f.Window()
	}
	if w.every == 0 {
		w.every = defaultEvery
	}
	if w.every < leastEvery {
		return nil, fmt.Errorf("every %v: at least %v: %w", w.every, leastEvery, dsv.ErrTooLarge)
	}
	if err := checkWindow(w.window); err != nil {
		return nil, err
	}
	var err error
	if w.of, err = k.store.Watch(ctx, dsv.WatchRequest{Pattern: string(base.Name)}); err != nil {
		return nil, err
	}
	now := k.Now()
	if w.window > 0 {
		w.sums = dmm.NewWindow(base, w.window+w.every)
		err := k.history(ctx, base.Name, now.Add(-w.window), now, w.add) // it begins with what there is
		if err != nil && !errors.Is(err, dsv.ErrNoHistory) {
			_ = w.of.Close()
			return nil, err
		}
		w.known = w.newest()
	}
	w.next = w.after(now)
	return w, nil
}

// newest is how far each writer has come by what the history told.
func (w *derivedWatch) newest() []dsv.Progress {
	var ps []dsv.Progress
	for _, d := range w.sums.Deltas(math.MinInt64, dsv.Never) {
		i := progressOf(ps, d.Writer)
		if i < 0 {
			ps = append(ps, dsv.Progress{Writer: d.Writer})
			i = len(ps) - 1
		}
		if p := &ps[i]; d.Epoch > p.Epoch || d.Epoch == p.Epoch && d.Seq > p.Seq {
			p.Epoch, p.Seq = d.Epoch, d.Seq
		}
	}
	return ps
}

func progressOf(ps []dsv.Progress, w dsv.WriterID) int {
	for i := range ps {
		if ps[i].Writer == w {
			return i
		}
	}
	return -1
}

// told says whether the history told of the delta.
func (w *derivedWatch) told(d *dsv.Delta) bool {
	i := progressOf(w.known, d.Writer)
	return i >= 0 && (d.Epoch < w.known[i].Epoch || d.Epoch == w.known[i].Epoch && d.Seq <= w.known[i].Seq)
}

func (w *derivedWatch) add(d dsv.Delta) { w.sums.Add(d) }

// after returns the first multiple of the period after t.
func (w *derivedWatch) after(t dsv.Instant) dsv.Instant {
	every := dsv.Instant(w.every)
	return (max(0, t)/every + 1) * every
}

// Next implements dsv.Watch.
func (w *derivedWatch) Next(ctx context.Context) (dsv.Update, error) {
	wait := w.every // while the run's time is not known
	if w.k.started() {
		wait = w.next.Sub(w.k.Now())
	}
	due, cancel := context.WithTimeout(ctx, wait+deriveDelay)
	defer cancel()
	for {
		u, err := w.of.Next(due)
		switch {
		case err == nil && u.Deleted:
			w.began, w.now, w.known = true, dsv.Reading{}, nil
			if w.sums != nil {
				w.sums = dmm.NewWindow(w.base, w.window+w.every)
			}
			return dsv.Update{Name: w.name, Revision: w.rise(u.Reading.T1), Deleted: true}, nil
		case err == nil:
			w.take(u)
		case ctx.Err() != nil:
			return dsv.Update{}, fmt.Errorf("watch %s: %w", w.name, context.Cause(ctx))
		case due.Err() != nil:
			return w.tell(), nil
		default:
			return dsv.Update{}, err // closed
		}
	}
}

// take takes a change of the variable.
func (w *derivedWatch) take(u dsv.Update) {
	first := !w.began
	w.began = true
	w.now = u.Reading
	switch {
	case w.sums == nil:
	case u.Delta != nil:
		if !w.told(u.Delta) {
			w.sums.Add(*u.Delta)
		}
	case w.base.Merge == dsv.Last && (!first || w.sums.Len() == 0):
		w.sums.Add(dsv.Delta{Name: u.Name, T0: u.Reading.T1, T1: u.Reading.T1, Value: u.Reading.Value, Weight: 1})
	}
}

// rise gives the revision of an update: the instant that it tells of, since a derived value has no revision of its own.
func (w *derivedWatch) rise(at dsv.Instant) dsv.Revision {
	w.last = max(w.last+1, dsv.Revision(max(0, at)))
	return w.last
}

// tell computes the value that is due, and when the next one is.
func (w *derivedWatch) tell() dsv.Update {
	at, now := w.next, w.k.Now()
	skipped := 0
	if !w.k.started() {
		at = max(0, w.now.T1)
	} else if late := w.after(now.Add(-deriveDelay)) - dsv.Instant(w.every); late > at {
		skipped = int((late - at) / dsv.Instant(w.every)) // the reader was slow
		at = late
	}
	w.next = w.after(at)
	var t dmm.Total
	switch {
	case w.sums != nil:
		t = w.sums.Sum(at.Add(-w.window), at)
	case w.now.Value.Kind != 0:
		t = dmm.TotalOf(w.base, w.now)
	default:
		t = dmm.Total{Kind: w.base.Kind, Merge: w.base.Merge}
	}
	r := reading(w.f, t)
	r.T1 = at
	r.Revision = w.rise(at)
	return dsv.Update{Name: w.name, Revision: r.Revision, Reading: r, Skipped: skipped}
}

// Close implements dsv.Watch.
func (w *derivedWatch) Close() error { return w.of.Close() }
