package admit

import (
	"math"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// BucketConfig describes a token bucket. The zero value is none.
type BucketConfig struct {
	Rate  float64 // tokens per second; 0: no bucket
	Depth float64 // tokens that it holds when it is full; default 1
}

// A Bucket lets requests pass at a rate, and so many at once as it holds tokens. It begins full. It belongs to one goroutine.
type Bucket struct {
	rate, depth float64
	tokens      float64
	last        dsv.Instant
}

// NewBucket returns a full bucket.
func NewBucket(cfg BucketConfig) *Bucket {
	d := math.Max(cfg.Depth, 1)
	return &Bucket{rate: cfg.Rate, depth: d, tokens: d}
}

func (b *Bucket) upTo(at dsv.Instant) {
	if at > b.last {
		b.tokens = math.Min(b.depth, b.tokens+b.rate*at.Sub(b.last).Seconds())
		b.last = at
	}
}

// Take takes a token; false when there is none.
func (b *Bucket) Take(at dsv.Instant) bool {
	b.upTo(at)
	if b.tokens < 1-tokenSlack {
		return false
	}
	b.tokens = math.Max(0, b.tokens-1)
	return true
}

// tokenSlack is what a token may be off by after the rounding of many additions.
const tokenSlack = 1e-9

// SetRate changes the rate from an instant on.
func (b *Bucket) SetRate(at dsv.Instant, rate float64) {
	b.upTo(at)
	b.rate = rate
}

// SetDepth changes how many tokens it holds, one at least; those beyond are lost.
func (b *Bucket) SetDepth(at dsv.Instant, depth float64) {
	b.upTo(at)
	b.depth = math.Max(depth, 1)
	b.tokens = math.Min(b.tokens, b.depth)
}

// Rate is the present rate, per second.
func (b *Bucket) Rate() float64 { return b.rate }

// Wait is how long it takes until there is a token.
func (b *Bucket) Wait(at dsv.Instant) time.Duration {
	b.upTo(at)
	if b.tokens >= 1-tokenSlack {
		return 0
	}
	s := (1 - b.tokens) / b.rate
	if s > math.MaxInt64/1e9 {
		return math.MaxInt64
	}
	return time.Duration(math.Ceil(s * 1e9))
}
