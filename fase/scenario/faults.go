package scenario

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/rdr"
)

// FaultsName is the variable that tells of every fault: Bytes, one JSON [FaultMark] when it begins and one when it ends.
const FaultsName dsv.Name = "run.faults"

// A FaultMark is one instant at which a fault begins or is repaired.
type FaultMark struct {
	At    dsv.Instant       `json:"at"`
	Name  string            `json:"name"`
	Kind  service.FaultKind `json:"kind"`
	What  string            `json:"what"`  // "crash server_1"
	Phase string            `json:"phase"` // begins, ends
}

// Encode returns the mark as its variable holds it.
func (m FaultMark) Encode() []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and whole numbers only
	}
	return b
}

// FaultMarks lists the instants of the faults, in order.
func (p *Plan) FaultMarks() []FaultMark {
	var ms []FaultMark
	for i := range p.Faults {
		f := &p.Faults[i]
		m := FaultMark{At: f.At, Name: f.Name, Kind: f.Kind, What: f.String(p.Party), Phase: "begins"}
		ms = append(ms, m)
		if m.At, m.Phase = f.Until, "ends"; f.Until < dsv.At(p.Duration) {
			ms = append(ms, m)
		}
	}
	slices.SortStableFunc(ms, func(a, b FaultMark) int { return cmp.Compare(a.At, b.At) })
	return ms
}

// Party is the name of one who sends messages.
func (p *Plan) Party(who service.Party) string {
	switch {
	case who == service.Control:
		return controlParty
	case who < service.Control:
		return p.Clients[int(-2-who)].Name
	}
	return p.Topology.Servers[who]
}

// controlParty is what scenarios call the kernel and the rules.
const controlParty = "control"

// rawFault is one item of `faults:`.
type rawFault struct {
	name        spot[string]
	crash, slow []spot[string]
	partition   [][]spot[string]
	apart       *node // where partition stands
	factor      spot[float64]
	at          spot[time.Duration]
	every, hold spot[think]
}

func faultFields(f *rawFault) []field {
	return []field{
		{key: "name", value: text(&f.name), help: "what it is called; without it what it does"},
		{key: "crash", value: texts(&f.crash, "server", many), help: "servers that lose what they do and have in memory, and refuse connections until they are repaired and have booted"},
		{key: "slow", value: texts(&f.slow, "server.resource", many), help: "resources that work slower: SERVER.cpu, SERVER.disk or SERVER.link"},
		{key: "factor", value: amount(&f.factor, plainUnit(), bounds{0.001, 1e6, "from 0.001 to 1000000"}), help: "slow: how many times slower"},
		{key: "partition", value: sides(f), help: "sides between which no message passes, each a list of servers, client groups and `control`; with one side, between it and everybody else"},
		{key: "at", value: duration(&f.at, 0, false), help: "when it happens; with `every` when it does for the first time"},
		{key: "every", value: thinks(&f.every).named("duration, or exp(duration)"), help: "it happens again and again: the time from a repair, or from the start, to the next time: `60s`, or `exp(60s)`"},
		{key: "for", value: thinks(&f.hold).named("duration, or exp(duration)"), help: "how long it lasts; without it until the end of the run"},
	}
}

// named is the value under another name in the reference.
func (v value) named(name string) value {
	v.shape = stringShape(name)
	return v
}

// sides reads the sides of a partition: lists of names, in a list.
func sides(f *rawFault) value {
	elem := shape{elem: new(stringShape("server, group or control")), list: true, loose: true}
	return value{shape{elem: &elem, list: true}, func(r *reader, n *node) {
		f.apart = n
		if n.kind != sequenceNode {
			r.at(n, fmt.Sprintf("the sides of a partition are due, not %s", n.what()), "write a list of lists, such as [[server_1, crowd], [server_2]]")
			return
		}
		for _, side := range n.items {
			var names []spot[string]
			texts(&names, "", many).read(r, side)
			f.partition = append(f.partition, names)
		}
	}}
}

// most is how often one fault may happen in a run.
const mostFaults = 10_000

// failures makes the schedule of what goes wrong.
func (c *compiler) failures() {
	p := c.plan
	for i := range c.raw.faults {
		c.fault(&c.raw.faults[i])
	}
	slices.SortStableFunc(p.Faults, func(a, b service.Fault) int { return cmp.Compare(a.At, b.At) })
	network := service.NewNetwork(p.Faults)
	for i := range p.Servers {
		p.Servers[i].Faults, p.Servers[i].Network = service.FaultsOf(p.Faults, i), network
	}
	for i := range p.Clients {
		p.Clients[i].Network = network
	}
	p.network = network
}

