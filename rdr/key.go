package rdr

import "math"

// Key names one random draw, or a family of them. Keys chain: a draw is a pure
// function of a root and of the path that leads to it, so who draws, and in
// what order, does not matter.
//
// A key that comes from elsewhere, say a counter, becomes one by Mix; Uniform
// and Exp of a number that was never mixed are as little random as the number.
type Key uint64

// golden is the increment of SplitMix64 (Steele, Lea and Flood, "Fast
// splittable pseudorandom number generators", OOPSLA 2014).
const golden = 0x9e3779b97f4a7c15

// Root returns the key of a request: the n-th of a user of a client group in a
// run with this seed.
func Root(seed, group, user, n uint64) Key {
	return Key(seed).Mix(group).Mix(user).Mix(n)
}

// Mix returns the key's part: the (part+1)-th output of SplitMix64 seeded with k.
func (k Key) Mix(part uint64) Key {
	z := uint64(k) + (part+1)*golden
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return Key(z ^ z>>31)
}

// Uniform returns the key's uniform in [0, 1), a multiple of 2^-53.
func (k Key) Uniform() float64 { return float64(k>>11) * 0x1p-53 }

// Exp returns the key's unit exponential, from its uniform; at most 36.8.
func (k Key) Exp() float64 { return -math.Log1p(-k.Uniform()) }

// node returns the key of what statement num draws in an iteration, and in a
// later attempt of a retry.
func (k Key) node(num uint32, iteration, attempt uint64) Key {
	k = k.Mix(uint64(num)).Mix(iteration)
	if attempt != 0 {
		k = k.Mix(attempt)
	}
	return k
}

// call returns the key that a call or http sends.
func (k Key) call(num uint32, iteration, attempt uint64) Key {
	return k.Mix(uint64(num)).Mix(iteration).Mix(attempt)
}
