package link

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// stallAfter is how often a guard looks. When it finds the reader in the same handler three times, the link ends, so that
// the other sinks behind it go on by another one.
const stallAfter = 500 * time.Millisecond

// errStalled ends a link whose reader meets a handler that blocks.
var errStalled = errors.New("a handler blocks")

// A guard watches the reader of one link. It runs while the reader has something to hand over, and costs that two stores.
type guard struct {
	frames  atomic.Uint64 // handed over
	handing atomic.Bool   // the reader does
	on      atomic.Bool   // a timer runs
	stalled atomic.Bool
}

// begin is called by the reader before it hands over.
func (g *guard) begin(l *Link) {
	g.handing.Store(true)
	if !g.on.Load() {
		g.start(l)
	}
}

func (g *guard) start(l *Link) {
	if g.on.CompareAndSwap(false, true) {
		seen := g.frames.Load()
		time.AfterFunc(stallAfter, func() { g.look(l, seen, false) })
	}
}

// look ends the link when the reader is where it was both times before.
func (g *guard) look(l *Link, seen uint64, again bool) {
	now := g.frames.Load()
	stays := now == seen
	switch {
	case !l.Up():
	case !g.handing.Load():
		g.on.Store(false)
		if g.handing.Load() { // meanwhile
			g.start(l)
		}
	case stays && again:
		g.stalled.Store(true)
		if l.n.cfg.Log != nil {
			l.n.cfg.Log(fmt.Sprintf("link to %s: %v; it is made anew", l.name, errStalled))
		}
		l.fail(errStalled)
	default:
		time.AfterFunc(stallAfter, func() { g.look(l, now, stays) })
	}
}
