package engine

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/eve-emulation/eve/internal/http1"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// A reactor is one loop: a thread, a poller, a listening socket and the connections that came from it. Everything in it
// belongs to that thread, but for the inbox and the published counts.
type reactor struct {
	wire
	e       *reactors
	index   int
	handler Handler
	poller  *netpoll.Poller // nil if there is a ring
	ring    *ringSide
	box     inbox

	conns     table
	lists     [timeouts]timeoutList
	dirty     []uint32 // slots of connections to settle
	again     []uint32 // edge only: slots of connections whose reading goes on at the next turn
	reading   []uint32 // the again of this turn
	exchanges []*exchange
	scratch   []byte // what a connection without input reads into
	passed    int    // requests at other loops

	guests    func(fd int) // takes new connections instead of the table
	listener  int
	accepting bool
	broken    bool  // it refuses connections until it is restored
	spare     int   // a descriptor in reserve
	retryAt   int64 // when to accept again
	draining  bool
	stopAt    int64 // when draining gives up

	calls calls

	msgs  []message
	arena []byte

	count     Stats
	published counters
}

// slice is a loop's time slice in ns: short, so that whoever computes beside it does not hold it up.
const slice = 100_000

const (
	scratchBytes = 64 << 10
	acceptBatch  = 64
	readRounds   = 4        // reads of one connection in a row
	queuedMax    = 64 << 10 // bytes to send beyond which no further request of the connection is read
)

// The poller's tags: what, generation, slot.
const (
	tagListener = uint64(1) << 62
	tagCall     = uint64(2) << 62
	tagGenMask  = 1<<30 - 1
)

func tag(kind uint64, gen, slot uint32) uint64 {
	return kind | uint64(gen&tagGenMask)<<32 | uint64(slot)
}

func newReactor(e *reactors, index, listener int) (*reactor, error) {
	spare, err := netpoll.Spare()
	if err != nil {
		return nil, fmt.Errorf("open spare descriptor: %w", err)
	}
	r := &reactor{
		wire: wire{cfg: &e.cfg, filler: e.filler, pool: new(buffers)},
		e:    e, index: index, listener: listener, spare: spare,
		scratch: make([]byte, scratchBytes), retryAt: mono.Never, stopAt: mono.Never,
	}
	if err := r.openPoller(); err != nil {
		_ = netpoll.Close(spare)
		return nil, err
	}
	r.initTimeouts()
	r.calls.init()
	return r, nil
}

// openPoller opens what the loop waits by.
func (r *reactor) openPoller() (err error) {
	if r.e.uring {
		if r.ring, err = newRingSide(r); err == nil {
			r.box.poller = r.ring
		}
		return err
	}
	if r.poller, err = netpoll.NewPollerOn(r.e.mechanism, 0); err == nil {
		r.poller.Spin(int64(r.e.cfg.Spin))
		r.box.poller = r.poller
	}
	return err
}

// close frees what is left. The loop does not run, or no more.
func (r *reactor) close() error {
	r.box.shut()
	r.conns.each(r.drop)
	r.closeCalls()
	for _, fd := range []int{r.listener, r.spare} {
		if fd >= 0 {
			_ = netpoll.Close(fd)
		}
	}
	r.listener, r.spare = -1, -1
	if r.ring != nil {
		return r.ring.close()
	}
	return r.poller.Close()
}

// prepare makes the calling thread the loop's. It is given back to nobody: it ends with the loop.
func (r *reactor) prepare() error {
	runtime.LockOSThread()
	if err := mono.TimerSlack(1); err != nil {
		return err
	}
	_ = mono.Slice(slice) // a kernel or a sandbox that refuses makes it later, not wrong
	others := r.e.cfg.Beside
	if r.e.helpers != nil {
		others += r.e.cfg.Helpers
	}
	light := r.guests == nil && runtime.GOMAXPROCS(0) > r.e.cfg.Reactors+others // the threads of guests want a processor each
	if r.ring != nil {
		r.ring.Light(light)
		if err := r.ring.Start(); err != nil {
			return err
		}
	} else {
		r.poller.Light(light)
	}
	r.now = mono.Now()
	return r.listen()
}

// run is the loop.
func (r *reactor) run() error {
	err := r.prepare()
	for err == nil && !r.finished() {
		err = r.turn()
	}
	r.box.shut()
	r.receiveAll()
	r.failCalls()
	r.conns.each(r.drop)
	r.published.publish(&r.count, r.conns.open)
	if r.ring != nil {
		err = errors.Join(err, r.ring.close()) // on its own thread
	}
	return err
}

// turn waits once and acts on whatever happened.
func (r *reactor) turn() error {
	var err error
	if r.ring != nil {
		err = r.ringTurn()
	} else {
		err = r.pollTurn()
	}
	if err != nil {
		return err
	}
	r.now = mono.Now()
	r.advance()
	r.expire()
	r.calls.expire(r)
	r.settleAll()
	if r.now >= r.retryAt {
		r.retryAt = mono.Never
		return r.listen()
	}
	return nil
}

// pollTurn waits once and acts on what is ready.
func (r *reactor) pollTurn() error {
	events, err := r.wait1()
	if err != nil {
		return err
	}
	r.now = mono.Now()
	r.receiveAll()
	r.advance()
	for _, ev := range events {
		r.event(ev)
	}
	r.readAgain()
	r.settleAll()
	return nil
}

