package dsv

import (
	"math"
	"math/bits"
	"sync/atomic"
)

// The one layout of every [Hist]: HdrHistogram's, on integers of 1e-9, with three significant digits. Bucket i is of
// the octave i>>10; each octave but the first has 1024 buckets.
const (
	histUnit    = 1e-9
	histLowest  = 100                // 1e-7
	histHighest = 3_600_000_000_000  // 3600
	histHalf    = 1024               // buckets of an octave
	histMask    = 2*histHalf - 1     // values that have a bucket of their own
	histMaxAbs  = float64(1 << 62)   // samples are clamped to ± this, so that sums cannot overflow
	HistBuckets = 32*histHalf + 653  // the number of buckets of the layout
	HistMin     = histLowest * 1e-9  // the least value that has its own bucket; smaller ones still count, there or below
	HistMax     = histHighest * 1e-9 // values above are counted in the last bucket
)

// A Hist is an immutable histogram of float64 samples: sparse buckets of one fixed layout, which all histograms share,
// so that any two merge without loss. Values from 1e-7 to 3600 ("100 ns to 1 h" where they are seconds) are kept to
// three significant digits; values beyond are counted in the outermost buckets. Count, sum, least and greatest are
// kept beside the buckets and know no range. The sum is held in fixed point (2^-60), so it is exact for samples above
// 2^-7 and within 1e-18 each below, and the histogram of all samples equals the merged histograms of its parts byte for byte.
//
// A Hist may be used by several goroutines at once. A nil Hist is empty; the quantiles of an empty Hist are NaN.
type Hist struct {
	n        uint64
	sum      fixed
	min, max float64
	flat     atomic.Pointer[flatHist]
	list     []uint16 // or the samples' buckets in any order, of which flat is made on first use; immutable
	parts    []*Hist  // or what flat is merged from on first use; immutable
}

// flatHist holds the buckets in ascending order with their counts, none of them zero.
type flatHist struct {
	buckets []uint32
	counts  []uint64
}

// NewHist makes a histogram from buckets in ascending order and their counts, and takes both slices over. Sum, least and
// greatest are estimated from the middles of the buckets; a [Counts] keeps them exactly. Buckets that are not in the
// layout or not in order, and counts of zero, are a bug of the caller and panic.
func NewHist(buckets []uint32, counts []uint64) *Hist {
	h := &Hist{}
	if len(buckets) != len(counts) {
		panic("dsv: a histogram needs a count for each bucket")
	}
	for i, b := range buckets {
		if b >= HistBuckets || i > 0 && b <= buckets[i-1] || counts[i] == 0 {
			panic("dsv: buckets of a histogram out of order")
		}
		h.n += counts[i]
		h.sum = h.sum.add(toFixed(BucketMid(int(b))).times(counts[i]))
	}
	if len(buckets) > 0 {
		h.min, h.max = BucketMid(int(buckets[0])), BucketMid(int(buckets[len(buckets)-1]))
	}
	h.flat.Store(&flatHist{buckets, counts})
	return h
}

// BucketOf returns the bucket that counts x; NaN has none and counts as zero would.
func BucketOf(x float64) int {
	if !(x > 0) {
		return 0
	}
	if x >= HistMax {
		return HistBuckets - 1
	}
	return bucketOf(x)
}

// bucketOf returns the bucket of an x within (0, HistMax).
func bucketOf(x float64) int {
	v := uint64(int64(x*(1/histUnit) + 0.5))
	octave := (53 - bits.LeadingZeros64(v|histMask)) & 63
	return octave<<10 + int(v>>octave)
}

// BucketMid returns the middle of bucket i, which represents the values it counts: within 0.05 % of each above 1e-6.
func BucketMid(i int) float64 {
	if i <= histMask {
		return float64(i) * histUnit
	}
	octave := i>>10 - 1
	low := uint64(i-octave<<10) << octave
	return (float64(low) + float64(uint64(1)<<octave-1)/2) * histUnit
}

// Count returns the number of samples.
func (h *Hist) Count() uint64 {
	if h == nil {
		return 0
	}
	return h.n
}

// Sum returns the sum of all samples, 0 when empty.
func (h *Hist) Sum() float64 {
	if h == nil {
		return 0
	}
	return h.sum.float()
}

// Mean returns the mean of all samples, NaN when empty.
func (h *Hist) Mean() float64 {
	if h.Count() == 0 {
		return math.NaN()
	}
	return h.sum.float() / float64(h.n)
}

// Min returns the least sample, exactly; NaN when empty.
func (h *Hist) Min() float64 {
	if h.Count() == 0 {
		return math.NaN()
	}
	return h.min
}

// Max returns the greatest sample, exactly; NaN when empty.
func (h *Hist) Max() float64 {
	if h.Count() == 0 {
		return math.NaN()
	}
	return h.max
}

