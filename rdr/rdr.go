// Package rdr is the Resource Demand Request language.
//
// A request to an emulated service carries its own resource demand, so that one
// generic server can stand for any service. The nouns:
//
//   - A [Block] is a sequence of statements that runs in one place: at a server
//     when a call carries it, at a client when it is a request. It is immutable
//     once parsed, decoded or linked, and may be used from any goroutine.
//   - A [File] is a list of named blocks, `request NAME { … }`.
//   - A [Key] names a random draw. Every amount that a block draws is a function
//     of the key it runs with, and of nothing else.
//   - A [Task] executes one block with one key. It yields the next [Demand] and
//     is resumed when that is met; it knows neither time nor transport.
//   - A [Mean] is the exact mean demand of a block, per service and resource.
//
// A block is written as text, which people read, or in the compact encoding,
// which programs send:
//
//	block, err := rdr.ParseBlock("body", []byte("cpu 5ms reply 10KiB"), rdr.Limits{})
//	…
//	var task rdr.Task
//	var d rdr.Demand
//	task.Start(block, key, "full")
//	for task.Next(&d) {
//		… meet d.Op, then task.Met(d.ID, rdr.OK)
//	}
//
// docs/rdr.md is the reference of the language.
package rdr

import (
	"errors"
	"slices"
	"sort"
	"sync"
	"time"
)

// Start is a start symbol of the grammar: it says where a body runs, and so
// which statements it may use.
type Start uint8

const (
	// StartRequest is a request, which runs at a client: calls, http, control
	// flow, waiting and attributes.
	StartRequest Start = iota
	// StartBlock is a block, which runs at a server: everything but http.
	StartBlock
)

// String returns "request" or "block".
func (s Start) String() string {
	if s == StartRequest {
		return "request"
	}
	return "block"
}

// Op is what a Demand asks for.
type Op uint8

// The operations. Met answers all but the notices OpFree, OpUnlock and OpCancel,
// which need no answer.
const (
	OpCPU       Op = 1 + iota // N nanoseconds of one CPU at speed 1
	OpDiskRead                // N bytes
	OpDiskWrite               // N bytes, Sync when they must be on the medium
	OpMemory                  // N bytes to hold until the OpFree with the same ID
	OpFree                    // notice: N bytes held since OpMemory with this ID
	OpReply                   // N bytes of response; cannot be cancelled
	OpWait                    // N nanoseconds in which no resource is used
	OpCall                    // run Block at service Name with Key, sending N bytes
	OpHTTP                    // Method Path at target Name, with HTTP and N more bytes of body
	OpLock                    // enter critical section Name; held until OpUnlock
	OpUnlock                  // notice: leave the section entered by OpLock with this ID
	OpTimer                   // N nanoseconds; Met says that they have passed
	OpCancel                  // notice: withdraw the demand or timer with this ID
	OpFile                    // get the file of set Name that Key draws
)

var opNames = [...]string{
	"none", "cpu", "disk read", "disk write", "memory", "free", "reply", "wait",
	"call", "http", "lock", "unlock", "timer", "cancel", "file",
}

// String returns the name of the operation.
func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return "unknown"
}

// Notice reports whether a demand of this operation needs no Met.
func (o Op) Notice() bool { return o == OpFree || o == OpUnlock || o == OpCancel }

// Outcome is how a demand, a strand or a task ended.
type Outcome uint8

// The outcomes. All but OK are failures.
const (
	OK       Outcome = iota // it was met
	Failed                  // a `fail` statement, or a 500 from a called service
	TimedOut                // a `timeout` or a patience ended first
	Refused                 // no connection, or nobody serves the service
	Rejected                // admission or a full queue turned it away (503)
	Lost                    // the connection broke before the answer was whole
	Invalid                 // the other end did not understand (400, 413)
	Exceeded                // the task used up its budget of steps or strands
	Canceled                // Task.Cancel withdrew it
)

var outcomeNames = [...]string{
	"ok", "failed", "timed out", "refused", "rejected", "lost", "invalid", "exceeded", "canceled",
}

// String returns the outcome in words.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "unknown"
}

// Demand is one thing that a task wants done. Strings and blocks in it belong to
// the block being executed and stay valid as long as that does.
type Demand struct {
	ID       uint32        // names the demand; passed back to Met
	Op       Op            // what is wanted
	Sync     bool          // disk write … sync
	File     bool          // reply: with the file, of set Name, that the block got last; N is 0
	Node     uint32        // number of the statement in its block
	N        int64         // nanoseconds or bytes, see Op
	Name     string        // service of a call or http, name of a lock or of a file set
	Method   string        // http: the method
	Path     string        // http: the path, with its query
	HTTP     *HTTP         // http: what else it says; nil for nothing
	Block    *Block        // call: what it carries
	Key      Key           // call, http and file: mix(key, node, iteration, attempt)
	Priority int           // call and http: of the called block if it has one, else the task's
	Deadline time.Duration // call and http: likewise; 0 is none
}

// ErrLimit reports an RDR over one of its Limits: a server answers 413, where
// every other error of ParseBlock and DecodeBlock is a 400.
var ErrLimit = errors.New("over the limit")

