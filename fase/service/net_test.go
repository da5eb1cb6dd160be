package service_test

import (
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
)

// post is the network as a core: what is under way, by the instant at which it comes.
type post struct {
	step.Agenda[dsv.Instant, func(dsv.Instant)]
}

func (p *post) Next() dsv.Instant {
	if at, _, ok := p.Peek(); ok {
		return at
	}
	return dsv.Never
}

func (p *post) Advance(to dsv.Instant) {
	if p.Next() <= to {
		at, f, _ := p.Pop()
		f(at)
	}
}

func (p *post) Effects() []step.Effect { return nil }

// Route implements step.Router.
func (w *world) Route(core int, e step.Effect) {
	for _, x := range []uint64{uint64(core), uint64(e.At), uint64(e.Kind), uint64(e.Code), uint64(e.Node), uint64(e.Ref), e.Key, uint64(e.N)} {
		w.hash = (w.hash ^ x) * 0x100000001b3
	}
	switch e.Kind {
	case step.Send, step.Call:
		w.carry(core, e)
	case step.Abandon, step.Withdraw:
		w.giveUp(core, e)
	case step.Reply, step.Reset:
		w.reply(core, e)
	case step.Down:
		w.downs++
	case step.Burn:
		w.burn(core, e)
	}
}

func (w *world) carry(core int, e step.Effect) {
	o := origin{core, e.Ref}
	if _, ok := w.out[o]; ok {
		w.t.Errorf("core %d sent call %#x while it is under way", core, e.Ref)
	}
	var req *service.Request
	if core < len(w.hosts) {
		req = w.hosts[core].Request(e.Ref)
	} else {
		g := w.groups[core-len(w.hosts)]
		g.Sent(e.At, e.Ref)
		req = g.Request(e.Ref)
	}
	if req == nil {
		return // given up in the same instant
	}
	r := *req
	tag := len(w.flights)
	w.flights, w.out[o] = append(w.flights, wire{from: o, node: e.Node}), tag
	if !w.gentle && w.rng.IntN(20) == 0 {
		w.flights[tag].lost = true
		w.mail.Push(e.At+w.lag(), func(at dsv.Instant) {
			w.answer(at, tag, service.Answer{Cause: []service.Cause{service.Refused, service.Reset, service.NoRoute}[w.rng.IntN(3)]})
		})
		return
	}
	w.mail.Push(e.At+w.lag(), func(at dsv.Instant) {
		w.flights[tag].arrived = true
		w.hosts[e.Node].Arrive(at, &r, uint64(tag))
	})
}

// giveUp closes a connection: the server hears of it after the request.
func (w *world) giveUp(core int, e step.Effect) {
	tag, ok := w.out[origin{core, e.Ref}]
	if !ok {
		return // it has not left its host's link
	}
	delete(w.out, origin{core, e.Ref})
	if f := &w.flights[tag]; f.lost {
		f.answers = -1
		return
	}
	var tell func(dsv.Instant)
	tell = func(at dsv.Instant) {
		if !w.flights[tag].arrived {
			w.mail.Push(at+ms, tell)
			return
		}
		w.hosts[e.Node].Close(at, uint64(tag))
	}
	w.mail.Push(e.At+w.lag(), tell)
}

func (w *world) reply(core int, e step.Effect) {
	f := &w.flights[e.Key]
	if f.replies++; f.replies != 1 || int(f.node) != core {
		w.t.Errorf("call %d: reply %d, from server %d", e.Key, f.replies, core)
	}
	a := service.Answer{Status: int(e.Code), Bytes: e.N}
	if e.Kind == step.Reset {
		a = service.Answer{Cause: service.Cause(e.Code)}
	}
	switch e.Code {
	case 421:
		a.Epoch, a.Bytes = uint32(e.N), 0
	case 503:
		a.Bytes = 0
	}
	if !w.gentle && w.rng.IntN(30) == 0 {
		a = service.Answer{Cause: service.Closed}
	}
	w.mail.Push(e.At+w.lag(), func(at dsv.Instant) { w.answer(at, int(e.Key), a) })
}

func (w *world) answer(at dsv.Instant, tag int, a service.Answer) {
	f := &w.flights[tag]
	if t, ok := w.out[f.from]; !ok || t != tag {
		return // given up
	}
	delete(w.out, f.from)
	f.answers++
	if core := f.from.core; core < len(w.hosts) {
		w.hosts[core].Answer(at, f.from.ref, a)
	} else {
		w.groups[core-len(w.hosts)].Answer(at, f.from.ref, a)
	}
}

// burn consumes one grant after another, as one loop does.
func (w *world) burn(core int, e step.Effect) {
	switch e.Code {
	case service.BurnFree, service.BurnDrop:
		return
	case service.BurnChoose:
		w.mail.Push(e.At+w.lag(), w.hosts[core].Choose)
		return
	}
	ns := e.N
	if e.Code != service.BurnCPU {
		ns /= 50
	}
	w.free[core] = max(w.free[core], e.At) + dsv.Instant(ns)
	w.mail.Push(w.free[core]-dsv.Instant(ns), func(at dsv.Instant) {
		e, ok := w.hosts[core].Begin(at, e)
		if !ok {
			return
		}
		if e.Code == service.BurnCPU {
			ns = e.N // of another, perhaps
		}
		w.mail.Push(at+dsv.Instant(ns), func(at dsv.Instant) { w.hosts[core].Met(at, e.Ref, ns) })
	})
}
