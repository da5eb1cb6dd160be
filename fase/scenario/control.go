package scenario

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/service"
)

// controls compiles `control:`.
func (c *compiler) controls() {
	seen := map[string]bool{}
	for i := range c.plan.Adapt.Rules {
		seen[c.plan.Adapt.Rules[i].Name] = true
	}
	held := map[string]string{}
	for i := range c.raw.control {
		n := &c.raw.control[i]
		before := len(c.errs)
		if !validName(n.v.name.v) {
			c.at(n.v.name.at, fmt.Sprintf("%q is not a name", clip(n.v.name.v)), "write small letters, digits and _")
		} else if seen[n.v.name.v] {
			c.at(n.v.name.at, fmt.Sprintf("two controllers or rules are called %q", clip(n.v.name.v)), "decisions name who decided: choose another name")
		}
		seen[n.v.name.v] = true
		ctl := c.controller(n)
		c.contested(n, &ctl)
		for _, what := range actuated(&ctl.Actuator, c.plan) {
			if by := held[what]; by != "" {
				c.at(n.v.name.at, fmt.Sprintf("%s and %s both control %s", by, n.v.name.v, what), "let one of them do it")
			}
			held[what] = n.v.name.v
		}
		if len(c.errs) == before {
			c.plan.Adapt.Controls = append(c.plan.Adapt.Controls, ctl)
			d := controlDeclaration(&ctl)
			c.vars[d.Name] = d
			c.known = append(c.known, d.Name)
		}
	}
}

// contested tells of rules that set the variable which a controller sets.
func (c *compiler) contested(n *named[rawControl], ctl *adapt.Control) {
	for i := range c.plan.Adapt.Rules {
		r := &c.plan.Adapt.Rules[i]
		ours := append([]dsv.Name{ctl.Actuator.Var}, ctl.Actuator.Also...)
		sets := func(a adapt.Action) bool { return a.Verb == adapt.Assign && slices.Contains(ours, a.Var) }
		if k := slices.IndexFunc(r.Do, sets); ctl.Actuator.Verb == adapt.Assign && k >= 0 {
			c.at(n.v.set.at, fmt.Sprintf("rule %s sets %s, which the controller would set again", clip(r.Name), r.Do[k].Var), "let one of them do it")
		}
	}
}

// actuated names what a controller controls.
func actuated(a *adapt.Actuator, p *Plan) []string {
	switch {
	case a.Verb == adapt.Assign:
		list := []string{string(a.Var)}
		for _, n := range a.Also {
			list = append(list, string(n))
		}
		return list
	case a.Verb != "" && a.Service >= 0:
		return []string{string(a.Verb) + " " + p.Topology.Services[a.Service]}
	}
	return nil
}

// controlDeclaration is the variable that tells what a controller asked for last.
func controlDeclaration(ctl *adapt.Control) dsv.Declaration {
	unit := "1"
	if ctl.Actuator.Verb == adapt.Limit {
		unit = "1/s"
	}
	return dsv.Declaration{Name: adapt.ControlName(ctl.Name), Kind: dsv.Float, Unit: unit, Help: "what " + ctl.Name + " asked for last", History: true}
}

// controller compiles one entry.
func (c *compiler) controller(n *named[rawControl]) adapt.Control {
	raw := &n.v
	ctl := adapt.Control{
		Name: raw.name.v, Kind: raw.kind.v, Period: raw.every.v, Window: raw.window.v, Delay: raw.delay.v, Noise: raw.noise.v, Seed: c.plan.Seed,
		Actuator: adapt.Actuator{Service: -1, Init: math.NaN()},
	}
	if ctl.Period == 0 {
		ctl.Period = controlPeriod(ctl.Kind)
	}
	if _, own := c.options.Controllers[ctl.Kind]; !own && !slices.Contains(controlKinds(), ctl.Kind) && !c.options.AnyKind {
		kinds := append(controlKinds(), slices.Sorted(maps.Keys(c.options.Controllers))...)
		c.at(raw.kind.at, fmt.Sprintf("there is no controller of the kind %q", clip(ctl.Kind)), didYouMean(ctl.Kind, kinds))
		return ctl
	}
	c.misplaced(n)
	c.actuator(n, &ctl)
	c.controlMetrics(n, &ctl)
	if maker := c.maker(n, &ctl); maker != nil {
		ctl.New = maker.New
	}
	return ctl
}

