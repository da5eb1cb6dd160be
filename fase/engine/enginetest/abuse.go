package enginetest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/engine"
)

// abuse tests that clients who are many, slow or faithless harm nobody else, and that nothing is left of them.
func (s suite) abuse() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"slowloris":                 s.slowloris,
		"resets":                    s.resets,
		"half-open":                 s.halfOpen,
		"longer than declared":      s.longer,
		"shorter than declared":     s.shorter,
		"garbage without end":       s.endlessGarbage,
		"held back and then broken": s.heldBroken,
	}
}

// leakless checks, when the test and all that it started have ended, that no descriptor is left open.
func leakless(t *testing.T) {
	t.Helper()
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil { // the runtime's poller opens two of its own at the first socket
		_ = l.Close()
	}
	before := count()
	t.Cleanup(func() {
		for end := time.Now().Add(patience); count() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("descriptors: got %d, want %d as before", count(), before)
				return
			}
		}
	})
}

// lonely waits until the server has no connection but those that this asks by.
func (sv *server) lonely(t *testing.T) {
	t.Helper()
	c := sv.dial(t)
	for end := time.Now().Add(patience); sv.Stats().Open > 1; {
		if time.Now().After(end) {
			t.Fatalf("open connections: got %d, want 1", sv.Stats().Open)
		}
		c.get("/after/1ms") // each round the loop publishes its counts
		c.expect("GET", 200, "after 1ms")
	}
}

// slowloris dribbles requests that never end. The time-out counts from the first byte, whatever comes after it.
func (s suite) slowloris(t *testing.T) {
	leakless(t)
	sv := s.start(t, engine.Config{HeadTimeout: 100 * time.Millisecond})
	witness := sv.dial(t)
	const chunked = "POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: chunked\r\n\r\n"
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range 40 {
		c := sv.dial(t)
		begin, more := "GET / HTTP/1.1\r\nHost: eve\r\n", "X: y\r\n"
		if i%2 == 1 {
			begin, more = chunked, "1\r\nx\r\n"
		}
		c.send(begin)
		wg.Go(func() {
			for {
				time.Sleep(5 * time.Millisecond)
				if _, err := io.WriteString(c, more); err != nil {
					return // the server has done with us
				}
			}
		})
		wg.Go(func() {
			defer func() { _ = c.Close() }()
			if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != 408 {
				t.Errorf("response: got %v, %v, want 408", res, err)
			}
		})
		witness.get("/fill/1")
		witness.expect("GET", 200, "#1")
	}
	wg.Wait()
	_ = witness.Close()
	sv.lonely(t)
}

// resets breaks connections off in the middle of what they send and of what they get.
func (s suite) resets(t *testing.T) {
	leakless(t)
	sv := s.start(t, engine.Config{})
	half := strings.Repeat("x", 500_000)
	for _, tt := range []struct{ name, send string }{
		{"request", "POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 1000000\r\n\r\n" + half},
		{"chunked request", "POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: chunked\r\n\r\nf4240\r\n" + half},
		{"response", "GET /fill/20000000 HTTP/1.1\r\nHost: eve\r\n\r\n"},
		{"late response", "GET /after/2ms HTTP/1.1\r\nHost: eve\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 10 {
				c := sv.dial(t)
				c.send(tt.send)
				if tt.name == "response" {
					if _, err := io.CopyN(io.Discard, c.r, 100_000); err != nil {
						t.Fatalf("read: %v", err)
					}
				}
				_ = c.SetLinger(0)
				_ = c.Close()
			}
			sv.lonely(t)
		})
	}
}

// halfOpen holds very many connections that have said nothing, or not all.
func (s suite) halfOpen(t *testing.T) {
	leakless(t)
	sv := s.start(t, engine.Config{HeadTimeout: 2 * patience}) // opening them all takes a while
	const many = 2000
	clients := make([]*client, many)
	for i := range clients {
		clients[i] = sv.dial(t)
		switch i % 4 {
		case 1:
			clients[i].send("G")
		case 2:
			clients[i].send("GET / HTTP/1.1\r\nHost: e")
		case 3:
			clients[i].send("POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 5\r\n\r\nhe")
		}
	}
	for i := many - 1; i >= 0; i -= 40 { // the whole ones among them are served
		clients[i].send("llo")
		clients[i].expect("POST", 200, "hello")
	}
	for i, c := range clients {
		if i%2 == 0 {
			_ = c.SetLinger(0)
		}
		_ = c.Close()
	}
	sv.lonely(t)
}

func (s suite) longer(t *testing.T) {
	c := s.start(t, engine.Config{}).dial(t)
	c.send("POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 5\r\n\r\nhello world\r\n\r\n")
	c.expect("POST", 200, "hello")
	c.expect("GET", 400, "malformed request line\n")
	c.expectEnd()
}

// shorter ends a body too soon, for good and by taking the next request for the rest of it.
func (s suite) shorter(t *testing.T) {
	sv := s.start(t, engine.Config{})
	next := "GET /fill/1 HTTP/1.1\r\nHost: eve\r\n\r\n"
	c := sv.dial(t)
	c.send(fmt.Sprintf("POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: %d\r\n\r\nhello%s", 5+len(next), next))
	c.expect("POST", 200, "hello"+next)
	c.send("POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 6\r\n\r\nhello")
	_ = c.CloseWrite()
	c.expectEnd()
	c = sv.dial(t)
	c.send("POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello")
	_ = c.CloseWrite()
	c.expectEnd()
}

// endlessGarbage goes on sending after a request and what is none.
func (s suite) endlessGarbage(t *testing.T) {
	leakless(t)
	sv := s.start(t, engine.Config{})
	c := sv.dial(t)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		block := strings.Repeat("\x01garbage\r\n\r\n", 10_000)
		_, err := io.WriteString(c, "GET /fill/3 HTTP/1.1\r\nHost: eve\r\n\r\n")
		for err == nil {
			_, err = io.WriteString(c, block)
		}
	})
	c.expect("GET", 200, "#3")
	c.expect("GET", 400, "malformed request line\n")
	other := sv.dial(t)
	other.get("/fill/1")
	other.expect("GET", 200, "#1")
	_ = other.Close()
	_ = c.Close()
	sv.lonely(t)
}

// heldBroken resets connections whose input is held back, since they have too many requests unanswered or do not read.
func (s suite) heldBroken(t *testing.T) {
	leakless(t)
	sv := s.start(t, engine.Config{Pipeline: 4, SendTimeout: 100 * time.Millisecond})
	for _, path := range []string{"/after/20ms", "/fill/10000000"} {
		for range 5 {
			c := sv.dial(t)
			c.send(strings.Repeat("GET "+path+" HTTP/1.1\r\nHost: eve\r\n\r\n", 50))
			if _, err := c.r.Peek(20); err != nil {
				t.Fatalf("read: %v", err)
			}
			_ = c.SetLinger(0)
			_ = c.Close()
		}
	}
	sv.lonely(t)
}
