package wire_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/eve-emulation/eve/evekernel/wire"
)

// kernel serves connections: it welcomes, and hands each frame to handle until that returns an error.
type kernel struct {
	guard  wire.Guard
	handle func(*wire.Conn, *wire.Frame) error
	ended  chan error // why connections ended
}

func (k *kernel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, _, err := wire.Upgrade(w, r, k.guard)
	if err != nil {
		k.ended <- err
		return
	}
	defer func() { _ = conn.Close() }()
	if err = conn.Send(&wire.Frame{Welcome: &wire.Welcome{Proto: 1, Session: "s", Writer: 1, Epoch: 1}}); err == nil {
		err = conn.Run(r.Context(), func(f *wire.Frame) error { return k.handle(conn, f) })
	}
	k.ended <- err
}

// echo answers requests.
func echo(c *wire.Conn, f *wire.Frame) error {
	if f.Req == nil {
		return io.EOF
	}
	return c.Send(&wire.Frame{Res: &wire.Res{ID: f.Req.ID}})
}

func serve(t *testing.T) (*kernel, *httptest.Server) {
	k := &kernel{guard: wire.Guard{Token: "secret", Hosts: []string{"eve.example"}}, handle: echo, ended: make(chan error, 100)}
	s := httptest.NewServer(k)
	t.Cleanup(s.Close)
	return k, s
}

func url(s *httptest.Server) string { return "ws" + strings.TrimPrefix(s.URL, "http") + wire.Path }