// misplaced tells of keys that are another kind's.
func (c *compiler) misplaced(n *named[rawControl]) {
	for _, f := range controllerKeys(&n.v) {
		at := n.node.get(f.key)
		if at == nil || f.kinds == "" || slices.Contains(strings.Fields(f.kinds), c.family(n.v.kind.v)) {
			continue
		}
		c.at(at, fmt.Sprintf("a controller of the kind %s has no key %q", n.v.kind.v, f.key), "it is of "+strings.Join(strings.Fields(f.kinds), ", "))
	}
}

// family is the kind that tells which keys there are: kinds of one's own share one.
func (c *compiler) family(kind string) string {
	if slices.Contains(controlKinds(), kind) {
		return kind
	}
	return "own"
}

// actuator says where the values of a controller go.
func (c *compiler) actuator(n *named[rawControl], ctl *adapt.Control) {
	raw, a := &n.v, &ctl.Actuator
	type target struct {
		verb adapt.Verb
		to   spot[string]
	}
	var written []target
	for _, t := range []target{{adapt.Scale, raw.scale}, {adapt.Limit, raw.limit}, {adapt.Degrade, raw.degrade}, {adapt.Assign, raw.set}} {
		if t.to.written() {
			written = append(written, t)
		}
	}
	switch {
	case len(written) > 1:
		c.at(written[1].to.at, fmt.Sprintf("%s controls %s already", ctl.Name, written[0].to.v), "a controller has one of scale, limit, degrade and set")
		return
	case ctl.Kind == "remap" && len(written) == 1:
		c.at(written[0].to.at, "a controller of the kind remap moves services", "name them in `demands`")
		return
	case ctl.Kind == "program":
		for i := range len(c.plan.Services) - len(c.plan.Targets) {
			a.Places = append(a.Places, i)
		}
	case ctl.Kind == "remap":
		return
	case len(written) == 0:
		c.at(n.at, fmt.Sprintf("controller %s controls nothing", clip(ctl.Name)), "write scale: SERVICE, limit: SERVICE, degrade: SERVICE or set: VARIABLE")
		return
	}
	if len(written) == 0 {
		return
	}
	a.Verb = written[0].verb
	if a.Verb == adapt.Assign {
		c.controlled(n, ctl)
	} else if a.Service = c.controlledService(written[0].to); a.Service < 0 {
		a.Verb = ""
		return
	}
	c.controlBounds(n, ctl)
}

// controlledService finds an emulated service.
func (c *compiler) controlledService(s spot[string]) int {
	p := c.plan
	i := p.Topology.Service(s.v)
	switch {
	case i < 0:
		c.at(s.at, fmt.Sprintf("there is no service %q", clip(s.v)), didYouMean(s.v, p.Topology.Services))
	case i >= len(p.Services)-len(p.Targets):
		c.at(s.at, fmt.Sprintf("%s is a target: it stays where it is", s.v), "name an emulated service")
		return -1
	}
	return i
}

// controlled checks the variable that a controller sets.
func (c *compiler) controlled(n *named[rawControl], ctl *adapt.Control) {
	at, a := n.v.set.at, &ctl.Actuator
	names := c.everywhere(dsv.Name(n.v.set.v))
	a.Var, a.Also = names[0], names[1:]
	s, group := c.plan.Setting(a.Var)
	switch {
	case !c.settable(a.Var):
		c.at(at, fmt.Sprintf("%s cannot be set", clip(n.v.set.v)), c.whatSettable(a.Var))
	case c.followed(a.Var):
		c.at(at, fmt.Sprintf("%s follows an expression, which would set it again", a.Var), "write a plain value in the group")
	case group:
		a.Bounds = adapt.Bounds{Most: s.Most, Whole: s.Whole}
		if s.Name == service.LimitSetting || s.Name == service.ThreadsSetting {
			a.Least = 1 // nothing serves with less
		}
	}
}

// everywhere lists the settings that one name stands for: that of a farm for those of each of its servers.
func (c *compiler) everywhere(n dsv.Name) []dsv.Name {
	owner, leaf, _ := strings.Cut(string(n), ".")
	f := c.plan.farm(owner)
	if f == nil {
		return []dsv.Name{n}
	}
	var names []dsv.Name
	for _, x := range f.Servers {
		one := dsv.Name(c.plan.Topology.Servers[x] + "." + leaf)
		if !c.settable(one) {
			return []dsv.Name{n}
		}
		names = append(names, one)
	}
	return names
}

