package load

// links chain an element into one list at a time.
type links[T any] struct {
	prev, next *T
	in         bool
}

type linked[T any] interface {
	*T
	chain() *links[T]
}

// A list is a doubly linked list through its elements, so that one leaves from the middle at no cost and without
// allocation.
type list[T any, P linked[T]] struct{ first, last *T }

func (q *list[T, P]) pushFront(x *T) {
	k := P(x).chain()
	k.prev, k.next, k.in = nil, q.first, true
	if q.first != nil {
		P(q.first).chain().prev = x
	} else {
		q.last = x
	}
	q.first = x
}

func (q *list[T, P]) pushBack(x *T) {
	k := P(x).chain()
	k.prev, k.next, k.in = q.last, nil, true
	if q.last != nil {
		P(q.last).chain().next = x
	} else {
		q.first = x
	}
	q.last = x
}

// remove takes x out, if it is in the list.
func (q *list[T, P]) remove(x *T) {
	k := P(x).chain()
	if !k.in {
		return
	}
	if k.prev != nil {
		P(k.prev).chain().next = k.next
	} else {
		q.first = k.next
	}
	if k.next != nil {
		P(k.next).chain().prev = k.prev
	} else {
		q.last = k.prev
	}
	*k = links[T]{}
}

// A slab keeps elements that come and go; the latest freed is taken first, because its memory is still in the cache.
type slab[T any] struct {
	all  []*T // by slot, free ones included
	free []uint32
}

// take returns a free element, or a new zero one, and its slot.
func (s *slab[T]) take() (*T, uint32) {
	if n := len(s.free); n > 0 {
		slot := s.free[n-1]
		s.free = s.free[:n-1]
		return s.all[slot], slot
	}
	x := new(T)
	s.all = append(s.all, x)
	return x, uint32(len(s.all) - 1)
}

func (s *slab[T]) give(slot uint32) { s.free = append(s.free, slot) }
