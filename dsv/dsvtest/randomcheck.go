package dsvtest

import (
	"errors"

	"pgregory.net/rapid"

	"github.com/eve-emulation/eve/dsv"
)

// change is one change of a variable, as the watch of all changes told it.
type change struct {
	dsv.Update
	before dsv.Revision // of the change before, 0 when the variable was never written
	value  int64        // afterwards
}

// check compares what users were told and what watches saw.
func (r *round) check(rt *rapid.T, users []*user, ws []*watcher) {
	r.mu.Lock()
	err := errors.Join(r.faults...)
	r.mu.Unlock()
	if err != nil {
		rt.Fatal(err)
	}
	log := replay(rt, ws[0].seen)
	if other := replay(rt, ws[1].seen); len(other) != len(log) {
		rt.Fatalf("one watch saw %d changes, another one %d", len(log), len(other))
	}
	deleted := map[dsv.Name]int{}
	for _, c := range log {
		if c.Deleted {
			deleted[c.Name]++
		}
	}
	answered := map[dsv.Revision]bool{}
	for _, u := range users {
		for _, a := range u.actions {
			a.check(rt, log, answered)
			if a.what == doDelete && a.err == nil {
				deleted[a.name]--
			}
		}
	}
	for n, left := range deleted {
		if left != 0 {
			rt.Fatalf("%s: %d deletions more were seen than done", n, left)
		}
	}
	for _, c := range log {
		if !c.Deleted && c.Delta == nil && c.value != -1 && !answered[c.Revision] {
			rt.Fatalf("%s at %d: a write that nobody did", c.Name, c.Revision)
		}
	}
	checkSyncs(rt, users, log)
	for _, w := range ws[2:] {
		w.checkLatest(rt, log)
	}
}

// replay plays changes to a model, and returns them by revision.
func replay(rt *rapid.T, us []dsv.Update) map[dsv.Revision]change {
	type state struct {
		rev    dsv.Revision
		value  int64
		weight float64
	}
	vars, log, last := map[dsv.Name]state{}, map[dsv.Revision]change{}, dsv.Revision(0)
	for _, u := range us {
		if u.Revision <= last || u.Skipped != 0 {
			rt.Fatalf("%s: revision %d after %d, %d skipped", u.Name, u.Revision, last, u.Skipped)
		}
		last = u.Revision
		s := vars[u.Name]
		c := change{Update: u, before: s.rev}
		switch {
		case u.Deleted:
			s = state{}
		case u.Delta != nil:
			s = state{u.Revision, s.value + u.Delta.Value.Int, s.weight + u.Delta.Weight}
		default:
			s = state{u.Revision, u.Reading.Value.Int, 1}
		}
		if !u.Deleted && (u.Reading.Value.Int != s.value || u.Reading.Weight != s.weight || u.Reading.Revision != u.Revision) {
			rt.Fatalf("%s at %d: reading %+v, want %+v", u.Name, u.Revision, u.Reading, s)
		}
		c.value, vars[u.Name] = s.value, s
		log[u.Revision] = c
	}
	return log
}

// check compares an answer with the changes.
func (a *action) check(rt *rapid.T, log map[dsv.Revision]change, answered map[dsv.Revision]bool) {
	switch {
	case a.err == nil && (a.what == doWrite || a.what == doTestAndSet):
		c, ok := log[a.rev]
		if !ok || c.Name != a.name || c.Delta != nil || c.value != a.value || a.rev <= a.floor || answered[a.rev] {
			rt.Fatalf("wrote %d to %s at %d, after %d was acknowledged; seen: %+v", a.value, a.name, a.rev, a.floor, c)
		}
		if a.what == doTestAndSet && c.before != a.old {
			rt.Fatalf("%s was set at %d for revision %d, but was at %d", a.name, a.rev, a.old, c.before)
		}
		answered[a.rev] = true
	case a.what == doTestAndSet && errors.Is(a.err, dsv.ErrStale):
		if a.rev == a.old || a.rev != 0 && log[a.rev].Name != a.name {
			rt.Fatalf("%s is stale at %d, but was tested for %d", a.name, a.rev, a.old)
		}
		a.fresh(rt, log)
	case a.what == doRead && a.err == nil:
		if c := log[a.rev]; c.Name != a.name || c.Deleted || c.value != a.read {
			rt.Fatalf("%s reads %d at %d, where %+v was seen", a.name, a.read, a.rev, c)
		}
		a.fresh(rt, log)
	}
}

