package scenario

import (
	"fmt"

	"github.com/eve-emulation/eve/fase/user"
)

// processConnections is how many connections a process of clients keeps at most: systems commonly allow 20 000 descriptors
// and 28 000 ports.
const processConnections = 19_000

// connections reads how a group uses its connections, and how many processes it takes.
func (c *compiler) connections(g *user.Config, n named[rawClient]) {
	v := &n.v
	g.Connections = user.Connections{Own: v.connections.v == "own", PerRequests: v.perRequests.v, Idle: v.idle.v}
	g.Parts = v.processes.v
	if g.Users > 0 && g.Parts > g.Users {
		c.at(v.processes.at, fmt.Sprintf("%d users are not enough for %d processes", g.Users, g.Parts), "write fewer processes")
		return
	}
	most := g.Connections.Idle
	if g.Connections.Own {
		most += g.Users
	}
	need := (most + processConnections - 1) / processConnections
	if need <= max(g.Parts, 1) {
		return
	}
	at := v.idle.at
	if g.Connections.Own && g.Users > g.Connections.Idle {
		at = v.connections.at
	}
	c.at(at, fmt.Sprintf("%d connections are more than %d processes keep", most, max(g.Parts, 1)), fmt.Sprintf("write processes: %d", need))
}
