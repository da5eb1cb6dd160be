// Package engine is the socket side of an emulated server: real HTTP/1.1 servers, one for each concurrency model, that
// hand their requests to a [Handler] and write its responses whenever it gives them.
//
// A [Registry] names the engines that exist. Listen opens one on an address; Run serves until its context ends, then drains.
// An engine has one or more loops. Each loop is one thread, has a Handler of its own and calls it never twice at once. A
// Handler that wants to act later says when in Next; the loop waits for sockets until exactly then and calls
// Advance. It answers a request during the call or at any time later, by [Ref]; the loop puts the responses of a connection into
// the order of its requests.
//
// State that must live on one thread, such as a queueing core, belongs to one loop, its owner. The other loops pass it their
// requests with [Loop.Pass]; the owner's responses find their own way back.
//
// Instants are nanoseconds of CLOCK_MONOTONIC, as in internal/mono.
package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/eve-emulation/eve/internal/http1"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// Config says where and how an engine serves. The zero value of every field but Listen works.
type Config struct {
	Listen      string        // address to listen on, "127.0.0.1:8080"; port 0 takes a free one
	Name        string        // the kind of engine, "reactors" if empty
	Reactors    int           // loops; 1 if 0, and not more than Kind.MaxLoops
	Beside      int           // loops of the process's other engines; with fewer in all than GOMAXPROCS, a loop at work keeps a processor
	Backlog     int           // connections that the kernel queues before they are accepted; 4096 if 0
	MaxHead     int           // bytes of a request's head; 64 KiB if 0
	MaxBody     int           // bytes of a request's body; 1 MiB if 0
	Pipeline    int           // unanswered requests of one connection before its reading pauses; 64 if 0
	Passed      int           // passed requests that one loop may have at the owner; 65536 if 0
	HeadTimeout time.Duration // from a request's first byte to its last; 10 s if 0
	IdleTimeout time.Duration // without a request; 75 s if 0
	SendTimeout time.Duration // without progress in writing; 30 s if 0
	Drain       time.Duration // grace for requests under way when Run ends; 5 s if 0
	CallIdle    time.Duration // how long an idle connection of Call is kept; 30 s if 0
	Spin        time.Duration // polled instead of slept before an instant of Next; 0 sleeps

	Threads int          // pool: its threads; seda: the most of one stage, 20 if 0; actors: schedulers, one a processor if 0; else 64 if 0
	Helpers int          // amped: threads that do disk work; 4 if 0
	Stages  StagesConfig // seda: the controllers of its stages
	Queue   int          // pool, seda: requests (seda: events of a stage) that wait, beyond which they are refused with 503; 1024 if 0
}

// A Ref names one request on one connection of one loop. It fits a tag of eight bytes. A Ref of a request that was answered,
// or whose connection has broken, is stale: using it does nothing.
type Ref uint64

// A CallRef is a caller's own name for a call, unique among its loop's calls under way.
type CallRef uint64

// A Request is what arrived. It is valid during Handler.Request only.
type Request = http1.Request

// A Handler decides what an engine's requests are answered with. Its methods are called by one loop, never concurrently: on that
// loop's thread or, by an engine whose requests have threads of their own (Kind.Threads), on any of its threads under a lock
// that stands for its one loop. Handlers of different loops run concurrently.
type Handler interface {
	// Request hands over a request with its whole body. The handler answers by l.Respond with ref, now or later, or
	// passes it to another loop. Every request must be answered in the end.
	Request(l Loop, ref Ref, r *Request)
	// Closed tells that the peer has ended its side of the connection, or that it broke, before the request was answered. A
	// response is still delivered if the peer closed only its sending side, and is still due, because the connection stays
	// until then. It comes at most once for a request.
	Closed(l Loop, ref Ref)
	// Answer ends a call begun with l.Call. The answer is valid during the call only.
	Answer(l Loop, ref CallRef, a *Answer)
	// Next returns the instant at which Advance is due, mono.Never if there is none.
	Next() int64
	// Advance acts on what is due by now.
	Advance(l Loop, now int64)
}

