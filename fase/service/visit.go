package service

import (
	"encoding/binary"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// A visit's life: admit → (execution) → reply, which crosses the link → deliver; and close once both have ended.

// admit lets a request in that has crossed the link.
func (h *Host) admit(at dsv.Instant, x uint32) {
	h.visits[x].arrived = at
	h.decide(at, x)
}

// decide starts a request, lets it wait for a mapping that its caller knows already, or turns it away.
func (h *Host) decide(at dsv.Instant, x uint32) {
	v := &h.visits[x]
	svc, level := v.req.Service, ""
	if svc >= 0 {
		m := h.run.Calls.Mapping(svc)
		if v.req.Epoch > m.Epoch {
			h.early[svc] = append(h.early[svc], h.ref(x))
			h.later(at.Add(earlyPatience), eventEarly, x)
			return
		}
		if s := h.here[svc].state; s != Serving && s != Draining || m.Paused {
			h.turnAway(at, x, 421)
			return
		}
		if m.Limit > 0 && !h.here[svc].bucket.Take(at) {
			h.limited(at, x)
			return
		}
		h.here[svc].inFlight++
		v.admitted = true
		level = m.Level
	}
	if v.req.Block == nil {
		h.turnAway(at, x, 200)
		return
	}
	if h.adm.gate != nil {
		h.register(at, x, level)
		return
	}
	h.start(at, x)
}

// start begins the execution of a request, once there is a worker for it.
func (h *Host) start(at dsv.Instant, x uint32) {
	if w := h.workersOf(&h.visits[x]); w == nil || h.enlist(at, x, w) {
		h.begin(at, x)
	}
}

// begin begins the execution of a request, at the level that is in force now.
func (h *Host) begin(at dsv.Instant, x uint32) {
	v := &h.visits[x]
	level := ""
	if v.req.Service >= 0 {
		level = h.run.Calls.Mapping(v.req.Service).Level
	}
	v.begun = true
	h.run.Asks(x, v.req.Client)
	h.run.Begin(at, x, v.req.Block, v.req.Key, level, Urgency{v.req.Priority, v.req.Deadline})
}

// earlyPatience is how long a request waits for the mapping that its caller has told of. One that never comes is of
// another run.
const earlyPatience = 10 * time.Second

// waits reports whether a request is here that is on the link or waits for a mapping.
func (h *Host) waits(ref step.Ref) bool {
	x := ref.Slot()
	v := &h.visits[x]
	return h.run.Alive(x, ref.Gen()) && !v.begun && !v.pooled && !v.enlisted && v.onward == 0 && v.status == 0
}

// tooEarly turns a request away whose mapping has not come. Those before it in line have been waiting for longer, and are
// gone.
func (h *Host) tooEarly(at dsv.Instant, ref step.Ref) {
	if !h.waits(ref) {
		return
	}
	svc := h.visits[ref.Slot()].req.Service
	h.turnAway(at, ref.Slot(), 421)
	line := h.early[svc]
	for len(line) > 0 && !h.waits(line[0]) {
		line = line[1:]
	}
	h.early[svc] = line
}

// limited answers a request with 503 that finds no token.
func (h *Host) limited(at dsv.Instant, x uint32) {
	v := &h.visits[x]
	wait := h.here[v.req.Service].bucket.Wait(at)
	v.shed, v.cause, v.retry = true, Limited, int64((wait+time.Second-1)/time.Second)
	h.turnAway(at, x, 503)
}

// turnAway answers a request that executes nothing.
func (h *Host) turnAway(at dsv.Instant, x uint32, status int) {
	h.visits[x].ended = true
	h.reply(at, x, status, 0)
}

// withdraw ends a request whose caller has gone.
func (h *Host) withdraw(at dsv.Instant, x uint32) {
	switch v := &h.visits[x]; {
	case v.begun:
		h.run.Cancel(at, x, rdr.Canceled)
	case v.enlisted:
		h.dismiss(at, x)
		h.turnAway(at, x, 503)
	case v.pooled:
		h.unregister(at, h.ref(x))
		h.turnAway(at, x, 503)
	case v.onward != 0:
		h.run.Calls.GiveUp(at, v.onward, Abandoned)
		v.onward = 0
		h.turnAway(at, x, 503)
	case v.status == 0: // on the link, or waiting for a mapping
		h.turnAway(at, x, 503)
	}
}

// Ended implements Site. A request that failed before its reply gets a 500.
func (h *Host) Ended(at dsv.Instant, x uint32) {
	status := 200
	if h.run.Task(x).Outcome() != rdr.OK {
		status = 500
	}
	h.reply(at, x, status, 0)
	h.leaveWorker(at, x)
	h.leaveService(at, x)
}

// Gone implements Site.
func (h *Host) Gone(at dsv.Instant, x uint32) {
	h.visits[x].ended = true
	h.close(at, x)
}

// Called implements Site: a host has no use for how its calls ended beyond their outcome.
func (h *Host) Called(uint32, Cause) {}

// reply starts a response of n bytes on its way; the first one counts.
func (h *Host) reply(at dsv.Instant, x uint32, status int, n int64) {
	v := &h.visits[x]
	if v.status != 0 {
		return
	}
	v.status, v.bytes, v.replying = status, n, true
	if v.call == 0 && h.hw.send(at, linkReply, h.ref(x), n) {
		return // departures goes on
	}
	h.sent(at, x)
}

func (h *Host) ref(x uint32) step.Ref { return step.NewRef(x, h.run.tasks[x].gen) }

// sent is when the last byte of the reply has left the server.
func (h *Host) sent(at dsv.Instant, x uint32) {
	v := &h.visits[x]
	v.done = at
	if svc := v.req.Service; v.admitted && !v.shed {
		p := &h.here[svc]
		p.residence.Write(at, at.Sub(v.arrived).Seconds())
		p.wait.Write(at, float64(v.wait)/1e9)
		p.service.Write(at, float64(v.service)/1e9)
	}
	if h.adm.gate != nil && v.begun {
		h.adm.gate.Answered(at, at.Sub(v.arrived))
	}
	if v.call == 0 && !h.cross.instant() {
		h.later(h.cross.arrives(at, v.req.Key, crossReply), eventReply, x)
		return
	}
	h.deliver(at, x)
}

// deliver hands the reply to its caller.
func (h *Host) deliver(at dsv.Instant, x uint32) {
	v := &h.visits[x]
	v.replying = false
	h.book(v.req.Service).replied++
	a := Answer{Status: v.status, Cause: v.cause, Bytes: v.bytes}
	epoch := int64(0)
	if v.status == 421 {
		a.Epoch = h.run.Calls.Mapping(v.req.Service).Epoch
		epoch = int64(a.Epoch)
	}
	if v.call != 0 {
		// By the agenda, so that a caller never resumes inside the work of its own server.
		h.carries(v.call, a.Bytes)
		h.run.Agenda.Push(at, Event{Kind: eventAnswer, Ref: v.call, N: packAnswer(a)})
	} else {
		e := step.Effect{At: at, Kind: step.Reply, Code: uint16(v.status), Node: -1, Ref: step.Ref(v.sends), Key: v.tag, N: v.bytes}
		switch v.status {
		case 421:
			e.N = epoch
		case 503:
			e.N = v.retry
		}
		if v.status >= 500 {
			e.Ref = step.Ref(v.cause)
		}
		h.effect(e)
	}
	h.unpin(at, v.sends)
	h.close(at, x)
}

// close forgets a visit once its execution has ended and its reply is out.
func (h *Host) close(at dsv.Instant, x uint32) {
	v := &h.visits[x]
	if !v.ended || v.replying || !h.run.tasks[x].live {
		return
	}
	switch {
	case !h.cfg.CancelOnClose:
	case v.call == 0:
		delete(h.byTag, v.tag)
	default:
		delete(h.byCall, v.call)
	}
	if v.admitted {
		p := &h.here[v.req.Service]
		p.inFlight--
		if !v.shed {
			h.record(at, x)
		}
		if p.inFlight == 0 && p.drain > 0 {
			p.drained.Write(at, float64(p.drain))
			p.drain = 0
		}
	}
	h.unpin(at, v.object)
	h.visits[x] = visit{}
	h.run.Release(at, x)
}

// recordNode sets the choice of recorded requests apart from other draws.
const recordNode = 0x4ec0

// Recorded reports whether the request of a key is one of the share that is recorded one by one; a share of 0 means all.
func Recorded(key rdr.Key, share float64) bool {
	return share <= 0 || key.Mix(recordNode).Uniform() < share
}

// HostRecordSize is the size in bytes of one record of SERVICE.records: key, arrived, done, and [PackDemand] of its CPU demand and server.
// Where demands are burned a word follows: how long the resources served it, in ns, as the server measured it.
const HostRecordSize = 32

// demandBits are those of a CPU demand in ns: three days.
const demandBits = 48

// PackDemand fits the CPU demand of an execution, in ns, and the index of its server into a word.
func PackDemand(cpu int64, node int) uint64 {
	return uint64(min(max(cpu, 0), 1<<demandBits-1)) | uint64(node)<<demandBits
}

// UnpackDemand is the inverse of PackDemand.
func UnpackDemand(w uint64) (cpu int64, node int) {
	return int64(w & (1<<demandBits - 1)), int(w >> demandBits)
}

func (h *Host) record(at dsv.Instant, x uint32) {
	v := &h.visits[x]
	if h.here[v.req.Service].records == nil || !Recorded(v.req.Key, h.cfg.RecordShare) {
		return
	}
	b := appendHostRecord(h.recordBuf[:0], v.req.Key, v.arrived, v.done, PackDemand(v.cpu, h.cfg.Node))
	if h.hw.burnCPU != nil {
		b = binary.LittleEndian.AppendUint64(b, uint64(v.service))
	}
	h.here[v.req.Service].records.Append(at, b)
}

func appendHostRecord(b []byte, key rdr.Key, arrived, done dsv.Instant, demand uint64) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(key))
	b = binary.LittleEndian.AppendUint64(b, uint64(arrived))
	b = binary.LittleEndian.AppendUint64(b, uint64(done))
	return binary.LittleEndian.AppendUint64(b, demand)
}

