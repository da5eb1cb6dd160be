package adapt

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
)

// How long actions wait for acknowledgements.
const (
	// ReadyPatience is the time that a target has to make room. A copy has it too, and beyond it what its size takes at
	// slowestCopy.
	ReadyPatience = 60 * time.Second
	// DrainPatience is the time after which a draining replica is removed with what it still has in flight.
	DrainPatience = 30 * time.Second

	slowestCopy = 1250_000 // bytes per second
)

// phase says what a task waits for.
type phase uint8

const (
	waiting   phase = iota // for its turn: another action on the service is in progress
	preparing              // for the target to be ready, and the copy to have crossed
	draining               // for old replicas to have nothing in flight
)

// task carries out the actions of a rule that fired, one after another. An action that fails ends it.
type task struct {
	rule     *rule
	reading  map[string]float64
	index    int // of the action
	phase    phase
	deadline dsv.Instant

	source    string        // whose copy is awaited; empty when it has come
	target    string        // whose readiness is awaited
	epoch     uint32        // that the acknowledgements must reach
	begun     dsv.Instant   // of the wait
	allowance time.Duration // for the copy
	leaving   []string      // replicas that drain
}

// action returns the action in progress.
func (t *task) action() *Action { return &t.rule.Do[t.index] }

// progress takes every step that can be taken.
func (l *Loop) progress(at dsv.Instant) {
	for again := true; again; {
		again = false
		for i := 0; i < len(l.tasks); i++ {
			t := l.tasks[i]
			if !l.step(at, t) {
				continue
			}
			again = true
			if t.index >= len(t.rule.Do) {
				t.rule.task = nil
				l.tasks = slices.Delete(l.tasks, i, i+1)
				i--
			}
		}
	}
}

// step takes one step of a task and reports whether it could.
func (l *Loop) step(at dsv.Instant, t *task) bool {
	switch t.phase {
	case preparing:
		return l.prepared(at, t)
	case draining:
		return l.drained(at, t)
	}
	a := t.action()
	if a.Verb == Assign {
		l.assign(at, t, a)
		return true
	}
	p := l.places[a.Service]
	if !p.known || p.holder != nil {
		return false
	}
	if l.nothing(a) {
		t.index++
		return true
	}
	l.begin(at, t, a, p)
	return true
}

// nothing reports whether an action would change nothing.
func (l *Loop) nothing(a *Action) bool {
	m := &l.places[a.Service].mapping
	switch a.Verb {
	case Degrade:
		return m.Level == a.Level
	case Retire:
		return find(m, l.cfg.Topology.Servers[a.Server]) < 0
	}
	i := find(m, l.cfg.Topology.Servers[a.Server])
	return i >= 0 && m.Replicas[i].State == service.Serving
}

func find(m *service.Mapping, server string) int {
	return slices.IndexFunc(m.Replicas, func(r service.Replica) bool { return r.Server == server })
}

// serving returns the first serving replica other than one server's.
func serving(m *service.Mapping, except string) int {
	return slices.IndexFunc(m.Replicas, func(r service.Replica) bool { return r.State == service.Serving && r.Server != except })
}

// begin decides an action that has its turn.
func (l *Loop) begin(at dsv.Instant, t *task, a *Action, p *place) {
	if cause := l.refused(a, p); cause != "" {
		l.decide(at, t, "failed", cause)
		l.end(t, true)
		return
	}
	l.decide(at, t, "decided", "")
	switch a.Verb {
	case Degrade:
		l.publish(at, a.Service, func(m *service.Mapping) { m.Level = a.Level })
		l.phase(at, t, "done", "")
		t.index++
	case Retire:
		p.holder = t
		x := l.cfg.Topology.Servers[a.Server]
		t.drain(at, []string{x}, l.publish(at, a.Service, func(m *service.Mapping) {
			m.Replicas[find(m, x)].State = service.Draining
		}))
		l.phase(at, t, "switched", "")
	default:
		p.holder = t
		l.prepare(at, t, a, p)
	}
}

// refused returns why an action cannot be taken, or "".
func (l *Loop) refused(a *Action, p *place) string {
	if a.Verb == Degrade {
		return ""
	}
	x, s := l.cfg.Topology.Servers[a.Server], l.cfg.Topology.Services[a.Service]
	if a.Verb == Retire {
		if serving(&p.mapping, x) < 0 {
			return fmt.Sprintf("%s holds the last replica of %s", x, s)
		}
		return ""
	}
	i := serving(&p.mapping, "")
	if i < 0 {
		return fmt.Sprintf("no server serves %s", s)
	}
	if p.mapping.Replicas[i].Address != "" && l.topics[AddressName(x)].value.Text == "" {
		return fmt.Sprintf("%s has not told its address", x)
	}
	return ""
}

// prepare publishes the mapping with the target as a copy in the making.
func (l *Loop) prepare(at dsv.Instant, t *task, a *Action, p *place) {
	t.target = l.cfg.Topology.Servers[a.Server]
	t.source = p.mapping.Replicas[serving(&p.mapping, "")].Server
	t.phase, t.begun, t.allowance = preparing, at, ReadyPatience
	if a.Service < len(l.cfg.Services) {
		size := float64(l.cfg.Services[a.Service].Size)
		t.allowance += time.Duration(size / slowestCopy * float64(time.Second))
	}
	t.epoch = l.publish(at, a.Service, func(m *service.Mapping) {
		for i := range m.Replicas {
			if a.Stopped && m.Replicas[i].State == service.Serving {
				m.Replicas[i].State = service.Stopped
			}
		}
		r := service.Replica{Server: t.target, Weight: 1, State: service.Copying, Address: l.topics[AddressName(t.target)].value.Text}
		if i := find(m, t.target); i >= 0 {
			m.Replicas[i] = r
		} else {
			m.Replicas = append(m.Replicas, r)
		}
	})
	t.deadline = at.Add(ReadyPatience)
}