// until begins to sleep: it returns the instant of the next thing that is due.
func (r *reactor) until() int64 {
	r.published.publish(&r.count, r.conns.open)
	until := min(r.handler.Next(), r.nextTimeout(), r.calls.next(), r.retryAt, r.stopAt)
	r.box.asleep.Store(true)
	if !r.box.empty() {
		return 0
	}
	return until
}

// wait1 sleeps until the next thing that is due.
func (r *reactor) wait1() ([]netpoll.Event, error) {
	until := r.until()
	if len(r.again) > 0 {
		until = 0
	}
	events, err := r.poller.Wait(until)
	r.box.asleep.Store(false)
	return events, err
}

// advance lets the handler act if it wants to.
func (r *reactor) advance() {
	if r.handler.Next() <= r.now {
		r.handler.Advance(r, r.now)
		r.settleAll()
	}
}

func (r *reactor) event(ev netpoll.Event) {
	switch kind := ev.Tag &^ (tagGenMask<<32 | (1<<32 - 1)); kind {
	case tagListener:
		r.accept()
	case tagCall:
		r.callEvent(ev)
	default:
		c := r.conns.at(uint32(ev.Tag))
		if c == nil || c.fd < 0 || c.gen&tagGenMask != uint32(ev.Tag>>32)&tagGenMask {
			return // closed earlier in this batch
		}
		r.connEvent(c, ev.Events)
	}
}

func (r *reactor) connEvent(c *conn, ev netpoll.Events) {
	if r.e.edge {
		c.note(ev)
	}
	switch {
	case ev&netpoll.Err != 0, ev&netpoll.Hup != 0 && ev&netpoll.In == 0:
		r.drop(c)
		return
	case ev&netpoll.In != 0 && c.want&wantIn != 0:
		if !r.readable(c) {
			return
		}
	}
	if ev&netpoll.Out != 0 {
		c.flags &^= blocked
	}
	r.settle(c)
}

// settleAll sends what handlers answered since the last time.
func (r *reactor) settleAll() {
	for len(r.dirty) > 0 {
		slot := r.dirty[len(r.dirty)-1]
		r.dirty = r.dirty[:len(r.dirty)-1]
		if c := r.conns.at(slot); c.fd >= 0 && c.x != nil && c.x.dirty {
			r.settle(c)
		}
	}
}

// receiveAll acts on the messages of other threads.
func (r *reactor) receiveAll() {
	if r.box.empty() {
		return
	}
	r.msgs, r.arena = r.box.take(r.msgs, r.arena)
	for i := range r.msgs {
		m := &r.msgs[i]
		switch m.kind {
		case callMessage:
			m.fn(r)
		case requestMessage:
			r.adopt(m)
		case closedMessage:
			r.handler.Closed(r, m.ref)
		case responseMessage:
			r.respond(m.ref, &Response{
				Status: m.status, Header: r.arena[m.start:m.middle], Body: r.arena[m.middle:m.end],
				Filler: m.filler, Close: m.close,
			})
		case stopMessage:
			r.drain()
		case wakeMessage: // it has woken
		}
	}
	r.settleAll()
}

// adopt handles a request that another loop passed here.
func (r *reactor) adopt(m *message) {
	r.head = r.arena[m.start:m.middle:m.middle]
	if err := http1.ParseRequest(r.head, &r.req); err != nil {
		panic(fmt.Sprintf("parse request a second time: %v", err))
	}
	if m.end > m.middle {
		r.req.Body = r.arena[m.middle:m.end:m.end]
	}
	r.handler.Request(r, m.ref, &r.req)
}

func (r *reactor) Index() int { return r.index }

func (r *reactor) Now() int64 { return r.now }

func (r *reactor) Touch() int64 {
	r.now = mono.Now()
	return r.now
}

// Pass copies the request as it came; the other loop parses it again.
func (r *reactor) Pass(to int, ref Ref, req *Request) bool {
	if req != &r.req || ref.loop() != r.index || to < 0 || to >= len(r.e.loops) || r.passed >= r.e.cfg.Passed {
		return false
	}
	p := r.find(ref)
	if p == nil || p.flags&isPassed != 0 {
		return false
	}
	if to == r.index {
		r.handler.Request(r, ref, req)
		return true
	}
	if !r.e.loops[to].box.post(message{kind: requestMessage, ref: ref}, r.head, req.Body) {
		return false
	}
	p.flags |= isPassed
	p.owner = uint8(to)
	r.passed++
	return true
}

// drain begins the end: no new connections, no further requests, and no waiting for the idle.
func (r *reactor) drain() {
	if r.draining {
		return
	}
	r.accept() // whoever the kernel has let in by now is served
	r.draining = true
	r.stopAt = mono.Now() + int64(r.e.cfg.Drain)
	listener := r.listener
	r.listener, r.retryAt = -1, mono.Never
	if r.ring != nil {
		r.ringDrain(listener)
		return
	}
	_ = r.poller.CloseWatched(listener)
	r.conns.each(func(c *conn) {
		if c.want&wantIn == 0 || r.readable(c) { // a request may have come already
			r.settle(c)
		}
	})
}

// finished reports whether a draining loop may end: when no loop has a connection left, or the grace is over.
func (r *reactor) finished() bool {
	return r.draining && (r.e.open.Load() == 0 && (r.ring == nil || !r.ring.sweep) || r.now >= r.stopAt)
}
