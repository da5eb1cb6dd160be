package dsv

import (
	"math"
	"math/bits"
)

// Counts counts samples into the buckets of a [Hist]. Counters are allocated by octave, on first use, so a variable
// whose samples span a factor of ten takes 30 KiB. The zero value is empty and ready. It belongs to one goroutine at a
// time.
type Counts struct {
	n        uint64
	sum      fixed
	min, max float64 // when n > 0, or after a Take no sample's
	pages    [HistBuckets/histHalf + 1]*page
}

// page is the counters of one octave, and a bit for each that is not zero, so that draining costs what is there.
type page struct {
	cells [histHalf]uint64
	used  [histHalf / 64]uint64
}

// add counts n samples in the bucket b of the page.
func (p *page) add(b int, n uint64) {
	i := b & (histHalf - 1)
	p.cells[i] += n
	p.used[i>>6] |= 1 << (i & 63)
}

// Add counts one sample. NaN is ignored, since it has no place in any order.
func (c *Counts) Add(x float64) {
	if !(x > 0 && x < 8) {
		c.addAny(x)
		return
	}
	b := bucketOf(x)
	p := c.pages[b>>10]
	if p == nil {
		c.addAny(x)
		return
	}
	p.add(b, 1)
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

// addAny counts a sample of any size, also the first of its octave.
func (c *Counts) addAny(x float64) {
	if x != x {
		return
	}
	x = min(max(x, -histMaxAbs), histMaxAbs) + 0 // +0 makes −0 the one zero
	b := BucketOf(x)
	c.page(b).add(b, 1)
	if x < c.min || c.n == 0 {
		c.min = x
	}
	if x > c.max || c.n == 0 {
		c.max = x
	}
	c.n++
	c.sum = c.sum.add(toFixed(x))
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
	f := h.flatten()
	var p *page
	octave := -1
	for i, b := range f.buckets {
		if int(b>>10) != octave {
			octave, p = int(b>>10), c.page(int(b))
		}
		p.add(int(b), f.counts[i])
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
	c.n, c.sum, c.min, c.max = 0, fixed{}, math.Inf(1), math.Inf(-1)
	return h
}

// Hist returns what was counted, and goes on.
func (c *Counts) Hist() *Hist { return c.hist(false) }

func (c *Counts) hist(empty bool) *Hist {
	h, f := &Hist{}, &flatHist{}
	if c.n > 0 {
		h.n, h.sum, h.min, h.max = c.n, c.sum, c.min, c.max
		f = c.list(empty)
	}
	h.flat.Store(f)
	return h
}

// list returns the counters in use, and empties them.
func (c *Counts) list(empty bool) *flatHist {
	n := 0
	for _, p := range c.pages {
		if p != nil {
			for _, set := range p.used {
				n += bits.OnesCount64(set)
			}
		}
	}
	f := &flatHist{make([]uint32, n), make([]uint64, n)}
	buckets, counts := f.buckets, f.counts
	for octave, p := range c.pages {
		if p == nil {
			continue
		}
		for word, set := range p.used {
			for ; set != 0; set &= set - 1 {
				i := (word<<6 + bits.TrailingZeros64(set)) & (histHalf - 1)
				buckets[0], counts[0] = uint32(octave<<10+i), p.cells[i]
				buckets, counts = buckets[1:], counts[1:]
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
