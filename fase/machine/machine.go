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
}

// DiskConfig describes the disk, which serves one request at a time. The zero value is a disk of 500 MB/s without seek.
type DiskConfig struct {
	Seek time.Duration // added to each access
	Rate Bytes         // per second; default 500 MB/s
	Sync time.Duration // added to each synchronous write

	// Under run: burn.
	Depth  int  // accesses at once, of which each needs a thread that waits for it; default 1
	Direct bool // files are read past the kernel's page cache, where the file system takes it
}

// LinkConfig describes a server's network link. Its rate is spent by what the server sends; its delay is added once to
// each message in either direction. The zero value is infinitely fast.
type LinkConfig struct {
	Delay time.Duration
	Rate  BitRate // 0: unlimited
}

// Config describes one machine. The zero value works.
type Config struct {
	Run    Run
	CPU    CPUConfig
	Disk   DiskConfig
	Memory Bytes // 0: unlimited
	Link   LinkConfig
}
