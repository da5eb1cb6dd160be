package dsv

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
)

// The bounds of what the Store keeps for watchers in mode All, each in changes and in bytes.
const (
	queueChanges = 16 << 10
	queueBytes   = 16 << 20
	logChanges   = 64 << 10
	logBytes     = 64 << 20
)

// event is one change, shared by the log and all watches.
type event struct {
	v    *variable
	u    Update // its Delta, where not nil, is d
	d    Delta
	size int
}

// bytes estimates the memory that an event keeps alive.
func (e *event) bytes() int {
	n := 400 + len(e.u.Reading.Value.Text) + len(e.u.Reading.Value.Bytes)
	if h := e.d.Value.Hist; h != nil {
		n += 64
		if f := h.flat.Load(); f != nil {
			n += 12 * len(f.buckets)
		}
	}
	if h := e.u.Reading.Value.Hist; h != nil && len(h.parts) > 0 {
		if f := h.parts[0].flat.Load(); f != nil { // shared by those that came before the next merge
			n += 12 * len(f.buckets) / mergeAfter
		}
	}
	return n
}

// copied returns the update with memory of its own.
func (e *event) copied() Update {
	u := e.u
	u.Reading.Value = u.Reading.Value.Clone().apart()
	if u.Delta != nil {
		d := e.d
		d.Value = d.Value.Clone()
		u.Delta = &d
	}
	return u
}

// changeLog is the bounded log from which watches resume. It is kept once a watch in mode All was opened.
type changeLog struct {
	on     bool
	events []*event // a ring
	head   int
	n      int
	bytes  int
	lost   Revision // the newest change of a variable that exists no more which the log does not have
}

func (l *changeLog) push(e *event) {
	if !l.on {
		return
	}
	if l.events == nil {
		l.events = make([]*event, logChanges)
	}
	for l.n == logChanges || l.n > 0 && l.bytes+e.size > logBytes {
		l.drop()
	}
	l.events[(l.head+l.n)%logChanges] = e
	l.n++
	l.bytes += e.size
}

func (l *changeLog) drop() {
	e := l.events[l.head]
	l.events[l.head] = nil
	l.head = (l.head + 1) % logChanges
	l.n--
	l.bytes -= e.size
	if e.v.deleted {
		l.lost = max(l.lost, e.u.Revision)
	} else {
		e.v.forgot = e.u.Revision
	}
}

// since calls fn for the changes after r, in order.
func (l *changeLog) since(r Revision, fn func(*event)) {
	for i := range l.n {
		if e := l.events[(l.head+i)%logChanges]; e.u.Revision > r {
			fn(e)
		}
	}
}

// oldest returns the least revision after which the log has every change that the pattern matches. Callers hold mu.
func (s *Store) oldest(pattern string) Revision {
	r := s.log.lost
	s.matching(pattern, func(v *variable) { r = max(r, v.forgot) })
	return r
}

// startLog begins the log. Callers hold mu.
func (s *Store) startLog() {
	if s.log.on {
		return
	}
	s.log.on = true
	s.log.lost = s.revision
	for _, v := range s.vars {
		v.forgot = v.revision
	}
}

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

// slot holds what a Latest watch knows of one variable that it did not deliver.
type slot struct {
	newest  *event // nil when there is nothing new
	first   bool   // newest is the only one
	whole   bool   // one of them was no delta
	fold    *Fold
	skipped int
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

// put notes a change for a watch in mode Latest.
func (w *watch) put(s *slot, e *event) {
	if s.newest == nil {
		s.newest, s.first, s.whole, s.skipped = e, true, e.u.Delta == nil, 0
		w.slots = append(w.slots, s)
		w.signal()
		return
	}
	s.skipped++
	switch {
	case s.whole || e.u.Delta == nil:
		s.whole = true
	case s.first:
		if s.fold == nil {
			s.fold = NewFold(e.v.decl.Kind, e.v.decl.Merge)
		}
		s.fold.Reset()
		s.fold.Add(&s.newest.d)
		s.fold.Add(&e.d)
	default:
		s.fold.Add(&e.d)
	}
	s.newest, s.first = e, false
}

// died notes that a slot ends with the deletion of its variable. Where that of a former variable of the name was not
// delivered either, one of them is enough: so a watch holds two slots for a name at most.
func (w *watch) died(s *slot, e *event) {
	former := w.dead[e.u.Name]
	if former == nil {
		if w.dead == nil {
			w.dead = map[Name]*slot{}
		}
		w.dead[e.u.Name] = s
		return
	}
	former.newest, former.first, former.whole = e, false, true
	former.skipped += s.skipped + 1
	s.newest = nil
	if i := slices.Index(w.slots, s); i >= 0 {
		w.slots = slices.Delete(w.slots, i, i+1)
	}
}

// take returns what a slot holds, and empties it.
func (s *slot) take() Update {
	u := s.newest.copied()
	u.Skipped = s.skipped
	if s.whole {
		u.Delta = nil
	} else if !s.first {
		u.Delta.Value = s.fold.Raw().Clone()
		u.Delta.Weight = s.fold.Weight()
		u.Delta.T0, u.Delta.T1 = s.fold.Span()
		s.fold.Reset()
	}
	s.newest = nil
	return u
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
