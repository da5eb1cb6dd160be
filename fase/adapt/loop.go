package adapt

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
)

// A Loop is the feedback of a run as a core: it is told variables by Changed and writes variables by Set effects. The same
// updates at the same instants give the same writes.
//
// It learns where services are from their map variables; an action on a service waits until the first came.
type Loop struct {
	cfg    Config
	topics map[dsv.Name]*topic
	rules  []*rule
	// follows are the values last written of Config.Follows.
	follows  []float64
	controls []*control
	places   []*place            // by service; nil where no action is taken
	tasks    []*task             // in the order in which they were begun
	quarrels map[string]*quarrel // by what was decided on
	powers   []power             // by server; nil where no action moves a service
	next     dsv.Instant

	held step.Agenda[dsv.Instant, dsv.Update] // updates that a partition keeps back

	effects, handed []step.Effect
	outputs         []output
}

// place is one service as the Loop knows it.
type place struct {
	mapping service.Mapping
	known   bool
	holder  *task // whose action is in progress
}

// topic is one variable that the Loop watches.
type topic struct {
	series *series     // where rules read it
	place  *place      // where it is a mapping
	value  dsv.Value   // the latest
	ack    bool        // actions wait for it
	due    dsv.Instant // when its latest update arrives, or did
	server int         // where it tells whether a server is up: its index + 1
}

// output is a write that an effect refers to; its Ref is valid once.
type output struct {
	name  dsv.Name
	value dsv.Value
	gen   uint32
	used  bool
}

// NewLoop returns a Loop at T0. The configuration must not change afterwards.
func NewLoop(cfg Config) *Loop {
	l := &Loop{
		cfg:      cfg,
		topics:   map[dsv.Name]*topic{},
		places:   make([]*place, len(cfg.Topology.Services)),
		quarrels: map[string]*quarrel{},
		next:     dsv.Never,
	}
	for i := range cfg.Rules {
		r := &cfg.Rules[i]
		l.rules = append(l.rules, &rule{Rule: r, armed: true, since: dsv.Never})
		for _, read := range r.When.Reads() {
			l.read(read)
		}
		for _, a := range r.Do {
			l.involve(a)
		}
	}
	for _, f := range cfg.Follows {
		for _, read := range f.Expr.Reads() {
			l.read(read)
		}
		l.follows = append(l.follows, f.Init)
	}
	l.newControls()
	if cfg.Active() {
		l.next = dsv.At(Period)
	}
	return l
}

// involve watches what an action needs.
func (l *Loop) involve(a Action) {
	if a.Verb == Assign {
		l.topic(a.Var)
		if a.Expr != nil {
			for _, read := range a.Expr.Reads() {
				l.read(read)
			}
		}
		return
	}
	l.powered()
	name := l.cfg.Topology.Services[a.Service]
	if l.places[a.Service] == nil {
		l.places[a.Service] = &place{}
		l.topic(service.MapName(name)).place = l.places[a.Service]
		for _, s := range l.cfg.Topology.Servers {
			for _, n := range []dsv.Name{service.CopiedName(s, name), service.ReadyName(s, name), service.DrainedName(s, name)} {
				l.topic(n).ack = true
			}
		}
	}
	switch {
	case a.Server >= 0:
		l.topic(AddressName(l.cfg.Topology.Servers[a.Server]))
	case a.Verb == Scale:
		for _, s := range l.cfg.Topology.Servers {
			l.topic(AddressName(s))
		}
	}
	if a.Expr != nil {
		for _, read := range a.Expr.Reads() {
			l.read(read)
		}
	}
}

// AddressName is the variable that tells where a server is reached, Text "host:port": where it listens, or where a module
// listens that stands before it. There is none in virtual time.
func AddressName(server string) dsv.Name { return dsv.Name(server + ".address") }

// DirectName is the variable that tells where a server listens that is reached through a module.
func DirectName(server string) dsv.Name { return dsv.Name(server + ".direct") }

func (l *Loop) topic(n dsv.Name) *topic {
	t := l.topics[n]
	if t == nil {
		t = &topic{}
		l.topics[n] = t
	}
	return t
}

// Watches lists the patterns of the variables that Changed must be told of, sorted; no two match the same variable. Each
// change is needed (dsv.All), once.
func (l *Loop) Watches() []dsv.Name {
	var patterns []dsv.Name
	for i, p := range l.places {
		if p == nil {
			continue
		}
		s := l.cfg.Topology.Services[i]
		patterns = append(patterns, service.CopiedName("*", s), service.ReadyName("*", s), service.DrainedName("*", s))
	}
	if len(patterns) > 0 {
		patterns = append(patterns, AddressName("*"), service.UpName("*"))
	}
	covered := len(patterns)
	for n := range l.topics {
		if !slices.ContainsFunc(patterns[:covered], func(p dsv.Name) bool { return n.Match(string(p)) }) {
			patterns = append(patterns, n)
		}
	}
	slices.Sort(patterns)
	return patterns
}

