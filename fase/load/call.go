package load

import (
	"fmt"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
)

// A call is one request under way, from the Send effect to its end.
type call struct {
	links[call] // in the line of its pool

	slot  uint32
	core  int
	ref   step.Ref
	pool  *pool
	owner uint32 // where users own their connections
	conn  *conn  // nil while it waits in line, or for its failure to be told

	msg    []byte      // head, and compact or short body, made once
	body   string      // a long one, after msg
	pad    int64       // bytes of body after that
	plain  plain       // what msg was made of
	sentAt dsv.Instant // 0: not yet
	live   bool
}

func (k *call) chain() *links[call] { return &k.links }

// total is the length of the request.
func (k *call) total() int64 { return int64(len(k.msg)+len(k.body)) + k.pad }

// maxKept bounds the memory that a finished call keeps for its next message.
const maxKept = 16 << 10

// An ending is a call that failed while effects were being routed, when its group could not be told.
type ending struct {
	call  *call
	cause service.Cause
}

// router routes the groups' effects into the loop.
type router struct{ l *Loop }

// Route implements step.Router.
func (r router) Route(core int, e step.Effect) {
	switch e.Kind {
	case step.Send:
		r.l.send(core, e)
	case step.Abandon:
		r.l.abandon(core, e.Ref)
	case step.Leave:
		r.l.leave(uint32(e.N))
	default:
		panic(fmt.Sprintf("load: effect of kind %d from a group", e.Kind))
	}
}

// send takes a call up.
func (l *Loop) send(core int, e step.Effect) {
	l.stats.Issued++
	req := l.cfg.Groups[core].Request(e.Ref)
	if l.closing || req == nil {
		l.stats.Abandoned++
		return
	}
	k := l.newCall(core, e.Ref)
	p, cause, err := l.poolOf(int(e.Node))
	if err == nil {
		cause, err = service.Other, l.encode(k, req, p)
	}
	if err != nil {
		l.note(err.Error())
		l.fail(k, cause)
		return
	}
	k.pool = p
	if l.cfg.Own {
		k.owner = l.cfg.Groups[core].(Owner).Owner(e.Ref)
	}
	l.assign(k)
}

func (l *Loop) newCall(core int, ref step.Ref) *call {
	k, slot := l.calls.take()
	if cap(k.msg) > maxKept {
		k.msg, k.plain = nil, plain{}
	}
	*k = call{slot: slot, core: core, ref: ref, msg: k.msg, body: k.body, pad: k.pad, plain: k.plain, live: true}
	l.stats.InFlight++
	table := l.flights[core]
	at := int(ref.Slot())
	for len(table) <= at {
		table = append(table, nil)
	}
	if table[at] != nil {
		panic(fmt.Sprintf("load: group %d sent call %#x while %#x is under way in its slot", core, ref, table[at].ref))
	}
	table[at] = k
	l.flights[core] = table
	return k
}

// end forgets a call; its group is told by the caller.
func (l *Loop) end(k *call) {
	l.flights[k.core][k.ref.Slot()] = nil
	k.live, k.conn = false, nil
	l.stats.InFlight--
	l.calls.give(k.slot)
}

// markSent notes that a call is taken up now.
func (l *Loop) markSent(k *call) {
	if k.sentAt == 0 {
		l.submit() // so that instants do not fall
		k.sentAt = max(l.clock(), l.now)
		l.sents = append(l.sents, sent{core: k.core, ref: k.ref, at: k.sentAt})
	}
}

// queueSent notes that a call is queued, to be sent when stamp says.
func (l *Loop) queueSent(k *call) {
	if k.sentAt == 0 {
		k.sentAt = max(l.now, 1)
		l.sents = append(l.sents, sent{core: k.core, ref: k.ref})
		l.ring.queued++
	}
}

// answer hands a whole answer, or a failure that an event brought, to the call's group. The call is over.
func (l *Loop) answer(k *call, a service.Answer) {
	if a.Cause == service.OK {
		l.stats.Answered++
	} else {
		l.stats.Errors[a.Cause]++
	}
	group, ref := l.cfg.Groups[k.core], k.ref
	l.end(k)
	group.Answer(l.now, ref, a)
}

// fail ends a call without an answer. The group is told at the end of the turn: it may be in the middle of its effects, and a
// group that answers every failure with another call must not keep the loop from its sockets.
func (l *Loop) fail(k *call, c service.Cause) {
	k.conn = nil
	l.failed = append(l.failed, ending{k, c})
}

// reportFailed tells the groups of calls that failed. What fails meanwhile is told next time.
func (l *Loop) reportFailed() {
	n := len(l.failed)
	if n == 0 {
		return
	}
	l.tick()
	for i := range n {
		// A call that was abandoned meanwhile has left its place empty.
		if f := l.failed[i]; f.call != nil {
			l.answer(f.call, service.Answer{Cause: f.cause})
		}
	}
	rest := copy(l.failed, l.failed[n:])
	clear(l.failed[rest:])
	l.failed = l.failed[:rest]
}

// abandon gives a call up, if it is still under way, and closes its connection.
func (l *Loop) abandon(core int, ref step.Ref) {
	slot := int(ref.Slot())
	if slot >= len(l.flights[core]) {
		return
	}
	k := l.flights[core][slot]
	if k == nil || k.ref != ref {
		return
	}
	l.drop(k)
}

func (l *Loop) drop(k *call) {
	l.stats.Abandoned++
	for i := range l.failed {
		if l.failed[i].call == k {
			l.failed[i].call = nil
		}
	}
	c, p := k.conn, k.pool
	if p != nil {
		p.line.remove(k)
	}
	l.end(k)
	if c != nil {
		l.closeConn(c)
		l.serve(p)
	}
}

// abandonAll gives up every call and tells the groups.
func (l *Loop) abandonAll() {
	l.tick()
	for _, k := range l.calls.all {
		if !k.live {
			continue
		}
		group, ref := l.cfg.Groups[k.core], k.ref
		l.drop(k)
		group.Answer(l.now, ref, service.Answer{Cause: service.Abandoned})
	}
	l.driver.Flush()
}
