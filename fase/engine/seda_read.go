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
	if c.fd < 0 || !c.reads() {
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
	gen := c.gen
	end, severs := e.sessions.late(c, k)
	if end && !severs {
		e.refuse(e.own, c, refusal(errSlow))
		e.toWrite(c)
	}
	c.mu.Unlock()
	if severs {
		e.sever(c, gen)
	}
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
	write, read := e.sessions.rest(w, c)
	if write {
		e.toWrite(c)
	}
	if read {
		e.readOn(c)
	}
}

// readOn has the keeper go on reading.
func (e *seda) readOn(c *session) {
	e.mu.Lock()
	e.again = append(e.again, c)
	e.mu.Unlock()
	e.keeper.poller.Wake()
}
