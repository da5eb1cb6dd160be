package step

import "cmp"

// An Agenda holds things in order of a key, such as the instant at which they are due; ties come out in the order in
// which they went in. It is a binary heap that reuses its memory. The zero value is empty.
type Agenda[K cmp.Ordered, T any] struct {
	items []entry[K, T]
	seq   uint64
}

type entry[K cmp.Ordered, T any] struct {
	key K
	seq uint64
	x   T
}

func (a *Agenda[K, T]) less(i, j int) bool {
	x, y := &a.items[i], &a.items[j]
	return x.key < y.key || x.key == y.key && x.seq < y.seq
}

// Len is the number of things held.
func (a *Agenda[K, T]) Len() int { return len(a.items) }

// Push adds x under a key.
func (a *Agenda[K, T]) Push(key K, x T) {
	a.seq++
	a.items = append(a.items, entry[K, T]{key, a.seq, x})
	a.up(len(a.items) - 1)
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
	a.items[i] = a.items[last]
	var zero entry[K, T]
	a.items[last] = zero
	a.items = a.items[:last]
	if i < last {
		a.down(i)
		a.up(i)
	}
}

func (a *Agenda[K, T]) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if !a.less(i, p) {
			return
		}
		a.items[i], a.items[p] = a.items[p], a.items[i]
		i = p
	}
}

func (a *Agenda[K, T]) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(a.items) {
			return
		}
		if c+1 < len(a.items) && a.less(c+1, c) {
			c++
		}
		if !a.less(c, i) {
			return
		}
		a.items[i], a.items[c] = a.items[c], a.items[i]
		i = c
	}
}
