package scenario

import (
	"fmt"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
)

// via checks what stands before a server or a target, and returns its name.
func (c *compiler) via(s spot[string]) string {
	if !s.written() {
		return ""
	}
	var known []string
	for _, m := range c.raw.modules {
		known = append(known, m.name)
		if m.name != s.v {
			continue
		}
		if m.v.count.v > 1 {
			c.at(s.at, fmt.Sprintf("there are %d of the module %s", m.v.count.v, s.v), "one stands before a server: leave out its count")
		}
		return s.v
	}
	c.at(s.at, fmt.Sprintf("there is no module %q", clip(s.v)), didYouMean(s.v, known))
	return ""
}

// Via returns the module through which a server or target is reached; empty where it is reached directly.
func (p *Plan) Via(name string) string {
	for _, s := range p.Servers {
		if s.Name == name {
			return s.Via
		}
	}
	for _, t := range p.Targets {
		if t.Name == name {
			return t.Via
		}
	}
	return ""
}

// Behind lists the servers and targets that are reached through a module.
func (p *Plan) Behind(module string) []string {
	var names []string
	for _, name := range p.Topology.Servers {
		if p.Via(name) == module {
			names = append(names, name)
		}
	}
	return names
}

// Listens is the variable in which the target tells where it listens.
func (t Target) Listens() dsv.Name {
	if t.Via != "" {
		return adapt.DirectName(t.Name)
	}
	return adapt.AddressName(t.Name)
}

// Listens is the variable in which a server or target tells where it listens: that by which it is reached, unless a module
// stands before it, which then tells that one.
func (p *Plan) Listens(name string) dsv.Name {
	if p.Via(name) != "" {
		return adapt.DirectName(name)
	}
	return adapt.AddressName(name)
}
