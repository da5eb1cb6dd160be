// Package service turns machines into servers: it maps services to servers, picks among replicas, and executes the
// blocks of resource demand requests on a machine. It knows no transport.
//
// The nouns: a [Topology] numbers servers and services; a [Mapping] says where one service is, and since which epoch; a
// [Request] is what a caller sends and a server executes; an [Answer] is what comes back. A [Host] is the core of one
// server; a [Caller] is the part of a core that calls services, which hosts and user groups share.
package service

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/rdr"
)

// Topology numbers the servers and the services of a scenario. It is immutable and shared.
type Topology struct {
	Servers  []string
	Services []string
	Views    []View // that balancers read

	servers, services atomic.Pointer[index] // made on first use, where there are many
}

// Server returns the index of a server, or -1.
func (t *Topology) Server(name string) int { return find(t.Servers, name, &t.servers) }

// Service returns the index of a service, or -1.
func (t *Topology) Service(name string) int { return find(t.Services, name, &t.services) }

// index finds a name among many.
type index struct {
	places map[string]int
	of     int // how many names there were
}

// few names are looked through.
const few = 8

func find(names []string, name string, by *atomic.Pointer[index]) int {
	if len(names) > few {
		return findIndexed(names, name, by)
	}
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}

func findIndexed(names []string, name string, by *atomic.Pointer[index]) int {
	x := by.Load()
	if x == nil || x.of != len(names) { // several goroutines may make it at once, with equal results
		x = &index{make(map[string]int, len(names)), len(names)}
		for i, n := range slices.Backward(names) {
			x.places[n] = i
		}
		by.Store(x)
	}
	if i, ok := x.places[name]; ok {
		return i
	}
	return -1
}

// Config describes one service.
type Config struct {
	Name string
	On   []int // servers that hold it at the start
	// Candidates are the servers that may hold it, in the order in which they are taken; On are the first Start of them. Nil: On.
	// Start, Least and Most are how many hold it at the start, at least and at most, as far as actions and controllers go; all are 0
	// without Candidates.
	Candidates         []int
	Start, Least, Most int
	// FailEmpty says that callers do not wait while no server serves it: their calls fail at once, as [Unavailable].
	FailEmpty bool
	// StopToMove says that a move stops it until its copy has come, whether the action says so or not.
	StopToMove bool

	Size    machine.Bytes // what a move or a replication copies
	Balance Balance
	View    int     // Least, Power: 1 + the index of the view that tells loads; 0: the caller's own outstanding calls
	Choices int     // Power: how many replicas are drawn, at most MaxChoices
	Else    Balance // Local
	Score   *Score  // Custom
	Weights []int   // by server, of replicas that are placed there; what is missing or 0 counts as 1
	Pool    PoolConfig
	Health  HealthConfig // when callers leave a replica out
	// Overhead is what transport and engine take beside the demands of its requests; see HostConfig.Overhead.
	Overhead Overhead
}

// Overhead is what a real server takes for each call beside its demands: in virtual time there is nothing that would take it.
type Overhead struct {
	Delay time.Duration // from sending the request to the begin of the residence; nobody works meanwhile
	CPU   time.Duration // of a processor of the server, with the first CPU demand of each execution
}

// PoolConfig describes the workers that a service has at each of its servers. A request holds one from its start to its end,
// while it waits for what it calls too. The zero value has no bound.
type PoolConfig struct {
	Threads int // 0: as many as there are requests
	Queue   int // how many requests wait for one; those beyond are answered 503. 0: no bound
}

// A Request is what a caller sends to a server.
type Request struct {
	Service  int        // index in the topology; -1 for a plain request without one
	Block    *rdr.Block // nil for a plain GET
	Method   string     // plain HTTP: method and path; empty for an RDR
	Path     string
	HTTP     *rdr.HTTP    // plain HTTP: header fields and the beginning of the body; nil for none
	Key      rdr.Key      // every draw of the execution follows from it
	Epoch    uint32       // of the caller's mapping of the service
	Send     int64        // bytes of body beyond the block, or beyond HTTP.Body
	Priority int          // a larger one is more urgent
	Deadline dsv.Instant  // 0: none
	Object   files.Object // the file that the block gets; 0: one that the key draws
	Local    bool         // caller and server are the same server: no link is crossed
	Client   uint64       // who asks, for policies that are fair to clients; 0: nobody in particular
	// Forwarded says that another server of the service has handed it on. It is not handed on again.
	Forwarded bool
}

