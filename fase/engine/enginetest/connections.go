package enginetest

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/engine"
)

// connections tests how connections begin and end.
func (s suite) connections() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"close and HTTP/1.0":       s.closing,
		"half-close":               s.halfClose,
		"slow reader":              s.slowReader,
		"abandoned":                s.abandoned,
		"passed and abandoned":     s.passedAbandoned,
		"idle time-out":            s.idleTimeout,
		"slow head":                s.slowHead,
		"stalled reader":           s.stalledReader,
		"drain":                    s.drain,
		"drain gives up":           s.drainGivesUp,
		"post":                     s.post,
		"taken address":            s.taken,
		"stats":                    s.stats,
		"closed without being run": s.neverRun,
	}
}

func (s suite) closing(t *testing.T) {
	sv := s.start(t, engine.Config{})
	const after = "GET /fill/9 HTTP/1.1\r\nHost: eve\r\n\r\n"
	for _, tt := range []struct {
		name, send, body string
		closes           bool
	}{
		{"asked by client", "GET /fill/5 HTTP/1.1\r\nHost: eve\r\nConnection: foo, Close\r\n\r\n", "#5", true},
		{"asked by client, answered later", "GET /after/5ms HTTP/1.1\r\nHost: eve\r\nConnection: close\r\n\r\n", "after 5ms", true},
		{"asked by handler", "GET /close HTTP/1.1\r\nHost: eve\r\n\r\n", "bye", true},
		{"HTTP/1.0", "GET /fill/5 HTTP/1.0\r\n\r\n", "#5", true},
		{"HTTP/1.0 keep-alive", "GET /fill/5 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "#5", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := sv.dial(t)
			c.send(tt.send + after)
			res := c.expect("GET", 200, tt.body)
			if res.Close != tt.closes {
				t.Errorf("response says close: got %v, want %v", res.Close, tt.closes)
			}
			if tt.closes {
				c.expectEnd()
			} else {
				c.expect("GET", 200, "#9")
			}
		})
	}
}

func (s suite) halfClose(t *testing.T) {
	c := s.start(t, engine.Config{}).dial(t)
	c.get("/after/20ms")
	c.get("/fill/3000000")
	_ = c.CloseWrite()
	c.expect("GET", 200, "after 20ms")
	c.expect("GET", 200, "#3000000")
	c.expectEnd()
}

// slowReader leaves a large response unread while the loop must serve others.
func (s suite) slowReader(t *testing.T) {
	sv := s.start(t, engine.Config{})
	slow := sv.dial(t)
	slow.get("/fill/20000000")
	slow.get("/fill/1")
	other := sv.dial(t)
	for range 50 {
		other.get("/fill/100")
		other.expect("GET", 200, "#100")
	}
	slow.expect("GET", 200, "#20000000")
	slow.expect("GET", 200, "#1")
}

// leaves checks that the handler hears of a client that leaves while its request is under way.
func leaves(t *testing.T, h *handler, leave func()) {
	t.Helper()
	select {
	case want := <-h.never:
		leave()
		select {
		case got := <-h.closed:
			if got != want {
				t.Errorf("closed request: got %x, want %x", got, want)
			}
		case <-time.After(patience):
			t.Error("the handler was not told")
		}
	case <-time.After(patience):
		t.Error("the request has not arrived")
	}
}

func (s suite) abandoned(t *testing.T) {
	sv := s.start(t, engine.Config{})
	if s.kind.Blind {
		s.abandonedUnseen(t, sv)
		return
	}
	c := sv.dial(t)
	c.get("/never")
	_ = c.CloseWrite() // at once: the request comes with the end of stream
	leaves(t, sv.handlers[0], func() {})
	for _, head := range []string{"", "Connection: close\r\n"} {
		for _, reset := range []bool{false, true} {
			c := sv.dial(t)
			c.send("GET /never HTTP/1.1\r\nHost: eve\r\n" + head + "\r\n")
			leaves(t, sv.handlers[0], func() {
				if reset {
					_ = c.SetLinger(0)
				}
				_ = c.Close()
			})
		}
	}
}

// abandonedUnseen has clients leave a server that notices it when it answers, and then leaves nothing of them.
func (s suite) abandonedUnseen(t *testing.T, sv *server) {
	leakless(t)
	for i := range 8 {
		c := sv.dial(t)
		c.get("/after/20ms")
		if i%2 == 0 {
			_ = c.SetLinger(0)
		}
		_ = c.Close()
	}
	sv.lonely(t)
}

func (s suite) passedAbandoned(t *testing.T) {
	if s.kind.Blind {
		t.Skip("an engine that does not notice a peer's going has one loop")
	}
	sv := s.start(t, engine.Config{Reactors: 2})
	for range 8 {
		c := sv.dial(t)
		c.get("/owner/never")
		leaves(t, sv.handlers[0], func() { _ = c.Close() })
	}
}

func (s suite) idleTimeout(t *testing.T) {
	sv := s.start(t, engine.Config{IdleTimeout: 100 * time.Millisecond})
	silent, used, busy := sv.dial(t), sv.dial(t), sv.dial(t)
	busy.get("/after/300ms") // has a request under way, and is not idle
	used.get("/fill/1")
	used.expect("GET", 200, "#1")
	silent.expectEnd()
	used.expectEnd()
	busy.expect("GET", 200, "after 300ms")
	if got := sv.Stats().TimedOut; got < 2 {
		t.Errorf("timed out: got %d, want at least 2", got)
	}
}

