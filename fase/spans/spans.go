// Package spans turns traces of a distributed system into a scenario that behaves as the system did: OpenTelemetry's OTLP as JSON, one
// document or many after the other, and the JSON of Jaeger's interface.
//
// The nouns: a span is one piece of work of one service, and names the span that it is part of; a trace is the tree of the spans of one
// request. An operation is what a service is asked for, a name of a span at its entry. A [Model] is what was learned of all traces: the
// services, their operations, who calls whom in which order, how often, and how long each works by itself. [Model.Scenario] writes it.
//
//	m := spans.New(spans.Options{})
//	if err := m.Read(file); err != nil { … }   // once for each file
//	r, err := m.Scenario("shop")
//
// Files are read span by span. A trace is folded into the model once its spans have come, so memory is bounded by [Options.Spans] and by
// the number of operations, not by the size of the files. What a trace cannot tell, and what a scenario cannot say, is listed in Result.Notes.
//
// The formats are those of the OpenTelemetry protocol (OTLP 1.x, JSON Protobuf encoding: ids in hexadecimal) and of Jaeger's HTTP API.
package spans

import (
	"errors"
	"fmt"
	"time"
)

// Options say how traces are read. The zero value has the defaults.
type Options struct {
	// Skew is how far the clocks of two hosts may be apart. Calls whose times were taken by different hosts count as overlapping only if
	// they do so for longer, or for more than half of the shorter one. 0 is a millisecond.
	Skew time.Duration
	// Spans is how many spans of unfinished traces are kept; beyond it those whose last span came first are folded. 0 is 500 000.
	Spans int
}

func (o Options) withDefaults() Options {
	if o.Skew <= 0 {
		o.Skew = time.Millisecond
	}
	if o.Spans <= 0 {
		o.Spans = 500_000
	}
	return o
}

// A Result is a scenario made of traces.
type Result struct {
	Text       []byte   // the scenario file
	Notes      []string // what was assumed, and what of the traces is not in it, by name and count
	Traces     int      // with a root
	Spans      int
	Services   []string // their names in the scenario
	Operations int
}

// ErrEmpty reports traces of which no scenario can be made.
var ErrEmpty = errors.New("there is no finished span that a scenario could be made of")

// An Error is a mistake in a file of traces, and where.
type Error struct {
	Line, Col int // from 1, columns in bytes
	Msg       string
}

// Error returns `line:col: message`.
func (e *Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Col, e.Msg) }

// The bounds of what is learned.
const (
	maxServices   = 200
	maxOperations = 100 // of one service; further ones are one, `other`
	maxSites      = 64  // operations that one calls; further calls count as its own time
	maxHeld       = 200_000
	maxRoots      = 1 << 20 // instants of arrivals that are kept
	longest       = 10 * time.Minute
	maxFanOut     = 64
)

// kind is a span's, in the numbers of OTLP.
type kind uint8

const (
	internal kind = iota + 1
	server
	client
	producer
	consumer
)

// A span is what is kept of one.
type span struct {
	id, parent uint64 // parent: 0 for none
	op         int32  // of the model
	peer       int32  // client: the operation of a service that left no spans, or -1
	kind       kind
	follows    bool  // its parent does not wait for it
	start, end int64 // ns since 1970, by the clock of its host
}

type traceID [16]byte

// operation is what was learned of one.
type operation struct {
	service  int32
	name     string
	outside  bool // known by its callers' spans only
	n        int
	self     moments // s, without the calls it waits for
	response moments // s
	errors   int
	roots    int
	sites    map[site]*calls
	order    map[[2]site]*order
}

// A site is a callee, as an operation calls it.
type site struct {
	op    int32
	async bool
}

// calls are those of one site.
type calls struct {
	counts   map[int]int // executions by how many calls, at least one
	n        int
	net      moments // s: client's span less server's; async: from the producer's end to the consumer's start
	duration moments // s, as the caller sees it
	offset   moments // s, since the start of the operation
	late     int     // ended after their caller
	overlap  int     // executions whose calls overlap each other
	several  int     // executions with more than one
}

// order is how the calls of two sites stand to each other, by executions with both: the first one's began first; some of them ran
// together; they did not follow one another as a whole.
type order struct{ both, before, overlap, turns int }

// A Model is what was learned. Its methods are for one goroutine at a time.
type Model struct {
	opt      Options
	services []string
	ops      []*operation
	opOf     map[opKey]int32
	svcOf    map[string]int32
	opsIn    map[int32]int
	open     openTraces
	roots    arrivals
	orphans  arrivals
	traces   int
	spans    int
	counts   map[string]int // of what is noted
	skewed   map[int32]skew // by service
}

// skew is how many spans stood outside of their parents, and by how much at most.
type skew struct {
	n     int
	worst time.Duration
}

type opKey struct {
	service int32
	name    string
}

// New returns an empty model.
func New(o Options) *Model {
	return &Model{
		opt: o.withDefaults(), opOf: map[opKey]int32{}, svcOf: map[string]int32{}, opsIn: map[int32]int{}, counts: map[string]int{},
		skewed: map[int32]skew{}, open: newOpenTraces(),
	}
}

// operation returns the number of an operation.
func (m *Model) operation(service, name string, outside bool) int32 {
	s, ok := m.svcOf[service]
	if !ok {
		if len(m.services) >= maxServices {
			service = "other"
			m.counts["spans of further services, which count as one, `other`"]++
			if s, ok = m.svcOf[service]; !ok {
				s = m.service(service)
			}
		} else {
			s = m.service(service)
		}
	}
	k := opKey{s, name}
	if op, ok := m.opOf[k]; ok {
		return op
	}
	if m.opsIn[s] >= maxOperations {
		m.counts[fmt.Sprintf("spans of %s had names beyond the first %d, as if ids stood in them: they count as one operation, `other`", clip(service), maxOperations)]++
		k.name = "other"
		if op, ok := m.opOf[k]; ok {
			return op
		}
	}
	op := int32(len(m.ops))
	m.ops = append(m.ops, &operation{service: s, name: k.name, outside: outside, sites: map[site]*calls{}, order: map[[2]site]*order{}})
	m.opOf[k] = op
	m.opsIn[s]++
	return op
}

func (m *Model) service(name string) int32 {
	s := int32(len(m.services))
	m.services = append(m.services, name)
	m.svcOf[name] = s
	return s
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
