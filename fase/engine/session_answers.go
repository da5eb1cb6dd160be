package engine

import (
	"errors"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// hold reports whether c has enough to do, so that its further requests must wait.
func (t *sessions) hold(c *session) bool {
	x := c.x
	return !x.inBody && (len(x.pending) >= t.s.cfg.Pipeline || x.queued >= queuedMax || c.flags&blocked != 0)
}

// find returns the pending request of c with that serial number, nil if it is answered or gone.
func (c *session) find(serial uint64) *pending {
	if c.fd < 0 || c.x == nil {
		return nil
	}
	i := (serial - (c.serial - uint64(len(c.x.pending)))) & serialMask
	if i >= uint64(len(c.x.pending)) || c.x.pending[i].flags&isDone != 0 {
		return nil
	}
	return &c.x.pending[i]
}

// ask enters w.req as the next request of c, and returns its Ref.
func (t *sessions) ask(w *wire, c *session) Ref {
	flags := w.nature()
	if t.draining.Load() {
		flags |= isClosing
	}
	if flags&isClosing != 0 {
		c.flags |= last
	}
	c.x.pending = append(c.x.pending, pending{flags: flags})
	c.serial++
	t.s.tally.requests.Add(1)
	return makeRef(0, c.slot, c.serial-1)
}

// refuse answers what is no acceptable request by the engine itself, after the responses still due; nothing more is read.
func (t *sessions) refuse(w *wire, c *session, res Response) {
	x := t.acquire(c)
	x.inBody, x.interim, x.scanned = false, false, 0
	c.flags |= last
	t.s.tally.refused.Add(1)
	x.pending = append(x.pending, pending{flags: isClosing})
	c.serial++
	t.answer(w, c, &x.pending[len(x.pending)-1], &res)
}

// answer renders the response to a pending request. It returns the requests that get no answer, because the connection ends before them, of those that
// the handler knows of.
func (t *sessions) answer(w *wire, c *session, p *pending, res *Response) []Ref {
	t.s.tally.responses.Add(1)
	w.now = mono.Now()
	x := c.x
	n, closing := w.answer(x, p, res)
	if n == 0 {
		return nil
	}
	for i := range n {
		t.pool.put(x.pending[i].out)
		x.pending[i] = pending{}
	}
	x.pending = x.pending[:copy(x.pending, x.pending[n:])]
	if !closing {
		return nil
	}
	c.flags |= last
	refs := c.orphans(nil)
	for i := range x.pending {
		t.pool.put(x.pending[i].out)
		x.pending[i] = pending{}
	}
	x.pending = x.pending[:0]
	return refs
}

// orphans adds the requests that the handler knows of, waits with, and has not been told to have lost their peer.
func (c *session) orphans(refs []Ref) []Ref {
	if c.x == nil {
		return refs
	}
	head := c.serial - uint64(len(c.x.pending))
	for i := range c.x.pending {
		p := &c.x.pending[i]
		if p.flags&(isDone|toldClosed) == 0 && p.flags&isHanded != 0 {
			p.flags |= toldClosed
			refs = append(refs, makeRef(0, c.slot, head+uint64(i)))
		}
	}
	return refs
}

// flush sends until nothing is left or the socket is full. It reports false if the connection is broken.
func (t *sessions) flush(w *wire, c *session) bool {
	x := c.x
	for x.queued > 0 && c.flags&blocked == 0 {
		n, err := w.send(int(c.fd), x)
		switch {
		case err == nil:
			t.s.tally.bytesOut.Add(uint64(n))
			x.advance(n)
			if t.waits(c, sending) {
				t.wait(c, none) // progress: its time begins anew
			}
		case errors.Is(err, netpoll.ErrAgain):
			c.flags |= blocked
		default:
			return false
		}
	}
	if x.queued == 0 {
		t.pool.put(x.out)
		x.out, x.sent, x.fills = nil, 0, x.fills[:0]
	}
	return true
}

// rest arranges what an open connection waits for, or ends it. It reports whether there is something to write, and whether there may be
// something to read that no event will tell of.
func (t *sessions) rest(w *wire, c *session) (write, read bool) {
	x := c.x
	working := c.parsing || x != nil && (len(x.pending) > 0 || x.queued > 0)
	if c.flags&last != 0 && !working && c.flags&linger == 0 {
		return false, t.part(c) && c.reads()
	}
	partial := x != nil && !c.parsing && (x.inBody || len(x.in) > 0)
	if t.draining.Load() && !working && !partial && c.flags&linger == 0 {
		t.close(c)
		return false, false
	}
	write = !working && partial && w.interim(x)
	switch {
	case c.flags&linger != 0:
	case c.flags&blocked != 0:
		t.waitOnce(c, sending)
	case partial && c.flags&held == 0:
		t.waitOnce(c, arriving)
	case working:
		t.wait(c, none)
	default:
		t.release(c)
		t.waitOnce(c, idling)
	}
	return write, c.reads()
}

// reads reports whether c may have input that is to be read now.
func (c *session) reads() bool {
	return c.flags&unread != 0 && !c.parsing && c.flags&(held|ended) == 0
}

// part ends a connection from our side after the last response, and reports whether it lingers: see reactor.leave.
func (t *sessions) part(c *session) bool {
	if c.flags&ended != 0 || netpoll.CloseWrite(int(c.fd)) != nil {
		t.close(c)
		return false
	}
	c.flags = c.flags&^held | linger
	t.release(c)
	t.s.left()
	t.wait(c, leaving)
	return true
}

// late reports whether a connection that has waited too long for the reason k is to end, rather than has gone on since; severs, if at once, and
// else after a refusal.
func (t *sessions) late(c *session, k timeout) (end, severs bool) {
	x := c.x
	working := x != nil && (len(x.pending) > 0 || x.queued > 0)
	partial := x != nil && (x.inBody || len(x.in) > 0)
	switch {
	case c.fd < 0, c.parsing,
		k == idling && (working || partial),
		k == arriving && !partial,
		k == sending && c.flags&blocked == 0,
		k == leaving && c.flags&linger == 0:
		return false, false
	}
	if k != leaving {
		t.s.tally.timedOut.Add(1)
	}
	return true, k != arriving || working
}