// prepared switches once the target is ready and the copy has come, or gives up.
func (l *Loop) prepared(at dsv.Instant, t *task) bool {
	a := t.action()
	s := l.cfg.Topology.Services[a.Service]
	ready := l.reached(service.ReadyName(t.target, s), t.epoch)
	copied := l.reached(service.CopiedName(t.source, s), t.epoch)
	switch {
	case ready && copied:
		l.phase(at, t, "copied", "")
		l.exchange(at, t, a)
		return true
	case !ready && at >= t.begun.Add(ReadyPatience):
		l.giveUp(at, t, a, fmt.Sprintf("%s was not ready for %s after %s", t.target, s, seconds(ReadyPatience)))
		return true
	case !copied && at >= t.begun.Add(t.allowance):
		l.giveUp(at, t, a, fmt.Sprintf("%s had not copied %s after %s", t.source, s, seconds(t.allowance)))
		return true
	case ready:
		t.deadline = t.begun.Add(t.allowance)
	}
	return false
}

// exchange lets the target serve; after a move the others drain.
func (l *Loop) exchange(at dsv.Instant, t *task, a *Action) {
	var leaving []string
	epoch := l.publish(at, a.Service, func(m *service.Mapping) {
		for i := range m.Replicas {
			r := &m.Replicas[i]
			switch {
			case r.Server == t.target:
				r.State = service.Serving
			case a.Verb == Move && r.State != service.Draining:
				r.State = service.Draining
				leaving = append(leaving, r.Server)
			}
		}
	})
	l.phase(at, t, "switched", "")
	if a.Verb == Move {
		t.drain(at, leaving, epoch)
		return
	}
	l.phase(at, t, "done", "")
	l.end(t, false)
}

// giveUp puts the mapping back as it was.
func (l *Loop) giveUp(at dsv.Instant, t *task, a *Action, cause string) {
	l.publish(at, a.Service, func(m *service.Mapping) {
		m.Replicas = slices.DeleteFunc(m.Replicas, func(r service.Replica) bool {
			return r.Server == t.target && r.State == service.Copying
		})
		for i := range m.Replicas {
			if m.Replicas[i].State == service.Stopped {
				m.Replicas[i].State = service.Serving
			}
		}
	})
	l.phase(at, t, "failed", cause)
	l.end(t, true)
}

func (t *task) drain(at dsv.Instant, leaving []string, epoch uint32) {
	t.phase, t.leaving, t.epoch, t.deadline = draining, leaving, epoch, at.Add(DrainPatience)
}

// drained removes the replicas that left, once nothing is in flight there, or the patience ends.
func (l *Loop) drained(at dsv.Instant, t *task) bool {
	a := t.action()
	s := l.cfg.Topology.Services[a.Service]
	var busy []string
	for _, x := range t.leaving {
		if !l.reached(service.DrainedName(x, s), t.epoch) {
			busy = append(busy, x)
		}
	}
	if len(busy) > 0 && at < t.deadline {
		return false
	}
	l.publish(at, a.Service, func(m *service.Mapping) {
		m.Replicas = slices.DeleteFunc(m.Replicas, func(r service.Replica) bool {
			return r.State == service.Draining && slices.Contains(t.leaving, r.Server)
		})
	})
	cause := ""
	if len(busy) > 0 {
		cause = fmt.Sprintf("%s had not drained after %s", strings.Join(busy, ", "), seconds(DrainPatience))
	}
	l.phase(at, t, "done", cause)
	l.end(t, false)
	return true
}

// assign carries a set out, unless the variable has that value.
func (l *Loop) assign(at dsv.Instant, t *task, a *Action) {
	x, known := a.Value, true
	if a.Expr != nil {
		x, known = number(a.Expr, view{l, at.Add(-Settle)}, a.Bounds)
	}
	if !known {
		l.decide(at, t, "failed", "what it sets is unknown")
		t.index = len(t.rule.Do)
		return
	}
	if now, ok := l.topics[a.Var].value.Number(); !ok || now != x {
		v := dsv.FloatValue(x)
		l.decide(at, t, "decided", "")
		l.set(at, a.Var, v)
		l.topics[a.Var].value = v
		l.phase(at, t, "done", "")
	}
	t.index++
}

// end frees the service and turns to the next action; after a failure there is none.
func (l *Loop) end(t *task, failed bool) {
	if p := l.places[t.action().Service]; p.holder == t {
		p.holder = nil
	}
	t.phase, t.deadline = waiting, dsv.Never
	t.index++
	if failed {
		t.index = len(t.rule.Do)
	}
}

// decide records the first phase of an action, with what caused it.
func (l *Loop) decide(at dsv.Instant, t *task, phase, cause string) {
	t.rule.decided(at)
	l.record(Decision{
		At: at, Rule: t.rule.Name, Action: t.action().Text, Phase: phase, When: t.rule.WhenText, Reading: t.reading, Cause: cause,
	})
}

// phase records a later phase.
func (l *Loop) phase(at dsv.Instant, t *task, phase, cause string) {
	l.record(Decision{At: at, Rule: t.rule.Name, Action: t.action().Text, Phase: phase, Cause: cause})
}
