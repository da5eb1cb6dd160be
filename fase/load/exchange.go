package load

import (
	"errors"
	"io"

	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/http1"
	"github.com/eve-emulation/eve/internal/netpoll"
)

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
	if c.tunnel.unsent() {
		_, _ = c.tunnel.write(nil) // an error of it shows when the answer is read
	}
}

func (l *Loop) writeSome(c *conn, k *call) (int, error) {
	if c.tunnel != nil {
		var piece [2][]byte // of which the first is never empty
		l.pieces(k, c.written, piece[:])
		return c.tunnel.write(piece[0])
	}
	if len(k.msg) == int(k.total()) {
		return netpoll.Write(c.fd, k.msg[c.written:])
	}
	return l.writeMore(c.fd, k, c.written)
}

// readBudget is how many times a connection is read before others have their turn.
const readBudget = 8

// read takes in what has come to a busy connection.
func (l *Loop) read(c *conn) {
	for range readBudget {
		n, err := l.receive(c)
		if n > 0 {
			l.stats.BytesIn += uint64(n)
			if l.feed(c, l.in[:n]) {
				return
			}
			if n < len(l.in) && !c.hungup && c.broken == nil && c.tunnel == nil {
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

// receive reads what has come to a connection into the loop's buffer.
func (l *Loop) receive(c *conn) (int, error) {
	if c.tunnel != nil {
		return c.tunnel.read(l.in)
	}
	return netpoll.Read(c.fd, l.in)
}

// readOn goes on with connections that had more than their share, and with those that broke while they were written.
func (l *Loop) readOn() {
	if len(l.unread) == 0 {
		return
	}
	l.taken, l.unread = l.unread, l.taken[:0]
	for _, r := range l.taken {
		switch c := l.ready(r); {
		case c == nil || c.state != busy:
		case c.ring:
			l.lost(c, c.broken)
		default:
			l.read(c)
		}
	}
	l.tick()
}

// feed parses bytes of an answer and reports whether the call is over.
func (l *Loop) feed(c *conn, p []byte) bool {
	if c.first == 0 {
		c.first = l.now
	}
	n, err := c.rd.Feed(p)
	switch {
	case err != nil:
		a := service.Answer{Cause: service.Malformed, Bytes: c.rd.Bytes}
		if http1.TooLong(err) {
			a.Cause = service.Oversized
		}
		l.note(a.Cause.String() + " answer: " + err.Error())
		l.complete(c, a, false)
	case c.rd.Bytes+c.rd.Left() > l.cfg.MaxBody:
		l.note("oversized answer: its body is longer than the limit")
		l.complete(c, service.Answer{Cause: service.Oversized, Bytes: c.rd.Bytes}, false)
	case c.rd.Done():
		l.complete(c, c.result(), n == len(p) && c.reusable() && (c.tunnel == nil || l.quiet(c)))
	default:
		return false
	}
	return true
}

// reusable reports whether the connection can carry another call after a whole answer.
func (c *conn) reusable() bool {
	return c.rd.Reusable() && c.rd.Response.Status >= 200 && c.written == c.call.total() && !c.call.plain.close &&
		!c.hungup && c.broken == nil && !c.tunnel.unsent()
}

// result is a whole answer.
func (c *conn) result() service.Answer {
	a := service.Answer{Status: c.rd.Response.Status, Bytes: c.rd.Bytes}
	switch {
	case a.Status == 421:
		if v, ok := c.rd.Response.Header("eve-epoch"); ok {
			a.Epoch = number(v)
		}
	case a.Status >= 500:
		if v, ok := c.rd.Response.Header("eve-cause"); ok {
			a.Cause = service.ParseCause(string(v))
		}
	}
	return a
}

// complete ends the call that c carries and keeps the connection or closes it.
func (l *Loop) complete(c *conn, a service.Answer, keep bool) {
	k, p := c.call, c.pool
	a.First = c.first
	c.served++
	if keep && (l.cfg.Requests == 0 || int(c.served) < l.cfg.Requests) {
		c.state, c.call = idle, nil
		l.takeBack(c)
		l.idlers(c).pushFront(c)
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
	if c.served > 0 && c.first == 0 && (k.plain.safe || c.written < k.total()) {
		// The server closed a kept connection at about the time it was used. The new one is not kept: this happens once.
		l.move(c)
		return
	}
	l.complete(c, service.Answer{Cause: l.lostCause(c, err), Bytes: c.rd.Bytes}, false)
}

// move closes a connection and sends its call over a new one.
func (l *Loop) move(c *conn) {
	k, p := c.call, c.pool
	l.stats.Retried++
	l.closeConn(c)
	l.connect(k)
	l.serve(p)
}

// stale acts on what happened to a kept connection before its call was put on it, in the same turn: the server had closed it, and has
// not seen the call, or it has spoken without having been asked, and that is nobody's answer (RFC 9112, section 9.3).
func (l *Loop) stale(c *conn, spoke bool) {
	if spoke && !c.call.plain.safe {
		l.note("malformed answer: it came before its request")
		l.complete(c, service.Answer{Cause: service.Malformed}, false)
		return
	}
	l.move(c)
}

// lostCause classes how a busy connection ended before its answer did.
func (l *Loop) lostCause(c *conn, err error) service.Cause {
	cause := service.Other
	_, secure := errors.AsType[*tlsError](err)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		if c.first == 0 {
			return service.Closed
		}
		return service.Truncated
	case secure:
		cause = service.TLS
	case netpoll.Reset(err):
		return service.Reset
	}
	l.note(err.Error())
	return cause
}
