package scenario

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/usage"
	"github.com/eve-emulation/eve/fase/user"
)

// measures lists every variable that is written through a manipulator: the standard ones, changed by `measure:`, and
// those that it adds for modules.
func (c *compiler) measures() {
	c.locks()
	m := standard{plan: c.plan, adapts: len(c.raw.adapt)+len(c.raw.control) > 0, every: period}
	m.all()
	list := m.list
	at := make(map[dsv.Name]int, len(list))
	for i, s := range list {
		at[s.Name] = i
	}
	measures := c.farmMeasures(at)
	for i := range measures {
		n := &measures[i]
		if k, ok := at[dsv.Name(n.name)]; ok {
			c.change(&list[k], n)
		} else if s, ok := c.addition(n, list); ok {
			list = append(list, s)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	c.plan.Measures = list
	c.vars = map[dsv.Name]dsv.Declaration{}
	for _, d := range c.plan.Declarations() {
		c.vars[d.Name] = d
		c.known = append(c.known, d.Name)
	}
}

// change lets `measure:` say when a standard variable is synchronised.
func (c *compiler) change(m *Measure, n *named[rawMeasure]) {
	if n.v.dmm.written() && !n.v.custom() && n.v.dmm.v != m.Manipulator {
		c.at(n.v.dmm.at, fmt.Sprintf("%s is measured by %s, which Eve relies on", m.Name, m.Manipulator), "leave dmm out, or write dmm: "+m.Manipulator)
	}
	for _, s := range []struct {
		key string
		at  *node
	}{{"param", n.v.param.at}, {"unit", n.v.unit.at}, {"help", n.v.help.at}} {
		if s.at != nil {
			c.at(s.at, fmt.Sprintf("the %s of %s is given", s.key, m.Name), "remove it")
		}
	}
	if n.v.custom() {
		c.at(n.v.dmm.at, fmt.Sprintf("%s is measured by %s, which Eve relies on", m.Name, m.Manipulator), "leave dmm out, or write dmm: "+m.Manipulator)
	}
	m.Sync = n.v.trigger(m.Sync)
	if c.check(m, n) && n.v.behind != nil {
		c.thin(m, n)
	}
}

// thin puts a manipulator in the kernel behind a standard variable, of the same kind and rule, since Eve relies on both.
func (c *compiler) thin(m *Measure, n *named[rawMeasure]) {
	own := m.Spec.Declaration("", "", false)
	b := c.behind(&n.v.kernel, m.Name, own, n.v.behind)
	if b == nil {
		return
	}
	if d := b.Declaration("", "", false); d.Kind != own.Kind || d.Merge != own.Merge || own.Merge == dsv.Last {
		c.at(n.v.kernel.dmm.at, fmt.Sprintf("%s is measured by %s, which Eve relies on", m.Name, m.Manipulator), "write the same in the kernel, to be synchronised less often")
		return
	}
	m.Kernel, m.Chained = b, true
}

func (c *compiler) check(m *Measure, n *named[rawMeasure]) bool {
	if err := m.Check(); err != nil {
		c.at(n.at, err.Error(), "")
		return false
	}
	return true
}

// addition is a variable of a module's.
func (c *compiler) addition(n *named[rawMeasure], standard []Measure) (Measure, bool) {
	owner, _, dotted := strings.Cut(n.name, ".")
	mod := slices.IndexFunc(c.plan.Modules, func(m Module) bool { return m.owns(owner) })
	if _, err := dsv.ParseName(n.name); err != nil || !dotted || mod < 0 {
		known := make([]string, len(standard))
		for i, s := range standard {
			known[i] = string(s.Name)
		}
		fix := "measure what `eve vars` lists, or a module's variable: MODULE.NAME"
		if s := nearest(n.name, known); s != "" {
			fix = fmt.Sprintf("did you mean %q?", s)
		}
		c.at(n.at, fmt.Sprintf("nothing writes a variable %q", clip(n.name)), fix)
		return Measure{}, false
	}
	m := Measure{Unit: n.v.unit.v, Help: n.v.help.v, History: true, Owners: []string{owner}}
	name, kernel := dsv.Name(n.name), n.v.behind != nil
	if !n.v.dmm.written() && !kernel {
		c.at(n.at, fmt.Sprintf("variable %s has no dmm", n.name), "name its manipulator: "+strings.Join(c.manipulators(), ", "))
		return m, false
	}
	if len(c.plan.Modules[mod].Exec) > 0 {
		return m, c.written(&m, n)
	}
	if !n.v.dmm.written() { // the module writes what is folded in the kernel
		m.Kernel = c.behind(&n.v.kernel, name, dsv.Declaration{}, n.v.behind)
		if m.Kernel != nil {
			m.Spec = m.Kernel.Spec
		}
		return m, m.Kernel != nil
	}
	spec, r, ok := c.recipe(&n.v.rawRecipe, name, 0, dmm.Trigger{Every: period}, n.at)
	m.Spec, m.Recipe = spec, &r
	if ok && kernel {
		m.Kernel = c.behind(&n.v.kernel, name, m.Spec.Declaration("", "", false), n.v.behind)
		m.Chained, ok = true, m.Kernel != nil
	}
	return m, ok
}

// written is a variable of a program: it writes, and the kernel folds.
func (c *compiler) written(m *Measure, n *named[rawMeasure]) bool {
	raw, at := &n.v.rawRecipe, n.at
	if n.v.behind != nil {
		if n.v.dmm.written() {
			c.at(n.v.dmm.at, fmt.Sprintf("%s is written by a program, which has no manipulator of its own", n.name), "leave out dmm, or kernel: either is in the kernel")
			return false
		}
		raw, at = &n.v.kernel, n.v.behind
	}
	m.Kernel = c.behind(raw, dsv.Name(n.name), dsv.Declaration{}, at)
	if m.Kernel != nil {
		m.Spec = m.Kernel.Spec
	}
	return m.Kernel != nil
}

// lookup finds a variable for an expression. What a module declares while it runs is not known before, unless its kind is a
// Declarer: it is taken for a number.
func (c *compiler) lookup(name dsv.Name) (dsv.Declaration, bool) {
	if d, ok := c.vars[name]; ok {
		return d, true
	}
	owner, _, dotted := strings.Cut(string(name), ".")
	if dotted && !slices.Contains(c.complete, owner) && slices.ContainsFunc(c.plan.Modules, func(m Module) bool { return m.owns(owner) }) {
		return dsv.Declaration{Name: name, Kind: dsv.Float}, true
	}
	return dsv.Declaration{}, false
}

// standard lists the variables that are measured without being named.
type standard struct {
	plan   *Plan
	adapts bool // there are rules or controllers
	every  time.Duration
	list   []Measure
}

func (s *standard) add(owners []string, manipulator, name, unit, help string) {
	s.put(owners, dmm.Spec{Name: dsv.Name(name), Manipulator: manipulator, Sync: dmm.Trigger{Every: s.every}}, unit, help)
}

func (s *standard) put(owners []string, spec dmm.Spec, unit, help string) {
	s.list = append(s.list, Measure{Spec: spec, Unit: unit, Help: help, History: true, Owners: owners})
}

func (s *standard) all() {
	var groups, hosts []string
	for i := range s.plan.Clients {
		g := &s.plan.Clients[i]
		groups = append(groups, g.Name)
		s.group(g, []string{g.Name})
		s.visited(g, []string{g.Name})
	}
	for i := range s.plan.Servers {
		hosts = append(hosts, s.plan.Servers[i].Name)
	}
	emulated := len(s.plan.Services) - len(s.plan.Targets)
	called := s.called()
	for i := range s.plan.Services {
		s.service(s.plan.Services[i].Name, i < emulated, s.callers(i, called, groups, hosts), hosts)
	}
	s.every = serverPeriod(len(hosts))
	for i, h := range hosts {
		s.server(i, h, s.plan.Services[:emulated])
	}
	s.every = period
	for _, process := range s.plan.Processes() {
		s.used(process, process+".process", time.Second)
	}
	for i := range s.plan.Targets {
		s.used(s.plan.Targets[i].Name, s.plan.Targets[i].Name, period)
	}
}

// called tells, by client group, which services its requests name.
func (s *standard) called() []map[string]bool {
	called := make([]map[string]bool, len(s.plan.Clients))
	for k := range s.plan.Clients {
		called[k] = map[string]bool{}
		for _, b := range s.plan.Clients[k].Requests() {
			for _, name := range b.Services() {
				called[k][name] = true
			}
		}
	}
	return called
}

// callers lists who may call a service: the groups whose requests name it, and every server, as an action may bring any
// service there.
func (s *standard) callers(i int, called []map[string]bool, groups, hosts []string) []string {
	var out []string
	for k, g := range groups {
		if called[k][s.plan.Services[i].Name] {
			out = append(out, g)
		}
	}
	return append(out, hosts...)
}

// crowded is how many servers are each measured every period. Those of more are every second: each has some thirty variables, and a
// simulation of ten thousand would do little else.
const crowded = 1024

// serverPeriod is how often what is measured of one of so many servers is synchronised.
func serverPeriod(servers int) time.Duration {
	if servers > crowded {
		return time.Second
	}
	return period
}

// acknowledged is how many pairs of a server and a service have variables by which steps of actions are acknowledged, whether there is
// an action or not.
const acknowledged = 10_000

// acknowledges reports whether a server may have to acknowledge a step of an action on a service: in a scenario of very many where
// nothing adapts, those do that may hold it.
func (s *standard) acknowledges(server int, v *service.Config) bool {
	return s.adapts || len(s.plan.Servers)*len(s.plan.Services) <= acknowledged || slices.Contains(v.Places(), server)
}

func (s *standard) group(c *user.Config, own []string) {
	g := c.Name
	s.add(own, "histogram", g+".latency", "s", "response time, from due to the last byte; time-outs at their bound")
	s.add(own, "count", g+".requests", "1", "requests that ended, whatever their outcome")
	s.add(own, "count", g+".errors", "1", "requests that failed")
	for _, cause := range service.Causes() {
		s.add(own, "count", g+".errors_"+cause.String(), "1", "requests that failed: "+strings.ReplaceAll(cause.String(), "_", " "))
	}
	s.add(own, "histogram", g+".send_lag", "s", "how late the generator sent, after due")
	s.add(own, "histogram", g+".connect", "s", "time to open a connection for a request, inside its response time too")
	s.add(own, "histogram", g+".first_byte", "s", "from due to the first byte of a request's first answer")
	s.add(own, "count", g+".issued", "1", "requests that were sent")
	s.add(own, "count", g+".late", "1", "requests sent more than 1 ms after due")
	s.add(own, "count", g+".dropped", "1", "requests that the generator could not send")
	s.add(own, "mean", g+".in_flight", "1", "requests in flight, weighted by time")
	if c.Users == 0 {
		s.add(own, "sum", g+".target", "1", "requests due: the integral of the target rate")
	}
	for _, v := range c.Settings() {
		// Nobody's own: whoever sets it writes it whole.
		s.put(nil, dmm.Spec{Name: dsv.Name(g + "." + v.Name), Manipulator: "last", Sync: dmm.Trigger{Change: 1e-9}}, v.Unit, v.Help)
	}
	s.add(own, "count", g+".abandoned", "1", "requests whose user lost patience; errors_abandoned counts the same")
	s.add(own, "sum", g+".unfinished", "1", "requests under way when the run ended, written then")
	s.add(own, "count", g+".retries", "1", "further attempts at requests that had failed")
	if c.Retry.Budget != (user.Budget{}) {
		s.add(own, "count", g+".retries_refused", "1", "further attempts for which the budget had no token")
	}
	s.add(own, "records", g+".records", "", "each request: key, due, sent, done, cause")
	s.add(own, "records", string(service.LedgerName(g)), "", "what it counted of its calls, written when the run has ended: JSON")
}

func (s *standard) service(name string, emulated bool, callers, hosts []string) {
	s.add(callers, "histogram", name+".latency", "s", "response time at the callers, first attempt to last byte")
	s.add(callers, "count", name+".requests", "1", "calls that ended, at the callers")
	s.add(callers, "count", name+".errors", "1", "calls that failed, at the callers")
	if !emulated {
		s.add(callers, "sum", string(service.ReceivedName(name)), "B", "bytes of its answers, without their heads, at the callers")
	}
	if i := s.plan.Topology.Service(name); s.plan.Services[i].Health.Failures > 0 {
		s.add(callers, "count", string(service.EjectionsName(name)), "1", "how often a caller ejected one of its replicas")
	}
	if emulated {
		s.add(hosts, "histogram", name+".residence", "s", "time from arrival to reply at the servers")
		s.split(hosts, name, "at the servers of "+name)
		s.pool(name, hosts)
		if s.plan.gated() || s.plan.Services[s.plan.Topology.Service(name)].Pool.Queue > 0 {
			s.add(hosts, "count", name+".rejected", "1", "requests that the servers answered 503 unserved")
		}
		s.add(hosts, "records", name+".records", "", "each request at the servers: key, arrived, done, cpu demand")
	}
}

func (s *standard) server(i int, x string, services []service.Config) {
	own := []string{x}
	for _, r := range service.Resources() {
		n := x + "." + r
		unit, what := "s", "seconds of service"
		if r == "memory" {
			unit, what = "B", "bytes"
		}
		s.add(own, "mean", n+".utilisation", "1", "share of the "+r+" in use, weighted by time")
		s.add(own, "mean", n+".queue", "1", "jobs at the "+r+", weighted by time")
		s.add(own, "sum", n+".requested", unit, what+" that were asked of the "+r)
		s.add(own, "sum", n+".delivered", unit, what+" that the "+r+" delivered")
		s.split(own, n, "at the "+r)
	}
	s.locks(x)
	s.losses(x)
	s.cache(x)
	s.admission(x)
	s.settings(x)
	s.stages(x)
	s.add(own, "mean", string(service.UpName(x)), "1", "whether it is up: the share of the time; a server on standby is up while it has a service")
	s.add(own, "mean", x+".in_flight", "1", "requests at the server, weighted by time")
	s.add(own, "records", string(service.LedgerName(x)), "", "what it counted of requests and of its own calls, written when the run has ended: JSON")
	s.add(own, "histogram", x+".lag", "s", "how late the server's loop stepped")
	for k := range services {
		v := &services[k]
		if !s.acknowledges(i, v) {
			continue
		}
		for _, ack := range []struct {
			name dsv.Name
			help string
		}{
			{service.CopiedName(x, v.Name), "epoch whose copy has left this server"},
			{service.ReadyName(x, v.Name), "epoch for which this server is ready"},
			{service.DrainedName(x, v.Name), "epoch since which nothing is in flight here"},
		} {
			s.put(own, dmm.Spec{Name: ack.name, Manipulator: "last", Sync: dmm.Trigger{Change: 1}}, "1", ack.help)
		}
	}
}

// used is what the processes of a participant use of the host.
func (s *standard) used(owner, prefix string, every time.Duration) {
	for _, v := range usage.Variables() {
		spec := dmm.Spec{Name: dsv.Name(prefix + "." + v.Leaf), Manipulator: v.Manipulator, Sync: dmm.Trigger{Every: max(every, v.Every)}}
		s.put([]string{owner}, spec, v.Unit, v.Help)
	}
}

// rules compiles `adapt:`.
func (c *compiler) rules() {
	cfg := adapt.Config{Topology: c.plan.Topology, Services: c.plan.Services, Servers: len(c.plan.Servers), Standby: c.standby(), Follows: c.plan.Adapt.Follows, End: dsv.At(c.plan.Duration)}
	seen := map[string]bool{}
	for _, n := range c.raw.adapt {
		r := adapt.Rule{Name: n.v.name.v, WhenText: n.v.when.v, For: n.v.hold.v, Cooldown: n.v.cooldown.v}
		if seen[r.Name] {
			c.at(n.v.name.at, fmt.Sprintf("two rules are called %q", clip(r.Name)), "decisions name their rule: choose another name")
		}
		seen[r.Name] = true
		r.When = c.condition(n.v.when)
		for _, do := range n.v.do {
			if a, ok := c.action(do); ok {
				r.Do = append(r.Do, a)
			}
		}
		if len(n.v.do) == 0 && n.node.get("do") != nil {
			c.at(n.at, fmt.Sprintf("rule %s does nothing", clip(r.Name)), "write do: move SERVICE to SERVER")
		}
		if n.v.enabled.v {
			cfg.Rules = append(cfg.Rules, r)
		}
	}
	c.plan.Adapt = cfg
}

func (c *compiler) action(do spot[string]) (adapt.Action, bool) {
	a, err := adapt.ParseAction(do.v, c.plan.Topology)
	if err != nil {
		c.expression(do.at, err)
		return a, false
	}
	p := c.plan
	switch {
	case a.Service >= len(p.Services)-len(p.Targets):
		c.at(do.at, fmt.Sprintf("%s is a target: it stays where it is", p.Services[a.Service].Name), "actions are for services")
	case a.Server >= len(p.Servers):
		c.at(do.at, fmt.Sprintf("%s is a target: it takes no service", p.Topology.Servers[a.Server]), "name an emulated server")
	case a.Verb == adapt.Assign:
		ok := c.assigned(do, &a)
		return a, ok
	case a.Verb == adapt.Scale:
		ok := c.scaled(do, &a)
		return a, ok
	case a.Formula != "": // of limit
		a.Bounds = adapt.Bounds{Least: leastLimit, Most: maxRate} // a limit of 0 would be none
		a.Expr = c.number(do.at, a.Formula, a.Col-1, a.Unit)
		return a, a.Expr != nil
	case a.Verb == adapt.Limit && a.Value > maxRate:
		c.at(do.at, fmt.Sprintf("the limit %g/s is above 10000000/s", a.Value), "write limit SERVICE none for no limit")
	case a.Verb == adapt.Degrade:
		c.graded(do.at, a.Service, a.Level)
		return a, true
	default:
		return a, true
	}
	return a, false
}
