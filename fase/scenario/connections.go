package scenario

import (
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/eve-emulation/eve/fase/user"
)

// What one process of clients carries. A group that needs more is shared among several.
const (
	// processConnections is how many connections a process keeps at most: systems commonly allow 20 000 descriptors and
	// 28 000 ports.
	processConnections = 19_000
	// processRate is how many requests per second one process is planned for: four fifths of what its loop does at 20 µs of CPU
	// for each. docs/measurement.md has the measurement.
	processRate = 40_000
	// maxProcesses is how many processes a group may be shared among.
	maxProcesses = 64
)

// connections reads how a group uses its connections, and how many processes it takes.
func (c *compiler) connections(g *user.Config, n named[rawClient]) {
	v := &n.v
	g.Connections = user.Connections{Own: v.connections.v == "own", PerRequests: v.perRequests.v, Idle: v.idle.v, ConnectTimeout: v.connectIn.v, MaxBody: int64(v.maxBody.v), Precise: v.precision.v == "spin"}
	c.sources(g, v.sources)
	g.Parts = v.processes.v
	if g.Users > 0 && g.Parts > g.Users {
		c.at(v.processes.at, fmt.Sprintf("%d users are not enough for %d processes", g.Users, g.Parts), "write fewer processes")
		return
	}
	most := g.Connections.Idle
	if g.Connections.Own {
		most += int(peak(float64(g.Users), &v.usersLive))
	}
	need := max((most+processConnections-1)/processConnections, 1)
	if !v.processes.written() {
		g.Parts = min(max(need, int(math.Ceil(planned(g, v)/processRate)), 1), maxProcesses)
		if g.Users > 0 {
			g.Parts = min(g.Parts, g.Users)
		}
		c.partNames(g, n)
	}
	if need <= g.Parts {
		return
	}
	at := v.idle.at
	if g.Connections.Own && g.Users > g.Connections.Idle {
		at = v.connections.at
	}
	fix := fmt.Sprintf("write processes: %d", need)
	if need > maxProcesses {
		fix = fmt.Sprintf("a group has at most %d processes: divide it", maxProcesses)
	}
	c.at(at, fmt.Sprintf("%d connections are more than %d processes keep", most, g.Parts), fix)
}

// peak is the most that a setting comes to.
func peak(init float64, l *rawLive) float64 {
	if l.expr.written() && l.most.written() {
		return max(init, l.most.v)
	}
	return init
}

// planned is how many requests per second a group is planned for at its peak. A closed group whose users do not think asks as
// fast as it is answered: it is no plan.
func planned(g *user.Config, v *rawClient) float64 {
	if g.Users > 0 {
		if g.Think == nil || g.Think.Mean <= 0 {
			return 0
		}
		return peak(float64(g.Users), &v.usersLive) / g.Think.Mean.Seconds()
	}
	most := 0.0
	for _, p := range g.Rate {
		most = max(most, p.Rate*g.Swing())
	}
	return peak(most, &v.rateLive)
}

// partNames checks the names of the processes that a group is shared among by itself.
func (c *compiler) partNames(g *user.Config, n named[rawClient]) {
	for _, name := range g.Processes()[1:] {
		if c.taken(name) {
			c.at(n.at, fmt.Sprintf("a process of %s would be called %s, which is taken", g.Name, name), "choose another name")
		}
	}
}

// taken reports whether a participant has a name.
func (c *compiler) taken(name string) bool {
	r := &c.raw
	return slices.ContainsFunc(r.servers, func(n named[rawServer]) bool { return n.name == name }) ||
		slices.ContainsFunc(r.services, func(n named[rawService]) bool { return n.name == name }) ||
		slices.ContainsFunc(r.targets, func(n named[rawTarget]) bool { return n.name == name }) ||
		slices.ContainsFunc(r.clients, func(n named[rawClient]) bool { return n.name == name }) ||
		slices.ContainsFunc(r.modules, func(n named[rawModule]) bool { return n.name == name })
}

// sources reads local addresses.
func (c *compiler) sources(g *user.Config, list []spot[string]) {
	for _, s := range list {
		a, err := netip.ParseAddr(s.v)
		switch {
		case err != nil || a.Zone() != "":
			c.at(s.at, fmt.Sprintf("%q is not an address", clip(s.v)), "write an address of this host, such as 127.0.0.2")
		case a.IsUnspecified() || a.IsMulticast():
			c.at(s.at, fmt.Sprintf("%s is no address that a connection comes from", a), "write an address of this host, such as 127.0.0.2")
		case slices.Contains(g.Connections.Sources, a):
			c.at(s.at, fmt.Sprintf("%s stands twice", a), "")
		default:
			g.Connections.Sources = append(g.Connections.Sources, a)
		}
	}
}
