package load

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// A ringSide is what a loop has that waits for completions instead of readiness: an io_uring with the events that it is registered
// for. What comes arrives in a buffer of the ring with the event that tells of it; what goes out is queued, and a whole turn of it
// is carried out by the system call that waits. Connections that cannot do with that, because somebody must be asked between
// them and the loop, or because they are left idle, stay with the poller, which the ring watches.
type ringSide struct {
	*netpoll.Ring

	// The events, the most urgent first: what a socket did not take is told before all else.
	unsent   netpoll.RingEvent
	sent     netpoll.RingEvent // the end of a send that was waited for
	received netpoll.RingEvent
	stands   netpoll.RingEvent // a connection is open, or has failed
	ready    netpoll.RingEvent // the poller has something to tell

	queued  int  // calls that are queued to be sent
	polls   int  // connections of the poller
	watched bool // the ring watches the poller
	served  int  // completions
	out     [8][]byte
}

const (
	// silentMax is the longest request that is sent without waiting for its end.
	silentMax = 16 << 10
	// batch is how many calls are sent by one system call at most, on one reading of the clock.
	batch = 16

	ringEntries     = 1024
	ringBuffers     = 64
	ringBufferBytes = 32 << 10
	ringSendBytes   = 4 << 20 // of memory that is touched as far as it is used
)

// openRing gives the loop a ring, if it may have one and the kernel has it.
func (l *Loop) openRing() error {
	if l.cfg.Readiness {
		return nil
	}
	r, err := netpoll.NewRing(netpoll.RingConfig{
		Entries: ringEntries, Buffers: ringBuffers, BufferBytes: ringBufferBytes, SendBytes: ringSendBytes,
	})
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	} else if err != nil {
		return err
	}
	if err := r.Start(); err != nil {
		return errors.Join(err, r.Close())
	}
	r.Light(l.cfg.Light)
	l.ring = &ringSide{
		Ring:   r,
		unsent: r.On(0, l.ringUnsent), sent: r.On(1, l.ringSent), received: r.On(2, l.ringReceived),
		stands: r.On(3, l.ringStands), ready: r.On(4, l.ringReady),
	}
	return nil
}

// ringID names a connection in completions.
func ringID(c *conn) uint64 { return uint64(c.gen&0xffffff)<<32 | uint64(c.slot) }

// ringConn returns the connection that a completion belongs to, nil if it has been closed since.
func (l *Loop) ringConn(id uint64) *conn {
	c := l.conns.all[uint32(id)]
	if c.state == shut || ringID(c) != id {
		return nil
	}
	return c
}

// ringTurn waits and acts on what has happened.
func (l *Loop) ringTurn() error {
	s := l.ring
	if s.polls > 0 && !s.watched {
		s.watched = true
		s.Await(l.poller.Descriptor(), netpoll.In, s.ready, 0)
	}
	until, before := l.until(), l.cfg.T0+int64(l.now)
	l.stamp()
	s.Spin(l.polls(until - before))
	found, err := s.Wait(until)
	if err != nil {
		return err
	}
	l.turns++
	s.Unsent() // before anything else may be sent to the same sockets
	s.Peek(s.received, l.ringUnasked)
	l.tick()
	if !found && until > before {
		l.woke(until)
	}
	s.Dispatch()
	return nil
}

// stamp notes when the calls are sent that are queued. A single one is sent by the next system call. Several are sent here, one after the
// other: the first when that begins, and each of the others as much later as its place says, so that arrivals which a late wake-up
// has come upon together are not told to have left at one instant.
func (l *Loop) stamp() {
	n := l.ring.queued
	if n == 0 {
		return
	}
	l.ring.queued = 0
	begin := max(l.clock(), l.now)
	took := dsv.Instant(0)
	if n > 1 {
		l.ring.Submit()
		took = max(l.clock()-begin, 0)
	}
	queued := l.sents[len(l.sents)-n:]
	for i := range queued {
		queued[i].at = begin + took*dsv.Instant(i)/dsv.Instant(n)
	}
}

// submit has what is queued sent now.
func (l *Loop) submit() {
	if l.ring == nil || l.ring.queued == 0 {
		return
	}
	single := l.ring.queued == 1
	if l.stamp(); single {
		l.ring.Submit()
	}
}

// ringWrite queues what is left of a call's request.
func (l *Loop) ringWrite(c *conn) {
	s, k := l.ring, c.call
	total := k.total()
	if c.sending || c.written == total {
		return
	}
	pieces := s.out[:l.pieces(k, c.written, s.out[:])]
	if total-c.written <= silentMax && s.Send(c.fd, s.unsent, ringID(c), pieces) {
		l.stats.BytesOut += uint64(total - c.written)
		c.written = total
	} else if _, err := s.SendWhole(c.fd, s.sent, ringID(c), pieces[0]); err != nil {
		l.breakOff(c, err)
	} else {
		c.sending = true
	}
	if s.queued >= batch {
		l.submit()
	}
}

