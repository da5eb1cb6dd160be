package dsv

import (
	"math"
	"math/bits"
	"slices"
)

// Counts counts samples into the buckets of a [Hist]. The first thousand since the last Take are only listed, so that
// few samples are quickly taken; then there are counters, allocated by octave on first use, so a variable whose samples
// span a factor of ten takes 30 KiB. The zero value is empty and ready. It belongs to one goroutine at a time.
type Counts struct {
	n        uint64
	sum      fixed
	min, max float64  // when n > 0, or after a Take no sample's
	list     []uint16 // the samples' buckets in the order of their arrival; nil once the pages count them
	room     []uint16 // what list is part of
	pages    [HistBuckets/histHalf + 1]*page
}

// listed is the number of samples that are listed before they are counted.
const listed = 1024

// page is the counters of one octave, and a bit for each that is not zero, so that draining costs what is there.
type page struct {
	cells [histHalf]uint64
	used  [histHalf / 64]uint64
}

// add counts n samples in the bucket b of the page.
func (p *page) add(b int, n uint64) {
	i := b & (histHalf - 1)
	if p.cells[i] == 0 {
		p.used[i>>6] |= 1 << (i & 63)
	}
	p.cells[i] += n
}

// Add counts one sample. NaN is ignored, since it has no place in any order.
func (c *Counts) Add(x float64) {
	if !(x > 0 && x < 8) {
		c.addAny(x)
		return
	}
	b := bucketOf(x)
	if n := len(c.list); n < cap(c.list) {
		c.list = c.list[:n+1]
		c.list[n] = uint16(b)
	} else if p := c.pages[b>>10]; p != nil && c.list == nil {
		p.add(b, 1)
	} else {
		c.addAny(x)
		return
	}
	if x < c.min {
		c.min = x
	}
	if x > c.max {
		c.max = x
	}
	c.n++
	lo, carry := bits.Add64(c.sum.lo, uint64(int64(x*fixedOne)), 0)
	c.sum = fixed{c.sum.hi + int64(carry), lo}
}

// addAny counts a sample of any size, also the first of all and of its octave.
func (c *Counts) addAny(x float64) {
	if x != x {
		return
	}
	x = min(max(x, -histMaxAbs), histMaxAbs) + 0 // +0 makes −0 the one zero
	b := BucketOf(x)
	if c.n == 0 {
		if c.room == nil {
			c.room = make([]uint16, 0, listed)
		}
		c.list = c.room
	}
	if c.list != nil && len(c.list) < listed {
		c.list = append(c.list, uint16(b))
	} else {
		c.spill()
		c.page(b).add(b, 1)
	}
	if x < c.min || c.n == 0 {
		c.min = x
	}
	if x > c.max || c.n == 0 {
		c.max = x
	}
	c.n++
	c.sum = c.sum.add(toFixed(x))
}

// spill counts what is listed.
func (c *Counts) spill() {
	for _, b := range c.list {
		c.page(int(b)).add(int(b), 1)
	}
	c.list = nil
}

// page returns the page of the bucket b.
func (c *Counts) page(b int) *page {
	if c.pages[b>>10] == nil {
		c.pages[b>>10] = new(page)
	}
	return c.pages[b>>10]
}

// AddHist counts the samples of h, as though they had been added one by one.
func (c *Counts) AddHist(h *Hist) {
	if h.Count() == 0 {
		return
	}
	c.spill()
	if f := h.flat.Load(); f == nil && h.list != nil {
		for _, b := range h.list {
			c.page(int(b)).add(int(b), 1)
		}
	} else {
		f = h.flatten()
		for i, b := range f.buckets {
			c.page(int(b)).add(int(b), f.counts[i])
		}
	}
	if c.n == 0 {
		c.min, c.max = h.min, h.max
	} else {
		c.min, c.max = min(c.min, h.min), max(c.max, h.max)
	}
	c.n += h.n
	c.sum = c.sum.add(h.sum)
}

// Count returns the number of samples since the last Take.
func (c *Counts) Count() uint64 { return c.n }

// Take returns what was counted and starts again from nothing, keeping the counters' memory.
func (c *Counts) Take() *Hist {
	h := c.hist(true)
	c.n, c.sum, c.min, c.max, c.list = 0, fixed{}, math.Inf(1), math.Inf(-1), c.room
	return h
}

// Hist returns what was counted, and goes on.
func (c *Counts) Hist() *Hist { return c.hist(false) }

func (c *Counts) hist(empty bool) *Hist {
	h := &Hist{}
	if c.n == 0 {
		h.flat.Store(&flatHist{})
		return h
	}
	h.n, h.sum, h.min, h.max = c.n, c.sum, c.min, c.max
	if c.list != nil {
		h.list = slices.Clone(c.list)
	} else {
		h.flat.Store(c.counted(empty))
	}
	return h
}

// counted returns the counters in use, and empties them if it shall.
func (c *Counts) counted(empty bool) *flatHist {
	n := 0
	for _, p := range c.pages {
		if p != nil {
			for _, set := range p.used {
				n += bits.OnesCount64(set)
			}
		}
	}
	f, k := &flatHist{make([]uint32, n), make([]uint64, n)}, 0
	for octave, p := range c.pages {
		if p == nil {
			continue
		}
		for word, set := range p.used {
			for ; set != 0; set &= set - 1 {
				i := (word<<6 + bits.TrailingZeros64(set)) & (histHalf - 1)
				f.buckets[k], f.counts[k] = uint32(octave<<10+i), p.cells[i]
				k++
				if empty {
					p.cells[i] = 0
				}
			}
		}
		if empty {
			clear(p.used[:])
		}
	}
	return f
}

// sorted returns the buckets of a list in their order, each with its count.
func sorted(list []uint16) *flatHist {
	list = slices.Clone(list)
	other := make([]uint16, len(list))
	for _, shift := range []uint{0, 8} { // radix sort: by the low byte, then by the high one
		var next [256]int
		for _, b := range list {
			next[b>>shift&255]++
		}
		at := 0
		for i, n := range next {
			next[i], at = at, at+n
		}
		for _, b := range list {
			i := b >> shift & 255
			other[next[i]] = b
			next[i]++
		}
		list, other = other, list
	}
	distinct := 0
	for i, b := range list {
		if i == 0 || b != list[i-1] {
			distinct++
		}
	}
	f := &flatHist{make([]uint32, 0, distinct), make([]uint64, 0, distinct)}
	for i, b := range list {
		if i == 0 || b != list[i-1] {
			f.buckets, f.counts = append(f.buckets, uint32(b)), append(f.counts, 0)
		}
		f.counts[len(f.counts)-1]++
	}
	return f
}
