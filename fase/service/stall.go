package service

import (
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
)

// A caller stands at one end of every message of its calls, so it is the caller that holds up what meets a partition, in both
// directions: the simulator and the sockets carry only what passes.

// Join says which network the caller's messages cross, as which party, and how long a message may be held up that opens a
// connection: a call that is not sent until then has failed. 0: for ever.
func (c *Caller) Join(n *Network, self Party, connect time.Duration) {
	c.network, c.self, c.connect = n, self, connect
}

// Held has fn told of each request that waits for somebody who serves it, or that a partition holds up, when it begins to.
func (c *Caller) Held(fn func(at dsv.Instant, ref step.Ref)) { c.onHeld = fn }

// stalled holds a call up whose request meets a partition, and reports whether it does. The request is on its way for its caller.
func (c *Caller) stalled(at dsv.Instant, ref step.Ref, k *call) bool {
	k.held = false
	if c.network == nil || k.req.Local {
		return false
	}
	t := c.network.Arrives(at, c.self, Party(k.node))
	if t == at {
		return false
	}
	k.held = true
	if c.onHeld != nil {
		c.onHeld(at, ref)
	}
	if fails := at.Add(c.connect); c.connect > 0 && fails < t {
		k.answer = &Answer{Cause: ConnectTimeout}
		c.later(fails, Event{Kind: eventStalled, Ref: ref})
		return true
	}
	if t < dsv.Never {
		c.later(t, Event{Kind: eventUnstalled, Ref: ref})
	}
	return true
}

// unstalled sends a call whose request passes now.
func (c *Caller) unstalled(at dsv.Instant, ref step.Ref) {
	if k := c.lookup(ref); k != nil && k.sent && k.held {
		k.held = false
		c.emit(step.Effect{At: at, Kind: c.send, Node: k.node, Ref: ref, Key: uint64(k.req.Key), N: k.req.Send})
	}
}

// keeps holds an answer up that meets a partition, and reports whether it does.
func (c *Caller) keeps(at dsv.Instant, ref step.Ref, a Answer) bool {
	k := c.lookup(ref)
	if c.network == nil || k == nil || !k.sent || k.req.Local || a.Cause == Abandoned || a.Cause == NoRoute {
		return false
	}
	t := c.network.Arrives(at, Party(k.node), c.self)
	if t == at {
		return false
	}
	held := a // a copy, so that answers that pass stay where they are
	k.answer = &held
	if t < dsv.Never {
		c.later(t, Event{Kind: eventStalled, Ref: ref})
	}
	return true
}

// Stalled takes an answer that comes from outside. It returns true where a partition holds it up, and hands it to Passed when it
// passes.
func (r *Runner) Stalled(at dsv.Instant, ref step.Ref, a Answer) bool {
	return r.Calls.keeps(at, ref, a)
}

// passed hands on an answer that was held up.
func (r *Runner) passed(at dsv.Instant, ref step.Ref) {
	if k := r.Calls.lookup(ref); k != nil && k.sent && k.answer != nil {
		r.Passed(at, ref, *k.answer)
	}
}

// Told is when this participant hears what the kernel tells at an instant: then, or after the partition between them.
func (r *Runner) Told(at dsv.Instant) dsv.Instant {
	return r.Calls.network.Arrives(at, Control, r.Calls.self)
}

// Kill ends an execution without a word to its site: its server has crashed. Its calls are given up, and its slot is free.
func (r *Runner) Kill(at dsv.Instant, x uint32) {
	t := r.tasks[x]
	for o := t.first; o != 0; {
		p := &r.ops[o]
		next, call := p.next, p.call
		p.live = false
		r.freeOp = append(r.freeOp, o)
		if call != 0 {
			r.Calls.GiveUp(at, call, Reset)
		}
		o = next
	}
	t.first = 0
	r.Release(at, x)
}