func TestDial(t *testing.T) {
	for _, c := range []wire.Coding{wire.CBOR, wire.JSON} {
		t.Run(c.String(), func(t *testing.T) {
			_, s := serve(t)
			conn, w, err := wire.Dialer{Coding: c}.Dial(t.Context(), url(s), "secret", wire.Hello{Module: "probe"})
			if err != nil {
				t.Fatal(err)
			}
			if conn.Coding() != c || w.Session != "s" {
				t.Errorf("coding %v, welcome %+v", conn.Coding(), w)
			}
			// Requests are pipelined; Run reads the answers.
			const n = 100
			sent := make(chan error, 1)
			go func() {
				var errs []error
				for id := range wire.Uint(n) {
					errs = append(errs, conn.Send(&wire.Frame{Req: &wire.Req{ID: id + 1, Op: wire.OpRead}}))
				}
				sent <- errors.Join(errs...)
			}()
			got := wire.Uint(0)
			err = conn.Run(t.Context(), func(f *wire.Frame) error {
				if got++; f.Res == nil || f.Res.ID != got {
					return fmt.Errorf("answer %d is %+v", got, f)
				}
				if got == n {
					return io.EOF
				}
				return nil
			})
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestToken checks every place where a token can be, and be wrong.
func TestToken(t *testing.T) {
	for _, c := range []struct {
		name, header, hello string
		ok                  bool
	}{
		{"in the header", "secret", "", true},
		{"in hello", "", "secret", true},
		{"none", "", "", false},
		{"wrong in the header", "Secret", "secret", false},
		{"wrong in hello", "", "secre", false},
		{"longer", "", "secret ", false},
		{"right in the header, wrong in hello", "secret", "x", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, s := serve(t)
			conn, _, err := wire.Dial(t.Context(), url(s), c.header, wire.Hello{Token: c.hello})
			if c.ok {
				if err != nil {
					t.Fatal(err)
				}
				_ = conn.Close()
				return
			}
			if !errors.Is(err, wire.ErrUnauthorized) || strings.Contains(err.Error(), "secret") {
				t.Errorf("dial: %v, want %v and no token in it", err, wire.ErrUnauthorized)
			}
		})
	}
	t.Run("no token at the kernel", func(t *testing.T) {
		k, s := serve(t)
		k.guard.Token = ""
		if _, _, err := wire.Dial(t.Context(), url(s), "", wire.Hello{}); !errors.Is(err, wire.ErrUnauthorized) {
			t.Errorf("dial: %v, want %v", err, wire.ErrUnauthorized)
		}
	})
}

// TestForeign checks which Host and Origin headers are let in, with the right token.
func TestForeign(t *testing.T) {
	_, s := serve(t)
	addr := s.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	for _, c := range []struct {
		host, origin string
		want         int
	}{
		{addr, "", 101},
		{"localhost:" + port, "", 101},
		{"LOCALHOST", "", 101},
		{"[::1]:" + port, "", 101},
		{"127.9.9.9", "", 101},
		{"eve.example:" + port, "", 101},
		{"evil.example", "", 421},
		{"evil.example:" + port, "", 421},
		{"localhost.evil.example", "", 421},
		{"127.0.0.1.evil.example", "", 421},
		{"10.0.0.1:" + port, "", 421},
		{addr, "http://" + addr, 101},
		{"localhost:" + port, "http://localhost:" + port, 101},
		{addr, "https://" + addr, 403},
		{addr, "http://localhost:" + port, 403},
		{addr, "http://127.0.0.1:1", 403},
		{addr, "http://evil.example", 403},
		{addr, "http://" + addr + ".evil.example", 403},
		{addr, "null", 403},
		{addr, "file://", 403},
		{addr, addr, 403},
		{"evil.example", "http://evil.example", 421},
	} {
		t.Run(c.host+" "+c.origin, func(t *testing.T) {
			conn, res := handshake(t, addr, c.host, c.origin, "Authorization: Bearer secret\r\n")
			_ = conn.Close()
			if res.StatusCode != c.want {
				t.Errorf("status %d, want %d", res.StatusCode, c.want)
			}
		})
	}
}

// handshake asks for an upgrade by hand.
func handshake(t *testing.T, addr, host, origin, more string) (net.Conn, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if origin != "" {
		more += "Origin: " + origin + "\r\n"
	}
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+
		"Sec-WebSocket-Protocol: eve.v1.json\r\n%s\r\n", wire.Path, host, more)
	if err != nil {
		t.Fatal(err)
	}
	// The kernel says nothing before hello, so the reader cannot swallow a frame.
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return conn, res
}

// frame makes a masked frame by hand; the mask is zero.
func frame(first byte, payload []byte) []byte {
	b := []byte{first, 0x80 | 127}
	b = binary.BigEndian.AppendUint64(b, uint64(len(payload)))
	b = append(b, 0, 0, 0, 0)
	return append(b, payload...)
}

// TestBomb sends what inflates to 512 MiB. Compression is not negotiated, though it is offered, and a frame that claims
// to be compressed ends the connection before anything is inflated.
func TestBomb(t *testing.T) {
	k, s := serve(t)
	conn, res := handshake(t, s.Listener.Addr().String(), "localhost", "",
		"Authorization: Bearer secret\r\nSec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n")
	if ext := res.Header.Get("Sec-WebSocket-Extensions"); ext != "" {
		t.Fatalf("negotiated %q", ext)
	}
	var bomb bytes.Buffer
	z, err := flate.NewWriter(&bomb, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	// From the second on all compressed MiB are the same.
	zeros := make([]byte, 1<<20)
	var mib []byte
	for range 2 {
		start := bomb.Len()
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
		if err := z.Flush(); err != nil {
			t.Fatal(err)
		}
		mib = bytes.Clone(bomb.Bytes()[start:])
	}
	bomb.Write(bytes.Repeat(mib, 510))
	if bomb.Len() > wire.MaxMessage {
		t.Fatalf("the bomb has %d bytes, so the limit would stop it anyway", bomb.Len())
	}
	if _, err := conn.Write(frame(0x81, []byte(`{"hello":{"proto":1}}`))); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	// The kernel may close while this is written.
	_, _ = conn.Write(frame(0x81|0x40, bomb.Bytes()))
	err = <-k.ended
	if err == nil {
		t.Error("the connection ended without an error")
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 16<<20 {
		t.Errorf("%d MiB were allocated", (after.TotalAlloc-before.TotalAlloc)>>20)
	}
}

// TestLimit checks the size of a message to the byte, in one frame and in fragments.
func TestLimit(t *testing.T) {
	text := func(n int) []byte {
		head, tail := `{"req":{"id":1,"op":"read","pattern":"`, `"}}`
		return []byte(head + strings.Repeat("x", n-len(head)-len(tail)) + tail)
	}
	for _, c := range []struct {
		name  string
		size  int
		parts int
		want  bool
	}{
		{"fits", wire.MaxMessage, 1, true},
		{"one byte more", wire.MaxMessage + 1, 1, false},
		{"fragments fit", wire.MaxMessage, 4, true},
		{"fragments do not", wire.MaxMessage + 1, 4, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, s := serve(t)
			got := make(chan bool, 1)
			k.handle = func(*wire.Conn, *wire.Frame) error {
				got <- true
				return io.EOF
			}
			conn, _ := handshake(t, s.Listener.Addr().String(), "localhost", "", "Authorization: Bearer secret\r\n")
			b := frame(0x81, []byte(`{"hello":{"proto":1}}`))
			msg, first := text(c.size), byte(0x01)
			for i := range c.parts {
				part := msg
				if i < c.parts-1 {
					part = msg[:len(msg)/c.parts]
				} else {
					first |= 0x80
				}
				msg = msg[len(part):]
				b = append(b, frame(first, part)...)
				first = 0
			}
			go func() { _, _ = conn.Write(b) }()
			err := <-k.ended
			if ok := len(got) == 1; ok != c.want || !c.want && !errors.Is(err, wire.ErrProtocol) {
				t.Errorf("accepted %v (error %v), want %v", ok, err, c.want)
			}
		})
	}
}

// TestManners checks how the first frame can be wrong.
func TestManners(t *testing.T) {
	_, s := serve(t)
	for _, c := range []struct{ name, send, want string }{
		{"no hello", `{"req":{"id":1,"op":"read"}}`, `"protocol"`},
		{"another protocol", `{"hello":{"proto":2,"token":"secret"}}`, `"protocol"`},
		{"garbage", `hello`, `"protocol"`},
		{"wrong token", `{"hello":{"proto":1,"token":"x"}}`, `"unauthorized"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, _ := handshake(t, s.Listener.Addr().String(), "localhost", "", "")
			if _, err := conn.Write(frame(0x81, []byte(c.send))); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(conn)
			if !bytes.Contains(b, []byte(`{"bye":{"code":`+c.want)) {
				t.Errorf("answer %q, want a bye with code %s", b, c.want)
			}
		})
	}
	t.Run("no sub-protocol", func(t *testing.T) {
		ws, res, err := (&websocket.Dialer{}).Dial(url(s), nil)
		if err == nil {
			_ = ws.Close()
			t.Fatal("let in")
		}
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("status %d, want 400", res.StatusCode)
		}
	})
}

// pipe returns a kernel's and a participant's end of one connection, in the time of a synctest bubble.
func pipe(t *testing.T, k *kernel) (participant *wire.Conn, raw net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	l := &once{conn: far, closed: make(chan struct{})}
	srv := &http.Server{Handler: k}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(l)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-served
	})
	d := wire.Dialer{Net: func(context.Context) (net.Conn, error) { return near, nil }}
	conn, _, err := d.Dial(t.Context(), "ws://localhost/eve", "secret", wire.Hello{})
	if err != nil {
		t.Fatal(err)
	}
	return conn, near
}

// once is a listener of one connection.
type once struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *once) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *once) Close() error {
	close(l.closed)
	return nil
}

func (l *once) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// TestKeepAlive checks in false time that pings keep an idle connection for an hour, and that a silent peer is dead
// after 15 seconds.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kernel{guard: wire.Guard{Token: "secret"}, handle: echo, ended: make(chan error, 1)}
		conn, _ := pipe(t, k)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- conn.Run(ctx, func(*wire.Frame) error { return nil }) }()
		time.Sleep(time.Hour)
		select {
		case err := <-k.ended:
			t.Fatalf("an idle connection ended: %v", err)
		case err := <-ran:
			t.Fatalf("an idle connection ended: %v", err)
		default:
		}
		cancel()
		if err := <-ran; !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v, want %v", err, context.Canceled)
		}
		<-k.ended
	})
}

// TestSilent checks that a peer which takes what it gets, and says nothing, is dead after 15 seconds.
func TestSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kernel{guard: wire.Guard{Token: "secret"}, handle: echo, ended: make(chan error, 1)}
		conn, raw := pipe(t, k)
		if err := raw.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		drained := make(chan struct{}) // what comes is read, and pings are not answered
		go func() {
			defer close(drained)
			_, _ = io.Copy(io.Discard, raw)
		}()
		err := <-k.ended
		if err == nil || !strings.Contains(err.Error(), "silent") {
			t.Errorf("ended by %v, want silence", err)
		}
		if d := time.Since(start); d != wire.DeadAfter {
			t.Errorf("dead after %v, want %v", d, wire.DeadAfter)
		}
		_ = conn.Close()
		<-drained
	})
}

// TestStuck checks that a peer which reads nothing holds a writer for 5 seconds and no longer.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kernel{guard: wire.Guard{Token: "secret"}, ended: make(chan error, 1)}
		k.handle = echo
		conn, raw := pipe(t, k)
		if err := conn.Send(&wire.Frame{Req: &wire.Req{ID: 1, Op: wire.OpRead}}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := <-k.ended; err == nil {
			t.Error("the connection ended without an error")
		}
		if d := time.Since(start); d != wire.WriteTimeout {
			t.Errorf("gave up after %v, want %v", d, wire.WriteTimeout)
		}
		_ = raw.Close()
		_ = conn.Close()
	})
}
