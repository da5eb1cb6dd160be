package admit

import (
	"math"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// CoDelConfig describes a CoDel. The zero value is none.
type CoDelConfig struct {
	Target   time.Duration // an acceptable standing wait; RFC 8289 says 5 ms; 0: no CoDel
	Interval time.Duration // how long the wait may exceed it; default 100 ms, as in RFC 8289
}

// CoDel rejects what has waited too long: once the wait of those that leave a queue has exceeded a target for an interval, it
// drops one, and further ones in ever shorter steps, the interval divided by the square root of their count, until the wait
// is below the target. It is the pseudocode of RFC 8289, section 5 ("Controlled Delay Active Queue Management", Nichols,
// Jacobson, McGregor and Iyengar, 2018), asked for one request at a time. Where that wants more than the bytes
// of a packet left in the queue before it drops, this wants a request. It belongs to one goroutine.
type CoDel struct {
	target, interval time.Duration

	firstAbove dsv.Instant // when the wait will have been above the target for an interval; 0: it is not
	dropNext   dsv.Instant
	count      int // drops since dropping began
	lastCount  int
	dropping   bool
	chain      bool // the one before was dropped within the same dequeuing
	fresh      bool // it was the first of a phase
}

// NewCoDel returns a CoDel that drops nothing yet.
func NewCoDel(cfg CoDelConfig) *CoDel {
	if cfg.Interval <= 0 {
		cfg.Interval = 100 * time.Millisecond
	}
	return &CoDel{target: cfg.Target, interval: cfg.Interval}
}

// Drop reports whether a request is to be dropped that leaves the queue after a wait. more says that others are behind it: the
// last one is never dropped. Where it was dropped, the next is asked for at the same instant; where there is none, call Empty.
func (c *CoDel) Drop(at dsv.Instant, waited time.Duration, more bool) bool {
	ok := c.above(at, waited, more)
	chain, fresh := c.chain, c.fresh
	c.chain, c.fresh = false, false
	switch {
	case fresh:
		return false
	case c.dropping && !ok:
		c.dropping = false
		return false
	case c.dropping:
		if chain {
			c.dropNext = c.law(c.dropNext)
		}
		if at < c.dropNext {
			return false
		}
		c.count++
		c.chain = true
		return true
	case ok:
		c.begin(at)
		return true
	}
	return false
}

// Empty tells that the queue is empty.
func (c *CoDel) Empty() {
	if c.chain {
		c.dropping = false
	}
	c.firstAbove, c.chain, c.fresh = 0, false, false
}

// above reports whether the wait has been above the target for an interval.
func (c *CoDel) above(at dsv.Instant, waited time.Duration, more bool) bool {
	switch {
	case waited < c.target || !more:
		c.firstAbove = 0
	case c.firstAbove == 0:
		c.firstAbove = at.Add(c.interval)
	default:
		return at >= c.firstAbove
	}
	return false
}

// begin enters the dropping phase. Where the last one ended not long ago, the rate goes on where it was.
func (c *CoDel) begin(at dsv.Instant) {
	c.dropping, c.fresh = true, true
	delta := c.count - c.lastCount
	c.count = 1
	if delta > 1 && at.Sub(c.dropNext) < 16*c.interval {
		c.count = delta
	}
	c.dropNext = c.law(at)
	c.lastCount = c.count
}

// law is when the next drop is due after one at t.
func (c *CoDel) law(t dsv.Instant) dsv.Instant {
	return t + dsv.Instant(math.Round(float64(c.interval)/math.Sqrt(float64(c.count))))
}
