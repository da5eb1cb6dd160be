package service

import (
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
)

// Apply implements Site: it puts a mapping in force and does this server's part in it. One that was told before is
// ignored, so that no copy begins twice.
func (h *Host) Apply(at dsv.Instant, svc int, m Mapping) {
	if known := h.run.Calls.Mapping(svc).Epoch; m.Epoch < known || m.Epoch == known && known > 0 {
		return
	}
	h.run.Calls.Apply(at, svc, m)
	p := &h.here[svc]
	p.state, p.drain = "", 0
	source, copies := "", false
	for _, r := range m.Replicas {
		if r.Server == h.name {
			p.state = r.State
		}
		if source == "" && (r.State == Serving || r.State == Stopped) {
			source = r.Server
		}
		copies = copies || r.State == Copying
	}
	h.quick.mapped(svc, m.Epoch, p.state)
	switch {
	case p.state == Copying:
		p.ready.Write(at, float64(m.Epoch))
	case p.state == Draining && p.inFlight == 0:
		p.drained.Write(at, float64(m.Epoch))
	case p.state == Draining:
		p.drain = m.Epoch
	}
	if copies && source == h.name {
		p.left, p.copyEpoch = int64(h.cfg.Services[svc].Size), m.Epoch
		h.copyOn(at, svc)
	}
	if p.state != Serving && p.state != Draining {
		h.unpool(at, svc)
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

// copyChunk is what a copy puts on the link at a time, so that replies are not held up by a whole copy.
const copyChunk = 64 << 10

// copyOn sends the next chunk of a copy, or acknowledges the last one.
func (h *Host) copyOn(at dsv.Instant, svc int) {
	p := &h.here[svc]
	if p.copyEpoch != h.run.Calls.Mapping(svc).Epoch {
		return // the action was given up
	}
	for p.left > 0 {
		n := min(p.left, copyChunk)
		p.left -= n
		if h.hw.send(at, linkCopy, step.NewRef(uint32(svc), p.copyEpoch), n) {
			return
		}
	}
	p.copied.Write(at, float64(p.copyEpoch))
}
