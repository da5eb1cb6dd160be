package service

import (
	"slices"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// maxMoves bounds how often one call is sent again because a server did not hold the service (421) by no newer mapping than the call's.
const maxMoves = 16

// A Caller sends requests to the replicas of services, for one participant: it knows the mapping, picks a replica,
// resolves again when a service has moved, lets a call wait while nobody serves, and measures every call from its first
// attempt to its last byte. It is part of a core and as single-threaded.
type Caller struct {
	node     int // own server, or -1
	topology *Topology
	services []Config
	routes   []route // by service
	calls    []*call // by slot
	free     []uint32
	meters   []callMeter // by service
	edges    []Edge      // by service: what was counted
	emit     func(step.Effect)
	send     step.Kind     // the effect that carries a call
	undo     step.Kind     // the effect that gives it up
	seen     [][]float64   // by view and server; NaN: not told yet
	scores   []float64     // reused
	inputs   []expr.Scalar // reused
	// Outstanding is the number of calls under way, waiting ones included.
	Outstanding int

	network *Network
	self    Party
	connect time.Duration
	later   func(dsv.Instant, Event)           // puts an event on the runner's agenda
	onHeld  func(at dsv.Instant, ref step.Ref) // tells of a request that waits for whoever serves it, or that a partition holds up; may be nil
}

type route struct {
	mapping     Mapping
	serving     []target
	weight      int
	sent        int     // calls that servers owe an answer
	counted     bool    // the balancer asks how many calls are under way
	outstanding []int32 // by server, where it does: calls under way there, in whatever mapping they were sent
	turns       []int   // by server, RoundRobin: how far each has come

	parked []step.Ref // calls that wait for a mapping, in order; those given up meanwhile are among them
	given  int        // how many of parked were given up

	health *health  // nil: everybody is healthy
	all    []target // with health: serving before it left out who is ejected
}

type target struct{ node, weight int }

type call struct {
	req   Request
	gen   uint32
	live  bool
	sent  bool
	quiet bool // it is not measured
	held  bool // a partition holds its request up
	moves uint8
	need  uint32 // epoch that a parked call waits for
	node  int32
	began dsv.Instant
	owner Op

	answer *Answer // that a partition holds up; nil: none
}

type callMeter struct{ latency, requests, errors, received *dmm.Var }

// ReceivedName is the variable of a target that adds up the bytes of its answers, without their heads, as callers received them.
func ReceivedName(target string) dsv.Name { return dsv.Name(target + ".received") }

func (m *callMeter) write(at dsv.Instant, took time.Duration, cause Cause) {
	m.latency.Write(at, took.Seconds())
	m.requests.Write(at, 1)
	if cause != OK {
		m.errors.Write(at, 1)
	}
}

// NewCaller returns a caller that emits its effects through emit: kind send carries a call, kind undo gives one up. Its
// own node is -1 outside servers.
func NewCaller(t *Topology, services []Config, node int, send, undo step.Kind, emit func(step.Effect), vars Vars) *Caller {
	c := &Caller{
		node: node, topology: t, services: services, emit: emit, send: send, undo: undo,
		routes: make([]route, len(t.Services)),
		meters: make([]callMeter, len(t.Services)), edges: make([]Edge, len(t.Services)),
	}
	for i, s := range t.Services {
		if i < len(services) {
			c.routes[i].counted = services[i].counts()
			c.routes[i].health = newHealth(&services[i], len(t.Servers), vars)
		}
		c.meters[i] = callMeter{vars(dsv.Name(s + ".latency")), vars(dsv.Name(s + ".requests")), vars(dsv.Name(s + ".errors")), vars(ReceivedName(s))}
	}
	c.newViews()
	return c
}

// Apply puts a mapping in force and sends the calls that waited for it. An older epoch than the present one is ignored.
func (c *Caller) Apply(at dsv.Instant, svc int, m Mapping) {
	r := &c.routes[svc]
	if m.Epoch < r.mapping.Epoch {
		return
	}
	m = c.topology.Place(m)
	r.mapping, r.serving, r.weight = m, m.placed.serving, m.placed.weight
	if r.health != nil {
		r.all, r.serving = r.serving, slices.Clone(r.serving)
		r.health.mapped(c.topology, &r.mapping)
		r.sift()
	}
	waiting := r.parked
	r.parked, r.given = nil, 0
	for _, ref := range waiting {
		if k := c.lookup(ref); k != nil {
			c.resolve(at, ref, k)
		}
	}
}

// Mapping is the one in force.
func (c *Caller) Mapping(svc int) *Mapping { return &c.routes[svc].mapping }

// Start sends a request, or lets it wait for a replica. began is the instant from which its latency counts.
func (c *Caller) Start(at, began dsv.Instant, req Request, owner Op) step.Ref {
	ref, k := c.open(began, &req, owner)
	c.resolve(at, ref, k)
	return ref
}

// Forward hands a request on to a server that serves it. It is no call of this participant's, and is not measured as one.
func (c *Caller) Forward(at dsv.Instant, node int, req Request, owner Op) step.Ref {
	ref, k := c.open(at, &req, owner)
	k.quiet = true
	c.dispatch(at, ref, k, node)
	return ref
}

// Others calls show with each other server that serves a service, in the order of the mapping.
func (c *Caller) Others(svc int, show func(node int)) {
	for _, t := range c.routes[svc].serving {
		if t.node != c.node {
			show(t.node)
		}
	}
}

func (c *Caller) open(began dsv.Instant, req *Request, owner Op) (step.Ref, *call) {
	var slot uint32
	if n := len(c.free); n > 0 {
		slot = c.free[n-1]
		c.free = c.free[:n-1]
	} else {
		slot = uint32(len(c.calls))
		c.calls = append(c.calls, &call{})
	}
	k := c.calls[slot]
	gen := k.gen + 1
	*k = call{gen: gen, live: true, began: began, owner: owner}
	k.req = *req
	c.Outstanding++
	c.edges[req.Service].Calls++
	return step.NewRef(slot, k.gen), k
}

func (c *Caller) lookup(ref step.Ref) *call {
	if int(ref.Slot()) >= len(c.calls) {
		return nil
	}
	if k := c.calls[ref.Slot()]; k.live && k.gen == ref.Gen() {
		return k
	}
	return nil
}

// Request is what a call carries; nil when it has ended. Valid until the next call of a method.
func (c *Caller) Request(ref step.Ref) *Request {
	if k := c.lookup(ref); k != nil {
		return &k.req
	}
	return nil
}

// Owner is whom a call was started for; the zero Op when it has ended.
func (c *Caller) Owner(ref step.Ref) Op {
	if k := c.lookup(ref); k != nil {
		return k.owner
	}
	return Op{}
}

// Began is from when a call counts: when its request was due, for one made at once, else when it was made. It is 0 when the
// call has ended.
func (c *Caller) Began(ref step.Ref) dsv.Instant {
	if k := c.lookup(ref); k != nil {
		return k.began
	}
	return 0
}

// Node is the server that a call was sent to.
func (c *Caller) Node(ref step.Ref) int32 {
	if k := c.lookup(ref); k != nil {
		return k.node
	}
	return -1
}

func (c *Caller) resolve(at dsv.Instant, ref step.Ref, k *call) {
	svc := k.req.Service
	r := &c.routes[svc]
	node := c.pick(r, &k.req)
	switch {
	case node >= 0 && r.mapping.Epoch >= k.need:
		c.dispatch(at, ref, k, node)
	case !k.quiet && c.empty(svc, k.need):
		c.told(at, ref)
		c.later(at, Event{Kind: eventEmpty, Ref: ref}) // a call never ends while it is made
	default:
		c.told(at, ref)
		r.parked = append(r.parked, ref)
	}
}

// told tells of a call that its participant would have sent, had there been somebody to send it to.
func (c *Caller) told(at dsv.Instant, ref step.Ref) {
	if c.onHeld != nil {
		c.onHeld(at, ref)
	}
}

// empty reports whether nobody serves a service whose callers do not wait for somebody.
func (c *Caller) empty(svc int, need uint32) bool {
	r := &c.routes[svc]
	return c.services[svc].FailEmpty && len(r.serving) == 0 && r.mapping.Epoch > 0 && r.mapping.Epoch >= need && !r.mapping.Paused
}

// unserved fails a call that found nobody who serves its service; false when it was given up meanwhile.
func (c *Caller) unserved(at dsv.Instant, ref step.Ref) (owner Op, ok bool) {
	k := c.lookup(ref)
	if k == nil || k.sent {
		return Op{}, false
	}
	owner = k.owner
	c.finish(at, ref, k, Unavailable)
	return owner, true
}

// dispatch sends a call to a server.
func (c *Caller) dispatch(at dsv.Instant, ref step.Ref, k *call, node int) {
	r := &c.routes[k.req.Service]
	r.count(c.topology, node, 1)
	c.edges[k.req.Service].Sent++
	k.sent, k.node = true, int32(node)
	k.req.Epoch = r.mapping.Epoch
	k.req.Local = node == c.node
	if c.stalled(at, ref, k) {
		return
	}
	c.emit(step.Effect{At: at, Kind: c.send, Node: k.node, Ref: ref, Key: uint64(k.req.Key), N: k.req.Send})
}

// settle takes a call off its replica's books.
func (c *Caller) settle(k *call) {
	if !k.sent {
		return
	}
	k.sent = false
	c.routes[k.req.Service].count(c.topology, int(k.node), -1)
}

// sent is the number of calls that servers owe an answer.
func (c *Caller) sent() int {
	n := 0
	for i := range c.routes {
		r := &c.routes[i]
		if !r.counted {
			n += max(r.sent, -r.sent) // what is below 0 must show
			continue
		}
		for _, k := range r.outstanding {
			n += int(max(k, -k))
		}
	}
	return n
}

// count books calls under way to a server.
func (r *route) count(t *Topology, node int, n int32) {
	r.sent += int(n)
	if !r.counted {
		return
	}
	if r.outstanding == nil {
		r.outstanding = make([]int32, len(t.Servers))
	}
	r.outstanding[node] += n
}

// busy is how many calls are under way to a server.
func (r *route) busy(node int) float64 {
	if r.outstanding == nil {
		return 0
	}
	return float64(r.outstanding[node])
}

// counts reports whether the service's balancer asks how many calls of a caller are under way where.
func (c *Config) counts() bool {
	of := func(b Balance) bool { return b == Least || b == Power || b == Custom }
	return of(c.Balance) || c.Balance == Local && of(c.Else)
}

// unpark books that a call which waits was given up, and forgets such calls once they are most of the list.
func (c *Caller) unpark(svc int) {
	r := &c.routes[svc]
	if r.given++; r.given <= len(r.parked)/2 || r.given < 16 {
		return
	}
	r.parked = slices.DeleteFunc(r.parked, func(ref step.Ref) bool { return c.lookup(ref) == nil })
	r.given = 0
}

// Answer hands in what came back. done is false when the call was sent again, or is unknown, or waits and has been
// answered already; otherwise owner is whom it was started for.
func (c *Caller) Answer(at dsv.Instant, ref step.Ref, a Answer) (owner Op, cause Cause, done bool) {
	k := c.lookup(ref)
	if k == nil || !k.sent {
		return Op{}, OK, false
	}
	c.settle(k)
	if a.Bytes > 0 && !k.quiet {
		c.meters[k.req.Service].received.Write(at, float64(a.Bytes))
	}
	e := &c.edges[k.req.Service]
	if a.Cause == OK || a.Cause == Limited || a.Cause == Killed {
		e.Answered++
	} else {
		e.Failed++
	}
	if a.Status == 421 && k.moves < maxMoves {
		e.Again++
		if a.Epoch <= k.req.Epoch {
			k.moves++ // else there is a newer mapping, and that is progress
		}
		if a.Epoch > c.routes[k.req.Service].mapping.Epoch {
			k.need = a.Epoch
		}
		c.resolve(at, ref, k)
		return Op{}, OK, false
	}
	cause = a.Cause
	if cause == OK && a.Status >= 400 {
		cause = Status
	}
	owner = k.owner
	c.judge(at, k.req.Service, k.node, cause.faulty(a.Status))
	c.finish(at, ref, k, cause)
	return owner, cause, true
}

// GiveUp ends a call whose answer nobody waits for any more. It is measured with the time it has taken so far.
func (c *Caller) GiveUp(at dsv.Instant, ref step.Ref, cause Cause) {
	k := c.lookup(ref)
	if k == nil {
		return
	}
	waited, svc := !k.sent, k.req.Service
	if !waited {
		c.emit(step.Effect{At: at, Kind: c.undo, Node: k.node, Ref: ref})
		c.settle(k)
		c.edges[svc].GivenUp++
		if cause == TimedOut || cause == Abandoned {
			c.judge(at, svc, k.node, true)
		}
	}
	c.finish(at, ref, k, cause)
	if waited {
		c.unpark(svc)
	}
}

func (c *Caller) finish(at dsv.Instant, ref step.Ref, k *call, cause Cause) {
	if !k.quiet {
		c.meters[k.req.Service].write(at, at.Sub(k.began), cause)
	}
	if e := &c.edges[k.req.Service]; cause == OK {
		e.OK++
	} else {
		e.Errors++
	}
	k.live = false
	k.req = Request{}
	c.free = append(c.free, ref.Slot())
	c.Outstanding--
}

// Outcome is what a cause means to the request that made the call.
func (c Cause) Outcome(status int) rdr.Outcome {
	switch c {
	case OK:
		return rdr.OK
	case Refused, ConnectTimeout, TLS, Exhausted, NoRoute:
		return rdr.Refused
	case Reset, Closed, Truncated, Other:
		return rdr.Lost
	case Malformed, Oversized:
		return rdr.Invalid
	case TimedOut, Abandoned:
		return rdr.TimedOut
	case Limited, Unavailable:
		return rdr.Rejected
	}
	switch {
	case status == 503:
		return rdr.Rejected
	case status < 500:
		return rdr.Invalid
	}
	return rdr.Failed
}
