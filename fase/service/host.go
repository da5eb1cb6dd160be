package service

import (
	"fmt"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/step"
)

// A Host is the core of one server: it admits requests to the services that the mapping puts here, executes their blocks
// on its machine, calls other services, carries out its part of moves, and measures itself. It belongs to one goroutine.
//
// Inputs first do what is due before them, so an input may come later than Next.
type Host struct {
	run      *Runner
	cfg      HostConfig
	name     string
	hw       hardware
	cross    crossing
	adm      admission
	lib      library
	visits   []visit             // by execution slot
	here     []place             // by service
	early    [][]step.Ref        // by service: executions that wait for a mapping
	byTag    map[uint64]uint32   // executions that a caller may still withdraw
	byCall   map[step.Ref]uint32 // the same for calls of this server to itself
	effects  []step.Effect
	out      []step.Effect
	inFlight *dmm.Var
	accrued  dsv.Instant
	quick    *Quick   // nil until it is asked for
	books    []served // by service, and last of requests that name none
	ledger   *dmm.Var
	departed uint64
	spared   int64 // CPU demand that was withdrawn before it was met, ns
	trouble  trouble
	settings settings
	vars     Vars

	recordBuf [HostRecordSize + 8]byte
}

// visit is what the host knows about an execution.
type visit struct {
	req           Request
	tag           uint64
	call          step.Ref // of a local caller; 0: none
	arrived, done dsv.Instant
	cpu           int64        // demand so far, ns, less what was withdrawn of it
	object        files.Object // the file that it got last
	sends         files.Object // the file that its reply is
	status        int
	cause         Cause // why a status is 500 or above, where it says
	bytes         int64
	wait, service int64       // ns that it waited for resources of this server, and that they served it
	memory        int64       // bytes that it holds or waits for
	admitted      bool        // counted in flight at its service
	enlisted      bool        // it waits for a worker
	working       bool        // it has one
	since         dsv.Instant // when either began
	begun         bool        // its execution has begun
	pooled        bool        // it is in the gate's pool
	serving       bool        // it has a place in the gate's service
	shed          bool        // it left the pool unserved, or never was in it
	onward        step.Ref    // the call that forwards it; 0: none
	retry         int64       // seconds that a 503 tells its caller to wait
	replying      bool        // its reply is on its way out
	ended         bool        // every strand has ended, or none will begin
}

// place is what this server does for a service.
type place struct {
	state    State
	inFlight int
	since    uint32        // epoch of the state
	drain    uint32        // epoch to acknowledge when nothing is in flight; 0: none
	limited  float64       // the limit, 0 for none
	bucket   *admit.Bucket // of the limit; nil for none

	copies  []uint32 // epochs of the replicas whose copies this server has yet to send, the one under way first
	left    int64    // bytes of the first still to send
	sending bool     // a chunk of it is on the link
	copied  uint32   // epoch of the last one that has left

	wait, service *dmm.Var // parts of residence
	rejected      *dmm.Var
	workers       *workers // nil: as many as there are requests

	residence, crossed, ready,
	drained, records *dmm.Var
}

// The events of a host.
const (
	eventArrive  uint8 = iota + SiteEvent // a request has crossed the link; Ref: execution
	eventReply                            // a reply reaches its caller; Ref: execution
	eventCall                             // a call leaves; Ref: call
	eventAnswer                           // an answer has crossed the link; Ref: call, N: packed answer
	eventEarly                            // a request has waited long enough for a mapping; Ref: execution
	eventClose                            // a call to this server itself was given up; Ref: call
	eventAccrue                           // measurements are brought up to date
	eventPools                            // memory, a lock or a worker was given back
	eventShort                            // there is not enough memory; Ref: an execution that can never have enough
	eventFault                            // a fault comes into force; N: index in HostConfig.Faults
	eventRepair                           // it is repaired
	eventBooted                           // N: which boot
	eventIdle                             // a server on standby may have nothing left
	eventThreads                          // Ref: service and which telling, N: its workers from now on
	eventLimit                            // Ref: which telling, N: requests in service at once from now on
	eventShed                             // Ref: which telling, N: bits of the share that is rejected at once from now on
)