// controlBounds says between what a controller stays.
func (c *compiler) controlBounds(n *named[rawControl], ctl *adapt.Control) {
	raw, a := &n.v, &ctl.Actuator
	switch a.Verb {
	case adapt.Scale:
		s := &c.plan.Services[a.Service]
		a.Whole, a.Least, a.Most = true, float64(s.Least), float64(s.Most)
		if s.Most == 0 {
			a.Least, a.Most = min(1, float64(len(s.On))), float64(len(s.On))
		}
	case adapt.Limit:
		a.Least, a.Most = leastLimit, maxRate
	case adapt.Degrade:
		a.Levels = plainTexts(raw.levels)
		if len(a.Levels) < 2 {
			c.at(cmp.Or(raw.degrade.at, n.at), "there are no levels to choose from", "write levels: [full, lite], the best first")
		}
		for _, l := range raw.levels {
			c.graded(l.at, a.Service, l.v)
		}
		a.Whole, a.Most = true, float64(len(a.Levels)-1)
	}
	least, most := a.Least, a.Most
	if raw.least.written() {
		least = raw.least.v
	}
	if raw.most.written() {
		most = raw.most.v
	}
	at := cmp.Or(raw.most.at, raw.least.at, raw.scale.at, n.at)
	switch {
	case a.Verb == adapt.Scale && (a.Most <= a.Least || most > a.Most):
		c.at(at, fmt.Sprintf("service %s may be on %g of its servers, no more and no less", c.plan.Topology.Services[a.Service], a.Most), "name more servers in its `on`, and write replicas: 1, say, to begin with one")
		return
	case (raw.least.written() || raw.most.written()) && most <= least:
		c.at(at, fmt.Sprintf("%g is not below %g", least, most), "least is below most")
		return
	case a.Verb == adapt.Limit && least <= 0:
		c.at(raw.least.at, "a limit of 0 is none", "write least: 1/s, say")
		return
	}
	a.Least, a.Most = least, most
	if raw.init.written() {
		a.Init = raw.init.v
	}
}

// controlMetrics compiles what a controller sees.
func (c *compiler) controlMetrics(n *named[rawControl], ctl *adapt.Control) {
	raw := &n.v
	list := raw.metrics
	if raw.metric.written() {
		first := named[rawMetric]{at: raw.metric.at, node: n.node}
		first.v = rawMetric{metric: raw.metric, target: raw.target, per: raw.per}
		list = append([]named[rawMetric]{first}, list...)
	}
	called := map[string]bool{}
	for i := range list {
		if name := list[i].v.name; name.v != "" && called[name.v] {
			c.at(name.at, fmt.Sprintf("two metrics of %s are called %q", ctl.Name, clip(name.v)), "choose another name")
		}
		called[list[i].v.name.v] = true
		ctl.Metrics = append(ctl.Metrics, c.metric(&list[i], ctl))
	}
	several := slices.Contains([]string{"hpa", "keda", "utility", "program", "own"}, c.family(ctl.Kind))
	switch {
	case ctl.Kind == "remap", ctl.Kind == "expr", ctl.Kind == "program":
	case len(list) == 0:
		c.at(n.at, fmt.Sprintf("controller %s sees nothing", clip(ctl.Name)), "write metric: EXPRESSION")
	case len(list) > 1 && !several:
		c.at(list[1].at, fmt.Sprintf("a controller of the kind %s has one metric", ctl.Kind), "")
	}
	for _, extra := range []spot[string]{raw.inFlight, raw.errors, raw.accepts} {
		if extra.written() {
			m := named[rawMetric]{at: extra.at, node: extra.at}
			m.v.metric = extra
			ctl.Metrics = append(ctl.Metrics, c.metric(&m, ctl))
		}
	}
	if raw.errors.written() && !raw.inFlight.written() {
		c.at(raw.errors.at, "errors without in_flight", "write in_flight: SERVER.in_flight too")
	}
	if raw.expr.written() {
		p := c.number(raw.expr.at, raw.expr.v, 0, "")
		ctl.Metrics = append(ctl.Metrics, adapt.Metric{Text: raw.expr.v, Expr: p, Target: math.NaN()})
	}
	targeted := slices.Contains([]string{"hpa", "keda", "pi", "aimd", "overload", "predictive"}, ctl.Kind)
	for i := range list {
		if targeted && !list[i].v.target.written() {
			c.at(list[i].at, fmt.Sprintf("metric %s has no target", clip(list[i].v.metric.v)), "write target: 60%, say")
		}
	}
}

// perReplica finds what stands for the name of each replica's server in a metric.
var perReplica = regexp.MustCompile(`\bit\.`)

