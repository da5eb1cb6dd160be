package dsvbolt

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// number predicts a series of floats: those with few decimals as scaled integers, others as the integers that their
// bits are; each from the one, two or three before. What differs is written, the shortest way: a head that tells how,
// then a varint or the bytes in which the bits differ.
type number struct {
	bits, prev, pprev uint64 // of the last three
	at                int    // 1 + the scale at which the last was written, 0 for none
	k, kprev          int64  // the last two at that scale
}

// The heads. The low bits of the first two are the scale; those of headBytes say which bytes follow.
const (
	headStep  = 0x00 // scaled: the difference to the last one
	headTrend = 0x10 // scaled: the difference to what the last two lead to
	headLine  = 0x20 // bits: the difference to what the last two lead to
	headCurve = 0x30 // bits: the difference to what the last three lead to
	headBytes = 0x80 // bits: the bytes that differ from those of the last one
)

// scales are the decimals that are tried; ascending.
func scale(i int) float64 { return [...]float64{1, 1e3, 1e6, 1e9}[i] }

const scales = 4

func (n *number) same(x float64) bool { return math.Float64bits(x) == n.bits }

// scaled returns x times scale i as an integer, if that is exact.
func scaled(x float64, i int) (int64, bool) {
	y := x * scale(i)
	if !(math.Abs(y) < 1<<52) {
		return 0, false
	}
	k := int64(math.Round(y))
	return k, math.Float64bits(float64(k)/scale(i)) == math.Float64bits(x)
}

// before returns the last two at scale i, 0 where they are not exact there.
func (n *number) before(i int) (k, kprev int64) {
	if n.at == i+1 {
		return n.k, n.kprev
	}
	k, ok := scaled(math.Float64frombits(n.bits), i)
	if !ok {
		k = 0
	}
	return k, k
}

// push notes what was written; at 0 says that it was not scaled.
func (n *number) push(b uint64, at int, k, kprev int64) {
	n.bits, n.prev, n.pprev = b, n.bits, n.prev
	n.at, n.k, n.kprev = at, k, kprev
}

func (n *number) line() uint64  { return 2*n.bits - n.prev }
func (n *number) curve() uint64 { return 3*n.bits - 3*n.prev + n.pprev }

func (n *number) append(b []byte, x float64) []byte {
	if n.at > 0 { // likely the same scale again
		if k, exact := scaled(x, n.at-1); exact {
			return n.appendScaled(b, x, n.at-1, k)
		}
	}
	for i := range scales {
		if k, exact := scaled(x, i); exact {
			return n.appendScaled(b, x, i, k)
		}
	}
	return n.appendBits(b, math.Float64bits(x))
}

func (n *number) appendScaled(b []byte, x float64, i int, k int64) []byte {
	last, prev := n.before(i)
	step, trend := k-last, k-2*last+prev
	n.push(math.Float64bits(x), i+1, k, last)
	if varintSize(trend) < varintSize(step) {
		return binary.AppendVarint(append(b, headTrend|byte(i)), trend)
	}
	return binary.AppendVarint(append(b, headStep|byte(i)), step)
}

func (n *number) appendBits(b []byte, x uint64) []byte {
	diff, line, curve := x^n.bits, int64(x-n.line()), int64(x-n.curve())
	// The bytes between the leading and the trailing zeros of the difference.
	low := min(bits.TrailingZeros64(diff)/8, 7)
	size := max(8-bits.LeadingZeros64(diff)/8-low, 1)
	n.push(x, 0, 0, 0)
	switch c := varintSize(curve); {
	case size <= c && size <= varintSize(line):
		b = append(b, byte(headBytes|low<<4|size))
		for i := low; i < low+size; i++ {
			b = append(b, byte(diff>>(8*i)))
		}
		return b
	case c < varintSize(line):
		return binary.AppendVarint(append(b, headCurve), curve)
	default:
		return binary.AppendVarint(append(b, headLine), line)
	}
}

// varintSize returns the bytes of a varint.
func varintSize(x int64) int {
	return (bits.Len64(uint64(x<<1)^uint64(x>>63)|1) + 6) / 7
}

func (n *number) read(r *reader) float64 {
	head := r.byte()
	if head >= headBytes {
		n.push(n.bits^r.bytes(head), 0, 0, 0)
		return math.Float64frombits(n.bits)
	}
	switch i := int(head & 15); {
	case head < headTrend+scales && i < scales:
		k, kprev := n.before(i)
		next := k + r.varint()
		if head >= headTrend {
			next += k - kprev
		}
		n.push(math.Float64bits(float64(next)/scale(i)), i+1, next, k)
	case head == headLine:
		n.push(n.line()+uint64(r.varint()), 0, 0, 0)
	case head == headCurve:
		n.push(n.curve()+uint64(r.varint()), 0, 0, 0)
	default:
		r.bad = true
	}
	return math.Float64frombits(n.bits)
}

// bytes reads the bytes in which two floats differ.
func (r *reader) bytes(head byte) uint64 {
	low, size := int(head>>4&7), int(head&15)
	if size < 1 || low+size > 8 {
		r.bad = true
		return 0
	}
	var diff uint64
	for i := range size {
		diff |= uint64(r.byte()) << (8 * (low + i))
	}
	return diff
}
