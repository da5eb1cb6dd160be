package dsv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// A Store is a Space in memory. With a Recorder, every change is also recorded, and durable writes are acknowledged
// once the Recorder has flushed them; writers that wait at the same time share one flush.
//
// The methods are linearizable. Watchers never slow writers: a Latest watch holds one update for each variable, an All
// watch a bounded queue, and the Store a bounded log from which All watches resume.
type Store struct {
	rec   Recorder
	flush flusher

	mu       sync.RWMutex // guards what follows
	vars     map[Name]*variable
	clock    func() Instant // nil: whole writes bear no instant
	revision Revision
	writer   WriterID // the greatest that was restored
	watches  followers
	graves   []grave // by revision

	directory directory

	log     changeLog
	scratch event // for changes that nobody but the Recorder sees
	recErr  error // the first error of the Recorder's Declare or Record
	closed  bool
}

var _ Space = (*Store)(nil)

// variable is one variable of a Store.
type variable struct {
	decl     Declaration
	fold     Fold
	revision Revision
	t1       Instant
	writers  []Progress
	hit      int // the index in writers that was used last
	subs     []*sub
	forgot   Revision // its newest change that the log does not have
	deleted  bool
	restored bool
	front    *front // what others write goes to it; nil for most
}

// sub ties a watch to one variable that it matches.
type sub struct {
	w      *watch
	v      *variable
	at, of int32 // its places in v.subs and w.subs
	slot   slot
}

// NewStore returns an empty Store. rec may be nil; it stays the caller's, who closes it after the Store.
func NewStore(rec Recorder) *Store {
	return &Store{rec: rec, flush: flusher{rec: rec, run: make(chan struct{}, 1)}, vars: map[Name]*variable{}, watches: newFollowers()}
}

// SetRevision continues after r, where that is later than what was written: for a Store that succeeds another one.
func (s *Store) SetRevision(r Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r > s.revision {
		s.revision = r
		s.log.lost = max(s.log.lost, r)
	}
}

// SetClock has whole writes stamped: from now on their T1 is what now returns, where that is not before the variable's.
// now is called with the Store locked, so it must be quick and must not use the Store. Without a clock a whole write
// leaves T1 as it is.
func (s *Store) SetClock(now func() Instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = now
}

