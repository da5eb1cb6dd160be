package admit

import (
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
)

// A Gate is admission at one server: it registers requests, keeps them in its pool, and hands them to service. It is a core
// whose output is asked for: after every input, and after each Advance, call Take until it has nothing. It belongs to one
// goroutine.
type Gate struct {
	cfg       Config
	limit     int
	workers   int
	pool      pool
	serving   int
	bucket    *Bucket    // nil: none
	codel     *CoDel     // nil: none
	threshold *Threshold // nil: none
	rate      *Rate      // nil: none; else bucket is its
	due       int32      // slot + 1 of the oldest that was not yet told to be overdue; 0: none
}

// A Decision is what becomes of a request that leaves the pool.
type Decision struct {
	Ref    step.Ref
	Serve  bool          // false: it is rejected
	Waited time.Duration // in the pool
}

// New returns a gate with an empty pool, for a server of so many workers (0: no bound). cached tells what the policy Hits asks
// for; nil: nothing is cached. The configuration must pass Check.
func New(cfg Config, workers int, cached func(object uint64) bool) *Gate {
	g := &Gate{cfg: cfg, workers: workers, pool: pool{policy: cfg.Policy, cached: cached}}
	g.SetLimit(cfg.Limit)
	if cfg.Bucket.Rate > 0 {
		g.bucket = NewBucket(cfg.Bucket)
	}
	if cfg.CoDel.Target > 0 {
		g.codel = NewCoDel(cfg.CoDel)
	}
	switch c := cfg.Control; c.Kind {
	case ThresholdControl:
		g.threshold = NewThreshold(c.Target, int(c.Initial))
	case RateControl:
		g.rate = NewRate(c.Target, c.Preset, c.Initial)
		depth := c.Depth
		if depth <= 0 {
			depth = c.Preset.constants().depth
		}
		g.bucket = NewBucket(BucketConfig{Rate: g.rate.Rate(), Depth: depth})
	}
	return g
}

// SetLimit changes how many may be in service at once; 0: as many as there are workers. Those that are beyond a lower limit are
// served; ask for Take after a higher one.
func (g *Gate) SetLimit(limit int) {
	g.limit = limit
	if g.workers > 0 && (limit == 0 || g.workers < limit) {
		g.limit = g.workers
	}
}

// Limit is how many may be in service at once; 0: no bound.
func (g *Gate) Limit() int { return g.limit }

// Register brings a request; false when it is rejected at once: there is no token, or the pool is full.
func (g *Gate) Register(at dsv.Instant, r Request) bool {
	g.Advance(at)
	if g.full() || g.bucket != nil && !g.bucket.Take(at) {
		return false
	}
	g.pool.push(at, r)
	if g.due == 0 {
		g.due = g.pool.last
	}
	return true
}

// full reports whether the pool takes no more. Whoever finds service free does not wait, and so finds it never full.
func (g *Gate) full() bool {
	if g.cfg.Delay == 0 && g.free() && g.pool.size == 0 {
		return false
	}
	return g.cfg.Queue > 0 && g.pool.size >= g.cfg.Queue ||
		g.threshold != nil && g.pool.size >= g.threshold.Threshold()
}

// free reports whether one more may be in service.
func (g *Gate) free() bool { return g.limit == 0 || g.serving < g.limit }

// opens is when service takes from the pool: when the oldest has waited for the delay.
func (g *Gate) opens() dsv.Instant {
	if g.pool.size == 0 {
		return dsv.Never
	}
	return g.pool.nodes[g.pool.first-1].arrived.Add(g.cfg.Delay)
}

// Take returns the next decision that is due; false when there is none. One to be served is in service until Done.
func (g *Gate) Take(at dsv.Instant) (Decision, bool) {
	if !g.Ready(at) {
		if g.codel != nil && g.pool.size == 0 {
			g.codel.Empty()
		}
		g.rest() // not earlier: who burned has looked at its sockets now
		return Decision{}, false
	}
	slot := g.pool.choose()
	n := &g.pool.nodes[slot]
	d := Decision{Ref: n.Ref, Serve: true, Waited: at.Sub(n.arrived)}
	if g.codel != nil && g.codel.Drop(at, max(0, d.Waited-g.cfg.Delay), g.pool.size > 1) {
		d.Serve = false
	} else {
		g.pool.served(n)
		g.serving++
	}
	g.remove(slot)
	return d, true
}

