package dsv

import "slices"

// slot holds what a Latest watch knows of one variable that it did not deliver.
type slot struct {
	newest  *event // nil when there is nothing new
	first   bool   // newest is the only one
	whole   bool   // one of them was no delta
	fold    *Fold
	skipped int
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
