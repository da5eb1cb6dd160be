package dmm

import (
	"encoding/binary"
	"iter"
	"math"

	"github.com/eve-emulation/eve/dsv"
)

// last keeps the latest value of the kind that the Spec chose.
type last struct {
	kind  dsv.Kind
	value dsv.Value
	n     float64
}

func newLast(s Spec) Shadow {
	k := s.Kind
	if k == 0 {
		k = dsv.Float
	}
	return &last{kind: k}
}

func (s *last) Write(x, _ float64) {
	switch s.kind {
	case dsv.Float:
		s.value = dsv.FloatValue(x)
	case dsv.Int:
		s.value = dsv.IntValue(whole(x))
	default:
		return
	}
	s.n++
}

// whole returns the int that is nearest to x.
func whole(x float64) int64 {
	switch {
	case x >= math.MaxInt64:
		return math.MaxInt64
	case x <= math.MinInt64:
		return math.MinInt64
	}
	return int64(math.Round(x))
}

func (s *last) WriteValue(v dsv.Value) {
	if v.Kind == s.kind {
		s.value = v
		s.n++
	} else if x, ok := v.Number(); ok {
		s.Write(x, 1)
	}
}

func (s *last) Take() (dsv.Value, float64) {
	n := s.n
	s.n = 0
	return s.value, n
}

// scalar folds numbers; its users embed it for what they have in common.
type scalar struct {
	x float64
	w float64
}

func (s *scalar) Take() (dsv.Value, float64) {
	x, w := s.x, s.w
	*s = scalar{}
	return dsv.FloatValue(x), w
}

type (
	count struct{ n int64 }
	sum   struct{ scalar }
	mean  struct{ scalar }
	least struct{ scalar }
	most  struct{ scalar }
	rate  struct{ scalar }
	ewma  struct {
		scalar
		alpha, average float64
		some           bool
	}
)

func newCount(Spec) Shadow  { return &count{} }
func newSum(Spec) Shadow    { return &sum{} }
func newMean(Spec) Shadow   { return &mean{} }
func newMin(Spec) Shadow    { return &least{} }
func newMax(Spec) Shadow    { return &most{} }
func newRate(Spec) Shadow   { return &rate{} }
func newEWMA(s Spec) Shadow { return &ewma{alpha: s.Param} }

func (s *count) Write(_, _ float64)   { s.n++ }
func (s *count) WriteValue(dsv.Value) { s.n++ }
func (s *count) Take() (dsv.Value, float64) {
	n := s.n
	s.n = 0
	return dsv.IntValue(n), float64(n)
}

func (s *sum) Write(x, _ float64)     { s.x = plus(s.x, x); s.w++ }
func (s *sum) WriteValue(v dsv.Value) { writeNumber(s, v) }

func (s *mean) Write(x, w float64)     { s.x, s.w = plus(s.x, x), plus(s.w, w) }
func (s *mean) WriteValue(v dsv.Value) { writeNumber(s, v) }

func (s *rate) Write(_, _ float64)   { s.x++ }
func (s *rate) WriteValue(dsv.Value) { s.x++ }

func (s *least) WriteValue(v dsv.Value) { writeNumber(s, v) }
func (s *least) Write(x, _ float64) {
	if s.w == 0 || x < s.x {
		s.x = x
	}
	s.w++
}

func (s *most) WriteValue(v dsv.Value) { writeNumber(s, v) }
func (s *most) Write(x, _ float64) {
	if s.w == 0 || x > s.x {
		s.x = x
	}
	s.w++
}

func (s *ewma) WriteValue(v dsv.Value) { writeNumber(s, v) }
func (s *ewma) Write(x, _ float64) {
	if !s.some {
		s.average, s.some = x, true
	} else {
		s.average = average(s.average, x, s.alpha)
	}
	s.w++
}

// Take keeps the average, which outlives windows.
func (s *ewma) Take() (dsv.Value, float64) {
	w := s.w
	s.w = 0
	return dsv.FloatValue(s.average), w
}

