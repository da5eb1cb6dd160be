package engine

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"

	"github.com/eve-emulation/eve/fase/engine/stage"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// actors is the engine of that name: each connection is an actor, a state that only its own messages touch, with a mailbox. The
// keeper polls, and posts what happens to the mailboxes; the handler's responses go there too. An actor with messages stands in the run queue
// of a fixed number of scheduler threads, of which one runs it for a turn: until its mailbox is empty or it has used its reductions up.
// Disk work blocks threads of its own, as Erlang's dirty I/O schedulers.
type actors struct {
	shared
	sessions
	spares spares
	run    *stage.Stage[job]
	disks  *stage.Stage[func(*Thread)]
	stops  []func()
}

// A job is what a scheduler thread does in one turn: that of an actor, or work whose actor has died.
type job struct {
	actor *session
	work  func(*Thread)
}

// A scheduler is what a scheduler thread keeps.
type scheduler struct {
	Thread
	wire    *wire
	scratch []byte
}

const (
	// reductions is how many messages and requests an actor may take in one turn.
	reductions = 64
	// ioSchedulers is how many threads do disk work: Erlang's default for dirty I/O schedulers.
	ioSchedulers = 10
)

func listenActors(cfg Config, handler func(loop int) Handler) (Engine, error) {
	if cfg.Threads == 0 {
		cfg.Threads = max(runtime.GOMAXPROCS(0), 2)
	}
	e := new(actors)
	e.model = e
	e.sessions.init(&e.shared)
	e.keeps = true
	if err := listenShared(&e.shared, cfg, handler); err != nil {
		return nil, err
	}
	e.configure(&e.cfg)
	var errs [2]error
	e.run, errs[0] = stage.New(e.pool("schedulers", e.cfg.Threads), e.turn)
	e.disks, errs[1] = stage.New(e.pool("io", ioSchedulers), e.io)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// pool describes a fixed number of threads that take one thing at a time from a queue without a bound.
func (e *actors) pool(name string, threads int) stage.Config {
	return stage.Config{
		Name: name, Queue: math.MaxInt,
		Threads:  stage.ThreadsConfig{Least: threads, Most: threads},
		Batching: stage.BatchingConfig{Fixed: 1},
		Ends: func(t *stage.Thread) {
			switch th := t.Local.(type) {
			case *scheduler:
				th.end()
			case *Thread:
				th.end()
			}
		},
	}
}

// Stages returns how the run queue and that of disk work stand. Any goroutine may call it.
func (e *actors) Stages() []StageStats { return []StageStats{e.run.Stats(), e.disks.Stats()} }

func (e *actors) start() {
	for _, run := range []func(context.Context){e.run.Run, e.disks.Run} {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { run(ctx) })
		e.stops = append(e.stops, func() {
			cancel()
			wg.Wait()
		})
	}
}

// stop ends the schedulers; the keeper's thread does what they did not come to.
func (e *actors) stop() {
	for _, stop := range e.stops {
		stop()
	}
	th := &Thread{ending: &e.spent}
	e.each(func(c *session) {
		for c.living() {
			l, ok := e.spares.take(c)
			if !ok {
				e.die(c)
				e.bury(c)
				break
			}
			if l.work != nil {
				l.work(th)
			}
			e.sessions.pool.put(l.buf)
		}
	})
	th.end()
}

// What follows is the keeper's.

func (e *actors) welcome(fd int) {
	if c := e.sessions.take(fd); c != nil {
		c.born()
	}
}

func (e *actors) happened(gen, slot uint32, ev netpoll.Events) {
	c := e.at(slot)
	if c == nil {
		return
	}
	var s signals
	if ev&netpoll.Err != 0 || ev&netpoll.Hup != 0 && ev&netpoll.In == 0 {
		s |= broken
	}
	if ev&(netpoll.In|netpoll.RdHup) != 0 {
		s |= readable
	}
	if ev&netpoll.RdHup != 0 {
		s |= halfClosed
	}
	if ev&netpoll.Out != 0 {
		s |= writable
	}
	e.signal(c, gen, s)
}

// signal posts signals to an actor of that generation.
func (e *actors) signal(c *session, gen uint32, s signals) {
	c.mu.Lock()
	ready := c.alive && c.gen&tagGenMask == gen && c.post(s)
	c.mu.Unlock()
	if ready {
		e.run.Push(job{actor: c})
	}
}

func (e *actors) expire(now int64) {
	for k := range timeouts {
		for _, c := range e.overdue(now, k) {
			c.mu.Lock()
			ready := c.alive && c.post(tooLate<<k)
			c.mu.Unlock()
			if ready {
				e.run.Push(job{actor: c})
			}
		}
	}
}

func (e *actors) drain() {
	e.draining.Store(true)
	e.each(func(c *session) { // a request may have come already
		c.mu.Lock()
		ready := c.alive && c.post(readable)
		c.mu.Unlock()
		if ready {
			e.run.Push(job{actor: c})
		}
	})
}

// What follows is the handler's loop, under its lock.

func (e *actors) respond(ref Ref, res *Response) bool {
	c := e.at(ref.slot())
	if c == nil || !e.spares.awaits(c, ref.serial()) {
		return false
	}
	l := letter{serial: ref.serial(), status: res.Status, filler: res.Filler, close: res.Close, header: len(res.Header)}
	if n := len(res.Header) + len(res.Body); n > 0 {
		l.buf = append(append(e.sessions.pool.get(n), res.Header...), res.Body...)
	}
	if !e.mail(c, l) {
		e.sessions.pool.put(l.buf)
		return false
	}
	return true
}

// mail puts a letter into the mailbox of a living actor.
func (e *actors) mail(c *session, l letter) bool {
	c.mu.Lock()
	if !c.alive || l.work != nil && (l.serial-c.first)&serialMask > serialMask/2 {
		c.mu.Unlock()
		return false
	}
	e.spares.put(c, l)
	ready := c.post(0)
	c.mu.Unlock()
	if ready {
		e.run.Push(job{actor: c})
	}
	return true
}

func (e *actors) work(ref Ref, kind WorkKind, fn func(*Thread)) bool {
	if kind == Disk {
		return e.disks.Push(fn)
	}
	c := e.at(ref.slot())
	if c != nil && e.mail(c, letter{serial: ref.serial(), work: fn}) {
		return true
	}
	return e.run.Push(job{work: fn})
}

// io does disk work.
func (e *actors) io(t *stage.Thread, batch []func(*Thread)) {
	th, ok := t.Local.(*Thread)
	if !ok {
		th = &Thread{ending: &e.spent}
		t.Local = th
	}
	for _, fn := range batch {
		fn(th)
	}
}
