package adapt

import (
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/rdr"
)

// control is a Control in progress.
type control struct {
	*Control
	controller Controller // nil: outside
	next       dsv.Instant
	n          int64 // steps so far
	reading    Reading
	key        rdr.Key       // of the noise
	since      []dsv.Instant // by server, since when it serves the service; Never where it does not

	asked    float64 // what was asked for last, within the bounds; NaN: nothing yet
	applied  float64 // what went to the actuator last
	orders   []order // that are under way to the actuator, oldest first
	nonsense bool    // the last answer was no number, which has been told

	outside outside
}

// newControls prepares Config.Controls.
func (l *Loop) newControls() {
	for i := range l.cfg.Controls {
		c := &control{Control: &l.cfg.Controls[i], asked: math.NaN()}
		if c.New != nil {
			c.controller = c.New()
		}
		c.applied = c.Actuator.Init
		c.next = dsv.At(c.period())
		c.reading.Metrics = make([]Sample, len(c.Metrics))
		name := fnv.New64a()
		_, _ = name.Write([]byte(c.Name))
		c.key = rdr.Key(c.Seed).Mix(name.Sum64())
		c.since = make([]dsv.Instant, len(l.cfg.Topology.Servers))
		for k := range c.since {
			c.since[k] = dsv.Never
		}
		l.controls = append(l.controls, c)
		l.watch(c)
	}
}

func (c *Control) period() time.Duration {
	if c.Period <= 0 {
		return Period
	}
	return c.Period
}

// onService reports whether a control is about one service.
func (a *Actuator) onService() bool { return a.Verb != "" && a.Verb != Assign }

// watch has the Loop told of what a control needs.
func (l *Loop) watch(c *control) {
	for k := range c.Metrics {
		for _, p := range c.Metrics[k].programs() {
			for _, read := range p.Reads() {
				if read.Window == 0 {
					read.Window = c.Window
				}
				l.read(read)
			}
		}
	}
	switch a := &c.Actuator; {
	case a.Verb == Assign:
		for _, n := range a.variables() {
			l.topic(n)
		}
	case a.onService():
		l.involve(Action{Verb: a.Verb, Service: a.Service, Server: -1})
	}
	for _, svc := range c.Actuator.Places {
		for x := range l.cfg.Topology.Servers {
			l.involve(Action{Verb: Move, Service: svc, Server: x})
		}
	}
}

func (m *Metric) programs() []*expr.Program {
	var list []*expr.Program
	if m.Expr != nil {
		list = append(list, m.Expr)
	}
	for _, p := range m.Each {
		if p != nil {
			list = append(list, p)
		}
	}
	return list
}

// label is what decisions and programs call a metric.
func (m *Metric) label() string {
	if m.Name != "" {
		return m.Name
	}
	return m.Text
}

// due is when a control next wants to act.
func (c *control) due() dsv.Instant {
	next := c.outside.due(c.next)
	if len(c.orders) > 0 {
		next = min(next, c.orders[0].due)
	}
	return next
}

// control lets every control act that is due: orders whose delay is over, and then steps.
func (l *Loop) control(at dsv.Instant) {
	for i, c := range l.controls {
		l.deliver(at, c)
		if c.controller == nil {
			l.lapse(at, c)
		}
		if at < c.next || c.outside.lost {
			continue
		}
		for c.next <= at {
			c.next = c.next.Add(c.period())
		}
		if c.outside.waits {
			continue // its bound is longer than its period
		}
		l.sample(at, c)
		if c.controller != nil {
			l.answer(at, c, c.controller.Step(&c.reading))
		} else {
			l.tick(at, i, c)
		}
		c.n++
	}
}

// sample reads the metrics.
func (l *Loop) sample(at dsv.Instant, c *control) {
	for _, t := range l.topics {
		if t.series != nil {
			t.series.settle(at)
		}
	}
	r := &c.reading
	r.At, r.N, r.Bounds, r.Value = at, c.n, c.Actuator.Bounds, l.standing(c)
	if len(c.orders) > 0 && !math.IsNaN(c.asked) {
		r.Value = c.asked
	}
	r.Places = r.Places[:0]
	for _, svc := range c.Actuator.Places {
		r.Places = append(r.Places, l.only(svc))
	}
	v := windowed{view{l, at.Add(-Settle)}, c.Window}
	for k := range c.Metrics {
		m, s := &c.Metrics[k], &r.Metrics[k]
		s.Target, s.Per, s.Each = m.Target, m.Per, s.Each[:0]
		if m.Each != nil {
			l.each(at, c, k, v)
		} else {
			s.Value = c.measured(m.Expr, v, k, -1)
		}
	}
}

