package relay

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

const (
	acceptBatch = 64                    // connections that are taken in one turn
	acceptPause = 20 * time.Millisecond // of a loop that ran out of descriptors
	listenTag   = uint64(1) << 63       // of the listener
	allEvents   = netpoll.In | netpoll.Out | netpoll.RdHup | netpoll.Pri | netpoll.Edge
)

// A loop forwards the connections that its listener takes. All of it belongs to the thread that runs it, but for what is
// atomic and Wake.
type loop struct {
	r      *Relay
	poller *netpoll.Poller
	ending atomic.Bool

	listener  int
	listening bool // the poller watches the listener
	spare     int  // a descriptor to be given up when there are no others; -1
	restUntil int64

	table   table
	ready   []*conn // have something to do in this turn
	later   []*conn // or in the next
	waiting []wait  // for their servers, the first of them first
	next    int     // the server of the next connection
	endAt   int64   // when connections that are left are reset; never: it goes on

	scratch []byte
	spares  [][]byte        // buffers of a chunk that nobody uses
	pipes   []*netpoll.Pipe // empty, that nobody uses

	turn           int64 // when the loop was told what it is at
	m              *measuring
	tally          tally
	total          totals
	spent, spendAt int64
}

// A wait is a connection whose server has not accepted yet.
type wait struct {
	c     *conn
	gen   uint32
	until int64
}

