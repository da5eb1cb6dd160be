package enginetest

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/engine"
)

// working tests the work that is done on threads of the engine, if it has them.
func (s suite) working() map[string]func(*testing.T) {
	return map[string]func(*testing.T){"work": s.work, "work of the gone": s.relicts}
}

// placed is what /toil/KIND is answered with.
func (s suite) placed(kind string) string {
	if s.kind.Threads || s.kind.Helpers && kind == "disk" {
		return "done"
	}
	return "inline"
}

func (s suite) work(t *testing.T) {
	sv := s.start(t, engine.Config{})
	var clients []*client
	for range 8 {
		clients = append(clients, sv.dial(t))
	}
	done := int64(0)
	for range 10 {
		for i, c := range clients {
			kind := []string{"cpu", "disk"}[i%2]
			c.get("/toil/" + kind)
			c.get("/tail/" + kind)
			c.get("/fill/10")
			done += 2
		}
		for i, c := range clients {
			c.expect("GET", 200, s.placed([]string{"cpu", "disk"}[i%2]))
			c.expect("GET", 200, "bye")
			c.expect("GET", 200, "#10")
		}
	}
	h := sv.handlers[0]
	h.awaitWork(t, done)
	sv.stop()
	sv.wait(t)
	if got, want := h.exits.Load(), h.threads.Load(); got != want {
		t.Errorf("threads that were told of their end: got %d, want %d", got, want)
	}
}

// relicts leaves connections whose requests want work later.
func (s suite) relicts(t *testing.T) {
	leakless(t)
	sv := s.start(t, engine.Config{})
	for i := range 10 {
		c := sv.dial(t)
		c.get("/relict/" + []string{"cpu", "disk"}[i%2])
		<-sv.handlers[0].never // it has arrived
		if i%3 == 0 {
			_ = c.SetLinger(0)
		}
		_ = c.Close()
	}
	sv.handlers[0].awaitWork(t, 10)
}

// awaitWork waits until n pieces of work have been done.
func (h *handler) awaitWork(t *testing.T, n int64) {
	t.Helper()
	for end := time.Now().Add(patience); h.worked.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("work done: got %d, want %d", h.worked.Load(), n)
		}
	}
	if got := h.worked.Load(); got != n {
		t.Errorf("work done: got %d, want %d", got, n)
	}
}