// only is the server that alone holds a service; -1 where several do, or one that is not known.
func (l *Loop) only(svc int) int {
	p := l.places[svc]
	if p == nil || !p.known || len(p.mapping.Replicas) != 1 {
		return -1
	}
	return l.cfg.Topology.Server(p.mapping.Replicas[0].Server)
}

// measured evaluates a metric, at a server or of the whole (-1), with its noise.
func (c *control) measured(p *expr.Program, v windowed, metric, server int) float64 {
	x, ok := number(p, v, Bounds{})
	if !ok {
		return math.NaN()
	}
	if c.Noise <= 0 {
		return x
	}
	key := c.key.Mix(uint64(metric)).Mix(uint64(server + 1)).Mix(uint64(c.n))
	return x * (1 + c.Noise*normal(key))
}

// normal draws a standard normal number (Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958).
func normal(k rdr.Key) float64 {
	return math.Sqrt(2*k.Mix(0).Exp()) * math.Cos(2*math.Pi*k.Mix(1).Uniform())
}

// each reads a metric of each replica.
func (l *Loop) each(at dsv.Instant, c *control, k int, v windowed) {
	m, s := &c.Metrics[k], &c.reading.Metrics[k]
	var sum, n float64
	for _, rep := range l.places[c.Actuator.Service].mapping.Replicas {
		x := l.cfg.Topology.Server(rep.Server)
		if rep.State != service.Serving && rep.State != service.Copying || x < 0 || x >= len(m.Each) || m.Each[x] == nil {
			continue
		}
		e := Each{Server: x, Value: c.measured(m.Each[x], v, k, x)}
		since := max(c.since[x], l.powers[x].up)
		e.Ready = !l.powers[x].down && (since == 0 || since != dsv.Never && at.Sub(since) >= c.span(m.Each[x]))
		if e.Ready && !math.IsNaN(e.Value) {
			sum += e.Value
			n++
		}
		s.Each = append(s.Each, e)
	}
	s.Value = sum / n // NaN of none
}

// span is the longest window that a metric looks back over.
func (c *control) span(p *expr.Program) time.Duration {
	var span time.Duration
	for _, read := range p.Reads() {
		switch {
		case read.Window > 0:
			span = max(span, read.Window)
		case c.Window > 0:
			span = max(span, c.Window)
		default:
			span = max(span, defaultWindow(read.Declaration))
		}
	}
	return span
}

// remapped notes since when the replicas of a service serve.
func (l *Loop) remapped(at dsv.Instant, p *place) {
	for _, c := range l.controls {
		if !c.Actuator.onService() || l.places[c.Actuator.Service] != p {
			continue
		}
		for x, name := range l.cfg.Topology.Servers {
			i := find(&p.mapping, name)
			switch {
			case i < 0 || p.mapping.Replicas[i].State != service.Serving:
				c.since[x] = dsv.Never
			case c.since[x] == dsv.Never && p.mapping.At == 0:
				c.since[x] = 0 // from the start
			case c.since[x] == dsv.Never:
				c.since[x] = max(at, p.mapping.At)
			}
		}
	}
}

// readings are what a decision tells of what the control saw.
func (c *control) readings() map[string]float64 {
	seen := make(map[string]float64, len(c.Metrics))
	for k := range c.Metrics {
		if x := c.reading.Metrics[k].Value; !math.IsNaN(x) && !math.IsInf(x, 0) {
			seen[c.Metrics[k].label()] = x
		}
	}
	return seen
}

// said is what decisions tell for a condition.
func (c *control) said() string {
	seen := make([]string, len(c.Metrics))
	for k := range c.Metrics {
		seen[k] = c.Metrics[k].Text
		if t := c.Metrics[k].Target; !math.IsNaN(t) {
			seen[k] += " toward " + strconv.FormatFloat(t, 'g', 4, 64)
		}
	}
	if len(seen) == 0 {
		return c.Kind
	}
	return c.Kind + " of " + strings.Join(seen, ", ")
}

// windowed is a view in which what names no window has that of a control.
type windowed struct {
	view
	window time.Duration
}

// Total implements expr.Reader.
func (w windowed) Total(n dsv.Name, window time.Duration) (dmm.Total, error) {
	if window == 0 {
		window = w.window
	}
	return w.view.Total(n, window)
}
