package user

import (
	"sort"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// Trace is arrivals that were recorded somewhere: when each is due and what it asks. It is immutable, and may be shared.
type Trace struct {
	Due  []dsv.Instant // of every arrival, none before the one before it
	Ask  []uint32      // of every arrival: which of Asks; nil where all are the group's Request
	Asks []Ask
}

// An Ask is what arrivals of a trace ask for.
type Ask struct {
	Request *rdr.Block // nil: the group's
	// Method and Path take the place of those of the plain HTTP requests in it; empty: they stay.
	Method, Path string
}

// due is when an arrival is due; Never for one that the trace does not have.
func (t *Trace) due(n uint64) dsv.Instant {
	if n >= uint64(len(t.Due)) {
		return dsv.Never
	}
	return t.Due[n]
}

// ask is what an arrival asks; nil where the trace does not say.
func (t *Trace) ask(n uint64) *Ask {
	if t == nil || n >= uint64(len(t.Ask)) {
		return nil
	}
	return &t.Asks[t.Ask[n]]
}

// until is how many arrivals are due at or before an instant.
func (t *Trace) until(at dsv.Instant) int {
	return sort.Search(len(t.Due), func(i int) bool { return t.Due[i] > at })
}

// asked is what a request of the group asks: an arrival of a trace has its own.
func (g *Group) asked(n uint64) *rdr.Block {
	if a := g.cfg.Trace.ask(n); a != nil && a.Request != nil {
		return a.Request
	}
	return g.cfg.Request
}

// replay gives a plain request the method and the path that the trace has for it.
func (g *Group) replay(ref step.Ref, r *service.Request) {
	x, ok := g.run.Execution(g.run.Calls.Owner(ref).Ref)
	if !ok {
		return
	}
	if a := g.cfg.Trace.ask(g.requests[x].user); a != nil && a.Path != "" {
		r.Method, r.Path = a.Method, a.Path
	}
}