// called takes the effects of the host's Caller: a call crosses the link first, one to this very server does not leave.
func (h *Host) called(e step.Effect) {
	switch local := h.run.Calls.Request(e.Ref).Local; {
	case e.Kind != step.Call && local:
		h.run.Agenda.Push(e.At, Event{Kind: eventClose, Ref: e.Ref})
		return
	case e.Kind != step.Call:
		h.effect(e)
		return
	case local:
		h.run.Agenda.Push(e.At, Event{Kind: eventCall, Ref: e.Ref})
		return
	}
	if !h.hw.send(e.At, linkCall, e.Ref, e.N) {
		h.depart(e.At, e.Ref)
	}
}

// depart is when the last byte of a call has left the server.
func (h *Host) depart(at dsv.Instant, ref step.Ref) {
	if r := h.run.Calls.Request(ref); r != nil && !h.cross.instant() {
		h.run.Agenda.Push(h.cross.arrives(at, r.Key, crossCall), Event{Kind: eventCall, Ref: ref})
		return
	}
	h.leave(at, ref)
}

// leave hands a call to its server, unless it was given up on the way.
func (h *Host) leave(at dsv.Instant, ref step.Ref) {
	r := h.run.Calls.Request(ref)
	if r == nil {
		return
	}
	if !r.Local {
		h.effect(step.Effect{At: at, Kind: step.Call, Node: h.run.Calls.Node(ref), Ref: ref, Key: uint64(r.Key), N: r.Send})
		return
	}
	h.admit(at, h.visit(at, r, 0, ref))
}
