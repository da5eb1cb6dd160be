package evekernel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/recipe"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// A Manipulation is a manipulator inside the kernel, before one variable: what others write is folded at the kernel's
// clock and synchronised by its own trigger. Numbers that are written whole are samples. Deltas of the variable's own
// kind and rule are merged in, others are a sample each: their value, or their mean.
type Manipulation struct {
	// Declaration is of the variable as readers see it. Its kind and rule follow from the manipulator where the kind is 0.
	Declaration dsv.Declaration
	Recipe      dmm.Recipe
	// FromKind and FromMerge say what deltas carry: those of the manipulator at the module, behind which this one is
	// chained. Without a kind they are as the Declaration says.
	FromKind  dsv.Kind
	FromMerge dsv.Merge
}

// maxGuests bounds the guests that one kernel runs: each may hold a MiB.
const maxGuests = 256

// manipulations are the manipulators inside the kernel. One goroutine, drive, synchronises them.
type manipulations struct {
	k    *Kernel
	some atomic.Bool   // there is one
	wake chan struct{} // capacity 1: there is another one

	sync sync.Mutex // one synchronisation at a time; locked before mu

	mu     sync.Mutex // guards what follows
	set    *dmm.Set   // nil before the first
	fronts map[dsv.Name]*front
	guests int
	pace   time.Duration // the shortest period
	told   map[string]bool
	closed bool
}

func (m *manipulations) init(k *Kernel) {
	m.k, m.wake = k, make(chan struct{}, 1)
	m.fronts, m.told = map[dsv.Name]*front{}, map[string]bool{}
}

// A front is what stands before one variable of the Store.
type front struct {
	m    *manipulations
	what Manipulation
	made *recipe.Made
	v    *dmm.Var
}

// Manipulate creates a variable with a manipulator before it. Again with the same manipulation it is no error; with
// another one, and where the variable is there without, it is [dsv.ErrExists].
func (k *Kernel) Manipulate(ctx context.Context, what Manipulation) error {
	if err := k.manip.create(ctx, &what); err != nil {
		return fmt.Errorf("create %.80s: %w", what.Declaration.Name, err)
	}
	return nil
}

func (m *manipulations) create(ctx context.Context, what *Manipulation) error {
	if _, err := dsv.ParseName(string(what.Declaration.Name)); err != nil {
		return err
	}
	made, err := recipe.Make(ctx, what.Declaration.Name, what.Recipe, m.k.cfg.Manipulators)
	if err != nil {
		return err
	}
	known, err := m.admit(ctx, what, made)
	if known || err != nil {
		err = errors.Join(err, made.Close())
	}
	return err
}

// admit puts the manipulator before its variable; known says that it is there.
func (m *manipulations) admit(ctx context.Context, what *Manipulation, made *recipe.Made) (known bool, err error) {
	if err := what.settle(&made.Spec); err != nil {
		return false, err
	}
	name := what.Declaration.Name
	made.Spec.OnFault = func(_ dsv.Name, err error) { m.k.logf("variable %s goes on without its manipulator: %v", name, err) }
	m.sync.Lock() // what is being synchronised goes first
	defer m.sync.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false, dsv.ErrClosed
	}
	if old := m.fronts[name]; old != nil && !m.k.store.Has(name) {
		m.drop(old) // deleted, and about to be told
	}
	if old := m.fronts[name]; old != nil {
		if old.what.same(*what) {
			return true, nil
		}
		return false, dsv.ErrExists
	}
	if made.Guest() && m.guests >= maxGuests {
		return false, fmt.Errorf("more than %d guests in one kernel", maxGuests)
	}
	if m.set == nil {
		if m.set, err = dmm.NewSet(m.k.nextWriter(), 1, nil); err != nil {
			return false, err
		}
	}
	f := &front{m: m, what: *what, made: made}
	if f.v, err = m.set.Add(made.Spec, m.k.Now()); err != nil {
		return false, err
	}
	if err := m.k.store.Manipulate(ctx, what.Declaration, m.set.Writer(), f); err != nil {
		m.set.Remove(name)
		return false, err
	}
	m.remember(what)
	m.fronts[name] = f
	if made.Guest() {
		m.guests++
	}
	if every := made.Spec.Sync.Every; every > 0 && (m.pace == 0 || every < m.pace) {
		m.pace = every
	}
	m.some.Store(true)
	m.signal()
	return false, nil
}

