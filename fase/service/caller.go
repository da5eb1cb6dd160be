package service

import (
	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// maxMoves bounds how often one call is sent again because a server did not hold the service (421).
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
	parked   [][]step.Ref // by service: calls that wait for a mapping
	meters   []callMeter  // by service
	emit     func(step.Effect)
	send     step.Kind // the effect that carries a call
	undo     step.Kind // the effect that gives it up
	// Outstanding is the number of calls under way, waiting ones included.
	Outstanding int
}

type route struct {
	mapping Mapping
	serving []target
	weight  int
}

type target struct {
	node, weight int
	outstanding  int
}

type call struct {
	req   Request
	gen   uint32
	live  bool
	sent  bool
	need  uint32 // epoch that a parked call waits for
	node  int32
	moves int
	began dsv.Instant
	owner Op
}

type callMeter struct{ latency, requests, errors *dmm.Var }

// NewCaller returns a caller that emits its effects through emit: kind send carries a call, kind undo gives one up. Its
// own node is -1 outside servers.
func NewCaller(t *Topology, services []Config, node int, send, undo step.Kind, emit func(step.Effect), vars Vars) *Caller {
	c := &Caller{
		node: node, topology: t, services: services, emit: emit, send: send, undo: undo,
		routes: make([]route, len(t.Services)),
		parked: make([][]step.Ref, len(t.Services)),
		meters: make([]callMeter, len(t.Services)),
	}
	for i, s := range t.Services {
		c.meters[i] = callMeter{vars(dsv.Name(s + ".latency")), vars(dsv.Name(s + ".requests")), vars(dsv.Name(s + ".errors"))}
	}
	return c
}

// Apply puts a mapping in force and sends the calls that waited for it. An older epoch than the present one is ignored.
func (c *Caller) Apply(at dsv.Instant, svc int, m Mapping) {
	r := &c.routes[svc]
	if m.Epoch < r.mapping.Epoch {
		return
	}
	before := r.serving
	r.mapping, r.serving, r.weight = m, nil, 0
	for _, rep := range m.Replicas {
		node := c.topology.Server(rep.Server)
		if rep.State != Serving || node < 0 {
			continue
		}
		t := target{node: node, weight: max(rep.Weight, 1)}
		for _, b := range before {
			if b.node == node {
				t.outstanding = b.outstanding
			}
		}
		r.serving = append(r.serving, t)
		r.weight += t.weight
	}
	waiting := c.parked[svc]
	c.parked[svc] = nil
	for _, ref := range waiting {
		if k := c.lookup(ref); k != nil && !k.sent {
			c.resolve(at, ref, k)
		}
	}
}

// Mapping is the one in force.
func (c *Caller) Mapping(svc int) *Mapping { return &c.routes[svc].mapping }

// Start sends a request, or lets it wait for a replica. began is the instant from which its latency counts.
func (c *Caller) Start(at, began dsv.Instant, req Request, owner Op) step.Ref {
	var slot uint32
	if n := len(c.free); n > 0 {
		slot = c.free[n-1]
		c.free = c.free[:n-1]
	} else {
		slot = uint32(len(c.calls))
		c.calls = append(c.calls, &call{})
	}
	k := c.calls[slot]
	*k = call{req: req, gen: k.gen + 1, live: true, began: began, owner: owner}
	c.Outstanding++
	ref := step.NewRef(slot, k.gen)
	c.resolve(at, ref, k)
	return ref
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
	t := c.pick(r, k)
	if t == nil || r.mapping.Epoch < k.need {
		c.parked[svc] = append(c.parked[svc], ref)
		return
	}
	t.outstanding++
	k.sent, k.node = true, int32(t.node)
	k.req.Epoch = r.mapping.Epoch
	k.req.Local = t.node == c.node
	c.emit(step.Effect{At: at, Kind: c.send, Node: k.node, Ref: ref, Key: uint64(k.req.Key), N: k.req.Send})
}

// balanceNode sets the draws of balancers apart from those of statements.
const balanceNode = 0xba1a

func (c *Caller) pick(r *route, k *call) *target {
	switch {
	case len(r.serving) == 0:
		return nil
	case len(r.serving) == 1:
		return &r.serving[0]
	}
	u := k.req.Key.Mix(balanceNode).Uniform()
	if c.services[k.req.Service].Balance == Least {
		return leastOf(r.serving, u)
	}
	x := u * float64(r.weight)
	for i := range r.serving {
		if x -= float64(r.serving[i].weight); x < 0 {
			return &r.serving[i]
		}
	}
	return &r.serving[len(r.serving)-1]
}

// leastOf picks the replica with the fewest outstanding calls per weight; u settles ties.
func leastOf(ts []target, u float64) *target {
	load := func(t *target) float64 { return float64(t.outstanding) / float64(t.weight) }
	least, ties := load(&ts[0]), 0
	for i := range ts {
		switch l := load(&ts[i]); {
		case l < least:
			least, ties = l, 1
		case l == least:
			ties++
		}
	}
	nth := int(u * float64(ties))
	for i := range ts {
		if load(&ts[i]) != least {
			continue
		}
		if nth == 0 {
			return &ts[i]
		}
		nth--
	}
	return &ts[0]
}

// settle takes a call off its replica's books.
func (c *Caller) settle(k *call) {
	if !k.sent {
		return
	}
	k.sent = false
	r := &c.routes[k.req.Service]
	for i := range r.serving {
		if r.serving[i].node == int(k.node) {
			r.serving[i].outstanding--
		}
	}
}

// Answer hands in what came back. done is false when the call was sent again, or is unknown; otherwise owner is whom it
// was started for.
func (c *Caller) Answer(at dsv.Instant, ref step.Ref, a Answer) (owner Op, cause Cause, done bool) {
	k := c.lookup(ref)
	if k == nil {
		return Op{}, OK, false
	}
	c.settle(k)
	if a.Status == 421 && k.moves < maxMoves {
		k.moves++
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
	c.finish(at, ref, k, cause)
	return owner, cause, true
}

// GiveUp ends a call whose answer nobody waits for any more. It is measured with the time it has taken so far.
func (c *Caller) GiveUp(at dsv.Instant, ref step.Ref, cause Cause) {
	k := c.lookup(ref)
	if k == nil {
		return
	}
	if k.sent {
		c.emit(step.Effect{At: at, Kind: c.undo, Node: k.node, Ref: ref})
		c.settle(k)
	}
	c.finish(at, ref, k, cause)
}

func (c *Caller) finish(at dsv.Instant, ref step.Ref, k *call, cause Cause) {
	m := &c.meters[k.req.Service]
	m.latency.Write(at, at.Sub(k.began).Seconds())
	m.requests.Write(at, 1)
	if cause != OK {
		m.errors.Write(at, 1)
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
	case Refused, NoRoute:
		return rdr.Refused
	case Reset, Closed, Other:
		return rdr.Lost
	case Malformed:
		return rdr.Invalid
	case TimedOut, Abandoned:
		return rdr.TimedOut
	}
	switch {
	case status == 503:
		return rdr.Rejected
	case status < 500:
		return rdr.Invalid
	}
	return rdr.Failed
}
