package engine_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/internal/mono"
)

// laggard answers at once, and gives work for the latest request later.
type laggard struct {
	latest engine.Ref
	worked atomic.Int64
}

func (h *laggard) Request(l engine.Loop, ref engine.Ref, _ *engine.Request) {
	h.latest = ref
	l.Respond(ref, engine.Response{Body: []byte("yes")})
}

// push gives work to the thread of the latest request.
func (h *laggard) push(l engine.Loop) {
	l.Work(h.latest, engine.CPU, func(t *engine.Thread) {
		t.Local = h // there is a thread
		time.Sleep(100 * time.Microsecond)
		h.worked.Add(1)
	})
}

func (h *laggard) Closed(engine.Loop, engine.Ref)                     {}
func (h *laggard) Answer(engine.Loop, engine.CallRef, *engine.Answer) {}
func (h *laggard) Next() int64                                        { return mono.Never }
func (h *laggard) Advance(engine.Loop, int64)                         {}

// TestPoolRefusesBesideWork has work come for connections while the thread that watches refuses what comes on them, and for those
// that have gone: all of it is done, by threads.
func TestPoolRefusesBesideWork(t *testing.T) {
	h := new(laggard)
	e, err := engine.Shipped().Listen(engine.Config{Name: "pool", Listen: "127.0.0.1:0", Threads: 1, Queue: 1},
		func(int) engine.Handler { return h })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	var asking, pushing sync.WaitGroup
	stop := make(chan struct{})
	pushed := int64(0)
	pushing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if pushed-h.worked.Load() < 2 && e.Post(0, h.push) {
				pushed++
			}
			time.Sleep(500 * time.Microsecond)
		}
	})
	for i := range 8 {
		asking.Go(func() {
			for range 5 {
				c, err := net.Dial("tcp", e.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				buf := make([]byte, 4096)
				for range 20 + i {
					if _, err := fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: eve\r\n\r\n"); err != nil {
						break
					}
					if _, err := c.Read(buf); err != nil {
						if err != io.EOF {
							t.Error(err)
						}
						break
					}
				}
				_ = c.Close()
			}
		})
	}
	asking.Wait()
	close(stop)
	pushing.Wait()
	if e.Stats().Refused == 0 {
		t.Error("requests: got none refused")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := h.worked.Load(); got != pushed {
		t.Errorf("work done: got %d, want %d", got, pushed)
	}
}