// settle fills in what follows from the manipulator.
func (w *Manipulation) settle(s *dmm.Spec) error {
	d := &w.Declaration
	if d.Kind != 0 {
		s.Kind = d.Kind
	} else if w.FromKind == dsv.Int || w.FromKind == dsv.Text || w.FromKind == dsv.Bytes {
		s.Kind = w.FromKind // what last holds
	}
	of := s.Declaration("", "", false)
	if s.Kind != of.Kind {
		s.Kind = 0
	}
	switch {
	case d.Kind == 0:
		d.Kind, d.Merge = of.Kind, of.Merge
	case d.Kind != of.Kind || d.Merge != of.Merge:
		return fmt.Errorf("%s makes %v merged by %v, not %v merged by %v: %w", s.Manipulator, of.Kind, of.Merge, d.Kind, d.Merge, dsv.ErrKind)
	}
	if err := s.Check(); err != nil {
		return err
	}
	if w.FromKind != 0 {
		return w.takes(w.FromKind, true)
	}
	w.FromKind, w.FromMerge = d.Kind, d.Merge
	return nil
}

// same says whether both ask for the same.
func (w Manipulation) same(o Manipulation) bool {
	return w.Declaration == o.Declaration && w.FromKind == o.FromKind && w.FromMerge == o.FromMerge && w.Recipe.Equal(o.Recipe)
}

// merges says whether deltas are merged in, and not taken for samples.
func (w *Manipulation) merges() bool {
	d := &w.Declaration
	return w.FromKind == d.Kind && w.FromMerge == d.Merge && d.Merge != dsv.Last
}

// takes returns nil when values of the kind can be folded.
func (w *Manipulation) takes(k dsv.Kind, delta bool) error {
	own := w.Declaration.Kind
	ok := false
	switch {
	case delta && w.merges():
		ok = k == own
	case own == dsv.Text || own == dsv.Bytes:
		ok = k == own
	default:
		ok = k == dsv.Float || k == dsv.Int || !delta && k == own
	}
	if ok {
		return nil
	}
	return fmt.Errorf("%v where %v is folded to %v: %w", k, w.Recipe, own, dsv.ErrKind)
}

// Takes implements dsv.Front.
func (f *front) Takes(v dsv.Value, delta bool) error { return f.what.takes(v.Kind, delta) }

// String tells what is manipulated how.
func (f *front) String() string { return f.what.Recipe.String() }

// Write implements dsv.Front.
func (f *front) Write(v dsv.Value) {
	at := f.m.k.Now()
	if v.Kind == dsv.Histogram {
		f.v.Merge(at, v, float64(v.Hist.Count()))
		return
	}
	f.v.WriteValue(at, v)
}

// Merge implements dsv.Front. What a delta carries belongs to the window in which it ended, if that is still open.
func (f *front) Merge(d *dsv.Delta) {
	at := f.m.k.Now()
	if d.T1 > 0 {
		at = min(at, d.T1)
	}
	switch x, number := d.Value.Number(); {
	case f.what.merges():
		if empty(d, f.what.FromMerge) {
			return
		}
		weight := d.Weight
		if m := f.what.FromMerge; m == dsv.Min || m == dsv.Max {
			weight = max(1, weight) // a sample, also where its writer does not count them
		}
		f.v.Merge(at, d.Value, weight)
	case number && f.what.FromMerge == dsv.Mean:
		f.v.Write(at, x/d.Weight) // of nothing it is no number, which is ignored
	default:
		f.v.WriteValue(at, d.Value)
	}
}

// empty says whether a delta tells only that there was nothing. Not every writer gives weights.
func empty(d *dsv.Delta, rule dsv.Merge) bool {
	v := &d.Value
	switch {
	case d.Weight != 0 || rule == dsv.Min || rule == dsv.Max:
		return false
	case v.Kind == dsv.Histogram:
		return v.Hist.Count() == 0
	}
	return v.Int == 0 && v.Float == 0 && len(v.Bytes) == 0
}

// Gone implements dsv.Front.
func (f *front) Gone() {
	m := f.m
	m.sync.Lock() // what is being synchronised goes first
	m.mu.Lock()
	m.drop(f)
	m.mu.Unlock()
	m.sync.Unlock()
	_ = f.made.Close() // it has no files that could fail
}

