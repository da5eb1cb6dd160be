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
	mostEvery    = time.Hour
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
	w.Coarsen(math.MaxInt64) // no more than that comes of the history
	if base.Merge == dsv.Last && now.T1 <= from {
		w.Add(dsv.Delta{Name: base.Name, T0: now.T1, T1: now.T1, Value: now.Value, Weight: 1}) // it still holds
	}
	_, err := k.history(ctx, base.Name, from, max(to, 1), w.Add) // a To of 0 would mean no bound
	return w.Sum(from, to), err
}

// history calls add with what the history has of (from, to], and tells which change was the last one.
func (k *Kernel) history(ctx context.Context, n dsv.Name, from, to dsv.Instant, add func(dsv.Delta)) (dsv.Revision, error) {
	req := dsv.HistoryRequest{Name: n, From: from, To: to}
	for {
		page, err := k.store.History(ctx, req)
		if err != nil {
			return 0, err
		}
		for _, d := range page.Deltas {
			add(d)
		}
		if !page.More {
			return dsv.Revision(page.Cursor), nil
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

	next dsv.Instant // when a value is due
	last dsv.Revision
	now  dsv.Reading  // of the variable; without a kind before the first
	sums *dmm.Window  // where there is a window
	seen dsv.Revision // how far the history told
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
	if w.every < leastEvery || w.every > mostEvery {
		return nil, fmt.Errorf("every %v: want %v to %v: %w", w.every, leastEvery, mostEvery, dsv.ErrTooLarge)
	}
	if err := checkWindow(w.window); err != nil {
		return nil, err
	}
	var err error
	if w.of, err = k.store.Watch(ctx, dsv.WatchRequest{Pattern: string(base.Name)}); err != nil {
		return nil, err
	}
	now := k.Now()
	if err := w.begin(ctx, now); err != nil {
		return nil, errors.Join(err, w.of.Close())
	}
	w.next = w.after(now)
	return w, nil
}

// mostTries bounds how often a history is read that grows meanwhile.
const mostTries = 10

// begin has the window begin with what the history has of it, and the watch with what comes after that.
func (w *derivedWatch) begin(ctx context.Context, now dsv.Instant) error {
	newest, some := w.poll()
	for try := 1; w.window > 0; try++ {
		w.sums = w.empty()
		var err error
		w.seen, err = w.k.history(ctx, w.base.Name, now.Add(-w.window), dsv.Never, w.sums.Add)
		if errors.Is(err, dsv.ErrNoHistory) {
			break
		}
		if err != nil {
			return err
		}
		w.k.store.Revision() // waits until watches were told what the history has
		u, more := w.poll()
		if !more {
			break
		}
		newest, some = u, true
		if u.Revision <= w.seen || try == mostTries {
			break
		}
	}
	if some {
		w.take(newest)
	}
	return nil
}

// empty returns a window that is exact where values are told.
func (w *derivedWatch) empty() *dmm.Window {
	sums := dmm.NewWindow(w.base, w.window+w.every)
	a, b := w.window, w.every
	for b != 0 {
		a, b = b, a%b
	}
	sums.Coarsen(max(a, time.Millisecond))
	return sums
}

// poll returns what the watch of the variable has already.
func (w *derivedWatch) poll() (u dsv.Update, ok bool) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	u, err := w.of.Next(ctx)
	return u, err == nil
}

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
		case err == nil:
			w.take(u)
			if u.Deleted {
				return dsv.Update{Name: w.name, Revision: w.rise(u.Reading.T1), Deleted: true}, nil
			}
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
	w.now = u.Reading
	switch {
	case w.sums == nil || u.Revision <= w.seen:
	case u.Deleted:
		w.sums = w.empty()
	case u.Delta != nil:
		w.sums.Add(*u.Delta)
	case w.base.Merge == dsv.Last:
		w.sums.Add(dsv.Delta{Name: u.Name, T0: u.Reading.T1, T1: u.Reading.T1, Value: u.Reading.Value, Weight: 1})
	}
	if u.Deleted {
		w.now = dsv.Reading{}
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
