package adapt

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
)

// Flapping is the phase of a decision that tells, once, that two rules undo each other's actions.
const Flapping = "flapping"

// FlapWindow is within how long two rules have undone each other twice over when that is told.
const FlapWindow = 60 * time.Second

// turn is one decision on a subject: who took it, and how the subject was until then.
type turn struct {
	at    dsv.Instant
	by    string
	state string
}

// quarrel is what was decided lately on one subject, and which pairs of rules were told of.
type quarrel struct {
	turns []turn
	told  []string
}

// flaps watches a decision: one rule brings a subject from A to B, another from B to A, the first again, the other again. What
// stays between such rounds is nothing, but what each of them costs.
func (l *Loop) flaps(at dsv.Instant, t *task) {
	subject, state := l.subject(t.action())
	q := l.quarrels[subject]
	if q == nil {
		q = &quarrel{}
		l.quarrels[subject] = q
	}
	q.turns = append(q.turns, turn{at, t.by, state})
	if n := len(q.turns) - 4; n > 0 {
		q.turns = slices.Delete(q.turns, 0, n)
	}
	if len(q.turns) < 4 {
		return
	}
	a, b, c, d := q.turns[0], q.turns[1], q.turns[2], q.turns[3]
	span := d.at.Sub(a.at)
	pair := min(c.by, d.by) + " " + max(c.by, d.by)
	if a.by != c.by || b.by != d.by || a.by == b.by || a.state != c.state || b.state != d.state || a.state == b.state ||
		span > FlapWindow || slices.Contains(q.told, pair) {
		return
	}
	q.told = append(q.told, pair)
	l.phase(at, t, Flapping, "", fmt.Sprintf("%s and %s undo each other: 4 decisions on %s in %s; give both `cooldown: %s`, or conditions further apart",
		c.by, d.by, subject, span.Round(100*time.Millisecond), calm(span)))
}

// calm is a cooldown that two rules are advised: twice what their four decisions took, in whole seconds, five at least.
func calm(span time.Duration) time.Duration {
	return max((2 * span).Round(time.Second), 5*time.Second)
}

// subject is what an action changes, and how that is now.
func (l *Loop) subject(a *Action) (name, state string) {
	if a.Verb == Assign {
		return string(a.Var), l.topics[a.Var].value.String()
	}
	m, s := &l.places[a.Service].mapping, l.cfg.Topology.Services[a.Service]
	switch a.Verb {
	case Degrade:
		return "the level of " + s, m.Level
	case Limit:
		return "the limit of " + s, fmt.Sprint(m.Limit)
	case Pause, Resume:
		return "the pause of " + s, fmt.Sprint(m.Paused)
	}
	var there []string
	for _, r := range m.Replicas {
		if r.State == service.Serving || r.State == service.Copying {
			there = append(there, r.Server)
		}
	}
	slices.Sort(there)
	return "the place of " + s, strings.Join(there, " ")
}
