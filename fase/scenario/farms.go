package scenario

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
)

// maxServers bounds the emulated servers of a scenario, those of farms included.
const maxServers = 16384

// A Farm is an entry of `servers:` with a count: servers that are alike.
type Farm struct {
	Name    string // as written; lists of servers name all of the farm by it
	Servers []int  // by index: NAME_1, NAME_2 and so on
}

// farms puts the servers of each farm in the place of its entry.
func (c *compiler) farms() {
	var all []named[rawServer]
	for _, n := range c.raw.servers {
		if len(all) >= maxServers {
			c.at(n.at, fmt.Sprintf("there are more than %d servers", maxServers), "")
			break
		}
		if !n.v.count.written() {
			all = append(all, n)
			continue
		}
		if at := n.v.listen.at; at != nil && n.v.count.v > 1 {
			if _, port, err := net.SplitHostPort(n.v.listen.v); err == nil && port != "0" {
				c.at(at, fmt.Sprintf("%d servers cannot listen at one address", n.v.count.v), "write port 0, for any free one")
			}
		}
		farm := Farm{Name: n.name}
		for i := range n.v.count.v {
			one := n
			one.name = n.name + "_" + strconv.Itoa(i+1)
			farm.Servers = append(farm.Servers, len(all))
			all = append(all, one)
		}
		c.plan.Farms = append(c.plan.Farms, farm)
	}
	c.raw.servers = all
}

// farm returns the farm that a name stands for, or nil.
func (p *Plan) farm(name string) *Farm {
	if i := slices.IndexFunc(p.Farms, func(f Farm) bool { return f.Name == name }); i >= 0 {
		return &p.Farms[i]
	}
	return nil
}

// Called lists the servers that a name in a list of servers stands for: one server or target, or those of a farm. It is empty for
// a name that there is not.
func (p *Plan) Called(name string) []int {
	if f := p.farm(name); f != nil {
		return f.Servers
	}
	if i := p.Topology.Server(name); i >= 0 {
		return []int{i}
	}
	return nil
}

// serverNames are the words that a list of servers may hold.
func (c *compiler) serverNames() []string {
	names := slices.Clone(c.plan.Topology.Servers)
	for _, f := range c.plan.Farms {
		names = append(names, f.Name)
	}
	return names
}

// farmMeasures is `measure:` with what is written of a farm in the place of each of its servers. at holds the standard variables.
func (c *compiler) farmMeasures(at map[dsv.Name]int) []named[rawMeasure] {
	var list []named[rawMeasure]
	for _, n := range c.raw.measure {
		owner, leaf, _ := strings.Cut(n.name, ".")
		f := c.plan.farm(owner)
		if f == nil {
			list = append(list, n)
			continue
		}
		for _, i := range f.Servers {
			one := n
			one.name = c.plan.Topology.Servers[i] + "." + leaf
			list = append(list, one)
			if _, ok := at[dsv.Name(one.name)]; !ok {
				break // one mistake is enough
			}
		}
	}
	return list
}

// rawReplicas is `replicas:`, a number or a mapping.
type rawReplicas struct {
	at                 *node
	start, least, most spot[int]
}

func replicas(s *rawReplicas) value {
	fields := []field{
		{key: "start", value: whole(&s.start, 0, maxServers), help: "at the start; without it all that `on` names"},
		{key: "least", value: whole(&s.least, 0, maxServers), help: "actions and controllers leave at least so many; without it one"},
		{key: "most", value: whole(&s.most, 1, maxServers), help: "they start no more than these; without it as many as `on` names"},
	}
	inner := object("replicas", fields)
	number := whole(&s.start, 0, maxServers)
	sh := inner.shape
	sh.name, sh.or = "whole number, or mapping", number.schema()
	return value{sh, func(r *reader, n *node) {
		if n.src != nil {
			s.at = n
		}
		if n.kind == scalarNode {
			number.read(r, n)
			return
		}
		inner.read(r, n)
	}}
}

// replicas says how many of a service's places hold it, once all of them are known.
func (c *compiler) replicas(s *service.Config, raw *rawReplicas) {
	if raw.at == nil || len(s.On) == 0 {
		return
	}
	n := len(s.On)
	s.Candidates = s.On
	s.Start, s.Most = n, n
	if raw.most.written() {
		s.Most = raw.most.v
		s.Start = min(s.Start, s.Most)
	}
	if raw.start.written() {
		s.Start = raw.start.v
	}
	s.Least = min(1, s.Start)
	if raw.least.written() {
		s.Least = raw.least.v
		if !raw.start.written() {
			s.Start = max(s.Start, s.Least)
		}
	}
	for _, x := range []struct {
		at   *node
		n    int
		what string
	}{{raw.start.at, s.Start, "start"}, {raw.most.at, s.Most, "most"}, {raw.least.at, s.Least, "least"}} {
		if x.at != nil && x.n > n {
			c.at(x.at, fmt.Sprintf("service %s has %d servers, fewer than %d", s.Name, n, x.n), "name more servers in `on`")
			return
		}
	}
	switch {
	case s.Start > s.Most:
		c.at(raw.at, fmt.Sprintf("service %s starts with %d replicas, and has at most %d", s.Name, s.Start, s.Most), "")
		return
	case s.Start < s.Least:
		c.at(raw.at, fmt.Sprintf("service %s starts with %d replicas, and has at least %d", s.Name, s.Start, s.Least), "")
		return
	}
	s.On = s.Candidates[:s.Start:s.Start]
}
