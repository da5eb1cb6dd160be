package engine

import (
	"errors"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// acceptPause is how long a loop that ran out of descriptors leaves new connections alone.
const acceptPause = 20 * time.Millisecond

// listen lets the poller report new connections.
func (r *reactor) listen() error {
	if r.accepting || r.draining || r.broken {
		return nil
	}
	r.accepting = true
	if r.ring != nil {
		r.ring.Accept(r.listener, r.ring.accepted, 0)
		return nil
	}
	return r.poller.Add(r.listener, tag(tagListener, 0, 0), netpoll.In)
}

// accept takes new connections, some at a time so that the others get their turn.
func (r *reactor) accept() {
	if r.listener < 0 {
		return
	}
	for range acceptBatch {
		fd, err := netpoll.Accept(r.listener)
		switch {
		case err == nil:
			r.welcome(fd)
		case errors.Is(err, netpoll.ErrAgain):
			return
		default:
			// No descriptor or no memory. Who waits is told so by a close, for which the spare makes room, and the
			// listener rests: its readiness would wake the loop without end.
			r.shed()
			return
		}
	}
}

// welcome enters a new connection into the table and the poller.
func (r *reactor) welcome(fd int) {
	if r.guests != nil {
		r.guests(fd)
		return
	}
	c := r.conns.take(fd)
	if c == nil {
		r.count.Shed++
		_ = netpoll.Close(fd)
		return
	}
	if r.ring != nil {
		r.ringWatch(c)
	} else if err := r.poller.Add(fd, tag(0, c.gen, c.slot), r.e.events()); err != nil {
		r.count.Shed++
		r.conns.put(c)
		_ = netpoll.Close(fd)
		return
	}
	c.want = wantIn
	r.e.open.Add(1)
	r.count.Accepted++
	r.wait(c, idling)
}

// shed closes connections that there is no descriptor for, and pauses.
func (r *reactor) shed() {
	if r.spare >= 0 {
		_ = netpoll.Close(r.spare)
		for range acceptBatch {
			fd, err := netpoll.Accept(r.listener)
			if err != nil {
				break
			}
			r.count.Shed++
			_ = netpoll.Close(fd)
		}
	}
	var err error
	if r.spare, err = netpoll.Spare(); err != nil {
		r.spare = -1
	}
	if r.ring != nil || r.accepting && r.poller.Delete(r.listener) == nil {
		r.accepting = false
		r.retryAt = mono.Now() + int64(acceptPause)
	}
}

// drop closes a connection at once and tells the handler about the requests that it leaves unanswered.
func (r *reactor) drop(c *conn) {
	r.unwait(c)
	r.abandon(c)
	if c.x != nil {
		r.release(c)
	}
	r.closeFile(int(c.fd), c.flags&(armed|blocked) != 0)
	if c.flags&linger == 0 {
		r.e.gone(r)
	}
	r.conns.put(c)
}

// closeFile closes a descriptor that is waited for. With busy, a ring has operations under way on it.
func (r *reactor) closeFile(fd int, busy bool) {
	if r.ring != nil {
		r.ring.CloseFile(fd, busy)
		return
	}
	_ = r.poller.CloseWatched(fd)
}

// abandon tells the handler, once for each request that is still to be answered, that the peer has gone.
func (r *reactor) abandon(c *conn) {
	if c.x == nil {
		return
	}
	head := c.serial - uint64(len(c.x.pending))
	for i := range c.x.pending {
		p := &c.x.pending[i]
		if p.flags&(isDone|toldClosed) != 0 {
			continue
		}
		p.flags |= toldClosed
		ref := makeRef(r.index, c.slot, head+uint64(i))
		if p.flags&isPassed != 0 {
			r.e.loops[p.owner].box.post(message{kind: closedMessage, ref: ref}, nil, nil)
			continue
		}
		r.handler.Closed(r, ref)
	}
}

// acquire gives c its working state.
func (r *reactor) acquire(c *conn) *exchange {
	if c.x == nil {
		if n := len(r.exchanges); n > 0 {
			c.x = r.exchanges[n-1]
			r.exchanges = r.exchanges[:n-1]
		} else {
			c.x = new(exchange)
		}
	}
	return c.x
}

// release takes the working state of c back.
func (r *reactor) release(c *conn) {
	x := c.x
	c.x = nil
	for i := range x.pending {
		r.forget(&x.pending[i])
	}
	r.pool.put(x.in)
	r.pool.put(x.out)
	*x = exchange{pending: x.pending[:0], fills: x.fills[:0]}
	if cap(x.pending) > 256 || cap(x.fills) > 256 {
		x.pending, x.fills = nil, nil
	}
	r.exchanges = append(r.exchanges, x)
}

// forget frees what a pending request holds.
func (r *reactor) forget(p *pending) {
	r.pool.put(p.out)
	if p.flags&isPassed != 0 {
		r.passed--
	}
	*p = pending{}
}
