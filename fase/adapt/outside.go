package adapt

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
)

// maxTold is how many mishaps of one controller outside become decisions; the last of them says so.
const maxTold = 20

// outside is what a Loop knows of a controller that it does not step itself.
type outside struct {
	waits    bool        // the last tick has no answer yet, and its bound has not passed
	deadline dsv.Instant // when it passes
	silent   bool        // it has passed, for the last tick or one before, and no answer came in time since
	lost     bool        // nothing more is to come
	told     int         // mishaps
}

// due is the next instant at which something happens: the end of a bound, or else the next step.
func (o *outside) due(next dsv.Instant) dsv.Instant {
	switch {
	case o.lost:
		return dsv.Never
	case o.waits:
		return min(next, o.deadline)
	}
	return next
}

func (c *Control) bound() time.Duration { return cmp.Or(c.Bound, c.period()) }

// lapse ends the wait for an answer that has not come in time. That is told once, until an answer comes in time again.
func (l *Loop) lapse(at dsv.Instant, c *control) {
	o := &c.outside
	if !o.waits || at < o.deadline {
		return
	}
	o.waits = false
	if !o.silent {
		o.silent = true
		l.mishap(at, c, "failed", fmt.Sprintf("no answer to tick %d within %v", c.n, c.bound()))
	}
}

// mishap records what is wrong with a controller outside.
func (l *Loop) mishap(at dsv.Instant, c *control, phase, cause string) {
	if c.outside.told++; c.outside.told > maxTold && phase != Lost {
		return
	}
	if c.outside.told == maxTold {
		cause += "; of what else goes wrong only its end is told"
	}
	l.record(Decision{At: at, Rule: c.Name, Action: c.Kind, Phase: phase, When: c.said(), Reading: c.readings(), Cause: cause})
}

// Lost is the phase of a decision that tells how a controller outside has ended. The run goes on with what it decided last.
const Lost = "lost"

// tick tells who controls from outside.
func (l *Loop) tick(at dsv.Instant, i int, c *control) {
	c.outside.waits, c.outside.deadline = true, at.Add(c.bound())
	l.effects = append(l.effects, step.Effect{At: at, Kind: step.Tick, Node: -1, Ref: step.NewRef(uint32(i), 0), N: c.n})
}

// Tick returns what a Tick effect tells, until the control's next step; false for an effect that is not the Loop's.
func (l *Loop) Tick(e step.Effect) (Tick, bool) {
	i := int(e.Ref.Slot())
	if e.Kind != step.Tick || i >= len(l.controls) {
		return Tick{}, false
	}
	c := l.controls[i]
	t := Tick{Control: i, Name: c.Name, At: c.reading.At, N: e.N, Value: c.reading.Value, Readings: map[string]float64{}, Replicas: map[string]int{}}
	for k := range c.Metrics {
		t.Readings[c.Metrics[k].label()] = c.reading.Metrics[k].Value
	}
	for svc, p := range l.places {
		if p != nil && p.known {
			t.Replicas[l.cfg.Topology.Services[svc]] = replicas(&p.mapping, service.Serving)
		}
	}
	return t, true
}

// Answer takes the answer of a controller outside to its n-th tick. One that comes after the Control's Bound is dropped, as is
// one to an earlier tick.
func (l *Loop) Answer(at dsv.Instant, control int, n int64, a Answer) {
	c := l.beyond(at, control)
	if c == nil || !c.outside.waits || n != c.n-1 || at >= c.outside.deadline {
		return
	}
	for i := range a.Actions {
		do := &a.Actions[i]
		switch {
		case do.Verb == Assign:
			l.topic(do.Var)
		case l.places[do.Service] == nil: // its mapping is not watched
			l.mishap(at, c, "failed", fmt.Sprintf("%s: %s is not among its services", do.Text, l.cfg.Topology.Services[do.Service]))
			a.Value, a.Actions = math.NaN(), nil
		}
		if a.Actions == nil {
			break
		}
	}
	c.outside.waits, c.outside.silent = false, false
	l.answer(at, c, a)
}

// Refuse tells what is wrong with what a controller outside said; it becomes a decision that has failed. Where it is lost,
// because it has ended, that is the last of its decisions, and no tick follows.
func (l *Loop) Refuse(at dsv.Instant, control int, cause string, lost bool) {
	c := l.beyond(at, control)
	switch {
	case c == nil:
	case lost:
		c.outside.lost, c.outside.waits = true, false
		l.mishap(at, c, Lost, cause)
	default:
		l.mishap(at, c, "failed", cause)
	}
}

// beyond returns a control whose controller is outside and not lost; nil for any other, and when the run has ended.
func (l *Loop) beyond(at dsv.Instant, control int) *control {
	if control < 0 || control >= len(l.controls) || l.over(at) {
		return nil
	}
	c := l.controls[control]
	if c.controller != nil || c.outside.lost {
		return nil
	}
	return c
}