// Cause says what became of a call.
type Cause uint8

// The causes. Their numbers stand in the records of runs: only add.
const (
	OK             Cause = iota
	Refused              // nobody listens: connection refused
	Reset                // connection reset before the answer's end
	Closed               // connection closed before the first byte of the answer
	Malformed            // not HTTP
	Status               // an answer with status 4xx or 5xx
	TimedOut             // a time-out in the request expired
	Abandoned            // the user's patience ended
	NoRoute              // the server's address is not known, the network has no route to it, or there is no such service
	Other                // anything else
	ConnectTimeout       // no connection within the time allowed for one
	TLS                  // no TLS: a certificate that does not verify, a peer that speaks something else, a handshake that stalls
	Exhausted            // the caller has no port, descriptor or memory left for a connection
	Truncated            // connection closed in the middle of the answer
	Oversized            // the answer passes a limit of the caller
	Limited              // the server refused: its limit on requests of the service was reached
	Unavailable          // no server serves the service, and its callers do not wait
	Killed               // the server gave the execution up: it had no memory left
	numCauses
)

var causeNames = [numCauses]string{
	"ok", "refused", "reset", "closed", "malformed", "status", "timeout", "abandoned", "no_route", "other",
	"connect_timeout", "tls", "exhausted", "truncated", "oversized",
	"limited", "unavailable", "killed",
}

// String returns the cause as it stands in names and reports.
func (c Cause) String() string {
	if c < numCauses {
		return causeNames[c]
	}
	return "other"
}

// ParseCause returns the cause of a name, or OK for a name that is none.
func ParseCause(name string) Cause {
	for c, n := range causeNames {
		if n == name {
			return Cause(c)
		}
	}
	return OK
}

// Causes lists every cause but OK.
func Causes() []Cause {
	cs := make([]Cause, 0, numCauses-1)
	for c := OK + 1; c < numCauses; c++ {
		cs = append(cs, c)
	}
	return cs
}

// An Answer is what comes back to a caller.
type Answer struct {
	Status int    // HTTP status; 0 when there was none
	Cause  Cause  // OK when an answer came whatever its status
	Bytes  int64  // of the body
	Epoch  uint32 // with status 421: the server's epoch of the service
	// First is when the first byte of the answer was seen, 0 where there was none or nobody looked.
	First dsv.Instant
}

// HostConfig describes one server.
type HostConfig struct {
	Node     int // index in the topology
	Machine  machine.Config
	Topology *Topology
	Services []Config // all of the scenario, by index
	Accrue   time.Duration
	// CancelOnClose withdraws the work of callers who closed their connection; by default the server finishes it.
	CancelOnClose bool
	Standby       bool          // carries nothing until an action brings a service
	Files         []*files.Set  // that blocks may name; the number of a set is its index
	Cache         machine.Bytes // of files; 0: every file is read from the disk
	Admit         admit.Config
	// Workers bounds the executions under way: each holds a worker from its start to its end, its calls included. 0: no bound.
	Workers int
	Locks   []string // those that are measured; others work too
	// Overhead says that those of services apply: in virtual time, where calls from other servers and from clients cross nothing
	// real.
	Overhead bool
	// Named says that callers tell who asks, because some server of the scenario is fair to clients.
	Named       bool
	RecordShare float64 // share of requests recorded one by one, chosen by key; 0 means all

	Faults  []Fault       // of this server: its crashes and slow-downs
	Boot    time.Duration // from a repair, or from the first mapping that names a server on standby, until it serves
	Network *Network      // what its messages cross; nil: nothing holds them up
}

// Vars finds the manipulated variable of a name. It may return nil: a nil variable swallows what is written.
type Vars = func(dsv.Name) *dmm.Var
