package dsv

import (
	"context"
	"fmt"
)

// A Front stands before one variable of a Store and takes what others write to it. What it makes of that it writes
// itself, by Sync, as the writer that it was set with. Its methods may be called from several goroutines at once, and
// are called without the Store's locks, except Takes, which must be quick and leave the Store alone.
type Front interface {
	// Takes returns nil when a value that was written, or that a delta carries, can be folded; an error that wraps
	// ErrKind otherwise. The value is sound.
	Takes(v Value, delta bool) error
	// Write takes a value that was written whole. It is the Front's.
	Write(v Value)
	// Merge takes a delta that is no repeat. Its value is the Front's, the rest is valid during the call.
	Merge(d *Delta)
	// String tells in words what is done; Info.Manipulated shows it.
	String() string
	// Gone says that the variable was deleted.
	Gone()
}

// front is what stands before a variable.
type front struct {
	Front
	writer WriterID
}

// Manipulate creates a variable with f before it: what others write goes to f, and only deltas of the given writer reach
// the variable. Repeats are discarded before f sees them. A write is answered with the revision that the variable has
// then. A variable that exists is ErrExists, unless it was restored with an equal declaration and has nothing before it.
// It cannot be durable, since a write is acknowledged before it is synchronised.
func (s *Store) Manipulate(_ context.Context, d Declaration, writer WriterID, f Front) error {
	err := d.Check()
	if err == nil && d.Durable {
		err = fmt.Errorf("a manipulated variable is not durable: %w", ErrKind)
	}
	if err == nil {
		err = s.manipulate(d, &front{f, writer})
	}
	if err != nil {
		return fmt.Errorf("manipulate %s: %w", clip(string(d.Name)), err)
	}
	return nil
}

func (s *Store) manipulate(d Declaration, f *front) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	v := s.vars[d.Name]
	switch {
	case v == nil:
		if s.rec != nil {
			s.note(s.rec.Declare(d))
		}
		v = &variable{decl: d, fold: *NewFold(d.Kind, d.Merge)}
		v.front = f
		s.admit(v)
		return nil
	case v.front != nil || !v.restored || v.decl != d:
		return ErrExists
	}
	v.front = f
	return nil
}

// writeFront hands a whole write to the variable's Front. Callers hold mu, which is let go.
func (s *Store) writeFront(v *variable, val Value, old *Revision) (Revision, error) {
	f, rev := v.front, v.revision
	err := val.Check(val.Kind)
	if err == nil && old != nil {
		err = fmt.Errorf("it is manipulated: %w", ErrKind)
	}
	if err == nil {
		err = f.Takes(val, false)
	}
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	f.Write(val)
	return rev, nil
}

// fronted is a delta on its way to a Front.
type fronted struct {
	f *front
	d Delta
}

// mergeFront notes a delta that a Front takes. Callers hold mu, and hand it over once they have let that go.
func (s *Store) mergeFront(v *variable, d *Delta, to []fronted) ([]fronted, error) {
	if err := d.check(d.Value.Kind); err != nil {
		return to, err
	}
	if err := v.front.Takes(d.Value, true); err != nil {
		return to, err
	}
	if !v.advance(d) {
		return to, nil
	}
	taken := *d
	taken.Value = d.Value.Clone()
	return append(to, fronted{v.front, taken}), nil
}

// Has says whether there is a variable of that name.
func (s *Store) Has(n Name) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.vars[n] != nil
}
