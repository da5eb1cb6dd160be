package dsv

import (
	"math"
	"math/bits"
)

// fixed is a sum in units of 2^-60: a signed integer of 128 bits in two's complement. Integer addition is associative,
// so a sum does not depend on the order of its parts, as a float64's would.
type fixed struct {
	hi int64
	lo uint64
}

const fixedOne = 1 << 60

// toFixed converts x, which must be finite and within ± 2^62, dropping what is below 2^-60.
func toFixed(x float64) fixed {
	if x >= 0 && x < 8 {
		return fixed{lo: uint64(int64(x * fixedOne))}
	}
	whole := math.Floor(x)
	i, f := int64(whole), uint64((x-whole)*fixedOne)
	// f may be a whole 1 when x is a little below 0, so it is added and not put beside.
	return fixed{hi: i >> 4, lo: uint64(i) << 60}.add(fixed{lo: f})
}

// float returns the nearest float64 or its neighbour.
func (f fixed) float() float64 {
	if f.hi < 0 {
		return -f.negate().float()
	}
	return float64(f.hi)*16 + float64(f.lo)/fixedOne
}

func (f fixed) add(g fixed) fixed {
	lo, carry := bits.Add64(f.lo, g.lo, 0)
	hi, _ := bits.Add64(uint64(f.hi), uint64(g.hi), carry)
	return fixed{int64(hi), lo}
}

func (f fixed) negate() fixed {
	lo, borrow := bits.Sub64(0, f.lo, 0)
	hi, _ := bits.Sub64(0, uint64(f.hi), borrow)
	return fixed{int64(hi), lo}
}

// times multiplies by a count; what exceeds 128 bits is lost.
func (f fixed) times(n uint64) fixed {
	carry, lo := bits.Mul64(f.lo, n)
	return fixed{int64(uint64(f.hi)*n + carry), lo}
}