// NewHost returns a host without any mapping: hand it the present ones by Changed.
func NewHost(cfg HostConfig, vars Vars) *Host {
	if cfg.Accrue <= 0 {
		cfg.Accrue = 100 * time.Millisecond
	}
	h := &Host{
		cfg: cfg, name: cfg.Topology.Servers[cfg.Node],
		here:  make([]place, len(cfg.Topology.Services)),
		early: make([][]step.Ref, len(cfg.Topology.Services)),
		byTag: map[uint64]uint32{}, byCall: map[step.Ref]uint32{}, vars: vars,
		settings: settings{inForce: map[setting]uint32{}},
	}
	c := NewCaller(cfg.Topology, cfg.Services, cfg.Node, step.Call, step.Withdraw, h.called, vars)
	h.run = NewRunner(h, c)
	h.run.Passed = h.arrived
	c.Join(cfg.Network, Party(cfg.Node), 0)
	h.newAdmission(vars)
	h.hw = newHardware(cfg.Machine, h.name, cfg.Locks, vars)
	h.cross = crossing{cfg: cfg.Machine.Link, node: uint64(cfg.Node), lost: vars(LostName(h.name))}
	h.lib = newLibrary(&h.cfg, h.name, vars)
	for i, s := range cfg.Topology.Services {
		h.here[i] = place{
			residence: vars(dsv.Name(s + ".residence")), records: vars(dsv.Name(s + ".records")),
			wait: vars(dsv.Name(s + ".wait")), service: vars(dsv.Name(s + ".service")), rejected: vars(dsv.Name(s + ".rejected")),
			workers: newWorkers(&cfg.Services[i], vars),
			crossed: vars(CopiedName(h.name, s)), ready: vars(ReadyName(h.name, s)), drained: vars(DrainedName(h.name, s)),
		}
	}
	h.inFlight = vars(dsv.Name(h.name + ".in_flight"))
	h.books, h.ledger = make([]served, len(cfg.Topology.Services)+1), vars(LedgerName(h.name))
	h.newTrouble(vars)
	h.run.Agenda.Push(dsv.At(cfg.Accrue), Event{Kind: eventAccrue})
	return h
}

// Next implements step.Core.
func (h *Host) Next() dsv.Instant { return min(h.run.Next(), h.hw.next(), h.gateNext()) }

// Advance implements step.Core. At one instant the machine's departures come before the agenda, and that before the gate.
func (h *Host) Advance(to dsv.Instant) {
	for {
		t, due, gate := h.hw.next(), h.run.Next(), h.gateNext()
		switch {
		case t <= to && t <= due && t <= gate:
			h.hw.advance(t)
			h.departures(t)
		case due <= to && due <= gate:
			h.run.Due()
		case gate <= to:
			h.gateDue(gate)
		default:
			return
		}
	}
}

// Effects implements step.Core: Reply, Call, Withdraw, Burn; Reset, Down and Up. [ReplyAnswer] reads a Reply.
func (h *Host) Effects() []step.Effect {
	h.effects, h.out = h.out[:0], h.effects
	return h.out
}

func (h *Host) effect(e step.Effect) { h.effects = append(h.effects, e) }

// Arrive hands in a request. Its Reply effect carries tag as Key, and may be emitted at once.
func (h *Host) Arrive(at dsv.Instant, r *Request, tag uint64) {
	h.Advance(at)
	if h.trouble.broken {
		h.unreached(at, tag)
		return
	}
	x := h.visit(at, r, tag, 0)
	if o := h.overhead(x); o.Delay > 0 || !h.cross.instant() {
		h.later(h.cross.arrives(at, r.Key, crossRequest).Add(o.Delay), eventArrive, x)
		return
	}
	h.admit(at, x)
}

