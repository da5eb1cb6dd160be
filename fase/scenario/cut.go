package scenario

import (
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
)

// arrivals says when rules and controllers learn of a variable that is written at an instant, past the partitions that cut them off
// from who writes it; nil where there are none. What several write arrives with the first of them.
func (p *Plan) arrivals() func(at dsv.Instant, n dsv.Name) dsv.Instant {
	if !slices.ContainsFunc(p.Faults, cutsControl) {
		return nil
	}
	writers := map[dsv.Name][]service.Party{}
	for i := range p.Measures {
		m := &p.Measures[i]
		for _, owner := range m.Owners {
			if who, ok := p.party(owner); ok {
				writers[m.Name] = append(writers[m.Name], who)
			}
		}
	}
	return func(at dsv.Instant, n dsv.Name) dsv.Instant {
		from := writers[n]
		if from == nil { // an acknowledgement of a server's
			first, _, _ := strings.Cut(string(n), ".")
			if i := p.Topology.Server(first); i >= 0 {
				return p.network.Arrives(at, service.Party(i), service.Control)
			}
			return at // a setting, which the kernel has
		}
		due := dsv.Never
		for _, who := range from {
			due = min(due, p.network.Arrives(at, who, service.Control))
		}
		return due
	}
}

// cutsControl reports a partition that somebody's messages to the kernel meet.
func cutsControl(f service.Fault) bool {
	return f.Kind == service.Partition && slices.ContainsFunc(f.Sides, func(side []service.Party) bool { return slices.Contains(side, service.Control) })
}

// party finds a server or a group of clients by its name.
func (p *Plan) party(name string) (service.Party, bool) {
	if i := p.Topology.Server(name); i >= 0 && i < len(p.Servers) {
		return service.Party(i), true
	}
	for i := range p.Clients {
		if p.Clients[i].Name == name || slices.Contains(p.Clients[i].Processes(), name) {
			return service.GroupParty(i), true
		}
	}
	return 0, false
}