// writeNumber writes a whole value where samples are folded.
func writeNumber(s Shadow, v dsv.Value) {
	if x, ok := v.Number(); ok {
		s.Write(x, 1)
	}
}

// histogram counts samples into buckets, exactly and by octave, so that draining it costs what was written and not the
// size of the layout.
type histogram struct{ counts dsv.Counts }

func newHistogram(Spec) Shadow { return &histogram{} }

func (s *histogram) Write(x, _ float64)     { s.counts.Add(x) }
func (s *histogram) WriteValue(v dsv.Value) { writeNumber(s, v) }
func (s *histogram) Take() (dsv.Value, float64) {
	h := s.counts.Take()
	return dsv.HistValue(h), float64(h.Count())
}

// records strings records together, each behind its length as a varint.
type records struct {
	chunk []byte
	n     float64
}

func newRecords(Spec) Shadow { return &records{} }

func (s *records) Write(float64, float64) {}
func (s *records) WriteValue(v dsv.Value) { s.add(v.Bytes) }

func (s *records) add(record []byte) {
	s.chunk = binary.AppendUvarint(s.chunk, uint64(len(record)))
	s.chunk = append(s.chunk, record...)
	s.n++
}

func (s *records) Take() (dsv.Value, float64) {
	chunk, n := s.chunk, s.n
	s.chunk, s.n = make([]byte, 0, len(chunk)+len(chunk)/8), 0 // the next window holds about as much
	return dsv.BytesValue(chunk), n
}

// Records lists the records of a chunk in the order in which they were appended; they are parts of the chunk. What
// follows a broken length is not listed.
func Records(chunk []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(chunk) > 0 {
			size, n := binary.Uvarint(chunk)
			if n <= 0 || size > uint64(len(chunk)-n) {
				return
			}
			end := n + int(size)
			if !yield(chunk[n:end:end]) {
				return
			}
			chunk = chunk[end:]
		}
	}
}

func (s *count) Merge(v dsv.Value, _ float64) { s.n += v.Int }

func (s *sum) Merge(v dsv.Value, w float64)  { s.x, s.w = plus(s.x, v.Float), plus(s.w, w) }
func (s *mean) Merge(v dsv.Value, w float64) { s.x, s.w = plus(s.x, v.Float), plus(s.w, w) }
func (s *rate) Merge(v dsv.Value, _ float64) { s.x = plus(s.x, v.Float) }

func (s *least) Merge(v dsv.Value, w float64) {
	if s.w == 0 || v.Float < s.x {
		s.x = v.Float
	}
	s.w += w
}

func (s *most) Merge(v dsv.Value, w float64) {
	if s.w == 0 || v.Float > s.x {
		s.x = v.Float
	}
	s.w += w
}

func (s *histogram) Merge(v dsv.Value, _ float64) { s.counts.AddHist(v.Hist) }

func (s *records) Merge(v dsv.Value, w float64) {
	s.chunk = append(s.chunk, v.Bytes...)
	s.n += w
}

func levelCount(before, _, _ float64) float64 {
	if before != before {
		return 1
	}
	return before + 1
}

func levelSum(before, x, _ float64) float64 {
	if before != before {
		return x
	}
	return plus(before, x)
}

func levelMin(before, x, _ float64) float64 {
	if before < x {
		return before
	}
	return x
}

func levelMax(before, x, _ float64) float64 {
	if before > x {
		return before
	}
	return x
}

func levelEWMA(before, x, alpha float64) float64 {
	if before != before {
		return x
	}
	return average(before, x, alpha)
}

// plus adds without leaving the finite numbers, which no Space takes.
func plus(a, b float64) float64 {
	sum := a + b
	if sum-sum == 0 {
		return sum
	}
	return math.Copysign(math.MaxFloat64, a)
}

// average moves an average towards x by the share alpha of what is between them.
func average(before, x, alpha float64) float64 {
	if by := x - before; by-by == 0 {
		return before + alpha*by
	}
	return (1-alpha)*before + alpha*x
}
