package service

import (
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// remember gets memory for a request: at once, or when others give some back, or not at all, as the machine says.
func (h *Host) remember(at dsv.Instant, ref step.Ref, d *rdr.Demand) {
	hw, x := &h.hw, h.run.lookup(ref).x
	hw.meters[resMemory].requested.Write(at, float64(d.N))
	kills := hw.cfg.Full == machine.Kill
	switch never := hw.exceeds(d.N); {
	case never && kills:
		h.visits[x].memory += d.N
		h.run.Agenda.Push(at, Event{Kind: eventShort, Ref: h.ref(x)})
		return
	case never, hw.cfg.Full == machine.Fail && !hw.memory.Fits(d.N):
		hw.short.Write(at, 1)
		h.run.Met(at, ref, rdr.Rejected)
		return
	}
	h.visits[x].memory += d.N
	held, _ := hw.memory.Acquire(at, ref, d.N)
	switch {
	case held:
		h.held(at, ref)
	case kills:
		h.run.Agenda.Push(at, Event{Kind: eventShort})
	}
}

// exceeds reports whether so much memory is more than the machine has.
func (hw *hardware) exceeds(n int64) bool { return hw.cfg.Memory > 0 && n > int64(hw.cfg.Memory) }

// forget gives memory back, or leaves the line for it.
func (h *Host) forget(at dsv.Instant, ref step.Ref, cancel bool, n int64) {
	p := h.run.lookup(ref)
	h.visits[p.x].memory -= n
	if h.hw.exceeds(n) || cancel && h.hw.memory.Withdraw(at, ref) {
		return
	}
	if p.had {
		h.hw.meters[resMemory].service.Write(at, at.Sub(p.since).Seconds())
	}
	h.hw.memory.Release(at, n)
	if h.hw.burnCPU != nil {
		h.effect(step.Effect{At: at, Kind: step.Burn, Code: BurnFree, Node: -1, Ref: ref, N: n})
	}
}

// short kills requests until nobody waits for memory: the one that asked for more than there is or, each time, the one that holds
// the most, what it waits for included.
func (h *Host) short(at dsv.Instant, asked step.Ref) {
	if asked != 0 {
		if x := asked.Slot(); h.run.Alive(x, asked.Gen()) {
			h.kill(at, x)
		}
		return
	}
	for h.hw.memory.Waiting() > 0 {
		h.kill(at, h.fattest())
	}
}

// fattest is the execution that holds the most memory; of several the one that came last.
func (h *Host) fattest() uint32 {
	best := 0
	for i := range h.visits {
		v, b := &h.visits[i], &h.visits[best]
		if v.memory > b.memory || v.memory == b.memory && v.arrived > b.arrived {
			best = i
		}
	}
	return uint32(best)
}

// kill ends a request without an answer: its caller sees its connection reset, unless it has had its reply.
func (h *Host) kill(at dsv.Instant, x uint32) {
	v := &h.visits[x]
	h.hw.killed.Write(at, 1)
	if v.status == 0 {
		v.status, v.done, v.shed = statusKilled, at, true
		h.book(v.req.Service).lost++
		if v.call != 0 {
			h.run.Agenda.Push(at, Event{Kind: eventAnswer, Ref: v.call, N: packAnswer(Answer{Cause: Reset})})
		} else {
			h.effect(step.Effect{At: at, Kind: step.Reset, Code: uint16(Reset), Node: -1, Key: v.tag})
		}
	}
	h.run.Cancel(at, x, rdr.Canceled)
}

// statusKilled is in the place of a status for a request that gets no answer.
const statusKilled = 1