// visit notes a request, and the call by which this server makes it of itself; 0: another one does.
func (h *Host) visit(at dsv.Instant, r *Request, tag uint64, call step.Ref) uint32 {
	x, _ := h.run.Reserve(at)
	for int(x) >= len(h.visits) {
		h.visits = append(h.visits, visit{})
	}
	v := &h.visits[x]
	*v = visit{}
	v.req, v.tag, v.call = *r, tag, call
	h.book(v.req.Service).received++
	switch {
	case !h.cfg.CancelOnClose:
	case v.call == 0:
		h.byTag[v.tag] = x
	default:
		h.byCall[v.call] = x
	}
	return x
}

// later puts an event of an execution on the agenda.
func (h *Host) later(at dsv.Instant, kind uint8, x uint32) {
	h.run.Agenda.Push(at, Event{Kind: kind, Ref: h.ref(x)})
}

// Answer hands in what came back for a Call effect.
func (h *Host) Answer(at dsv.Instant, ref step.Ref, a Answer) {
	h.Advance(at)
	if !h.run.Stalled(at, ref, a) {
		h.arrived(at, ref, a)
	}
}

// arrived takes an answer that has come to this server's link.
func (h *Host) arrived(at dsv.Instant, ref step.Ref, a Answer) {
	if r := h.run.Calls.Request(ref); r != nil && !h.cross.instant() {
		h.carries(ref, a.Bytes)
		h.run.Agenda.Push(h.cross.arrives(at, r.Key, crossAnswer), Event{Kind: eventAnswer, Ref: ref, N: packAnswer(a)})
		return
	}
	h.answered(at, ref, a)
}

// packAnswer fits an answer into an event; but for those to what was forwarded nobody asks for its bytes.
func packAnswer(a Answer) int64 {
	return int64(a.Status)<<40 | int64(a.Cause)<<32 | int64(a.Epoch)
}

func unpackAnswer(n int64) Answer {
	return Answer{Status: int(n >> 40), Cause: Cause(n >> 32 & 0xff), Epoch: uint32(n)}
}

// Close tells that a caller has closed its connection. Its work is withdrawn if the host is configured so.
func (h *Host) Close(at dsv.Instant, tag uint64) {
	h.Advance(at)
	if x, ok := h.byTag[tag]; ok {
		h.withdraw(at, x)
	}
}

// Begin is to be called when a Burn effect is about to be carried out, and returns the one to carry out: under a discipline by
// rank that of a job which goes before it, if one has come since. It returns false for one that was withdrawn meanwhile.
func (h *Host) Begin(at dsv.Instant, e step.Effect) (step.Effect, bool) {
	if !h.Wants(e.Ref) {
		return e, e.Code == BurnFree || e.Code == BurnDrop
	}
	if e.Code != BurnCPU {
		h.hw.burnDisk.Begin(at, e.Ref) // memory is no job of the disk
		return e, true
	}
	g, ok := h.hw.burnCPU.Begin(at, e.Ref)
	e.Ref, e.N = g.Job, g.N
	return e, ok
}

// Met tells that a Burn effect has been carried out, and what was delivered: nanoseconds of CPU or of disk time, bytes
// of memory.
func (h *Host) Met(at dsv.Instant, ref step.Ref, delivered int64) {
	h.Advance(at)
	h.met(at, ref, delivered)
	h.departures(at)
}

// Lost is Met of a BurnFile effect that did not bring its file: whoever waits for it fails, and it is not cached.
func (h *Host) Lost(at dsv.Instant, ref step.Ref, delivered int64) {
	if r := h.lib.find(ref); r != nil {
		r.lost = true
	}
	h.Met(at, ref, delivered)
}

// Wants reports whether anybody still waits for a Burn effect, which may have been withdrawn since. BurnFree and BurnDrop are
// always wanted.
func (h *Host) Wants(ref step.Ref) bool { return h.run.lookup(ref) != nil || h.lib.find(ref) != nil }

