package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/dmm/wasm"
	"github.com/eve-emulation/eve/modules/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guest reads a guest of the tests of dmm/wasm, or a shipped one.
func guest(t testing.TB, name string) []byte {
	t.Helper()
	if b, ok := relay.Extension(name); ok {
		return b
	}
	b, err := os.ReadFile("../../dmm/wasm/testdata/" + name + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// variants are the modes, each with what carries bytes through unchanged.
func variants(t testing.TB) map[string]relay.Config {
	return map[string]relay.Config{
		"copy":      {Mode: relay.Copy},
		"splice":    {Mode: relay.Splice},
		"inspect":   {Mode: relay.Wasm, Guest: guest(t, "heads")},
		"transform": {Mode: relay.Wasm, Guest: guest(t, "moody")},
		"two loops": {Mode: relay.Copy, Loops: 2, Chunk: 4096},
	}
}

func onEach(t *testing.T, test func(*testing.T, relay.Config)) {
	for name, cfg := range variants(t) {
		t.Run(name, func(t *testing.T) { test(t, cfg) })
	}
}

// begin runs a relay until the test ends, and then looks at what is left of it.
func begin(t testing.TB, cfg relay.Config, to ...net.Addr) *relay.Relay {
	t.Helper()
	if cfg.Drain == 0 {
		cfg.Drain = 10 * time.Millisecond
	}
	r, err := relay.Listen(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var servers []netip.AddrPort
	for _, a := range to {
		servers = append(servers, netip.MustParseAddrPort(a.String()))
	}
	r.Forward(servers...)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if s := r.Stats(); s.Open != 0 {
			t.Errorf("left open: got %d connections", s.Open)
		}
	})
	return r
}

func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// through opens a connection through a relay, and returns both ends.
func through(t testing.TB, r *relay.Relay, l *net.TCPListener) (near, far *net.TCPConn) {
	t.Helper()
	near = dial(t, r)
	far, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	return near, far
}

func dial(t testing.TB, r *relay.Relay) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(r.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// stream is n bytes that a seed makes, without those by which the guests of the tests change their mind.
func stream(seed, n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = rng.Read(b)
	for i := range b {
		b[i] = b[i]&0x1f + 'a'
	}
	return b
}

func send(c *net.TCPConn, b []byte) error {
	if _, err := c.Write(b); err != nil {
		return err
	}
	return c.CloseWrite()
}

// slowly reads all that comes, in small pieces through a small window, so that the relay meets a full socket again and again.
func slowly(c *net.TCPConn) ([]byte, error) {
	if err := c.SetReadBuffer(64 << 10); err != nil {
		return nil, err
	}
	var got bytes.Buffer
	_, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{c}, make([]byte, 1500))
	return got.Bytes(), err
}

// Both directions carry 4 MiB at once to slow readers, and end one after the other.
func TestBothWays(t *testing.T) {
	size := 4 << 20
	if testing.Short() {
		size = 1 << 20
	}
	onEach(t, func(t *testing.T, cfg relay.Config) {
		l := listen(t)
		r := begin(t, cfg, l.Addr())
		near, far := through(t, r, l)
		there, back := stream(1, size), stream(2, size)
		var g sync.WaitGroup
		check := func(what string, c *net.TCPConn, want []byte) {
			g.Go(func() {
				if got, err := slowly(c); !bytes.Equal(got, want) || err != nil {
					t.Errorf("%s: got %d bytes, %v, want %d as they were sent", what, len(got), err, len(want))
				}
			})
		}
		push := func(c *net.TCPConn, b []byte) {
			g.Go(func() {
				if err := send(c, b); err != nil {
					t.Error(err)
				}
			})
		}
		check("up", far, there)
		check("down", near, back)
		push(near, there)
		push(far, back)
		g.Wait()
		settle(t, r, func(s relay.Stats) bool { return s.Open == 0 })
		if s := r.Stats(); s.Up != int64(size) || s.Down != int64(size) || s.Accepted != 1 || len(s.Errors) != 0 {
			t.Errorf("stats: got %+v", s)
		}
	})
}

// settle waits until what the relay tells is as it should be.
func settle(t testing.TB, r *relay.Relay, done func(relay.Stats) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done(r.Stats()) {
		select {
		case <-ctx.Done():
			t.Fatalf("stats: got %+v", r.Stats())
		case <-tick.C:
		}
	}
}

// Who has said all there is hears the answer to it.
func TestHalfClose(t *testing.T) {
	onEach(t, func(t *testing.T, cfg relay.Config) {
		l := listen(t)
		r := begin(t, cfg, l.Addr())
		for _, clientFirst := range []bool{true, false} {
			one, other := through(t, r, l)
			if !clientFirst {
				one, other = other, one
			}
			for i, c := range []*net.TCPConn{one, other} {
				said := fmt.Sprintf("part %d", i)
				if err := send(c, []byte(said)); err != nil {
					t.Fatal(err)
				}
				to := []*net.TCPConn{other, one}[i]
				if got, err := io.ReadAll(to); string(got) != said || err != nil {
					t.Errorf("client first %v: got %q, %v, want %q", clientFirst, got, err, said)
				}
			}
		}
		settle(t, r, func(s relay.Stats) bool { return s.Open == 0 })
	})
}

// A reset of one side is a reset at the other, also while data wait for a reader.
func TestReset(t *testing.T) {
	onEach(t, func(t *testing.T, cfg relay.Config) {
		l := listen(t)
		r := begin(t, cfg, l.Addr())
		n := int64(0)
		for _, full := range []bool{false, true} {
			for _, byClient := range []bool{true, false} {
				one, other := through(t, r, l)
				if !byClient {
					one, other = other, one
				}
				if full { // the relay holds data for a reader that does not read
					if err := one.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
						t.Fatal(err)
					}
					if _, err := one.Write(bytes.Repeat([]byte("x"), 32<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Fatalf("write: got %v", err)
					}
				} else if _, err := one.Write([]byte("x")); err != nil {
					t.Fatal(err)
				} else if _, err := other.Read(make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(one.SetLinger(0), one.Close()); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, other); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("full %v, by the client %v: got %v, want a reset", full, byClient, err)
				}
				n++
			}
		}
		settle(t, r, func(s relay.Stats) bool { return s.Open == 0 && s.Errors[relay.Reset] == n })
	})
}

