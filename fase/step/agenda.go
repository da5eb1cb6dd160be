package step

import "cmp"

// An Agenda holds things in order of a key, such as the instant at which they are due; ties come out in the order in
// which they went in. It is a heap with four children to a node, which is half as deep as a binary one and as wide as a
// cache line (LaMarca and Ladner, "The Influence of Caches on the Performance of Heaps", 1996), and reuses its memory. The
// zero value is empty.
type Agenda[K cmp.Ordered, T any] struct {
	items []entry[K, T]
	seq   uint64
}

type entry[K cmp.Ordered, T any] struct {
	key K
	seq uint64
	x   T
}

// before reports whether e comes out before o.
func (e *entry[K, T]) before(o *entry[K, T]) bool {
	return e.key < o.key || e.key == o.key && e.seq < o.seq
}

// Len is the number of things held.
func (a *Agenda[K, T]) Len() int { return len(a.items) }

// Push adds x under a key.
func (a *Agenda[K, T]) Push(key K, x T) {
	a.seq++
	e := entry[K, T]{key, a.seq, x}
	a.items = append(a.items, e)
	a.up(len(a.items)-1, e)
}

// Peek returns the first without taking it.
func (a *Agenda[K, T]) Peek() (key K, x T, ok bool) {
	if len(a.items) == 0 {
		return key, x, false
	}
	return a.items[0].key, a.items[0].x, true
}

// Pop takes the first.
func (a *Agenda[K, T]) Pop() (key K, x T, ok bool) {
	if len(a.items) == 0 {
		return key, x, false
	}
	e := a.items[0]
	a.removeAt(0)
	return e.key, e.x, true
}

// Remove takes out the first in memory order that matches; false when none does. It costs a scan.
func (a *Agenda[K, T]) Remove(match func(T) bool) bool {
	for i := range a.items {
		if match(a.items[i].x) {
			a.removeAt(i)
			return true
		}
	}
	return false
}

func (a *Agenda[K, T]) removeAt(i int) {
	last := len(a.items) - 1
	moved := a.items[last]
	a.items[last] = entry[K, T]{}
	a.items = a.items[:last]
	if i == last {
		return
	}
	if i > 0 && moved.before(&a.items[(i-1)/4]) {
		a.up(i, moved)
		return
	}
	a.down(i, moved)
}

// up puts e at place i or above, moving those down that it comes before.
func (a *Agenda[K, T]) up(i int, e entry[K, T]) {
	items := a.items
	for i > 0 {
		p := (i - 1) / 4
		if !e.before(&items[p]) {
			break
		}
		items[i] = items[p]
		i = p
	}
	items[i] = e
}

// down puts e at place i or below, moving those up that come before it.
func (a *Agenda[K, T]) down(i int, e entry[K, T]) {
	items := a.items
	for {
		first := 4*i + 1
		if first >= len(items) {
			break
		}
		c := first
		for k := first + 1; k < min(first+4, len(items)); k++ {
			if items[k].before(&items[c]) {
				c = k
			}
		}
		if !items[c].before(&e) {
			break
		}
		items[i] = items[c]
		i = c
	}
	items[i] = e
}
