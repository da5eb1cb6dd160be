// Package lqn solves layered queueing networks: tasks run on hosts, hold one of their threads for a request, and keep it while they wait for
// what they call. So it tells not only which host is busiest, but also where threads run out while hosts are idle: a software bottleneck. It
// is pure: no clock, no draws.
//
// The nouns are those of the field (Franks, Al-Omari, Woodside, Das and Derisavi, "Enhanced Modeling and Solution of Layered Queueing
// Networks", IEEE Transactions on Software Engineering 35(2), 2009): a [Model] has hosts, tasks whose entries demand time of their host
// and call other entries, and sources of requests. A call is synchronous, asynchronous or forwarded; an entry may go on after its
// reply in a second phase.
//
// A model without limits of threads is a queueing network and solved as one by fase/qn, exactly where that is exact. Else layers are
// solved one by one (Rolia and Sevcik, "The Method of Layers", IEEE Transactions on Software Engineering 21(8), 1995), until what
// each sees of the others stands. A task with threads is a station whose speed depends on how many of them are busy: as fast as its
// threads, all alone, get through what is below them (flow equivalence: Chandy, Herzog and Woo, "Parametric Analysis of Queuing
// Networks", IBM Journal of Research and Development 19(1), 1975), beside the other load of the stations that they share.
//
// How far off it is, beside simulations of 500 000 requests: nothing where the model is a product form, one pool in front of one host or
// delay with it; with pools over pools throughputs 1 % and responses 4 %; forks 4 %, with a pool 6; second phases of closed sources 9 %;
// tasks with threads that share one host with those who call them 8 %, and 15 % of the throughput where a single user keeps that host
// busy; priorities and bounded queues 1 %. What closed sources call asynchronously is taken to come at random, and figures are rough where
// that fills a host; so they are where users starve those of a lower priority.
package lqn

import (
	"errors"

	"github.com/eve-emulation/eve/fase/qn"
)

// ErrUnstable reports open sources that offer a host or a task more than it can carry: queues grow without bound. It is that of fase/qn.
var ErrUnstable = qn.ErrUnstable

// ErrCircle reports calls that come back to the entry that made them, or to a task with a limit of threads that waits for them: a
// request could wait for itself.
var ErrCircle = errors.New("calls go in a circle")

// A Model is what runs where and who calls whom. Names of hosts, tasks and sources are unique, and so are those of all entries.
type Model struct {
	Hosts   []Host
	Tasks   []Task
	Sources []Source
}

// A Host is a processor, a disk, a link: what requests use while they are served.
type Host struct {
	Name       string
	Servers    int // with one line; 1 if 0
	Discipline Discipline
	Delay      bool // nobody ever waits: as many servers as requests
}

// A Discipline is the order in which a host serves.
type Discipline int

// The disciplines of hosts. Sharing is insensitive to the laws of demands, the others are not: see Entry.SCV.
const (
	Sharing  Discipline = iota // all that are present, evenly
	FIFO                       // first come, first served
	Priority                   // FIFO in each Task.Priority, the least number first; a demand that has begun ends first
)

func (d Discipline) String() string { return [...]string{"sharing", "fifo", "priority"}[d] }

// A Task is software that runs on a host: a service, a pool of threads or of connections, a lock, a stage.
type Task struct {
	Name     string
	Host     string // where its entries' demands are served; empty where they demand none
	Threads  int    // how many requests it has in work at once, first come first served; 0: unlimited
	Queue    int    // how many may wait for a thread, where it has a limit of them; the next ones are turned away. 0: unlimited, -1: none
	Priority int    // at a host of that discipline
	Entries  []Entry
}

func (t *Task) limited() bool { return t.Threads > 0 }

// An Entry is one kind of request that a task serves.
type Entry struct {
	Name   string
	Demand float64 // mean service by the host until the reply, s
	SCV    float64 // squared coefficient of variation of Demand, Delay and Phase2 each: 0 constant, 1 exponential; what hosts in order and limits of threads make of it is approximated
	Delay  float64 // mean time until the reply in which it uses nothing but its thread, s
	Phase2 float64 // mean service by the host after the reply, while the thread is still held, s
	Calls  []Call
}

