package load

import (
	"errors"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// Limits that a Config may leave open.
const (
	defaultConnectTimeout = 30 * time.Second // a lost SYN is sent again after 1, 3, 7 and 15 s
	defaultMaxBody        = 1 << 30
)

// errConnect is the error of a connection that nobody answered.
var errConnect = errors.New("no connection within the time allowed for one")

// opened acts on the first event of a connection.
func (l *Loop) opened(c *conn, ev netpoll.Events) {
	if ev&(netpoll.Out|netpoll.Err|netpoll.Hup) == 0 {
		return
	}
	if err := netpoll.ConnectError(c.fd); err != nil {
		l.notConnected(c, err)
		return
	}
	more := ev&^netpoll.Out != 0 // that edge is not reported again
	if c.pool.tls != nil {
		l.shake(c)
		if more {
			l.handshaken(c, ev)
		}
		return
	}
	c.hungup = ev&hangup != 0
	ref := c.ref()
	l.stands(c)
	// The server may have spoken, or hung up, before it was asked.
	if c = l.find(ref); more && c != nil && c.state == busy && !c.ring {
		l.read(c)
	}
}

// stands has a connection carry the call that waits for it, or leaves it idle.
func (l *Loop) stands(c *conn) {
	l.dialed.remove(c)
	l.stats.Opened++
	took := l.now.Sub(c.began)
	l.stats.Connect.add(took)
	if c.hold != nil {
		l.held(c)
		if c.hungup || c.tunnel != nil && !l.quiet(c) {
			l.closeConn(c)
		}
		return
	}
	k := c.call
	if w := l.watchers[k.core]; w != nil {
		w.Connected(l.now, k.ref, took)
	}
	l.begin(c, k)
	if c.tunnel != nil { // what came during the handshake makes no edge
		l.unread = append(l.unread, c.ref())
	}
}

// quiet reports whether nothing but news of TLS has come over a connection, of which a plain one has none.
func (l *Loop) quiet(c *conn) bool {
	if c.tunnel == nil {
		return false
	}
	_, err := c.tunnel.read(l.in)
	return errors.Is(err, netpoll.ErrAgain)
}

// notConnected ends a connection that did not come about, and with it the call that waited for it.
func (l *Loop) notConnected(c *conn, err error) {
	k, p, held := c.call, c.pool, c.hold != nil
	l.closeConn(c)
	cause := l.connectCause(err)
	if held {
		return
	}
	l.answer(k, service.Answer{Cause: cause})
	l.serve(p)
}

// connectCause classes the error of a connection that did not come about, and notes it unless the cause says it all.
func (l *Loop) connectCause(err error) service.Cause {
	cause := service.Other
	_, source := errors.AsType[*netpoll.SourceError](err)
	_, secure := errors.AsType[*tlsError](err)
	switch {
	case secure:
		cause = service.TLS
	case netpoll.Refused(err):
		return service.Refused
	case netpoll.Reset(err):
		return service.Reset
	case errors.Is(err, errConnect), netpoll.TimedOut(err):
		return service.ConnectTimeout
	case netpoll.Unreachable(err):
		cause = service.NoRoute
	case netpoll.Exhausted(err) && !source:
		cause = service.Exhausted
	}
	l.note(err.Error())
	return cause
}

// overdue ends connections that take too long to come about.
func (l *Loop) overdue() {
	if l.overdueAt() > l.now {
		return
	}
	for l.overdueAt() <= l.now {
		c := l.dialed.first
		err := errConnect
		if c.state == shaking {
			err = shakeTimeout(l.cfg.ConnectTimeout)
		}
		l.notConnected(c, err)
	}
	l.driver.Flush() // what the groups ask for now
}

// overdueAt is when the next one does.
func (l *Loop) overdueAt() dsv.Instant {
	if c := l.dialed.first; c != nil {
		return c.began.Add(l.cfg.ConnectTimeout)
	}
	return dsv.Never
}
