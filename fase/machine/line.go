package machine

// line holds the jobs that wait at a station: in order of arrival, or, when it is ranked, the least rank first and ties in
// order of arrival. It reuses its memory.
type line struct {
	ranked bool
	fifo   ring[waiting]
	heap   ranks
}

func (l *line) push(w waiting, rank int64) { l.insert(w, l.key(rank)) }

// key is that of a job which comes now.
func (l *line) key(rank int64) key {
	l.heap.seq++
	return key{rank, l.heap.seq}
}

// insert puts a job where its key has it; in a line that is not ranked, at the end.
func (l *line) insert(w waiting, k key) {
	if l.ranked {
		l.heap.insert(w, k)
		return
	}
	l.fifo.push(w)
}

// pop takes the first, with its key; that is the zero key in a line that is not ranked.
func (l *line) pop() (w waiting, k key, ok bool) {
	if l.ranked {
		return l.heap.pop()
	}
	w, ok = l.fifo.pop()
	return w, k, ok
}

// peek is the key of the first; false for an empty line and for one that is not ranked.
func (l *line) peek() (k key, ok bool) {
	if len(l.heap.items) == 0 {
		return k, false
	}
	return l.heap.items[0].key, true
}

// remove takes a job out of the line, in O(log n) when it is ranked, and returns what is left of its demand; false when it does not
// wait.
func (l *line) remove(job Job) (left int64, here bool) {
	if l.ranked {
		return l.heap.remove(job)
	}
	here = l.fifo.remove(func(w waiting) bool {
		if w.job != job {
			return false
		}
		left = w.demand
		return true
	})
	return left, here
}

// ranks is a binary heap of waiting jobs that knows where each of them is: places, by the slot of the job, holds its index
// in items plus 1. Slots are dense and distinct among the jobs that wait.
type ranks struct {
	items  []ranked
	places []int32
	seq    uint64
}

// key is where a job stands: by rank, then by arrival.
type key struct {
	rank int64
	seq  uint64
}

func (k key) before(o key) bool { return k.rank < o.rank || k.rank == o.rank && k.seq < o.seq }

type ranked struct {
	key
	waiting
}

func (h *ranks) less(i, j int) bool { return h.items[i].before(h.items[j].key) }

// put stores an item and notes its place.
func (h *ranks) put(i int, x ranked) {
	h.items[i] = x
	h.places[x.job.Slot()] = int32(i + 1)
}

func (h *ranks) insert(w waiting, k key) {
	slot := int(w.job.Slot())
	if slot >= len(h.places) {
		h.places = append(h.places, make([]int32, slot+1-len(h.places))...)
	}
	h.items = append(h.items, ranked{})
	h.put(len(h.items)-1, ranked{k, w})
	h.up(len(h.items) - 1)
}

func (h *ranks) pop() (w waiting, k key, ok bool) {
	if len(h.items) == 0 {
		return w, k, false
	}
	first := h.items[0]
	h.removeAt(0)
	return first.waiting, first.key, true
}

func (h *ranks) remove(job Job) (left int64, here bool) {
	slot := int(job.Slot())
	if slot >= len(h.places) {
		return 0, false
	}
	i := int(h.places[slot]) - 1
	if i < 0 || h.items[i].job != job {
		return 0, false
	}
	left = h.items[i].demand
	h.removeAt(i)
	return left, true
}

func (h *ranks) removeAt(i int) {
	last := len(h.items) - 1
	h.places[h.items[i].job.Slot()] = 0
	moved := h.items[last]
	h.items = h.items[:last]
	if i == last {
		return
	}
	h.put(i, moved)
	h.down(i)
	h.up(i)
}

func (h *ranks) swap(i, j int) {
	x, y := h.items[i], h.items[j]
	h.put(i, y)
	h.put(j, x)
}

func (h *ranks) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if !h.less(i, p) {
			return
		}
		h.swap(i, p)
		i = p
	}
}

func (h *ranks) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h.items) {
			return
		}
		if c+1 < len(h.items) && h.less(c+1, c) {
			c++
		}
		if !h.less(c, i) {
			return
		}
		h.swap(i, c)
		i = c
	}
}