// newLoop opens a listener; the first one finds the port out that the others share.
func newLoop(r *Relay) (l *loop, err error) {
	l = &loop{r: r, listener: -1, spare: -1, endAt: never, restUntil: never, spendAt: never, scratch: make([]byte, r.cfg.Chunk)}
	if l.poller, err = netpoll.NewPoller(0); err != nil {
		return nil, err
	}
	if l.listener, err = netpoll.Listen(r.addr, 1024, r.cfg.Loops > 1); err == nil {
		r.addr, err = netpoll.Local(l.listener)
	}
	if err == nil {
		l.spare, err = netpoll.Spare()
	}
	if err == nil {
		err = l.listen()
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *loop) listen() error {
	l.listening, l.restUntil = true, never
	return l.poller.Add(l.listener, listenTag, netpoll.In)
}

// run is the loop's life.
func (l *loop) run() error {
	l.spent = mono.ThreadCPU()
	for {
		events, err := l.poller.Wait(l.until())
		if err != nil {
			return err
		}
		l.turn = now()
		l.m = l.r.vars.Load()
		accept := false
		for _, e := range events {
			if e.Tag == listenTag {
				accept = true
				continue
			}
			if c, s := l.table.find(e.Tag); c != nil {
				l.note(c, s, e.Events)
			}
		}
		if accept {
			l.accept()
		}
		l.forward()
		if err := l.clocks(); err != nil {
			return err
		}
		if l.endAt != never && l.table.open == 0 {
			l.spend()
			return nil
		}
	}
}

// until is when the loop has something to do of itself.
func (l *loop) until() int64 {
	if len(l.later) > 0 {
		return 0
	}
	at := min(l.restUntil, l.endAt, l.spendAt)
	for len(l.waiting) > 0 {
		if w := l.waiting[0]; w.c.gen == w.gen && w.c.state == connecting {
			return min(at, w.until)
		}
		l.waiting = l.waiting[1:]
	}
	return at
}

// forward moves what can be moved for all that are ready, each up to its share of a turn.
func (l *loop) forward() {
	l.ready, l.later = append(l.ready, l.later...), l.later[:0]
	for _, c := range l.ready {
		c.queued = false
		if c.state == open {
			l.serve(c)
		}
	}
	clear(l.ready)
	l.ready = l.ready[:0]
}

// clocks does what is due, and accounts the turn.
func (l *loop) clocks() error {
	if l.restUntil <= l.turn && l.endAt == never {
		if err := l.listen(); err != nil {
			return err
		}
	}
	for len(l.waiting) > 0 && l.waiting[0].until <= l.turn {
		w := l.waiting[0]
		l.waiting = l.waiting[1:]
		if w.c.gen == w.gen && w.c.state == connecting {
			l.fail(w.c, TimedOut)
		}
	}
	if l.ending.Load() && l.endAt == never {
		l.endAt = l.turn + int64(l.r.cfg.Drain)
		l.restUntil = never
		if err := l.unlisten(); err != nil {
			return err
		}
	}
	if l.endAt <= l.turn {
		l.table.each(l.drop)
	}
	if l.tally.any && l.spendAt == never {
		l.spendAt = l.turn + cpuPeriod
	}
	l.tell()
	if l.spendAt <= l.turn {
		l.spend()
	}
	return nil
}

// unlisten closes the listener; who waits there is reset by the kernel.
func (l *loop) unlisten() error {
	if l.listener < 0 {
		return nil
	}
	err := l.poller.CloseWatched(l.listener)
	l.listener, l.listening = -1, false
	return err
}

// accept takes new connections, some at a time so that the others get their turn.
func (l *loop) accept() {
	for range acceptBatch {
		if l.listener < 0 || !l.listening {
			return
		}
		fd, err := netpoll.Accept(l.listener)
		switch {
		case err == nil:
			l.tally.accepted++
			l.tally.any = true
			l.welcome(fd)
		case errors.Is(err, netpoll.ErrAgain):
			return
		default:
			// No descriptor or no memory. Who waits is told so by a reset, for which the spare makes room, and the listener
			// rests: its readiness would wake the loop without end.
			l.shed()
			return
		}
	}
}

// shed resets connections that there is no descriptor for, and pauses.
func (l *loop) shed() {
	if l.spare >= 0 {
		_ = netpoll.Close(l.spare)
		for range acceptBatch {
			fd, err := netpoll.Accept(l.listener)
			if err != nil {
				break
			}
			l.tally.accepted++
			l.count(Exhausted)
			_ = netpoll.Abort(fd)
		}
	}
	var err error
	if l.spare, err = netpoll.Spare(); err != nil {
		l.spare = -1
	}
	if l.poller.Delete(l.listener) == nil {
		l.listening, l.restUntil = false, l.turn+int64(acceptPause)
	}
}

// welcome begins the connection to a server for a client.
func (l *loop) welcome(fd int) {
	to, cause, ok := l.server()
	if ok && l.r.open.Load() >= int64(l.r.cfg.Connections) {
		cause, ok = Exhausted, false
	}
	if !ok {
		l.count(cause)
		_ = netpoll.Abort(fd)
		return
	}
	far, err := netpoll.Connect(netip.Addr{}, to)
	if err != nil {
		l.count(causeOf(err))
		_ = netpoll.Abort(fd)
		return
	}
	c := l.table.take(fd, far)
	l.r.open.Add(1)
	l.tally.changed, l.tally.any = true, true
	if err := errors.Join(l.poller.Add(fd, c.tag(client), allEvents), l.poller.Add(far, c.tag(server), allEvents)); err != nil {
		l.fail(c, Exhausted)
		return
	}
	l.waiting = append(l.waiting, wait{c, c.gen, l.turn + int64(l.r.cfg.Connect)})
}

// server picks the server of the next connection.
func (l *loop) server() (to netip.AddrPort, cause Cause, ok bool) {
	list := *l.r.servers.Load()
	if len(list) == 0 {
		return to, NoServer, false
	}
	l.next++
	return list[l.next%len(list)], 0, true
}

// count counts a connection that ended badly.
func (l *loop) count(c Cause) {
	l.tally.errors[c]++
	l.tally.any = true
}

func causeOf(err error) Cause {
	switch {
	case netpoll.Refused(err):
		return Refused
	case netpoll.TimedOut(err):
		return TimedOut
	case netpoll.Reset(err):
		return Reset
	case netpoll.Exhausted(err):
		return Exhausted
	}
	return Broken
}

// close frees everything; connections that are left are reset. It may be called twice.
func (l *loop) close() error {
	l.table.each(l.drop)
	errs := []error{l.unlisten()}
	for _, p := range l.pipes {
		errs = append(errs, p.Close())
	}
	l.pipes = nil
	if l.spare >= 0 {
		errs = append(errs, netpoll.Close(l.spare))
		l.spare = -1
	}
	return errors.Join(append(errs, l.poller.Close())...)
}
