package dsv_test

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"pgregory.net/rapid"

	"github.com/eve-emulation/eve/dsv"
)

// encode fails the test on an error, of which there are none.
func encode(t interface{ Fatal(...any) }, h *dsv.Hist) []byte {
	b, err := h.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func histOf(xs []float64) *dsv.Hist {
	var c dsv.Counts
	for _, x := range xs {
		c.Add(x)
	}
	return c.Take()
}

// anySamples draws samples within the layout, and some beyond it.
func anySamples() *rapid.Generator[[]float64] {
	return rapid.SliceOf(rapid.OneOf(
		rapid.Float64Range(1e-7, 3600),
		rapid.Float64Range(1e-7, 1e-3),
		rapid.Custom(func(t *rapid.T) float64 { return math.Pow(10, rapid.Float64Range(-7, 3.5).Draw(t, "exponent")) }),
		rapid.Float64Range(-1e9, 1e9),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 3600, 3600.1, 1e-7, 1e-10, 1e300, -1e300, -1e-300, -1e-17, math.Inf(1), math.NaN()}),
	))
}

func TestHistOfAllIsMergeOfParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		xs := anySamples().Draw(t, "samples")
		parts := rapid.IntRange(1, 100).Draw(t, "parts")
		split := make([][]float64, parts)
		for _, x := range xs {
			p := rapid.IntRange(0, parts-1).Draw(t, "part")
			split[p] = append(split[p], x)
		}
		var hs []*dsv.Hist
		var sum dsv.HistSum
		for _, p := range split {
			hs = append(hs, histOf(p))
			sum.Add(histOf(p))
		}
		slices.Reverse(hs)
		want := encode(t, histOf(xs))
		if got := encode(t, dsv.MergeHists(hs...)); !bytes.Equal(got, want) {
			t.Fatalf("merged %x, want %x", got, want)
		}
		if got := encode(t, sum.Hist()); !bytes.Equal(got, want) {
			t.Fatalf("running sum %x, want %x", got, want)
		}
		if h := histOf(xs); h.Count() > 0 && (h.Mean() < h.Min()-1e-9 || h.Mean() > h.Max()+1e-9) && h.Max() < 1e9 {
			t.Fatalf("mean %v outside of %v … %v", h.Mean(), h.Min(), h.Max())
		}
		again, err := dsv.DecodeHist(want)
		if err != nil || !again.Equal(histOf(xs)) {
			t.Fatalf("decoded %v, %v", again, err)
		}
	})
}

func TestHistQuantilesAreNearExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float64 {
			return math.Pow(10, rapid.Float64Range(-5.9, 3.5).Draw(t, "exponent"))
		}), 1, 300).Draw(t, "samples")
		h := histOf(xs)
		slices.Sort(xs)
		for _, q := range []float64{0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1} {
			want := xs[max(int(math.Ceil(q*float64(len(xs)))), 1)-1]
			if got := h.Quantile(q); math.Abs(got-want) > 0.001*want {
				t.Fatalf("quantile %v is %v, want %v within 0.1 %%", q, got, want)
			}
		}
		var sum float64
		for _, x := range xs {
			sum += x
		}
		if got := h.Sum(); math.Abs(got-sum) > 1e-12*sum {
			t.Fatalf("sum is %v, want %v", got, sum)
		}
		if h.Min() != xs[0] || h.Max() != xs[len(xs)-1] || h.Count() != uint64(len(xs)) {
			t.Fatalf("count, least, greatest are %d, %v, %v", h.Count(), h.Min(), h.Max())
		}
	})
}

// TestHistLayoutIsHdrHistograms compares with the library that the layout is taken from.
func TestHistLayoutIsHdrHistograms(t *testing.T) {
	hdr := hdrhistogram.New(1, 3_600_000_000_000, 3)
	var c dsv.Counts
	x := 1e-7
	for x < 3600 {
		if err := hdr.RecordValue(int64(x*1e9 + 0.5)); err != nil {
			t.Fatal(err)
		}
		c.Add(x)
		x *= 1.0007
	}
	h := c.Take()
	counts := hdr.Export().Counts
	mine := make([]int64, len(counts))
	h.Buckets(func(b int, n uint64) bool {
		mine[b] = int64(n)
		return true
	})
	for i, n := range counts {
		if mine[i] != n {
			t.Fatalf("bucket %d has %d, HdrHistogram's has %d", i, mine[i], n)
		}
	}
	for _, q := range []float64{0.1, 0.5, 0.9, 0.99, 0.999} {
		got, want := h.Quantile(q), float64(hdr.ValueAtQuantile(100*q))*1e-9
		if math.Abs(got-want) > 0.002*want {
			t.Errorf("quantile %v is %v, HdrHistogram says %v", q, got, want)
		}
	}
}

