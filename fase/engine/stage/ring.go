package stage

// An item is an event with the instant at which it came, in nanoseconds.
type item[E any] struct {
	e  E
	at int64
}

// A ring is a queue that reuses its memory, and grows when it is full. The zero value is empty.
type ring[E any] struct {
	items []item[E] // a power of two
	first int
	n     int
}

// push adds x at the end.
func (r *ring[E]) push(x item[E]) {
	r.room()
	r.items[(r.first+r.n)&(len(r.items)-1)] = x
	r.n++
}

// unshift adds x in front.
func (r *ring[E]) unshift(x item[E]) {
	r.room()
	r.first = (r.first - 1) & (len(r.items) - 1)
	r.items[r.first] = x
	r.n++
}

// shift takes the first; there must be one.
func (r *ring[E]) shift() item[E] {
	x := r.items[r.first]
	r.items[r.first] = item[E]{}
	r.first = (r.first + 1) & (len(r.items) - 1)
	r.n--
	return x
}

// room makes sure that one more fits.
func (r *ring[E]) room() {
	if r.n < len(r.items) {
		return
	}
	grown := make([]item[E], max(2*len(r.items), 64))
	for i := range r.n {
		grown[i] = r.items[(r.first+i)&(len(r.items)-1)]
	}
	r.items, r.first = grown, 0
}
