package engine_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// numberer answers /n/size by size bytes that only n has.
type numberer struct{}

func (numberer) Request(l engine.Loop, ref engine.Ref, r *engine.Request) {
	n, size, _ := bytes.Cut(r.Path()[1:], []byte("/"))
	k, _ := strconv.Atoi(string(size))
	l.Respond(ref, engine.Response{Body: numbered(string(n), k)})
}
func (numberer) Closed(engine.Loop, engine.Ref)                     {}
func (numberer) Answer(engine.Loop, engine.CallRef, *engine.Answer) {}
func (numberer) Next() int64                                        { return mono.Never }
func (numberer) Advance(engine.Loop, int64)                         {}

func numbered(n string, size int) []byte { return bytes.Repeat([]byte(n+","), size)[:size] }

// serveUring runs an engine on io_uring until the test ends, or skips the test where there is none.
func serveUring(t *testing.T, cfg engine.Config, h engine.Handler) engine.Engine {
	t.Helper()
	cfg.Name, cfg.Listen, cfg.Drain = "uring", "127.0.0.1:0", 50*time.Millisecond
	e, err := engine.Shipped().Listen(cfg, func(int) engine.Handler { return h })
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return e
}

// TestUringFullSocket asks for more and more without reading, one request a turn, until the socket is full in the midst of an answer that
// was to go out silently, and then reads: every answer must come whole and in order, also after the end of the client's stream.
func TestUringFullSocket(t *testing.T) {
	for _, tt := range []struct {
		size  int // the largest that goes out silently, one that does not, and both in turn
		other int
		half  bool
	}{{15_000, 15_000, false}, {15_000, 15_000, true}, {17_000, 17_000, false}, {200_000, 100, false}, {100, 100, true}} {
		requests := min(2000, 60_000_000/(tt.size+tt.other)) // more than a socket holds
		t.Run(fmt.Sprintf("%d,%d,%v", tt.size, tt.other, tt.half), func(t *testing.T) {
			e := serveUring(t, engine.Config{Pipeline: 8}, numberer{})
			c, err := net.Dial("tcp", e.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(60 * time.Second))
			size := func(i int) int {
				if i%2 == 1 {
					return tt.other
				}
				return tt.size
			}
			for i := range requests {
				if _, err := fmt.Fprintf(c, "GET /%d/%d HTTP/1.1\r\nHost: eve\r\n\r\n", i, size(i)); err != nil {
					t.Fatal(err)
				}
			}
			for before := uint64(0); ; { // until the server can do no more
				now := e.Stats().Requests
				if now > 0 && now == before {
					break
				}
				before = now
				posted := make(chan struct{})
				e.Post(0, func(engine.Loop) { close(posted) })
				<-posted
			}
			if tt.half {
				_ = c.(*net.TCPConn).CloseWrite()
			}
			in := bufio.NewReader(c)
			for i := range requests {
				_ = c.SetDeadline(time.Now().Add(30 * time.Second))
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatalf("response %d: %v", i, err)
				}
				body, err := io.ReadAll(res.Body)
				if err != nil || !bytes.Equal(body, numbered(strconv.Itoa(i), size(i))) {
					t.Fatalf("response %d: got %d bytes %.20q, %v, want %d of its own", i, len(body), body, err, size(i))
				}
			}
		})
	}
}

// TestUringExhausted has more connections speak at once than there is buffer space for: each is answered.
func TestUringExhausted(t *testing.T) {
	e := serveUring(t, engine.Config{}, numberer{})
	const many, body = 40, 900_000 // 36 MB for 2 MiB of buffers
	clients := make([]net.Conn, many)
	for i := range clients {
		c, err := net.Dial("tcp", e.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(60 * time.Second))
		clients[i] = c
	}
	errs := make(chan error, many)
	for i, c := range clients {
		go func() {
			_, err := fmt.Fprintf(c, "POST /%d/100 HTTP/1.1\r\nHost: eve\r\nContent-Length: %d\r\n\r\n%s", i, body, numbered("x", body))
			errs <- err
		}()
	}
	for i, c := range clients {
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, numbered(strconv.Itoa(i), 100)) {
			t.Errorf("response %d: got %.20q, %v", i, got, err)
		}
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got := e.Stats().BytesIn; got < many*body {
		t.Errorf("bytes in: got %d, want at least %d", got, many*body)
	}
}

// A longCaller calls an address for each request that it gets, with size bytes in all, and answers by what comes of it.
type longCaller struct {
	numberer
	to    string
	calls map[engine.CallRef]engine.Ref
	began chan struct{} // told of each call, if there is one
}

