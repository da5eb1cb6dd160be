package dsv

import "strings"

// followers finds the watches that a name concerns: those of one name by it, the others by the first part of their
// pattern.
type followers struct {
	named    map[Name]map[*watch]struct{}
	patterns map[string]map[*watch]struct{} // "*" for those that begin so
}

func exact(pattern string) bool { return !strings.Contains(pattern, "*") }

func (f *followers) add(w *watch) {
	if exact(w.pattern) {
		put(&f.named, Name(w.pattern), w)
	} else {
		put(&f.patterns, firstPart(w.pattern), w)
	}
}

func (f *followers) remove(w *watch) {
	if exact(w.pattern) {
		drop(f.named, Name(w.pattern), w)
	} else {
		drop(f.patterns, firstPart(w.pattern), w)
	}
}

// of calls fn for the watches that match the name.
func (f *followers) of(n Name, fn func(*watch)) {
	for w := range f.named[n] {
		fn(w)
	}
	for _, key := range [2]string{"*", firstPart(string(n))} {
		for w := range f.patterns[key] {
			if n.Match(w.pattern) {
				fn(w)
			}
		}
	}
}

// all calls fn for every watch.
func (f *followers) all(fn func(*watch)) {
	for _, ws := range f.named {
		for w := range ws {
			fn(w)
		}
	}
	for _, ws := range f.patterns {
		for w := range ws {
			fn(w)
		}
	}
}

func firstPart(s string) string {
	part, _, _ := strings.Cut(s, ".")
	return part
}

func put[K comparable](m *map[K]map[*watch]struct{}, key K, w *watch) {
	if *m == nil {
		*m = map[K]map[*watch]struct{}{}
	}
	if (*m)[key] == nil {
		(*m)[key] = map[*watch]struct{}{}
	}
	(*m)[key][w] = struct{}{}
}

func drop[K comparable](m map[K]map[*watch]struct{}, key K, w *watch) {
	delete(m[key], w)
	if len(m[key]) == 0 {
		delete(m, key)
	}
}

// matching calls fn for the variables that the pattern matches. Callers hold mu.
func (s *Store) matching(pattern string, fn func(*variable)) {
	if exact(pattern) {
		if v := s.vars[Name(pattern)]; v != nil {
			fn(v)
		}
		return
	}
	for n, v := range s.vars {
		if n.Match(pattern) {
			fn(v)
		}
	}
}

// A grave is a variable that was deleted, kept for watches that go on after a loss.
type grave struct {
	name Name
	rev  Revision
}

// graves bounds how many deleted variables are remembered.
const graves = 16 << 10

// bury remembers a deleted variable. Callers hold mu.
func (s *Store) bury(n Name, r Revision) {
	if len(s.graves) >= graves {
		s.graves = append(make([]grave, 0, graves), s.graves[graves/2:]...)
	}
	s.graves = append(s.graves, grave{n, r})
}
