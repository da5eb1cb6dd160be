package engine

import (
	"errors"

	"github.com/eve-emulation/eve/internal/netpoll"
)

func (r *reactor) Respond(ref Ref, res Response) bool {
	if ref.loop() != r.index {
		if ref.loop() >= len(r.e.loops) {
			return false
		}
		return r.e.loops[ref.loop()].box.post(message{
			kind: responseMessage, ref: ref, status: res.Status, filler: res.Filler, close: res.Close,
		}, res.Header, res.Body)
	}
	return r.respond(ref, &res)
}

// find returns the pending request that ref names, nil if ref is stale or the request is answered.
func (r *reactor) find(ref Ref) *pending {
	c := r.conns.at(ref.slot())
	if c == nil || c.x == nil {
		return nil
	}
	head := c.serial - uint64(len(c.x.pending))
	i := (ref.serial() - head) & serialMask
	if i >= uint64(len(c.x.pending)) || c.x.pending[i].flags&isDone != 0 {
		return nil
	}
	return &c.x.pending[i]
}

// respond renders a response in its turn, or keeps it until then.
func (r *reactor) respond(ref Ref, res *Response) bool {
	p := r.find(ref)
	if p == nil {
		return false
	}
	c := r.conns.at(ref.slot())
	r.count.Responses++
	n, closing := r.answer(c.x, p, res)
	if n == 0 {
		return true
	}
	x := c.x
	for i := range n {
		r.forget(&x.pending[i])
	}
	if closing { // whatever was asked after it gets no answer
		c.flags |= last
		r.endPending(c, n)
	} else {
		x.pending = x.pending[:copy(x.pending, x.pending[n:])]
	}
	r.touch(c)
	return true
}

// endPending drops the pending requests, of which the first n are answered.
func (r *reactor) endPending(c *conn, n int) {
	x := c.x
	x.pending = x.pending[:copy(x.pending, x.pending[n:])]
	r.abandon(c)
	for i := range x.pending {
		r.forget(&x.pending[i])
	}
	x.pending = x.pending[:0]
}

// touch has c settled at the end of what the loop is doing.
func (r *reactor) touch(c *conn) {
	if !c.x.dirty {
		c.x.dirty = true
		r.dirty = append(r.dirty, c.slot)
	}
}

// settle brings a connection to rest: it sends what can be sent, takes up input that was held back, and arranges what to
// wait for next, or closes it.
func (r *reactor) settle(c *conn) {
	for c.x != nil {
		c.x.dirty = false
		if !r.flush(c) {
			return
		}
		if c.flags&held == 0 || r.hold(c) || c.flags&last != 0 {
			break
		}
		c.flags &^= held
		r.consume(c, c.x.in)
	}
	if r.ring != nil && c.flags&(finished|held) == finished {
		c.flags &^= finished
		if !r.ending(c) {
			return
		}
	}
	r.rest(c)
}

// flush sends until nothing is left or the socket is full. It reports false if the connection is gone.
func (r *reactor) flush(c *conn) bool {
	if r.ring != nil {
		return r.ringFlush(c)
	}
	x := c.x
	for x.queued > 0 && c.flags&blocked == 0 {
		n, err := r.send(int(c.fd), x)
		switch {
		case err == nil:
			r.progress(c, n)
			x.advance(n)
		case errors.Is(err, netpoll.ErrAgain):
			c.flags |= blocked
		default:
			r.drop(c)
			return false
		}
	}
	if x.queued == 0 {
		r.emptied(x)
	}
	return true
}

// progress notes that n bytes went out.
func (r *reactor) progress(c *conn, n int) {
	r.count.BytesOut += uint64(n)
	if c.list == sending {
		r.unwait(c) // its time begins anew
	}
}

// rest arranges what an open connection waits for.
func (r *reactor) rest(c *conn) {
	x := c.x
	busy := x != nil && (len(x.pending) > 0 || x.queued > 0)
	if c.flags&last != 0 && !busy && c.flags&linger == 0 {
		if !r.unsettled(c) {
			r.leave(c)
		}
		return
	}
	partial := x != nil && (x.inBody || len(x.in) > 0)
	if r.draining && !busy && !partial && c.flags&linger == 0 && !r.unsettled(c) {
		r.drop(c)
		return
	}
	if !busy && partial {
		r.invite(c)
	}
	switch {
	case c.flags&linger != 0:
	case c.flags&blocked != 0:
		r.waitOnce(c, sending)
	case partial && c.flags&held == 0:
		r.waitOnce(c, arriving)
	case busy:
		r.unwait(c)
	default:
		if x != nil {
			r.release(c)
		}
		r.waitOnce(c, idling)
	}
	r.watch(c)
}

// waitOnce is wait, unless c waits for that already.
func (r *reactor) waitOnce(c *conn, k timeout) {
	if c.list != k {
		r.wait(c, k)
	}
}

// watch tells the poller what c waits for, if that has changed.
func (r *reactor) watch(c *conn) {
	if r.ring != nil {
		r.ringWatch(c)
		return
	}
	want := uint8(0)
	if c.flags&(ended|held) == 0 {
		want |= wantIn
	}
	if c.flags&blocked != 0 {
		want |= wantOut
	}
	if r.e.edge {
		c.want = want
		r.remember(c)
		return
	}
	if want == c.want {
		return
	}
	ev := netpoll.Events(0)
	if want&wantIn != 0 {
		ev |= netpoll.In
	}
	if want&wantOut != 0 {
		ev |= netpoll.Out
	}
	if err := r.poller.Modify(int(c.fd), tag(0, c.gen, c.slot), ev); err != nil {
		r.drop(c)
		return
	}
	c.want = want
}

// leave ends a connection from our side after the last response. A close while input is unread would make the kernel send a
// reset, which can destroy the response on its way: so the end of stream goes out first, and what comes until the peer's is
// thrown away.
func (r *reactor) leave(c *conn) {
	// A ring has nothing left to send here. It could shut the connection down as well, but would do so on a thread of the kernel's.
	if c.flags&ended != 0 || netpoll.CloseWrite(int(c.fd)) != nil {
		r.drop(c)
		return
	}
	c.flags = c.flags&^held | linger
	if c.x != nil {
		r.release(c)
	}
	r.e.gone(r) // it holds nobody up
	r.wait(c, leaving)
	r.watch(c)
}
