package enginetest

import (
	"net"
	"testing"

	"github.com/eve-emulation/eve/fase/engine"
)

// outgoing tests the calls of loops to other servers.
func (s suite) outgoing() map[string]func(*testing.T) {
	return map[string]func(*testing.T){"calls": s.calls, "calls fail": s.failingCalls, "calls at once": s.manyCalls}
}

func (s suite) calls(t *testing.T) {
	sv, other := s.start(t, engine.Config{}), s.start(t, engine.Config{})
	c := sv.dial(t)
	to := other.Addr().String()
	for range 20 {
		c.get("/call/" + to + "/fill/300000")
		c.expect("GET", 200, "status 200 bytes 300000")
		c.get("/call/" + to + "/status/421")
		c.expect("GET", 200, "status 421 bytes 0 x-test 1")
	}
	if got := other.Stats().Accepted; got > 1 {
		t.Errorf("connections for 40 calls in a row: got %d, want 1", got)
	}
	c.get("/call/" + to + "/close")
	c.expect("GET", 200, "status 200 bytes 3")
	c.get("/call/" + to + "/fill/1")
	c.expect("GET", 200, "status 200 bytes 1")
	c.get("/cancel/" + to + "/fill/1")
	c.expect("GET", 200, "cancelled")
	c.get("/call/" + sv.Addr().String() + "/fill/5") // itself
	c.expect("GET", 200, "status 200 bytes 5")
}

func (s suite) failingCalls(t *testing.T) {
	sv, other := s.start(t, engine.Config{}), s.start(t, engine.Config{})
	c := sv.dial(t)
	for _, tt := range []struct {
		name, addr, path string
		want             error
	}{
		{"refused", closedPort(t), "x", engine.ErrRefused},
		{"no address", "nowhere", "x", engine.ErrUnreachable},
		{"timed out", other.Addr().String(), "never", engine.ErrTimedOut},
		{"malformed", peer(t, "SMTP ready\r\n\r\n", false), "x", engine.ErrMalformed},
		{"malformed length", peer(t, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", false), "x", engine.ErrMalformed},
		{"more than one", peer(t, "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 204 No\r\n\r\n", false), "x", engine.ErrMalformed},
		{"closed", peer(t, "", false), "x", engine.ErrClosed},
		{"closed in the body", peer(t, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", false), "x", engine.ErrClosed},
		{"reset", peer(t, "", true), "x", engine.ErrReset},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.get("/call/" + tt.addr + "/" + tt.path)
			c.expect("GET", 200, tt.want.Error())
		})
	}
	for _, text := range []string{
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nuntil the end",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n",
	} {
		c.get("/call/" + peer(t, text, false) + "/x")
		c.expect("GET", 200, "status 200 bytes 13")
	}
}

// manyCalls has calls under way at the same time, more than one engine's idle connections.
func (s suite) manyCalls(t *testing.T) {
	sv, other := s.start(t, engine.Config{Reactors: 2}), s.start(t, engine.Config{})
	var clients []*client
	for range 40 {
		clients = append(clients, sv.dial(t))
	}
	for range 3 {
		for _, c := range clients {
			c.get("/call/" + other.Addr().String() + "/after/2ms")
		}
		for _, c := range clients {
			c.expect("GET", 200, "status 200 bytes 9")
		}
	}
}

// closedPort returns an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	return ln.Addr().String()
}

// peer returns the address of a server that reads once, writes text and closes, perhaps by a reset.
func peer(t *testing.T, text string, reset bool) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = conn.Write([]byte(text))
		if reset {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return ln.Addr().String()
}
