package engine

import "github.com/eve-emulation/eve/internal/netpoll"

// sped is a single-process event-driven server: the loop of a reactor, once, that waits by m.
func sped(name, about string, m netpoll.Mechanism, edge bool) Kind {
	return Kind{
		Name: name, About: about, MaxLoops: 1,
		Listen: func(cfg Config, handler func(loop int) Handler) (Engine, error) {
			return listen(&reactors{mechanism: m, edge: edge}, cfg, handler)
		},
	}
}

// events returns what a new connection is watched for. Under edges it is everything, and stays so: a connection costs one
// epoll_ctl in its life.
func (e *reactors) events() netpoll.Events {
	if e.edge {
		return netpoll.In | netpoll.Out | netpoll.RdHup | netpoll.Edge
	}
	return netpoll.In
}

// note keeps what an edge tells, because no other will.
func (c *conn) note(ev netpoll.Events) {
	if ev&(netpoll.In|netpoll.RdHup) != 0 {
		c.flags |= unread
	}
	if ev&netpoll.RdHup != 0 {
		c.flags |= finished
	}
}

// remember has the reading of c go on at the next turn, if it stopped before its input was used up and may go on.
func (r *reactor) remember(c *conn) {
	if c.flags&unread != 0 && c.flags&again == 0 && c.want&wantIn != 0 {
		c.flags |= again
		r.again = append(r.again, c.slot)
	}
}

// readAgain goes on with what earlier edges told of.
func (r *reactor) readAgain() {
	if len(r.again) == 0 {
		return
	}
	r.again, r.reading = r.reading[:0], r.again
	for _, slot := range r.reading {
		c := r.conns.at(slot)
		if c.fd < 0 || c.flags&again == 0 {
			continue // closed since, and perhaps used anew
		}
		c.flags &^= again
		if c.flags&unread != 0 && c.want&wantIn != 0 && !r.readable(c) {
			continue
		}
		r.settle(c)
	}
}