// A server that answers and closes while its client still sends is heard.
func TestAnswerBeforeReset(t *testing.T) {
	flood, rounds := stream(1, 32<<20), 5
	if testing.Short() {
		rounds = 1
	}
	onEach(t, func(t *testing.T, cfg relay.Config) {
		l := listen(t)
		r := begin(t, cfg, l.Addr())
		for range rounds {
			near, far := through(t, r, l)
			var sender sync.WaitGroup
			sender.Go(func() { _, _ = near.Write(flood) }) // more than is taken
			if _, err := io.ReadFull(far, make([]byte, 3)); err != nil {
				t.Fatal(err)
			}
			if _, err := far.Write([]byte("answer")); err != nil {
				t.Fatal(err)
			}
			if err := far.Close(); err != nil { // with data unread: a reset
				t.Fatal(err)
			}
			got, err := io.ReadAll(near)
			if string(got) != "answer" || err != nil && !errors.Is(err, syscall.ECONNRESET) { // of the reset its write is told, or its read
				t.Errorf("got %q, %v, want the answer and a reset", got, err)
			}
			sender.Wait()
		}
	})
}

func TestNobodyThere(t *testing.T) {
	gone := listen(t)
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		to   []net.Addr
		want relay.Cause
	}{{"nobody said where", nil, relay.NoServer}, {"nobody listens", []net.Addr{gone.Addr()}, relay.Refused}} {
		t.Run(tt.name, func(t *testing.T) {
			r := begin(t, relay.Config{}, tt.to...)
			for range 5 {
				c, err := net.Dial("tcp", r.Addr().String())
				if err == nil { // otherwise the reset was there before the dial was done
					_, err = c.Read(make([]byte, 1))
					_ = c.Close()
				}
				if !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("got %v, want a reset", err)
				}
			}
			settle(t, r, func(s relay.Stats) bool { return s.Errors[tt.want] == 5 && s.Accepted == 5 })
			l := listen(t) // a server that comes later is found
			r.Forward(netip.MustParseAddrPort(l.Addr().String()))
			through(t, r, l)
		})
	}
}

// A server whose queue is full does not accept; who waits for it is told in time.
func TestConnectTimeout(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*syscall.SockaddrInet4).Port}
	r := begin(t, relay.Config{Connect: 50 * time.Millisecond}, at)
	for range 8 {
		dial(t, r)
	}
	settle(t, r, func(s relay.Stats) bool { return s.Errors[relay.TimedOut] > 0 })
}

// Servers are taken in turns.
func TestServers(t *testing.T) {
	one, two := listen(t), listen(t)
	r := begin(t, relay.Config{}, one.Addr(), two.Addr())
	for range 3 {
		dial(t, r)
		dial(t, r)
		for _, l := range []*net.TCPListener{one, two} {
			if err := l.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
		}
	}
}

