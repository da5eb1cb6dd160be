package bench

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// A clocked server is a raw event loop that tells when each request came, and fails as it is told: what clients say of themselves is held
// against it. It knows as much of HTTP as the raw loop in C, the empty line that ends a request without a body.
//
// Its loop has a thread of its own. The orders of a part reach it under mu, which the loop takes once each time round.
type clocked struct {
	listener int
	address  string
	poller   *netpoll.Poller
	stopping atomic.Bool
	loops    sync.WaitGroup
	failed   error // of the loop, once it has ended

	mu       sync.Mutex // guards what follows up to the loop's own
	plan     mischief
	number   int     // of requests since begin
	arrivals []int64 // instants of mono, in the order in which requests were read
	over     []int32 // by arrival: the connection that it came over, numbered since begin
	numbers  int32   // of connections that asked since begin

	conns []clockedConn // by descriptor
	in    []byte
	late  []delayed // answers to be given, the next first
	begun uint32    // begins so far: connections are numbered anew
}

// A clockedConn is one connection of a clocked server.
type clockedConn struct {
	gen    uint32 // connections that had the descriptor so far
	seen   uint8  // how much of the empty line ended the last read
	begun  uint32 // of which begin its number is
	number int32
}

// A delayed answer is of a connection that may be gone by then.
type delayed struct {
	at  int64
	fd  int
	gen uint32
}

// mischief is what a clocked server does to those who ask.
type mischief struct {
	Delay    time.Duration // an answer is given so long after its request was read
	Mute     int           // each so-manieth request is never answered; 0: all are
	FreezeAt int64         // instant of mono at which the server stands still; 0: never
	Freeze   time.Duration // for so long
}

// seenArrivals is what a clocked server has seen since begin.
type seenArrivals struct {
	At   []int64 // instants of mono, ascending
	Over []int32 // the connection that each came over, numbered from 0
}

const (
	clockedBacklog = 4096 // connections that may wait while it is frozen
	clockedMost    = 1 << 21
)

var clockedAnswer = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n")

// openClocked listens on a free port and begins to serve.
func openClocked() (s *clocked, err error) {
	s = &clocked{in: make([]byte, 64<<10), arrivals: make([]int64, 0, 1<<17), over: make([]int32, 0, 1<<17), begun: 1}
	if s.listener, err = netpoll.Listen(netip.MustParseAddrPort("127.0.0.1:0"), clockedBacklog, false); err != nil {
		return nil, err
	}
	at, err := netpoll.Local(s.listener)
	if err == nil {
		s.poller, err = netpoll.NewPoller(512)
	}
	if err != nil {
		return nil, errors.Join(err, netpoll.Close(s.listener))
	}
	s.address = at.String()
	if err := s.poller.Add(s.listener, 0, netpoll.In); err != nil {
		return nil, errors.Join(err, s.poller.Close(), netpoll.Close(s.listener))
	}
	s.loops.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		_ = mono.TimerSlack(1)
		s.failed = s.serve()
	})
	return s, nil
}

// begin forgets what was seen, and does from now on what is told.
func (s *clocked) begin(m mischief) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan, s.number, s.numbers = m, 0, 0
	s.begun++
	s.arrivals, s.over = s.arrivals[:0], s.over[:0]
	s.poller.Wake()
	return nil, nil
}

// collect hands out what was seen since begin.
func (s *clocked) collect() seenArrivals {
	s.mu.Lock()
	defer s.mu.Unlock()
	return seenArrivals{At: append([]int64{}, s.arrivals...), Over: append([]int32{}, s.over...)}
}

// stop ends the loop and closes everything.
func (s *clocked) stop() error {
	s.stopping.Store(true)
	s.poller.Wake()
	s.loops.Wait()
	err := s.failed
	for fd := range s.conns {
		if s.conns[fd].gen%2 == 1 {
			_ = netpoll.Abort(fd)
		}
	}
	return errors.Join(err, netpoll.Close(s.listener), s.poller.Close())
}

func (s *clocked) serve() error {
	for !s.stopping.Load() {
		events, err := s.poller.Wait(s.until())
		if err != nil {
			return err
		}
		if err := s.turn(events); err != nil {
			return err
		}
	}
	return nil
}

