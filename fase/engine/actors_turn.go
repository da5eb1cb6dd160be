package engine

import (
	"errors"
	"io"

	"github.com/eve-emulation/eve/fase/engine/stage"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// turn is a scheduler thread: it gives an actor its turn, or does work that has no actor any more.
func (e *actors) turn(t *stage.Thread, batch []job) {
	th, ok := t.Local.(*scheduler)
	if !ok {
		th = &scheduler{Thread: Thread{ending: &e.spent}, wire: e.wire(), scratch: make([]byte, scratchBytes)}
		t.Local = th
	}
	for _, j := range batch {
		if j.work != nil {
			j.work(&th.Thread)
			continue
		}
		c := j.actor
		e.act(th, c)
		switch {
		case c.fd < 0:
			e.bury(c)
		case !c.rests():
			e.run.Push(j)
		}
	}
}

// act takes messages until the mailbox is empty or the reductions are used up, and then sends what there is to send.
func (e *actors) act(th *scheduler, c *session) {
	c.more = false
	if e.spent.Load() {
		e.die(c)
		return
	}
	left := reductions
	if s := c.takeSignals(); s != 0 {
		left--
		if e.feel(th, c, s); c.fd < 0 {
			return
		}
	}
	left = e.read(th, c, left)
	for c.fd >= 0 && left > 0 {
		l, ok := e.spares.take(c)
		if !ok {
			break
		}
		left--
		if l.work != nil {
			l.work(&th.Thread)
			continue
		}
		e.answered(th, c, &l)
		e.sessions.pool.put(l.buf)
	}
	if c.fd >= 0 {
		e.settle(th, c, left)
	}
}

// feel acts on signals.
func (e *actors) feel(th *scheduler, c *session, s signals) {
	if s&broken != 0 {
		e.die(c)
		return
	}
	if s&readable != 0 {
		c.flags |= unread
	}
	if s&halfClosed != 0 {
		c.flags |= finished
	}
	if s&writable != 0 {
		c.flags &^= blocked
	}
	for k := range timeouts {
		if s&(tooLate<<k) == 0 {
			continue
		}
		end, severs := e.late(c, k)
		if severs {
			e.die(c)
			return
		}
		if end {
			e.refuse(th.wire, c, refusal(errSlow))
		}
	}
}

// read reads what has come and hands the requests in it to the handler, as long as there are reductions left, of which it returns how many.
func (e *actors) read(th *scheduler, c *session, left int) int {
	for range readRounds {
		if !c.reads() || left <= 0 {
			break
		}
		// Input goes to a buffer that all share, unless the start of the request is kept already.
		buf, kept := th.scratch, c.x != nil && len(c.x.in) > 0
		if kept {
			c.x.in = e.sessions.pool.grow(c.x.in, c.x.room())
			buf = c.x.in[len(c.x.in):cap(c.x.in)]
		}
		n, err := netpoll.Read(int(c.fd), buf)
		switch {
		case errors.Is(err, netpoll.ErrAgain):
			c.flags &^= unread
			return left
		case errors.Is(err, io.EOF):
			e.ending(c)
			return left
		case err != nil:
			e.die(c)
			return left
		}
		e.tally.bytesIn.Add(uint64(n))
		if n < len(buf) && c.flags&finished == 0 {
			c.flags &^= unread // what comes from here on makes a new edge
		}
		if c.flags&(last|linger) != 0 {
			continue // nobody wants it any more
		}
		x := e.acquire(c)
		if kept {
			left = e.consume(th, c, x.in[:len(x.in)+n], left)
		} else {
			left = e.consume(th, c, buf[:n], left)
		}
	}
	return left
}

// consume hands the requests in b to the handler, and keeps what is left of it in c.x.in.
func (e *actors) consume(th *scheduler, c *session, b []byte, left int) int {
	x, w := c.x, th.wire
	start := 0
loop:
	for start < len(b) && c.flags&last == 0 {
		if left <= 0 || e.hold(c) {
			c.flags |= held
			break
		}
		f, n, err := w.take(x, b[start:])
		switch {
		case err != nil:
			e.refuse(w, c, refusal(err))
		case f == isPartial:
			b = b[:start+n]
			break loop
		case f == isRequest:
			e.hand(w, c)
			left--
			start += n
		default:
			start += n
		}
	}
	if c.flags&last != 0 {
		start = len(b)
	}
	w.keep(x, b[start:])
	return left
}

// hand gives w.req to the handler.
func (e *actors) hand(w *wire, c *session) {
	e.sessions.wait(c, none)
	ref := e.ask(w, c)
	e.enter()
	e.spares.awaited(c, ref.serial())
	e.handler.Request(e, ref, &w.req)
	e.leave()
}

// answered renders the response that a letter brings.
func (e *actors) answered(th *scheduler, c *session, l *letter) {
	p := c.find(l.serial)
	if p == nil {
		return // the connection ended before it
	}
	x := c.x
	e.answer(th.wire, c, p, &Response{
		Status: l.status, Header: l.buf[:l.header:l.header], Body: l.buf[l.header:], Filler: l.filler, Close: l.close,
	})
	if c.flags&last != 0 && len(x.pending) == 0 {
		e.abandon(c, true) // whatever was asked after it gets no answer
	}
}

// abandon tells the handler, once for each request that is still to be answered, that the peer has gone. If they are dropped no
// response is awaited any more.
func (e *actors) abandon(c *session, dropped bool) {
	e.enter()
	defer e.leave()
	if g := c.ledger; g != nil {
		for serial, end := g.oldest, g.oldest+uint64(len(g.due)); serial < end; serial++ {
			i := serial - g.oldest // the handler may answer meanwhile, which moves what is left up
			if i < uint64(len(g.due)) && g.due[i] == isDue {
				g.due[i] = isOrphan
				e.handler.Closed(e, makeRef(0, c.slot, serial))
			}
		}
	}
	if dropped {
		e.spares.settled(c)
	}
}

// ending acts on the peer's end of stream. What was asked before it is still answered.
func (e *actors) ending(c *session) {
	c.flags |= ended | last
	c.flags &^= unread
	if c.flags&linger != 0 || c.x == nil || len(c.x.pending) == 0 && c.x.queued == 0 {
		e.die(c)
		return
	}
	e.abandon(c, false)
}

// die closes the connection at once.
func (e *actors) die(c *session) {
	e.abandon(c, true)
	e.sessions.close(c)
}

// bury ends the life of an actor whose connection is closed. What work is in its mailbox is done without it.
func (e *actors) bury(c *session) {
	c.mu.Lock()
	c.alive = false
	var letters []letter
	if c.box != nil {
		letters = c.box.letters[c.box.taken:]
		c.box = nil
	}
	c.mu.Unlock()
	for i := range letters {
		e.sessions.pool.put(letters[i].buf)
		if fn := letters[i].work; fn != nil && !e.run.Push(job{work: fn}) {
			th := &Thread{ending: &e.spent}
			fn(th)
			th.end()
		}
	}
	e.put(c)
}

// settle sends what can be sent, takes up input that was held back, and arranges what to wait for next, or ends the connection.
func (e *actors) settle(th *scheduler, c *session, left int) {
	for {
		if c.x != nil && !e.flush(th.wire, c) {
			e.die(c)
			return
		}
		if c.x == nil || c.flags&held == 0 || c.flags&last != 0 || e.hold(c) {
			break
		}
		if left <= 0 {
			c.more = true // input is left, and its turn is over
			break
		}
		c.flags &^= held
		left = e.consume(th, c, c.x.in, left)
	}
	write, read := e.rest(th.wire, c)
	if write && !e.flush(th.wire, c) {
		e.die(c)
		return
	}
	c.more = c.more || read
}
