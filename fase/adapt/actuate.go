package adapt

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
)

// order is an answer that is under way to the actuator.
type order struct {
	due     dsv.Instant
	value   float64 // NaN: none
	actions []Action
	why     string
	reading map[string]float64
}

// answer takes what a controller decided, to act once the delay is over.
func (l *Loop) answer(at dsv.Instant, c *control, a Answer) {
	o := order{due: at.Add(c.Delay), value: math.NaN(), actions: slices.Clone(a.Actions), why: a.Why, reading: c.readings()}
	if math.IsInf(a.Value, 0) {
		if !c.nonsense {
			l.told(at, c, "it came to no finite number")
		}
		c.nonsense = true
	} else if !math.IsNaN(a.Value) && c.Actuator.Verb != "" {
		c.nonsense = false
		o.value = c.Actuator.Clamp(a.Value)
		if o.value != c.asked {
			c.asked = o.value
			l.set(at, ControlName(c.Name), dsv.FloatValue(o.value))
		}
	}
	if math.IsNaN(o.value) && len(o.actions) == 0 {
		return
	}
	c.orders = append(c.orders, o)
	l.deliver(at, c)
}

// told records that something is wrong with a control.
func (l *Loop) told(at dsv.Instant, c *control, cause string) {
	l.record(Decision{At: at, Rule: c.Name, Action: c.Kind, Phase: "failed", When: c.said(), Reading: c.readings(), Cause: cause})
}

// deliver lets the orders act whose delay is over: all of their actions, and of several values the last.
func (l *Loop) deliver(at dsv.Instant, c *control) {
	n := 0
	for n < len(c.orders) && c.orders[n].due <= at {
		n++
	}
	if n == 0 {
		return
	}
	due := slices.Clone(c.orders[:n])
	c.orders = slices.Delete(c.orders, 0, n)
	for i, o := range due {
		if slices.ContainsFunc(due[i+1:], func(later order) bool { return !math.IsNaN(later.value) }) {
			o.value = math.NaN()
		}
		l.actuate(at, c, o)
	}
}

// actuate carries an order out.
func (l *Loop) actuate(at dsv.Instant, c *control, o order) {
	actions := o.actions
	if !math.IsNaN(o.value) {
		if a, ok := l.apply(at, c, o.value); ok {
			actions = append([]Action{a}, actions...)
		}
	}
	if len(actions) == 0 {
		return
	}
	when := c.said()
	if o.why != "" {
		when += ": " + o.why
	}
	l.act(at, c.Name, when, o.reading, actions)
}

// apply brings a value to the actuator. What takes steps becomes an action; a variable or a limit is written at once.
func (l *Loop) apply(at dsv.Instant, c *control, x float64) (Action, bool) {
	a := &c.Actuator
	now := l.standing(c)
	c.applied = x
	switch {
	case a.Verb == Assign:
		for _, n := range a.variables() {
			if stands, ok := l.topics[n].value.Number(); ok && stands == x || !ok && now == x {
				continue
			}
			v := dsv.FloatValue(x)
			l.set(at, n, v)
			l.topics[n].value = v
		}
	case a.Verb == Limit:
		// What is there counts, not what stood at the start by Init. Where that is not known the next step tells it again.
		if p := l.places[a.Service]; p.known && p.mapping.Limit != x {
			l.publish(at, a.Service, func(m *service.Mapping) { m.Limit = x })
		}
	case now != x:
		return l.action(a, x), true
	}
	return Action{}, false
}

// variables are those that are set.
func (a *Actuator) variables() []dsv.Name { return append([]dsv.Name{a.Var}, a.Also...) }

// action is what brings a value to a service.
func (l *Loop) action(a *Actuator, x float64) Action {
	name := l.cfg.Topology.Services[a.Service]
	do := Action{Verb: a.Verb, Service: a.Service, Server: -1}
	if a.Verb == Degrade {
		do.Level = a.Levels[min(max(int(x), 0), len(a.Levels)-1)]
		do.Text = fmt.Sprintf("degrade %s to %s", name, do.Level)
		return do
	}
	do.Count = int(x)
	do.Text = fmt.Sprintf("scale %s to %s", name, strconv.Itoa(do.Count))
	return do
}

// standing is what stands of what a control controls; NaN where it is unknown. Replicas that it asked for count while their
// action is in progress, whatever of it has been reached.
func (l *Loop) standing(c *control) float64 {
	a := &c.Actuator
	if a.Verb == Assign {
		if x, ok := l.topics[a.Var].value.Number(); ok {
			return x
		}
		return c.applied
	}
	if !a.onService() || !l.places[a.Service].known {
		return c.applied
	}
	m := &l.places[a.Service].mapping
	switch {
	case a.Verb == Scale && !l.busy(c):
		return float64(replicas(m, service.Serving, service.Copying))
	case a.Verb == Degrade:
		return float64(max(0, slices.Index(a.Levels, m.Level)))
	case a.Verb == Limit && m.Limit > 0:
		return m.Limit
	}
	return c.applied
}

// busy reports whether actions of a control are in progress.
func (l *Loop) busy(c *control) bool {
	return slices.ContainsFunc(l.tasks, func(t *task) bool { return t.rule == nil && t.by == c.Name })
}

// replicas counts those in some states.
func replicas(m *service.Mapping, states ...service.State) int {
	n := 0
	for _, r := range m.Replicas {
		if slices.Contains(states, r.State) {
			n++
		}
	}
	return n
}