// Quantile returns the sample of rank ceil(q·Count), to the resolution of its bucket: 0 gives the least sample and 1 the
// greatest, exactly. NaN when empty.
func (h *Hist) Quantile(q float64) float64 {
	switch {
	case h.Count() == 0 || math.IsNaN(q):
		return math.NaN()
	case q <= 0:
		return h.min
	case q >= 1:
		return h.max
	}
	rank := uint64(math.Ceil(q * float64(h.n)))
	f := h.flatten()
	var seen uint64
	for i, c := range f.counts {
		if seen += c; seen >= rank {
			return min(max(BucketMid(int(f.buckets[i])), h.min), h.max)
		}
	}
	return h.max
}

// CountAbove returns how many samples are in buckets above that of x: the samples that exceed x, to the resolution of
// its bucket.
func (h *Hist) CountAbove(x float64) uint64 {
	if h.Count() == 0 {
		return 0
	}
	f, b := h.flatten(), uint32(BucketOf(x))
	var n uint64
	for i := len(f.buckets) - 1; i >= 0 && f.buckets[i] > b; i-- {
		n += f.counts[i]
	}
	return n
}

// Buckets calls fn for each bucket that is not empty, in ascending order, until fn returns false.
func (h *Hist) Buckets(fn func(bucket int, count uint64) bool) {
	if h == nil {
		return
	}
	f := h.flatten()
	for i, b := range f.buckets {
		if !fn(int(b), f.counts[i]) {
			return
		}
	}
}

// MergeHists adds histograms up; nil ones are empty. The result shares no memory that anyone changes.
func MergeHists(hs ...*Hist) *Hist {
	h := &Hist{}
	for _, p := range hs {
		h.absorb(p)
	}
	h.flat.Store(mergeFlat(hs))
	return h
}

// absorb adds what stands beside the buckets.
func (h *Hist) absorb(p *Hist) {
	if p.Count() == 0 {
		return
	}
	if h.n == 0 {
		h.min, h.max = p.min, p.max
	} else {
		h.min, h.max = min(h.min, p.min), max(h.max, p.max)
	}
	h.n += p.n
	h.sum = h.sum.add(p.sum)
}

// flatten returns the buckets, merging the parts the first time.
func (h *Hist) flatten() *flatHist {
	if f := h.flat.Load(); f != nil {
		return f
	}
	var f *flatHist // several goroutines may make it at once, with equal results
	if h.list != nil {
		f = sorted(h.list)
	} else {
		f = mergeFlat(h.parts)
	}
	h.flat.Store(f)
	return f
}

// mergeFlat adds buckets up, over a dense stretch of counters as wide as the parts together.
func mergeFlat(hs []*Hist) *flatHist {
	flats := make([]*flatHist, 0, len(hs))
	low, high, total := uint32(HistBuckets), uint32(0), 0
	for _, h := range hs {
		if h.Count() == 0 {
			continue
		}
		f := h.flatten()
		flats = append(flats, f)
		low, high = min(low, f.buckets[0]), max(high, f.buckets[len(f.buckets)-1])
		total += len(f.buckets)
	}
	switch len(flats) {
	case 0:
		return &flatHist{}
	case 1:
		return flats[0]
	}
	dense := make([]uint64, high-low+1)
	distinct := 0
	for _, f := range flats {
		for i, b := range f.buckets {
			if dense[b-low] == 0 {
				distinct++
			}
			dense[b-low] += f.counts[i]
		}
	}
	out := &flatHist{make([]uint32, 0, distinct), make([]uint64, 0, distinct)}
	for i, c := range dense {
		if c != 0 {
			out.buckets = append(out.buckets, low+uint32(i))
			out.counts = append(out.counts, c)
		}
	}
	return out
}

// A HistSum adds histograms up one by one and gives its running sum at any time, cheaply: buckets are merged only when
// someone looks at them, and at the latest after mergeAfter additions. The zero value is empty. It belongs to one
// goroutine at a time; the histograms that it returns do not.
type HistSum struct {
	total Hist    // count, sum, least, greatest
	parts []*Hist // the first is merged, the others were added since
}

// mergeAfter bounds the parts that a running sum keeps unmerged.
const mergeAfter = 64

// Add adds h.
func (s *HistSum) Add(h *Hist) {
	if h.Count() == 0 {
		return
	}
	s.total.absorb(h)
	if len(s.parts) >= mergeAfter {
		s.parts = append(make([]*Hist, 0, mergeAfter), MergeHists(s.parts...))
	}
	s.parts = append(s.parts, h)
}

// Hist returns the sum so far.
func (s *HistSum) Hist() *Hist {
	if len(s.parts) == 1 {
		return s.parts[0]
	}
	// Later additions only ever append behind these parts, so they can be shared.
	return &Hist{n: s.total.n, sum: s.total.sum, min: s.total.min, max: s.total.max, parts: s.parts[:len(s.parts):len(s.parts)]}
}

// Reset empties the sum.
func (s *HistSum) Reset() { *s = HistSum{} }
