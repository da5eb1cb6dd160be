package dsv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrHist reports bytes that are not an encoded [Hist].
var ErrHist = errors.New("not a histogram")

// AppendBinary appends the histogram's encoding to b: the number of buckets in use, then for each the distance from
// the one before and the count, then sum, least and greatest; all integers as varints. Equal histograms have equal
// encodings.
func (h *Hist) AppendBinary(b []byte) ([]byte, error) {
	if h.Count() == 0 {
		return append(b, 0), nil
	}
	f := h.flatten()
	b = binary.AppendUvarint(b, uint64(len(f.buckets)))
	last := uint32(0)
	for i, bucket := range f.buckets {
		b = binary.AppendUvarint(b, uint64(bucket-last))
		b = binary.AppendUvarint(b, f.counts[i])
		last = bucket
	}
	b = binary.AppendVarint(b, h.sum.hi)
	b = binary.LittleEndian.AppendUint64(b, h.sum.lo)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(h.min))
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(h.max)), nil
}

// DecodeHist reads an encoding that fills b. Whatever is not a histogram in the one layout is ErrHist. The Hist does
// not keep b.
func DecodeHist(b []byte) (*Hist, error) {
	r := histReader{b: b}
	n := r.uvarint()
	if r.bad || n > HistBuckets || n > uint64(len(b)) {
		return nil, fmt.Errorf("decode histogram: %d buckets: %w", n, ErrHist)
	}
	h, f := &Hist{}, &flatHist{make([]uint32, n), make([]uint64, n)}
	last := uint64(0)
	for i := range f.buckets {
		step, count := r.uvarint(), r.uvarint()
		if r.bad || step > HistBuckets || i > 0 && step == 0 || count == 0 || h.n+count < h.n || last+step >= HistBuckets {
			return nil, fmt.Errorf("decode histogram: bucket %d: %w", i, ErrHist)
		}
		last += step
		f.buckets[i], f.counts[i] = uint32(last), count
		h.n += count
	}
	if n > 0 {
		h.sum.hi = r.varint()
		h.sum.lo = r.word()
		h.min, h.max = math.Float64frombits(r.word()), math.Float64frombits(r.word())
	}
	if r.bad || len(r.b) != 0 || n > 0 && !h.plausible(f) {
		return nil, fmt.Errorf("decode histogram: sum and extremes: %w", ErrHist)
	}
	h.flat.Store(f)
	return h, nil
}

// plausible says whether what stands beside the buckets agrees with them.
func (h *Hist) plausible(f *flatHist) bool {
	if math.Abs(h.min) > histMaxAbs || math.Abs(h.max) > histMaxAbs || !(h.min <= h.max) {
		return false
	}
	first, last := f.buckets[0], f.buckets[len(f.buckets)-1]
	if BucketOf(h.min) != int(first) || BucketOf(h.max) != int(last) {
		return false
	}
	mean := h.Mean()
	slack := 1e-6 * (1 + max(math.Abs(h.min), math.Abs(h.max)))
	return mean >= h.min-slack && mean <= h.max+slack
}

// histReader reads the parts of an encoding; bad is set once one is missing.
type histReader struct {
	b   []byte
	bad bool
}

func (r *histReader) uvarint() uint64 {
	x, n := binary.Uvarint(r.b)
	return x * r.took(n)
}

func (r *histReader) varint() int64 {
	x, n := binary.Varint(r.b)
	return x * int64(r.took(n))
}

func (r *histReader) word() uint64 {
	if len(r.b) < 8 {
		r.bad = true
		return 0
	}
	x := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return x
}

// took drops n bytes and returns 1, or notes that they were not there and returns 0.
func (r *histReader) took(n int) uint64 {
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return 1
}
