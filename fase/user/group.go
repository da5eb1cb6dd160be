package user

import (
	"fmt"
	"math"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// Late is how much later than due a request may be sent before it is counted as late.
const Late = time.Millisecond

// Before is an instant before a run: that at which a group is told what holds from the beginning. Nothing is due at it, so that
// nothing is asked of a server before the run begins.
const Before dsv.Instant = -1

// accrue is how often a group brings its continuous measurements up to date.
const accrue = 100 * time.Millisecond

// A Group is the core of one group of clients. It belongs to one goroutine. Its effects are Send and Abandon; tell it
// what came of them by Sent and Answer.
//
// Inputs first do what is due before them, so an input may come later than Next.
type Group struct {
	cfg      Config
	run      *service.Runner
	requests []request // by execution slot
	rate     curve     // for arrivals: at the last change of its form before the last arrival, or where the rate was set
	offered  curve     // the same for what is measured
	gaps     float64   // sum of the unit gaps up to the next arrival
	index    uint64    // of the next arrival
	next     uint64    // index + 1
	key      rdr.Key   // of the next arrival
	due      dsv.Instant
	target   float64
	accrued  dsv.Instant
	effects  []step.Effect
	out      []step.Effect
	meters   meters
	record   [RecordSize]byte
	reaction reaction
	budget   budget
	walks    walks
}

type request struct {
	key       rdr.Key
	user, n   uint64
	due, sent dsv.Instant
	until     dsv.Instant // when patience ends; 0: never
	attempt   int
	cause     service.Cause
	measured  bool
	spoken    bool   // a byte of an answer has come
	waits     bool   // between two attempts
	walk      uint32 // the session that it is of, where there are sessions
}

const (
	eventArrival uint8 = iota + service.SiteEvent
	eventUser          // closed: a user has thought; N: user, Ref: round
	eventPatience
	eventAccrue
	eventSet   // Ref: which setting, and which telling; N: bits of its value
	eventPage  // Ref: a session whose next page is due
	eventAgain // Ref: a request that waits for its next attempt
)

// unsent is when a request was sent that has not been.
const unsent dsv.Instant = -1

// NewGroup returns a group without any mapping: hand it the present ones by Changed, at [Before].
func NewGroup(cfg Config, vars service.Vars) *Group {
	g := &Group{cfg: cfg, rate: cfg.curve(), offered: cfg.curve()}
	c := service.NewCaller(cfg.Topology, cfg.Services, -1, step.Send, step.Abandon, g.effect, vars)
	g.run = service.NewRunner(g, c)
	g.run.Passed = g.answered
	c.Join(cfg.Network, service.GroupParty(cfg.Index), cfg.Connections.ConnectTimeout)
	c.Held(g.Sent) // what happens to it from here on is the network's
	g.meters = newMeters(cfg.Name, vars)
	g.reaction = reaction{settings: cfg.Settings(), users: uint64(cfg.Users), known: uint64(cfg.Users)}
	g.reaction.inForce = make([]uint32, len(g.reaction.settings))
	g.budget = newBudget(cfg.Retry.Budget, cfg.parts())
	g.walks = newWalks(&g.cfg, vars)
	g.run.Agenda.Push(dsv.At(accrue), service.Event{Kind: eventAccrue})
	if cfg.open() {
		g.plan(1 + cfg.Part)
		return g
	}
	for u := uint64(cfg.Part); u < uint64(cfg.Users); u += cfg.parts() {
		g.think(cfg.Start, u, 0)
	}
	return g
}

// plan puts the arrival that is so many ahead in an open group's plan on the agenda: those between are of other parts.
func (g *Group) plan(ahead int) {
	if g.cfg.Trace != nil {
		g.next += uint64(ahead)
		g.index = g.next - 1
		g.key = g.cfg.Key(g.index, 0)
		g.schedule()
		return
	}
	for range ahead {
		g.key = g.cfg.Key(g.next, 0)
		g.gaps += g.cfg.gap(g.key)
		g.index, g.next = g.next, g.next+1
	}
	g.schedule()
}

// schedule finds when the next arrival is due under the present rate. A change of the rate keeps what is left of the gap.
func (g *Group) schedule() {
	if g.cfg.Trace != nil {
		g.due = g.cfg.Trace.due(g.index)
	} else {
		g.due = g.rate.when(g.gaps, g.cfg.End)
	}
	if g.due < g.cfg.End {
		g.run.Agenda.Push(g.due, service.Event{Kind: eventArrival, N: int64(g.index)})
	}
}

// think lets a user of a closed group think before its n-th request, unless the user has left.
func (g *Group) think(at dsv.Instant, user, n uint64) {
	if g.leaves(user, n) {
		return
	}
	due := at + g.cfg.think(g.cfg.Key(user, n))
	if due < g.cfg.End {
		g.run.Agenda.Push(due, service.Event{Kind: eventUser, Ref: step.Ref(n), N: int64(user)})
	}
}

// Next implements step.Core.
func (g *Group) Next() dsv.Instant { return g.run.Next() }

// Advance implements step.Core.
func (g *Group) Advance(to dsv.Instant) {
	for g.run.Next() <= to {
		g.run.Due()
	}
}

// Effects implements step.Core.
func (g *Group) Effects() []step.Effect {
	g.effects, g.out = g.out[:0], g.effects
	return g.out
}

func (g *Group) effect(e step.Effect) { g.effects = append(g.effects, e) }

// Event implements service.Site.
func (g *Group) Event(at dsv.Instant, e service.Event) {
	switch e.Kind {
	case eventArrival:
		if uint64(e.N) != g.index {
			return
		}
		key, user := g.key, g.index
		g.rate.pass(at)
		g.plan(int(g.cfg.parts()))
		g.begin(at, key, user, 0)
	case eventUser:
		user, n := uint64(e.N), uint64(e.Ref)
		if g.leaves(user, n) {
			return
		}
		g.begin(at, g.cfg.Key(user, n), user, n)
	case eventPatience:
		g.giveUp(at, e.Ref)
	case eventSet:
		g.put(at, e.Ref, math.Float64frombits(uint64(e.N)))
	case eventPage:
		g.visit(at, uint32(e.Ref))
	case eventAgain:
		g.tryAgain(at, e.Ref)
	case eventAccrue:
		g.accrue(at)
		g.run.Agenda.Push(at.Add(accrue), service.Event{Kind: eventAccrue})
	}
}

// begin begins an arrival, or a round of a user: a session, or the one request.
func (g *Group) begin(due dsv.Instant, key rdr.Key, user, n uint64) {
	if g.cfg.Sessions != nil {
		g.enter(due, key, user, n)
		return
	}
	g.ask(request{key: key, user: user, n: n, due: due, sent: unsent})
}

// ask begins a request.
func (g *Group) ask(s request) {
	due := s.due
	if g.cfg.Patience > 0 {
		s.until = due.Add(g.cfg.Patience)
	}
	x, ref := g.reserve(due, s)
	g.meters.issued.Write(due, 1)
	g.budget.request(due)
	g.expire(x, ref.Gen())
	g.start(due, x)
}

// start begins an attempt of the request of a session.
func (g *Group) start(at dsv.Instant, x uint32) {
	s := &g.requests[x]
	g.run.Asks(x, g.cfg.client(s.user))
	g.run.Begin(at, x, g.block(s), attempt(s.key, s.attempt), "", service.Urgency{})
}

// Demand implements service.Site: a client has no resources, and a checked request asks for none.
func (g *Group) Demand(at dsv.Instant, ref step.Ref, _ *rdr.Demand) { g.run.Met(at, ref, rdr.OK) }

// Notice implements service.Site.
func (g *Group) Notice(dsv.Instant, step.Ref, rdr.Op, rdr.Op, string, int64) {}

// Called implements service.Site. The first cause of trouble is the session's.
func (g *Group) Called(x uint32, cause service.Cause) {
	if s := &g.requests[x]; s.cause == service.OK {
		s.cause = cause
	}
}

// Ended implements service.Site: the user has what it asked for, or has not.
func (g *Group) Ended(at dsv.Instant, x uint32) {
	s := &g.requests[x]
	switch g.run.Task(x).Outcome() {
	case rdr.OK:
		s.cause = service.OK // what failed on the way was retried
	case rdr.TimedOut:
		if s.cause != service.Abandoned {
			s.cause = service.TimedOut
		}
	default:
		if s.cause == service.OK {
			s.cause = service.Status
		}
	}
	if s.cause == service.OK || !g.again(at, x) {
		g.finish(at, x)
	}
}

// finish measures a request that has come to its end, after which a user of a closed group thinks.
func (g *Group) finish(at dsv.Instant, x uint32) {
	s := &g.requests[x]
	s.measured = true
	g.meters.latency.Write(at, at.Sub(s.due).Seconds())
	g.meters.requests.Write(at, 1)
	if s.cause != service.OK {
		g.meters.errors.Write(at, 1)
		g.meters.causes[s.cause].Write(at, 1)
	}
	if s.cause == service.Abandoned {
		g.meters.abandoned.Write(at, 1)
	}
	g.keep(at, s)
	if g.cfg.Sessions != nil {
		g.onward(at, s)
		return
	}
	g.rest(at, s.due, s.user, s.n)
}

// rest lets a user of a closed group think after its n-th request, or session, that began at an instant.
func (g *Group) rest(at, began dsv.Instant, user, n uint64) {
	if g.cfg.open() {
		return
	}
	if at == began {
		at = at.Add(breath)
	}
	g.think(at, user, n+1)
}

// breath is what a user of a closed group waits after a request, or session, that took no time at all, beside thinking: without it, one
// who does not think would ask for ever at one instant.
const breath = time.Millisecond

// Gone implements service.Site.
func (g *Group) Gone(at dsv.Instant, x uint32) {
	if g.cfg.open() && g.cfg.Connections.Own && g.cfg.Sessions == nil {
		g.effect(step.Effect{At: at, Kind: step.Leave, Node: -1, N: int64(x)})
	}
	g.release(at, x)
}

// release frees the slot of a request.
func (g *Group) release(at dsv.Instant, x uint32) {
	if g.cfg.Sessions != nil {
		g.leave(at, g.requests[x].walk)
	}
	g.run.Release(at, x)
}

// Owner numbers the user of a closed group, or the session of an open one, that a call is of, densely. The number of a
// session is free for another after the effect Leave.
func (g *Group) Owner(ref step.Ref) uint32 {
	x, ok := g.run.Execution(g.run.Calls.Owner(ref).Ref)
	switch {
	case ok && g.cfg.open() && g.cfg.Sessions != nil:
		return g.requests[x].walk
	case !ok || g.cfg.open():
		return x
	}
	return uint32(g.requests[x].user / g.cfg.parts())
}

// Sent tells when the request of a Send effect was handed to the network: the instant of the first byte.
func (g *Group) Sent(at dsv.Instant, ref step.Ref) {
	x, ok := g.run.Execution(g.run.Calls.Owner(ref).Ref)
	if !ok {
		return
	}
	s := &g.requests[x]
	if s.sent != unsent || s.measured {
		return
	}
	s.sent = at
	lag := at.Sub(g.run.Calls.Began(ref)) // what a request does before its first call is no lag
	g.meters.lag.Write(at, lag.Seconds())
	if lag > Late {
		g.meters.late.Write(at, 1)
	}
}

// Answer hands in what came back for a Send effect. Cause Abandoned says that the run has ended before an answer came: the
// request stays in flight, and is no sample.
func (g *Group) Answer(at dsv.Instant, ref step.Ref, a service.Answer) {
	if a.Cause == service.Abandoned {
		return
	}
	g.Advance(at)
	if !g.run.Stalled(at, ref, a) {
		g.answered(at, ref, a)
	}
}

// answered takes an answer that has arrived.
func (g *Group) answered(at dsv.Instant, ref step.Ref, a service.Answer) {
	if a.First != 0 {
		g.spoke(at, ref, a.First)
	}
	g.run.Answer(at, ref, a)
}

// spoke measures when the first byte of a request's first answer was seen.
func (g *Group) spoke(at dsv.Instant, ref step.Ref, first dsv.Instant) {
	x, ok := g.run.Execution(g.run.Calls.Owner(ref).Ref)
	if !ok {
		return
	}
	if s := &g.requests[x]; !s.spoken && !s.measured {
		s.spoken = true
		g.meters.firstByte.Write(at, first.Sub(s.due).Seconds())
	}
}

// Connected tells how long it took to open the connection that carries a call.
func (g *Group) Connected(at dsv.Instant, _ step.Ref, took time.Duration) {
	g.meters.connect.Write(at, took.Seconds())
}

// Changed hands in a mapping; it applies at its own instant.
func (g *Group) Changed(at dsv.Instant, svc int, m service.Mapping) {
	g.Advance(at)
	g.run.Changed(at, svc, m)
}

// See hands in a figure of a server that balancers read; service.Caller.See.
func (g *Group) See(at dsv.Instant, view, server int, x float64) {
	g.Advance(at)
	g.run.Calls.See(view, server, x)
}

// Apply implements service.Site.
func (g *Group) Apply(at dsv.Instant, svc int, m service.Mapping) { g.run.Calls.Apply(at, svc, m) }

// Request is what a Send effect carries; nil when the call has ended. Valid until the next input.
func (g *Group) Request(ref step.Ref) *service.Request {
	r := g.run.Calls.Request(ref)
	if r != nil && r.Block == nil && g.cfg.Trace != nil {
		g.replay(ref, r)
	}
	return r
}

// Events is how many entries of its calendar have come due.
func (g *Group) Events() uint64 { return g.run.Events }

// InFlight is the number of requests issued and not finished.
func (g *Group) InFlight() int { return g.run.Running }

// Idle returns nil when no request is under way, and else what is.
func (g *Group) Idle() error {
	if err := g.run.Idle(); err != nil {
		return fmt.Errorf("%s: %w", g.cfg.Name, err)
	}
	return nil
}

// Settle brings every measurement up to an instant: the end of a run, or of the last answer, which may have come a little later. It is
// called once.
func (g *Group) Settle(at dsv.Instant) {
	at = max(at, g.run.Last())
	g.Advance(at)
	g.accrue(at)
	g.meters.unfinished.Write(at, float64(g.InFlight()))
	g.writeLedger(at)
	g.cutAll(at)
}