// descriptors counts those of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// Hundreds of connections at once carry what each is given, and leave nothing behind.
func TestMany(t *testing.T) {
	n := 300
	if testing.Short() {
		n = 60
	}
	onEach(t, func(t *testing.T, cfg relay.Config) {
		l := listen(t)
		var echo sync.WaitGroup
		echo.Go(func() {
			for {
				c, err := l.AcceptTCP()
				if err != nil {
					return
				}
				echo.Go(func() {
					_, _ = io.Copy(c, struct{ io.Reader }{c})
					_ = c.Close()
				})
			}
		})
		before := descriptors(t)
		ctx, cancel := context.WithCancel(t.Context())
		r, err := relay.Listen(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		r.Forward(netip.MustParseAddrPort(l.Addr().String()))
		var run sync.WaitGroup
		run.Go(func() {
			if err := r.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		var clients sync.WaitGroup
		for i := range n {
			clients.Go(func() {
				c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(r.Addr()))
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				want := stream(i, 50_000+i)
				clients.Go(func() { _ = send(c, want) })
				if got, err := io.ReadAll(c); !bytes.Equal(got, want) || err != nil {
					t.Errorf("connection %d: got %d bytes, %v, want %d", i, len(got), err, len(want))
				}
			})
		}
		clients.Wait()
		settle(t, r, func(s relay.Stats) bool { return s.Open == 0 && s.Accepted == int64(n) })
		cancel()
		run.Wait()
		if got := descriptors(t); got > before {
			t.Errorf("descriptors: got %d, want the %d of before", got, before)
		}
		_ = l.Close()
		echo.Wait()
	})
}

// What has begun may come to its end when the relay is told to end; what does not is reset.
func TestDrain(t *testing.T) {
	l := listen(t)
	r, err := relay.Listen(t.Context(), relay.Config{Drain: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	r.Forward(netip.MustParseAddrPort(l.Addr().String()))
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	near, far := through(t, r, l)
	want := stream(3, 4<<20)
	run.Go(func() { _ = send(near, want) })
	if _, err := io.ReadFull(far, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if got, err := slowly(far); len(got) != len(want)-1000 || err != nil {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(want)-1000)
	}
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	run.Wait()
	if _, err := net.Dial("tcp", r.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("afterwards: got %v, want nobody listening", err)
	}

	short, err := relay.Listen(t.Context(), relay.Config{Drain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	short.Forward(netip.MustParseAddrPort(l.Addr().String()))
	ctx, cancel = context.WithCancel(t.Context())
	run.Go(func() {
		if err := short.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	near, _ = through(t, short, l)
	cancel()
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("what does not end: got %v, want a reset", err)
	}
	run.Wait()
}

func TestExtensions(t *testing.T) {
	for _, tt := range []struct {
		name, guest string
		onFault     relay.OnFault
		send        []string // each is awaited before the next is sent; the last ends the stream
		want        string
		reset       bool
		cause       relay.Cause // where reset
		told        int64
		log         string
	}{
		{"upper", "upper", relay.Close, []string{"Hello, {world}, ", "as ever; äöü z"}, "HELLO, {WORLD}, AS EVER; äöü Z", false, 0, 33, ""},
		{"heads", "heads", relay.Close, []string{"GET / HTTP/1.1\r\nHost: x\r\n\r", "\nGET / HTTP/1.1\r\n\r\n"}, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n", false, 0, 2, ""},
		{"count", "count", relay.Close, []string{"abc"}, "abc", false, 0, 3, ""},
		{"tells at the end", "last", relay.Close, []string{"abc"}, "abc", false, 0, 14, ""}, // both directions
		{"holds back until the end", "moody", relay.Close, []string{"abc", "Held"}, "abcHeld", false, 0, 2, ""},
		{"trap, close", "moody", relay.Close, []string{"abc", "Trap"}, "abc", true, relay.Faulted, 1, "trapped"},
		{"trap, pass", "moody", relay.Pass, []string{"abc", "Trap", "Trap"}, "abcTrapTrap", false, 0, 1, "trapped"},
		{"loop, close", "moody", relay.Close, []string{"Loop"}, "", true, relay.Faulted, 0, "too many steps"},
		{"loop, pass", "moody", relay.Pass, []string{"abc", "Loop", "x"}, "abcLoopx", false, 0, 1, "too many steps"},
		{"trap of what is not whole", "moody", relay.Pass, []string{"Double", "Trap"}, "DoubleDouble", true, relay.Faulted, 1, "trapped"},
		{"watch, pass", "watch", relay.Pass, []string{"abc", "Trap", "x"}, "abcTrapx", false, 0, 0, "trapped"},
		{"stop", "watch", relay.Pass, []string{"abc", "Stop"}, "abc", true, relay.Stopped, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := listen(t)
			var mu sync.Mutex
			var log []string
			r := begin(t, relay.Config{Mode: relay.Wasm, Guest: guest(t, tt.guest), OnFault: tt.onFault, Log: func(s string) {
				mu.Lock()
				defer mu.Unlock()
				log = append(log, s)
			}}, l.Addr())
			near, far := through(t, r, l)
			got := []byte{}
			for _, s := range tt.send[:len(tt.send)-1] {
				if _, err := near.Write([]byte(s)); err != nil {
					t.Fatal(err)
				}
				n := len(s)
				if strings.HasPrefix(s, "Double") {
					n *= 2
				}
				b := make([]byte, n)
				if _, err := io.ReadFull(far, b); err != nil {
					t.Fatal(err)
				}
				got = append(got, b...)
			}
			_ = send(near, []byte(tt.send[len(tt.send)-1]))
			rest, err := io.ReadAll(far)
			got = append(got, rest...)
			if string(got) != tt.want || errors.Is(err, syscall.ECONNRESET) != tt.reset {
				t.Errorf("got %q, %v, want %q, reset %v", got, err, tt.want, tt.reset)
			}
			_ = far.Close()
			settle(t, r, func(s relay.Stats) bool { return s.Open == 0 })
			s := r.Stats()
			if s.Told != tt.told || tt.reset != (s.Errors[tt.cause] == 1) {
				t.Errorf("stats: got %+v", s)
			}
			mu.Lock()
			defer mu.Unlock()
			if all := strings.Join(log, "\n"); (tt.log == "") != (all == "") || !strings.Contains(all, tt.log) {
				t.Errorf("log: got %q, want %q", all, tt.log)
			}
		})
	}
}

// Others are served while an extension does not come to an end.
func TestStalledExtension(t *testing.T) {
	l := listen(t)
	r := begin(t, relay.Config{Mode: relay.Wasm, Guest: guest(t, "watch")}, l.Addr())
	good, there := through(t, r, l)
	for range 20 {
		bad, _ := through(t, r, l)
		if _, err := bad.Write([]byte("Loop")); err != nil {
			t.Fatal(err)
		}
		if _, err := good.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(there, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, r, func(s relay.Stats) bool { return s.Errors[relay.Faulted] == 20 && s.Open == 1 })
}

func TestWrongConfigs(t *testing.T) {
	for _, tt := range []struct {
		cfg  relay.Config
		want string
	}{
		{relay.Config{Mode: "teleport"}, `mode "teleport": want copy, splice or wasm`},
		{relay.Config{Mode: relay.Wasm}, "mode wasm needs an extension"},
		{relay.Config{Guest: []byte{1}}, "mode copy has no extension; want mode wasm"},
		{relay.Config{Mode: relay.Wasm, Guest: []byte("no")}, "not a guest"},
		{relay.Config{Mode: relay.Wasm, Guest: guest(t, "ewma")}, "it exports neither inspect nor transform"},
		{relay.Config{Mode: relay.Wasm, Guest: guest(t, "count"), Chunk: 1 << 17}, "want 1024 to 65536"},
		{relay.Config{OnFault: "cry"}, `onfault "cry": want close or pass`},
		{relay.Config{Loops: 100}, "100 loops: want 1 to 64"},
		{relay.Config{Chunk: 3}, "a chunk of 3 bytes: want 1024 to 1048576"},
		{relay.Config{Connections: -1}, "-1 connections"},
		{relay.Config{Drain: -1}, "drain -1ns: want 0s to 24h0m0s"},
		{relay.Config{Connect: math.MaxInt64}, "want 0s to 24h0m0s"}, // would end before it began
		{relay.Config{Drain: math.MaxInt64}, "want 0s to 24h0m0s"},
		{relay.Config{Listen: "here"}, `listen "here": want an IP address with a port`},
	} {
		r, err := relay.Listen(t.Context(), tt.cfg)
		if r != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, %v, want %s", r, err, tt.want)
		}
	}
	r, err := relay.Listen(t.Context(), relay.Config{Mode: relay.Wasm, Guest: guest(t, "count")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := relay.Listen(t.Context(), relay.Config{Listen: r.Addr().String()}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listen twice: got %v", err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	if _, err := relay.Listen(t.Context(), relay.Config{Mode: relay.Wasm, Guest: []byte("no")}); !errors.Is(err, wasm.ErrGuest) {
		t.Errorf("got %v, want %v", err, wasm.ErrGuest)
	}
}