// until is when the loop has to act, as an instant of mono.
func (s *clocked) until() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := mono.Never
	if len(s.late) > 0 {
		t = s.late[0].at
	}
	if s.plan.FreezeAt > 0 {
		t = min(t, s.plan.FreezeAt)
	}
	return t
}

// turn serves what has come.
func (s *clocked) turn(events []netpoll.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.plan.FreezeAt; at > 0 && mono.Now() >= at {
		s.plan.FreezeAt = 0
		mono.SleepUntil(at + int64(s.plan.Freeze)) // who begins meanwhile waits too: nothing else is under way
	}
	for _, e := range events {
		if e.Tag == 0 {
			if err := s.accept(); err != nil {
				return err
			}
			continue
		}
		if fd, gen := int(uint32(e.Tag)), uint32(e.Tag>>32); s.conns[fd].gen == gen {
			s.read(fd)
		}
	}
	s.answerLate()
	return nil
}

func (s *clocked) accept() error {
	for {
		fd, err := netpoll.Accept(s.listener)
		switch {
		case errors.Is(err, netpoll.ErrAgain):
			return nil
		case err != nil:
			return err
		}
		for fd >= len(s.conns) {
			s.conns = append(s.conns, clockedConn{})
		}
		s.conns[fd] = clockedConn{gen: s.conns[fd].gen + 1} // odd: open
		if err := s.poller.Add(fd, uint64(s.conns[fd].gen)<<32|uint64(fd), netpoll.In); err != nil {
			return err
		}
	}
}

func (s *clocked) close(fd int) {
	s.conns[fd].gen++
	_ = netpoll.Close(fd)
}

// read takes in what has come over a connection.
func (s *clocked) read(fd int) {
	n, err := netpoll.Read(fd, s.in)
	switch {
	case errors.Is(err, netpoll.ErrAgain):
		return
	case err != nil:
		if !errors.Is(err, io.EOF) {
			_ = netpoll.ConnectError(fd) // a reset is how clients end
		}
		s.close(fd)
		return
	}
	c := &s.conns[fd]
	now := mono.Now()
	for _, b := range s.in[:n] {
		if b != "\r\n\r\n"[c.seen] {
			c.seen = 0
			if b == '\r' {
				c.seen = 1
			}
			continue
		}
		if c.seen++; c.seen == 4 {
			c.seen = 0
			if !s.asked(fd, now) {
				return
			}
		}
	}
}

// asked acts on one request; false when its connection is gone.
func (s *clocked) asked(fd int, now int64) bool {
	c := &s.conns[fd]
	if c.begun != s.begun {
		c.begun, c.number = s.begun, s.numbers
		s.numbers++
	}
	s.number++
	if len(s.arrivals) < clockedMost {
		s.arrivals, s.over = append(s.arrivals, now), append(s.over, c.number)
	}
	switch {
	case s.plan.Mute > 0 && s.number%s.plan.Mute == 0:
	case s.plan.Delay > 0:
		s.late = append(s.late, delayed{at: now + int64(s.plan.Delay), fd: fd, gen: c.gen})
	default:
		return s.say(fd)
	}
	return true
}

// say answers; a client that does not take an answer whole is cut off.
func (s *clocked) say(fd int) bool {
	if n, err := netpoll.Write(fd, clockedAnswer); err != nil || n < len(clockedAnswer) {
		s.close(fd)
		return false
	}
	return true
}

// answerLate gives the answers that were delayed until now. All are delayed by as much, so they are in order.
func (s *clocked) answerLate() {
	n, now := 0, mono.Now()
	for n < len(s.late) && s.late[n].at <= now {
		if d := s.late[n]; s.conns[d.fd].gen == d.gen {
			s.say(d.fd)
		}
		n++
	}
	if n > 0 {
		s.late = s.late[:copy(s.late, s.late[n:])]
	}
}

// clockedPart is a clocked server that serves until the part ends.
func clockedPart(context.Context) (duty, func() error, error) {
	s, err := openClocked()
	if err != nil {
		return nil, nil, err
	}
	return duty{
		"open":    func(json.RawMessage) (any, error) { return door{TCP: s.address}, nil },
		"begin":   take(s.begin),
		"collect": func(json.RawMessage) (any, error) { return s.collect(), nil },
	}, s.stop, nil
}
