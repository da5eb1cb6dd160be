package adapt

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
)

// nothing reports whether an action on one replica would change nothing.
func (l *Loop) nothing(a *Action) bool {
	m := &l.places[a.Service].mapping
	i := find(m, l.cfg.Topology.Servers[a.Server])
	if a.Verb == Retire {
		return i < 0
	}
	return i >= 0 && m.Replicas[i].State == service.Serving
}

func find(m *service.Mapping, server string) int {
	return slices.IndexFunc(m.Replicas, func(r service.Replica) bool { return r.Server == server })
}

// firstServing returns the first serving replica other than one server's.
func firstServing(m *service.Mapping, except string) int {
	return slices.IndexFunc(m.Replicas, func(r service.Replica) bool { return r.State == service.Serving && r.Server != except })
}

// source returns the replica that sends copies: the first serving one whose server is not known to be down, else the first; -1 where
// nobody serves.
func (l *Loop) source(m *service.Mapping) int {
	i := slices.IndexFunc(m.Replicas, func(r service.Replica) bool { return r.State == service.Serving && !l.dead(r.Server, dsv.Never) })
	if i < 0 {
		return firstServing(m, "")
	}
	return i
}

// place decides an action on one replica that has its turn.
func (l *Loop) place(at dsv.Instant, t *task, a *Action, p *place) {
	if cause := l.refused(a, p); cause != "" {
		l.decide(at, t, "failed", cause)
		l.end(t, true)
		return
	}
	l.decide(at, t, "decided", "")
	l.occupy(t, p)
	x := l.cfg.Topology.Servers[a.Server]
	if a.Verb == Retire {
		l.leave(at, t, a, []string{x})
		l.phase(at, t, "switched", x, "")
		return
	}
	l.come(at, t, a, []string{x})
}

// occupy makes a task the one that moves replicas of a service.
func (l *Loop) occupy(t *task, p *place) { p.holder, t.placing = t, true }

// refused returns why an action on one replica cannot be taken, or "".
func (l *Loop) refused(a *Action, p *place) string {
	x, s := l.cfg.Topology.Servers[a.Server], l.cfg.Topology.Services[a.Service]
	if a.Verb == Retire {
		if firstServing(&p.mapping, x) < 0 {
			return fmt.Sprintf("%s holds the last replica of %s", x, s)
		}
		return ""
	}
	switch i := l.source(&p.mapping); {
	case i < 0:
		return fmt.Sprintf("no server serves %s", s)
	case l.dead(x, dsv.Never):
		return x + " is down"
	case l.dead(p.mapping.Replicas[i].Server, dsv.Never):
		return fmt.Sprintf("%s, which would send the copy, is down", p.mapping.Replicas[i].Server)
	case l.unreached(p, x):
		return fmt.Sprintf("%s has not told its address", x)
	}
	return ""
}

// unreached reports whether a server has not told its address where others have.
func (l *Loop) unreached(p *place, x string) bool {
	i := firstServing(&p.mapping, "")
	return i >= 0 && p.mapping.Replicas[i].Address != "" && l.topics[AddressName(x)].value.Text == ""
}

// come publishes the mapping with new replicas as copies in the making, which cross the link one after another. A service
// that nobody serves comes up without a copy.
func (l *Loop) come(at dsv.Instant, t *task, a *Action, servers []string) {
	m := &l.places[a.Service].mapping
	source := ""
	if i := l.source(m); i >= 0 {
		source = m.Replicas[i].Server
	}
	allowance := ReadyPatience
	if a.Service < len(l.cfg.Services) {
		size := float64(l.cfg.Services[a.Service].Size)
		allowance += time.Duration(size / slowestCopy * float64(time.Second) * float64(len(t.coming)))
		for range servers {
			allowance += time.Duration(size / slowestCopy * float64(time.Second))
		}
	}
	stop := a.Stopped || a.Verb == Move && a.Service < len(l.cfg.Services) && l.cfg.Services[a.Service].StopToMove
	for _, x := range servers {
		since := l.publish(at, a.Service, func(m *service.Mapping) {
			for i := range m.Replicas {
				if stop && m.Replicas[i].State == service.Serving {
					m.Replicas[i].State = service.Stopped
				}
			}
			r := service.Replica{Server: x, Weight: 1, State: service.Copying, Source: source, Address: l.topics[AddressName(x)].value.Text}
			if i := find(m, x); i >= 0 {
				m.Replicas[i] = r
			} else {
				m.Replicas = append(m.Replicas, r)
			}
		})
		t.coming = append(t.coming, coming{server: x, source: source, since: since, begun: at, allowance: allowance})
	}
	l.patience(t)
}

// leave lets replicas drain.
func (l *Loop) leave(at dsv.Instant, t *task, a *Action, servers []string) {
	since := l.publish(at, a.Service, func(m *service.Mapping) {
		for i := range m.Replicas {
			if slices.Contains(servers, m.Replicas[i].Server) {
				m.Replicas[i].State = service.Draining
			}
		}
	})
	t.drain(at, servers, since)
	l.patience(t)
}

