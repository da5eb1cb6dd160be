package adapt

import (
	"fmt"
	"slices"
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

// task carries out actions, one after another, for a rule that fired or for whoever else decides. An action that fails ends it.
type task struct {
	by       string             // who decided
	when     string             // why: the condition, or ""
	reading  map[string]float64 // the values behind it
	do       []Action
	rule     *rule // nil for who is no rule
	index    int   // of the action
	placing  bool  // the action is under way; else it waits for its turn, or for the first mapping
	deadline dsv.Instant

	coming  []coming
	leaving []leaving
	want    int    // scale: how many replicas
	short   string // scale: why some did not come
}

// coming is a replica in the making.
type coming struct {
	server, source string
	since          uint32        // epoch that the acknowledgements must reach
	begun          dsv.Instant   // of the wait
	allowance      time.Duration // for the copy
}

// leaving is a replica that drains.
type leaving struct {
	server   string
	since    uint32
	deadline dsv.Instant
}

// action returns the action in progress.
func (t *task) action() *Action { return &t.do[t.index] }

// act begins actions on behalf of somebody who is no rule. Those that the same one asked for before and that have not begun
// are forgotten: the latest word counts.
func (l *Loop) act(at dsv.Instant, by, when string, reading map[string]float64, do []Action) {
	l.tasks = slices.DeleteFunc(l.tasks, func(t *task) bool { return t.rule == nil && t.by == by && !t.placing })
	l.tasks = append(l.tasks, &task{by: by, when: when, reading: reading, do: do, deadline: dsv.Never})
	l.progress(at)
}

// progress takes every step that can be taken.
func (l *Loop) progress(at dsv.Instant) {
	for again := true; again; {
		again = false
		for i := 0; i < len(l.tasks); i++ {
			t := l.tasks[i]
			if t.index < len(t.do) && !l.step(at, t) { // another may have ended it
				continue
			}
			again = true
			if t.index >= len(t.do) {
				if t.rule != nil {
					t.rule.task = nil
				}
				l.tasks = slices.Delete(l.tasks, i, i+1)
				i--
			}
		}
	}
}

// step takes one step of a task and reports whether it could.
func (l *Loop) step(at dsv.Instant, t *task) bool {
	a := t.action()
	switch {
	case t.placing:
		return l.placed(at, t)
	case a.Verb == Assign:
		l.assign(at, t, a)
		return true
	}
	p := l.places[a.Service]
	if !p.known {
		return false
	}
	switch a.Verb {
	case Degrade, Limit, Pause, Resume:
		l.alter(at, t, a, p) // whatever moves meanwhile
		return true
	case Scale:
		return l.scale(at, t, a, p)
	}
	if p.holder != nil {
		return false
	}
	if l.nothing(a) {
		t.index++
		return true
	}
	l.place(at, t, a, p)
	return true
}

// alter changes how a service is served where it is.
func (l *Loop) alter(at dsv.Instant, t *task, a *Action, p *place) {
	m := p.mapping
	switch a.Verb {
	case Degrade:
		m.Level = a.Level
	case Pause, Resume:
		m.Paused = a.Verb == Pause
	case Limit:
		x, known := l.value(at, a)
		if !known {
			l.unknown(at, t)
			return
		}
		m.Limit = x
	}
	if now := &p.mapping; m.Level != now.Level || m.Paused != now.Paused || m.Limit != now.Limit {
		l.decide(at, t, "decided", "")
		l.publish(at, a.Service, func(to *service.Mapping) { to.Level, to.Paused, to.Limit = m.Level, m.Paused, m.Limit })
		l.phase(at, t, "done", "", "")
	}
	t.index++
}

// assign carries a set out, unless the variable has that value.
func (l *Loop) assign(at dsv.Instant, t *task, a *Action) {
	x, known := l.value(at, a)
	if !known {
		l.unknown(at, t)
		return
	}
	if now, ok := l.topics[a.Var].value.Number(); !ok || now != x {
		v := dsv.FloatValue(x)
		l.decide(at, t, "decided", "")
		l.set(at, a.Var, v)
		l.topics[a.Var].value = v
		l.phase(at, t, "done", "", "")
	}
	t.index++
}

// value is the number that an action is about: written, or what its expression comes to; false while that is unknown.
func (l *Loop) value(at dsv.Instant, a *Action) (float64, bool) {
	if a.Expr == nil {
		return a.Value, true
	}
	return number(a.Expr, view{l, at.Add(-Settle)}, a.Bounds)
}

// unknown ends a task whose action is about a number that nobody knows.
func (l *Loop) unknown(at dsv.Instant, t *task) {
	l.decide(at, t, "failed", fmt.Sprintf("what it %ss is unknown", t.action().Verb))
	t.index = len(t.do)
}

// end frees the service and turns to the next action; after a failure there is none.
func (l *Loop) end(t *task, failed bool) {
	if p := l.places[t.action().Service]; p.holder == t {
		p.holder = nil
	}
	t.placing, t.deadline = false, dsv.Never
	t.coming, t.leaving, t.short = nil, nil, ""
	t.index++
	if failed {
		t.index = len(t.do)
	}
}

// decide records the first phase of an action, with what caused it.
func (l *Loop) decide(at dsv.Instant, t *task, phase, cause string) {
	if t.rule != nil {
		t.rule.decided(at)
	}
	if phase == "decided" {
		defer l.flaps(at, t)
	}
	l.record(Decision{At: at, Rule: t.by, Action: t.action().Text, Phase: phase, When: t.when, Reading: t.reading, Cause: cause})
}

// phase records a later phase, of one replica where a server is named.
func (l *Loop) phase(at dsv.Instant, t *task, phase, server, cause string) {
	l.record(Decision{At: at, Rule: t.by, Action: t.action().Text, Phase: phase, Server: server, Cause: cause})
}
