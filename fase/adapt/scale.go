package adapt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
)

// Candidates are the servers that a service may be on, in the order in which scaling takes them: its own, or without them
// first those that hold it at the start, then the others in their order in the scenario.
func (c *Config) Candidates(svc int) []int {
	var list []int
	if svc < len(c.Services) {
		s := &c.Services[svc]
		if s.Candidates != nil {
			return s.Candidates
		}
		list = slices.Clone(s.On)
	}
	n := c.Servers
	if n == 0 {
		n = len(c.Topology.Servers)
	}
	for i := range n {
		if !slices.Contains(list, i) {
			list = append(list, i)
		}
	}
	return list
}

// Replicas is how many replicas of a service there may be, as far as actions go.
func (c *Config) Replicas(svc int) (least, most int) {
	if svc < len(c.Services) && c.Services[svc].Candidates != nil {
		return c.Services[svc].Least, c.Services[svc].Most
	}
	return 1, len(c.Candidates(svc))
}

// count is how many replicas a scale asks for; false while that is unknown.
func (l *Loop) count(at dsv.Instant, a *Action) (int, bool) {
	n := a.Count
	if a.Expr != nil {
		x, ok := l.value(at, a)
		if !ok {
			return 0, false
		}
		n = int(x)
	}
	least, most := l.cfg.Replicas(a.Service)
	return min(max(n, least), most), true
}

// scale begins a scale, or takes the place of one that is under way. It reports whether it could.
func (l *Loop) scale(at dsv.Instant, t *task, a *Action, p *place) bool {
	before := p.holder
	if before != nil && before.action().Verb != Scale {
		return false
	}
	n, known := l.count(at, a)
	switch {
	case !known:
		l.unknown(at, t)
		return true
	case before != nil && before.want == n, before == nil && held(&p.mapping) == n:
		t.index++
		return true
	}
	l.decide(at, t, "decided", "")
	t.want = n
	if before != nil {
		t.coming, t.leaving = before.coming, before.leaving
		l.phase(at, before, "done", "", fmt.Sprintf("%s of %s took its place", a.Text, t.by))
		l.end(before, false)
	}
	l.occupy(t, p)
	if have := held(&p.mapping); have < n {
		l.grow(at, t, a, p, n-have)
	} else {
		l.shrink(at, t, a, p, have-n)
	}
	l.patience(t)
	return true
}

// held counts the replicas that serve, or will.
func held(m *service.Mapping) int {
	n := 0
	for _, r := range m.Replicas {
		if r.State == service.Serving || r.State == service.Copying {
			n++
		}
	}
	return n
}

// grow brings n more replicas, on the first candidates that have none. One that drains serves on.
func (l *Loop) grow(at dsv.Instant, t *task, a *Action, p *place, n int) {
	var fresh []string
	for _, c := range l.cfg.Candidates(a.Service) {
		if n == 0 {
			break
		}
		x := l.cfg.Topology.Servers[c]
		i := find(&p.mapping, x)
		switch {
		case i >= 0 && p.mapping.Replicas[i].State == service.Draining:
			l.publish(at, a.Service, func(m *service.Mapping) { m.Replicas[i].State = service.Serving })
			t.leaving = slices.DeleteFunc(t.leaving, func(y leaving) bool { return y.server == x })
			n--
		case i >= 0:
		case l.dead(x, dsv.Never):
			t.short = join(t.short, x+" is down")
		case l.unreached(p, x):
			t.short = join(t.short, x+" has not told its address")
		default:
			fresh = append(fresh, x)
			n--
		}
	}
	if len(fresh) > 0 {
		l.come(at, t, a, fresh)
	}
}

// shrink takes n replicas away: what was still to come does not, and then those that serve drain, from the end of the candidates
// and those elsewhere first. So whoever serves goes on until as many others do.
func (l *Loop) shrink(at dsv.Instant, t *task, a *Action, p *place, n int) {
	order := l.cfg.Candidates(a.Service)
	rank := func(x string) int {
		if i := slices.Index(order, l.cfg.Topology.Server(x)); i >= 0 {
			return i
		}
		return len(order)
	}
	var there []service.Replica
	for _, r := range p.mapping.Replicas {
		if r.State == service.Serving || r.State == service.Copying {
			there = append(there, r)
		}
	}
	slices.SortStableFunc(there, func(x, y service.Replica) int {
		if x.State != y.State {
			return strings.Compare(string(x.State), string(y.State)) // copying before serving
		}
		return rank(y.Server) - rank(x.Server)
	})
	var drain, drop []string
	for _, r := range there[:n] {
		if r.State == service.Copying {
			drop = append(drop, r.Server)
		} else {
			drain = append(drain, r.Server)
		}
	}
	if len(drop) > 0 {
		t.coming = slices.DeleteFunc(t.coming, func(c coming) bool { return slices.Contains(drop, c.server) })
		l.publish(at, a.Service, func(m *service.Mapping) {
			m.Replicas = slices.DeleteFunc(m.Replicas, func(r service.Replica) bool { return slices.Contains(drop, r.Server) })
		})
	}
	if len(drain) > 0 {
		l.leave(at, t, a, drain)
	}
}
