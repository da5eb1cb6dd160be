package scenario

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
)

// rawBalance is `balance:`, a word or a mapping.
type rawBalance struct {
	kind, by, expr, others spot[string]
	choices                int
}

// balancers are the words of `balance:`, with what they stand for; beside them stands `power of D`.
func balancers() map[string]service.Balance {
	return map[string]service.Balance{
		"random": service.Random, "round-robin": service.RoundRobin, "least": service.Least, "shortest": service.Least,
		"first": service.First, "hash": service.Hash, "local": service.Local, powerWord: service.Power,
	}
}

func balanceWords() []string {
	return []string{"random", "round-robin", "least", "first", powerOf, "shortest", "hash", "local"}
}

const (
	powerWord = "power" // of a balancer that was read
	powerOf   = "power of 2"
)

var powerForm = regexp.MustCompile(`^power of (\d{1,3})$`)

// balanceWord reads the name of a balancer.
func balanceWord(dst *spot[string], choices *int) value {
	s := shape{name: strings.Join(balanceWords(), " · "), json: map[string]any{
		"type": "string", "pattern": "^(random|round-robin|least|first|power of [0-9]+|shortest|hash|local)$",
	}}
	return value{s, func(r *reader, n *node) {
		t, ok := r.scalar(n, "one of "+strings.Join(balanceWords(), ", "))
		if !ok {
			return
		}
		if m := powerForm.FindStringSubmatch(t); m != nil {
			if *choices, _ = strconv.Atoi(m[1]); *choices < 1 || *choices > service.MaxChoices {
				r.at(n, fmt.Sprintf("%s draws from 1 to %d replicas, not %d", powerWord, service.MaxChoices, *choices), "write "+powerOf)
				return
			}
			t = powerWord
		}
		if _, ok := balancers()[t]; !ok || t == powerWord && *choices == 0 {
			r.at(n, fmt.Sprintf("%q is none of %s", clip(t), strings.Join(balanceWords(), ", ")), meant(t, balanceWords()))
			return
		}
		put(dst, n, t)
	}}
}

func balance(b *rawBalance) value {
	var unused int
	word := balanceWord(&b.kind, &b.choices)
	fields := []field{
		{key: "kind", value: word, help: "how a caller picks"},
		{key: "by", value: text(&b.by), help: "least, shortest, power: the servers' variable that tells their load, such as in_flight or cpu.queue, as it was synchronised last; without it the caller's own outstanding calls"},
		{key: "else", value: balanceWord(&b.others, &unused).without(powerOf, "local", "shortest"), help: "local: how a caller picks where its own server does not serve; without it random"},
		{key: "expr", value: text(&b.expr), help: "in the place of kind: the replica of the least value is picked, such as it.in_flight / it.weight"},
	}
	inner := object("balance", fields)
	inner.shape.name = word.said() + ", or mapping"
	inner.shape.or = word.schema()
	return value{inner.shape, func(r *reader, n *node) {
		if n.kind != mappingNode {
			word.read(r, n)
			return
		}
		inner.read(r, n)
		if (n.get("kind") == nil) == (n.get("expr") == nil) {
			r.at(n, "a balancer is of a kind, or an expression", "write {kind: shortest, by: in_flight}, or {expr: it.in_flight / it.weight}")
		}
	}}
}

// without is a choice from which some words are taken.
func (v value) without(words ...string) value {
	read := v.read
	v.read = func(r *reader, n *node) {
		if m := n.text; n.kind == scalarNode && (slices.Contains(words, m) || powerForm.MatchString(m)) {
			r.at(n, fmt.Sprintf("%q does not stand here", clip(m)), "write random, round-robin, least, first or hash")
			return
		}
		read(r, n)
	}
	return v
}

// rawServerWeight is one entry of `weights:`.
type rawServerWeight struct {
	server string
	at     *node
	weight spot[int]
}

// serverWeights is a mapping of servers to whole numbers.
func serverWeights(dst *[]rawServerWeight) value {
	number := whole(new(spot[int]), 1, 1000)
	s := shape{name: "weights by server", json: map[string]any{"type": "object", "additionalProperties": number.schema()}}
	return value{s, func(r *reader, n *node) {
		if n.kind != mappingNode {
			r.at(n, fmt.Sprintf("a mapping of servers to weights is due, not %s", n.what()), "write {server_1: 3, server_2: 1}")
			return
		}
		for _, e := range n.entries {
			w := rawServerWeight{server: e.key.text, at: e.key}
			whole(&w.weight, 1, 1000).read(r, e.value)
			*dst = append(*dst, w)
		}
	}}
}

