package service

import (
	"cmp"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/step"
)

// Apply implements Site: it puts a mapping in force and does this server's part in it. One that was told before is
// ignored. What has not changed since the former one goes on: a copy, a drain.
func (h *Host) Apply(at dsv.Instant, svc int, m Mapping) {
	if known := h.run.Calls.Mapping(svc).Epoch; m.Epoch < known || m.Epoch == known && known > 0 {
		return
	}
	m = h.cfg.Topology.Place(m)
	h.run.Calls.Apply(at, svc, m)
	if h.wake(at) {
		h.assume(at, svc, m)
		h.idle(at)
	}
}

// assume does this server's part in a mapping that is in force. A server that is down does it once it is up.
func (h *Host) assume(at dsv.Instant, svc int, m Mapping) {
	p := &h.here[svc]
	state, since := State(""), uint32(0)
	if i := int(m.placed.replica[h.cfg.Node]) - 1; i >= 0 {
		state, since = m.Replicas[i].State, m.Since(i)
	}
	changed := state != p.state || since != p.since
	p.state, p.since = state, since
	p.limit(at, m.Limit)
	if m.Paused || m.Limit > 0 {
		h.quick.mapped(svc, m.Epoch, "")
	} else {
		h.quick.mapped(svc, m.Epoch, state)
	}
	if changed {
		h.entered(at, svc)
	}
	h.copies(at, svc, &m)
	if state != Serving && state != Draining || m.Paused {
		h.unpool(at, svc)
		h.disband(at, svc)
	} else if h.adm.gate != nil {
		h.adm.gate.Again()
		h.gateDue(at)
	}
	early := h.early[svc]
	h.early[svc] = nil
	for _, ref := range early {
		if h.waits(ref) {
			h.decide(at, ref.Slot())
		}
	}
}

// entered does what this server's new state of a service asks for.
func (h *Host) entered(at dsv.Instant, svc int) {
	p := &h.here[svc]
	p.drain = 0
	switch {
	case p.state == Copying:
		p.ready.Write(at, float64(p.since))
	case p.state == Draining && p.inFlight == 0:
		p.drained.Write(at, float64(p.since))
	case p.state == Draining:
		p.drain = p.since
	}
}

// A limit's bucket holds what comes in limitDepth at its rate, leastDepth tokens at least.
const (
	limitDepth = 100 * time.Millisecond
	leastDepth = 10
)

// limit sets the rate at which requests are let in. The tokens that are left stay.
func (p *place) limit(at dsv.Instant, rate float64) {
	if rate == p.limited {
		return
	}
	p.limited = rate
	depth := max(rate*limitDepth.Seconds(), leastDepth)
	switch {
	case rate <= 0:
		p.bucket = nil
	case p.bucket == nil:
		p.bucket = admit.NewBucket(admit.BucketConfig{Rate: rate, Depth: depth})
	default:
		p.bucket.SetRate(at, rate)
		p.bucket.SetDepth(at, depth)
	}
}

// copies goes on with the copies that a mapping asks of this server, where it is their source. They cross the link one after
// another, in the order in which they were asked for.
func (h *Host) copies(at dsv.Instant, svc int, m *Mapping) {
	p := &h.here[svc]
	was := p.copies
	p.copies = nil
	if m.placed.copying {
		p.copies = h.asked(p, m)
	}
	slices.Sort(p.copies)
	if len(p.copies) == 0 || len(was) == 0 || p.copies[0] != was[0] {
		p.left, p.sending = int64(h.cfg.Services[svc].Size), false
	}
	if !p.sending {
		h.copyOn(at, svc)
	}
}

// asked lists the copies that a mapping asks of this server.
func (h *Host) asked(p *place, m *Mapping) (copies []uint32) {
	first := ""
	if i := slices.IndexFunc(m.Replicas, func(r Replica) bool { return r.State == Serving || r.State == Stopped }); i >= 0 {
		first = m.Replicas[i].Server
	}
	for i, r := range m.Replicas {
		if r.State == Copying && cmp.Or(r.Source, first) == h.name {
			if since := m.Since(i); since > p.copied {
				copies = append(copies, since)
			}
		}
	}
	return copies
}

// copyChunk is what a copy puts on the link at a time, so that replies are not held up by a whole copy.
const copyChunk = 64 << 10

// copyOn sends the next chunk of a copy, or acknowledges the last one and begins the next copy.
func (h *Host) copyOn(at dsv.Instant, svc int) {
	p := &h.here[svc]
	p.sending = false
	for len(p.copies) > 0 {
		for p.left > 0 {
			n := min(p.left, copyChunk)
			p.left -= n
			if h.hw.send(at, linkCopy, step.NewRef(uint32(svc), p.copies[0]), n) {
				p.sending = true
				return
			}
		}
		p.copied = p.copies[0]
		p.crossed.Write(at, float64(p.copied))
		p.copies = p.copies[1:]
		p.left = int64(h.cfg.Services[svc].Size)
	}
}

// copiedOn is when a chunk of a copy has left the server; that of one that was given up counts for nothing.
func (h *Host) copiedOn(at dsv.Instant, svc int, copy uint32) {
	if p := &h.here[svc]; p.sending && p.copies[0] == copy {
		h.copyOn(at, svc)
	}
}

// ReplyAnswer is what a Reply effect tells the caller.
func ReplyAnswer(e step.Effect) Answer {
	a := Answer{Status: int(e.Code), Bytes: e.N}
	switch {
	case e.Code == 421:
		a.Epoch, a.Bytes = uint32(e.N), 0
	case e.Code >= 500:
		a.Cause = Cause(e.Ref)
		if e.Code == 503 {
			a.Bytes = 0 // N is when to ask again
		}
	}
	return a
}
