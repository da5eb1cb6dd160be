// Package machine holds the resources of an emulated server as queueing cores: CPU, disk, memory, link and locks.
//
// A [Station] is handed jobs with their demand and tells when the next one departs: [Queue] and [Sharing] under `run: hold`,
// where a departure is computed from the absolute instants of arrivals, so that lateness of whoever steps it does not feed
// back. Under `run: burn` the CPU and the disk are a [Burner], which only grants, and a departure is an input: [Burner.Met].
// A [Pool] is held instead: memory, a lock.
package machine

import "time"

// Bytes is an amount of data.
type Bytes int64

// Bits per second, as links are sold.
type BitRate int64

// Run says how demands are met.
type Run uint8

// The ways to meet a demand.
const (
	Hold Run = iota // in real time, without consuming it
	Burn            // really consumed
)

// CPUConfig describes the processors. The zero value is one core of speed 1, first come first served.
type CPUConfig struct {
	Cores      int     // default 1
	Speed      float64 // demands are divided by it; default 1
	Discipline Discipline
	// Preempt lets a job that stands before another one in the line take its processor at once; what was interrupted goes on
	// later where it stopped (preempt-resume). Of the disciplines by rank: sjf goes by what is left then (SRPT).
	Preempt bool
	// Quota, where above 0, is how many processors' worth of time the process may have under run: burn, as a container's limit;
	// otherwise what it leaves of the processors is taken off their speed.
	Quota float64
}

// DiskConfig describes the disk, which serves one request at a time. The zero value is a disk of 500 MB/s without seek.
type DiskConfig struct {
	Seek time.Duration // added to each access
	Rate Bytes         // per second; default 500 MB/s
	Sync time.Duration // added to each synchronous write
	// Queue bounds how many accesses wait beside the one in service; what comes beyond fails at once. 0: no bound.
	Queue int

	// Under run: burn.
	Depth  int  // accesses at once, of which each needs a thread that waits for it; default 1
	Direct bool // files are read past the kernel's page cache, where the file system takes it
}

// LinkConfig describes a server's network link. Its rate is spent by what the server sends; its delay is added once to
// each message in either direction. The zero value is infinitely fast, and loses nothing.
type LinkConfig struct {
	Delay  time.Duration
	Rate   BitRate       // 0: unlimited
	Jitter time.Duration // a message's delay is drawn evenly from Delay-Jitter to Delay+Jitter; messages of a direction stay in order
	Loss   float64       // the probability that a message is lost, and sent again after RTO
	RTO    time.Duration // retransmission time-out: of the first loss of a message, doubled with each further one; default 200 ms
}

// Full says what happens to a request for which there is not enough memory.
type Full uint8

// The ways to be out of memory.
const (
	Wait Full = iota // it waits until there is enough
	Fail             // it fails
	Kill             // the request that holds the most, or would, is killed: its caller sees its connection reset
	numFull
)

var fullNames = [numFull]string{"queue", "fail", "kill"}

// Fulls lists the names of the ways to be out of memory, as they stand in scenarios; the default first.
func Fulls() []string { return append([]string(nil), fullNames[:]...) }

// ParseFull finds a way to be out of memory by its name.
func ParseFull(name string) (f Full, ok bool) {
	for i, n := range fullNames {
		if n == name {
			return Full(i), true
		}
	}
	return Wait, false
}

// Config describes one machine. The zero value works.
type Config struct {
	Run    Run
	CPU    CPUConfig
	Disk   DiskConfig
	Memory Bytes // 0: unlimited
	Full   Full
	Link   LinkConfig
	// Loop says that under Hold the processors are threads of an event loop that wait for the disk as well: each does one thing at
	// a time, in the order in which it came. The discipline is first come first served then.
	Loop bool
}
