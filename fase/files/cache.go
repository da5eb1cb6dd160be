package files

// A Cache keeps whole files in memory, up to a number of bytes; to make room it forgets the file that was used least
// recently. It knows names and sizes alone. The zero value keeps nothing. A Cache belongs to one goroutine, and its
// memory grows with the files that it was ever told of: some eight bytes each, and 32 for each that it keeps.
type Cache struct {
	limit   int64
	bytes   int64
	place   [][]int32 // by set and file: index in entries, 0 for none
	entries []entry   // entries[0] is the ring's head: next is the newest, prev the oldest
	free    []int32
	gone    []Object
}

type entry struct {
	object     Object
	size       int64
	prev, next int32
}

// NewCache returns an empty cache of so many bytes.
func NewCache(limit int64) *Cache { return &Cache{limit: limit} }

// Limit is how many bytes the cache may keep.
func (c *Cache) Limit() int64 { return c.limit }

// Bytes is how many it keeps.
func (c *Cache) Bytes() int64 { return c.bytes }

// Len is how many files it keeps.
func (c *Cache) Len() int { return max(len(c.entries)-1-len(c.free), 0) }

// Objects lists the files that are kept, the latest used first.
func (c *Cache) Objects() []Object {
	var list []Object
	if len(c.entries) == 0 {
		return nil
	}
	for i := c.entries[0].next; i != 0; i = c.entries[i].next {
		list = append(list, c.entries[i].object)
	}
	return list
}

// Has reports whether a file is kept, and changes nothing.
func (c *Cache) Has(o Object) bool { return c.at(o) > 0 }

// Use reports whether a file is kept; it is then the one that was used last.
func (c *Cache) Use(o Object) bool {
	i := c.at(o)
	if i == 0 {
		return false
	}
	c.unlink(i)
	c.first(i)
	return true
}

// Put keeps a file of a size, as the one that was used last, and returns those that it forgets for that; valid until the
// next Put. A file larger than the cache is not kept. Putting what is kept already is Use.
func (c *Cache) Put(o Object, size int64) (forgotten []Object) {
	c.gone = c.gone[:0]
	if o.File() < 0 || size > c.limit || c.limit <= 0 || c.Use(o) {
		return nil
	}
	if len(c.entries) == 0 {
		c.entries = append(c.entries, entry{})
	}
	for c.bytes+size > c.limit {
		c.gone = append(c.gone, c.entries[c.entries[0].prev].object)
		c.forget(c.entries[0].prev)
	}
	var i int32
	if n := len(c.free); n > 0 {
		i, c.free = c.free[n-1], c.free[:n-1]
	} else {
		i = int32(len(c.entries))
		c.entries = append(c.entries, entry{})
	}
	c.entries[i] = entry{object: o, size: size}
	c.first(i)
	c.bytes += size
	c.keep(o, i)
	return c.gone
}

func (c *Cache) at(o Object) int32 {
	s, f := o.Set(), o.File()
	if f < 0 || s >= len(c.place) || f >= len(c.place[s]) {
		return 0
	}
	return c.place[s][f]
}

func (c *Cache) keep(o Object, i int32) {
	s, f := o.Set(), o.File()
	if s >= len(c.place) {
		c.place = append(c.place, make([][]int32, s+1-len(c.place))...)
	}
	if f >= len(c.place[s]) {
		c.place[s] = append(c.place[s], make([]int32, f+1-len(c.place[s]))...)
	}
	c.place[s][f] = i
}

func (c *Cache) forget(i int32) {
	e := c.entries[i]
	c.unlink(i)
	c.bytes -= e.size
	c.place[e.object.Set()][e.object.File()] = 0
	c.free = append(c.free, i)
}

func (c *Cache) unlink(i int32) {
	e := &c.entries[i]
	c.entries[e.prev].next = e.next
	c.entries[e.next].prev = e.prev
}

func (c *Cache) first(i int32) {
	next := c.entries[0].next
	c.entries[i].prev, c.entries[i].next = 0, next
	c.entries[next].prev = i
	c.entries[0].next = i
}
