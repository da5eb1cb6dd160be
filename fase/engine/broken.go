package engine

import "github.com/eve-emulation/eve/internal/netpoll"

// A server that crashes does so by the kernel's means: its sockets are disconnected, so that peers see a reset and new
// connections are refused, and stay open, so that every loop learns of it in its own way and closes them itself.

// breakUp breaks the connections of this loop and refuses new ones. It is called on the loop's thread.
func (r *reactor) breakUp() {
	if r.broken || r.draining || r.listener < 0 {
		return
	}
	r.broken = true
	if r.accepting && r.ring == nil {
		_ = r.poller.Delete(r.listener) // it would tell of a hang-up without end
		r.accepting = false
	}
	// What fails here shows when the server is to listen again.
	_ = netpoll.Disconnect(r.listener)
	_ = netpoll.Keep(r.listener, r.e.addr)
	r.conns.each(func(c *conn) { _ = netpoll.Disconnect(int(c.fd)) })
}

// hangUpIdle closes the connections to other servers that carry no call.
func (r *reactor) hangUpIdle() {
	for _, k := range r.calls.all {
		if k.fd >= 0 && k.state == callIdle {
			r.hangUp(k)
		}
	}
}

// restore lets connections come again.
func (r *reactor) restore() {
	if !r.broken || r.draining || r.listener < 0 {
		return
	}
	r.broken = false
	if netpoll.Keep(r.listener, r.e.addr) != nil || netpoll.Relisten(r.listener, r.e.cfg.Backlog) != nil {
		r.broken = true // somebody else has the port: the server stays as it is
		return
	}
	if !r.accepting {
		_ = r.listen()
	}
}

// Break implements Loop.
func (r *reactor) Break() {
	r.breakUp()
	r.hangUpIdle()
	for i, l := range r.e.loops {
		if l != r {
			r.e.Post(i, func(Loop) { l.breakUp() })
		}
	}
}

// Restore implements Loop.
func (r *reactor) Restore() {
	r.restore()
	for i, l := range r.e.loops {
		if l != r {
			r.e.Post(i, func(Loop) { l.restore() })
		}
	}
}

// HangUp implements Loop.
func (r *reactor) HangUp(ref Ref) {
	if i := ref.loop(); i != r.index {
		r.e.Post(i, func(l Loop) { l.HangUp(ref) })
	} else if r.find(ref) != nil {
		_ = netpoll.Disconnect(int(r.conns.at(ref.slot()).fd)) // one that has broken already is as it should be
	}
}

// HangUp implements Loop, under the handler's lock.
func (s *shared) HangUp(ref Ref) { s.model.hangUp(ref) }

func (ts *talks) hangUp(ref Ref) {
	if t, due := ts.find(ref); due {
		_ = netpoll.Disconnect(t.fd)
	}
}

func (e *seda) hangUp(ref Ref) {
	c := e.at(ref.slot())
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.find(ref.serial()) != nil && c.fd >= 0 {
		_ = netpoll.Disconnect(int(c.fd))
	}
}

func (e *actors) hangUp(ref Ref) {
	c := e.at(ref.slot())
	if c == nil || !e.spares.awaits(c, ref.serial()) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alive && c.fd >= 0 {
		_ = netpoll.Disconnect(int(c.fd))
	}
}

// Break implements Loop, under the handler's lock. The listening socket is the keeper's.
func (s *shared) Break() {
	s.model.disconnect()
	s.keeper.hangUpIdle()
	s.reactors.Post(0, func(Loop) {
		s.keeper.breakUp()
		s.model.disconnect() // those that came meanwhile
	})
}

// Restore implements Loop, under the handler's lock.
func (s *shared) Restore() {
	s.reactors.Post(0, func(Loop) { s.keeper.restore() })
}

// disconnect breaks every connection, under the handler's lock.
func (ts *talks) disconnect() {
	for i := range ts.slots {
		if t := ts.slots[i].t; t != nil {
			_ = netpoll.Disconnect(t.fd)
		}
	}
}

// disconnect breaks every connection.
func (t *sessions) disconnect() {
	t.each(func(c *session) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.fd >= 0 {
			_ = netpoll.Disconnect(int(c.fd))
		}
	})
}