func (t *task) drain(at dsv.Instant, servers []string, since uint32) {
	for _, x := range servers {
		t.leaving = append(t.leaving, leaving{x, since, at.Add(DrainPatience)})
	}
}

// patience notes when the next wait of a task ends.
func (l *Loop) patience(t *task) {
	t.deadline = dsv.Never
	s := l.cfg.Topology.Services[t.action().Service]
	for _, c := range t.coming {
		end := c.begun.Add(ReadyPatience)
		if l.reached(service.ReadyName(c.server, s), c.since) {
			end = c.begun.Add(c.allowance)
		}
		t.deadline = min(t.deadline, end)
	}
	for _, x := range t.leaving {
		t.deadline = min(t.deadline, x.deadline)
	}
}

// placed goes on with the replicas that come and leave, and reports whether anything changed.
func (l *Loop) placed(at dsv.Instant, t *task) bool {
	changed := false
	for i := 0; i < len(t.coming); {
		came, cause := l.come1(at, t, t.coming[i])
		if !came && cause == "" {
			i++
			continue
		}
		c := t.coming[i]
		t.coming = slices.Delete(t.coming, i, i+1)
		changed = true
		if cause == "" {
			l.exchange(at, t, c)
		} else if l.giveUp(at, t, c, cause) {
			return true
		}
	}
	if len(t.leaving) > 0 {
		changed = l.drained(at, t) || changed
	}
	if len(t.coming)+len(t.leaving) > 0 {
		l.patience(t)
		return changed
	}
	l.phase(at, t, "done", "", t.short)
	l.end(t, false)
	return true
}

// come1 reports whether a replica may serve, or why it will not.
func (l *Loop) come1(at dsv.Instant, t *task, c coming) (came bool, cause string) {
	s := l.cfg.Topology.Services[t.action().Service]
	ready := l.reached(service.ReadyName(c.server, s), c.since)
	copied := c.source == "" || l.reached(service.CopiedName(c.source, s), c.since)
	switch {
	case ready && copied:
		return true, ""
	case l.dead(c.server, c.begun.Add(Notice)):
		return false, c.server + " is down"
	case !copied && l.dead(c.source, c.begun.Add(Notice)):
		return false, fmt.Sprintf("%s went down before %s was copied", c.source, s)
	case !ready && at >= c.begun.Add(ReadyPatience):
		return false, fmt.Sprintf("%s was not ready for %s after %s", c.server, s, seconds(ReadyPatience))
	case !copied && at >= c.begun.Add(c.allowance):
		return false, fmt.Sprintf("%s had not copied %s after %s", c.source, s, seconds(c.allowance))
	}
	return false, ""
}

// exchange lets a new replica serve; after a move the others drain.
func (l *Loop) exchange(at dsv.Instant, t *task, c coming) {
	a := t.action()
	l.phase(at, t, "copied", c.server, "")
	var gone []string
	since := l.publish(at, a.Service, func(m *service.Mapping) {
		for i := range m.Replicas {
			r := &m.Replicas[i]
			switch {
			case r.Server == c.server:
				r.State, r.Source = service.Serving, ""
			case a.Verb == Move && r.State != service.Draining:
				r.State = service.Draining
				gone = append(gone, r.Server)
			}
		}
	})
	l.phase(at, t, "switched", c.server, "")
	t.drain(at, gone, since)
}

// giveUp puts the mapping back as it was before a replica was to come. It reports whether the task has failed: scaling goes
// on with those that do come.
func (l *Loop) giveUp(at dsv.Instant, t *task, c coming, cause string) bool {
	a := t.action()
	l.publish(at, a.Service, func(m *service.Mapping) {
		m.Replicas = slices.DeleteFunc(m.Replicas, func(r service.Replica) bool {
			return r.Server == c.server && r.State == service.Copying
		})
		for i := range m.Replicas {
			if m.Replicas[i].State == service.Stopped {
				m.Replicas[i].State = service.Serving
			}
		}
	})
	l.phase(at, t, "failed", c.server, cause)
	if a.Verb == Scale {
		t.short = join(t.short, cause)
		return false
	}
	l.end(t, true)
	return true
}

// drained removes the replicas that left, once nothing is in flight there, or the patience ends.
func (l *Loop) drained(at dsv.Instant, t *task) bool {
	a := t.action()
	s := l.cfg.Topology.Services[a.Service]
	var gone, busy []string
	for _, x := range t.leaving {
		gone = append(gone, x.server)
		if l.reached(service.DrainedName(x.server, s), x.since) || l.dead(x.server, x.deadline.Add(-DrainPatience)) {
			continue
		}
		if at < x.deadline {
			return false
		}
		busy = append(busy, x.server)
	}
	l.publish(at, a.Service, func(m *service.Mapping) {
		m.Replicas = slices.DeleteFunc(m.Replicas, func(r service.Replica) bool {
			return r.State == service.Draining && slices.Contains(gone, r.Server)
		})
	})
	t.leaving = nil
	if len(busy) > 0 {
		t.short = join(t.short, fmt.Sprintf("%s had not drained after %s", strings.Join(busy, ", "), seconds(DrainPatience)))
	}
	return true
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}
