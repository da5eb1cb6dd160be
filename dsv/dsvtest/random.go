package dsvtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/eve-emulation/eve/dsv"
)

// Random has several users do arbitrary things to one Space at the same time, while watches follow, some of which are
// closed and resumed, and checks all answers and updates against a model: no update is lost, reordered or told twice,
// TestAndSet is linearizable, a user reads what was acknowledged to any of them, and a watch of latest values ends with
// what is true and counts what it skipped. open is as for Run; it is called once.
func Random(t *testing.T, open func(t *testing.T) dsv.Space) {
	space := open(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
		defer cancel()
		r := newRound(ctx, space, dsv.Name(fmt.Sprintf("round_%d", n)))
		users, watchers := r.plan(rt)
		r.open(rt, watchers)
		var following, using sync.WaitGroup
		for _, w := range watchers {
			following.Go(func() { w.follow(r) })
		}
		for _, u := range users {
			using.Go(func() { u.act(r) })
		}
		using.Wait()
		r.finish()
		following.Wait()
		r.check(rt, users, watchers)
		for _, name := range r.names() {
			_ = space.Delete(ctx, name)
		}
	})
}

// round is one set of users on variables of their own: level and mode are written, total is the sum of deltas.
type round struct {
	ctx    context.Context
	space  dsv.Space
	prefix dsv.Name
	acked  map[dsv.Name]*atomic.Uint64 // the newest revision that somebody was told of a write
	mu     sync.Mutex                  // guards faults and last
	faults []error
	last   dsv.Revision
}

func newRound(ctx context.Context, s dsv.Space, prefix dsv.Name) *round {
	r := &round{ctx: ctx, space: s, prefix: prefix, acked: map[dsv.Name]*atomic.Uint64{}}
	for _, n := range r.names() {
		r.acked[n] = new(atomic.Uint64)
	}
	return r
}

func (r *round) names() []dsv.Name {
	return []dsv.Name{r.prefix + ".level", r.prefix + ".mode", r.prefix + ".total"}
}

func (r *round) end() dsv.Name { return r.prefix + ".end" }

// fault notes what must not be; it may be called from any goroutine.
func (r *round) fault(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fmt.Errorf(format, args...))
}

func (r *round) declare(n dsv.Name) error {
	d := dsv.Declaration{Name: n, Kind: dsv.Int}
	if n == r.prefix+".total" {
		d.Merge = dsv.Sum
	}
	return r.space.Create(r.ctx, d)
}

// An action is what a user does, and what came of it.
type action struct {
	what  int
	name  dsv.Name
	right bool // test and set with the revision that was read; sync something new
	value int64

	floor dsv.Revision // what was acknowledged before
	old   dsv.Revision
	rev   dsv.Revision
	read  int64
	seq   uint64
	err   error
}

// What users do.
const (
	doCreate = iota
	doWrite
	doTestAndSet
	doDelete
	doRead
	doSync
	doKinds
)

// A user does its actions one after the other.
type user struct {
	writer  dsv.WriterID
	seq     uint64
	actions []*action
}

// plan draws who does what.
func (r *round) plan(rt *rapid.T) ([]*user, []*watcher) {
	var users []*user
	for w := range rapid.IntRange(2, 4).Draw(rt, "users") {
		u := &user{writer: dsv.WriterID(w + 1)}
		for i := range rapid.IntRange(5, 40).Draw(rt, "actions") {
			u.actions = append(u.actions, &action{
				what: rapid.IntRange(0, doKinds-1).Draw(rt, "what"), name: rapid.SampledFrom(r.names()).Draw(rt, "name"),
				right: rapid.IntRange(0, 3).Draw(rt, "right") > 0, value: int64(w+1)*1_000_000 + int64(i),
			})
		}
		users = append(users, u)
	}
	all := &watcher{pattern: string(r.prefix) + ".*", mode: dsv.All}
	all.resume = rapid.SliceOfN(rapid.IntRange(1, 12), 0, 6).Draw(rt, "resume after")
	watchers := []*watcher{all, {pattern: string(r.prefix) + ".*", mode: dsv.All}, {pattern: string(r.prefix) + ".*"}}
	for _, n := range r.names() {
		watchers = append(watchers, &watcher{pattern: string(n)})
	}
	return users, watchers
}

