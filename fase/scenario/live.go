package scenario

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
)

// rawLive is the expression that a setting of a group follows.
type rawLive struct {
	expr        spot[string]
	least, most spot[float64]
	init        *node
}

// live is a value, or an expression that it follows together with the value at the start: {expr: …, init: …}.
func live(dst *rawLive, inner value, u unit) value {
	within := bounds{0, user.MaxWeight, "0 or more"}
	init := value{inner.shape, func(r *reader, n *node) {
		dst.init = n
		inner.read(r, n)
	}}
	fields := []field{
		{key: "expr", value: text(&dst.expr), need: true, help: "what it follows, such as 100/s / (1 + crowd.in_flight / 50)"},
		{key: "init", value: init, need: true, help: "the value at the start, and for as long as the expression is unknown"},
		{key: "least", value: amount(&dst.least, u, within), help: "it does not fall below"},
		{key: "most", value: amount(&dst.most, u, within), help: "it does not rise above"},
	}
	s := shape{name: inner.said() + ", or {expr: …, init: …}", json: map[string]any{
		"anyOf": []any{inner.schema(), objectSchema(fields)},
	}}
	return value{s, func(r *reader, n *node) {
		if n.kind == mappingNode && (n.get("expr") != nil || n.get("init") != nil) {
			r.object(n, "an expression that is followed", fields)
			return
		}
		inner.read(r, n)
	}}
}

// lives lists the expressions of a group by the name of the setting that follows them.
func (v *rawClient) lives() map[string]*rawLive {
	lives := map[string]*rawLive{
		user.RateSetting: &v.rateLive, user.UsersSetting: &v.usersLive,
		user.ThinkSetting: &v.thinkLive, user.PatienceSetting: &v.patienceLive,
	}
	for i := range v.mix {
		lives[user.WeightPrefix+v.mix[i].request.v] = &v.mix[i].live
	}
	return lives
}

// follows compiles the expressions that settings of client groups follow.
func (c *compiler) follows() {
	for i, n := range c.raw.clients {
		g := &c.plan.Clients[i]
		lives := n.v.lives()
		for _, name := range slices.Sorted(maps.Keys(lives)) {
			if s, ok := g.Setting(name); ok && lives[name].expr.written() {
				c.follow(g, s, lives[name])
			}
		}
	}
}

func (c *compiler) follow(g *user.Config, s user.Setting, l *rawLive) {
	init, ok := g.Initial(s.Name)
	if !ok && s.Name == user.RateSetting {
		c.at(l.init, "a curve is no value at the start", "write one rate, such as 40/s; the expression says how it goes on")
		return
	}
	f := adapt.Follow{Var: dsv.Name(g.Name + "." + s.Name), Init: init}
	f.Bounds = adapt.Bounds{Least: l.least.v, Most: s.Most, Whole: s.Whole}
	if l.most.written() {
		f.Most = min(l.most.v, s.Most)
	}
	if f.Most <= f.Least {
		at := l.expr.at
		if l.least.written() {
			at = l.least.at
		}
		c.at(at, fmt.Sprintf("%g is not below %g", f.Least, f.Most), "least is below most")
	}
	if ok && f.Clamp(init) != init {
		c.at(l.init, "the value at the start is not between least and most", "")
	}
	if f.Expr = c.number(l.expr.at, l.expr.v, 0, s.Unit); f.Expr == nil {
		return
	}
	if slices.Contains(f.Expr.Vars(), f.Var) {
		c.at(l.expr.at, fmt.Sprintf("%s follows itself", f.Var), "let it follow measurements, or let a rule set it: set "+string(f.Var)+" = …")
		return
	}
	c.plan.Adapt.Follows = append(c.plan.Adapt.Follows, f)
}

// number compiles an expression that comes to a number of a unit; nil when it does not, and that was told. Columns are those
// behind the first skip characters of the node.
func (c *compiler) number(at *node, text string, skip int, unit string) *expr.Program {
	p, err := expr.Compile(text, c.lookup, c.known...)
	if several, ok := errors.AsType[expr.Errors](err); ok && skip > 0 {
		moved := make(expr.Errors, len(several))
		for i, e := range several {
			moved[i] = &expr.Error{Col: e.Col + skip, Msg: e.Msg, Fix: e.Fix}
		}
		err = moved
	}
	switch {
	case err != nil:
		c.expression(at, err)
	case p.IsCondition():
		c.expression(at, &expr.Error{Col: 1 + skip, Msg: "this is a condition, not a number", Fix: "write CONDITION ? A : B"})
	case unit != "" && p.Unit() != "" && p.Unit() != unit:
		c.expression(at, &expr.Error{Col: 1 + skip, Msg: fmt.Sprintf("this comes to %s, not to %s", unitSaid(p.Unit()), unitSaid(unit)), Fix: "numbers carry their unit: 40/s, 200ms"})
	default:
		return p
	}
	return nil
}

// unitSaid is a unit in a sentence.
func unitSaid(unit string) string {
	if unit == "1" {
		return "a number without a unit"
	}
	return unit
}

// followed reports whether an expression keeps a variable.
func (c *compiler) followed(n dsv.Name) bool {
	return slices.ContainsFunc(c.plan.Adapt.Follows, func(f adapt.Follow) bool { return f.Var == n })
}