// weights gives a service those of its replicas that are not 1.
func (c *compiler) weights(s *service.Config, raw []rawServerWeight) {
	for _, w := range raw {
		servers := c.plan.Called(w.server)
		if servers == nil {
			c.at(w.at, fmt.Sprintf("there is no server %q", clip(w.server)), didYouMean(w.server, c.serverNames()))
		}
		for _, i := range servers {
			if !slices.Contains(s.Places(), i) {
				c.at(w.at, fmt.Sprintf("service %s is not on %s", s.Name, c.plan.Topology.Servers[i]), "name the server in `on`")
				break
			}
			if s.Weights == nil {
				s.Weights = make([]int, len(c.plan.Topology.Servers))
			}
			s.Weights[i] = w.weight.v
		}
	}
}

// balanced says how callers pick, as far as that needs no variables; balancing does the rest.
func (c *compiler) balanced(s *service.Config, b *rawBalance) {
	s.Balance, s.Choices = balancers()[b.kind.v], b.choices
	if b.expr.written() {
		s.Balance = service.Custom
	}
	if at := b.by.at; at != nil && b.kind.v != "" && s.Balance != service.Least && s.Balance != service.Power {
		c.at(at, "`by` goes with least, shortest and power", "remove it")
	}
	if at := b.others.at; at != nil && s.Balance != service.Local {
		c.at(at, "`else` goes with local", "remove it")
	}
	s.Else = balancers()[b.others.v]
}

// hashed reports whether some service is balanced by who asks.
func (c *compiler) hashed() bool {
	return slices.ContainsFunc(c.plan.Services, func(s service.Config) bool {
		return s.Balance == service.Hash || s.Balance == service.Local && s.Else == service.Hash
	})
}

// balancing finds the variables that balancers read, once all are known.
func (c *compiler) balancing() {
	for i := range c.raw.services {
		b, s := &c.raw.services[i].v.balance, &c.plan.Services[i]
		switch {
		case b.by.written():
			if k := c.viewed(s, b); k >= 0 {
				s.View = k + 1
			}
		case b.expr.written():
			s.Score = c.score(s, b)
		}
	}
	c.freshness()
}

// viewed is the view that `by:` names; -1 with a mistake told where there is none.
func (c *compiler) viewed(s *service.Config, b *rawBalance) int {
	var leaves []string
	for _, in := range c.figures(s) {
		if in.Name == b.by.v {
			return c.view(in.Name)
		}
		leaves = append(leaves, in.Name)
	}
	fix := meant(b.by.v, leaves)
	if fix == "" {
		fix = "name a variable that all of them have and that keeps a mean or a latest value, such as in_flight, cpu.queue or cpu.utilisation"
	}
	c.at(b.by.at, fmt.Sprintf("the servers of %s have no figure %q", s.Name, clip(b.by.v)), fix)
	return -1
}

// itsOwn are the figures of a candidate that a caller knows by itself.
func itsOwn() []expr.Input {
	return []expr.Input{
		{Name: "weight", Kind: dsv.Float, Unit: "1"}, {Name: "outstanding", Kind: dsv.Float, Unit: "1"}, {Name: "local", Kind: dsv.Float, Unit: "1"},
	}
}

// itsFacts are the figures of a candidate that the scenario tells.
func itsFacts() []expr.Input {
	return []expr.Input{
		{Name: "delay", Kind: dsv.Float, Unit: "s"}, {Name: "cpus", Kind: dsv.Float, Unit: "1"}, {Name: "speed", Kind: dsv.Float, Unit: "1"},
	}
}

// score compiles `expr:`; nil with a mistake told.
func (c *compiler) score(s *service.Config, b *rawBalance) *service.Score {
	own, all := len(itsOwn()), slices.Concat(itsOwn(), itsFacts(), c.figures(s))
	inputs := slices.Clone(all)
	for i := range inputs {
		inputs[i].Name = "it." + inputs[i].Name
	}
	f, err := expr.CompileFormula(b.expr.v, inputs)
	switch {
	case err != nil:
		c.expression(b.expr.at, err)
		return nil
	case f.IsCondition():
		c.at(b.expr.at, "this is a condition, not a number", "the least value is picked: write CONDITION ? 0 : 1")
		return nil
	}
	score := &service.Score{Formula: f}
	for i := range all {
		in := service.ScoreInput(-1 - i)
		if i >= own {
			in = service.ScoreWeight // of one that is not used, whatever
			if f.Uses(i) {
				in = service.ScoreInput(c.view(all[i].Name))
			}
		}
		score.Inputs = append(score.Inputs, in)
	}
	return score
}

