package judge

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
)

// supply is where the services of a run were: of emulated servers alone.
type supply struct {
	services []string // those whose places may change
	mappings map[string][]service.Mapping
	downs    map[string][]span // by server, when it was not up
	ours     map[string]bool   // emulated servers
}

type span struct{ from, to dsv.Instant }

// readSupply reads the mappings of all services, by the instants from which they apply.
func readSupply(plan *scenario.Plan, h runs.History) *supply {
	u := &supply{mappings: map[string][]service.Mapping{}, downs: map[string][]span{}, ours: map[string]bool{}}
	for i := range plan.Servers {
		u.ours[plan.Servers[i].Name] = true
		u.downs[plan.Servers[i].Name] = readDowns(h, plan.Servers[i].Name)
	}
	for _, s := range plan.Services[:len(plan.Services)-len(plan.Targets)] {
		u.services = append(u.services, s.Name)
		_ = h.History(service.MapName(s.Name), -1, dsv.Never, func(x dsv.Update) error {
			if m, err := service.ParseMapping(x.Reading.Value.Text); err == nil && !x.Deleted {
				u.mappings[s.Name] = append(u.mappings[s.Name], m)
			}
			return nil
		})
		slices.SortStableFunc(u.mappings[s.Name], func(a, b service.Mapping) int { return cmp.Compare(a.Epoch, b.Epoch) })
	}
	return u
}

// readDowns reads when a server was not up, exact to the period of synchronisation: windows in which it was down for most of
// the time.
func readDowns(h runs.History, server string) []span {
	var out []span
	_ = h.History(service.UpName(server), -1, dsv.Never, func(x dsv.Update) error {
		if x.Delta == nil || !(x.Delta.Weight > 0) {
			return nil
		}
		v, ok := x.Delta.Value.Number()
		if !ok || v/x.Delta.Weight >= 0.5 {
			return nil
		}
		if n := len(out); n > 0 && out[n-1].to >= x.Delta.T0 {
			out[n-1].to = x.Delta.T1
		} else {
			out = append(out, span{x.Delta.T0, x.Delta.T1})
		}
		return nil
	})
	return out
}

// at returns the mapping of a service that applies at an instant; nil before the first.
func (u *supply) at(svc string, t dsv.Instant) *service.Mapping {
	ms := u.mappings[svc]
	for i := len(ms) - 1; i >= 0; i-- {
		if ms[i].At <= t {
			return &ms[i]
		}
	}
	return nil
}

func (u *supply) up(server string, t dsv.Instant) bool {
	return !slices.ContainsFunc(u.downs[server], func(s span) bool { return s.from <= t && t < s.to })
}

// serving lists the servers that serve a service at an instant, sorted.
func (u *supply) serving(svc string, t dsv.Instant) []string {
	var out []string
	if m := u.at(svc, t); m != nil {
		for _, r := range m.Replicas {
			if r.State == service.Serving && u.ours[r.Server] && u.up(r.Server, t) {
				out = append(out, r.Server)
			}
		}
	}
	slices.Sort(out)
	return out
}

// used counts the servers that hold a service at an instant, in whatever state.
func (u *supply) used(t dsv.Instant) int {
	held := map[string]bool{}
	for _, svc := range u.services {
		if m := u.at(svc, t); m != nil {
			for _, r := range m.Replicas {
				if u.ours[r.Server] {
					held[r.Server] = true
				}
			}
		}
	}
	return len(held)
}

// turns lists the instants in a window at which anything may change, its begin included.
func (u *supply) turns(from, to dsv.Instant) []dsv.Instant {
	ts := []dsv.Instant{from}
	add := func(t dsv.Instant) {
		if t > from && t < to {
			ts = append(ts, t)
		}
	}
	for _, svc := range slices.Sorted(maps.Keys(u.mappings)) {
		for _, m := range u.mappings[svc] {
			add(m.At)
		}
	}
	for _, ds := range u.downs {
		for _, d := range ds {
			add(d.from)
			add(d.to)
		}
	}
	slices.Sort(ts)
	return slices.Compact(ts)
}

