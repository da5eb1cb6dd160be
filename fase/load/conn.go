package load

import (
	"errors"
	"io"
	"net/netip"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/http1"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// A conn is one connection. It is registered with the poller once, for edges, and never changed there.
type conn struct {
	links[conn] // in the idle list of its pool

	slot, gen uint32 // gen tells events of an earlier connection in the slot apart
	fd        int
	state     state
	pool      *pool
	call      *call // while busy or opening

	written int64 // bytes of the call's request
	used    bool  // it has carried a whole answer before this call
	got     bool  // a byte of this call's answer has come
	hungup  bool  // the poller has told of the end of the stream, which it does once
	broken  error // of a write
	began   dsv.Instant
	rd      http1.ResponseReader
}

type state uint8

const (
	shut    state = iota
	opening       // connect is under way
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
	var local netip.Addr
	if n := len(l.cfg.Sources); n > 0 {
		local = l.cfg.Sources[l.source%n]
		l.source++
	}
	began := l.clock()
	fd, err := netpoll.Connect(local, k.pool.to)
	if err != nil {
		l.fail(k, l.connectCause(err))
		return
	}
	c, slot := l.conns.take()
	rd := c.rd
	*c = conn{slot: slot, gen: c.gen, fd: fd, state: opening, pool: k.pool, call: k, began: began, rd: rd}
	err = l.poller.Add(fd, uint64(c.ref()), netpoll.In|netpoll.Out|netpoll.RdHup|netpoll.Edge)
	if err != nil {
		_ = netpoll.Close(fd)
		c.state = shut
		l.conns.give(slot)
		l.fail(k, l.connectCause(err))
		return
	}
	k.conn = c
	k.pool.open++
	l.stats.Open++
}

// connectCause classes the error of a connection that did not come about, and notes it unless the cause says it all.
func (l *Loop) connectCause(err error) service.Cause {
	switch {
	case netpoll.Refused(err):
		return service.Refused
	case netpoll.Reset(err):
		return service.Reset
	default:
		l.note(err.Error())
		return service.Other
	}
}

// begin sends a call over an open connection.
func (l *Loop) begin(c *conn, k *call) {
	c.state, c.call, k.conn = busy, k, c
	c.written, c.got, c.broken = 0, false, nil
	c.rd.Reset(k.head)
	l.markSent(k)
	l.write(c)
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
	case idle:
		// The server closes it, or speaks without having been asked. A writable edge alone means nothing.
		if ev.Events&^netpoll.Out != 0 {
			l.closeConn(c)
		}
	default:
		if ev.Events&netpoll.Out != 0 && c.written < c.call.total() && c.broken == nil {
			l.write(c)
		}
		if ev.Events&^netpoll.Out != 0 {
			c.hungup = c.hungup || ev.Events&hangup != 0
			l.read(c)
		}
	}
}

// opened acts on the first event of a connection.
func (l *Loop) opened(c *conn, ev netpoll.Events) {
	if ev&(netpoll.Out|netpoll.Err|netpoll.Hup) == 0 {
		return
	}
	k, p := c.call, c.pool
	if err := netpoll.ConnectError(c.fd); err != nil {
		l.closeConn(c)
		l.answer(k, service.Answer{Cause: l.connectCause(err)})
		l.serve(p)
		return
	}
	l.stats.Opened++
	l.stats.Connect.add(l.now.Sub(c.began))
	l.begin(c, k)
	// The server may have spoken, or hung up, before it was asked; that edge is not reported again.
	if ev&^netpoll.Out != 0 {
		c.hungup = ev&hangup != 0
		l.read(c)
	}
}

// write sends what the socket takes of the call's request.
func (l *Loop) write(c *conn) {
	k := c.call
	for c.written < k.total() {
		n, err := l.writeSome(c, k)
		if errors.Is(err, netpoll.ErrAgain) {
			return
		}
		if err != nil {
			// The server may have answered before it broke off: what came is read first, when no effects are
			// being routed.
			c.broken = err
			l.unread = append(l.unread, c.ref())
			return
		}
		c.written += int64(n)
		l.stats.BytesOut += uint64(n)
	}
}

