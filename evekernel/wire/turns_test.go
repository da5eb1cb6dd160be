package wire_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/eve-emulation/eve/evekernel/wire"
)

func any1(*wire.Frame) bool { return true }

// TestHelp checks that a caller gets its answer whoever reads, in any order of turns, and that nothing else is lost.
func TestHelp(t *testing.T) {
	k, s := serve(t)
	k.handle = func(c *wire.Conn, f *wire.Frame) error {
		if f.Req == nil {
			return io.EOF
		}
		if err := c.Answer(&wire.Frame{Upd: &wire.Upd{Name: "x", Rev: f.Req.ID}}); err != nil {
			return err
		}
		return c.Answer(&wire.Frame{Res: &wire.Res{ID: f.Req.ID}})
	}
	conn, _, err := wire.Dial(t.Context(), url(s), "secret", wire.Hello{})
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan wire.Uint, 1)
	updates := wire.Uint(0)
	ran := make(chan error, 1)
	go func() {
		ran <- conn.Run(context.Background(), func(f *wire.Frame) error {
			switch {
			case f.Upd != nil:
				if updates++; f.Upd.Rev != updates {
					t.Errorf("update %d instead of %d", f.Upd.Rev, updates)
				}
			case f.Res != nil:
				answers <- f.Res.ID
			}
			return nil
		})
	}()
	strange := func(f *wire.Frame) bool { return f.Upd == nil || f.Upd.Rev%3 != 0 }
	const n = 3000
	for id := wire.Uint(1); id <= n; id++ {
		if err := conn.Send(&wire.Frame{Req: &wire.Req{ID: id, Op: wire.OpRead}}); err != nil {
			t.Fatal(err)
		}
		mine := any1
		if id%7 == 0 {
			mine = strange
		}
		if id%100 == 0 {
			conn.Back()
		} else {
			conn.Help(t.Context(), mine, func() bool { return len(answers) > 0 })
		}
		select {
		case got := <-answers:
			if got != id {
				t.Fatalf("answer %d instead of %d", got, id)
			}
		case <-time.After(time.Minute):
			t.Fatalf("no answer to %d", id)
		}
	}
	_ = conn.Close()
	<-ran
	if updates != n {
		t.Errorf("%d updates, want %d", updates, n)
	}
}

// TestHelpEnds checks that a caller that reads is let go when its context ends, although nothing comes, and that what
// comes later is read; and that it is let go when the connection ends.
func TestHelpEnds(t *testing.T) {
	k, s := serve(t)
	silent := make(chan struct{})
	k.handle = func(c *wire.Conn, f *wire.Frame) error {
		if f.Bye != nil {
			return io.EOF
		}
		if f.Req.Op == wire.OpJoin {
			close(silent)
			return nil
		}
		return c.Answer(&wire.Frame{Res: &wire.Res{ID: f.Req.ID}})
	}
	conn, _, err := wire.Dial(t.Context(), url(s), "secret", wire.Hello{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := make(chan wire.Uint, 1)
	ran := make(chan error, 1)
	go func() {
		ran <- conn.Run(context.Background(), func(f *wire.Frame) error {
			answers <- f.Res.ID
			return nil
		})
	}()
	ask := func(ctx context.Context, id wire.Uint, op wire.Op) {
		t.Helper()
		if err := conn.Send(&wire.Frame{Req: &wire.Req{ID: id, Op: op}}); err != nil {
			t.Fatal(err)
		}
		conn.Help(ctx, any1, func() bool { return len(answers) > 0 })
	}
	id := wire.Uint(0)
	many := func() {
		t.Helper()
		for range 200 { // more than it takes until callers read
			id++
			ask(t.Context(), id, wire.OpRead)
			if got := <-answers; got != id {
				t.Fatalf("answer %d instead of %d", got, id)
			}
		}
	}
	many()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-silent
		time.AfterFunc(10*time.Millisecond, cancel)
	}()
	ask(ctx, 9999, wire.OpJoin)
	if len(answers) > 0 {
		t.Error("an answer came to what was not answered")
	}
	<-ctx.Done()
	many()
	if err := conn.Send(&wire.Frame{Bye: &wire.Bye{}}); err != nil {
		t.Fatal(err)
	}
	conn.Help(t.Context(), any1, func() bool { return false })
	if err := <-ran; err == nil {
		t.Error("the connection ended without an error")
	}
}

// TestFragments checks that a participant reads messages in fragments, large ones, and what a kernel's WebSocket says
// between.
func TestFragments(t *testing.T) {
	codec := codec(t, wire.CBOR)
	sizes := []int{0, 1, 100, 125, 126, 65_000, 70_000, 300_000}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up := websocket.Upgrader{Subprotocols: []string{wire.CBOR.Protocol()}, WriteBufferSize: 1000}
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = ws.Close() }()
		if _, _, err := ws.ReadMessage(); err != nil {
			t.Error(err)
			return
		}
		say := func(f *wire.Frame) {
			b, err := codec.Encode(f)
			if err != nil {
				t.Error(err)
			}
			m, err := ws.NextWriter(websocket.BinaryMessage)
			for len(b) > 0 && err == nil {
				n := min(len(b), 700)
				_, err = m.Write(b[:n])
				b = b[n:]
			}
			if err == nil {
				err = m.Close()
			}
			if err != nil {
				t.Error(err)
			}
		}
		say(&wire.Frame{Welcome: &wire.Welcome{Proto: 1, Session: "s", Writer: 1, Epoch: 1}})
		for _, size := range sizes {
			if err := ws.WriteControl(websocket.PingMessage, []byte("?"), time.Now().Add(time.Minute)); err != nil {
				t.Error(err)
			}
			say(&wire.Frame{Evt: &wire.Evt{Channel: "c", Data: make([]byte, size)}})
		}
		_, _, _ = ws.ReadMessage() // pongs, and the end
	}))
	defer srv.Close()
	conn, _, err := wire.Dial(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http")+wire.Path, "", wire.Hello{})
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	err = conn.Run(t.Context(), func(f *wire.Frame) error {
		if f.Evt == nil || len(f.Evt.Data) != sizes[i] {
			t.Fatalf("frame %d is of %s", i, f.Type())
		}
		if i++; i == len(sizes) {
			return io.EOF
		}
		return nil
	})
	if !errors.Is(err, io.EOF) {
		t.Errorf("run: %v after %d of %d", err, i, len(sizes))
	}
}

