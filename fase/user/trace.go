package user

import (
	"slices"
	"sort"
	"time"

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

	File    string // where it is from
	Lines   int    // of the file
	Skipped int    // of those, that were wrong and left out
	Wrong   string // the first of them
}

// An Ask is what arrivals of a trace ask for.
type Ask struct {
	Request *rdr.Block // nil: the group's
	// Method and Path take the place of those of the plain HTTP requests in it; empty: they stay.
	Method, Path string
}

// requests are the blocks of a trace that has some of its own, each once; else nil.
func (t *Trace) requests() []*rdr.Block {
	if t == nil {
		return nil
	}
	var all []*rdr.Block
	for i := range t.Asks {
		if b := t.Asks[i].Request; b != nil && !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	return all
}

// Mean is the mean demand of an arrival of a trace whose arrivals have requests of their own.
func (t *Trace) Mean() (rdr.Mean, error) {
	counts := map[*rdr.Block]int{}
	for _, a := range t.Ask {
		counts[t.Asks[a].Request]++
	}
	var mean rdr.Mean
	var wrong error
	for _, b := range t.requests() {
		m, err := b.Mean()
		if wrong == nil {
			wrong = err
		}
		mean.Add(m, float64(counts[b])/float64(len(t.Ask)))
	}
	return mean, wrong
}

// spreadNode is of the draws that spread arrivals of one time.
const spreadNode = 0x5970

// Spread moves the arrivals of a trace that share a time to instants of their own within the grain that times have, such as
// the second of an access log, or until the next time of the trace, if that comes earlier: uniform ones, by their keys, in the
// order of the arrivals, which is what a Poisson process would have done within it. Times are nanoseconds, none before the one
// before it, and stay in order.
func (c *Config) Spread(at []int64, grain time.Duration) {
	for i := 0; i < len(at); {
		end := i + 1
		for end < len(at) && at[end] == at[i] {
			end++
		}
		room := int64(grain)
		if end < len(at) {
			room = min(room, at[end]-at[i])
		}
		// Sums of exponential gaps over the sum of one more are the order statistics of uniforms.
		all := c.Key(uint64(i), 0).Mix(spreadNode).Mix(1).Exp()
		for n := i; n < end; n++ {
			all += c.Key(uint64(n), 0).Mix(spreadNode).Exp()
		}
		base, sum := at[i], 0.0
		for n := i; n < end; n++ {
			sum += c.Key(uint64(n), 0).Mix(spreadNode).Exp()
			at[n] = base + min(int64(sum/all*float64(room)), room-1)
		}
		i = end
	}
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
