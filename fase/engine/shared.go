package engine

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// shared is what engines have in common whose requests are served by many threads with one handler: the handler's lock, which stands for
// loop 0, and one thread, the keeper, that belongs to no request. The keeper is a reactor without connections: it accepts, waits for the
// handler's next instant and for what is posted, carries the calls to other servers, and passes on what happens to connections.
//
// Locks are taken in this order: mu, a connection's, those of queues.
type shared struct {
	*reactors // of one loop, the keeper
	keeper    *reactor
	model     model
	tally     tally
	spent     atomic.Bool // the grace is over

	mu      sync.Mutex // the handler's lock; guards what follows, the keeper's calls and its now
	handler Handler
	until   int64    // instant until which the keeper sleeps; 0 while it does not
	res     Response // being given
}

// A model is what an engine adds to shared. The keeper alone calls its methods but for respond, work and disconnect, and without mu.
type model interface {
	// start begins to serve.
	start()
	// welcome takes a new connection.
	welcome(fd int)
	// happened tells of events of a connection that was added to the keeper's poller.
	happened(gen, slot uint32, ev netpoll.Events)
	// next is the instant of the next time-out, and expire acts on those that are due.
	next() int64
	expire(now int64)
	// drain has connections end as soon as nothing is under way on them.
	drain()
	// stop ends what start began, and breaks the connections that are left.
	stop()
	// respond is Loop.Respond, and work Loop.Work. The handler's lock is held.
	respond(ref Ref, res *Response) bool
	// disconnect breaks every connection with a reset; whoever serves it closes it. The handler's lock is held.
	disconnect()
	// hangUp breaks the connection of a request likewise, unless it is answered already.
	hangUp(ref Ref)
	work(ref Ref, kind WorkKind, fn func(*Thread)) bool
}

// listenShared opens s, of which the model is set, on the address of cfg.
func listenShared(s *shared, cfg Config, handler func(loop int) Handler) error {
	s.reactors = &reactors{mechanism: netpoll.Epoll}
	if _, err := listen(s.reactors, cfg, func(int) Handler { return &gate{s} }); err != nil {
		return err
	}
	s.keeper = s.loops[0]
	s.keeper.guests = s.model.welcome
	s.handler = handler(0)
	return nil
}

// enter takes the handler's lock, at the instant now.
func (s *shared) enter() {
	s.mu.Lock()
	s.keeper.now = mono.Now()
}

// leave gives the lock back, and wakes the keeper if something is due before it would wake by itself.
func (s *shared) leave() {
	early := s.until > 0 && min(s.handler.Next(), s.keeper.calls.next()) < s.until
	if early {
		s.until = 0
	}
	s.mu.Unlock()
	if early {
		s.keeper.poller.Wake()
	}
}

// Run serves until ctx ends.
func (s *shared) Run(ctx context.Context) error {
	return s.run(ctx, func() error {
		s.model.start()
		err := s.keep()
		s.spent.Store(true)
		s.model.stop()
		s.end()
		return err
	})
}

// Post has fn called there and then if nobody has the lock, and by the keeper otherwise.
func (s *shared) Post(i int, fn func(Loop)) bool {
	if !s.mu.TryLock() {
		return s.reactors.Post(i, fn)
	}
	now := s.keeper.box.clear()
	if now {
		s.keeper.now = mono.Now()
		fn(s)
	}
	s.leave()
	return now || s.reactors.Post(i, fn)
}

func (s *shared) Stats() Stats {
	st := s.reactors.Stats()
	s.tally.addTo(&st)
	return st
}

// keep is the keeper's loop.
func (s *shared) keep() error {
	k := s.keeper
	s.mu.Lock()
	err := k.prepare()
	k.poller.Light(false) // the other threads need the runtime's processors while this one sleeps
	s.mu.Unlock()
	if err != nil {
		return err
	}
	for !s.over() {
		if err := s.turn(); err != nil {
			return err
		}
	}
	return nil
}

// over reports whether the keeper may end.
func (s *shared) over() bool {
	s.enter()
	defer s.mu.Unlock()
	return s.keeper.finished()
}

// end tells the handler what is left to tell. The other threads have ended.
func (s *shared) end() {
	k := s.keeper
	s.enter()
	defer s.mu.Unlock()
	k.box.shut()
	s.receive()
	k.failCalls()
	k.published.publish(&k.count, int(s.open.Load()))
}

