package dsv

// changed gives the change its revision and tells recorder, log and watches. d is nil for a whole write; it is copied.
// Callers hold mu.
func (s *Store) changed(v *variable, d *Delta) {
	s.revision++
	v.revision = s.revision
	seen := len(v.subs) > 0 || s.log.on
	if !seen && s.rec == nil {
		return
	}
	e := &s.scratch
	if seen {
		e = &event{}
	}
	*e = event{v: v, u: Update{Name: v.decl.Name, Revision: v.revision, Deleted: v.deleted}}
	if !v.deleted {
		e.u.Reading = v.reading()
	}
	if d != nil {
		e.d = *d
		e.u.Delta = &e.d
	}
	if s.rec != nil {
		u := e.u
		if seen {
			u.Reading.Value = u.Reading.Value.apart()
		}
		s.note(s.rec.Record(u))
	}
	if !seen {
		s.scratch = event{}
		return
	}
	e.size = e.bytes()
	s.log.push(e)
	var cut []*watch
	for _, sub := range v.subs {
		if !sub.w.push(sub, e) {
			cut = append(cut, sub.w)
		}
	}
	for _, w := range cut {
		s.detach(w) // it costs nothing from now on
	}
}

// note keeps the Recorder's first error. Callers hold mu.
func (s *Store) note(err error) {
	if s.recErr == nil {
		s.recErr = err
	}
}

// Err returns the first error of the Recorder, which spoils durable writes but no others.
func (s *Store) Err() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.recErr
}

// Settle waits until everything that was changed before is durable, as far as there is a Recorder. Who waits at the same
// time shares one flush.
func (s *Store) Settle() error {
	if s.rec == nil {
		return nil
	}
	if err := s.Err(); err != nil {
		return err
	}
	return s.flush.wait()
}