// Restore puts a variable back as a Recorder kept it: its declaration, its last update (with revision 0 when it was never
// written), and how far each writer was merged; of a variable that was deleted, that it was: deletions come first, in
// the order of their revisions. Nothing is recorded, and watchers are not told.
func (s *Store) Restore(d Declaration, last Update, seen []Progress) error {
	if err := d.Check(); err != nil {
		return fmt.Errorf("restore %s: %w", d.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last.Deleted {
		s.revision = max(s.revision, last.Revision)
		s.bury(d.Name, last.Revision)
		return nil
	}
	if s.vars[d.Name] != nil {
		return fmt.Errorf("restore %s: %w", d.Name, ErrExists)
	}
	v := &variable{decl: d, fold: *NewFold(d.Kind, d.Merge), writers: slices.Clone(seen), restored: true}
	if last.Revision > 0 {
		if err := last.Reading.Value.Check(d.Kind); err != nil {
			return fmt.Errorf("restore %s: %w", d.Name, err)
		}
		v.fold.Set(last.Reading.Value.Clone(), last.Reading.Weight)
		v.fold.t1 = last.Reading.T1
		v.revision, v.t1, v.forgot = last.Revision, last.Reading.T1, last.Revision
		s.revision = max(s.revision, last.Revision)
	}
	for _, p := range seen {
		s.writer = max(s.writer, p.Writer)
	}
	s.admit(v)
	return nil
}

// LastWriter returns the greatest writer whose progress was restored: who is new must be another one, or its deltas
// would be taken for repeats.
func (s *Store) LastWriter() WriterID {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.writer
}

// admit makes the variable known to lookups and watches. Callers hold mu.
func (s *Store) admit(v *variable) {
	s.vars[v.decl.Name] = v
	s.directory.put(v)
	s.watches.of(v.decl.Name, func(w *watch) { v.attach(w) })
}

// Create implements Space.
func (s *Store) Create(ctx context.Context, d Declaration) error {
	p := Prompt{Store: s}
	err := p.Create(ctx, d)
	return p.settle("create", d.Name, err)
}

func (s *Store) create(d Declaration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if old := s.vars[d.Name]; old != nil {
		if old.decl != d {
			return ErrExists
		}
		return nil
	}
	if s.rec != nil {
		s.note(s.rec.Declare(d))
	}
	s.admit(&variable{decl: d, fold: *NewFold(d.Kind, d.Merge)})
	return nil
}

// find returns the variable. Callers hold mu.
func (s *Store) find(n Name) (*variable, error) {
	if s.closed {
		return nil, ErrClosed
	}
	if v := s.vars[n]; v != nil {
		return v, nil
	}
	return nil, ErrNotFound
}

// Read implements Space.
func (s *Store) Read(_ context.Context, n Name) (Reading, error) {
	s.mu.RLock()
	v, err := s.find(n)
	var r Reading
	if err == nil && v.revision == 0 {
		err = ErrUnset
	}
	if err == nil {
		r = v.reading()
	}
	s.mu.RUnlock()
	if err != nil {
		return Reading{}, fmt.Errorf("read %s: %w", clip(string(n)), err)
	}
	r.Value = r.Value.Clone()
	return r, nil
}

// Write implements Space.
func (s *Store) Write(ctx context.Context, n Name, val Value) (Revision, error) {
	p := Prompt{Store: s}
	rev, err := p.Write(ctx, n, val)
	return rev, p.settle("write", n, err)
}

// TestAndSet implements Space.
func (s *Store) TestAndSet(ctx context.Context, n Name, old Revision, val Value) (Revision, error) {
	p := Prompt{Store: s}
	rev, err := p.TestAndSet(ctx, n, old, val)
	return rev, p.settle("test and set", n, err)
}

// put writes a whole value, if old is nil or the variable's revision. durable says that it has to be settled.
func (s *Store) put(n Name, val Value, old *Revision) (rev Revision, durable bool, err error) {
	val = val.Clone()
	s.mu.Lock()
	v, err := s.find(n)
	if err == nil && v.front != nil {
		rev, err = s.writeFront(v, val, old)
		return rev, false, err
	}
	if err == nil {
		err = val.Check(v.decl.Kind)
	}
	if err != nil {
		s.mu.Unlock()
		return 0, false, err
	}
	if old != nil && *old != v.revision {
		defer s.mu.Unlock()
		return v.revision, false, ErrStale
	}
	weight := 1.0
	if val.Kind == Histogram {
		weight = float64(val.Hist.Count())
	}
	v.fold.Set(val, weight)
	s.stamp(v)
	s.changed(v, nil)
	rev, durable = v.revision, v.decl.Durable
	s.mu.Unlock()
	return rev, durable, nil
}

// stamp gives a whole write its instant: a delta that ended before it does not replace it under Last. Callers hold mu.
func (s *Store) stamp(v *variable) {
	if s.clock == nil {
		return
	}
	v.t1 = max(v.t1, s.clock())
	v.fold.t1 = v.t1
}

// Sync implements Space.
func (s *Store) Sync(_ context.Context, deltas []Delta) error {
	errs, durable := s.sync(deltas)
	if durable {
		if err := s.Settle(); err != nil {
			errs = append(errs, fmt.Errorf("sync: %w", err))
		}
	}
	return errors.Join(errs...)
}

// sync merges deltas. durable says that some have to be settled.
func (s *Store) sync(deltas []Delta) (errs []error, durable bool) {
	var fronts []fronted
	s.mu.Lock()
	for i := range deltas {
		v, err := s.merge(&deltas[i], &fronts)
		if err != nil {
			errs = append(errs, fmt.Errorf("sync %s: %w", clip(string(deltas[i].Name)), err))
		}
		durable = durable || v != nil && v.decl.Durable
	}
	s.mu.Unlock()
	for i := range fronts {
		fronts[i].f.Merge(&fronts[i].d)
	}
	return errs, durable
}

// merge merges one delta, or adds it to those that Fronts take. Callers hold mu.
func (s *Store) merge(d *Delta, fronts *[]fronted) (*variable, error) {
	v, err := s.find(d.Name)
	if err != nil {
		return nil, err
	}
	if v.front != nil && v.front.writer != d.Writer {
		*fronts, err = s.mergeFront(v, d, *fronts)
		return v, err
	}
	if err := d.check(v.decl.Kind); err != nil {
		return nil, err
	}
	if !v.advance(d) {
		return v, nil
	}
	d2 := *d
	d2.Value = d.Value.Clone()
	v.fold.Add(&d2)
	v.t1 = max(v.t1, d.T1)
	s.changed(v, &d2)
	return v, nil
}

func (d *Delta) check(k Kind) error {
	if err := d.Value.Check(k); err != nil {
		return err
	}
	if d.Weight-d.Weight != 0 {
		return fmt.Errorf("weight %v is not finite: %w", d.Weight, ErrKind)
	}
	return nil
}

// advance notes the delta's place among its writer's; it returns false for a repeat.
func (v *variable) advance(d *Delta) bool {
	if v.hit >= len(v.writers) || v.writers[v.hit].Writer != d.Writer {
		v.hit = slices.IndexFunc(v.writers, func(p Progress) bool { return p.Writer == d.Writer })
		if v.hit < 0 {
			v.hit = len(v.writers)
			v.writers = append(v.writers, Progress{d.Writer, d.Epoch, d.Seq, d.T1})
			return true
		}
	}
	p := &v.writers[v.hit]
	if d.Epoch < p.Epoch || d.Epoch == p.Epoch && d.Seq <= p.Seq {
		return false
	}
	p.Epoch, p.Seq, p.T1 = d.Epoch, d.Seq, max(p.T1, d.T1)
	return true
}

func (v *variable) reading() Reading {
	return Reading{Value: v.fold.Value(), Weight: v.fold.weight, Revision: v.revision, T1: v.t1}
}

// Delete implements Space. Watchers see an update with Deleted set; a variable created again starts from nothing, and
// knows no repeats of deltas from its former life.
func (s *Store) Delete(ctx context.Context, n Name) error {
	p := Prompt{Store: s}
	err := p.Delete(ctx, n)
	return p.settle("delete", n, err)
}

// remove deletes a variable. durable says that this has to be settled.
func (s *Store) remove(n Name) (durable bool, err error) {
	s.mu.Lock()
	v, err := s.find(n)
	if err == nil {
		v.deleted = true
		delete(s.vars, n)
		s.directory.dead++
		s.log.lost = max(s.log.lost, v.forgot)
		s.changed(v, nil)
		s.bury(n, v.revision)
		v.forsake()
	}
	s.mu.Unlock()
	if err == nil && v.front != nil {
		v.front.Gone()
	}
	return err == nil && v.decl.Durable, err
}

// Close ends all watches, once they have delivered what they hold, makes everything recorded durable, and refuses
// whatever comes later with ErrClosed. It may be called twice.
func (s *Store) Close() error {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	s.watches.all((*watch).end)
	s.watches = newFollowers()
	s.mu.Unlock()
	if was {
		return nil
	}
	if err := s.Settle(); err != nil {
		return fmt.Errorf("close variables: %w", err)
	}
	return nil
}
