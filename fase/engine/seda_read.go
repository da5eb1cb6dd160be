package engine

import (
	"errors"
	"io"

	"github.com/eve-emulation/eve/internal/netpoll"
)

// What follows is the first stage, on the keeper's thread.

func (e *seda) welcome(fd int) { e.sessions.take(fd) }

func (e *seda) happened(gen, slot uint32, ev netpoll.Events) {
	c := e.at(slot)
	if c == nil {
		return
	}
	c.mu.Lock()
	if c.fd < 0 || c.gen&tagGenMask != gen {
		c.mu.Unlock()
		return
	}
	c.note(ev)
	if ev&netpoll.Err != 0 || ev&netpoll.Hup != 0 && ev&netpoll.In == 0 {
		gen := c.gen
		c.mu.Unlock()
		e.sever(c, gen)
		return
	}
	if ev&netpoll.Out != 0 && c.flags&blocked != 0 {
		c.flags &^= blocked
		e.toWrite(c)
	}
	e.read(c)
}

// read takes what has come on c, whose lock is held and given back, and has it parsed.
func (e *seda) read(c *session) {
	if c.fd < 0 || c.parsing || c.flags&unread == 0 || c.flags&(held|ended) != 0 {
		c.mu.Unlock()
		return
	}
	gen := c.gen
	came, err := e.receiveInput(c)
	if came && c.flags&last == 0 {
		c.parsing = true
		if !e.parse.Offer(c) {
			c.parsing = false
			e.pool.put(c.x.in)
			c.x.in = nil
			e.refuse(e.own, c, busy)
			e.toWrite(c)
		}
	}
	switch {
	case err == nil:
		if !c.parsing {
			e.rest(e.own, c)
		}
		c.mu.Unlock()
	case errors.Is(err, io.EOF):
		c.mu.Unlock()
		e.ending(c, gen)
	default:
		c.mu.Unlock()
		e.sever(c, gen)
	}
}

// receiveInput reads until the socket is empty, or others are to have their turn. An error is io.EOF or says that the connection is broken.
func (e *seda) receiveInput(c *session) (came bool, err error) {
	for range readRounds {
		buf := e.keeper.scratch
		kept := c.flags&(last|linger) == 0
		if kept {
			x := e.acquire(c)
			if x.in == nil {
				x.in = e.pool.get(x.room())
			}
			x.in = e.pool.grow(x.in, x.room())
			buf = x.in[len(x.in):cap(x.in)]
		}
		n, err := netpoll.Read(int(c.fd), buf)
		switch {
		case errors.Is(err, netpoll.ErrAgain):
			c.flags &^= unread
			return came, nil
		case err != nil:
			return came, err
		}
		e.tally.bytesIn.Add(uint64(n))
		if kept {
			c.x.in = c.x.in[:len(c.x.in)+n]
			came = true
		}
		if n < len(buf) && c.flags&finished == 0 {
			c.flags &^= unread
			return came, nil
		}
	}
	return came, nil
}

// ending acts on the peer's end of stream. What was asked before it is still answered.
func (e *seda) ending(c *session, gen uint32) {
	e.enter()
	c.mu.Lock()
	if c.fd < 0 || c.gen != gen {
		c.mu.Unlock()
		e.leave()
		return
	}
	c.flags |= ended
	c.flags &^= unread
	if c.parsing { // the parser finds out
		c.mu.Unlock()
		e.leave()
		return
	}
	c.flags |= last
	if c.flags&linger != 0 || c.x == nil || len(c.x.pending) == 0 && c.x.queued == 0 {
		e.sessions.close(c)
		c.mu.Unlock()
		e.leave()
		return
	}
	refs := c.orphans(nil)
	c.mu.Unlock()
	e.orphaned(refs)
	e.leave()
}

// sever closes a connection at once and tells the handler about the requests that it leaves unanswered. No lock is held.
func (e *seda) sever(c *session, gen uint32) {
	e.enter()
	defer e.leave()
	c.mu.Lock()
	if c.fd < 0 || c.gen != gen {
		c.mu.Unlock()
		return
	}
	refs := c.orphans(nil)
	e.sessions.close(c)
	c.mu.Unlock()
	e.orphaned(refs)
}

