package wire_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/eve-emulation/eve/evekernel/wire"
)

// listener connects to a kernel without package wire, says hello, and returns what reads messages of frames.
func listener(t *testing.T, k *kernel, addr string, c wire.Coding) (read func() []*wire.Frame, ws *websocket.Conn) {
	t.Helper()
	d := websocket.Dialer{Subprotocols: []string{c.Protocol()}}
	ws, _, err := d.DialContext(t.Context(), addr, http.Header{"Authorization": {"Bearer " + k.guard.Token}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	codec := codec(t, c)
	say := func(f *wire.Frame) {
		b, err := codec.Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		kind := websocket.BinaryMessage
		if c == wire.JSON {
			kind = websocket.TextMessage
		}
		if err := ws.WriteMessage(kind, b); err != nil {
			t.Fatal(err)
		}
	}
	say(&wire.Frame{Hello: &wire.Hello{Proto: 1}})
	read = func() []*wire.Frame {
		_, b, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		fs, err := wire.Frames(codec, b)
		if err != nil {
			t.Fatal(err)
		}
		return fs
	}
	if fs := read(); len(fs) != 1 || fs[0].Welcome == nil {
		t.Fatalf("%+v instead of welcome", fs)
	}
	say(&wire.Frame{Req: &wire.Req{ID: 1, Op: wire.OpRead}})
	return read, ws
}

// TestGroups checks that frames which are sent while a message is being written travel together, those of one sender in
// order; in JSON each is a message.
func TestGroups(t *testing.T) {
	const senders, each = 8, 400
	for _, c := range []wire.Coding{wire.CBOR, wire.JSON} {
		t.Run(c.String(), func(t *testing.T) {
			k, s := serve(t)
			var sending sync.WaitGroup
			k.handle = func(conn *wire.Conn, _ *wire.Frame) error {
				for i := range senders {
					sending.Go(func() {
						for n := range each {
							u := &wire.Upd{Watch: wire.Uint(i + 1), Name: "x", Rev: wire.Uint(n + 1)}
							if err := conn.Send(&wire.Frame{Upd: u}); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				return nil
			}
			read, _ := listener(t, k, url(s), c)
			seen := map[wire.Uint]wire.Uint{}
			frames, messages := 0, 0
			for frames < senders*each {
				fs := read()
				messages++
				frames += len(fs)
				for _, f := range fs {
					if f.Upd == nil || f.Upd.Rev != seen[f.Upd.Watch]+1 {
						t.Fatalf("%+v after %d", f.Upd, seen[f.Upd.Watch])
					}
					seen[f.Upd.Watch]++
				}
			}
			sending.Wait()
			if one := messages == frames; one != (c == wire.JSON) {
				t.Errorf("%d frames in %d messages", frames, messages)
			}
		})
	}
}

// TestAnswers checks that the answers to what came in one message travel in one message, also beside a larger frame.
func TestAnswers(t *testing.T) {
	k, s := serve(t)
	k.handle = func(c *wire.Conn, f *wire.Frame) error {
		return c.Answer(&wire.Frame{Res: &wire.Res{ID: f.Req.ID, Msg: strings.Repeat("x", int(f.Req.Credit))}})
	}
	read, ws := listener(t, k, url(s), wire.CBOR)
	read()
	codec := codec(t, wire.CBOR)
	var b []byte
	for id := range 100 {
		size := 0
		if id == 50 {
			size = 500_000
		}
		x, err := codec.Encode(&wire.Frame{Req: &wire.Req{ID: wire.Uint(id + 1), Op: wire.OpRead, Credit: size}})
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, x...)
	}
	if err := ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
		t.Fatal(err)
	}
	next, messages := wire.Uint(1), 0
	for next <= 100 {
		for _, f := range read() {
			if f.Res == nil || f.Res.ID != next {
				t.Fatalf("%+v instead of answer %d", f, next)
			}
			next++
		}
		messages++
	}
	if messages > 3 {
		t.Errorf("100 answers came in %d messages", messages)
	}
}

// TestBound checks that what waits for a peer that reads nothing is bounded, that senders wait then, and that all of them
// are let go when the connection ends for it.
func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders, size = 8, 10_000
		var queued atomic.Int64
		var sending sync.WaitGroup
		k := &kernel{guard: wire.Guard{Token: "secret"}, ended: make(chan error, 1)}
		k.handle = func(conn *wire.Conn, _ *wire.Frame) error {
			for range senders {
				sending.Go(func() {
					for conn.Send(&wire.Frame{Bye: &wire.Bye{Msg: strings.Repeat("x", size)}}) == nil {
						queued.Add(size)
					}
				})
			}
			return nil
		}
		conn, raw := pipe(t, k)
		if err := conn.Send(&wire.Frame{Req: &wire.Req{ID: 1, Op: wire.OpRead}}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := queued.Load(); got < wire.MaxQueued-senders*size || got > wire.MaxQueued+senders*size {
			t.Errorf("%d bytes wait, want about %d", got, wire.MaxQueued)
		}
		sending.Wait()
		if d := time.Since(start); d != wire.WriteTimeout {
			t.Errorf("senders wait %v, want %v", d, wire.WriteTimeout)
		}
		if err := <-k.ended; err == nil {
			t.Error("the connection ended without an error")
		}
		_ = raw.Close()
		_ = conn.Close()
	})
}

// TestLastWords checks that what was sent before Close arrives.
func TestLastWords(t *testing.T) {
	k, s := serve(t)
	const n = 200
	k.handle = func(conn *wire.Conn, _ *wire.Frame) error {
		for id := range n {
			if err := conn.Answer(&wire.Frame{Res: &wire.Res{ID: wire.Uint(id + 1)}}); err != nil {
				return err
			}
		}
		return io.EOF
	}
	read, _ := listener(t, k, url(s), wire.CBOR)
	for got := 0; got < n; got += len(read()) {
	}
}

// TestSequences checks messages of several frames, and of other than frames.
func TestSequences(t *testing.T) {
	codec := codec(t, wire.CBOR)
	one, err := codec.Encode(&wire.Frame{Res: &wire.Res{ID: 1}})
	if err != nil {
		t.Fatal(err)
	}
	two, err := codec.Encode(&wire.Frame{Bye: &wire.Bye{Msg: "end"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		in   []byte
		want int
		err  error
	}{
		{"none", nil, 0, nil},
		{"one", one, 1, nil},
		{"by hand and by the library", append(append(append([]byte{}, one...), two...), one...), 3, nil},
		{"garbage behind", append(append([]byte{}, one...), 0xff), 1, wire.ErrProtocol},
		{"cut off", append(append([]byte{}, one...), two[:5]...), 1, wire.ErrProtocol},
	} {
		fs, err := wire.Frames(codec, c.in)
		if !errors.Is(err, c.err) || len(fs) != c.want {
			t.Errorf("%s: %d frames (error %v), want %d and %v", c.name, len(fs), err, c.want, c.err)
		}
	}
}
