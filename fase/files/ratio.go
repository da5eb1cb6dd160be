package files

import "math"

// Ratio is the share of requests that a cache answers, and of the bytes that were asked for.
type Ratio struct{ Requests, Bytes float64 }

// HitRatio is what a cache of so many bytes comes to once it is full, when independent requests ask for files of one set:
// the approximation of Che, Tung and Wang, "Hierarchical Web caching systems", IEEE JSAC 20 (2002), for files of different
// sizes. A file is kept for a time T after its last use, and T is such that what is kept fills the cache. Files larger
// than the cache are never kept.
func (s *Set) HitRatio(limit int64) Ratio {
	var ps, sizes []float64
	total := 0.0
	for i := range s.Len() {
		if n := s.Size(i); n <= limit {
			ps, sizes = append(ps, s.Probability(i)), append(sizes, float64(n))
			total += float64(n)
		}
	}
	t := math.Inf(1)
	if total > float64(limit) {
		t = stay(ps, sizes, float64(limit))
	}
	var r Ratio
	for i, p := range ps {
		hit := p * -math.Expm1(-p*t)
		r.Requests += hit
		r.Bytes += hit * sizes[i]
	}
	r.Bytes /= s.Mean()
	return r
}

// stay is the T, in requests, at which files fill a cache of limit bytes.
func stay(ps, sizes []float64, limit float64) float64 {
	full := func(t float64) bool {
		sum := 0.0
		for i, p := range ps {
			sum += sizes[i] * -math.Expm1(-p*t)
		}
		return sum >= limit
	}
	low, high := 0.0, 1.0
	for !full(high) && high < 1e18 {
		low, high = high, 2*high
	}
	for range 60 {
		if mid := (low + high) / 2; full(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}
