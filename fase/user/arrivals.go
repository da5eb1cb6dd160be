package user

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"iter"
	"math"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/rdr"
)

// Nodes of a session's key that are no statements: they set these draws apart from those of the request.
const (
	gapNode   = 0x6a70
	thinkNode = 0x7413
)

// Key is the root of one session's draws: of arrival index in an open group, of a user's n-th request in a closed one.
func (c *Config) Key(user, n uint64) rdr.Key { return rdr.Root(c.Seed, uint64(c.Index), user, n) }

// client is who asks: 0 where requests do not tell.
func (c *Config) client(user uint64) uint64 {
	if !c.Named {
		return 0
	}
	if c.open() {
		user = 0
	}
	return uint64(rdr.Root(0, uint64(c.Index), user, 0)) | 1
}

// parts is how many processes share the group.
func (c *Config) parts() uint64 { return uint64(max(c.Parts, 1)) }

// open reports whether the group is an open arrival process.
func (c *Config) open() bool { return len(c.Rate) > 0 }

// gap is the unit gap before an arrival: the integral of the rate between it and the one before.
func (c *Config) gap(k rdr.Key) float64 {
	if c.Law == Constant {
		return 1
	}
	return k.Mix(gapNode).Exp()
}

// think is the time a user thinks before a request.
func (c *Config) think(k rdr.Key) dsv.Instant {
	if c.Think == nil {
		return 0
	}
	x := float64(c.Think.Mean)
	if c.Think.Exponential {
		x *= k.Mix(thinkNode).Exp()
	}
	return dsv.Instant(math.Round(x))
}

// Sizes of the part of a plan that its hash covers.
const (
	hashArrivals = 10_000
	hashUsers    = 100
	hashRounds   = 100
)

// PlanHash is the SHA-256 of the group's plan, in hex: the gaps (or think times), uniforms and keys of the first 10 000
// arrivals, or of 100 requests of each of the first 100 users, whether they are issued or not.
func (c *Config) PlanHash() string {
	h := sha256.New()
	if c.open() {
		for n := range uint64(hashArrivals) {
			k := c.Key(n, 0)
			hashDraw(h, math.Float64bits(c.gap(k)), k)
		}
	} else {
		for u := range uint64(hashUsers) {
			for n := range uint64(hashRounds) {
				k := c.Key(u, n)
				hashDraw(h, uint64(c.think(k)), k)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func hashDraw(h hash.Hash, gap uint64, k rdr.Key) {
	var b [24]byte
	binary.LittleEndian.PutUint64(b[0:], gap)
	binary.LittleEndian.PutUint64(b[8:], math.Float64bits(k.Uniform()))
	binary.LittleEndian.PutUint64(b[16:], uint64(k))
	h.Write(b[:])
}

// curve is a piecewise linear rate and its integral. It moves forward only.
type curve struct {
	points   []Point
	at       dsv.Instant // up to which the integral is known
	integral float64     // of the rate from 0 to at
	over     float64     // a rate that was set replaces the curve; negative: none
}

// constant reports whether the rate is this one at all times.
func (c *curve) constant(rate float64) bool {
	return c.over == rate || c.over < 0 && len(c.points) == 1 && c.points[0].Rate == rate
}

func newCurve(points []Point) curve { return curve{points: points, over: -1} }

// rate is the rate at an instant, and until when it is linear with which slope per second.
func (c *curve) rate(at dsv.Instant) (rate, slope float64, until dsv.Instant) {
	if c.over >= 0 {
		return c.over, 0, dsv.Never
	}
	p := c.points
	if len(p) == 0 {
		return 0, 0, dsv.Never
	}
	if at < p[0].At {
		return p[0].Rate, 0, p[0].At
	}
	for i := 0; i+1 < len(p); i++ {
		if at < p[i+1].At {
			d := (p[i+1].At - p[i].At).Seconds()
			slope = (p[i+1].Rate - p[i].Rate) / d
			return p[i].Rate + slope*(at-p[i].At).Seconds(), slope, p[i+1].At
		}
	}
	return p[len(p)-1].Rate, 0, dsv.Never
}

// to moves the integral to an instant and returns it.
func (c *curve) to(at dsv.Instant) float64 {
	for c.at < at {
		r, slope, until := c.rate(c.at)
		end := min(at, until)
		d := (end - c.at).Seconds()
		c.integral += (r + slope*d/2) * d
		c.at = end
	}
	return c.integral
}

// when is the instant at which the integral reaches a sum, or Never. It does not move the curve.
func (c curve) when(sum float64) dsv.Instant {
	for {
		r, slope, until := c.rate(c.at)
		need := sum - c.integral
		if d, ok := reach(r, slope, need); ok && d*1e9 < float64(dsv.Never-c.at) {
			if at := c.at + dsv.Instant(math.Round(d*1e9)); at < until {
				return at
			}
		}
		if until == dsv.Never {
			return dsv.Never
		}
		c.to(until)
	}
}

// reach solves rate·d + slope·d²/2 = need for the least d ≥ 0.
func reach(rate, slope, need float64) (d float64, ok bool) {
	if need <= 0 {
		return 0, true
	}
	if slope == 0 {
		if rate <= 0 {
			return 0, false
		}
		return need / rate, true
	}
	disc := rate*rate + 2*slope*need
	if disc < 0 {
		return 0, false
	}
	// 2·need/(rate + √disc) avoids cancellation for small slopes.
	den := rate + math.Sqrt(disc)
	if den <= 0 {
		return 0, false
	}
	return 2 * need / den, true
}

// Arrivals yields the arrivals that an open group plans, in order: the key of each and when it is due. They are those of a
// run in which the rate is not set. A closed group plans none.
func (c *Config) Arrivals() iter.Seq2[rdr.Key, dsv.Instant] {
	return func(yield func(rdr.Key, dsv.Instant) bool) {
		curve, gaps := newCurve(c.Rate), 0.0
		for n := uint64(0); c.open(); n++ {
			key := c.Key(n, 0)
			gaps += c.gap(key)
			due := curve.when(gaps)
			if due >= c.End || !yield(key, due) {
				return
			}
		}
	}
}
