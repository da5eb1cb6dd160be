package service

import (
	"fmt"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// An Op names an outstanding demand of an execution.
type Op struct {
	Ref step.Ref // slot and generation in the runner's table
	// Forwarded says that the call hands a request on; Ref is then the host's name of it.
	Forwarded bool
}

// A Runner executes requests: it keeps executions, their outstanding demands, waits, timers and calls, and one agenda of
// what is due. Hosts and user groups are built on it.
type Runner struct {
	Calls  *Caller
	Agenda step.Agenda[dsv.Instant, Event]
	site   Site
	tasks  []*execution
	free   []uint32
	ops    []op
	freeOp []uint32
	demand rdr.Demand
	maps   []applying // mappings whose instant is to come
	noMap  []int      // free places in maps
	// Running is the number of executions; its integral is Load's.
	Running int
	// Events is how many entries of the agenda have come due.
	Events uint64
	// Passed takes an answer that a partition held up; whoever owns the runner sets it.
	Passed func(at dsv.Instant, ref step.Ref, a Answer)
	area   float64 // execution-nanoseconds
	last   dsv.Instant
}

type applying struct {
	svc int
	m   Mapping
}

type execution struct {
	rdr.Task
	gen   uint32
	live  bool
	busy  bool // pump is at work on it
	ended bool // the main strand has
	gone  bool // every strand has
	began dsv.Instant

	urgency Urgency
	client  uint64

	first uint32 // list of outstanding ops; none is 0, so ops[0] stays unused
}

// NewRunner returns a runner for a site that calls services through c.
func NewRunner(site Site, c *Caller) *Runner {
	r := &Runner{site: site, Calls: c, ops: make([]op, 1)}
	r.Passed = r.Answer
	c.later = func(at dsv.Instant, e Event) { r.Agenda.Push(at, e) }
	return r
}

// Reserve takes an execution slot, by which the site may index data of its own. Release frees it.
func (r *Runner) Reserve(at dsv.Instant) (x, gen uint32) {
	r.upTo(at)
	if n := len(r.free); n > 0 {
		x = r.free[n-1]
		r.free = r.free[:n-1]
	} else {
		x = uint32(len(r.tasks))
		r.tasks = append(r.tasks, &execution{})
	}
	t := r.tasks[x]
	t.gen++
	t.live, t.ended, t.gone, t.first, t.client = true, false, false, 0, 0
	r.Running++
	return x, t.gen
}

// Alive reports whether an execution slot is still of this generation.
func (r *Runner) Alive(x, gen uint32) bool {
	return int(x) < len(r.tasks) && r.tasks[x].live && r.tasks[x].gen == gen
}

// Live reports whether a slot is in use.
func (r *Runner) Live(x uint32) bool { return int(x) < len(r.tasks) && r.tasks[x].live }

// Task returns the task of a slot.
func (r *Runner) Task(x uint32) *rdr.Task { return &r.tasks[x].Task }

// Begin starts an execution in a reserved slot. Calls made at once count their latency from at: a user's due instant.
// What it inherits is from its caller, which has the block's own attributes in it already; where that is nothing, they
// count from at.
func (r *Runner) Begin(at dsv.Instant, x uint32, b *rdr.Block, key rdr.Key, level string, inherited Urgency) {
	t := r.tasks[x]
	t.began = at
	t.Start(b, key, level)
	t.urgency = urgency(at, b, key, inherited)
	t.SetPriority(t.urgency.Priority)
	t.SetDeadline(0) // so that a call's is that of its own block; what is inherited is an instant
	r.pump(at, x)
}

// Asks says on whose behalf an execution makes its calls, before it begins.
func (r *Runner) Asks(x uint32, client uint64) { r.tasks[x].client = client }

// Release frees a slot whose execution has ended, or has not begun.
func (r *Runner) Release(at dsv.Instant, x uint32) {
	t := r.tasks[x]
	if !t.live {
		return
	}
	r.upTo(at)
	t.live = false
	r.free = append(r.free, x)
	r.Running--
}

func (r *Runner) upTo(at dsv.Instant) {
	if d := at - r.last; d > 0 {
		r.area += float64(d) * float64(r.Running)
		r.last = at
	}
}

// Last is when the number of executions changed last, or was read.
func (r *Runner) Last() dsv.Instant { return r.last }

// Load returns the execution-seconds up to at since the last call.
func (r *Runner) Load(at dsv.Instant) float64 {
	r.upTo(at)
	a := r.area / 1e9
	r.area = 0
	return a
}

// Cancel withdraws everything that an execution has under way; it ends with o.
func (r *Runner) Cancel(at dsv.Instant, x uint32, o rdr.Outcome) {
	r.tasks[x].Task.Cancel(o)
	r.pump(at, x)
}

// pump hands out what a task demands until it waits, and ends it when it is done. A demand that is met while it is
// handed out does not pump again: the loop that is at work goes on, so that the stack does not grow with the block.
func (r *Runner) pump(at dsv.Instant, x uint32) {
	t := r.tasks[x]
	if t.busy {
		return
	}
	t.busy = true
	for d := &r.demand; t.Next(d); {
		r.issue(at, x, t, d)
	}
	t.busy = false
	t.began = dsv.Never // calls made later count from when they are made
	if !t.ended && t.Ended() {
		t.ended = true
		r.site.Ended(at, x)
	}
	if !t.gone && t.Done() {
		t.gone = true
		r.site.Gone(at, x)
	}
}

func (r *Runner) issue(at dsv.Instant, x uint32, t *execution, d *rdr.Demand) {
	switch d.Op {
	case rdr.OpFree, rdr.OpUnlock:
		if o := r.find(t, d.ID); o != 0 {
			r.notice(at, o, d.Op)
			r.drop(t, o)
		}
		return
	case rdr.OpCancel:
		if o := r.find(t, d.ID); o != 0 {
			r.withdraw(at, o)
			r.drop(t, o)
		}
		return
	}
	if d.N == 0 && (d.Op == rdr.OpCPU || d.Op == rdr.OpWait) {
		t.Met(d.ID, rdr.OK)
		return
	}
	o := r.newOp(at, x, t, d)
	switch d.Op {
	case rdr.OpWait, rdr.OpTimer:
		r.Agenda.Push(at.Add(time.Duration(d.N)), Event{Kind: eventMet, Ref: r.ref(o)})
	case rdr.OpCall, rdr.OpHTTP:
		r.call(at, t, o, d)
	default:
		r.site.Demand(at, r.ref(o), d)
	}
}

func (r *Runner) call(at dsv.Instant, t *execution, o uint32, d *rdr.Demand) {
	svc := r.Calls.topology.Service(d.Name)
	if svc < 0 { // checked when the scenario was loaded; a foreign block may name anything
		t.Met(d.ID, rdr.Refused)
		r.site.Called(r.ops[o].x, NoRoute)
		r.drop(t, o)
		return
	}
	deadline := due(at, d.Deadline)
	if deadline == 0 {
		deadline = t.urgency.Deadline
	}
	ref := r.Calls.Start(at, min(at, t.began), Request{
		Service: svc, Block: d.Block, Method: d.Method, Path: d.Path, HTTP: d.HTTP, Key: d.Key, Send: d.N,
		Priority: d.Priority, Deadline: deadline, Client: t.client,
	}, Op{Ref: r.ref(o)})
	r.ops[o].call = ref
}

func (r *Runner) withdraw(at dsv.Instant, o uint32) {
	switch p := &r.ops[o]; p.kind {
	case rdr.OpWait, rdr.OpTimer: // its event finds another generation
	case rdr.OpCall, rdr.OpHTTP:
		r.Calls.GiveUp(at, p.call, TimedOut)
		r.site.Called(p.x, TimedOut)
	default:
		r.notice(at, o, rdr.OpCancel)
	}
}

func (r *Runner) notice(at dsv.Instant, o uint32, n rdr.Op) {
	p := &r.ops[o]
	r.site.Notice(at, r.ref(o), n, p.kind, p.name, p.n)
}

// Met ends an outstanding demand and lets its strand go on. What holds something (memory, a lock) stays listed until its
// notice. A demand that has ended before is ignored.
func (r *Runner) Met(at dsv.Instant, ref step.Ref, o rdr.Outcome) {
	p := r.lookup(ref)
	if p == nil {
		return
	}
	x, id, t := p.x, p.id, r.tasks[p.x]
	if o != rdr.OK || p.kind != rdr.OpMemory && p.kind != rdr.OpLock {
		r.drop(t, ref.Slot())
	}
	t.Met(id, o)
	r.pump(at, x)
}

// Answer hands in what came back for a call.
func (r *Runner) Answer(at dsv.Instant, ref step.Ref, a Answer) {
	owner, cause, done := r.Calls.Answer(at, ref, a)
	if !done {
		return
	}
	if x, ok := r.Execution(owner.Ref); ok {
		r.site.Called(x, cause)
	}
	r.Met(at, owner.Ref, cause.Outcome(a.Status))
}

// unserved ends a call of a service that nobody serves, as if somebody had answered 503.
func (r *Runner) unserved(at dsv.Instant, ref step.Ref) {
	owner, ok := r.Calls.unserved(at, ref)
	if !ok {
		return
	}
	if x, ok := r.Execution(owner.Ref); ok {
		r.site.Called(x, Unavailable)
	}
	r.Met(at, owner.Ref, Unavailable.Outcome(503))
}

// Changed hands in a mapping; it applies at its own instant.
func (r *Runner) Changed(at dsv.Instant, svc int, m Mapping) {
	i := len(r.maps)
	if n := len(r.noMap); n > 0 {
		i, r.noMap = r.noMap[n-1], r.noMap[:n-1]
	} else {
		r.maps = append(r.maps, applying{})
	}
	r.maps[i] = applying{svc, m}
	if m.Epoch > 1 { // the first one is known before the run
		at = r.Told(at)
	}
	r.Agenda.Push(max(at, m.At), Event{Kind: eventApply, N: int64(i)})
}

// Due handles the first event on the agenda, which must be due.
func (r *Runner) Due() {
	at, e, _ := r.Agenda.Pop()
	r.Events++
	switch e.Kind {
	case eventMet:
		r.Met(at, e.Ref, rdr.OK)
	case eventApply:
		a := r.maps[e.N]
		r.maps[e.N] = applying{}
		r.noMap = append(r.noMap, int(e.N))
		r.site.Apply(at, a.svc, a.m)
	case eventUnstalled:
		r.Calls.unstalled(at, e.Ref)
	case eventEmpty:
		r.unserved(at, e.Ref)
	case eventStalled:
		r.passed(at, e.Ref)
	case eventSweep:
		r.Calls.sweep(at, int(e.N))
	default:
		r.site.Event(at, e)
	}
}

// Next is when the agenda's first event is due.
func (r *Runner) Next() dsv.Instant {
	if at, _, ok := r.Agenda.Peek(); ok {
		return at
	}
	return dsv.Never
}

// Idle returns nil when no execution, demand or call is under way, and else what is.
func (r *Runner) Idle() error {
	executions, demands, calls := len(r.tasks)-len(r.free), len(r.ops)-1-len(r.freeOp), len(r.Calls.calls)-len(r.Calls.free)
	sent := r.Calls.sent()
	if executions == r.Running && executions == 0 && demands == 0 && calls == 0 && sent == 0 {
		return nil
	}
	return fmt.Errorf("%d executions (%d running), %d demands and %d calls (%d sent) under way", executions, r.Running, demands, calls, sent)
}