func (g *Gate) remove(slot uint32) {
	if g.due == int32(slot+1) {
		g.due = g.pool.nodes[slot].next
	}
	g.pool.remove(slot)
}

// Done tells that one that was to be served has left service.
func (g *Gate) Done() { g.serving-- }

// rest lets the pool know when nobody is in it or in service.
func (g *Gate) rest() {
	if g.serving == 0 && g.pool.size == 0 {
		g.pool.fair.rest()
	}
}

// Answered tells how long a request took that was served, from its registration to its answer: what the controllers observe.
func (g *Gate) Answered(at dsv.Instant, response time.Duration) {
	switch {
	case g.threshold != nil:
		g.threshold.Observe(response)
	case g.rate != nil:
		g.rate.Observe(at, response)
		g.bucket.SetRate(at, g.rate.Rate())
	}
}

// Withdraw takes a request out of the pool; false when it is not there.
func (g *Gate) Withdraw(ref step.Ref) bool {
	if g.pool.get(ref) == nil {
		return false
	}
	g.remove(ref.Slot())
	g.rest()
	return true
}

// Overdue returns the next request that has waited so long that it is to be forwarded; false when there is none. It stays in the
// pool unless it is withdrawn, and is not told again until Again.
func (g *Gate) Overdue(at dsv.Instant) (step.Ref, bool) {
	for g.overdue() <= at {
		n := &g.pool.nodes[g.due-1]
		g.due = n.next
		if !n.Stays {
			return n.Ref, true
		}
	}
	return 0, false
}

// overdue is when the next request has waited too long.
func (g *Gate) overdue() dsv.Instant {
	if g.cfg.Forward.After <= 0 || g.due == 0 {
		return dsv.Never
	}
	return g.pool.nodes[g.due-1].arrived.Add(g.cfg.Forward.After)
}

// Again has Overdue tell anew of every request that is overdue: there may be a server now to forward it to.
func (g *Gate) Again() { g.due = g.pool.first }

// Next is when the gate next wants to act: Take, Overdue or a controller has something.
func (g *Gate) Next() dsv.Instant {
	if g.free() {
		return min(g.Timer(), g.opens())
	}
	return g.Timer()
}

// Timer is Next but for Take: for who calls that at instants of its own.
func (g *Gate) Timer() dsv.Instant {
	if g.rate == nil {
		return g.overdue()
	}
	return min(g.overdue(), g.rate.Next())
}

// Ready reports whether Take has something.
func (g *Gate) Ready(at dsv.Instant) bool { return g.free() && g.opens() <= at }

// Advance lets the controller act on what is due.
func (g *Gate) Advance(to dsv.Instant) {
	if g.rate != nil && g.rate.Next() <= to {
		at := g.rate.Next()
		g.rate.Advance(to)
		g.bucket.SetRate(at, g.rate.Rate())
	}
}

// Each shows the requests in the pool, the oldest first, until show returns false. show must not change the pool.
func (g *Gate) Each(show func(step.Ref) bool) {
	for s := g.pool.first; s != 0; s = g.pool.nodes[s-1].next {
		if !show(g.pool.nodes[s-1].Ref) {
			return
		}
	}
}

// Len is the number of requests in the pool.
func (g *Gate) Len() int { return g.pool.size }

// Serving is the number of requests in service.
func (g *Gate) Serving() int { return g.serving }

// Config is what the gate was made of.
func (g *Gate) Config() Config { return g.cfg }

// Rate is the rate of the bucket, per second; 0 without one.
func (g *Gate) Rate() float64 {
	if g.bucket == nil {
		return 0
	}
	return g.bucket.Rate()
}

// Threshold is the bound of the pool; 0 without one.
func (g *Gate) Threshold() int {
	if g.threshold == nil {
		return g.cfg.Queue
	}
	return g.threshold.Threshold()
}

// Observed is the response time in seconds that the controller compared last; 0 without one.
func (g *Gate) Observed() float64 {
	switch {
	case g.threshold != nil:
		return g.threshold.Observed()
	case g.rate != nil:
		return g.rate.Observed()
	}
	return 0
}

// RetryAfter is what a rejected client is told to wait, in whole seconds: until there is a token, and at least 1 s.
func (g *Gate) RetryAfter(at dsv.Instant) int64 {
	if g.bucket == nil {
		return 1
	}
	return max(1, int64((g.bucket.Wait(at)+time.Second-1)/time.Second))
}
