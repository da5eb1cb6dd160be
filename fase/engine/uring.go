package engine

import (
	"runtime"
	"syscall"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// A ringSide is what a reactor has that waits for completions instead of readiness: an io_uring with the events that it is
// registered for. Input arrives in a buffer of the ring with the event that tells of it; output is queued, and a whole turn of it is
// carried out by the system call that waits.
type ringSide struct {
	*netpoll.Ring

	// The events, the most urgent first. What a call brings finishes a request that was taken up before, and so does the room that output
	// has waited for; input begins or continues one; and a new connection has nothing under way yet.
	called   netpoll.RingEvent // answers of calls
	callSent netpoll.RingEvent // how connecting or sending a long request went
	sent     netpoll.RingEvent // the end of output that was waited for
	received netpoll.RingEvent
	accepted netpoll.RingEvent

	unsent     netpoll.RingEvent // what a socket did not take at once, told before all of the above
	callUnsent netpoll.RingEvent // the same of a call

	turn  uint8    // counts turns, modulo 256
	late  []uint32 // slots of connections to settle at the next turn
	ready []uint32 // the late of this turn
	sweep bool     // draining: what has come already is still being taken in
	pin   runtime.Pinner
}

// silentMax is the most output that is sent without waiting for its end.
const silentMax = 16 << 10

// ringBuffers is how much of it a ring takes: input that comes at once for all connections, before some must be asked for again.
const (
	ringBuffers     = 64
	ringBufferBytes = 32 << 10
)

func listenUring(cfg Config, handler func(loop int) Handler) (Engine, error) {
	return listen(&reactors{uring: true}, cfg, handler)
}

// newRingSide opens a ring and registers the events of r.
func newRingSide(r *reactor) (*ringSide, error) {
	ring, err := netpoll.NewRing(netpoll.RingConfig{Entries: 4096, Buffers: ringBuffers, BufferBytes: ringBufferBytes})
	if err != nil {
		return nil, err
	}
	ring.Spin(int64(r.e.cfg.Spin))
	s := &ringSide{Ring: ring}
	s.called = ring.On(0, r.ringCalled)
	s.callSent = ring.On(0, r.ringCallSent)
	s.sent = ring.On(1, r.ringSent)
	s.received = ring.On(2, r.ringReceived)
	s.accepted = ring.On(3, r.ringAccepted)
	s.unsent = ring.On(0, r.ringUnsent)
	s.callUnsent = ring.On(0, r.ringCallUnsent)
	s.pin.Pin(&r.filler[0]) // it is sent from where it lies
	return s, nil
}

func (s *ringSide) close() error {
	err := s.Ring.Close()
	s.pin.Unpin()
	return err
}

// ringID names a connection in completions.
func ringID(c *conn) uint64 { return uint64(c.gen)<<slotBits | uint64(c.slot) }

// ringConn returns the connection that a completion belongs to, nil if it has been closed since.
func (r *reactor) ringConn(id uint64) *conn {
	c := r.conns.at(uint32(id & (maxSlots - 1)))
	if c == nil || c.fd < 0 || c.gen != uint32(id>>slotBits) {
		return nil
	}
	return c
}

// ringTurn is turn for completions.
func (r *reactor) ringTurn() error {
	if _, err := r.ringWait(); err != nil {
		return err
	}
	r.now = mono.Now()
	s := r.ring
	s.Unsent() // before anything else may be sent to the same sockets
	s.turn++
	r.receiveAll()
	r.advance()
	s.Dispatch()
	r.ringLate()
	r.settleAll()
	return nil
}

// ringWait sleeps until the next thing that is due. What was told of by then is left to Unsent and Dispatch.
func (r *reactor) ringWait() (bool, error) {
	until := r.until()
	if len(r.ring.late) > 0 || r.ring.sweep {
		until = 0
	}
	found, err := r.ring.Wait(until)
	r.box.asleep.Store(false)
	if r.ring.sweep && !found && len(r.ring.late) == 0 {
		r.ring.sweep = false
		r.conns.each(r.settle) // nothing more has come: the idle ones go
	}
	return found, err
}

// postpone has c settled at the next turn, when it is known whether the socket has taken what was sent in this one.
func (r *reactor) postpone(c *conn) {
	if c.flags&postponed == 0 {
		c.flags |= postponed
		r.ring.late = append(r.ring.late, c.slot)
	}
}

// ringLate settles what was postponed.
func (r *reactor) ringLate() {
	s := r.ring
	if len(s.late) == 0 {
		return
	}
	s.late, s.ready = s.ready[:0], s.late
	for _, slot := range s.ready {
		if c := r.conns.at(slot); c.fd >= 0 && c.flags&postponed != 0 {
			c.flags &^= postponed
			r.settle(c)
		}
	}
}

// ringAccepted takes a new connection, which comes with the event.
func (r *reactor) ringAccepted(c *netpoll.Completion) {
	if !c.More {
		r.accepting = false
	}
	switch {
	case c.Err == 0:
		r.welcome(c.N)
	case c.Err == syscall.ECANCELED:
		return
	case c.Err != syscall.ECONNABORTED && c.Err != syscall.EINTR && c.Err != syscall.EAGAIN:
		r.shed()
		return
	}
	_ = r.listen()
}

// ringReceived takes input.
func (r *reactor) ringReceived(ev *netpoll.Completion) {
	c := r.ringConn(ev.ID)
	if c == nil {
		return
	}
	if !ev.More {
		c.flags &^= armed | stopping
	}
	switch {
	case ev.N > 0:
		r.ringInput(c, ev.Data)
	case ev.Err == 0:
		c.flags |= finished // settle acts on it, once what came before it has been taken up
	case ev.Err != syscall.ENOBUFS && ev.Err != syscall.ECANCELED:
		r.drop(c)
		return
	}
	r.settle(c) // which asks for more, if no more is on its way
}

// ringInput handles b, or keeps it for later if input is held back.
func (r *reactor) ringInput(c *conn, b []byte) {
	r.count.BytesIn += uint64(len(b))
	if c.flags&(last|linger) != 0 {
		return // nobody wants it any more
	}
	x := r.acquire(c)
	if len(x.in) > 0 {
		x.in = append(r.pool.grow(x.in, max(len(b), x.room())), b...)
		b = x.in
	}
	if c.flags&held != 0 {
		return
	}
	r.consume(c, b)
}

// ringWatch has input come, or no more, as c needs it.
func (r *reactor) ringWatch(c *conn) {
	switch wanted := c.flags&(ended|held|finished) == 0; {
	case wanted && c.flags&armed == 0:
		c.flags |= armed
		r.ring.Receive(int(c.fd), r.ring.received, ringID(c))
	case !wanted && c.flags&(armed|stopping) == armed:
		c.flags |= stopping
		r.ring.StopReceive(r.ring.received, ringID(c))
	}
}

// ringFlush queues output. Little of it goes out silently: the socket is taken to have room, and tells if it had not. Else the loop
// waits for its end, a piece at a time.
func (r *reactor) ringFlush(c *conn) bool {
	x, s := c.x, r.ring
	switch {
	case c.flags&blocked != 0:
		return true
	case x.queued == 0:
		r.emptied(x)
		return true
	case r.unconfirmed(c):
		r.postpone(c)
		return true
	case x.queued <= silentMax:
		if !s.Send(int(c.fd), s.unsent, ringID(c), r.gather(x)) {
			r.postpone(c)
			return true
		}
		c.want = s.turn
		r.progress(c, int(x.queued))
		x.queued = 0
		r.emptied(x)
		return true
	}
	return r.push(c, x)
}

// push begins to send the next piece of much output.
func (r *reactor) push(c *conn, x *exchange) bool {
	s := r.ring
	if len(x.fills) > 0 && x.fills[0].at == x.sent {
		s.SendStable(int(c.fd), s.sent, ringID(c), r.filler[:min(x.fills[0].n, fillerBytes)])
	} else {
		end := len(x.out)
		if len(x.fills) > 0 {
			end = x.fills[0].at
		}
		if _, err := s.SendWhole(int(c.fd), s.sent, ringID(c), x.out[x.sent:end]); err != nil {
			r.drop(c)
			return false
		}
	}
	c.flags |= blocked
	return true
}

// ringSent notes that a piece has gone out.
func (r *reactor) ringSent(ev *netpoll.Completion) {
	c := r.ringConn(ev.ID)
	if c == nil {
		return
	}
	if ev.Err != 0 {
		r.drop(c)
		return
	}
	c.flags &^= blocked
	r.progress(c, ev.N)
	c.x.advance(ev.N)
	r.settle(c)
}

// unconfirmed reports whether c has sent in this turn, so that it is not known yet whether its socket had room.
func (r *reactor) unconfirmed(c *conn) bool { return c.want == r.ring.turn }

// ringUnsent takes back what a socket had no room for: it goes first, and is waited for.
func (r *reactor) ringUnsent(ev *netpoll.Completion) {
	c := r.ringConn(ev.ID)
	if c == nil {
		return
	}
	if ev.Err != 0 {
		r.drop(c)
		return
	}
	r.count.BytesOut -= uint64(len(ev.Data))
	x := r.acquire(c)
	out := append(r.pool.get(len(ev.Data)+len(x.out)-x.sent), ev.Data...)
	out = append(out, x.out[x.sent:]...)
	for i := range x.fills {
		x.fills[i].at += len(ev.Data) - x.sent
	}
	r.pool.put(x.out)
	x.out, x.sent = out, 0
	x.queued += int64(len(ev.Data))
	if r.push(c, x) {
		r.rest(c)
	}
}

// unsettled reports whether it is too soon to close c, because what it has sent may come back or, at the end of the loop, a request of it may
// have come already.
func (r *reactor) unsettled(c *conn) bool {
	switch {
	case r.ring == nil:
		return false
	case r.unconfirmed(c):
		r.postpone(c)
		return true
	default:
		return r.ring.sweep && c.flags&last == 0
	}
}

// ringDrain goes on to take in what the kernel has by now, before the idle connections are closed.
func (r *reactor) ringDrain(listener int) {
	r.ring.sweep = true
	r.ring.CloseFile(listener, true)
}
