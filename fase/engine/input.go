package engine

import (
	"errors"
	"io"

	"github.com/eve-emulation/eve/internal/http1"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// A frame says how far the body of a request has come. Offsets count from the request's first byte.
type frame struct {
	body  http1.Body
	head  int // bytes of the head
	raw   int // bytes consumed
	write int // end of the payload, which is moved up against the head
}

var (
	errHeadSize = &http1.Error{Status: 431, Reason: "request head too large"}
	errBodySize = &http1.Error{Status: 413, Reason: "request body too large"}
	errSlow     = &http1.Error{Status: 408, Reason: "request took too long to arrive"}
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

// room returns how much more input x expects at least.
func (x *exchange) room() int {
	if x.inBody && x.frame.body.Left() > 0 {
		return int(min(x.frame.body.Left(), 1<<20))
	}
	return 2 << 10
}

// ending acts on the peer's end of stream. What was asked before it is still answered.
func (r *reactor) ending(c *conn) bool {
	c.flags |= ended | last
	if c.flags&linger != 0 || c.x == nil || len(c.x.pending) == 0 && c.x.queued == 0 {
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

// keep stores rest, which may lie in x.in, as the beginning of x.in.
func (r *reactor) keep(x *exchange, rest []byte) {
	if len(rest) == 0 {
		r.pool.put(x.in)
		x.in = nil
		return
	}
	if x.in == nil {
		x.in = r.pool.get(len(rest) + x.room())
	}
	x.in = append(x.in[:0], rest...) // overlapping is fine: it moves down
}

// request takes one request from the start of b. It returns how long it was or, if it is not whole, how much of b to
// keep: less than b if framing was taken out.
func (r *reactor) request(c *conn, b []byte) (n int, whole bool, rest int) {
	x := c.x
	fresh := !x.inBody
	if fresh {
		if x.scanned == 0 {
			if k := http1.SkipBlank(b); k > 0 {
				return k, true, 0
			}
		}
		end, err := http1.HeadEnd(b, x.scanned)
		if err == nil && (end > r.e.cfg.MaxHead || end == 0 && len(b) > r.e.cfg.MaxHead) {
			err = errHeadSize
		}
		if err == nil && end == 0 {
			if len(b) > 1 { // a single CR may yet become an empty line to skip
				x.scanned = len(b)
			}
			return 0, false, len(b)
		}
		x.scanned = 0
		if err == nil {
			err = r.begin(x, b[:end])
		}
		if err != nil {
			r.refuse(c, err)
			return len(b), true, 0
		}
	}
	if !x.frame.body.Done() {
		if err := r.body(x, b); err != nil {
			r.refuse(c, err)
			return len(b), true, 0
		}
		if !x.frame.body.Done() {
			r.invite(c)
			return 0, false, x.frame.write
		}
	}
	r.dispatch(c, b, fresh)
	return x.frame.raw, true, 0
}

// begin parses a head and prepares for its body.
func (r *reactor) begin(x *exchange, head []byte) error {
	if err := http1.ParseRequest(head, &r.req); err != nil {
		return err
	}
	if r.req.ContentLength > int64(r.e.cfg.MaxBody) {
		return errBodySize
	}
	x.frame = frame{body: r.req.Framing(), head: len(head), raw: len(head), write: len(head)}
	x.inBody = true
	x.interim = r.req.Expect && !x.frame.body.Done()
	return nil
}

// body consumes what b holds of the body. A body of known length that is not whole stays where it is; chunks are joined in place.
func (r *reactor) body(x *exchange, b []byte) error {
	f := &x.frame
	for f.raw < len(b) && !f.body.Done() {
		payload, n, err := f.body.Next(b[f.raw:])
		if err != nil {
			return err
		}
		f.raw += n
		if f.write+len(payload) != f.raw {
			copy(b[f.write:], payload)
		}
		f.write += len(payload)
		if f.write-f.head > r.e.cfg.MaxBody {
			return errBodySize
		}
	}
	if !f.body.Done() {
		f.raw = f.write
	}
	return nil
}

// dispatch hands a whole request, which lies at the start of b, to the handler. Unless it is fresh its body came later than
// its head, and r.req has served others since.
func (r *reactor) dispatch(c *conn, b []byte, fresh bool) {
	x := c.x
	r.head = b[:x.frame.head:x.frame.head]
	if !fresh {
		if err := http1.ParseRequest(r.head, &r.req); err != nil {
			panic(err) // it was parsed before
		}
	}
	x.inBody, x.interim = false, false
	if x.frame.write > x.frame.head {
		r.req.Body = b[x.frame.head:x.frame.write:x.frame.write]
	}
	flags := uint8(0)
	if r.req.Is("HEAD") {
		flags |= isHead
	}
	if r.req.Minor == 0 {
		flags |= isOld
	}
	if !r.req.KeepAlive || r.draining {
		flags |= isClosing
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
	status := 400
	if e, ok := errors.AsType[*http1.Error](err); ok {
		status = e.Status
	}
	x := r.acquire(c)
	x.inBody, x.interim, x.scanned = false, false, 0
	c.flags |= last
	r.count.Refused++
	x.pending = append(x.pending, pending{flags: isClosing})
	c.serial++
	r.respond(makeRef(r.index, c.slot, c.serial-1), &Response{
		Status: status, Header: plainText, Body: []byte(err.Error() + "\n"),
	})
}

var plainText = []byte("Content-Type: text/plain; charset=utf-8\r\n")

// invite sends 100 Continue to a client that waits for it, once all earlier responses are out.
func (r *reactor) invite(c *conn) {
	x := c.x
	if !x.interim || len(x.pending) > 0 {
		return
	}
	x.interim = false
	if x.frame.write > x.frame.head {
		return // it did not wait
	}
	const line = "HTTP/1.1 100 Continue\r\n\r\n"
	x.out = append(r.pool.grow(r.outgoing(x), len(line)), line...)
	x.queued += int64(len(line))
	r.touch(c)
}
