package load

import (
	"math"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	var a, b Spread
	for i := range 100_000 { // 10 µs, 20 µs … 1 s, in two halves
		d := time.Duration(i+1) * 10 * time.Microsecond
		if i%2 == 0 {
			a.add(d)
		} else {
			b.add(d)
		}
	}
	kept := a.clone()
	a.Merge(b)
	for _, q := range []float64{0, 0.001, 0.5, 0.9, 0.99, 1} {
		exact := time.Duration(max(q*1e5, 1)) * 10 * time.Microsecond
		if got := a.Quantile(q); got < exact || float64(got) > 1.032*float64(exact) {
			t.Errorf("quantile %v: got %v, want %v to 3 %% more", q, got, exact)
		}
	}
	if a.Count() != 100_000 || a.Max() != time.Second || kept.Count() != 50_000 || kept.Quantile(1) != time.Second-10*time.Microsecond {
		t.Errorf("got %d up to %v, and %d up to %v", a.Count(), a.Max(), kept.Count(), kept.Quantile(1))
	}
	var empty Spread
	empty.Merge(Spread{})
	if empty.Quantile(0.5) != 0 || empty.Count() != 0 {
		t.Error("an empty spread has a quantile")
	}
}

func TestBucketsCoverEveryDuration(t *testing.T) {
	for _, v := range []int64{-1, 0, 1, 31, 32, 33, 63, 64, 65, 1000, 1 << 40, math.MaxInt64} {
		i := bucketOf(v)
		if i < 0 || i >= buckets || upper(i) < v || i > 0 && upper(i-1) >= v {
			t.Errorf("bucket of %d: got %d, up to %d", v, i, upper(i))
		}
	}
}
