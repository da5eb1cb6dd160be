package service

import (
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// AdmitNames lists what is measured of a server's admission, as it stands behind SERVER.admit.
func AdmitNames() []string {
	return []string{"queue", "waited", "rejected", "forwarded", "rate", "threshold", "observed"}
}

// admission is the gate of a host, which requests with a block pass between their registration and their execution.
type admission struct {
	gate     *admit.Gate // nil: every request is served at once
	draw     rdr.Task
	sum      int64 // of the demands drawn, in ns
	count    func(*rdr.Demand)
	asked    []node // by server: what it told of its load
	choosing bool   // a BurnChoose is under way
	taking   bool
	refs     []step.Ref // reused

	share float64 // of the requests that are rejected before they are registered

	area dwell
	queue, waited, rejected, forwarded,
	rate, threshold, observed *dmm.Var
	shed []*dmm.Var // by service
}

// node is what is known of another server's load.
type node struct {
	load float64 // requests there, as it told last
	sent int     // requests that were forwarded to it since
}

// dwell integrates how many wait.
type dwell struct {
	last dsv.Instant
	sum  float64 // request-nanoseconds
}

func (d *dwell) upTo(at dsv.Instant, n int) {
	if t := at - d.last; t > 0 {
		d.sum += float64(t) * float64(n)
		d.last = at
	}
}

// Gated reports whether requests pass a gate at the server.
func (c *HostConfig) Gated() bool { return c.Admit.Enabled(c.Workers) }

func (h *Host) newAdmission(vars Vars) {
	a, cfg := &h.adm, &h.cfg
	if !cfg.Gated() {
		return
	}
	a.gate = admit.New(cfg.Admit, cfg.Workers, h.cached)
	a.asked = make([]node, len(cfg.Topology.Servers))
	a.count = h.countDemand
	for i, v := range []**dmm.Var{&a.queue, &a.waited, &a.rejected, &a.forwarded, &a.rate, &a.threshold, &a.observed} {
		*v = vars(dsv.Name(h.name + ".admit." + AdmitNames()[i]))
	}
	for _, s := range cfg.Topology.Services {
		a.shed = append(a.shed, vars(dsv.Name(s+".rejected")))
	}
}

// cached tells the policy Hits what the cache holds.
func (h *Host) cached(object uint64) bool { return h.Cached(files.Object(object)) }

// register is the end of the first phase: the request is known.
func (h *Host) register(at dsv.Instant, x uint32, level string) {
	a, v := &h.adm, &h.visits[x]
	r := h.known(at, x, level)
	a.area.upTo(at, a.gate.Len())
	if a.share > 0 && rdr.Key(v.req.Key).Mix(shedPart).Uniform() < a.share || !a.gate.Register(at, r) {
		h.reject(at, x)
		return
	}
	v.pooled = true
	h.choose(at)
}

// known is what the gate is told of a request: no more than its policy asks for, since a demand has to be drawn.
func (h *Host) known(at dsv.Instant, x uint32, level string) admit.Request {
	v := &h.visits[x]
	r := admit.Request{Ref: h.ref(x), Client: v.req.Client, Stays: v.req.Forwarded || v.req.Service < 0}
	switch h.cfg.Admit.Policy {
	case admit.SJF, admit.Fair:
		r.Demand = h.demand(v, level)
	case admit.EDF, admit.Priority:
		u := urgency(at, v.req.Block, v.req.Key, Urgency{v.req.Priority, v.req.Deadline})
		r.Priority, r.Deadline = u.Priority, u.Deadline
	case admit.Hits, admit.Object:
		r.Object = uint64(h.Object(&v.req, level))
	}
	return r
}

// demand is what a request will ask of this machine's processors and disk, in ns: every draw follows from its key.
func (h *Host) demand(v *visit, level string) int64 {
	h.adm.sum = 0
	h.adm.draw.Draw(v.req.Block, v.req.Key, level, h.adm.count)
	return h.adm.sum
}

func (h *Host) countDemand(d *rdr.Demand) {
	switch d.Op {
	case rdr.OpCPU:
		h.adm.sum += wholeNs(float64(d.N) / h.hw.speed())
	case rdr.OpDiskRead, rdr.OpDiskWrite:
		h.adm.sum += h.hw.diskTime(d)
	case rdr.OpFile:
		if s := h.lib.set(d.Name); s >= 0 {
			h.adm.sum += h.fileTime(files.NewObject(s, h.lib.sets[s].Draw(d.Key)))
		}
	}
}

// fileTime is what getting a file takes if that is done now, in ns.
func (h *Host) fileTime(o files.Object) int64 {
	if h.Cached(o) {
		return 0
	}
	return h.hw.diskTime(&rdr.Demand{Op: rdr.OpFile, N: h.lib.size(o)})
}

// choose lets those into service whose turn has come. A server that burns chooses when it has looked at its sockets, so that
// who came while it burned is among those it chooses from.
func (h *Host) choose(at dsv.Instant) {
	a := &h.adm
	switch {
	case h.hw.burnCPU == nil:
		h.Choose(at)
	case !a.choosing && a.gate.Ready(at):
		a.choosing = true
		h.effect(step.Effect{At: at, Kind: step.Burn, Code: BurnChoose, Node: -1})
	}
}

// Choose carries out a Burn effect with code BurnChoose: those whose turn has come go into service.
func (h *Host) Choose(at dsv.Instant) {
	a := &h.adm
	a.choosing = false
	if a.gate == nil || a.taking {
		return
	}
	a.taking = true
	for {
		a.area.upTo(at, a.gate.Len())
		d, ok := a.gate.Take(at)
		if !ok {
			break
		}
		x := d.Ref.Slot()
		h.visits[x].pooled = false
		if !d.Serve {
			h.reject(at, x)
			continue
		}
		a.waited.Write(at, d.Waited.Seconds())
		h.visits[x].serving = true
		h.start(at, x)
	}
	a.taking = false
}

// gateDue acts on what the gate wants at an instant.
func (h *Host) gateDue(at dsv.Instant) {
	a := &h.adm
	a.gate.Advance(at)
	for {
		ref, ok := a.gate.Overdue(at)
		if !ok {
			break
		}
		h.forward(at, ref)
	}
	h.choose(at)
}

// gateNext is when gateDue has something to do.
func (h *Host) gateNext() dsv.Instant {
	switch a := &h.adm; {
	case a.gate == nil:
		return dsv.Never
	case a.choosing:
		return a.gate.Timer()
	default:
		return a.gate.Next()
	}
}

// leaveService frees the place of a request whose execution has ended.
func (h *Host) leaveService(at dsv.Instant, x uint32) {
	if v := &h.visits[x]; v.serving {
		v.serving = false
		h.adm.gate.Done()
		h.choose(at)
	}
}

// reject answers a request that is not served with 503.
func (h *Host) reject(at dsv.Instant, x uint32) {
	a, v := &h.adm, &h.visits[x]
	v.shed, v.retry = true, a.gate.RetryAfter(at)
	a.rejected.Write(at, 1)
	if svc := v.req.Service; svc >= 0 {
		a.shed[svc].Write(at, 1)
	}
	h.turnAway(at, x, 503)
}

// forward hands a request in the pool to another server of its service. Without one it stays.
func (h *Host) forward(at dsv.Instant, ref step.Ref) {
	x := ref.Slot()
	a, v := &h.adm, &h.visits[x]
	to := h.forwardTo(v)
	if to < 0 {
		return
	}
	a.area.upTo(at, a.gate.Len())
	a.gate.Withdraw(ref)
	a.asked[to].sent++
	a.forwarded.Write(at, 1)
	req := v.req
	req.Forwarded, req.Local = true, false
	v.pooled, v.shed = false, true
	v.onward = h.run.Calls.Forward(at, to, req, Op{Ref: ref, Forwarded: true})
}

// forwardNode sets the choice of a server to forward to apart from other draws.
const forwardNode = 0xf04d

// forwardTo is the server that a request is forwarded to; -1 for none.
func (h *Host) forwardTo(v *visit) int {
	best, least, n := -1, 0.0, 0
	u := v.req.Key.Mix(forwardNode)
	h.run.Calls.Others(v.req.Service, func(node int) {
		n++
		a := &h.adm.asked[node]
		switch load := a.load + float64(a.sent); {
		case h.cfg.Admit.Forward.To == admit.Random:
			if u.Mix(uint64(n)).Uniform() < 1/float64(n) { // each of them with the same probability
				best = node
			}
		case best < 0 || load < least:
			best, least = node, load
		}
	})
	return best
}

// carries notes how long the answer to a call is that hands a request on, before an event drops that.
func (h *Host) carries(call step.Ref, n int64) {
	if owner := h.run.Calls.Owner(call); owner.Forwarded {
		h.visits[owner.Ref.Slot()].bytes = n
	}
}

// answered takes the answer to a call. That to one which hands a request on goes to whoever has sent the request.
func (h *Host) answered(at dsv.Instant, ref step.Ref, a Answer) {
	owner := h.run.Calls.Owner(ref)
	if !owner.Forwarded {
		h.run.Answer(at, ref, a)
		return
	}
	_, cause, done := h.run.Calls.Answer(at, ref, a)
	x := owner.Ref.Slot()
	if !done || !h.run.Alive(x, owner.Ref.Gen()) {
		return
	}
	v := &h.visits[x]
	v.onward, v.ended = 0, true
	status := a.Status
	switch {
	case a.Status >= 500:
		v.cause = a.Cause
	case cause != OK && cause != Status:
		status = 502 // it did not answer
	}
	v.retry = 1
	h.reply(at, x, status, max(a.Bytes, v.bytes))
}

// Told hands in the load of another server, as it is known here: the requests that are there.
func (h *Host) Told(at dsv.Instant, server int, load float64) {
	h.Advance(at)
	if h.adm.gate != nil && server >= 0 && server < len(h.adm.asked) {
		h.adm.asked[server] = node{load: load}
	}
}

// shedPart is the part of a request's key that says whether it is shed.
const shedPart = 0x73686564

// unpool turns those in the pool away whose service is not served here any more: their callers resolve again.
func (h *Host) unpool(at dsv.Instant, svc int) {
	a := &h.adm
	if a.gate == nil {
		return
	}
	a.refs = a.refs[:0]
	a.gate.Each(func(ref step.Ref) bool {
		if h.visits[ref.Slot()].req.Service == svc {
			a.refs = append(a.refs, ref)
		}
		return true
	})
	for _, ref := range a.refs {
		h.unregister(at, ref)
		h.turnAway(at, ref.Slot(), 421)
	}
}

// unregister takes a request out of the pool.
func (h *Host) unregister(at dsv.Instant, ref step.Ref) {
	a := &h.adm
	a.area.upTo(at, a.gate.Len())
	a.gate.Withdraw(ref)
	h.visits[ref.Slot()].pooled = false
	h.visits[ref.Slot()].shed = true
}

// accrueAdmission writes what was measured over the last d seconds.
func (h *Host) accrueAdmission(at dsv.Instant, d float64) {
	a := &h.adm
	if a.gate == nil {
		return
	}
	a.area.upTo(at, a.gate.Len())
	a.queue.WriteWeighted(at, a.area.sum/float64(time.Second), d)
	a.area.sum = 0
	a.gate.Advance(at)
	if r := a.gate.Rate(); r > 0 {
		a.rate.Write(at, r)
	}
	if n := a.gate.Threshold(); n > 0 {
		a.threshold.Write(at, float64(n))
	}
	if x := a.gate.Observed(); x > 0 {
		a.observed.Write(at, x)
	}
}
