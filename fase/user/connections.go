package user

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/eve-emulation/eve/rdr"
)

// Connections says how a group uses its connections. It is for those who carry the calls; a group makes no difference of it
// but to tell whose they are.
type Connections struct {
	Own         bool // each user, or session of an open group, keeps connections of its own
	PerRequests int  // so many requests go over one, then it is closed; 0: no limit
	Idle        int  // so many more are opened and left idle
	// Sources are the local addresses of the connections of the whole group; none: whoever carries them chooses.
	Sources []netip.Addr
	// ConnectTimeout is how long a connection may take until it stands, and MaxBody how many bytes an answer may have; 0:
	// whoever carries the calls has defaults.
	ConnectTimeout time.Duration
	MaxBody        int64
	// Precise has whoever carries the calls poll, instead of sleep, just before each is due.
	Precise bool
}

// Processes names the processes that share the group, by part: its own name, then NAME_2, NAME_3 and so on.
func (c *Config) Processes() []string {
	names := []string{c.Name}
	for part := 1; part < c.Parts; part++ {
		names = append(names, c.Name+"_"+strconv.Itoa(part+1))
	}
	return names
}

// Idle spreads the connections that this part leaves idle over the servers that hold, at the start, the services which
// the group's first request calls: how many for each server, by index.
func (c *Config) Idle() []int {
	n := c.Connections.Idle / int(c.parts())
	if c.Part < c.Connections.Idle%int(c.parts()) {
		n++
	}
	if n == 0 {
		return nil
	}
	on := c.firstCalled()
	if len(on) == 0 {
		return nil
	}
	idle := make([]int, len(c.Topology.Servers))
	for i := range n {
		// The parts begin at different servers.
		idle[on[(i+c.Part)%len(on)]]++
	}
	return idle
}

// firstCalled lists the servers of the services that the first request calls, each once, in the order of the calls.
func (c *Config) firstCalled() []int {
	var on []int
	seen := map[int]bool{}
	request, key := c.Request, c.Key(0, 0)
	if c.Sessions != nil {
		request = c.Sessions.Pages[c.Sessions.Chain.Steps[c.Sessions.Chain.First(key.Mix(firstNode).Uniform())].Page].Request
	}
	request.Draw(key, "", func(d *rdr.Demand) {
		if d.Op != rdr.OpCall && d.Op != rdr.OpHTTP {
			return
		}
		svc := c.Topology.Service(d.Name)
		if svc < 0 {
			return
		}
		for _, node := range c.Services[svc].On {
			if !seen[node] {
				seen[node] = true
				on = append(on, node)
			}
		}
	})
	return on
}
