package load

import (
	"net/netip"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/internal/http1"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// A conn is one connection. It is registered with the poller once, for edges, and never changed there.
type conn struct {
	links[conn] // in an idle list, of its pool or of its owner; in the loop's list of those that do not stand yet

	slot, gen uint32 // gen tells events of an earlier connection in the slot apart
	fd        int
	state     state
	pool      *pool
	call      *call // while busy or opening

	written int64 // bytes of the call's request
	owner   uint32
	served  uint32      // whole answers before this call
	turn    uint32      // of the loop in which this call was put on the connection
	hold    *hold       // it is one of those left idle
	first   dsv.Instant // when the first byte of this call's answer was seen; 0: none has come
	hungup  bool        // the poller has told of the end of the stream, which it does once
	broken  error       // of a write
	ring    bool        // it is the ring's
	armed   bool        // the ring receives what comes
	sending bool        // the ring sends a piece of a long request
	began   dsv.Instant
	rd      *http1.ResponseReader // while busy
	tunnel  *tunnel               // nil: plain
}

type state uint8

const (
	shut    state = iota
	opening       // connect is under way
	shaking       // the handshake of TLS is
	busy          // carries a call
	idle
)

func (c *conn) chain() *links[conn] { return &c.links }

// A connRef names a connection, as tags of the poller do.
type connRef uint64

func (c *conn) ref() connRef { return connRef(uint64(c.gen)<<32 | uint64(c.slot)) }

// find returns the connection, or nil if it has been closed.
func (l *Loop) find(r connRef) *conn {
	slot := uint32(r)
	if int(slot) >= len(l.conns.all) {
		return nil
	}
	c := l.conns.all[slot]
	if c.state == shut || c.gen != uint32(r>>32) {
		return nil
	}
	return c
}

// ready returns the connection for reading, or nil if it is closed. An answer may already be there to a call that was sent
// after the loop last read its clock: the clock is read again, for an answer comes after its call.
func (l *Loop) ready(r connRef) *conn {
	c := l.find(r)
	if c == nil || c.call == nil || c.call.sentAt <= l.now {
		return c
	}
	l.tick() // in which the group may give the call up
	return l.find(r)
}

// connect begins a connection for a call.
func (l *Loop) connect(k *call) {
	l.markSent(k)
	c, err := l.dial(k.pool, l.ring != nil && k.pool.tls == nil)
	if err != nil {
		l.fail(k, l.connectCause(err))
		return
	}
	c.call, c.owner, k.conn = k, k.owner, c
	k.pool.open++
	l.begun++
	if c.ring {
		l.ring.Await(c.fd, netpoll.Out, l.ring.stands, ringID(c))
	}
}

// dial begins a connection that carries nothing yet, one of the ring or of the poller.
func (l *Loop) dial(p *pool, ring bool) (*conn, error) {
	var local netip.Addr
	if n := len(l.cfg.Sources); n > 0 {
		local = l.cfg.Sources[l.source%n]
		l.source++
		if to := p.to.Addr().Unmap(); local.Is4() != to.Is4() || local.IsLoopback() && !to.IsLoopback() {
			local = netip.Addr{} // it leads nowhere
		}
	}
	began := l.clock()
	fd, err := netpoll.Connect(local, p.to)
	if err != nil && l.ring != nil && netpoll.Exhausted(err) {
		l.ring.Submit() // closes among it
		fd, err = netpoll.Connect(local, p.to)
	}
	if err != nil {
		return nil, err
	}
	c, slot := l.conns.take()
	*c = conn{slot: slot, gen: c.gen, fd: fd, state: opening, pool: p, began: began, ring: ring}
	if ring {
		l.stats.Open++
		l.dialed.pushBack(c)
		return c, nil
	}
	err = l.poller.Add(fd, uint64(c.ref()), netpoll.In|netpoll.Out|netpoll.RdHup|netpoll.Edge)
	if err != nil {
		_ = netpoll.Close(fd)
		c.state = shut
		l.conns.give(slot)
		return nil, err
	}
	l.stats.Open++
	if l.ring != nil {
		l.ring.polls++
	}
	l.dialed.pushBack(c)
	return c, nil
}

// begin sends a call over an open connection.
func (l *Loop) begin(c *conn, k *call) {
	c.state, c.call, k.conn = busy, k, c
	c.written, c.first, c.broken, c.turn = 0, 0, nil, l.turns
	l.lend(c)
	c.rd.Reset(k.plain.head)
	if c.ring {
		l.queueSent(k)
		l.ringWrite(c)
		return
	}
	l.markSent(k)
	l.write(c)
}

// lend gives a connection a reader for the time that it is busy: one that is idle holds no memory for answers.
func (l *Loop) lend(c *conn) {
	n := len(l.readers)
	if n == 0 {
		c.rd = new(http1.ResponseReader)
		return
	}
	c.rd, l.readers = l.readers[n-1], l.readers[:n-1]
}

// takeBack takes the reader of a connection that is not busy any more.
func (l *Loop) takeBack(c *conn) {
	if c.rd != nil {
		l.readers = append(l.readers, c.rd)
		c.rd = nil
	}
}

// hangup is what tells that nothing more will come than what can be read now.
const hangup = netpoll.RdHup | netpoll.Hup | netpoll.Err

// event acts on what the poller says of one socket.
func (l *Loop) event(ev netpoll.Event) {
	c := l.ready(connRef(ev.Tag))
	if c == nil {
		return
	}
	switch c.state {
	case opening:
		l.opened(c, ev.Events)
	case shaking:
		l.handshaken(c, ev.Events)
	case idle:
		l.unasked(c, ev.Events)
	default:
		if ev.Events&netpoll.Out != 0 && (c.written < c.call.total() || c.tunnel.unsent()) && c.broken == nil {
			l.write(c)
		}
		if ev.Events&^netpoll.Out != 0 {
			c.hungup = c.hungup || ev.Events&hangup != 0
			l.read(c)
		}
	}
}

// unasked acts on an event of an idle connection: the server closes it, or speaks without having been asked. A writable edge alone
// means nothing.
func (l *Loop) unasked(c *conn, ev netpoll.Events) {
	if ev&^netpoll.Out != 0 && (ev&hangup != 0 || !l.quiet(c)) {
		l.closeConn(c)
	}
}

// closeConn closes a connection; a call that it carries is left to the caller.
func (l *Loop) closeConn(c *conn) {
	if c.state == idle && c.hold == nil {
		l.idlers(c).remove(c)
	}
	l.dialed.remove(c)
	l.takeBack(c)
	if c.call != nil {
		c.call.conn = nil
	}
	if c.tunnel != nil {
		c.tunnel.close(c.broken != nil)
		c.tunnel = nil
	}
	switch {
	case c.ring:
		l.ringClose(c)
		c.pool.open--
	case c.hold == nil:
		_ = netpoll.Close(c.fd)
		c.pool.open--
	default:
		_ = netpoll.Abort(c.fd) // thousands at the end of a run, none of whose ports is to wait
		l.dropHeld(c)
	}
	if l.ring != nil && !c.ring {
		l.ring.polls--
	}
	l.stats.Open--
	c.state, c.call = shut, nil
	c.gen++
	l.conns.give(c.slot)
}