// tell writes what was used, and the supply of each service that changed or may change.
func (u *supply) tell(a *runs.Adaptation, from, to dsv.Instant) {
	ts := u.turns(from, to)
	total := 0.0
	for i, t := range ts {
		until := to
		if i+1 < len(ts) {
			until = ts[i+1]
		}
		n := u.used(t)
		total += float64(n) * until.Sub(t).Seconds()
		a.ServersMost = max(a.ServersMost, n)
	}
	a.ServerSeconds, a.ServersMean = runs.Number(total), runs.Number(total/to.Sub(from).Seconds())
	a.Services = map[string]runs.Elastic{}
	for _, svc := range u.services {
		e := runs.Elastic{}
		var before []string
		for i, t := range ts {
			now := u.serving(svc, t)
			if i > 0 && slices.Equal(now, before) {
				continue
			}
			switch {
			case i == 0:
			case len(now) > len(before):
				e.Up++
			case len(now) < len(before):
				e.Down++
			}
			if i > 0 {
				a.Changes++
			}
			before = now
			if n := len(e.Supply); n == 0 || e.Supply[n-1].Replicas != len(now) {
				e.Supply = append(e.Supply, runs.ReplicaLevel{From: runs.Number(t.Seconds()), Replicas: len(now)})
			}
		}
		a.Services[svc] = e
	}
}

// A turn is a change of where a service is.
type turn struct {
	at            dsv.Instant
	before, after []string
}

// path lists the changes of a service within a window.
func (u *supply) path(svc string, from, to dsv.Instant) []turn {
	var out []turn
	var before []string
	for i, t := range u.turns(from, to) {
		now := u.serving(svc, t)
		if i > 0 && !slices.Equal(now, before) {
			out = append(out, turn{t, before, now})
		}
		before = now
	}
	return out
}

// oscillations counts the changes of a service that went against the one before and the one after, unless the demand asked
// for all three.
func oscillations(path []turn, demand steps, reach dsv.Instant) int {
	n := 0
	for i := 1; i+1 < len(path); i++ {
		a, b, c := path[i-1], path[i], path[i+1]
		if opposite(a, b) && opposite(b, c) && !(demand.wants(a, reach) && demand.wants(b, reach) && demand.wants(c, reach)) {
			n++
		}
	}
	return n
}

// opposite says whether a change of places goes against the one before it.
func opposite(a, b turn) bool {
	x, y := len(a.after)-len(a.before), len(b.after)-len(b.before)
	return x*y < 0 || x == 0 && y == 0 && slices.Equal(a.before, b.after)
}

// steps is a number that holds from instants on.
type steps []step

type step struct {
	from dsv.Instant
	n    float64
}

func stepsOf(levels []runs.ReplicaLevel) steps {
	out := make(steps, len(levels))
	for i, l := range levels {
		out[i] = step{instant(l.From), float64(l.Replicas)}
	}
	return out
}

// at returns the number at an instant; NaN before the first.
func (s steps) at(t dsv.Instant) float64 {
	x := math.NaN()
	for _, l := range s {
		if l.from > t {
			break
		}
		x = l.n
	}
	return x
}

// most returns the greatest number within a stretch.
func (s steps) most(from, to dsv.Instant) float64 {
	x := s.at(from)
	for _, l := range s {
		if l.from > from && l.from <= to && !(l.n <= x) {
			x = l.n
		}
	}
	return x
}

// wants says whether the demand asked for a change: for more than there was, or for less. reach is how far around it one may
// look.
func (s steps) wants(t turn, reach dsv.Instant) bool {
	if len(s) == 0 {
		return false
	}
	d, had := s.most(max(t.at-reach, s[0].from), t.at+reach), float64(len(t.before))
	if len(t.after) > len(t.before) {
		return d > had
	}
	return len(t.after) < len(t.before) && d < had
}
