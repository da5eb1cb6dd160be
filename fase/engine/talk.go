package engine

import (
	"os"
	"syscall"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// A talk is one connection of an engine whose threads serve connections: a thread reads a request, has it handled, waits for the
// response and writes it, one request after the other. What is not said to be guarded belongs to the thread that serves it.
type talk struct {
	ts   *talks
	fd   int
	slot uint32
	gen  uint32
	file *os.File           // of fd, for goroutines that wait in the runtime's poller; else nil
	raw  syscall.RawConn    // of file
	try  func(uintptr) bool // what raw calls to read, and to send
	send func(uintptr) bool
	wake chan struct{} // ends the wait for a response

	ln    *lane
	th    *Thread
	x     exchange // its output and what is pending belong to the handler's lock while a request is under way
	got   int      // what the last call of the kernel came to
	err   error
	short bool // the last read brought less than it asked for
	final bool // reads once more, and ends if nothing has come

	// Guarded by the handler's lock. The phase is changed by whoever serves the connection alone.
	serial uint64 // of the next request
	first  uint64 // of the first one
	phase  phase
	due    int64 // when the peer's time is over
	late   bool  // it is over
	last   bool  // no further request is read
	gone   bool  // to end at once, whatever is under way
	told   bool  // the handler knows that the peer has gone
	left   bool  // holds the end of the engine up no more
	parked bool  // its thread waits for wake
	held   bool  // pool: a thread serves it, or it is queued
	hup    bool  // pool: the peer's end of stream has been told of
	again  bool  // pool: something has come meanwhile
	todo   []func(*Thread)
}

// A phase is what a talk waits for.
type phase uint8

const (
	between   phase = iota // the first byte of a request
	reading                // the rest of a request
	handling               // the handler
	writing                // the peer to take bytes
	lingering              // the peer's end of stream
)

// A lane is what a thread needs to serve a connection.
type lane struct {
	wire
	scratch []byte // what a connection without input reads into
	out     []byte // what responses are rendered into
}

const (
	laneBytes   = 16 << 10
	laneOutMost = 1 << 20 // a larger buffer is not kept
)

// newLane returns a lane for the engine of the talks.
func (ts *talks) newLane() *lane {
	e := ts.s.reactors
	return &lane{
		wire:    wire{cfg: &e.cfg, filler: e.filler, pool: new(buffers)},
		scratch: make([]byte, laneBytes), out: make([]byte, 0, 1<<buffersLow),
	}
}

// read reads what has come, ahead of what is kept of the request. What came of it is in t.got and t.err.
func (t *talk) read() {
	buf := t.ln.scratch
	if len(t.x.in) > 0 {
		t.x.in = t.ln.pool.grow(t.x.in, t.x.room())
		buf = t.x.in[len(t.x.in):cap(t.x.in)]
	}
	t.got, t.err = netpoll.Read(t.fd, buf)
	t.short = t.got < len(buf)
}

// took handles what has been read. It reports false if the connection is to end at once.
func (t *talk) took() bool {
	if t.err != nil {
		return false // what was asked before the peer's end of stream has been answered
	}
	t.ts.s.tally.bytesIn.Add(uint64(t.got))
	if t.last {
		return true // nobody wants it any more
	}
	b := t.ln.scratch
	if len(t.x.in) > 0 {
		b = t.x.in
	}
	b = b[:len(t.x.in)+t.got]
	switch {
	case !t.consume(b):
		return false
	case t.last:
		return t.leave()
	case t.phase != reading && (t.x.inBody || len(t.x.in) > 0):
		t.final = false
		t.enter(reading, t.ts.s.cfg.HeadTimeout)
	}
	return true
}

// enter begins a phase that may last as long as said.
func (t *talk) enter(p phase, length time.Duration) {
	s := t.ts.s
	s.enter()
	t.phase, t.due = p, s.keeper.now+int64(length)
	s.leave()
}

// consume handles the requests in b, and keeps what is left of it. It reports false if the connection is to end at once.
func (t *talk) consume(b []byte) bool {
	x, start := &t.x, 0
	for start < len(b) && !t.last {
		f, n, err := t.ln.take(x, b[start:])
		if err != nil {
			return t.refuse(err)
		}
		if f == isPartial {
			b = b[:start+n]
			if x.inBody && t.ln.interim(x) && !t.flush() {
				return false
			}
			break
		}
		if f == isRequest && !t.ask() {
			return false
		}
		start += n
	}
	if t.last {
		start = len(b)
	}
	t.ln.keep(x, b[start:])
	return true
}

// ask has the request that has just been read handled and its response written. It reports false if the connection is to end at once.
func (t *talk) ask() bool {
	s, flags := t.ts.s, t.ln.nature()
	s.tally.requests.Add(1)
	s.enter()
	if t.ts.draining {
		flags |= isClosing
	}
	ref := t.begin(flags)
	if t.ts.rejects(t) {
		s.tally.refused.Add(1)
		t.ts.respond(ref, &overload)
	} else {
		s.handler.Request(s, ref, &t.ln.req)
		if t.hup {
			t.ts.tell(t)
		}
	}
	return t.attend()
}

// overload is the answer to what is more than an engine has places for.
var overload = Response{
	Status: 503, Header: []byte("Content-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n"),
	Body: []byte("too many requests wait for a thread\n"),
}

// begin makes room for a response, under the lock.
func (t *talk) begin(flags uint8) Ref {
	t.x.out = t.ln.out[:0]
	t.x.pending = append(t.x.pending[:0], pending{flags: flags})
	t.phase, t.due, t.told, t.late = handling, mono.Never, false, false
	t.serial++
	return makeRef(0, t.slot, t.serial-1)
}

// attend does what the request under way needs done on this thread, and waits, until it has been answered. The lock is held, and
// given back.
func (t *talk) attend() bool {
	s, ok := t.ts.s, true
	for {
		answered := len(t.x.pending) == 0
		todo := len(t.todo) > 0 && t.th != nil // the keeper of a pool leaves it to a thread
		switch {
		case todo && (!answered || t.x.queued == 0):
			t.work()
		case todo && answered: // the response goes first
			s.leave()
			ok = t.flush()
			s.enter()
		case answered:
			t.rest()
			s.leave()
			return ok && t.flush()
		case t.gone:
			s.leave()
			return false
		default:
			t.parked = true
			s.leave()
			<-t.wake
			s.enter()
			t.parked = false
		}
	}
}

// rest begins the wait for the next request, under the lock.
func (t *talk) rest() {
	t.phase, t.due = between, t.ts.s.keeper.now+int64(t.ts.s.cfg.IdleTimeout)
	t.final = t.ts.draining
}

// work does the first thing to do. The lock is held, but not meanwhile.
func (t *talk) work() {
	fn := t.todo[0]
	t.todo = append(t.todo[:0], t.todo[1:]...)
	t.ts.s.leave()
	t.ts.do(t, fn)
	t.ts.s.enter()
}

// signal wakes the thread that waits for a response, under the lock.
func (t *talk) signal() {
	if t.parked {
		t.parked = false
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// refuse answers what is no acceptable request, and reads no more.
func (t *talk) refuse(err error) bool {
	s, x := t.ts.s, &t.x
	x.inBody, x.interim, x.scanned = false, false, 0
	t.ln.keep(x, nil)
	res := refusal(err)
	s.tally.refused.Add(1)
	s.enter()
	t.ts.respond(t.begin(isClosing), &res)
	s.leave()
	return t.flush()
}

// flush writes what is to be sent. It reports false if the connection is broken.
func (t *talk) flush() bool {
	x := &t.x
	for x.queued > 0 {
		t.got, t.err = t.ln.send(t.fd, x)
		if t.err == netpoll.ErrAgain && !t.room() {
			t.err = syscall.ETIMEDOUT
		}
		switch t.err {
		case nil:
			t.ts.s.tally.bytesOut.Add(uint64(t.got))
			x.advance(t.got)
		case netpoll.ErrAgain:
		default:
			x.queued = 0
			return false
		}
	}
	if cap(x.out) <= laneOutMost && x.out != nil {
		t.ln.out = x.out[:0]
	}
	x.out, x.sent, x.fills = nil, 0, x.fills[:0]
	return true
}

// room waits until the socket takes something, and may have sent it: t.got and t.err tell. It reports false if the peer took too
// long.
func (t *talk) room() bool {
	s := t.ts.s
	s.enter()
	before, due := t.phase, t.due
	t.phase, t.due = writing, s.keeper.now+int64(s.cfg.SendTimeout)
	s.leave()
	ok := t.ts.await(t)
	s.enter()
	t.phase, t.due = before, due
	if before == between {
		t.rest()
	}
	ok = ok && !t.gone && !t.late
	s.leave()
	return ok
}

// leave ends the connection from our side after the last response, and keeps it open for what the peer still sends, as a reactor
// does.
func (t *talk) leave() bool {
	if netpoll.CloseWrite(t.fd) != nil {
		return false
	}
	t.enter(lingering, lingerTime)
	t.left = true
	t.ts.s.left()
	return true
}
