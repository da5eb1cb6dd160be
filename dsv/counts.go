package dsv

import (
	"math"
	"math/bits"
	"slices"
)

// Counts counts samples into the buckets of a [Hist]. Counters are allocated by octave, on first use, so a variable
// whose samples span a factor of ten takes 30 KiB. The zero value is empty and ready. It belongs to one goroutine at a
// time.
type Counts struct {
	n         uint64
	sum       fixed
	min, max  float64 // when n > 0, or after a Take no sample's
	low, high int     // buckets in use, when n > 0
	pages     [HistBuckets/histHalf + 1]*[histHalf]uint64

	buckets []uint32 // where Take gathers what it returns
	counts  []uint64
}

// Add counts one sample. NaN is ignored, since it has no place in any order.
func (c *Counts) Add(x float64) {
	if !(x > 0 && x < 8) {
		c.addAny(x)
		return
	}
	b := bucketOf(x)
	page := c.pages[b>>10]
	if page == nil {
		c.addAny(x)
		return
	}
	page[b&(histHalf-1)]++
	if x < c.min {
		c.min, c.low = x, b
	}
	if x > c.max {
		c.max, c.high = x, b
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
	if c.pages[b>>10] == nil {
		c.pages[b>>10] = new([histHalf]uint64)
	}
	c.pages[b>>10][b&(histHalf-1)]++
	if x < c.min || c.n == 0 {
		c.min, c.low = x, b
	}
	if x > c.max || c.n == 0 {
		c.max, c.high = x, b
	}
	c.n++
	c.sum = c.sum.add(toFixed(x))
}

// AddHist counts the samples of h, as though they had been added one by one.
func (c *Counts) AddHist(h *Hist) {
	if h.Count() == 0 {
		return
	}
	f := h.flatten()
	for i, b := range f.buckets {
		if c.pages[b>>10] == nil {
			c.pages[b>>10] = new([histHalf]uint64)
		}
		c.pages[b>>10][b&(histHalf-1)] += f.counts[i]
	}
	low, high := int(f.buckets[0]), int(f.buckets[len(f.buckets)-1])
	if c.n == 0 {
		c.min, c.max, c.low, c.high = h.min, h.max, low, high
	} else {
		c.min, c.max = min(c.min, h.min), max(c.max, h.max)
		c.low, c.high = min(c.low, low), max(c.high, high)
	}
	c.n += h.n
	c.sum = c.sum.add(h.sum)
}

// Count returns the number of samples since the last Take.
func (c *Counts) Count() uint64 { return c.n }

// Take returns what was counted and starts again from nothing, keeping the counters' memory.
func (c *Counts) Take() *Hist {
	h, f := &Hist{}, &flatHist{}
	if c.n > 0 {
		h.n, h.sum, h.min, h.max = c.n, c.sum, c.min, c.max
		f = c.drain()
	}
	h.flat.Store(f)
	c.n, c.sum, c.min, c.max = 0, fixed{}, math.Inf(1), math.Inf(-1)
	return h
}

// drain moves the counters in use to a sparse list, in one pass over them.
func (c *Counts) drain() *flatHist {
	buckets, counts := c.buckets[:0], c.counts[:0]
	for p := c.low >> 10; p <= c.high>>10; p++ {
		page := c.pages[p]
		if page == nil {
			continue
		}
		first, last := max(c.low, p<<10), min(c.high, p<<10+histHalf-1)
		cells := page[first&(histHalf-1) : last&(histHalf-1)+1]
		for i, n := range cells {
			if n != 0 {
				buckets = append(buckets, uint32(first+i))
				counts = append(counts, n)
				cells[i] = 0
			}
		}
	}
	c.buckets, c.counts = buckets, counts
	return &flatHist{slices.Clone(buckets), slices.Clone(counts)}
}