func (l *Loop) writeSome(c *conn, k *call) (int, error) {
	if k.pad == 0 {
		return netpoll.Write(c.fd, k.msg[c.written:])
	}
	return l.writePadded(c.fd, k, c.written)
}

// readBudget is how many times a connection is read before others have their turn.
const readBudget = 8

// read takes in what has come to a busy connection.
func (l *Loop) read(c *conn) {
	for range readBudget {
		n, err := netpoll.Read(c.fd, l.in)
		if n > 0 {
			l.stats.BytesIn += uint64(n)
			if l.feed(c, l.in[:n]) {
				return
			}
			if n < len(l.in) && !c.hungup && c.broken == nil {
				return // what comes later makes a new edge
			}
			continue
		}
		switch {
		case errors.Is(err, netpoll.ErrAgain):
			if c.broken != nil {
				l.lost(c, c.broken)
			}
		default:
			l.lost(c, err)
		}
		return
	}
	l.unread = append(l.unread, c.ref())
}

// readOn goes on with connections that had more than their share, and with those that broke while they were written.
func (l *Loop) readOn() {
	if len(l.unread) == 0 {
		return
	}
	l.taken, l.unread = l.unread, l.taken[:0]
	for _, r := range l.taken {
		if c := l.ready(r); c != nil && c.state == busy {
			l.read(c)
		}
	}
	l.tick()
}

// feed parses bytes of an answer and reports whether the call is over.
func (l *Loop) feed(c *conn, p []byte) bool {
	c.got = true
	n, err := c.rd.Feed(p)
	switch {
	case err != nil:
		l.note("malformed answer: " + err.Error())
		l.complete(c, service.Answer{Cause: service.Malformed, Bytes: c.rd.Bytes}, false)
	case c.rd.Done():
		l.complete(c, c.result(), n == len(p) && c.reusable())
	default:
		return false
	}
	return true
}

// reusable reports whether the connection can carry another call after a whole answer.
func (c *conn) reusable() bool {
	return c.rd.Reusable() && c.rd.Response.Status >= 200 && c.written == c.call.total() &&
		!c.hungup && c.broken == nil
}

// result is a whole answer.
func (c *conn) result() service.Answer {
	a := service.Answer{Status: c.rd.Response.Status, Bytes: c.rd.Bytes}
	if a.Status == 421 {
		if v, ok := c.rd.Response.Header("eve-epoch"); ok {
			a.Epoch = number(v)
		}
	}
	return a
}

// complete ends the call that c carries and keeps the connection or closes it.
func (l *Loop) complete(c *conn, a service.Answer, keep bool) {
	k, p := c.call, c.pool
	if keep {
		c.state, c.call, c.used = idle, nil, true
		p.idle.pushFront(c)
	} else {
		l.closeConn(c)
	}
	l.answer(k, a)
	l.serve(p)
}

// lost acts on the end of the stream, or on an error of a busy connection.
func (l *Loop) lost(c *conn, err error) {
	if errors.Is(err, io.EOF) && c.rd.End() == nil {
		l.complete(c, c.result(), false)
		return
	}
	k := c.call
	if c.used && !c.got && (k.safe || c.written < k.total()) {
		// The server closed a kept connection at about the time it was used. The new one is not kept: this happens once.
		l.stats.Retried++
		p := c.pool
		l.closeConn(c)
		l.connect(k)
		l.serve(p)
		return
	}
	a := service.Answer{Cause: service.Closed, Bytes: c.rd.Bytes}
	switch {
	case errors.Is(err, io.EOF):
	case netpoll.Reset(err):
		a.Cause = service.Reset
	default:
		l.note(err.Error())
		a.Cause = service.Other
	}
	l.complete(c, a, false)
}

// closeConn closes a connection; a call that it carries is left to the caller.
func (l *Loop) closeConn(c *conn) {
	if c.state == idle {
		c.pool.idle.remove(c)
	}
	if c.call != nil {
		c.call.conn = nil
	}
	_ = netpoll.Close(c.fd)
	c.pool.open--
	l.stats.Open--
	c.state, c.call = shut, nil
	c.gen++
	l.conns.give(c.slot)
}