// A Loop is what a Handler may ask of the loop that calls it. Only that loop's Handler calls it, from within its methods.
type Loop interface {
	// Index returns the loop's number, from 0.
	Index() int
	// Now returns the loop's instant: read once for each wake-up and again before Advance.
	Now() int64
	// Touch reads the clock anew, after work that took time, and returns it.
	Touch() int64
	// Respond answers a request, on whatever loop it arrived. It copies what res points to and reports whether ref was
	// still of use; for a request of another loop it is true. A second response does nothing.
	Respond(ref Ref, res Response) bool
	// Pass hands the request to the Handler of loop to, as if it had arrived there. It reports false, and does nothing, if
	// too many are passed already. r must be the request of the current Handler.Request.
	Pass(to int, ref Ref, r *Request) bool
	// Call sends a whole HTTP/1.1 request to addr ("127.0.0.1:8081") over a kept or a new connection and reports what came of
	// it to Handler.Answer, never from within Call and at the latest at the instant deadline. It copies req. The
	// answer is taken to be the answer to a request that is no HEAD.
	Call(addr string, req []byte, deadline int64, ref CallRef)
	// Cancel ends a call without an answer and closes its connection. An unknown ref does nothing.
	Cancel(ref CallRef)
	// Work has fn done where this engine does work of a kind for the request ref, answered already or not: on the thread of
	// its connection, on a thread of a stage, or on a helper. Several fn of one request may be done one after the other.
	// fn runs once, later and outside the handler's lock, so that it reports back by Engine.Post. An engine that ends does
	// what it was given before. False: this engine does such work on its loop, and the
	// handler is to do it there and then; fn is not called.
	Work(ref Ref, kind WorkKind, fn func(t *Thread)) bool
	// Break breaks every connection of the engine with a reset and has new ones refused until Restore, as if the server had
	// crashed. Requests under way still have to be answered, to nobody.
	Break()
	// HangUp breaks the connection of a request with a reset, unless the request is answered already. It still has to be answered,
	// to nobody, as do others on the connection.
	HangUp(ref Ref)
	// Restore has connections accepted again, at the same address. It does nothing before a Break.
	Restore()
}

// A Response answers a request. Its body is Body or, if Filler is positive, that many bytes of filler.
type Response struct {
	Status int    // 200 if 0
	Header []byte // whole header lines, each ended by CRLF; no framing, Date or Connection
	Body   []byte
	Filler int64
	Close  bool // close the connection afterwards
}

// An Answer is what came of a call: a whole response, or Err, one of the errors below.
type Answer struct {
	Status int
	Bytes  int64 // of the body that came, also before an error
	Err    error
	head   *http1.Response
}

// Header returns a header field of the answer. name is in lower case; the bytes are valid as long as the Answer.
func (a *Answer) Header(name string) ([]byte, bool) {
	if a.head == nil {
		return nil, false
	}
	return a.head.Header(name)
}

// How calls fail.
var (
	ErrRefused     = errors.New("connection refused")
	ErrReset       = errors.New("connection reset")
	ErrClosed      = errors.New("connection closed before the response ended")
	ErrTimedOut    = errors.New("timed out")
	ErrMalformed   = errors.New("malformed response")
	ErrUnreachable = errors.New("address not reachable") // also no descriptor, port or memory for a connection, and a bad address
	ErrStopped     = errors.New("engine stopped")
)

// An Engine serves HTTP/1.1 on one listening address and hands requests to a Handler on its loops.
type Engine interface {
	// Addr returns the address that the engine listens on.
	Addr() netip.AddrPort
	// Loops returns how many loops it has.
	Loops() int
	// Run serves until ctx ends; then it accepts no more, finishes the requests under way within Config.Drain and returns. It
	// runs at most once and closes the engine.
	Run(ctx context.Context) error
	// Post has loop i call fn soon, on its thread. Any goroutine may call it. It reports false if the engine has stopped, and
	// fn will not be called.
	Post(i int, fn func(Loop)) bool
	// Stats returns the counts so far. Any goroutine may call it.
	Stats() Stats
	// Close frees the address of an engine that was never Run. It may be called twice.
	Close() error
}

