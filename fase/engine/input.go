package engine

import (
	"errors"
	"io"

	"github.com/eve-emulation/eve/internal/netpoll"
)

// readable reads what has come and handles it. It reports false if the connection is gone.
func (r *reactor) readable(c *conn) bool {
	for range readRounds {
		// Input goes to a buffer that all share, unless the start of the request is kept already.
		buf := r.scratch
		kept := c.x != nil && len(c.x.in) > 0
		if kept {
			c.x.in = r.pool.grow(c.x.in, c.x.room())
			buf = c.x.in[len(c.x.in):cap(c.x.in)]
		}
		n, err := netpoll.Read(int(c.fd), buf)
		switch {
		case errors.Is(err, netpoll.ErrAgain):
			c.flags &^= unread
			return true
		case errors.Is(err, io.EOF):
			return r.ending(c)
		case err != nil:
			r.drop(c)
			return false
		}
		r.count.BytesIn += uint64(n)
		if c.flags&(last|linger) != 0 {
			continue // nobody wants it any more
		}
		r.acquire(c)
		if kept {
			r.consume(c, c.x.in[:len(c.x.in)+n])
		} else {
			r.consume(c, buf[:n])
		}
		if n < len(buf) && c.flags&finished == 0 {
			c.flags &^= unread // what comes from here on makes a new edge
			return true
		}
		if c.flags&(held|last) != 0 {
			return true
		}
	}
	return true
}

// ending acts on the peer's end of stream. What was asked before it is still answered.
func (r *reactor) ending(c *conn) bool {
	c.flags |= ended | last
	idle := c.x == nil || len(c.x.pending) == 0 && c.x.queued == 0
	if c.flags&linger != 0 || idle && !r.unsettled(c) {
		r.drop(c)
		return false
	}
	r.abandon(c)
	return true
}

// consume handles the requests in b, and keeps what is left of it in c.x.in. b is the scratch buffer or c.x.in itself with
// the bytes that have just come.
func (r *reactor) consume(c *conn, b []byte) {
	x := c.x
	start := 0
	for start < len(b) && c.flags&last == 0 {
		if r.hold(c) {
			c.flags |= held
			break
		}
		n, whole, rest := r.request(c, b[start:])
		if !whole {
			b = b[:start+rest]
			break
		}
		start += n
	}
	if c.flags&last != 0 {
		start = len(b)
	}
	r.keep(x, b[start:])
}

// hold reports whether the connection has enough to do, so that its further requests must wait.
func (r *reactor) hold(c *conn) bool {
	return !c.x.inBody && (len(c.x.pending) >= r.e.cfg.Pipeline || c.x.queued >= queuedMax || c.flags&blocked != 0)
}

// request takes one request from the start of b. It returns how long it was or, if it is not whole, how much of b to
// keep: less than b if framing was taken out.
func (r *reactor) request(c *conn, b []byte) (n int, whole bool, rest int) {
	f, n, err := r.take(c.x, b)
	switch {
	case err != nil:
		r.refuse(c, err)
		return len(b), true, 0
	case f == isPartial:
		if c.x.inBody {
			r.invite(c)
		}
		return 0, false, n
	case f == isRequest:
		r.dispatch(c)
	}
	return n, true, 0
}

// dispatch hands r.req to the handler.
func (r *reactor) dispatch(c *conn) {
	x := c.x
	flags := r.nature()
	if r.draining {
		flags |= isClosing
	}
	if flags&isClosing != 0 {
		c.flags |= last
	}
	r.unwait(c)
	x.pending = append(x.pending, pending{flags: flags})
	c.serial++
	r.count.Requests++
	r.handler.Request(r, makeRef(r.index, c.slot, c.serial-1), &r.req)
}

// refuse answers what is no acceptable request by the engine itself, after the responses still due, and reads no more.
func (r *reactor) refuse(c *conn, err error) {
	x := r.acquire(c)
	x.inBody, x.interim, x.scanned = false, false, 0
	c.flags |= last
	r.count.Refused++
	x.pending = append(x.pending, pending{flags: isClosing})
	c.serial++
	res := refusal(err)
	r.respond(makeRef(r.index, c.slot, c.serial-1), &res)
}

// invite sends 100 Continue to a client that waits for it, once all earlier responses are out.
func (r *reactor) invite(c *conn) {
	if len(c.x.pending) == 0 && r.interim(c.x) {
		r.touch(c)
	}
}
