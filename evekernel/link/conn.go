package link

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A Link is one connection between two processes. Its methods may be called from several goroutines at once.
type Link struct {
	n    *Endpoint
	node uint64 // at the other end
	name string
	conn *net.TCPConn
	raw  syscall.RawConn

	down  atomic.Bool
	ended chan struct{} // closed when nothing is read any more
	gone  chan struct{} // closed when it is down
	wake  chan struct{} // of the flusher; capacity 1

	queued atomic.Int64 // bytes in the queue; written with mu held
	stuck  atomic.Bool  // somebody waited for room in vain

	guard guard // of the reader

	mu      sync.Mutex // guards what follows
	classes []class    // that wait, of higher priority first
	spare   []byte
	writing bool          // somebody writes
	slow    bool          // the flusher alone writes, until it has caught up
	rest    []byte        // what a write left over; the flusher's next
	room    chan struct{} // closed when there is; nil while nobody waits
	closing bool

	// For whoever writes.
	out   []byte
	wrote int
	werr  error
	try   func(fd uintptr) bool
}

// A class is what waits of one priority.
type class struct {
	priority int
	frames   []byte
}

// patience is how long a submitter waits for room before the other end counts as stuck.
const patience = 50 * time.Millisecond

func newLink(n *Endpoint, conn net.Conn, node uint64, name string) (*Link, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, errors.New("not TCP")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	l := &Link{
		n: n, node: node, name: name, conn: tcp, raw: raw,
		ended: make(chan struct{}), gone: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	l.try = func(fd uintptr) bool {
		for {
			l.wrote, l.werr = syscall.Write(int(fd), l.out)
			if !errors.Is(l.werr, syscall.EINTR) {
				return true
			}
		}
	}
	return l, nil
}

// Node is the process at the other end.
func (l *Link) Node() uint64 { return l.node }

// Up tells whether events can be sent.
func (l *Link) Up() bool { return !l.down.Load() }

// Room waits a short while for room in the queue, once for each time that the other end takes nothing.
func (l *Link) Room() {
	if l.queued.Load() < MaxQueue/2 || l.stuck.Load() {
		return
	}
	l.mu.Lock()
	if l.room == nil {
		l.room = make(chan struct{})
	}
	room := l.room
	l.mu.Unlock()
	if l.queued.Load() < MaxQueue/2 { // meanwhile
		return
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-room:
	case <-l.gone:
	case <-late.C:
		l.stuck.Store(true)
	}
}

// Queue queues an event whose body [AppendBody] made for sinks at the other end: ok is false when there is no room or the
// link is down. With flush the caller has to call Flush, soon. More says that other events follow at once: then the
// link's own goroutine writes, so that they travel together, and flush is false.
func (l *Link) Queue(priority int, dests []Dest, body []byte, more bool) (ok, flush bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queue(priority, headBytes+len(dests)*mostPerDest+len(body))
	if q == nil {
		return false, false
	}
	was := len(q.frames)
	q.frames = appendEvent(q.frames, dests, body)
	return true, l.added(len(q.frames)-was, more)
}

// QueueAnswer queues an answer to the event called re.
func (l *Link) QueueAnswer(priority int, re uint64, body []byte) (ok, flush bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queue(priority, headBytes+binary.MaxVarintLen64+len(body))
	if q == nil {
		return false, false
	}
	was := len(q.frames)
	q.frames = appendAnswer(q.frames, re, body)
	return true, l.added(len(q.frames)-was, false)
}

// queue returns where a frame of a priority waits; nil when there is no room. mu is held.
func (l *Link) queue(priority, size int) *class {
	if size > MaxFrame || l.closing || l.down.Load() || int(l.queued.Load())+size > MaxQueue {
		return nil
	}
	i := 0
	for i < len(l.classes) && l.classes[i].priority > priority {
		i++
	}
	if i == len(l.classes) || l.classes[i].priority != priority {
		l.classes = append(l.classes, class{})
		copy(l.classes[i+1:], l.classes[i:])
		l.classes[i] = class{priority: priority, frames: l.spare[:0]}
		l.spare = nil
	}
	return &l.classes[i]
}

// added counts a frame and tells whether the caller is to write it. mu is held.
func (l *Link) added(size int, more bool) (flush bool) {
	l.queued.Add(int64(size))
	switch {
	case l.writing || l.slow:
		return false // whoever writes sees to it
	case more:
		l.rouse()
		return false
	}
	l.writing = true
	return true
}

func (l *Link) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take takes all that waits. mu is held.
func (l *Link) take() []byte {
	out := l.rest
	l.rest = nil
	if len(out) == 0 && len(l.classes) == 1 {
		out = l.classes[0].frames
	} else {
		for i := range l.classes {
			out = append(out, l.classes[i].frames...)
		}
	}
	clear(l.classes)
	l.classes = l.classes[:0]
	l.queued.Store(0)
	return out
}

// Flush writes what waits, without waiting for the other end: what it does not take at once the flusher writes.
func (l *Link) Flush() {
	l.mu.Lock()
	l.out = l.take()
	l.mu.Unlock()
	l.wrote, l.werr = 0, nil
	err := l.raw.Write(l.try)
	if err == nil && l.werr != nil && !errors.Is(l.werr, syscall.EAGAIN) {
		err = l.werr
	}
	if err != nil {
		l.fail(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing = false
	if n := max(0, l.wrote); n < len(l.out) && err == nil {
		l.rest, l.slow = l.out[n:], true
		l.queued.Add(int64(len(l.rest)))
	} else {
		l.recycle(l.out)
	}
	l.out = nil
	if l.slow || len(l.classes) > 0 {
		l.rouse()
	}
}

// recycle keeps a buffer for the next class. mu is held.
func (l *Link) recycle(b []byte) {
	if cap(b) <= MaxQueue/4 {
		l.spare = b[:0]
	}
}

// flusher writes what others leave to it.
func (l *Link) flusher() {
	for {
		select {
		case <-l.gone:
			return
		case <-l.wake:
		}
		for l.flushOnce() {
		}
	}
}

// flushOnce writes what waits, and tells whether there may be more.
func (l *Link) flushOnce() bool {
	l.mu.Lock()
	if l.writing || len(l.classes) == 0 && len(l.rest) == 0 {
		l.mu.Unlock()
		return false // whoever writes rouses
	}
	l.writing = true
	out := l.take()
	l.mu.Unlock()
	err := l.conn.SetWriteDeadline(time.Now().Add(WriteTimeout))
	if err == nil {
		_, err = l.conn.Write(out)
	}
	if err == nil {
		err = l.conn.SetWriteDeadline(time.Time{}) // else Flush, which sets none, would meet this one once it has passed
	}
	if err != nil {
		l.fail(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing = false
	l.recycle(out)
	l.stuck.Store(false)
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
	if len(l.classes) == 0 {
		l.slow = false
		return false
	}
	return err == nil
}

// fail ends the link at once.
func (l *Link) fail(error) {
	if l.down.Swap(true) {
		return
	}
	close(l.gone)
	_ = l.conn.Close()
}

// close sends what waits, if the other end takes it, and ends the link.
func (l *Link) close() {
	l.mu.Lock()
	again := l.closing
	l.closing = true
	l.mu.Unlock()
	if !again {
		late := time.Now().Add(closeTimeout)
		l.empty(late)
		_ = l.conn.CloseWrite()
		select {
		case <-l.ended:
		case <-time.After(time.Until(late)):
		}
	}
	l.fail(net.ErrClosed)
}

// empty waits until nothing waits to be written.
func (l *Link) empty(late time.Time) {
	for time.Now().Before(late) && l.Up() {
		l.mu.Lock()
		idle := !l.writing && len(l.classes) == 0 && len(l.rest) == 0
		l.mu.Unlock()
		if idle {
			return
		}
		l.rouse()
		time.Sleep(time.Millisecond)
	}
}