// assigned checks what a rule sets.
func (c *compiler) assigned(do spot[string], a *adapt.Action) bool {
	s, group := c.plan.Setting(a.Var)
	switch {
	case !c.settable(a.Var):
		c.at(do.at, fmt.Sprintf("%s cannot be set", a.Var), c.whatSettable(a.Var))
	case c.followed(a.Var):
		c.at(do.at, fmt.Sprintf("%s follows an expression, which would set it again", a.Var), "let the expression say it, or write a plain value in the group")
	case a.Formula != "":
		if group {
			a.Bounds = adapt.Bounds{Most: s.Most, Whole: s.Whole}
		}
		a.Expr = c.number(do.at, a.Formula, a.Col-1, s.Unit)
		return a.Expr != nil
	case !group:
		return true
	case a.Unit != "1" && a.Unit != s.Unit:
		c.at(do.at, fmt.Sprintf("%s is in %s, not in %s", a.Var, unitSaid(s.Unit), unitSaid(a.Unit)), "")
	default:
		if err := s.Check(a.Value); err != nil {
			c.at(do.at, err.Error(), "")
			return false
		}
		return true
	}
	return false
}

// settable reports whether `set` may write a variable: a setting of a group of clients, or what belongs to a module.
func (c *compiler) settable(name dsv.Name) bool {
	if _, ok := c.plan.Setting(name); ok {
		return true
	}
	owner, _, dotted := strings.Cut(string(name), ".")
	return dotted && slices.ContainsFunc(c.plan.Modules, func(m Module) bool { return m.owns(owner) })
}

func (c *compiler) whatSettable(name dsv.Name) string {
	known := c.plan.Settings()
	if group, what, _ := strings.Cut(string(name), "."); what == user.RateSetting && c.replayed(group) {
		return "its arrivals are those of a trace"
	}
	if _, ok := c.vars[name]; ok {
		return "it is a measurement; set the rate, users, think time, patience or a weight of a client group, SERVER.admit.limit or .shed, SERVICE.pool.threads, or a variable of a module"
	}
	return didYouMean(string(name), known)
}

// replayed reports whether the arrivals of a group are those of a trace.
func (c *compiler) replayed(group string) bool {
	return slices.ContainsFunc(c.raw.clients, func(n named[rawClient]) bool { return n.name == group && n.v.trace.at != nil })
}

// Settings lists the variables of client groups, servers and services that may be set: GROUP.rate, GROUP.users and so on.
func (p *Plan) Settings() []string {
	var names []string
	for i := range p.Clients {
		for _, s := range p.Clients[i].Settings() {
			names = append(names, p.Clients[i].Name+"."+s.Name)
		}
	}
	for i := range p.Servers {
		for _, s := range p.Servers[i].Settings() {
			names = append(names, p.Servers[i].Name+"."+s.Name)
		}
	}
	for i := range p.Services {
		if p.Services[i].Pool.Threads > 0 {
			names = append(names, p.Services[i].Name+"."+service.ThreadsSetting)
		}
	}
	return names
}

// Setting returns what a variable sets of a client group, a server or a service; false where it sets nothing.
func (p *Plan) Setting(n dsv.Name) (user.Setting, bool) {
	group, name, _ := strings.Cut(string(n), ".")
	for i := range p.Clients {
		if p.Clients[i].Name == group {
			return p.Clients[i].Setting(name)
		}
	}
	for i := range p.Servers {
		if p.Servers[i].Name != group {
			continue
		}
		for _, s := range p.Servers[i].Settings() {
			if s.Name == name {
				return s, true
			}
		}
	}
	if i := p.Topology.Service(group); name == service.ThreadsSetting && i >= 0 && i < len(p.Services) && p.Services[i].Pool.Threads > 0 {
		return threads(), true
	}
	return user.Setting{}, false
}

// threads is the setting of a service that has a pool.
func threads() user.Setting {
	return user.Setting{
		Name: service.ThreadsSetting, Unit: "1", Help: "its workers at each of its servers", Most: service.MostThreads, Whole: true,
	}
}

// Settings lists what may be changed of a server while it runs: of one whose `admit:` is written, which share of requests it sheds,
// and how many are in service, where that is bounded.
func (s *Server) Settings() []user.Setting {
	if s.Admit == (admit.Config{}) {
		return nil
	}
	shed := user.Setting{Name: service.ShedSetting, Unit: "1", Help: "share of the requests that are rejected at once", Most: 1}
	if s.Admit.Limit == 0 {
		return []user.Setting{shed}
	}
	return []user.Setting{{Name: service.LimitSetting, Unit: "1", Help: "requests in service at once", Most: 1e6, Whole: true}, shed}
}

// Follows reports whether an expression of the scenario keeps a variable.
func (p *Plan) Follows(n dsv.Name) bool {
	return slices.ContainsFunc(p.Adapt.Follows, func(f adapt.Follow) bool { return f.Var == n })
}

// An Initial is the value of a setting at the start of a run.
type Initial struct {
	Name  dsv.Name
	Value float64
}

// Initials lists the settings of client groups, servers and services at the start of the run, for who starts it to write.
func (p *Plan) Initials() []Initial {
	var list []Initial
	for i := range p.Clients {
		g := &p.Clients[i]
		for _, s := range g.Settings() {
			if x, ok := g.Initial(s.Name); ok {
				list = append(list, Initial{dsv.Name(g.Name + "." + s.Name), x})
			}
		}
	}
	for i := range p.Servers {
		s := &p.Servers[i]
		for _, v := range s.Settings() {
			x := 0.0
			if v.Name == service.LimitSetting {
				x = float64(s.Admit.Limit)
			}
			list = append(list, Initial{dsv.Name(s.Name + "." + v.Name), x})
		}
	}
	for i := range p.Services {
		if n := p.Services[i].Pool.Threads; n > 0 {
			list = append(list, Initial{service.PoolName(p.Services[i].Name, "threads"), float64(n)})
		}
	}
	return list
}