// fresh checks that the state which an answer tells is not older than what was acknowledged when it was asked for.
func (a *action) fresh(rt *rapid.T, log map[dsv.Revision]change) {
	if a.rev == 0 { // it was made again: there is a deletion since
		for _, c := range log {
			if c.Name == a.name && c.Deleted && c.Revision > a.floor {
				return
			}
		}
	}
	if a.rev < a.floor {
		rt.Fatalf("%s: revision %d was told when %d was acknowledged before", a.name, a.rev, a.floor)
	}
}

// checkSyncs counts each delta: once if it was acknowledged, again only for a variable that was made again, never
// otherwise.
func checkSyncs(rt *rapid.T, users []*user, log map[dsv.Revision]change) {
	type key struct {
		w   dsv.WriterID
		seq uint64
	}
	seen, deletions := map[key]int{}, 0
	for _, c := range log {
		if c.Delta != nil {
			seen[key{c.Delta.Writer, c.Delta.Seq}]++
			if want := int64(c.Delta.Seq)<<8 | int64(c.Delta.Writer); c.Delta.Value.Int != want {
				rt.Fatalf("delta %d of writer %d is %d, want %d", c.Delta.Seq, c.Delta.Writer, c.Delta.Value.Int, want)
			}
		} else if c.Deleted {
			deletions++
		}
	}
	for _, u := range users {
		sent, acked := map[uint64]int{}, map[uint64]bool{}
		for _, a := range u.actions {
			if a.what == doSync {
				sent[a.seq]++
				acked[a.seq] = acked[a.seq] || a.err == nil
			}
		}
		for seq, n := range sent {
			got := seen[key{u.writer, seq}]
			if acked[seq] != (got > 0) || got > min(n, 1+deletions) {
				rt.Fatalf("delta %d of writer %d was sent %d times, acknowledged: %v, and merged %d times", seq, u.writer, n, acked[seq], got)
			}
			delete(seen, key{u.writer, seq})
		}
	}
	if len(seen) > 0 {
		rt.Fatalf("deltas that nobody sent: %v", seen)
	}
}

// checkLatest checks a watch of latest values.
func (w *watcher) checkLatest(rt *rapid.T, log map[dsv.Revision]change) {
	last, told, sums := map[dsv.Name]dsv.Revision{}, map[dsv.Name]int{}, map[dsv.Name]int64{}
	for _, u := range w.seen {
		c := log[u.Revision]
		if c.Name != u.Name || c.Deleted != u.Deleted || !u.Deleted && u.Reading.Value.Int != c.value || u.Revision <= last[u.Name] {
			rt.Fatalf("watch %s: %+v after %d, want %+v", w.pattern, u, last[u.Name], c)
		}
		if u.Delta != nil && sums[u.Name]+u.Delta.Value.Int != c.value {
			rt.Fatalf("watch %s: delta %d from %d to %d", w.pattern, u.Delta.Value.Int, sums[u.Name], c.value)
		}
		last[u.Name], sums[u.Name] = u.Revision, c.value
		told[u.Name] += 1 + u.Skipped
	}
	for _, c := range log {
		if c.Name.Match(w.pattern) {
			told[c.Name]--
		}
	}
	for n, left := range told {
		if left != 0 {
			rt.Fatalf("watch %s: %d changes of %s more were told than done", w.pattern, left, n)
		}
	}
}
