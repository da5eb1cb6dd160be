package user

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"iter"
	"math"
	"time"

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
	if c.open() && !c.Sticky {
		user = 0
	}
	return uint64(rdr.Root(0, uint64(c.Index), user, 0)) | 1
}

// parts is how many processes share the group.
func (c *Config) parts() uint64 { return uint64(max(c.Parts, 1)) }

// Open reports whether the group is an open arrival process.
func (c *Config) Open() bool { return c.open() }

func (c *Config) open() bool { return len(c.Rate) > 0 || c.Trace != nil }

// Varies reports whether the number of arrivals varies around the integral of the rate: as that of a Poisson process does,
// by its square root.
func (c *Config) Varies() bool { return c.open() && c.Trace == nil && c.Law != Constant }

// Settable reports whether the rate can be set: that of a trace is the trace's.
func (c *Config) Settable() bool { return c.open() && c.Trace == nil }

// gap is the unit gap before an arrival: the integral of the rate between it and the one before.
func (c *Config) gap(k rdr.Key) float64 {
	if c.Law == Constant {
		return 1
	}
	return k.Mix(gapNode).Exp()
}

// think is the time a user thinks before a request.
func (c *Config) think(k rdr.Key) dsv.Instant {
	return c.Think.draw(k.Mix(thinkNode))
}

// ThinkTime is how long a user of a closed group thinks before its n-th request, n from 0: what the plan says, unless the think time is set.
func (c *Config) ThinkTime(user, n uint64) time.Duration {
	return time.Duration(c.think(c.Key(user, n)))
}

// Sizes of the part of a plan that its hash covers.
const (
	hashArrivals = 10_000
	hashUsers    = 100
	hashRounds   = 100
	hashSojourns = 1000
)

// PlanHash is the SHA-256 of the group's plan, in hex: the gaps (or think times), uniforms and keys of the first 10 000
// arrivals, or of 100 requests of each of the first 100 users, whether they are issued or not; of sessions, the pages and
// pauses too.
func (c *Config) PlanHash() string {
	h := sha256.New()
	c.hashLaw(h)
	if c.open() {
		for n := range uint64(hashArrivals) {
			k := c.Key(n, 0)
			hashDraw(h, math.Float64bits(c.gap(k)), k)
			c.hashWalk(h, k)
		}
	} else {
		for u := range uint64(hashUsers) {
			for n := range uint64(hashRounds) {
				k := c.Key(u, n)
				hashDraw(h, uint64(c.think(k)), k)
				c.hashWalk(h, k)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// hashLaw adds what is part of some plans only: the states of an MMPP and the beginning of their row, a sine, a whole trace.
func (c *Config) hashLaw(h hash.Hash) {
	add := func(us ...uint64) {
		for _, u := range us {
			h.Write(binary.LittleEndian.AppendUint64(nil, u))
		}
	}
	if w := c.sojourns(); w.of != nil {
		for _, s := range c.Bursts.States {
			add(math.Float64bits(s.Factor), uint64(s.Stay))
		}
		for range hashSojourns {
			add(uint64(w.state), uint64(w.until))
			w.to(w.until)
		}
	}
	if s := c.Sine; s != nil {
		add(math.Float64bits(s.Amplitude), uint64(s.Period), uint64(s.Phase))
	}
	if t := c.Trace; t != nil {
		for n, due := range t.Due {
			add(uint64(due))
			if a := t.ask(uint64(n)); a != nil {
				add(uint64(t.Ask[n]))
			}
		}
		for _, a := range t.Asks {
			h.Write([]byte(a.Method + " " + a.Path + "\n"))
		}
	}
}

func hashDraw(h hash.Hash, gap uint64, k rdr.Key) {
	var b [24]byte
	binary.LittleEndian.PutUint64(b[0:], gap)
	binary.LittleEndian.PutUint64(b[8:], math.Float64bits(k.Uniform()))
	binary.LittleEndian.PutUint64(b[16:], uint64(k))
	h.Write(b[:])
}

// Arrivals yields the arrivals that an open group plans, in order: the key of each and when it is due. They are those of a
// run in which the rate is not set. A closed group plans none.
func (c *Config) Arrivals() iter.Seq2[rdr.Key, dsv.Instant] {
	return func(yield func(rdr.Key, dsv.Instant) bool) {
		curve, gaps := c.curve(), 0.0
		for n := uint64(0); c.open(); n++ {
			key := c.Key(n, 0)
			var due dsv.Instant
			if c.Trace != nil {
				due = c.Trace.due(n)
			} else {
				gaps += c.gap(key)
				due = curve.when(gaps, c.End)
			}
			if due >= c.End || !yield(key, due) {
				return
			}
			curve.pass(due)
		}
	}
}