func (s suite) slowHead(t *testing.T) {
	sv := s.start(t, engine.Config{HeadTimeout: 40 * time.Millisecond})
	c := sv.dial(t)
	c.send("GET /fill/1 HTTP/1.1\r\nHost: eve\r\nX: ")
	c.expect("GET", 408, "request took too long to arrive\n")
	c.expectEnd()
	c = sv.dial(t)
	c.send("POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 5\r\n\r\nhe")
	c.expect("GET", 408, "request took too long to arrive\n")
	c.expectEnd()
}

func (s suite) stalledReader(t *testing.T) {
	sv := s.start(t, engine.Config{SendTimeout: 60 * time.Millisecond})
	c := sv.dial(t)
	c.get("/fill/100000000")
	deadline := time.Now().Add(patience)
	for sv.Stats().Accepted == 0 || sv.Stats().Open > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the connection is still open")
		}
		other := sv.dial(t) // keeps the loop awake, so that it publishes its counts
		other.get("/close")
		other.expect("GET", 200, "bye")
		other.expectEnd()
		_ = other.Close()
	}
	if n, err := io.Copy(io.Discard, c.r); n >= 100000000 || errors.Is(err, net.ErrClosed) {
		t.Errorf("read %d bytes, %v; want a broken connection", n, err)
	}
}

func (s suite) drain(t *testing.T) {
	sv := s.start(t, engine.Config{Reactors: 2, Drain: patience})
	var idle, busy []*client
	for range 6 {
		c := sv.dial(t)
		c.get("/fill/1")
		c.expect("GET", 200, "#1")
		idle = append(idle, c)
		c = sv.dial(t)
		c.get("/fill/1")
		c.expect("GET", 200, "#1")
		c.get("/owner/after/50ms")
		busy = append(busy, c)
	}
	partial := sv.dial(t)
	partial.send("POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 5\r\n\r\nhe")
	partial.send("l")
	waiting := sv.dial(t) // so that all of the above have been read when stop is called
	waiting.get("/after/10ms")
	waiting.expect("GET", 200, "after 10ms")
	sv.stop()
	for _, c := range idle {
		c.expectEnd()
	}
	if conn, err := net.Dial("tcp", sv.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("a draining engine takes connections")
	}
	for _, c := range busy {
		c.expect("GET", 200, "after 50ms")
		c.expectEnd()
	}
	partial.send("lo")
	if !partial.expect("POST", 200, "hello").Close {
		t.Error("the last response does not say close")
	}
	partial.expectEnd()
	sv.wait(t)
	if sv.Post(0, func(engine.Loop) { t.Error("posted to a stopped engine") }) {
		t.Error("post to a stopped engine: got true, want false")
	}
}

func (s suite) drainGivesUp(t *testing.T) {
	sv := s.start(t, engine.Config{Drain: 30 * time.Millisecond})
	c := sv.dial(t)
	c.get("/never")
	want := <-sv.handlers[0].never
	sv.stop()
	c.expectEnd()
	sv.wait(t)
	if got := <-sv.handlers[0].closed; got != want {
		t.Errorf("closed request: got %x, want %x", got, want)
	}
}

func (s suite) post(t *testing.T) {
	sv := s.start(t, engine.Config{Reactors: 2})
	for i := range sv.Loops() {
		got := make(chan int, 1)
		if !sv.Post(i, func(l engine.Loop) { got <- l.Index() }) {
			t.Fatal("post: got false, want true")
		}
		if got := <-got; got != i {
			t.Errorf("posted to loop %d, ran on %d", i, got)
		}
	}
}

func (s suite) taken(t *testing.T) {
	for _, reactors := range []int{1, 2} {
		sv := s.start(t, engine.Config{Reactors: reactors})
		for _, again := range []int{1, 2} {
			addr := sv.Addr().String()
			e, err := s.open(engine.Config{Listen: addr, Reactors: again}, func(int) engine.Handler { return newHandler() })
			if err == nil {
				_ = e.Close()
				t.Fatalf("listen on %s twice: got no error", addr)
			}
			if !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "in use") {
				t.Errorf("listen on %s twice: got %q, want an error that names it", addr, err)
			}
		}
	}
}

func (s suite) stats(t *testing.T) {
	sv := s.start(t, engine.Config{Reactors: 2})
	c := sv.dial(t)
	c.get("/fill/1000")
	c.expect("GET", 200, "#1000")
	c.send("garbage\r\n\r\n")
	c.expect("GET", 400, "malformed request line\n")
	c.expectEnd()
	_ = c.Close()
	sv.stop()
	sv.wait(t)
	got := sv.Stats()
	if got.BytesIn < 40 || got.BytesOut < 1000 {
		t.Errorf("bytes: got %d in, %d out; want at least 40, 1000", got.BytesIn, got.BytesOut)
	}
	got.BytesIn, got.BytesOut = 0, 0
	if want := (engine.Stats{Accepted: 1, Requests: 1, Responses: 2, Refused: 1}); got != want {
		t.Errorf("stats: got %+v, want %+v", got, want)
	}
}

func (s suite) neverRun(t *testing.T) {
	e, err := s.open(engine.Config{Listen: "127.0.0.1:0", Reactors: 2}, func(int) engine.Handler { return newHandler() })
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Errorf("close twice: got %v, want nil", err)
	}
	if err := e.Run(t.Context()); !errors.Is(err, engine.ErrStopped) {
		t.Errorf("run a closed engine: got %v, want %v", err, engine.ErrStopped)
	}
}