// Changed tells of one update. Updates of variables that the Loop does not watch are cheap. The update becomes the Loop's.
func (l *Loop) Changed(at dsv.Instant, u dsv.Update) {
	t := l.topics[u.Name]
	if t == nil || l.over(at) {
		return
	}
	if due := l.arrival(at, t, u.Name); due > at {
		l.await(due, u)
		return
	}
	l.learn(at, t, u)
}

// learn takes an update that has arrived.
func (l *Loop) learn(at dsv.Instant, t *topic, u dsv.Update) {
	if t.series != nil {
		t.series.add(at, u)
	}
	v := u.Reading.Value
	if v.Kind == 0 && u.Delta != nil {
		v = u.Delta.Value
	}
	if u.Deleted {
		v = dsv.Value{}
	}
	t.value = v
	if t.place != nil {
		t.place.learn(v)
		l.remapped(at, t.place)
	}
	news := t.server > 0 && l.powers[t.server-1].told(&u)
	if t.place != nil || t.ack || news {
		l.progress(at)
	}
}

// learn takes a mapping over unless it is older than what is known, such as an echo of the Loop's own writes.
func (p *place) learn(v dsv.Value) {
	m, err := service.ParseMapping(v.Text)
	if v.Kind != dsv.Text || err != nil || p.known && m.Epoch <= p.mapping.Epoch {
		return
	}
	p.mapping, p.known = m, true
}

// over reports whether the run has ended, after which nothing is decided.
func (l *Loop) over(at dsv.Instant) bool { return l.cfg.End > 0 && at >= l.cfg.End }

// Next is the next evaluation of the rules, or the end of an action's patience.
func (l *Loop) Next() dsv.Instant {
	next := l.next
	for _, t := range l.tasks {
		next = min(next, t.deadline)
	}
	for _, c := range l.controls {
		next = min(next, c.due())
	}
	if due, _, ok := l.held.Peek(); ok {
		next = min(next, due)
	}
	if l.over(next) {
		return dsv.Never
	}
	return next
}

// Advance ends the patience of actions, evaluates the rules and steps the controllers, where due.
func (l *Loop) Advance(to dsv.Instant) {
	if l.over(to) {
		return
	}
	l.release(to)
	l.progress(to)
	if to >= l.next {
		for l.next <= to {
			l.next = l.next.Add(Period)
		}
		l.evaluate(to)
	}
	l.control(to)
}

// Effects are the Set effects; see [Loop.Write].
func (l *Loop) Effects() []step.Effect {
	out := l.effects
	l.effects, l.handed = l.handed[:0], out
	return out
}

// Write returns what a Set effect writes, once: then, and for a Ref that is not the Loop's, an empty name. The value of
// DecisionsName is one [Decision] as JSON; every other value is written whole.
func (l *Loop) Write(ref step.Ref) (dsv.Name, dsv.Value) {
	i := int(ref.Slot())
	if i >= len(l.outputs) || !l.outputs[i].used || l.outputs[i].gen != ref.Gen() {
		return "", dsv.Value{}
	}
	o := &l.outputs[i]
	name, value := o.name, o.value
	*o = output{gen: o.gen}
	return name, value
}

// set asks for a write.
func (l *Loop) set(at dsv.Instant, n dsv.Name, v dsv.Value) {
	i := slices.IndexFunc(l.outputs, func(o output) bool { return !o.used })
	if i < 0 {
		i = len(l.outputs)
		l.outputs = append(l.outputs, output{})
	}
	gen := l.outputs[i].gen + 1
	l.outputs[i] = output{name: n, value: v, gen: gen, used: true}
	l.effects = append(l.effects, step.Effect{At: at, Kind: step.Set, Node: -1, Ref: step.NewRef(uint32(i), gen)})
}

// record writes one decision.
func (l *Loop) record(d Decision) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // conditions are full of < and >
	if err := enc.Encode(d); err != nil {
		panic(err) // strings and finite numbers only
	}
	l.set(d.At, DecisionsName, dsv.BytesValue(bytes.TrimSuffix(b.Bytes(), []byte("\n"))))
}

// publish writes a service's next mapping.
func (l *Loop) publish(at dsv.Instant, svc int, change func(*service.Mapping)) uint32 {
	p := l.places[svc]
	m := p.mapping.Clone()
	change(&m)
	m.Epoch++
	m.At = at.Add(Notice)
	for i := range m.Replicas {
		r := &m.Replicas[i]
		if was := find(&p.mapping, r.Server); was < 0 || p.mapping.Replicas[was].State != r.State {
			r.Since = m.Epoch
		} else if r.Since == 0 {
			r.Since = p.mapping.Since(was)
		}
	}
	p.mapping = m
	l.set(at, service.MapName(l.cfg.Topology.Services[svc]), dsv.TextValue(m.Encode()))
	return m.Epoch
}

// reached reports whether an acknowledgement has come to an epoch.
func (l *Loop) reached(n dsv.Name, epoch uint32) bool {
	t := l.topics[n]
	if t == nil { // a server that the scenario does not know
		return false
	}
	x, ok := t.value.Number()
	return ok && x >= float64(epoch)
}

// seconds is for causes: "60s".
func seconds(d time.Duration) string { return d.Round(time.Second).String() }
