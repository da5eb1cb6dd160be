package load

import (
	"math/bits"
	"time"
)

// Durations are counted in buckets: one each below 32 ns, then 32 for each power of two, which is 3 % wide.
const (
	subBits = 5
	subs    = 1 << subBits
	buckets = (64 - subBits) * subs
)

// A Spread is how durations are spread: a histogram of fixed layout with buckets 3 % wide. The zero value is empty.
// Spreads of several loops are merged; quantiles never are.
type Spread struct {
	counts []uint64
	count  uint64
	max    int64
}

func bucketOf(ns int64) int {
	v := uint64(max(ns, 0))
	if v < subs {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return shift<<subBits + int(v>>shift)
}

// upper returns the largest value of a bucket.
func upper(i int) int64 {
	if i < subs {
		return int64(i)
	}
	shift := i>>subBits - 1
	return int64(i&(subs-1)+subs+1)<<shift - 1
}

// add counts d. The first call allocates.
func (s *Spread) add(d time.Duration) {
	if s.counts == nil {
		s.counts = make([]uint64, buckets)
	}
	s.counts[bucketOf(int64(d))]++
	s.count++
	s.max = max(s.max, int64(d))
}

// clone returns a copy that shares nothing.
func (s *Spread) clone() Spread {
	c := *s
	c.counts = append([]uint64(nil), s.counts...)
	return c
}

// Merge adds what o has counted.
func (s *Spread) Merge(o Spread) {
	if o.count == 0 {
		return
	}
	if s.counts == nil {
		s.counts = make([]uint64, buckets)
	}
	for i, n := range o.counts {
		s.counts[i] += n
	}
	s.count += o.count
	s.max = max(s.max, o.max)
}

// Count returns how many durations were counted.
func (s *Spread) Count() uint64 { return s.count }

// Max returns the longest duration, exactly.
func (s *Spread) Max() time.Duration { return time.Duration(s.max) }

// Quantile returns the duration that a part q of all does not exceed, at most 3 % too long; 0 when there is none.
func (s *Spread) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(s.count))
	seen := uint64(0)
	for i, n := range s.counts {
		if seen += n; n > 0 && seen >= max(rank, 1) {
			return time.Duration(min(upper(i), s.max))
		}
	}
	return 0
}
