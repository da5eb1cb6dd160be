package dsv

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
)

// watch is a Watch of a Store.
type watch struct {
	s       *Store
	pattern string
	mode    Mode
	wake    chan struct{} // signalled, cap 1, when there is something to see
	subs    []*sub        // guarded by the Store's mu, as live is
	place   int           // among the followers of its name or first part, likewise
	live    bool          // the Store knows it

	mu     sync.Mutex     // guards what follows; taken after the Store's
	slots  []*slot        // Latest: variables with something new, in the order in which they had
	dead   map[Name]*slot // those whose variable was deleted
	events []*event       // All: what was not delivered
	bytes  int
	after  Revision // the newest change that was delivered or is queued
	cut    bool
	told   bool // the gap was told
	ended  bool // the Store closed
	closed bool
	notify func() // called instead of a signal to wake
}

// Watch implements Space.
func (s *Store) Watch(_ context.Context, r WatchRequest) (Watch, error) {
	if err := CheckPattern(r.Pattern); err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("watch %s: %w", r.Pattern, ErrClosed)
	}
	if r.Mode == All {
		s.startLog()
	}
	w := &watch{s: s, pattern: r.Pattern, mode: r.Mode, wake: make(chan struct{}, 1), after: r.From}
	resumes := r.Mode == All && r.From > 0
	if resumes && r.From > s.revision {
		return nil, fmt.Errorf("watch %s: revision %d is ahead of %d: %w", r.Pattern, r.From, s.revision, ErrGap)
	}
	if resumes && s.oldest(r.Pattern) > r.From {
		w.cut = true
		return w, nil
	}
	w.live = true
	s.watches.add(w)
	present := s.subscribe(w)
	if resumes {
		s.log.since(r.From, func(e *event) {
			if e.u.Name.Match(w.pattern) {
				w.queue(e)
			}
		})
		return w, nil
	}
	if r.From > 0 {
		present = append(present, s.buried(w, r.From)...)
	}
	slices.SortFunc(present, func(a, b presence) int { return cmp.Compare(a.e.u.Revision, b.e.u.Revision) })
	for _, p := range present {
		w.start(p)
	}
	return w, nil
}

// presence is a variable's value at the time when a watch began.
type presence struct {
	slot *slot
	e    *event
}

// buried returns the deletions after r of variables that the watch's pattern matches, the last one of each name.
// Callers hold mu.
func (s *Store) buried(w *watch, r Revision) []presence {
	var ps []presence
	told := map[Name]bool{}
	for i := len(s.graves) - 1; i >= 0 && s.graves[i].rev > r; i-- {
		g := s.graves[i]
		if told[g.name] || !g.name.Match(w.pattern) {
			continue
		}
		told[g.name] = true
		ps = append(ps, presence{&slot{}, &event{u: Update{Name: g.name, Revision: g.rev, Deleted: true}}})
	}
	return ps
}

// start delivers the value at which the watch begins.
func (w *watch) start(p presence) {
	if w.mode == All {
		w.queue(p.e)
		return
	}
	w.put(p.slot, p.e)
	if p.e.u.Deleted {
		w.died(p.slot, p.e)
	}
}

// subscribe attaches the watch to the variables that it matches, and returns their present values.
// Callers hold mu.
func (s *Store) subscribe(w *watch) []presence {
	var present []presence
	s.matching(w.pattern, func(v *variable) {
		sub := v.attach(w)
		if v.revision > 0 {
			e := &event{v: v, u: Update{Name: v.decl.Name, Revision: v.revision, Reading: v.reading()}}
			e.size = e.bytes()
			present = append(present, presence{&sub.slot, e})
		}
	})
	return present
}

// attach ties the watch to the variable. Callers hold the Store's mu.
func (v *variable) attach(w *watch) *sub {
	sub := &sub{w: w, v: v, at: int32(len(v.subs)), of: int32(len(w.subs))}
	v.subs, w.subs = append(v.subs, sub), append(w.subs, sub)
	return sub
}

// detach forgets the watch. Callers hold the Store's mu.
func (s *Store) detach(w *watch) {
	if !w.live {
		return
	}
	w.live = false
	if !s.closed {
		s.watches.remove(w)
	}
	for _, sub := range w.subs {
		subs, last := sub.v.subs, len(sub.v.subs)-1
		subs[sub.at] = subs[last]
		subs[sub.at].at = sub.at
		subs[last] = nil
		sub.v.subs = subs[:last]
	}
	w.subs = nil
}

// forsake unties a deleted variable from its watches, which may still hold what it was. Callers hold the Store's mu.
func (v *variable) forsake() {
	for _, sub := range v.subs {
		subs, last := sub.w.subs, len(sub.w.subs)-1
		subs[sub.of] = subs[last]
		subs[sub.of].of = sub.of
		subs[last] = nil
		sub.w.subs = subs[:last]
	}
	v.subs = nil
}

// push hands the watch one change; false says that it was too slow and is cut off. Callers hold the Store's mu.
func (w *watch) push(sub *sub, e *event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut || w.closed {
		return true
	}
	if w.mode == Latest {
		w.put(&sub.slot, e)
		if e.u.Deleted {
			w.died(&sub.slot, e)
		}
		return true
	}
	if len(w.events) >= queueChanges || len(w.events) > 0 && w.bytes+e.size > queueBytes {
		w.cut = true
		return false
	}
	w.queue(e)
	return true
}

// queue appends a change for a watch in mode All.
func (w *watch) queue(e *event) {
	w.events = append(w.events, e)
	w.bytes += e.size
	w.after = e.u.Revision
	w.signal()
}

func (w *watch) signal() {
	if w.notify != nil {
		w.notify()
		return
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Next implements Watch.
func (w *watch) Next(ctx context.Context) (Update, error) {
	for {
		u, ok, err := w.poll()
		if err != nil {
			return Update{}, fmt.Errorf("watch %s: %w", w.pattern, err)
		}
		if ok {
			return u, nil
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return Update{}, fmt.Errorf("watch %s: %w", w.pattern, context.Cause(ctx))
		}
	}
}

// poll returns what is there.
func (w *watch) poll() (Update, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return Update{}, false, ErrClosed
	case len(w.slots) > 0:
		s := w.slots[0]
		w.slots[0] = nil
		w.slots = w.slots[1:]
		u := s.take()
		if u.Deleted {
			delete(w.dead, u.Name)
		}
		return u, true, nil
	case len(w.events) > 0:
		e := w.events[0]
		w.events[0] = nil
		w.events = w.events[1:]
		w.bytes -= e.size
		return e.copied(), true, nil
	case w.told:
		return Update{}, false, ErrGap
	case w.cut:
		w.told = true
		return Update{Gap: w.gap()}, true, nil
	case w.ended:
		return Update{}, false, ErrClosed
	}
	return Update{}, false, nil
}

// gap returns the revision from which a watch that was cut off can resume: the last one that it delivered, unless the
// log has forgotten changes since. Callers hold mu, which is let go meanwhile, since the Store's lock comes first.
func (w *watch) gap() Revision {
	after := w.after
	w.mu.Unlock()
	w.s.mu.Lock()
	oldest := w.s.oldest(w.pattern)
	w.s.mu.Unlock()
	w.mu.Lock()
	return max(after, oldest)
}

// Close implements Watch.
func (w *watch) Close() error {
	w.s.mu.Lock()
	w.s.detach(w)
	w.s.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.slots, w.events = nil, nil
	w.signal()
	return nil
}

// end says that the Store has closed.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.signal()
}
