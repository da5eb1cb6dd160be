package dsvbolt

import (
	"cmp"
	"slices"

	"github.com/eve-emulation/eve/dsv"
)

// openWindows is how many windows of a series under a resolution take deltas: the present one and the one before, so
// that writers which report a little late still fold in.
const openWindows = 2

// A window is what a series under a resolution folds before it keeps it.
type window struct {
	end    dsv.Instant
	rev    dsv.Revision
	fold   *dsv.Fold
	newest dsv.Delta // the writer's place, but not the value
}

// keep takes a change into the history and returns the bytes that it took.
func (s *series) keep(u *dsv.Update) int {
	if s.decl.Resolution <= 0 || u.Delta == nil || s.decl.Merge == dsv.Append {
		return s.settle(len(s.windows)) + s.extend(u)
	}
	end, n := u.Delta.T1.Window(s.decl.Resolution), 0
	at := slices.IndexFunc(s.windows, func(w window) bool { return w.end >= end })
	switch {
	case at >= 0 && s.windows[at].end == end:
	case at == 0 && len(s.windows) == openWindows: // too late
		return s.settle(openWindows) + s.extend(u)
	default:
		if len(s.windows) == openWindows {
			n = s.settle(1)
			at--
		}
		if at < 0 {
			at = len(s.windows)
		}
		s.windows = slices.Insert(s.windows, at, window{end: end, fold: dsv.NewFold(s.decl.Kind, s.decl.Merge)})
	}
	s.windows[at].add(u)
	s.open.stale = true
	return n
}

func (w *window) add(u *dsv.Update) {
	if w.fold.Empty() || u.Delta.T1 >= w.newest.T1 {
		w.newest = *u.Delta
		w.newest.Value = dsv.Value{}
	}
	w.fold.Add(u.Delta)
	w.rev = u.Revision
}

// update returns the window as one change.
func (w *window) update(n dsv.Name) dsv.Update {
	d := w.newest
	d.Name, d.Value, d.Weight = n, w.fold.Raw(), w.fold.Weight()
	d.T0, d.T1 = w.fold.Span()
	u := dsv.Update{Name: n, Revision: w.rev, Delta: &d}
	u.Reading.T1, u.Reading.Revision = d.T1, w.rev
	return u
}

// oldest returns the least revision of windows, of which there is one.
func oldest(ws []window) dsv.Revision {
	return slices.MinFunc(ws, func(a, b window) int { return cmp.Compare(a.rev, b.rev) }).rev
}

// settle moves the n oldest windows to the open chunk and returns the bytes that they took. Revisions only rise there,
// so they are dealt out in order.
func (s *series) settle(n int) int {
	if n == 0 {
		return 0
	}
	s.deal()
	took := 0
	for i := range s.windows[:n] {
		u := s.windows[i].update(s.decl.Name)
		took += s.extend(&u)
	}
	s.windows = slices.Delete(s.windows, 0, n)
	return took
}

// deal puts the revisions of the windows in their order.
func (s *series) deal() {
	revs := make([]dsv.Revision, 0, openWindows)
	for i := range s.windows {
		revs = append(revs, s.windows[i].rev)
	}
	slices.Sort(revs)
	for i := range s.windows {
		s.windows[i].rev = revs[i]
	}
}