// act does a user's actions.
func (u *user) act(r *round) {
	for _, a := range u.actions {
		a.floor = dsv.Revision(r.acked[a.name].Load())
		switch a.what {
		case doCreate:
			a.err = r.declare(a.name)
		case doWrite:
			a.rev, a.err = r.space.Write(r.ctx, a.name, dsv.IntValue(a.value))
		case doTestAndSet:
			u.testAndSet(r, a)
		case doDelete:
			a.err = r.space.Delete(r.ctx, a.name)
		case doRead:
			var got dsv.Reading
			got, a.err = r.space.Read(r.ctx, a.name)
			a.rev, a.read = got.Revision, got.Value.Int
		case doSync:
			u.sync(r, a)
		}
		if a.err != nil && !errors.Is(a.err, dsv.ErrNotFound) && !errors.Is(a.err, dsv.ErrUnset) && !errors.Is(a.err, dsv.ErrStale) {
			r.fault("action %d on %s: %w", a.what, a.name, a.err)
		}
		if a.err == nil && (a.what == doWrite || a.what == doTestAndSet) {
			r.told(a.name, a.rev)
		}
	}
}

// told notes an acknowledged write.
func (r *round) told(n dsv.Name, rev dsv.Revision) {
	for {
		old := r.acked[n].Load()
		if old >= uint64(rev) || r.acked[n].CompareAndSwap(old, uint64(rev)) {
			return
		}
	}
}

func (u *user) testAndSet(r *round, a *action) {
	if a.right {
		got, err := r.space.Read(r.ctx, a.name)
		if err != nil && !errors.Is(err, dsv.ErrUnset) {
			a.err = err
			return
		}
		a.old = got.Revision
	} else {
		a.old = a.floor / 2
	}
	a.rev, a.err = r.space.TestAndSet(r.ctx, a.name, a.old, dsv.IntValue(a.value))
}

// sync sends a new delta of total, or its last one again.
func (u *user) sync(r *round, a *action) {
	a.name = r.prefix + ".total"
	if a.right || u.seq == 0 {
		u.seq++
	}
	a.seq = u.seq
	d := delta(a.name, u.writer, a.seq, dsv.IntValue(int64(a.seq)<<8|int64(u.writer)), 1)
	a.err = r.space.Sync(r.ctx, []dsv.Delta{d})
}

// finish gives every variable a last value, and tells the watches that no more comes.
func (r *round) finish() {
	var last dsv.Revision
	for _, n := range append(r.names(), r.end()) {
		err := r.declare(n)
		if err == nil {
			last, err = r.space.Write(r.ctx, n, dsv.IntValue(-1))
		}
		if err != nil {
			r.fault("finish %s: %w", n, err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = last
}

// A watcher follows a watch until it has seen the last value.
type watcher struct {
	pattern string
	mode    dsv.Mode
	resume  []int // after how many updates the watch is closed and resumed, again and again

	w    dsv.Watch
	seen []dsv.Update
}

func (r *round) open(rt *rapid.T, ws []*watcher) {
	for _, w := range ws {
		var err error
		if w.w, err = r.space.Watch(r.ctx, dsv.WatchRequest{Pattern: w.pattern, Mode: w.mode}); err != nil {
			rt.Fatal(err)
		}
	}
}

func (w *watcher) follow(r *round) {
	defer func() { _ = w.w.Close() }()
	left := 0
	for {
		if left == 0 && len(w.resume) > 0 && len(w.seen) > 0 {
			if err := w.again(r); err != nil {
				r.fault("resume %s: %w", w.pattern, err)
				return
			}
			left, w.resume = w.resume[0], w.resume[1:]
		}
		u, err := w.w.Next(r.ctx)
		if err != nil || u.Gap != 0 {
			r.fault("watch %s, gap %d: %w", w.pattern, u.Gap, err)
			return
		}
		w.seen = append(w.seen, u)
		left = max(0, left-1)
		if !u.Deleted && u.Reading.Value.Int == -1 && (u.Name == r.end() || string(u.Name) == w.pattern) {
			return
		}
	}
}

func (w *watcher) again(r *round) error {
	if err := w.w.Close(); err != nil {
		return err
	}
	again, err := r.space.Watch(r.ctx, dsv.WatchRequest{Pattern: w.pattern, Mode: w.mode, From: w.seen[len(w.seen)-1].Revision})
	if err == nil {
		w.w = again
	}
	return err
}