func TestBucketMidIsOfItsBucket(t *testing.T) {
	for i := range dsv.HistBuckets {
		if got := dsv.BucketOf(dsv.BucketMid(i)); got != i {
			t.Fatalf("the middle of bucket %d, %v, is of bucket %d", i, dsv.BucketMid(i), got)
		}
	}
	for x, want := range map[float64]int{
		math.Inf(1): dsv.HistBuckets - 1, 4000: dsv.HistBuckets - 1, dsv.HistMax: dsv.HistBuckets - 1,
		math.Inf(-1): 0, -1: 0, 0: 0, math.NaN(): 0, dsv.HistMin: 100,
	} {
		if got := dsv.BucketOf(x); got != want {
			t.Errorf("bucket of %v is %d, want %d", x, got, want)
		}
	}
}

func TestNewHistEstimates(t *testing.T) {
	h := dsv.NewHist([]uint32{100, 200}, []uint64{3, 1})
	if h.Count() != 4 || math.Abs(h.Mean()-125e-9) > 1e-15 || h.Quantile(0.75) != dsv.BucketMid(100) || h.Max() != dsv.BucketMid(200) {
		t.Errorf("count, mean, p75, max are %d, %v, %v, %v", h.Count(), h.Mean(), h.Quantile(0.75), h.Max())
	}
	if _, err := dsv.DecodeHist(encode(t, h)); err != nil {
		t.Error(err)
	}
	if got := h.CountAbove(150e-9); got != 1 {
		t.Errorf("%d samples above, want 1", got)
	}
}

func TestEmptyHist(t *testing.T) {
	for _, h := range []*dsv.Hist{nil, {}, dsv.MergeHists(), dsv.MergeHists(nil, nil), dsv.NewHist(nil, nil), histOf(nil)} {
		if h.Count() != 0 || h.Sum() != 0 || !math.IsNaN(h.Quantile(0.5)) || !math.IsNaN(h.Mean()) || !math.IsNaN(h.Min()) || !math.IsNaN(h.Max()) {
			t.Errorf("empty histogram %v has something", h)
		}
		if again, err := dsv.DecodeHist(encode(t, h)); err != nil || again.Count() != 0 {
			t.Errorf("decoded %v, %v", again, err)
		}
	}
}

func FuzzDecodeHist(f *testing.F) {
	f.Add([]byte{})
	f.Add(encode(f, histOf([]float64{0.001, 0.002, 5000, -1})))
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := dsv.DecodeHist(b)
		if err != nil {
			return
		}
		again, err := dsv.DecodeHist(encode(t, h))
		if err != nil || !again.Equal(h) {
			t.Fatalf("decoded again to %v, %v", again, err)
		}
		if q := h.Quantile(0.5); h.Count() > 0 && !(q >= h.Min() && q <= h.Max()) {
			t.Fatalf("median %v outside of %v … %v", q, h.Min(), h.Max())
		}
	})
}

func BenchmarkCountsAdd(b *testing.B) {
	var c dsv.Counts
	hdr := hdrhistogram.New(1, 3_600_000_000_000, 3)
	b.Run("counts", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			c.Add(float64(i&1023)*1e-5 + 0.001)
		}
	})
	b.Run("hdrhistogram", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			_ = hdr.RecordValue(int64((float64(i&1023)*1e-5+0.001)*1e9 + 0.5))
		}
	})
}

func BenchmarkHistDrain(b *testing.B) {
	xs := make([]float64, 1000)
	for i := range xs {
		xs[i] = 0.001 * (1 + float64(i*i%997)/100)
	}
	b.Run("counts", func(b *testing.B) {
		var c dsv.Counts
		for b.Loop() {
			for _, x := range xs {
				c.Add(x)
			}
			c.Take()
		}
	})
	b.Run("hdrhistogram", func(b *testing.B) {
		hdr := hdrhistogram.New(1, 3_600_000_000_000, 3)
		for b.Loop() {
			for _, x := range xs {
				_ = hdr.RecordValue(int64(x * 1e9))
			}
			hdr.Export()
			hdr.Reset()
		}
	})
}
