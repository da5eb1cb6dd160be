package app

import (
	"fmt"
	"syscall"

	"github.com/eve-emulation/eve/fase/load"
)

const (
	// mostOpen is how many connections a process keeps, as in scenarios: systems commonly allow 20 000 descriptors and 28 000
	// ports.
	mostOpen = 19_000
	// spareDescriptors are for all else: files, and what waits for sockets.
	spareDescriptors = 200
)

// openable is how many connections this process may have open, and how many descriptors.
func openable() (connections, descriptors int) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return mostOpen, mostOpen
	}
	descriptors = int(min(r.Cur, 1<<30))
	return max(min(mostOpen, descriptors-spareDescriptors), 1), descriptors
}

// bound sets how many connections may be open to a server, and refuses what would run out of descriptors. Without
// --connections all servers together have as many as the process can: requests beyond wait for one, instead of failing.
func (g *loadGroup) bound() error {
	f, servers := g.flags, len(g.addresses)
	most, descriptors := openable()
	g.connections = f.connections
	users := float64(g.cfg.Users)
	for _, s := range g.steps {
		users = max(users, s.users)
	}
	switch {
	case f.connections > 0 && f.connections > (descriptors-spareDescriptors)/servers:
		return fmt.Errorf("--connections %d to each of %d servers: more than a process with %d descriptors (ulimit -n) keeps; want at most %d, "+
			"or a higher ulimit, or a scenario, which shares a group among processes", f.connections, servers, descriptors, max((descriptors-spareDescriptors)/servers, 1))
	case f.connections == 0 && users > float64(most) && f.think == 0:
		return fmt.Errorf("%.0f users who do not think have a request under way each, all the time, and this process keeps %d connections (ulimit -n: %d); "+
			"want --think D, or --connections N so that the others wait, or a scenario, which shares a group among processes", users, most, descriptors)
	case f.connections == 0:
		g.connections = max(most/servers, f.threads)
	}
	return nil
}

// queued tells of requests that waited for a connection because no more may be open; empty when none did.
func (g *loadGroup) queued(all []load.Stats) string {
	n := uint64(0)
	for _, s := range all {
		n += s.Queued
	}
	switch {
	case n == 0:
		return ""
	case g.flags.connections > 0:
		return fmt.Sprintf("%d requests waited because all of %d connections were in use, which is part of their response time", n, g.connections)
	}
	return fmt.Sprintf("%d requests waited because all of %d connections that this process may open were in use, which is part of their response time: "+
		"the server is slower than it is asked, or --patience would be theirs", n, g.connections)
}