// drop forgets a front whose variable was deleted. Callers hold sync and mu.
func (m *manipulations) drop(f *front) {
	name := f.what.Declaration.Name
	if m.fronts[name] != f {
		return
	}
	delete(m.fronts, name)
	m.set.Remove(name)
	m.forget(name)
	if f.made.Guest() {
		m.guests--
	}
}

func (m *manipulations) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// settleDelay is how long after the end of a window its delta is taken: what modules synchronise 5 ms after it has come
// then. Derived values are told later still.
const settleDelay = 12 * time.Millisecond

// drive synchronises until ctx ends, and then once more.
func (m *manipulations) drive(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		due, wait := m.next()
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			m.synchronise(true)
			return
		case <-m.wake:
			continue
		case <-due:
		case <-timer.C:
		}
		m.synchronise(false)
	}
}

// next returns what tells of a count or a level, and how long it is until a time trigger.
func (m *manipulations) next() (due <-chan struct{}, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.set == nil {
		return nil, time.Hour
	}
	next := m.set.Next()
	switch {
	case next == dsv.Never:
		return m.set.Due(), time.Hour
	case !m.k.started():
		return m.set.Due(), m.pace // time stands still: readers are served all the same
	}
	return m.set.Due(), max(0, next.Add(settleDelay).Sub(m.k.Now()))
}

// synchronise takes to the variables what became due; or everything.
func (m *manipulations) synchronise(all bool) {
	m.sync.Lock()
	defer m.sync.Unlock()
	m.mu.Lock()
	if m.set == nil || m.closed {
		m.mu.Unlock()
		return
	}
	now := m.k.Now()
	if m.k.started() {
		m.set.Advance(now.Add(-settleDelay))
	}
	if all || !m.k.started() {
		m.set.Flush(now)
	}
	deltas := m.set.Take(nil)
	m.mu.Unlock()
	m.send(deltas)
}

// send merges the kernel's own deltas.
func (m *manipulations) send(deltas []dsv.Delta) {
	if len(deltas) == 0 {
		return
	}
	err := m.k.store.Sync(context.Background(), deltas) // the Store does not wait for these
	if err == nil || errors.Is(err, dsv.ErrNotFound) {  // deleted meanwhile
		return
	}
	m.mu.Lock()
	first := !m.told[err.Error()] && len(m.told) < 100
	m.told[err.Error()] = true
	m.mu.Unlock()
	if first {
		m.k.logf("synchronise: %v", err)
	}
}

// close synchronises everything for the last time.
func (m *manipulations) close() {
	m.sync.Lock()
	defer m.sync.Unlock()
	m.mu.Lock()
	if m.set == nil || m.closed {
		m.closed = true
		m.mu.Unlock()
		return
	}
	m.closed = true
	m.set.Close(max(0, m.k.Now()))
	deltas := m.set.Take(nil)
	fronts := m.fronts
	m.mu.Unlock()
	m.send(deltas)
	for _, f := range fronts {
		_ = f.made.Close()
	}
}

// started says whether the run's time is known.
func (k *Kernel) started() bool { return k.t0.Load() != 0 }

// nextWriter gives the next writer's number.
func (k *Kernel) nextWriter() dsv.WriterID {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writer = max(k.writer, k.store.LastWriter()) + 1
	k.lease(k.writer)
	return k.writer
}

// create does OpCreate: with a recipe, the variable gets a manipulator.
func (p *peer) create(r *wire.Req) (dsv.Declaration, error) {
	if r.Dmm == nil {
		d, err := r.Decl.Decl()
		if err == nil {
			err = p.prompt.Create(p.ctx, d)
		}
		return d, err
	}
	if r.Decl == nil {
		return dsv.Declaration{}, fmt.Errorf("create: no declaration: %w", dsv.ErrKind)
	}
	w, filled := *r.Decl, r.Decl.Kind == ""
	if filled {
		w.Kind, w.Merge = dsv.Float.String(), ""
	}
	d, err := w.Decl()
	if err != nil {
		return d, err
	}
	if filled {
		d.Kind = 0
	}
	return d, p.k.Manipulate(p.ctx, Manipulation{Declaration: d, Recipe: *r.Dmm})
}

// has says whether a manipulator stands before the variable.
func (m *manipulations) has(n dsv.Name) bool {
	if !m.some.Load() {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fronts[n] != nil
}