// Stats counts what an engine has done, since it was opened unless said otherwise.
type Stats struct {
	Accepted  uint64 // connections
	Open      uint64 // connections, now
	Shed      uint64 // connections closed on arrival for want of descriptors
	Requests  uint64
	Responses uint64
	Refused   uint64 // requests refused as malformed, too large or too many, by the engine itself
	TimedOut  uint64 // connections closed by one of the time-outs
	BytesIn   uint64
	BytesOut  uint64
	Calls     uint64
}

// A Kind is an engine that can be chosen by name.
type Kind struct {
	Name     string
	About    string // one sentence
	MaxLoops int    // the most loops that it can have; 0 is any number
	Threads  bool   // requests have threads of their own: CPU work is done on them, and is the kernel's to schedule
	Helpers  bool   // disk work is done on threads beside the loop
	Staged   bool   // requests that compute wait for the threads of a stage, of which StagesConfig.Handle bounds the number
	Blind    bool   // whoever serves a request does not notice its peer's going before it writes the response
	Listen   func(cfg Config, handler func(loop int) Handler) (Engine, error)
}

// A Registry is the engines that may be chosen.
type Registry []Kind

// Shipped returns Eve's own engines.
func Shipped() Registry {
	return Registry{
		{
			Name:   "reactors",
			About:  "one epoll loop per thread, each with its own listening socket (SO_REUSEPORT)",
			Listen: listenReactors,
		},
		sped("sped-select", "one loop that waits by select", netpoll.Select, false),
		sped("sped-poll", "one loop that waits by poll", netpoll.Poll, false),
		sped("sped-epoll-lt", "one loop that waits by epoll for levels", netpoll.Epoll, false),
		sped("sped-epoll-et", "one loop that waits by epoll for edges", netpoll.Epoll, true),
		amped("amped", "one epoll loop, with helper threads that wait for the disk"),
		threadsKind("threads", "a goroutine for each connection", false),
		threadsKind("threads-1to1", "an operating system thread for each connection", true),
		poolKind("pool", "a bounded number of threads that take requests from a queue"),
		{
			Name:   "uring",
			About:  "one io_uring loop per thread: completions that bring their data, by priority",
			Listen: listenUring,
		},
		{
			Name:     "seda",
			About:    "stages (read, parse, handle, file, write) with bounded queues and pools of threads that controllers tune",
			MaxLoops: 1, Threads: true, Staged: true, Listen: listenSeda,
		},
		{
			Name:     "actors",
			About:    "a mailbox for each connection, and scheduler threads that give those with messages their turns",
			MaxLoops: 1, Threads: true, Listen: listenActors,
		},
	}
}

// Kind returns the engine of a name, which is the first if the name is empty.
func (r Registry) Kind(name string) (Kind, bool) {
	for _, k := range r {
		if k.Name == name || name == "" {
			return k, true
		}
	}
	return Kind{}, false
}

// descriptors is for how many the process's table is made, in 256 KiB: see netpoll.Reserve.
const descriptors = 32 << 10

// Names returns the names of the engines, in order.
func (r Registry) Names() []string {
	names := make([]string, len(r))
	for i, k := range r {
		names[i] = k.Name
	}
	return names
}

// Listen opens the engine that cfg names on the address that cfg names. handler makes each loop's Handler and is called once for
// each loop, before Listen returns. An unknown name, more loops than
// the engine can have and a taken address are errors.
func (r Registry) Listen(cfg Config, handler func(loop int) Handler) (Engine, error) {
	if cfg.Name == "" {
		cfg.Name = "reactors"
	}
	for _, k := range r {
		if k.Name == cfg.Name {
			if k.MaxLoops > 0 && cfg.Reactors > k.MaxLoops {
				return nil, fmt.Errorf("listen %s: %d loops; engine %s has at most %d", cfg.Listen, cfg.Reactors, k.Name, k.MaxLoops)
			}
			_ = netpoll.Reserve(descriptors) // where it cannot be had, some connections are taken late
			return k.Listen(cfg, handler)
		}
	}
	return nil, fmt.Errorf("listen %s: no engine %q; there are: %s", cfg.Listen, cfg.Name, strings.Join(r.Names(), ", "))
}