// turn waits once and acts on whatever happened.
func (s *shared) turn() error {
	k := s.keeper
	events, err := s.wait()
	if err != nil {
		return err
	}
	s.enter()
	s.until = 0
	stop := s.receive()
	s.advance()
	s.mu.Unlock()
	for _, ev := range events {
		switch ev.Tag &^ (tagGenMask<<32 | (1<<32 - 1)) {
		case tagListener:
			k.accept()
		case tagCall:
			s.enter()
			k.callEvent(ev)
			s.mu.Unlock()
		default:
			s.model.happened(uint32(ev.Tag>>32)&tagGenMask, uint32(ev.Tag), ev.Events)
		}
	}
	s.enter()
	s.advance()
	k.calls.expire(k)
	now := k.now
	s.mu.Unlock()
	s.model.expire(now)
	if stop && !k.draining {
		k.drain()
		s.model.drain()
	}
	if now >= k.retryAt {
		k.retryAt = mono.Never
		return k.listen()
	}
	return nil
}

// wait sleeps until the next thing that is due.
func (s *shared) wait() ([]netpoll.Event, error) {
	k := s.keeper
	until := min(s.model.next(), k.retryAt, k.stopAt)
	s.mu.Lock()
	k.published.publish(&k.count, int(s.open.Load()))
	until = min(until, s.handler.Next(), k.calls.next())
	k.box.asleep.Store(true)
	if !k.box.empty() {
		until = 0
	}
	s.until = until
	s.mu.Unlock()
	events, err := k.poller.Wait(until)
	k.box.asleep.Store(false)
	return events, err
}

// receive acts on what was posted, under the lock, and reports whether the engine is to end.
func (s *shared) receive() (stop bool) {
	k := s.keeper
	if k.box.empty() {
		return false
	}
	k.msgs, k.arena = k.box.take(k.msgs, k.arena)
	for i := range k.msgs {
		switch m := &k.msgs[i]; m.kind {
		case callMessage:
			m.fn(s)
		case stopMessage:
			stop = true
		}
	}
	return stop
}

// advance lets the handler act if it wants to, under the lock.
func (s *shared) advance() {
	if now := s.keeper.now; s.handler.Next() <= now {
		s.handler.Advance(s, now)
	}
}

// left notes that a connection holds the end up no more: it has closed, or only waits for its peer's close.
func (s *shared) left() {
	if s.open.Add(-1) == 0 {
		s.keeper.box.post(message{kind: wakeMessage}, nil, nil)
	}
}

// gate is the handler that the keeper's outgoing side knows: it stands before the real one, which is to see s as its loop.
type gate struct{ s *shared }

func (g *gate) Request(Loop, Ref, *Request)           {}
func (g *gate) Closed(Loop, Ref)                      {}
func (g *gate) Answer(_ Loop, ref CallRef, a *Answer) { g.s.handler.Answer(g.s, ref, a) }
func (g *gate) Next() int64                           { return mono.Never }
func (g *gate) Advance(Loop, int64)                   {}

// What follows is Loop, for the handler, under the lock.

func (s *shared) Index() int { return 0 }

func (s *shared) Now() int64 { return s.keeper.now }

func (s *shared) Touch() int64 { return s.keeper.Touch() }

func (s *shared) Respond(ref Ref, res Response) bool {
	s.res = res // a pointer to res itself would have it allocated
	ok := ref.loop() == 0 && s.model.respond(ref, &s.res)
	s.res = Response{}
	return ok
}

func (s *shared) Pass(to int, ref Ref, r *Request) bool {
	if to != 0 {
		return false
	}
	s.handler.Request(s, ref, r)
	return true
}

func (s *shared) Call(addr string, req []byte, deadline int64, ref CallRef) {
	s.keeper.Call(addr, req, deadline, ref)
}

func (s *shared) Cancel(ref CallRef) { s.keeper.Cancel(ref) }

func (s *shared) Work(ref Ref, kind WorkKind, fn func(*Thread)) bool {
	return s.model.work(ref, kind, fn)
}

// tally is the Stats of connections that many threads serve.
type tally struct {
	requests, responses, refused, timedOut, bytesIn, bytesOut atomic.Uint64
}

func (t *tally) addTo(s *Stats) {
	s.Requests += t.requests.Load()
	s.Responses += t.responses.Load()
	s.Refused += t.refused.Load()
	s.TimedOut += t.timedOut.Load()
	s.BytesIn += t.bytesIn.Load()
	s.BytesOut += t.bytesOut.Load()
}