func (h *longCaller) Request(l engine.Loop, ref engine.Ref, r *engine.Request) {
	size, _ := strconv.Atoi(string(r.Path()[1:]))
	req := fmt.Appendf(nil, "POST /x/7 HTTP/1.1\r\nHost: eve\r\nContent-Length: %d\r\n\r\n", size)
	call := engine.CallRef(ref)
	h.calls[call] = ref
	l.Call(h.to, append(req, numbered("y", size)...), l.Now()+int64(20*time.Second), call)
	if h.began != nil {
		h.began <- struct{}{}
	}
}

func (h *longCaller) Answer(l engine.Loop, ref engine.CallRef, a *engine.Answer) {
	to := h.calls[ref]
	delete(h.calls, ref)
	l.Respond(to, engine.Response{Body: fmt.Appendf(nil, "%d %v", a.Status, a.Err)})
}

// callThrough has h's engine make calls of a size, one after the other, and checks that each is answered with 200.
func callThrough(t *testing.T, h *longCaller, calls, size int) {
	t.Helper()
	e := serveUring(t, engine.Config{}, h)
	c, err := net.Dial("tcp", e.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	in := bufio.NewReader(c)
	for i := range calls {
		_, _ = fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nHost: eve\r\n\r\n", size)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(res.Body); string(got) != "200 <nil>" || err != nil {
			t.Fatalf("call %d: got %q, %v", i, got, err)
		}
	}
}

func TestUringLongCalls(t *testing.T) {
	peer := serveUring(t, engine.Config{}, numberer{})
	for _, size := range []int{10_000, 100_000, 1_000_000} {
		callThrough(t, &longCaller{to: peer.Addr().String(), calls: map[engine.CallRef]engine.Ref{}}, 5, size)
	}
	if got := peer.Stats().BytesIn; got < 5*1_110_000 {
		t.Errorf("bytes in at the peer: got %d, want all", got)
	}
}

// TestUringCallUnsent calls a server that answers as soon as a request is on its way and reads next to nothing of it, until the socket is
// full. A connection whose request is not wholly out cannot be used again, and is replaced.
func TestUringCallUnsent(t *testing.T) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = netpoll.Buffers(int(fd), 4096, 0) })
	}}
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns, began, replaced := make(chan net.Conn), make(chan struct{}, 1), make(chan int)
	go func() {
		defer close(conns)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	go func() {
		n := -1 // the first replaces none
		var c net.Conn
		use := func(next net.Conn) {
			if c != nil {
				_ = c.Close()
			}
			c = next
			n++
		}
		answer := func() {
			_, _ = c.Read(make([]byte, 1))
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
		for open := true; open; {
			select {
			case next := <-conns: // it came late, and the answer went to the one before
				use(next)
				answer()
			case _, open = <-began:
				if !open {
					break
				}
				patience := time.After(4 * time.Millisecond)
				if c == nil {
					patience = nil
				}
				select {
				case next := <-conns:
					use(next)
				case <-patience: // it is on the connection of the last one
				}
				answer()
			}
		}
		_ = c.Close()
		replaced <- n
	}()
	h := &longCaller{to: ln.Addr().String(), calls: map[engine.CallRef]engine.Ref{}, began: began}
	callThrough(t, h, 400, 16_000)
	close(began)
	if n := <-replaced; n == 0 {
		t.Error("no connection was replaced: no socket was full")
	}
	_ = ln.Close()
	for c := range conns {
		_ = c.Close()
	}
}

// TestUringThreads closes connections from the server's side: no thread of the kernel's may be needed for that.
func TestUringThreads(t *testing.T) {
	e := serveUring(t, engine.Config{}, numberer{})
	for i := range 20 {
		c, err := net.Dial("tcp", e.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = fmt.Fprintf(c, "GET /%d/10 HTTP/1.1\r\nHost: eve\r\nConnection: close\r\n\r\n", i)
		if got, err := io.ReadAll(c); err != nil || !bytes.HasSuffix(got, numbered(strconv.Itoa(i), 10)) {
			t.Errorf("response %d: got %q, %v", i, got, err)
		}
		_ = c.Close()
	}
	names, err := filepath.Glob("/proc/self/task/*/comm")
	if err != nil || len(names) == 0 {
		t.Fatalf("names of threads: got %q, %v", names, err)
	}
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil && bytes.HasPrefix(b, []byte("iou-wrk")) {
			t.Errorf("a thread of the kernel's: %s", b)
		}
	}
}