// A Call is what an entry, or a source, asks of another entry.
type Call struct {
	Entry  string
	Mean   float64 // calls for one request; 1 if 0
	Kind   Kind
	Fork   int  // synchronous calls of one entry with the same number above 0 are made together, each in a branch of its own, and the caller waits for all
	Phase2 bool // made after the reply
}

// mean is how many calls there are for one request.
func (c *Call) mean() float64 {
	if c.Mean == 0 {
		return 1
	}
	return c.Mean
}

// A Kind of call says whether the caller waits.
type Kind int

// The kinds of calls.
const (
	Sync    Kind = iota // the caller holds its thread until the reply
	Async               // nobody waits
	Forward             // the caller is done, and the callee replies in its place
)

func (k Kind) String() string { return [...]string{"sync", "async", "forward"}[k] }

// A Source is where requests come from: open, with a rate of arrivals, or closed, with users who ask, wait, think and ask again.
type Source struct {
	Name  string
	Rate  float64 // open: Poisson arrivals per second
	Users int     // closed: how many
	Think float64 // closed: mean between an answer and the next request, s
	Calls []Call  // of one request, one after the other
}

// A Solution is how a model behaves in the long run. Its lists are in the model's order.
type Solution struct {
	Sources []SourceSolution
	Tasks   []TaskSolution
	Hosts   []HostSolution
	// Bottleneck is what limits the throughput as the sources are mixed.
	Bottleneck Bottleneck
	// Exact says that nothing was approximated: the figures are those of a network with a product form.
	Exact bool
	// Method names the algorithm, and Approximated what it does not treat exactly, in words; empty where Exact.
	Method       string
	Approximated []string
	// Iterations is how often the layers were solved, and Residual the largest relative change of a throughput or a time in the last of them.
	Iterations int
	Residual   float64
}

// A SourceSolution is what one source sees.
type SourceSolution struct {
	Name       string
	Throughput float64   // requests that end, per second, with those that were turned away
	Response   float64   // mean of a request without thinking, s
	Turned     float64   // share of requests of which a call found no place; 0 without limits of queues
	Parts      []float64 // by host: mean service by it of one request, all calls below together, s
}

// A TaskSolution is what happens in one task.
type TaskSolution struct {
	Name        string
	Throughput  float64 // requests that it served, per second
	Busy        float64 // mean threads that are held
	Utilisation float64 // share of its threads that is held; 0 without a limit
	Capacity    float64 // requests per second with all threads busy, beside the other load below; +Inf without a limit
	Wait        float64 // mean wait for a thread, s
	Queue       float64 // mean number that wait for a thread
	Turned      float64 // share of its calls that found no place
	Software    bool    // it is a software bottleneck: it limits the throughput while what is below it does not
	Entries     []EntrySolution
}

// An EntrySolution is what happens to the requests of one entry.
type EntrySolution struct {
	Name       string
	Throughput float64 // per second
	Service    float64 // mean from getting a thread to the reply, with all waits below, s
	Phase2     float64 // mean from the reply to the end, s
	Response   float64 // mean from the call to the reply: wait for a thread and Service, s
}

// A HostSolution is what happens at one host.
type HostSolution struct {
	Name        string
	Utilisation float64 // of each server; of a Delay, the mean number present
	Queue       float64 // mean number present, in service or waiting
	Stretch     float64 // mean time there in demands; 1 where nobody waits
}

// A Bottleneck is the host or task that comes first to its limit as all throughputs grow together.
type Bottleneck struct {
	Name     string  // empty where nothing limits
	Software bool    // a task's threads, not a host
	Load     float64 // share of its capacity that is used
	Scale    float64 // the throughput may grow so many times until it is at its limit: 1 ÷ Load
	Next     string  // what comes next
	NextLoad float64
}
