package user

import (
	"math"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// Retry says how a user tries a whole request again when it has failed, before giving it up: the group's counterpart of
// `retry` in a request, which is part of the program that is emulated. Whatever failed is tried again, but not what the
// user's patience ended. All attempts are one request: due once, answered once, one sample of the response time, with the
// cause of the last attempt. Each attempt draws anew, from the request's key and its number.
//
// The zero value tries nothing again.
type Retry struct {
	Attempts int           // after the first; 0: none
	Backoff  time.Duration // before the second attempt
	Factor   float64       // of each further back-off; 0: 2
	Most     time.Duration // of a back-off; 0: no bound
	// Jitter is the share of a back-off that is drawn: a back-off of d takes d·(1 − Jitter·U), U uniform in [0, 1). 1 is the
	// "full jitter" of Brooker (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015), 0 is none.
	Jitter float64
	Budget Budget
}

// A Budget bounds further attempts to a share of the requests, so that they cannot multiply an overload: a token bucket into
// which each request puts Ratio and from which each further attempt takes 1, where tokens expire after Window, as in
// Finagle's RetryBudget (2016); the share by client is that of Beyer et al., Site Reliability Engineering, chapter 21 (10 %
// there). A request for whose further attempt there is no token has failed.
//
// The zero value sets no bound.
type Budget struct {
	Ratio  float64       // further attempts by request; with Least 0, 0 is no budget
	Least  float64       // further attempts per second that are granted whatever the requests are; of the whole group
	Window time.Duration // 0: 10 s
}

// limited reports whether there is a bound.
func (b *Budget) limited() bool { return b.Ratio > 0 || b.Least > 0 }

// The nodes of draws that set attempts and back-offs apart from those of the request.
const (
	attemptNode = 0x7279
	backoffNode = 0x626f
)

// maxBackoff bounds a back-off whatever Factor and Attempts are.
const maxBackoff = 30 * 24 * time.Hour

// attempt is the key from which an attempt of a request draws: the request's own for the first, 0.
func attempt(k rdr.Key, n int) rdr.Key {
	if n == 0 {
		return k
	}
	return k.Mix(attemptNode).Mix(uint64(n))
}

// backoff is the wait before attempt n of a request, from 1.
func (r *Retry) backoff(k rdr.Key, n int) time.Duration {
	factor := r.Factor
	if factor == 0 {
		factor = 2
	}
	most := float64(maxBackoff)
	if r.Most > 0 {
		most = float64(r.Most)
	}
	d := min(float64(r.Backoff)*math.Pow(factor, float64(n-1)), most)
	if r.Jitter > 0 {
		d *= 1 - r.Jitter*k.Mix(backoffNode).Mix(uint64(n)).Uniform()
	}
	return time.Duration(math.Round(d))
}

// budgetSlices is how many pieces the window of a budget moves in.
const budgetSlices = 10

// budget keeps account of a Budget: requests and further attempts of the last Window, whole numbers, so that nothing is lost.
type budget struct {
	Budget
	slice    dsv.Instant // length
	now      int64       // number of the present slice
	requests [budgetSlices]int64
	attempts [budgetSlices]int64
	in, out  int64 // their sums
}

func newBudget(b Budget, parts uint64) budget {
	if b.Window <= 0 {
		b.Window = 10 * time.Second
	}
	b.Least /= float64(parts)
	return budget{Budget: b, slice: max(dsv.Instant(b.Window)/budgetSlices, 1)}
}

// to forgets what has expired.
func (b *budget) to(at dsv.Instant) {
	now := int64(at / b.slice)
	if now-b.now >= budgetSlices {
		b.requests, b.attempts = [budgetSlices]int64{}, [budgetSlices]int64{}
		b.in, b.out, b.now = 0, 0, now
	}
	for b.now < now {
		b.now++
		i := b.now % budgetSlices
		b.in -= b.requests[i]
		b.out -= b.attempts[i]
		b.requests[i], b.attempts[i] = 0, 0
	}
}

// request puts in what a request brings.
func (b *budget) request(at dsv.Instant) {
	if !b.limited() {
		return
	}
	b.to(at)
	b.requests[b.now%budgetSlices]++
	b.in++
}

// attempt takes a token and reports whether there was one.
func (b *budget) attempt(at dsv.Instant) bool {
	if !b.limited() {
		return true
	}
	b.to(at)
	if b.Ratio*float64(b.in)+b.Least*b.Window.Seconds() < float64(b.out+1)-1e-9 {
		return false
	}
	b.attempts[b.now%budgetSlices]++
	b.out++
	return true
}

// again has a request that failed tried once more, in a slot of its own, where it may be. Until then it waits in flight.
func (g *Group) again(at dsv.Instant, x uint32) bool {
	s := g.requests[x]
	r := &g.cfg.Retry
	if s.cause == service.Abandoned || s.attempt >= r.Attempts {
		return false
	}
	if !g.budget.attempt(at) {
		g.meters.refused.Write(at, 1)
		return false
	}
	g.requests[x].measured = true
	s.attempt, s.cause, s.waits = s.attempt+1, service.OK, true
	y, ref := g.reserve(at, s)
	g.expire(y, ref.Gen())
	g.run.Agenda.Push(at.Add(r.backoff(s.key, s.attempt)), service.Event{Kind: eventAgain, Ref: ref})
	return true
}

// tryAgain begins the attempt for which a request has waited, unless the user's patience ended first.
func (g *Group) tryAgain(at dsv.Instant, ref step.Ref) {
	x := ref.Slot()
	if !g.run.Alive(x, ref.Gen()) || !g.requests[x].waits {
		return
	}
	g.requests[x].waits = false
	g.meters.retries.Write(at, 1)
	g.start(at, x)
}

// reserve takes a slot for a request.
func (g *Group) reserve(at dsv.Instant, s request) (uint32, step.Ref) {
	x, gen := g.run.Reserve(at)
	for int(x) >= len(g.requests) {
		g.requests = append(g.requests, request{})
	}
	g.requests[x] = s
	if g.cfg.Sessions != nil {
		g.walks.all[s.walk].live++
	}
	return x, step.NewRef(x, gen)
}

// expire has the user give up when the patience ends that the request began with.
func (g *Group) expire(x, gen uint32) {
	if until := g.requests[x].until; until > 0 {
		g.run.Agenda.Push(until, service.Event{Kind: eventPatience, Ref: step.NewRef(x, gen)})
	}
}

// giveUp ends what a user has lost patience with.
func (g *Group) giveUp(at dsv.Instant, ref step.Ref) {
	x := ref.Slot()
	if !g.run.Alive(x, ref.Gen()) || g.requests[x].measured {
		return
	}
	g.requests[x].cause = service.Abandoned
	if !g.requests[x].waits {
		g.run.Cancel(at, x, rdr.TimedOut)
		return
	}
	g.requests[x].waits = false
	g.finish(at, x)
	g.release(at, x)
}
