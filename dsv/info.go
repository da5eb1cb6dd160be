package dsv

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Info implements Space.
func (s *Store) Info(_ context.Context, n Name) (Info, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, err := s.find(n)
	if err != nil {
		return Info{}, fmt.Errorf("info %s: %w", clip(string(n)), err)
	}
	i := Info{Declaration: v.decl, Revision: v.revision, Writers: len(v.writers), Watchers: len(v.subs)}
	if v.front != nil {
		i.Manipulated = v.front.String()
	}
	return i, nil
}

// Progress returns how far the deltas of one writer were merged into a variable; false when none was.
func (s *Store) Progress(n Name, w WriterID) (Progress, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v := s.vars[n]
	if v == nil {
		return Progress{}, false
	}
	i := slices.IndexFunc(v.writers, func(p Progress) bool { return p.Writer == w })
	if i < 0 {
		return Progress{}, false
	}
	p := v.writers[i]
	if p.T1 == 0 && len(v.writers) == 1 {
		p.T1 = v.t1 // restored by a Recorder that keeps one instant for all
	}
	return p, true
}

// Declarations lists what is declared, by name.
func (s *Store) Declarations() []Declaration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ds := make([]Declaration, 0, len(s.vars))
	for _, v := range s.vars {
		ds = append(ds, v.decl)
	}
	slices.SortFunc(ds, func(a, b Declaration) int { return cmp.Compare(a.Name, b.Name) })
	return ds
}

// Written says whether a variable that the pattern matches has a value from r or before.
func (s *Store) Written(pattern string, r Revision) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	s.matching(pattern, func(v *variable) { found = found || v.revision > 0 && v.revision <= r })
	return found
}

// Revision returns the revision of the latest change.
func (s *Store) Revision() Revision {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.revision
}
