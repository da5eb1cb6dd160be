package machine

// ring is a first-in-first-out line that reuses its memory.
type ring[T any] struct {
	buf  []T // length is a power of two
	head int
	n    int
}

func (r *ring[T]) len() int { return r.n }

func (r *ring[T]) push(x T) {
	if r.n == len(r.buf) {
		r.grow()
	}
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = x
	r.n++
}

func (r *ring[T]) grow() {
	buf := make([]T, max(2*len(r.buf), 16))
	for i := range r.n {
		buf[i] = r.buf[(r.head+i)&(len(r.buf)-1)]
	}
	r.buf, r.head = buf, 0
}

func (r *ring[T]) peek() (x T, ok bool) {
	if r.n == 0 {
		return x, false
	}
	return r.buf[r.head], true
}

// at is the element at place i of the line.
func (r *ring[T]) at(i int) T { return r.buf[(r.head+i)&(len(r.buf)-1)] }

func (r *ring[T]) pop() (x T, ok bool) {
	if r.n == 0 {
		return x, false
	}
	x = r.buf[r.head]
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	return x, true
}

// remove takes the first element that matches out of the line.
func (r *ring[T]) remove(match func(T) bool) bool {
	mask := len(r.buf) - 1
	for i := range r.n {
		if !match(r.buf[(r.head+i)&mask]) {
			continue
		}
		for k := i; k < r.n-1; k++ {
			r.buf[(r.head+k)&mask] = r.buf[(r.head+k+1)&mask]
		}
		r.n--
		return true
	}
	return false
}
