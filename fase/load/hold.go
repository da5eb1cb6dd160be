package load

import (
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// Connections that are left idle are opened a few at a time, so that the server's queue of new connections does not run
// over, and opened again some time after the server has closed them.
const (
	holdOpening = 64
	holdAgain   = time.Second
)

// A hold is the connections to one server that are left idle.
type hold struct {
	node       int
	want, have int         // have includes those being opened
	again      dsv.Instant // not before
}

// holds is all of them.
type holds struct {
	all     []*hold
	opening int
	missing int // want of all but have
}

func newHolds(want []int) holds {
	var hs holds
	for node, n := range want {
		if n > 0 {
			hs.all = append(hs.all, &hold{node: node, want: n})
			hs.missing += n
		}
	}
	return hs
}

// next is when more of them are to be opened.
func (hs *holds) next(now dsv.Instant) dsv.Instant {
	at := dsv.Never
	if hs.missing == 0 || hs.opening >= holdOpening {
		return at
	}
	for _, h := range hs.all {
		if h.have < h.want {
			at = min(at, max(h.again, now))
		}
	}
	return at
}

// holdMore opens connections that are missing.
func (l *Loop) holdMore() {
	if l.holds.missing == 0 || l.closing {
		return
	}
	for _, h := range l.holds.all {
		for h.have < h.want && h.again <= l.now && l.holds.opening < holdOpening {
			l.holdOne(h)
		}
	}
}

func (l *Loop) holdOne(h *hold) {
	p, _, err := l.poolOf(h.node)
	var c *conn
	if err == nil {
		c, err = l.dial(p, false)
	}
	if err != nil {
		l.note(err.Error())
		h.again = l.now.Add(holdAgain)
		return
	}
	c.hold = h
	h.have++
	l.holds.missing--
	l.holds.opening++
}

// held keeps one of them that stands.
func (l *Loop) held(c *conn) {
	l.stats.Held++
	l.holds.opening--
	c.state = idle
}

// dropHeld books that one of them is closed.
func (l *Loop) dropHeld(c *conn) {
	h := c.hold
	if c.state == opening || c.state == shaking {
		l.holds.opening--
	} else if !l.closing { // what Run ends with is told
		l.stats.Held--
	}
	if !l.closing {
		if c.state == idle {
			l.stats.HeldLost++
		}
		h.again = l.now.Add(holdAgain)
	}
	h.have--
	l.holds.missing++
	c.hold = nil
}