// metric compiles one metric: an expression, or one of each replica where it names it.
func (c *compiler) metric(n *named[rawMetric], ctl *adapt.Control) adapt.Metric {
	raw := &n.v
	m := adapt.Metric{Name: raw.name.v, Text: raw.metric.v, Target: math.NaN(), Per: raw.per.v}
	unit := ""
	if perReplica.MatchString(m.Text) {
		unit = c.eachMetric(n, ctl, &m)
	} else if m.Expr = c.number(raw.metric.at, m.Text, 0, ""); m.Expr != nil {
		unit = m.Expr.Unit()
	}
	if raw.name.written() && !validName(m.Name) {
		c.at(raw.name.at, fmt.Sprintf("%q is not a name", clip(m.Name)), "write small letters, digits and _")
	}
	if !raw.target.written() {
		return m
	}
	x, got, err := expr.ParseQuantity(strings.TrimSpace(raw.target.v))
	switch {
	case err != nil:
		c.at(raw.target.at, fmt.Sprintf("%q is not a quantity", clip(raw.target.v)), "write it as 60%, 200ms or 40/s")
	case unit != "" && got != unit && x != 0:
		c.at(raw.target.at, fmt.Sprintf("the metric is in %s, the target in %s", unitSaid(unit), unitSaid(got)), "")
	}
	m.Target = x
	return m
}

// eachMetric compiles a metric of each replica, and returns its unit.
func (c *compiler) eachMetric(n *named[rawMetric], ctl *adapt.Control, m *adapt.Metric) string {
	at, a := n.v.metric.at, &ctl.Actuator
	if a.Service < 0 || a.Verb == adapt.Assign || a.Verb == "" {
		c.at(at, "`it.` stands for a replica of the service that is controlled, and here none is", "name a server")
		return ""
	}
	s := &c.plan.Services[a.Service]
	servers := s.Candidates
	if servers == nil {
		servers = s.On
	}
	m.Each = make([]*expr.Program, len(c.plan.Servers))
	unit := ""
	for _, x := range servers {
		name := c.plan.Topology.Servers[x]
		p, err := expr.Compile(perReplica.ReplaceAllString(m.Text, name+"."), c.lookup, c.known...)
		if err != nil {
			c.expression(at, unlocal(err, m.Text, name))
			return ""
		}
		if p.IsCondition() {
			c.at(at, "this is a condition, not a number", "write CONDITION ? A : B")
			return ""
		}
		m.Each[x], unit = p, p.Unit()
	}
	return unit
}

// unlocal puts the columns of mistakes where they are in a text that says `it` for a server.
func unlocal(err error, text, server string) error {
	several, ok := err.(expr.Errors)
	if !ok {
		return err
	}
	moved := make(expr.Errors, len(several))
	for i, e := range several {
		col := e.Col
		for _, at := range perReplica.FindAllStringIndex(text, -1) {
			if begin := len([]rune(text[:at[0]])) + 1; col > begin {
				col = max(begin, col-len(server)+len("it"))
			}
		}
		moved[i] = &expr.Error{Col: col, Msg: e.Msg, Fix: e.Fix}
	}
	return moved
}

// maker is what makes the controllers; nil for one outside, and where a mistake was told.
func (c *compiler) maker(n *named[rawControl], ctl *adapt.Control) adapt.Maker {
	raw := &n.v
	if shape, own := c.options.Controllers[ctl.Kind]; own && c.family(ctl.Kind) == "own" {
		before := len(c.errs)
		b := c.config(raw.config, shape, true)
		if len(c.errs) > before {
			return nil
		}
		c.checkConfig(cmp.Or(raw.config, n.at), shape, b)
		full := reflect.New(reflect.TypeOf(shape).Elem())
		full.Elem().Set(reflect.ValueOf(shape).Elem())
		if len(b) > 0 {
			if err := json.Unmarshal(b, full.Interface()); err != nil {
				c.at(cmp.Or(raw.config, n.at), err.Error(), "")
				return nil
			}
		}
		return full.Interface().(adapt.Maker)
	}
	if ctl.Kind == "program" {
		ctl.Exec, ctl.Bound = plainTexts(raw.exec), raw.bound.v
		if len(ctl.Exec) == 0 {
			c.at(n.at, fmt.Sprintf("controller %s has no program", clip(ctl.Name)), "name it: exec: [python3, controller.py]")
		}
		return nil
	}
	return c.shipped(n, ctl)
}

// periods are how many periods a time is, at least one.
func periods(d, period time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return math.Max(1, math.Round(d.Seconds()/period.Seconds()))
}
