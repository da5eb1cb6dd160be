package load_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
)

// stall holds a loop up, as a letter to it: when hold ends another request has become due, so the loop hears of what hold did to a
// connection at the very moment at which it takes that request up.
func stall(c *crowd, t0 int64, hold func()) func(dsv.Instant) {
	return func(dsv.Instant) {
		hold()
		due := dsv.Instant(mono.Now() - t0)
		c.due = append(c.due, due)
		for dsv.Instant(mono.Now()-t0) <= due { // until the clock has gone on
		}
	}
}

// What a server did to a kept connection before a request was sent over it has nothing to do with that request: it goes over another
// connection.
func TestIdleConnectionsThatSpokeAreNotUsed(t *testing.T) {
	const stray = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"
	tests := []struct {
		name   string
		method string
		disown func(c *net.TCPConn)
	}{
		{"an answer too many", "GET", func(c *net.TCPConn) { _, _ = io.WriteString(c, stray) }},
		{"an answer too many to a POST", "POST", func(c *net.TCPConn) { _, _ = io.WriteString(c, stray) }},
		{"a close before a GET", "GET", func(c *net.TCPConn) { _ = c.Close() }},
		{"a close before a POST", "POST", func(c *net.TCPConn) { _ = c.Close() }},
		{"a reset before a POST", "POST", func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() }},
	}
	for _, readiness := range []bool{false, true} {
		for _, test := range tests {
			t.Run(map[bool]string{true: "epoll "}[readiness]+test.name, func(t *testing.T) {
				first := make(chan *net.TCPConn, 1)
				address := serve(t, func(c *net.TCPConn, r *bufio.Reader, n int) {
					if n == 0 {
						first <- c
					}
					say(pong, 0)(c, r, n)
				})
				cfg := start(load.Config{Address: to(address), Readiness: readiness})
				c := &crowd{t: t, request: service.Request{Method: test.method, Service: -1}, due: burst(1)}
				answered := make(chan struct{})
				cfg.Groups, cfg.End, cfg.Grace = []load.Group{c}, dsv.At(time.Hour), time.Hour
				l := open(t, cfg)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				c.onEnd = func(_ *crowd, n int) {
					switch n {
					case 0:
						close(answered)
					case 1:
						cancel()
					}
				}
				var wg sync.WaitGroup
				wg.Go(func() {
					<-answered
					l.Post(stall(c, cfg.T0, func() { test.disown(<-first) }))
				})
				stats, err := l.Run(ctx)
				wg.Wait()
				if !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				audit(t, cfg, stats)
				if len(c.samples) != 2 {
					t.Fatalf("got %d requests, want 2", len(c.samples))
				}
				if got := c.samples[1].answer; got.Cause != service.OK || got.Bytes != 4 {
					t.Errorf("second request: got %+v, want the 4 bytes of its own answer", got)
				}
				if stats.Opened != 2 {
					t.Errorf("opened: got %d, want 2", stats.Opened)
				}
			})
		}
	}
}

// An answer and the end of its connection that are found together: the call that is next in line goes over another connection.
func TestCloseBehindAnAnswer(t *testing.T) {
	for _, readiness := range []bool{false, true} {
		t.Run(map[bool]string{false: "io_uring", true: "epoll"}[readiness], func(t *testing.T) {
			var l *load.Loop
			ready := make(chan struct{})
			c := &crowd{t: t, request: service.Request{Method: "POST", Service: -1}, due: burst(3)}
			cfg := start(load.Config{Readiness: readiness, Connections: 1, Groups: []load.Group{c}})
			address := serve(t, func(conn *net.TCPConn, r *bufio.Reader, n int) {
				say(pong, 1)(conn, r, n)
				if !request(r) || n > 0 {
					_, _ = io.WriteString(conn, pong)
					return
				}
				<-ready
				closed := make(chan struct{})
				l.Post(stall(c, cfg.T0, func() {
					_, _ = io.WriteString(conn, pong)
					_ = conn.Close()
					close(closed)
				}))
				<-closed
			})
			cfg.Address = to(address)
			l = open(t, cfg)
			close(ready)
			stats, err := l.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			audit(t, cfg, stats)
			if got := c.causes()[service.OK]; got != 4 || stats.Opened != 2 {
				t.Errorf("got %v over %d connections, want 4 answers over 2", c.causes(), stats.Opened)
			}
		})
	}
}