// TestHelpIsInterrupted checks that a caller that reads is let go when its context ends, also when something has come
// that is no whole message: a ping, or a part of one.
func TestHelpIsInterrupted(t *testing.T) {
	codec := codec(t, wire.CBOR)
	for name, part := range map[string][]byte{
		"a ping":           {0x89, 1, '?'},
		"a head":           {0x82},
		"half a message":   {0x82, 100, 0xa1},
		"half a large one": append([]byte{0x82, 126, 0xff, 0xff}, make([]byte, 20_000)...),
	} {
		t.Run(name, func(t *testing.T) {
			end := make(chan struct{})
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				up := websocket.Upgrader{Subprotocols: []string{wire.CBOR.Protocol()}}
				ws, err := up.Upgrade(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = ws.Close() }()
				say := func(f *wire.Frame) {
					b, err := codec.Encode(f)
					if err == nil {
						err = ws.WriteMessage(websocket.BinaryMessage, b)
					}
					if err != nil {
						t.Error(err)
					}
				}
				_, _, _ = ws.ReadMessage()
				say(&wire.Frame{Welcome: &wire.Welcome{Proto: 1, Session: "s", Writer: 1, Epoch: 1}})
				for id := wire.Uint(1); id <= 200; id++ { // more than it takes until callers read
					if _, _, err := ws.ReadMessage(); err != nil {
						t.Error(err)
					}
					say(&wire.Frame{Res: &wire.Res{ID: id}})
				}
				_, _, _ = ws.ReadMessage()
				if _, err := ws.NetConn().Write(part); err != nil {
					t.Error(err)
				}
				<-end
			}))
			defer srv.Close()
			defer close(end)
			conn, _, err := wire.Dial(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http")+wire.Path, "", wire.Hello{})
			if err != nil {
				t.Fatal(err)
			}
			answers := make(chan wire.Uint, 1)
			ran := make(chan error, 1)
			go func() {
				ran <- conn.Run(context.Background(), func(f *wire.Frame) error {
					answers <- f.Res.ID
					return nil
				})
			}()
			for id := wire.Uint(1); id <= 201; id++ {
				if err := conn.Send(&wire.Frame{Req: &wire.Req{ID: id, Op: wire.OpRead}}); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				if id == 201 {
					time.AfterFunc(100*time.Millisecond, cancel)
				}
				conn.Help(ctx, any1, func() bool { return len(answers) > 0 })
				cancel()
				if id <= 200 {
					<-answers
				}
			}
			select {
			case err := <-ran:
				t.Fatalf("the caller waited until the connection was lost: %v", err)
			default:
			}
			_ = conn.Close()
			<-ran
		})
	}
}
