package runs

import (
	"math"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/user"
)

// changes says why the load of a group was not the same all through the window, or the system that it met; empty where they
// were.
func (t *totals) changes(plan *scenario.Plan, g *user.Config) string {
	if why := planned(g, t.from, t.to); why != "" {
		return why
	}
	for i := range plan.Clients {
		switch other := &plan.Clients[i]; {
		case other.Start > t.from && other.Start < t.to:
			return other.Name + " began to ask at " + clock(other.Start.Seconds())
		case other.Trace == nil && planned(other, t.from, t.to) != "":
			return "the planned rate of " + other.Name + " changes"
		}
	}
	for _, s := range g.Settings() {
		w := t.window(dsv.Name(g.Name + "." + s.Name))
		if w == nil {
			continue
		}
		if ds := w.Deltas(t.from, t.to); len(ds) > 0 && t.wasSet(g, s.Name) {
			return "its " + s.Name + " was changed"
		}
	}
	for _, d := range t.decisions() {
		if at := float64(d.Time); at > t.from.Seconds() && at <= t.to.Seconds() {
			return "a rule acted"
		}
	}
	return ""
}

// planned says why the load of a group changes by plan between two instants; empty where it does not, but for the states of
// an MMPP, which come and go by chance.
func planned(g *user.Config, from, to dsv.Instant) string {
	switch {
	case !g.Open():
		return ""
	case g.Trace != nil:
		return "arrivals come as the trace has them"
	}
	const parts, same = 20, 1e-6
	mean := *g
	mean.Bursts, mean.Law = nil, user.Poisson
	offered := mean.Offered()
	at := func(i int) dsv.Instant { return from + (to-from)*dsv.Instant(i)/parts }
	before, first := offered(at(0)), math.NaN()
	for i := 1; i <= parts; i++ {
		now := offered(at(i))
		rate := (now - before) / max(at(i).Sub(at(i-1)).Seconds(), 1e-9)
		if before = now; i == 1 {
			first = rate
		}
		if math.Abs(rate-first) > same*first {
			return "the planned rate changes"
		}
	}
	return ""
}
