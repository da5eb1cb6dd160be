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
	"strconv"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/internal/mono"
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
	const requests = 2000
	for _, tt := range []struct {
		size  int // the largest that goes out silently, one that does not, and both in turn
		other int
		half  bool
	}{{15_000, 15_000, false}, {15_000, 15_000, true}, {17_000, 17_000, false}, {200_000, 100, false}, {100, 100, true}} {
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
