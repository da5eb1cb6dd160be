package enginetest

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/engine"
)

// breaking tests what a server that crashes asks of its engine.
func (s suite) breaking() map[string]func(*testing.T) {
	return map[string]func(*testing.T){"breaks and is restored": s.breaks, "hangs up on one": s.hangsUp}
}

// One connection is reset, that of a request without an answer; others do not notice, nor does it matter to hang up on one that is
// answered.
func (s suite) hangsUp(t *testing.T) {
	sv := s.start(t, engine.Config{Reactors: 2})
	for range 3 {
		one, other := sv.dial(t), sv.dial(t)
		other.get("/fill/1")
		other.expect("GET", 200, "0")
		one.get("/never")
		done := make(chan struct{})
		for _, h := range sv.handlers {
			go func() {
				select {
				case ref := <-h.never:
					sv.Post(0, func(l engine.Loop) {
						l.HangUp(ref)
						l.Respond(ref, engine.Response{Status: 503, Close: true})
						l.HangUp(ref)
					})
				case <-done:
				}
			}()
		}
		if _, err := one.r.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read a connection that was hung up on: got %v, want a reset", err)
		}
		close(done)
		other.get("/fill/1")
		other.expect("GET", 200, "0")
	}
}

func (s suite) breaks(t *testing.T) {
	sv := s.start(t, engine.Config{Reactors: 2})
	for range 2 { // a port that the kernel chose is kept in another way the second time
		var clients []*client
		for range 6 {
			c := sv.dial(t)
			c.get("/fill/1")
			c.expect("GET", 200, "0")
			clients = append(clients, c)
		}
		clients[0].get("/never")
		for _, h := range sv.handlers {
			go func() {
				select {
				case ref := <-h.never:
					sv.Post(0, func(l engine.Loop) {
						l.Break()
						l.Respond(ref, engine.Response{Status: 503, Close: true})
					})
				case <-t.Context().Done():
				}
			}()
		}
		for i, c := range clients {
			if _, err := c.r.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read connection %d of a server that broke: got %v, want a reset", i, err)
			}
		}
		sv.until(t, syscall.ECONNREFUSED)
		sv.Post(0, func(l engine.Loop) { l.Restore() })
		sv.until(t, nil)
		c := sv.dial(t)
		c.get("/fill/1")
		c.expect("GET", 200, "0")
	}
}

// until connects until that ends as it should: other loops than the one that was told hear of it later.
func (sv *server) until(t *testing.T, want error) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", sv.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		if errors.Is(err, want) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("connect: got %v, want %v", err, want)
		}
	}
}