// figures lists the variables that all servers of a service have and that hold a number, by what follows the server's name.
func (c *compiler) figures(s *service.Config) []expr.Input {
	places := s.Places()
	if len(places) == 0 {
		return nil
	}
	first := c.plan.Topology.Servers[places[0]] + "."
	var list []expr.Input
	for _, name := range c.known {
		leaf, ok := strings.CutPrefix(string(name), first)
		if d := c.vars[name]; !ok || d.Kind != dsv.Float && d.Kind != dsv.Int || d.Merge != dsv.Mean && d.Merge != dsv.Last {
			continue
		}
		if slices.ContainsFunc(places, func(i int) bool {
			_, known := c.vars[dsv.Name(c.plan.Topology.Servers[i]+"."+leaf)]
			return !known
		}) {
			continue
		}
		list = append(list, expr.Input{Name: leaf, Kind: dsv.Float, Unit: c.vars[name].Unit})
	}
	return list
}

// view is the index of the view of a figure.
func (c *compiler) view(leaf string) int {
	topo := c.plan.Topology
	if i := slices.IndexFunc(topo.Views, func(v service.View) bool { return v.Leaf == leaf }); i >= 0 {
		return i
	}
	v := service.View{Leaf: leaf}
	if slices.ContainsFunc(itsFacts(), func(in expr.Input) bool { return in.Name == leaf }) {
		v.Facts = make([]float64, len(topo.Servers))
		for i := range v.Facts {
			v.Facts[i] = math.NaN()
		}
		for i := range c.plan.Servers {
			m := &c.plan.Servers[i].Machine
			v.Facts[i] = map[string]float64{
				"delay": m.Link.Delay.Seconds(), "cpus": float64(m.CPU.Cores), "speed": m.CPU.Speed,
			}[leaf]
		}
	}
	topo.Views = append(topo.Views, v)
	return len(topo.Views) - 1
}

// freshness has servers bring their measurements up to date as often as any of them is synchronised: those that balancers read more often than
// others, and all of them seldom where the scenario says so of each.
func (c *compiler) freshness() {
	views, least := c.plan.Views(), map[string]time.Duration{}
	tell := func(server string, every time.Duration) {
		if old, ok := least[server]; !ok || every < old {
			least[server] = every
		}
	}
	for i := range c.plan.Measures {
		m := &c.plan.Measures[i]
		if v, ok := views[m.Name]; ok && m.Sync.Every > 0 {
			tell(c.plan.Servers[v.Server].Name, m.Sync.Every)
		}
		every := m.Sync.Every
		switch {
		case !slices.Contains([]string{"mean", "sum", "last"}, m.Manipulator):
			continue // it is written when something happens
		case m.Sync == dmm.Trigger{Every: every}:
		case m.Manipulator == "last":
			continue
		default: // it is looked at with each write
			every = period
		}
		for _, owner := range m.Owners {
			tell(owner, every)
		}
	}
	for i := range c.plan.Servers {
		s := &c.plan.Servers[i]
		if every := least[s.Name]; every > 0 {
			s.Accrue = every
		}
	}
}

// A ViewOf is the figure of one server that balancers read.
type ViewOf struct {
	View   int  // in the topology
	Server int  // whose
	Mean   bool // the variable keeps a mean
}

// Views are the variables that balancers read, which every caller is to be told by See; nil for none.
func (p *Plan) Views() map[dsv.Name]ViewOf {
	at := map[string]int{}
	for k, v := range p.Topology.Views {
		if v.Facts == nil {
			at[v.Leaf] = k
		}
	}
	if len(at) == 0 {
		return nil
	}
	views := map[dsv.Name]ViewOf{}
	for _, m := range p.Measures {
		server, leaf, _ := strings.Cut(string(m.Name), ".")
		k, read := at[leaf]
		if i := p.Topology.Server(server); read && i >= 0 && i < len(p.Servers) {
			views[m.Name] = ViewOf{k, i, m.Declaration().Merge == dsv.Mean}
		}
	}
	return views
}

// ViewPatterns are the patterns of names that take in all of Views.
func (p *Plan) ViewPatterns() []string {
	var patterns []string
	for _, v := range p.Topology.Views {
		if v.Facts == nil {
			patterns = append(patterns, "*."+v.Leaf)
		}
	}
	return patterns
}

// Figure is what an update of the variable tells: of a mean that of its latest window, else the latest value. It is false where
// it tells nothing.
func (v ViewOf) Figure(u dsv.Update) (float64, bool) {
	if !v.Mean {
		return u.Reading.Value.Number()
	}
	if u.Delta == nil || u.Delta.Weight <= 0 {
		return 0, false
	}
	return u.Delta.Value.Float / u.Delta.Weight, true
}
