package engine

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// threads is the engine with a goroutine for each connection, each of which may have an operating system thread of its own. They
// wait in the runtime's poller: a locked goroutine has its thread sleep in the kernel meanwhile.
type threads struct {
	talks
	locked bool
	lanes  sync.Pool // of *lane: only those who have something to do need one
}

// mostThreads bounds the connections of threads-1to1: the runtime ends a process of more than 10000 threads.
const mostThreads = 8000

func threadsKind(name, about string, locked bool) Kind {
	return Kind{
		Name: name, About: about, MaxLoops: 1, Threads: true, Blind: true,
		Listen: func(cfg Config, handler func(loop int) Handler) (Engine, error) {
			e := &threads{locked: locked}
			e.s, e.by, e.sweep = new(shared), e, mono.Never
			e.s.model = e
			if locked {
				e.limit = mostThreads
			}
			e.lanes.New = func() any { return e.newLane() }
			return e.s, listenShared(e.s, cfg, handler)
		},
	}
}

func (e *threads) start() {}

func (e *threads) welcome(fd int) {
	k := e.s.keeper
	t := e.open(fd)
	if t == nil {
		k.count.Shed++
		_ = netpoll.Close(fd)
		return
	}
	t.th = new(Thread)
	t.file = os.NewFile(uintptr(fd), "connection")
	t.raw, t.err = t.file.SyscallConn()
	t.try = func(uintptr) bool { return e.try(t) }
	t.send = func(fd uintptr) bool {
		t.got, t.err = t.ln.send(int(fd), &t.x)
		return t.err != netpoll.ErrAgain
	}
	e.wg.Go(func() { e.serve(t) })
}

// serve is the thread of a connection.
func (e *threads) serve(t *talk) {
	if e.locked {
		runtime.LockOSThread() // the thread ends with the goroutine
	}
	if t.err == nil {
		for e.round(t) {
		}
	}
	e.shut(t)
	if t.ln != nil {
		e.lanes.Put(t.ln)
	}
	t.th.end()
}

// round waits for input and acts on it, or on what else there is to do. It reports false when the connection is to end.
func (e *threads) round(t *talk) bool {
	err := t.raw.Read(t.try)
	switch {
	case err == nil:
		return t.took()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return e.interrupted(t)
	default:
		return false
	}
}

// try reads what is there. It reports false if the goroutine is to wait for more.
func (e *threads) try(t *talk) bool {
	if t.ln == nil {
		t.ln = e.lanes.Get().(*lane)
	}
	t.read()
	if t.err == netpoll.ErrAgain && !t.final {
		e.lanes.Put(t.ln)
		t.ln = nil
		return false
	}
	return true
}

// interrupted finds out why the wait for input ended before there was any.
func (e *threads) interrupted(t *talk) bool {
	s := e.s
	s.enter()
	_ = t.file.SetReadDeadline(time.Time{})
	for len(t.todo) > 0 {
		t.work()
	}
	late, gone := t.late, t.gone
	t.late = false
	t.final = e.draining && t.phase == between
	s.leave()
	switch {
	case gone:
		return false
	case late && t.phase == reading:
		t.ln = e.lanes.Get().(*lane)
		return t.refuse(errSlow) && t.leave()
	}
	return !late
}

// past is a deadline that ends a wait.
var past = time.Unix(1, 0)

// rouse ends the wait that t is in, or the next one.
func (e *threads) rouse(t *talk) {
	_ = t.file.SetReadDeadline(past)
	if t.phase == writing && (t.late || t.gone) || t.gone {
		_ = t.file.SetWriteDeadline(past)
	}
}

func (e *threads) await(t *talk) bool {
	return t.raw.Write(t.send) == nil
}

func (e *threads) do(t *talk, fn func(*Thread)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fn(t.th)
}

func (e *threads) rejects(*talk) bool { return false }

// other is done by a thread that ends after it.
func (e *threads) other(fn func(*Thread)) {
	e.wg.Go(func() {
		runtime.LockOSThread()
		var th Thread
		fn(&th)
		th.end()
	})
}

func (e *threads) happened(uint32, uint32, netpoll.Events) {}

func (e *threads) stop() {
	e.breakAll()
	e.wg.Wait()
}

// close frees the connection's descriptor.
func (t *talk) close() {
	if t.file != nil {
		_ = t.file.Close()
		return
	}
	_ = netpoll.Close(t.fd)
}