// orphaned tells the handler, under its lock, about requests that have lost their peer.
func (e *seda) orphaned(refs []Ref) {
	for _, ref := range refs {
		e.handler.Closed(e, ref)
	}
}

func (e *seda) next() int64 {
	e.mu.Lock()
	more := len(e.again) > 0
	e.mu.Unlock()
	if more {
		return 0
	}
	return e.sessions.next()
}

func (e *seda) expire(now int64) {
	e.readAgain()
	for k := range timeouts {
		for _, c := range e.overdue(now, k) {
			e.late(c, k)
		}
	}
}

// readAgain goes on with reading that a parser held up.
func (e *seda) readAgain() {
	e.mu.Lock()
	list := e.again
	e.again = nil
	e.mu.Unlock()
	for _, c := range list {
		c.mu.Lock()
		e.read(c)
	}
}

// late ends a connection whose time is over, unless it has gone on since.
func (e *seda) late(c *session, k timeout) {
	c.mu.Lock()
	x := c.x
	working := x != nil && (len(x.pending) > 0 || x.queued > 0)
	partial := x != nil && (x.inBody || len(x.in) > 0)
	switch {
	case c.fd < 0, c.parsing,
		k == idling && (working || partial),
		k == arriving && !partial,
		k == sending && c.flags&blocked == 0,
		k == leaving && c.flags&linger == 0:
		c.mu.Unlock()
		return
	}
	if k != leaving {
		e.tally.timedOut.Add(1)
	}
	if k == arriving && !working {
		e.refuse(e.own, c, refusal(errSlow))
		e.toWrite(c)
		c.mu.Unlock()
		return
	}
	gen := c.gen
	c.mu.Unlock()
	e.sever(c, gen)
}

func (e *seda) drain() {
	e.draining.Store(true)
	e.each(func(c *session) { // a request may have come already
		c.mu.Lock()
		if c.fd < 0 || c.parsing {
			c.mu.Unlock()
			return
		}
		c.flags |= unread
		e.read(c)
	})
}

// toWrite has the write stage look at c, whose lock is held.
func (e *seda) toWrite(c *session) {
	if !c.writing {
		c.writing = true
		e.write.Push(c)
	}
}

// rest arranges what an open connection waits for, or ends it. Its lock is held.
func (e *seda) rest(w *wire, c *session) {
	x := c.x
	working := c.parsing || x != nil && (len(x.pending) > 0 || x.queued > 0)
	if c.flags&last != 0 && !working && c.flags&linger == 0 {
		e.part(c)
		return
	}
	partial := x != nil && !c.parsing && (x.inBody || len(x.in) > 0)
	if e.draining.Load() && !working && !partial && c.flags&linger == 0 {
		e.sessions.close(c)
		return
	}
	if !working && partial && w.interim(x) {
		e.toWrite(c)
	}
	switch {
	case c.flags&linger != 0:
	case c.flags&blocked != 0:
		e.waitOnce(c, sending)
	case partial && c.flags&held == 0:
		e.waitOnce(c, arriving)
	case working:
		e.sessions.wait(c, none)
	default:
		e.release(c)
		e.waitOnce(c, idling)
	}
	e.readOn(c)
}

// readOn has the keeper go on reading, if there is something and it may.
func (e *seda) readOn(c *session) {
	if c.flags&unread == 0 || c.parsing || c.flags&(held|ended) != 0 {
		return
	}
	e.mu.Lock()
	e.again = append(e.again, c)
	e.mu.Unlock()
	e.keeper.poller.Wake()
}

// part ends a connection from our side after the last response: see reactor.leave.
func (e *seda) part(c *session) {
	if c.flags&ended != 0 || netpoll.CloseWrite(int(c.fd)) != nil {
		e.sessions.close(c)
		return
	}
	c.flags = c.flags&^held | linger
	e.release(c)
	e.left()
	e.sessions.wait(c, leaving)
	e.readOn(c)
}
