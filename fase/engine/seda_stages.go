package engine

import (
	"github.com/eve-emulation/eve/fase/engine/stage"
	"github.com/eve-emulation/eve/internal/http1"
)

// What follows is the other stages, on their threads.

// wireOf returns the wire of a thread.
func (e *seda) wireOf(t *stage.Thread) *wire {
	w, ok := t.Local.(*wire)
	if !ok {
		w = e.wire()
		t.Local = w
	}
	return w
}

func (e *seda) parseBatch(t *stage.Thread, batch []*session) {
	w := e.wireOf(t)
	for _, c := range batch {
		c.mu.Lock()
		if c.fd >= 0 && c.parsing && !e.spent.Load() {
			e.consume(w, c)
			c.parsing = false
			if c.flags&ended != 0 {
				c.flags |= last
			}
			e.rest(w, c)
		}
		c.mu.Unlock()
	}
}

// consume passes the requests in c.x.in on, and keeps what is left.
func (e *seda) consume(w *wire, c *session) {
	x := c.x
	b, start := x.in, 0
loop:
	for start < len(b) && c.flags&last == 0 {
		if e.hold(c) {
			c.flags |= held
			break
		}
		f, n, err := w.take(x, b[start:])
		switch {
		case err != nil:
			e.refuse(w, c, refusal(err))
			e.toWrite(c)
		case f == isPartial:
			b = b[:start+n]
			break loop
		case f == isBlank:
			start += n
		case start == 0 && n == len(b): // the buffer goes along
			x.in = nil
			e.pass(w, c, b)
			return
		default:
			e.pass(w, c, nil)
			start += n
		}
	}
	if c.flags&last != 0 {
		start = len(b)
	}
	w.keep(x, b[start:])
}

// pass offers w.req, the next request of c, to the handle stage, with the buffer in which it lies or, if buf is nil, a copy of it.
func (e *seda) pass(w *wire, c *session, buf []byte) {
	a := e.newAsk()
	a.ref = e.ask(w, c)
	a.req, a.buf = w.req, buf
	if buf == nil {
		a.buf = append(append(e.pool.get(len(w.head)+len(w.req.Body)), w.head...), w.req.Body...)
		if err := http1.ParseRequest(a.buf[:len(w.head):len(w.head)], &a.req); err != nil {
			panic(err) // it was parsed before
		}
		if body := a.buf[len(w.head):]; len(body) > 0 {
			a.req.Body = body
		}
	}
	e.sessions.wait(c, none)
	if !e.handle.Offer(demand{ask: a}) {
		e.tally.refused.Add(1)
		if p := c.find(a.ref.serial()); p != nil {
			e.answer(w, c, p, &busy) // the handler knows of nothing that this could end
			e.toWrite(c)
		}
		e.forget(a)
	}
}

func (e *seda) newAsk() *ask {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.asks)
	if n == 0 {
		return new(ask)
	}
	a := e.asks[n-1]
	e.asks = e.asks[:n-1]
	return a
}

// forget takes an ask back.
func (e *seda) forget(a *ask) {
	e.pool.put(a.buf)
	*a = ask{}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asks = append(e.asks, a)
}

func (e *seda) handleBatch(t *stage.Thread, batch []demand) {
	th := e.threadOf(t)
	for i := 0; i < len(batch); {
		e.enter()
		e.serving = th
		for ; i < len(batch) && batch[i].ask != nil && len(th.works) == 0; i++ {
			e.hand(batch[i].ask)
		}
		e.serving = nil
		e.leave()
		if len(th.works) == 0 && i < len(batch) {
			th.works = append(th.works, batch[i].work)
			i++
		}
		if len(th.works) > 0 {
			e.handle.Return(t, batch, len(batch)-i) // others are not to wait for this
			th.do()
			return
		}
	}
}

// do does what the thread was given.
func (th *sedaThread) do() {
	for i := 0; i < len(th.works); i++ {
		th.works[i](&th.Thread)
		th.works[i] = nil
	}
	th.works = th.works[:0]
}

func (e *seda) threadOf(t *stage.Thread) *sedaThread {
	th, ok := t.Local.(*sedaThread)
	if !ok {
		th = &sedaThread{Thread: Thread{ending: &e.spent}}
		t.Local = th
	}
	return th
}

// hand gives a request to the handler, under its lock.
func (e *seda) hand(a *ask) {
	c := e.at(a.ref.slot())
	c.mu.Lock()
	p := c.find(a.ref.serial())
	if p == nil || e.spent.Load() {
		c.mu.Unlock()
		e.forget(a)
		return
	}
	p.flags |= isHanded
	c.mu.Unlock()
	e.handler.Request(e, a.ref, &a.req)
	c.mu.Lock()
	gone := false
	if p := c.find(a.ref.serial()); p != nil && c.flags&ended != 0 && p.flags&toldClosed == 0 {
		p.flags |= toldClosed
		gone = true
	}
	c.mu.Unlock()
	if gone {
		e.handler.Closed(e, a.ref)
	}
	e.forget(a)
}

func (e *seda) fileBatch(t *stage.Thread, batch []func(*Thread)) {
	th := e.threadOf(t)
	e.file.Return(t, batch, len(batch)-1)
	th.works = append(th.works, batch[0])
	th.do()
}

func (e *seda) writeBatch(t *stage.Thread, batch []*session) {
	w := e.wireOf(t)
	for _, c := range batch {
		c.mu.Lock()
		if c.fd < 0 || !c.writing {
			c.mu.Unlock()
			continue
		}
		c.writing = false
		gen := c.gen
		sound := c.x == nil || e.flush(w, c)
		if sound {
			e.goOn(w, c)
		}
		c.mu.Unlock()
		if !sound {
			e.sever(c, gen)
		}
	}
}

// goOn takes up input that was held back, or has c rest.
func (e *seda) goOn(w *wire, c *session) {
	if c.x != nil && c.flags&held != 0 && c.flags&last == 0 && !c.parsing && !e.hold(c) {
		c.flags &^= held
		if len(c.x.in) > 0 {
			c.parsing = true
			e.parse.Push(c)
			return
		}
	}
	e.rest(w, c)
}