// Limits bound what an RDR may ask for. A zero field takes its default. What is
// drawn counts with its mean, or with its median where no mean exists.
type Limits struct {
	Size   int           // bytes of text or compact form; a sample in memory counts 8; default 64 KiB, a file may have 16 times as much
	Depth  int           // nesting of braces, called blocks included; default 32
	Fanout int           // strands of one block at a time: branches of par, and forks; default 1024
	Steps  int           // statements executed, those of called blocks included; default 1000000
	Demand time.Duration // cpu and wait, with called blocks, repeats and retries; default 1 h
	Bytes  int64         // disk, memory, reply and send, likewise; default 1 TiB
}

func (l Limits) withDefaults() Limits {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&l.Size, 64<<10)
	def(&l.Depth, 32)
	def(&l.Fanout, 1024)
	def(&l.Steps, 1_000_000)
	if l.Demand <= 0 {
		l.Demand = time.Hour
	}
	if l.Bytes <= 0 {
		l.Bytes = 1 << 40
	}
	return l
}

// Position is where a text begins in a larger file, both counted from 1. The
// zero value is the beginning of the file.
type Position struct{ Line, Col int }

// Config says how text is read. The zero value works.
type Config struct {
	// Limits bound what is accepted.
	Limits Limits
	// Load returns the content of a file named by empirical("file") or by body
	// file "file". Without it both are errors, as they are on the wire.
	Load func(file string) ([]byte, error)
	// Base is the position of the text's first character, when the text is part
	// of another file, as in YAML. Every line is taken to be indented alike.
	Base Position
}

// File is what ParseFile returns: named blocks, in the order of the text.
type File struct {
	names  []string
	blocks map[string]*Block
	limits Limits
}

// Request returns the block that `request name` defines.
func (f *File) Request(name string) (*Block, bool) {
	b, ok := f.blocks[name]
	return b, ok
}

// Names returns the names of the requests, in the order of the text.
func (f *File) Names() []string { return append([]string(nil), f.names...) }

// Block is a sequence of statements that runs in one place.
type Block struct {
	name     string // of the request, or empty
	body     []node
	start    Start
	deadline *node // attributes, point into body
	priority *node
	refs     bool // has a `call S.op`, here or in a block that it calls
	linked   bool // refs are resolved
	src      *source
	at, end  int // offsets of the name and the last token in src

	once    sync.Once
	compact []byte
}

// Start tells where the block runs.
func (b *Block) Start() Start { return b.start }

// Name returns the name of the request that defined the block, or "".
func (b *Block) Name() string { return b.name }

// Deadline returns the block's deadline under key, counted from its arrival;
// false when it has none.
func (b *Block) Deadline(key Key) (time.Duration, bool) {
	if b.deadline == nil {
		return 0, false
	}
	return time.Duration(b.deadline.amt.draw(key.node(b.deadline.num, 0, 0))), true
}

// Priority returns the block's priority under key, 0 when it has none. A larger
// number is more urgent.
func (b *Block) Priority(key Key) (int, bool) {
	if b.priority == nil {
		return 0, false
	}
	return int(b.priority.amt.draw(key.node(b.priority.num, 0, 0))), true
}

// Services returns the services and targets that the block and the blocks it
// calls name, sorted.
func (b *Block) Services() []string {
	return b.gather(func(n *node) (string, bool) { return n.name, n.kind == kCall || n.kind == kHTTP })
}

// Locks returns the locks that the block and the blocks it calls enter, sorted.
func (b *Block) Locks() []string {
	return b.gather(func(n *node) (string, bool) { return n.name, n.kind == kLock })
}

// Levels returns the quality levels that its calls of a service, and those of the
// blocks it calls, have, sorted.
func (b *Block) Levels(service string) []string {
	var all []string
	add := func(called *Block) {
		walk(called.body, func(n *node) {
			for i := range n.arms {
				if n.kind == kLevel && !slices.Contains(all, n.arms[i].name) {
					all = append(all, n.arms[i].name)
				}
			}
		})
	}
	b.gather(func(n *node) (string, bool) {
		if n.kind == kCall && n.name == service && n.block != nil {
			add(n.block)
		}
		return "", false
	})
	slices.Sort(all)
	return all
}

// gather returns the names that name finds in the statements of the block and of
// the blocks that it calls, sorted.
func (b *Block) gather(name func(*node) (string, bool)) []string {
	set := map[string]bool{}
	seen := map[*Block]bool{}
	var visit func(b *Block)
	visit = func(b *Block) {
		if b == nil || seen[b] {
			return
		}
		seen[b] = true
		walk(b.body, func(n *node) {
			if s, ok := name(n); ok {
				set[s] = true
			}
			visit(n.block)
		})
	}
	visit(b)
	out := make([]string, 0, len(set))
	for s := range set {
		out = append(out, s)
	}
	sort.Strings(out)
	return out
}

// Compact returns the compact encoding of the block. It is made once and shared:
// the caller must not change it.
func (b *Block) Compact() []byte {
	b.once.Do(func() { b.compact = b.AppendCompact(nil) })
	return b.compact
}
