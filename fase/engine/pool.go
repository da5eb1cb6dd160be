package engine

import (
	"runtime"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// pool is the engine with a bounded number of threads. The keeper watches the connections, and queues those on which something has come;
// a thread takes the first, reads, has the request handled, waits for its response and writes it, before it takes another. What would
// have to wait behind a full queue is refused by the keeper.
type pool struct {
	talks
	own   *lane   // the keeper's
	dealt []*talk // the keeper's: to look after

	queue   []*talk // from head on
	head    int
	loose   []func(*Thread) // work of connections that are gone
	workers int
	coming  bool      // one has been woken, and has not looked yet
	idle    []*worker // the latest last
	late    []*talk   // for the keeper: the peer's time is over
}

// A worker is a thread of a pool.
type worker struct {
	p    *pool
	ln   *lane
	th   Thread
	wake chan struct{}
}

func poolKind(name, about string) Kind {
	return Kind{
		Name: name, About: about, MaxLoops: 1, Threads: true,
		Listen: func(cfg Config, handler func(loop int) Handler) (Engine, error) {
			p := &pool{}
			p.s, p.by, p.sweep = new(shared), p, mono.Never
			p.s.model = p
			if err := listenShared(p.s, cfg, handler); err != nil {
				return nil, err
			}
			p.own = p.newLane()
			return p.s, nil
		},
	}
}

func (p *pool) start() {}

func (p *pool) welcome(fd int) {
	k := p.s.keeper
	t := p.open(fd)
	if t == nil {
		k.count.Shed++
		_ = netpoll.Close(fd)
		return
	}
	if err := k.poller.Add(fd, tag(0, t.gen, t.slot), netpoll.In|netpoll.RdHup|netpoll.Edge); err != nil {
		k.count.Shed++
		p.shut(t)
	}
}

func (p *pool) happened(gen, at uint32, ev netpoll.Events) {
	s := p.s
	s.enter()
	if int(at) >= len(p.slots) || p.slots[at].t == nil || p.slots[at].gen != gen {
		s.leave()
		return // closed earlier in this batch
	}
	t := p.slots[at].t
	if ev&(netpoll.RdHup|netpoll.Hup|netpoll.Err) != 0 {
		t.hup = true
		p.tell(t)
	}
	switch {
	case t.held:
		t.again = true
	case t.phase == lingering || p.full():
		p.take(t)
	default:
		p.push(t)
	}
	s.leave()
	p.attendTo()
}

// full reports whether no further request may wait.
func (p *pool) full() bool {
	return len(p.queue)-p.head >= p.s.cfg.Queue && len(p.idle) == 0 && p.workers == p.s.cfg.Threads
}

// push queues t for a thread, under the lock.
func (p *pool) push(t *talk) {
	t.held = true
	p.queue = append(p.queue, t)
	p.summon()
}

// summon wakes a thread, or begins one if there may be more, unless one is on its way: that one calls the next if there is more to do.
func (p *pool) summon() {
	if p.coming {
		return
	}
	if n := len(p.idle); n > 0 {
		p.coming = true
		p.idle[n-1].wake <- struct{}{}
		p.idle = p.idle[:n-1]
		return
	}
	if p.workers < p.s.cfg.Threads {
		p.coming = true
		p.workers++
		w := &worker{p: p, ln: p.newLane(), wake: make(chan struct{}, 1)}
		p.wg.Go(w.run)
	}
}

// pop returns the connection that has waited longest, nil if none does.
func (p *pool) pop() *talk {
	if p.head == len(p.queue) {
		return nil
	}
	t := p.queue[p.head]
	p.queue[p.head] = nil
	if p.head++; p.head == len(p.queue) {
		p.queue, p.head = p.queue[:0], 0
	} else if p.head > 64 && p.head > len(p.queue)/2 {
		n := copy(p.queue, p.queue[p.head:])
		clear(p.queue[n:])
		p.queue, p.head = p.queue[:n], 0
	}
	return t
}

// run is the thread.
func (w *worker) run() {
	runtime.LockOSThread() // it ends with the goroutine
	p, s := w.p, w.p.s
	s.enter()
	p.coming = false
	for {
		fn, t := p.deal()
		switch {
		case fn != nil:
			s.leave()
			fn(&w.th)
			s.enter()
		case t != nil:
			s.leave()
			p.serve(t, w.ln, &w.th)
			s.enter()
		case p.stopped:
			p.workers-- // what is left by those whom the keeper ends gets another
			s.leave()
			w.th.end()
			return
		default:
			p.idle = append(p.idle, w)
			s.leave()
			<-w.wake
			s.enter()
			p.coming = false
		}
	}
}

// deal gives a thread what is to be done next, and has another come if there is more.
func (p *pool) deal() (fn func(*Thread), t *talk) {
	if len(p.loose) > 0 {
		fn = p.loose[0]
		p.loose = append(p.loose[:0], p.loose[1:]...)
	} else {
		t = p.pop()
	}
	if len(p.loose) > 0 || p.head < len(p.queue) {
		p.summon()
	}
	return fn, t
}

// serve looks after t once: it does what is to do, reads what has come, and handles it.
func (p *pool) serve(t *talk, ln *lane, th *Thread) {
	t.ln, t.th = ln, th
	alive := p.turn(t)
	t.ln = nil
	if !alive {
		p.shut(t)
		return
	}
	t.th = nil
	s := p.s
	s.enter()
	switch {
	case t.gone || p.draining && t.phase == between && t.final:
		s.leave()
		t.th = th
		p.shut(t)
		return
	case len(t.todo) > 0:
		p.push(t)
	case t.again || t.late || p.draining && t.phase == between:
		t.again = false
		if th == nil && (t.late || t.phase == lingering || p.full()) {
			p.take(t)
		} else {
			p.push(t) // behind those that wait already
		}
	default:
		t.held = false
	}
	s.leave()
}

// turn is serve, while the connection stands.
func (p *pool) turn(t *talk) bool {
	s := p.s
	s.enter()
	for len(t.todo) > 0 && t.th != nil {
		t.work()
	}
	late, gone, hup := t.late, t.gone, t.hup
	t.late, t.final = false, p.draining
	s.leave()
	if gone {
		return false
	}
	if late {
		return t.phase == reading && t.refuse(errSlow) && t.leave()
	}
	for range readRounds {
		t.read()
		if t.err == netpoll.ErrAgain {
			return true
		}
		if !t.took() {
			return false
		}
		if t.phase != lingering && t.short && !hup {
			return true // what comes from here on makes a new edge
		}
	}
	s.enter()
	t.again = true
	s.leave()
	return true
}

// take gives t to the keeper, under the lock.
func (p *pool) take(t *talk) {
	t.held = true
	p.late = append(p.late, t)
}

// attendTo has the keeper look after those that have no place in the queue.
func (p *pool) attendTo() {
	p.s.enter()
	p.dealt, p.late = p.late, p.dealt[:0]
	p.s.leave()
	for i, t := range p.dealt {
		p.serve(t, p.own, nil)
		p.dealt[i] = nil
	}
}

// rejects is for those whom the keeper serves.
func (p *pool) rejects(t *talk) bool { return t.th == nil }

func (p *pool) await(t *talk) bool {
	if t.th == nil {
		return false // the keeper waits for nobody
	}
	if _, err := netpoll.Await(t.fd, netpoll.Out, mono.Never); err != nil {
		return false
	}
	t.got, t.err = t.ln.send(t.fd, &t.x)
	return true
}

func (p *pool) do(t *talk, fn func(*Thread)) { fn(t.th) }

func (p *pool) rouse(t *talk) {
	switch {
	case t.held:
		if t.phase == writing && (t.gone || t.late) {
			_ = netpoll.CloseWrite(t.fd) // ends its wait
		}
	case t.late:
		p.take(t)
	default:
		p.push(t)
	}
}

func (p *pool) other(fn func(*Thread)) {
	p.loose = append(p.loose, fn)
	p.summon()
}

func (p *pool) next() int64 {
	p.s.enter()
	defer p.s.mu.Unlock()
	if len(p.late) > 0 {
		return 0
	}
	return p.sweep
}

func (p *pool) expire(now int64) {
	p.talks.expire(now)
	p.attendTo()
}

func (p *pool) stop() {
	p.breakAll()
	p.s.enter()
	for _, w := range p.idle {
		w.wake <- struct{}{}
	}
	p.idle = p.idle[:0]
	p.s.leave()
	p.attendTo()
	p.wg.Wait()
}
