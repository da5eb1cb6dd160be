package server

import (
	"cmp"
	"runtime"

	"github.com/eve-emulation/eve/fase/machine"
)

// mostProcessors bounds how many threads of the process may be ready at once: the collector takes a fourth of them while it works.
const mostProcessors = 256

// Processors returns how many threads a process wants to run at once (GOMAXPROCS) in which this server is one, 0 if it
// does not mind. Under `run: burn` with `discipline: os` it is the kernel that is to share the processors among the server's threads;
// with fewer, Go's own scheduler would hand them turns of 10 ms. The goroutines of the engine threads are Go's to share, as is their nature.
func (c *Config) Processors() int {
	m := c.Host.Machine
	if m.Run != machine.Burn || m.CPU.Discipline != machine.OS {
		return 0
	}
	n := c.Engine.Threads
	switch c.Engine.Name {
	case "threads-1to1":
		return mostProcessors
	case "pool":
		n = cmp.Or(n, 64)
	case "seda":
		n = cmp.Or(n, 20)
	case "actors": // one for each of Go's processors, unless told
	default:
		return 0
	}
	if n == 0 {
		return 0
	}
	return min(n+runtime.NumCPU(), mostProcessors) // beside those that do not burn
}

// Schedule raises GOMAXPROCS to what the servers want of their process, if that is more. It stops the process's goroutines for a
// moment, and is to be called before the servers run.
func Schedule(servers ...*Server) {
	n := 0
	for _, s := range servers {
		n += s.cfg.Processors()
	}
	if n = min(n, mostProcessors); n > runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(n)
	}
}
