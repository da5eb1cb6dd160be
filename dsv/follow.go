package dsv

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// followers finds the watches that a name concerns: those of one name by it, the others by the first part of their
// pattern.
type followers struct {
	named    map[string][]*watch
	patterns map[string][]*watch // "*" for those that begin so
}

func newFollowers() followers {
	return followers{map[string][]*watch{}, map[string][]*watch{}}
}

func exact(pattern string) bool { return !strings.Contains(pattern, "*") }

func firstPart(s string) string {
	part, _, _ := strings.Cut(s, ".")
	return part
}

// shelf returns where watches of the pattern stand.
func (f *followers) shelf(pattern string) (m map[string][]*watch, key string) {
	if exact(pattern) {
		return f.named, pattern
	}
	return f.patterns, firstPart(pattern)
}

func (f *followers) add(w *watch) {
	m, key := f.shelf(w.pattern)
	w.place = len(m[key])
	m[key] = append(m[key], w)
}

func (f *followers) remove(w *watch) {
	m, key := f.shelf(w.pattern)
	ws := m[key]
	last := len(ws) - 1
	ws[w.place] = ws[last]
	ws[w.place].place = w.place
	ws[last] = nil
	if m[key] = ws[:last]; last == 0 {
		delete(m, key)
	}
}

// of calls fn for the watches that match the name.
func (f *followers) of(n Name, fn func(*watch)) {
	for _, w := range f.named[string(n)] {
		fn(w)
	}
	for _, key := range [2]string{"*", firstPart(string(n))} {
		for _, w := range f.patterns[key] {
			if n.Match(w.pattern) {
				fn(w)
			}
		}
	}
}

// all calls fn for every watch.
func (f *followers) all(fn func(*watch)) {
	for _, m := range [2]map[string][]*watch{f.named, f.patterns} {
		for _, ws := range m {
			for _, w := range ws {
				fn(w)
			}
		}
	}
}

// directory lists variables by name, for patterns that begin with one. It is kept once such a pattern was asked for.
type directory struct {
	kept   bool
	sorted []*variable // some of which may be deleted
	fresh  []*variable // made since, in no order
	dead   int         // deleted since
}

// put adds a variable that was made.
func (d *directory) put(v *variable) {
	if d.kept {
		d.fresh = append(d.fresh, v)
	}
}

// under calls fn for the variables whose name begins with prefix. vars is all of them.
func (d *directory) under(prefix string, vars map[Name]*variable, fn func(*variable)) {
	if !d.kept {
		d.kept = true
		d.sorted = slices.SortedFunc(maps.Values(vars), byName)
	}
	if len(d.fresh)+d.dead > 256+len(d.sorted)/8 {
		d.sorted = slices.DeleteFunc(append(d.sorted, d.fresh...), func(v *variable) bool { return v.deleted })
		slices.SortFunc(d.sorted, byName)
		d.fresh, d.dead = nil, 0
	}
	i, _ := slices.BinarySearchFunc(d.sorted, prefix, func(v *variable, p string) int { return cmp.Compare(string(v.decl.Name), p) })
	for _, v := range d.sorted[i:] {
		if !strings.HasPrefix(string(v.decl.Name), prefix) {
			break
		}
		if !v.deleted {
			fn(v)
		}
	}
	for _, v := range d.fresh {
		if !v.deleted && strings.HasPrefix(string(v.decl.Name), prefix) {
			fn(v)
		}
	}
}

func byName(a, b *variable) int { return cmp.Compare(a.decl.Name, b.decl.Name) }

// matching calls fn for the variables that the pattern matches. Callers hold mu for writing.
func (s *Store) matching(pattern string, fn func(*variable)) {
	if exact(pattern) {
		if v := s.vars[Name(pattern)]; v != nil {
			fn(v)
		}
		return
	}
	if prefix, _, _ := strings.Cut(pattern, "*"); prefix != "" {
		s.directory.under(prefix, s.vars, func(v *variable) {
			if v.decl.Name.Match(pattern) {
				fn(v)
			}
		})
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