// breakOff notes that a request cannot be sent. The server may have answered before it broke off: what came is taken in first.
func (l *Loop) breakOff(c *conn, err error) {
	c.broken = err
	l.unread = append(l.unread, c.ref())
}

// ringUnsent takes back what the socket did not take of a request at once, and has it sent as there is room.
func (l *Loop) ringUnsent(ev *netpoll.Completion) {
	c := l.ringConn(ev.ID)
	if c == nil || c.state != busy {
		return
	}
	c.written -= int64(len(ev.Data))
	l.stats.BytesOut -= uint64(len(ev.Data))
	if ev.Err != 0 {
		l.breakOff(c, ev.Err)
		return
	}
	pieces := l.ring.out[:l.pieces(c.call, c.written, l.ring.out[:])]
	if _, err := l.ring.SendWhole(c.fd, l.ring.sent, ringID(c), pieces[0]); err != nil {
		l.breakOff(c, err)
		return
	}
	c.sending = true
}

// ringSent goes on with a long request.
func (l *Loop) ringSent(ev *netpoll.Completion) {
	c := l.ringConn(ev.ID)
	if c == nil {
		return
	}
	c.sending = false
	c.written += int64(ev.N)
	l.stats.BytesOut += uint64(ev.N)
	switch {
	case c.state != busy:
	case ev.Err != 0:
		l.breakOff(c, ev.Err)
	default:
		l.ringWrite(c)
	}
}

// ringReceive asks for all that comes over a connection.
func (l *Loop) ringReceive(c *conn) {
	c.armed = true
	l.ring.Receive(c.fd, l.ring.received, ringID(c))
}

// ringReceived takes in what has come.
func (l *Loop) ringReceived(ev *netpoll.Completion) {
	if l.ring.served++; l.ring.served%chunk == 0 {
		l.tick()
	}
	c := l.ringConn(ev.ID)
	if c == nil {
		return
	}
	c.armed = ev.More
	switch {
	case c.state == busy && c.turn == l.turns && ev.Err != syscall.ENOBUFS: // it came before the call that is there now
		l.stale(c, ev.N > 0)
	case ev.N > 0 && c.state == busy:
		l.stats.BytesIn += uint64(ev.N)
		l.feed(c, ev.Data)
	case ev.Err == syscall.ENOBUFS:
	case c.state != busy: // the server closes it, or speaks without having been asked
		l.closeConn(c)
	case ev.Err != 0:
		l.lost(c, ev.Err)
	default:
		l.lost(c, io.EOF)
	}
	if l.ringConn(ev.ID) == c && !c.armed {
		l.ringReceive(c)
	}
}

// ringUnasked closes an idle connection that the server has closed, or over which it speaks without having been asked.
func (l *Loop) ringUnasked(ev *netpoll.Completion) {
	if c := l.ringConn(ev.ID); c != nil && c.state == idle && ev.Err != syscall.ENOBUFS {
		c.armed = ev.More
		l.closeConn(c)
	}
}

// ringStands acts on the end of a connect.
func (l *Loop) ringStands(ev *netpoll.Completion) {
	c := l.ringConn(ev.ID)
	if c == nil {
		return
	}
	met := netpoll.Events(ev.N)
	if ev.Err != 0 {
		met = netpoll.Err
	}
	l.opened(c, met)
	if l.ringConn(ev.ID) == c && !c.armed {
		l.ringReceive(c)
	}
}

// ringReady acts on what the poller has to tell.
func (l *Loop) ringReady(*netpoll.Completion) {
	l.ring.watched = false
	events, err := l.poller.Wait(0)
	if err != nil {
		l.note(fmt.Sprintf("wait: %v", err))
		return
	}
	for _, ev := range events {
		l.event(ev)
	}
}

// ringClose closes a connection. What is under way on it is ended one by one, which is quicker than to have the kernel look for it.
func (l *Loop) ringClose(c *conn) {
	if c.armed {
		l.ring.StopReceive(l.ring.received, ringID(c))
	}
	if c.state == opening {
		l.ring.StopAwait(l.ring.stands, ringID(c))
	}
	l.ring.CloseFile(c.fd, c.sending)
}

// closeRing ends the ring; its connections are the poller's then, which knows nothing of them.
func (l *Loop) closeRing() {
	if l.ring == nil {
		return
	}
	if err := l.ring.Close(); err != nil {
		l.note(err.Error())
	}
	l.ring = nil
	for _, c := range l.conns.all {
		c.ring = false
	}
}