// Changed hands in a mapping; it applies at its own instant.
func (h *Host) Changed(at dsv.Instant, svc int, m Mapping) {
	h.Advance(at)
	h.run.Changed(at, svc, m)
}

// See hands in a figure of a server that balancers read; Caller.See.
func (h *Host) See(at dsv.Instant, view, server int, x float64) {
	h.Advance(at)
	h.run.Calls.See(view, server, x)
}

// Request is what a Call effect carries; nil when the call has ended. Valid until the next input.
func (h *Host) Request(ref step.Ref) *Request { return h.run.Calls.Request(ref) }

// Events is how many entries of its calendar have come due: those of its agenda, and departures from its resources.
func (h *Host) Events() uint64 { return h.run.Events + h.departed }

// InFlight is the number of requests that are here, waiting ones included.
func (h *Host) InFlight() int { return h.run.Running }

// Idle returns nil when nothing is under way and nothing is held, and else what is.
func (h *Host) Idle() error {
	if err := h.run.Idle(); err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	for svc := range h.here {
		if n := h.here[svc].inFlight; n != 0 {
			return fmt.Errorf("%s: %d requests of %s in flight", h.name, n, h.cfg.Topology.Services[svc])
		}
	}
	if n := len(h.byTag) + len(h.byCall); n != 0 {
		return fmt.Errorf("%s: %d requests could be withdrawn", h.name, n)
	}
	if g := h.adm.gate; g != nil && g.Len()+g.Serving() != 0 {
		return fmt.Errorf("%s: %d requests in the pool and %d in service", h.name, g.Len(), g.Serving())
	}
	if what := h.unworked(); what != "" {
		return fmt.Errorf("%s: %s", h.name, what)
	}
	if what := h.hw.busy(); what != "" {
		return fmt.Errorf("%s: %s is in use", h.name, what)
	}
	return nil
}

// Settle brings every measurement up to an instant, the end of a run, and writes the ledger.
func (h *Host) Settle(at dsv.Instant) {
	h.Advance(at)
	h.WriteLedger(at)
}

func (h *Host) accrue(at dsv.Instant) {
	d := at.Sub(h.accrued).Seconds()
	if d <= 0 {
		return
	}
	h.accrued = at
	h.inFlight.WriteWeighted(at, h.run.Load(at), d)
	h.accrueUp(at, d)
	h.accrueAdmission(at, d)
	h.hw.accrue(at, d)
	h.accrueWorkers(at, d)
	h.lib.bytes.WriteWeighted(at, float64(h.lib.cache.Bytes())*d, d)
}

// Event implements Site.
func (h *Host) Event(at dsv.Instant, e Event) {
	switch e.Kind {
	case eventArrive:
		if h.waits(e.Ref) {
			h.admit(at, e.Ref.Slot())
		}
	case eventReply:
		if h.run.Alive(e.Ref.Slot(), e.Ref.Gen()) { // else the server has crashed
			h.deliver(at, e.Ref.Slot())
		}
	case eventCall:
		h.leave(at, e.Ref)
	case eventAnswer:
		h.answered(at, e.Ref, unpackAnswer(e.N))
	case eventEarly:
		h.tooEarly(at, e.Ref)
	case eventClose:
		if x, ok := h.byCall[e.Ref]; ok {
			h.withdraw(at, x)
		}
	case eventAccrue:
		h.accrue(at)
		h.run.Agenda.Push(at.Add(h.cfg.Accrue), Event{Kind: eventAccrue})
	case eventPools:
		h.pools(at)
	case eventShort:
		h.short(at, e.Ref)
	case eventFault:
		h.befall(at, e.N)
	case eventRepair:
		h.repair(at, e.N)
	case eventIdle:
		h.rest(at)
	case eventBooted:
		h.booted(at, e.N)
	case eventThreads, eventLimit, eventShed:
		h.change(at, e)
	}
}
