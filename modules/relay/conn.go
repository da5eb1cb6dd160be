package relay

import (
	"errors"

	"github.com/eve-emulation/eve/dmm/wasm"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// The sides of a connection; the flow of a side is what comes from there.
const (
	client, up   = 0, 0
	server, down = 1, 1
)

type state uint8

const (
	free       state = iota
	connecting       // to the server; nothing is read yet
	open
)

// A conn is a client's connection with the one to its server.
type conn struct {
	slot   uint32
	gen    uint32 // of the slot, so that events of a former connection are known
	state  state
	queued bool
	fd     [2]int
	end    [2]end
	flow   [2]flow
}

// end is what is known of one side's socket.
type end struct {
	readable, writable bool
	closing            bool // its end of stream, or an error, is to come
	urgent             bool // reads stop at its urgent data, which splice does not pass
	broken             bool // an error is
}

// more reports whether there may be more of a side, although a read did not fill its buffer.
func (e *end) more() bool { return e.closing || e.urgent }

// A flow is one direction. At most one of held and in is not empty.
type flow struct {
	held  []byte        // what the other side has not taken yet
	own   []byte        // the buffer that held is in; nil where it is the guest's memory
	pipe  *netpoll.Pipe // that holds in bytes which the other side has not taken
	in    int
	since int64        // when the loop was told of what is held
	guest *wasm.Stream // nil: none
	ended bool         // the end of the stream has come
	shut  bool         // and was handed on
}

// idle reports whether nothing is held.
func (f *flow) idle() bool { return len(f.held) == 0 && f.in == 0 }

func (c *conn) tag(side int) uint64 { return uint64(c.gen)<<32 | uint64(c.slot)<<1 | uint64(side) }

// table is the connections of a loop. Those that end are kept for the next.
type table struct {
	conns []*conn
	free  []*conn
	open  int
}

func (t *table) take(near, far int) *conn {
	var c *conn
	if n := len(t.free); n > 0 {
		c, t.free = t.free[n-1], t.free[:n-1]
	} else {
		c = &conn{slot: uint32(len(t.conns))}
		t.conns = append(t.conns, c)
	}
	t.open++
	*c = conn{slot: c.slot, gen: c.gen, state: connecting, fd: [2]int{near, far}}
	return c
}

func (t *table) put(c *conn) {
	c.state = free
	c.gen = (c.gen + 1) & (1<<31 - 1)
	t.open--
	t.free = append(t.free, c)
}

// find returns whom an event is about; nil where that is gone.
func (t *table) find(tag uint64) (*conn, int) {
	slot := uint32(tag) >> 1
	if int(slot) >= len(t.conns) {
		return nil, 0
	}
	c := t.conns[slot]
	if c.state == free || c.gen != uint32(tag>>32) {
		return nil, 0
	}
	return c, int(tag & 1)
}

func (t *table) each(f func(*conn)) {
	for _, c := range t.conns {
		if c.state != free {
			f(c)
		}
	}
}

// note takes down what happened to a side.
func (l *loop) note(c *conn, side int, ev netpoll.Events) {
	e := &c.end[side]
	if ev&(netpoll.In|netpoll.RdHup|netpoll.Pri|netpoll.Hup|netpoll.Err) != 0 {
		e.readable = true
	}
	if ev&(netpoll.RdHup|netpoll.Hup|netpoll.Err) != 0 {
		e.closing = true
	}
	if ev&netpoll.Err != 0 {
		e.broken = true
	}
	if ev&netpoll.Pri != 0 {
		e.urgent = true
	}
	if ev&netpoll.Out != 0 {
		e.writable = true
	}
	if c.state == connecting && side == server {
		if ev&(netpoll.Out|netpoll.Err|netpoll.Hup) == 0 {
			return
		}
		if !l.connected(c) {
			return
		}
	}
	if c.state == connecting && e.broken { // the client has gone before the server came
		l.fail(c, Reset)
		return
	}
	l.queue(c)
}

func (l *loop) queue(c *conn) {
	if !c.queued {
		c.queued = true
		l.ready = append(l.ready, c)
	}
}

// connected looks at what became of the connection to the server, and begins the extension's instances.
func (l *loop) connected(c *conn) bool {
	if err := netpoll.ConnectError(c.fd[server]); err != nil {
		l.fail(c, causeOf(err))
		return false
	}
	c.state = open
	if l.r.guest == nil {
		return true
	}
	for d := range c.flow {
		g, err := l.r.guest.Stream(wasm.Direction(d))
		if err != nil {
			if l.fault(err); l.r.cfg.OnFault == Close {
				l.fail(c, Faulted)
				return false
			}
		}
		c.flow[d].guest = g
	}
	return true
}

// serve moves what can be moved in both directions. Where one cannot go on, what the other still has is handed on before the
// connection is reset: a server that answers and closes while its client sends is heard.
func (l *loop) serve(c *conn) {
	more := false
	var failed *failure
	for d := range c.flow {
		m, err := l.pump(c, d)
		if err != nil && failed == nil {
			failed = err
			c.end[1-d].readable = true // what it has sent may not have been told yet
		}
		more = more || m
	}
	if failed != nil {
		l.fail(c, failed.cause())
		return
	}
	if c.flow[up].shut && c.flow[down].shut {
		l.finish(c)
		return
	}
	for side := range c.end { // of whom nothing is read any more, nothing else tells
		if e := &c.end[side]; e.broken && c.flow[side].ended {
			e.broken = false
			if err := netpoll.ConnectError(c.fd[side]); err != nil {
				l.fail(c, causeOf(err))
				return
			}
		}
	}
	if more && !c.queued {
		c.queued = true
		l.later = append(l.later, c)
	}
}

// finish closes a connection that came to its end on both sides.
func (l *loop) finish(c *conn) {
	for side := range c.fd {
		_ = l.poller.CloseWatched(c.fd[side])
	}
	l.release(c)
}

// fail ends a connection by resets.
func (l *loop) fail(c *conn, cause Cause) {
	l.count(cause)
	l.drop(c)
}

// drop resets both sides.
func (l *loop) drop(c *conn) {
	for side := range c.fd {
		_ = l.poller.Delete(c.fd[side])
		_ = netpoll.Abort(c.fd[side])
	}
	l.release(c)
}

// release takes back what a connection used.
func (l *loop) release(c *conn) {
	for d := range c.flow {
		f := &c.flow[d]
		l.putBuffer(f)
		if f.pipe != nil { // what is in it is lost
			_ = f.pipe.Close()
		}
		if f.guest != nil {
			_ = f.guest.Close()
		}
		*f = flow{}
	}
	l.table.put(c)
	l.r.open.Add(-1)
	l.tally.changed, l.tally.any = true, true
}

// fault tells why an extension failed, some times.
func (l *loop) fault(err error) {
	const told = 10
	n := l.r.faults.Add(1)
	if l.r.cfg.Log == nil || n > told {
		return
	}
	text := err.Error()
	if f, ok := errors.AsType[*wasm.Fault](err); ok {
		text = f.Error()
	}
	what := "the connection is closed"
	if l.r.cfg.OnFault == Pass {
		what = "the stream goes on without it, if it lacks nothing"
	}
	if n == told {
		what += "; more of these are only counted"
	}
	l.r.cfg.Log("extension: " + text + "; " + what)
}