// fault adds what one item of `faults:` says.
func (c *compiler) fault(n *named[rawFault]) {
	v := &n.v
	has := func(key string) bool { return n.node.get(key) != nil } // written, if only wrong, which has been told
	kinds := 0
	for _, key := range []string{"crash", "slow", "partition"} {
		if has(key) {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		c.at(n.at, fmt.Sprintf("a fault is one of crash, slow and partition, not %d of them", kinds), "write crash: SERVER, slow: SERVER.cpu or partition: [[SERVER], [GROUP]]")
		return
	case !has("at") && !has("every"):
		c.at(n.at, "nothing says when the fault happens", "write at: 20s, or every: exp(60s)")
		return
	case v.every.written() && !has("for"):
		c.at(v.every.at, "a fault that happens again and again has to end", "write for: 10s, or for: exp(10s)")
		return
	case has("slow") != has("factor"):
		c.at(n.at, "`slow` and `factor` go together", "write {slow: SERVER.cpu, factor: 3}")
		return
	case v.hold.written() && v.hold.v.mean == 0:
		c.at(v.hold.at, "a fault that is over at once is none", "write how long it lasts, such as for: 10s, or leave it out")
		return
	case v.every.written() && v.every.v.mean == 0:
		c.at(v.every.at, "it would happen again as soon as it is repaired", "write the time between, such as every: 60s, or leave out `for`")
		return
	case has("at") && !v.at.written(), has("every") && !v.every.written(), has("for") && !v.hold.written(), has("factor") && !v.factor.written():
		return // told
	}
	for _, key := range []string{"crash", "slow"} {
		if l := n.node.get(key); l != nil && l.kind == sequenceNode && len(l.items) == 0 {
			c.at(l, fmt.Sprintf("`%s` names nobody", key), "name a server")
			return
		}
	}
	if !c.once(v.crash) || !c.once(v.slow) {
		return
	}
	switch {
	case v.apart != nil:
		if f, ok := c.partition(v); ok {
			c.schedule(n, f, 0)
		}
	case len(v.slow) > 0:
		for _, s := range v.slow {
			c.slowed(n, s)
		}
	default:
		for _, s := range v.crash {
			for _, i := range c.emulated(s, s.v) {
				c.schedule(n, service.Fault{Kind: service.Crash, Server: i}, uint64(i))
			}
		}
	}
}

// once reports whether a list names nothing twice, and tells where it does.
func (c *compiler) once(names []spot[string]) bool {
	seen := map[string]bool{}
	for _, s := range names {
		name, resource, _ := strings.Cut(s.v, ".")
		for _, i := range c.plan.Called(name) {
			one := c.plan.Topology.Servers[i]
			if resource != "" {
				one += "." + resource
			}
			if seen[one] {
				c.at(s.at, fmt.Sprintf("%s is named twice", one), "name it once")
				return false
			}
			seen[one] = true
		}
	}
	return true
}

// emulated lists the servers that a name in a fault stands for.
func (c *compiler) emulated(s spot[string], name string) []int {
	list := c.plan.Called(name)
	switch {
	case len(list) == 0:
		c.at(s.at, fmt.Sprintf("there is no server %q", clip(name)), didYouMean(name, c.serverNames()))
	case list[0] >= len(c.plan.Servers):
		c.at(s.at, fmt.Sprintf("%s is a target: a real server, of which Eve has no power", name), "put a relay before it, whose link may fail, or name an emulated server")
		return nil
	}
	return list
}

// slowed adds a slow-down of one resource.
func (c *compiler) slowed(n *named[rawFault], s spot[string]) {
	name, resource, _ := strings.Cut(s.v, ".")
	if !slices.Contains([]string{"cpu", "disk", "link"}, resource) {
		c.at(s.at, fmt.Sprintf("%q is no resource that can be slow", clip(s.v)), "write SERVER.cpu, SERVER.disk or SERVER.link")
		return
	}
	for _, i := range c.emulated(s, name) {
		m := &c.plan.Servers[i].Machine
		switch {
		case resource == "link" && m.Link.Rate == 0:
			c.at(s.at, fmt.Sprintf("the link of %s has no rate that could be slower", name), "give it one: link: {rate: 1Gbit}")
			return
		case resource == "disk" && m.Run == machine.Burn:
			c.at(s.at, fmt.Sprintf("%s burns: its disk is a real one, which Eve cannot slow down", name), "write run: hold")
			return
		}
		c.schedule(n, service.Fault{Kind: service.Slow, Server: i, Resource: resource, Factor: n.v.factor.v}, uint64(i))
	}
}

// partition finds who is on which side.
func (c *compiler) partition(v *rawFault) (service.Fault, bool) {
	f := service.Fault{Kind: service.Partition, Server: -1}
	seen, good := map[service.Party]bool{}, true
	for _, names := range v.partition {
		var side []service.Party
		for _, name := range names {
			who := c.parties(name)
			good = good && len(who) > 0
			for _, p := range who {
				if seen[p] {
					c.at(name.at, fmt.Sprintf("%s is named twice", c.plan.Party(p)), "everybody is on one side")
					good = false
				}
				seen[p] = true
			}
			side = append(side, who...)
		}
		f.Sides = append(f.Sides, side)
	}
	if len(f.Sides) == 0 || slices.ContainsFunc(f.Sides, func(s []service.Party) bool { return len(s) == 0 }) {
		if good && v.apart.kind == sequenceNode {
			c.at(v.apart, "a side of the partition is empty", "write a list of lists, such as [[server_1, crowd], [server_2]]")
		}
		return f, false
	}
	if len(f.Sides) == 1 {
		f.Sides = append(f.Sides, c.others(seen))
		if good && len(f.Sides[1]) == 0 {
			c.at(v.apart, "everybody is on the one side", "write who is on the other side, or leave somebody out")
			return f, false
		}
	}
	return f, good
}

// parties finds who a name on a side of a partition stands for.
func (c *compiler) parties(name spot[string]) []service.Party {
	if name.v == controlParty && c.plan.Called(controlParty) == nil {
		return []service.Party{service.Control}
	}
	for i := range c.plan.Clients {
		if c.plan.Clients[i].Name == name.v {
			return []service.Party{service.GroupParty(i)}
		}
	}
	var who []service.Party
	if c.plan.Called(name.v) == nil {
		names := append(c.serverNames(), controlParty)
		for _, g := range c.plan.Clients {
			names = append(names, g.Name)
		}
		c.at(name.at, fmt.Sprintf("there is no server and no client group %q", clip(name.v)), didYouMean(name.v, names))
		return nil
	}
	for _, i := range c.emulated(name, name.v) {
		who = append(who, service.Party(i))
	}
	return who
}

// others is everybody but some.
func (c *compiler) others(but map[service.Party]bool) []service.Party {
	all := []service.Party{service.Control}
	for i := range c.plan.Servers {
		all = append(all, service.Party(i))
	}
	for i := range c.plan.Clients {
		all = append(all, service.GroupParty(i))
	}
	return slices.DeleteFunc(all, func(p service.Party) bool { return but[p] })
}

// faultNode sets the draws of faults apart from others.
const faultNode = 0xfa17

// schedule adds a fault each time that it happens. Its draws follow from the seed, its name, the server and how often it has happened.
func (c *compiler) schedule(n *named[rawFault], f service.Fault, part uint64) {
	v, p := &n.v, c.plan
	if f.Name = v.name.v; f.Name == "" {
		f.Name = f.String(p.Party)
	}
	key := rdr.Root(p.Seed, faultNode, part, 0)
	for _, b := range []byte(f.Name) {
		key = key.Mix(uint64(b))
	}
	end, at := dsv.At(p.Duration), dsv.At(v.at.v)
	if !v.at.written() {
		at = dsv.At(v.every.v.draw(key.Mix(0)))
	} else if at >= end {
		c.warn(v.at.at, fmt.Sprintf("the run ends at %v, before the fault", p.Duration), "")
	}
	for i := uint64(1); at < end; i++ {
		f.At, f.Until = at, dsv.Never
		if v.hold.written() {
			f.Until = at.Add(max(v.hold.v.draw(key.Mix(2*i-1)), time.Microsecond))
		}
		p.Faults = append(p.Faults, f)
		if !v.every.written() {
			return
		}
		if i == mostFaults {
			c.at(v.every.at, fmt.Sprintf("it happens more than %d times", mostFaults), "write a longer time")
			return
		}
		at = f.Until.Add(max(v.every.v.draw(key.Mix(2*i)), time.Microsecond))
	}
}

// draw is a time of the law.
func (t think) draw(key rdr.Key) time.Duration {
	if t.exponential {
		return time.Duration(key.Exp() * float64(t.mean))
	}
	return t.mean
}
