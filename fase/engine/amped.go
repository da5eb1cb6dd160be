package engine

import (
	"runtime"
	"sync"

	"github.com/eve-emulation/eve/internal/netpoll"
)

// helpers are the threads of an asymmetric multi-process event-driven server (Pai, Druschel, Zwaenepoel: Flash, USENIX 1999): they
// wait for the disk so that the loop does not have to. What is to be done waits in one queue, without bound.
type helpers struct {
	wg sync.WaitGroup

	mu    sync.Mutex // guards what follows
	more  sync.Cond
	queue []func(*Thread)
	ended bool
}

// amped is an event loop with helpers.
func amped(name, about string) Kind {
	return Kind{
		Name: name, About: about, MaxLoops: 1, Helpers: true,
		Listen: func(cfg Config, handler func(loop int) Handler) (Engine, error) {
			h := new(helpers)
			h.more.L = &h.mu
			return listen(&reactors{mechanism: netpoll.Epoll, helpers: h}, cfg, handler)
		},
	}
}

// start begins n threads.
func (h *helpers) start(n int) {
	for range n {
		h.wg.Go(h.run)
	}
}

// run is a helper.
func (h *helpers) run() {
	runtime.LockOSThread() // the thread ends with the goroutine
	var t Thread
	defer t.end()
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		for len(h.queue) == 0 {
			if h.ended {
				return
			}
			h.more.Wait()
		}
		fn := h.queue[0]
		h.queue = append(h.queue[:0], h.queue[1:]...)
		h.mu.Unlock()
		fn(&t)
		h.mu.Lock()
	}
}

// do queues fn; false if the helpers have ended.
func (h *helpers) do(fn func(*Thread)) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return false
	}
	h.queue = append(h.queue, fn)
	h.more.Signal()
	return true
}

// stop ends the helpers once all is done, and waits for them.
func (h *helpers) stop() {
	h.mu.Lock()
	h.ended = true
	h.more.Broadcast()
	h.mu.Unlock()
	h.wg.Wait()
}
