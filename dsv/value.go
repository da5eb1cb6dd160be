package dsv

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// FloatValue holds x.
func FloatValue(x float64) Value { return Value{Kind: Float, Float: x} }

// IntValue holds i.
func IntValue(i int64) Value { return Value{Kind: Int, Int: i} }

// TextValue holds s.
func TextValue(s string) Value { return Value{Kind: Text, Text: s} }

// BytesValue holds b, which the caller gives up.
func BytesValue(b []byte) Value { return Value{Kind: Bytes, Bytes: b} }

// HistValue holds h.
func HistValue(h *Hist) Value { return Value{Kind: Histogram, Hist: h} }

// Number returns the value as a number, and whether it is one: Float and Int are; a Histogram is its mean, unless it is
// empty.
func (v Value) Number() (float64, bool) {
	switch v.Kind {
	case Float:
		return v.Float, true
	case Int:
		return float64(v.Int), true
	case Histogram:
		return v.Hist.Mean(), v.Hist.Count() > 0
	}
	return 0, false
}

// Equal says whether both hold the same; histograms are the same when their encodings are.
func (v Value) Equal(w Value) bool {
	if v.Kind != w.Kind {
		return false
	}
	switch v.Kind {
	case Float:
		return v.Float == w.Float
	case Int:
		return v.Int == w.Int
	case Text:
		return v.Text == w.Text
	case Bytes:
		return bytes.Equal(v.Bytes, w.Bytes)
	case Histogram:
		return v.Hist.Equal(w.Hist)
	}
	return true
}

// Equal says whether both have the same samples, as far as a histogram tells them apart.
func (h *Hist) Equal(g *Hist) bool {
	if h.Count() != g.Count() {
		return false
	}
	if h.Count() == 0 {
		return true
	}
	f, k := h.flatten(), g.flatten()
	return h.sum == g.sum && h.min == g.min && h.max == g.max &&
		slices.Equal(f.buckets, k.buckets) && slices.Equal(f.counts, k.counts)
}

// Check returns nil when the value may be held by a variable of kind k: ErrKind for another kind, a float that is not
// finite or text that is not UTF-8, and ErrTooLarge past MaxBytes.
func (v Value) Check(k Kind) error {
	if v.Kind != k {
		return fmt.Errorf("%v where %v is held: %w", v.Kind, k, ErrKind)
	}
	switch k {
	case Float:
		if math.IsNaN(v.Float) || math.IsInf(v.Float, 0) {
			return fmt.Errorf("%v is not finite: %w", v.Float, ErrKind)
		}
	case Text:
		if !utf8.ValidString(v.Text) {
			return fmt.Errorf("text is not UTF-8: %w", ErrKind)
		}
	}
	if n := len(v.Text) + len(v.Bytes); n > MaxBytes {
		return fmt.Errorf("%d bytes, at most %d are allowed: %w", n, MaxBytes, ErrTooLarge)
	}
	return nil
}

// Clone returns a value that shares no memory which anyone could change.
func (v Value) Clone() Value {
	v.Bytes = bytes.Clone(v.Bytes)
	return v
}

// apart returns the value such that its histogram, once somebody looks at its buckets, does not keep them in memory for
// as long as v lives.
func (v Value) apart() Value {
	if h := v.Hist; h != nil && h.flat.Load() == nil {
		v.Hist = &Hist{n: h.n, sum: h.sum, min: h.min, max: h.max, list: h.list, parts: h.parts}
	}
	return v
}

// String renders the value for people: numbers in the shortest form, bytes and histograms by their size.
func (v Value) String() string {
	switch v.Kind {
	case Float:
		return strconv.FormatFloat(v.Float, 'g', -1, 64)
	case Int:
		return strconv.FormatInt(v.Int, 10)
	case Text:
		return v.Text
	case Bytes:
		return fmt.Sprintf("%d bytes", len(v.Bytes))
	case Histogram:
		if v.Hist.Count() == 0 {
			return "no samples"
		}
		return fmt.Sprintf("%d samples, mean %.4g, p50 %.4g, p99 %.4g",
			v.Hist.Count(), v.Hist.Mean(), v.Hist.Quantile(0.5), v.Hist.Quantile(0.99))
	}
	return "unset"
}
