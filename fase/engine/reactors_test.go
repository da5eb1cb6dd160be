package engine_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// answerer answers at once ("/"), a little later ("/l…"), on loop 0 ("/p…") or with the length of what a call brings ("/c…"),
// and allocates nothing.
type answerer struct {
	later []engine.Ref
	self  string
	req   []byte
	body  []byte
}

func (h *answerer) Request(l engine.Loop, ref engine.Ref, r *engine.Request) {
	kind := byte(0)
	if len(r.Target) > 1 {
		kind = r.Target[1]
	}
	switch {
	case kind == 'l':
		h.later = append(h.later, ref)
	case kind == 'p' && l.Index() != 0:
		l.Pass(0, ref, r)
	case kind == 'c':
		l.Call(h.self, h.req, l.Now()+int64(10*time.Second), engine.CallRef(ref)) // one call for each request
	default:
		l.Respond(ref, engine.Response{Body: h.body})
	}
}

func (h *answerer) Closed(engine.Loop, engine.Ref) {}

func (h *answerer) Answer(l engine.Loop, ref engine.CallRef, a *engine.Answer) {
	l.Respond(engine.Ref(ref), engine.Response{Filler: a.Bytes})
}

func (h *answerer) Next() int64 {
	if len(h.later) > 0 {
		return 0
	}
	return mono.Never
}

func (h *answerer) Advance(l engine.Loop, _ int64) {
	for _, ref := range h.later {
		l.Respond(ref, engine.Response{Filler: 13})
	}
	h.later = h.later[:0]
}

func serve(t testing.TB, name string, reactors int) engine.Engine {
	t.Helper()
	handlers := make([]*answerer, reactors)
	e, err := engine.Shipped().Listen(engine.Config{Listen: "127.0.0.1:0", Name: name, Reactors: reactors}, func(i int) engine.Handler {
		handlers[i] = &answerer{req: []byte("GET / HTTP/1.1\r\nHost: eve\r\n\r\n"), body: []byte("hello, world\n")}
		return handlers[i]
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range handlers {
		h.self = e.Addr().String()
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

// A crowd is connections that each have one request under way, on one thread, without allocating.
type crowd struct {
	t      testing.TB
	poller *netpoll.Poller
	fds    []int
	buf    []byte
}

func newCrowd(t testing.TB, addr netip.AddrPort, n int) *crowd {
	t.Helper()
	p, err := netpoll.NewPoller(0)
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{t: t, poller: p, buf: make([]byte, 4096)}
	t.Cleanup(func() {
		for _, fd := range c.fds {
			_ = netpoll.Close(fd)
		}
		_ = p.Close()
	})
	for range n {
		fd, err := netpoll.Connect(netip.Addr{}, addr)
		if err != nil {
			t.Fatal(err)
		}
		c.fds = append(c.fds, fd)
		if err := p.Add(fd, uint64(fd), netpoll.Out); err != nil {
			t.Fatal(err)
		}
		for ready := false; !ready; {
			evs, err := p.Wait(mono.Never)
			if err != nil {
				t.Fatal(err)
			}
			ready = len(evs) > 0
		}
		if err := p.Modify(fd, uint64(fd), netpoll.In); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// exchange makes n requests over all connections.
func (c *crowd) exchange(n int, req []byte) {
	sent, done := 0, 0
	for _, fd := range c.fds[:min(n, len(c.fds))] {
		if _, err := netpoll.Write(fd, req); err != nil {
			c.t.Fatal(err)
		}
		sent++
	}
	for done < n {
		evs, err := c.poller.Wait(mono.Never)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, ev := range evs {
			k, err := netpoll.Read(int(ev.Tag), c.buf)
			if err != nil || k < 20 {
				c.t.Fatalf("response: got %q, %v", c.buf[:k], err)
			}
			done++
			if sent < n {
				if _, err := netpoll.Write(int(ev.Tag), req); err != nil {
					c.t.Fatal(err)
				}
				sent++
			}
		}
	}
}

func request(path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: eve\r\n\r\n")
}

func TestNoAllocations(t *testing.T) {
	for _, tt := range []struct {
		name, engine, path string
		reactors           int
	}{
		{"at once", "reactors", "/", 1},
		{"later", "reactors", "/later", 1},
		{"passed", "reactors", "/pass", 3},
		{"call", "reactors", "/call", 1},
		{"select", "sped-select", "/", 1},
		{"poll", "sped-poll", "/", 1},
		{"levels", "sped-epoll-lt", "/", 1},
		{"edges", "sped-epoll-et", "/", 1},
		{"helpers", "amped", "/", 1},
		{"goroutines", "threads", "/", 1},
		{"goroutines, later", "threads", "/later", 1},
		{"threads", "threads-1to1", "/", 1},
		{"threads, later", "threads-1to1", "/later", 1},
		{"pool", "pool", "/", 1},
		{"pool, later", "pool", "/later", 1},
		{"pool, call", "pool", "/call", 1},
		{"completions", "uring", "/", 1},
		{"completions, later", "uring", "/later", 1},
		{"completions, passed", "uring", "/pass", 3},
		{"completions, call", "uring", "/call", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if raced && strings.HasPrefix(tt.engine, "threads") {
				t.Skip("the race detector has a sync.Pool forget some of what it is given")
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			c := newCrowd(t, serve(t, tt.engine, tt.reactors).Addr(), 6)
			req := request(tt.path)
			c.exchange(500, req)
			// Something else in the process may allocate now and then; a request that allocates does so every time.
			if got := allocations(20, func() { c.exchange(100, req) }); got > 10 {
				t.Errorf("allocations for 100 requests: got %v, want next to none", got)
			}
		})
	}
}

// allocations is testing.AllocsPerRun without its GOMAXPROCS of 1, under which loops that sleep hold up everybody.
func allocations(runs int, fn func()) float64 {
	var before, after runtime.MemStats
	fn()
	runtime.ReadMemStats(&before)
	for range runs {
		fn()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(runs)
}

// TestDescriptorsExhausted lets in more connections than there are descriptors for.
func TestDescriptorsExhausted(t *testing.T) {
	for _, kind := range engine.Shipped() {
		t.Run(kind.Name, func(t *testing.T) { exhaust(t, kind.Name) })
	}
}

func exhaust(t *testing.T, name string) {
	e, err := engine.Shipped().Listen(engine.Config{Listen: "127.0.0.1:0", Name: name}, func(int) engine.Handler {
		return &answerer{body: []byte("hello, world\n")}
	})
	if err != nil {
		t.Fatal(err)
	}
	var clients []net.Conn
	for range 64 { // they wait in the backlog
		c, err := net.Dial("tcp", e.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		clients = append(clients, c)
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	limit := old
	limit.Cur = uint64(freeDescriptor(t) + 16)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old) }()

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	served, shed := 0, 0
	for _, c := range clients {
		_, _ = c.Write(request("/"))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		switch {
		case err == nil && res.StatusCode == 200:
			served++
		case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
			shed++
		default:
			t.Errorf("response: got %v, %v", res, err)
		}
	}
	if served == 0 || shed == 0 {
		t.Errorf("of %d connections %d were served and %d closed; want some of both", len(clients), served, shed)
	}
	for _, c := range clients {
		_ = c.Close()
	}
	c, err := net.Dial("tcp", e.Addr().String()) // descriptors are free again
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = c.Write(request("/"))
	if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 200 {
		t.Errorf("response afterwards: got %v, %v, want 200", res, err)
	}
	_ = c.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := e.Stats().Shed; got < uint64(shed) {
		t.Errorf("shed: got %d, want at least %d", got, shed)
	}
}

// freeDescriptor returns the lowest number that is free.
func freeDescriptor(t *testing.T) int {
	t.Helper()
	fd, err := netpoll.Spare()
	if err != nil {
		t.Fatal(err)
	}
	_ = netpoll.Close(fd)
	return fd
}

// BenchmarkLoop serves one crowd with one loop; server-ns/op is the CPU of its thread for a request.
func BenchmarkLoop(b *testing.B) {
	for _, name := range []string{"reactors", "uring"} {
		for _, path := range []string{"/", "/later"} {
			for _, n := range []int{1, 64, 1000} {
				b.Run(name+"/"+strings.TrimPrefix(path, "/")+strconv.Itoa(n), func(b *testing.B) { crowdedLoop(b, name, path, n) })
			}
		}
	}
}

func crowdedLoop(b *testing.B, name, path string, n int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e := serve(b, name, 1)
	c := newCrowd(b, e.Addr(), n)
	req := request(path)
	c.exchange(1000, req)
	used := func() int64 {
		cpu := make(chan int64, 1)
		e.Post(0, func(engine.Loop) { cpu <- mono.ThreadCPU() })
		return <-cpu
	}
	b.ReportAllocs()
	before := used()
	b.ResetTimer()
	c.exchange(b.N, req)
	b.StopTimer()
	b.ReportMetric(float64(used()-before)/float64(b.N), "server-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkIdle states what the process's memory grows by for an idle connection of the server.
func BenchmarkIdle(b *testing.B) {
	for _, name := range []string{"reactors", "uring", "threads", "pool", "seda", "actors"} {
		b.Run(name, func(b *testing.B) { idleMemory(b, name) })
	}
}

func idleMemory(b *testing.B, name string) {
	const n = 4000
	e := serve(b, name, 1)
	grown := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	var crowds []*crowd
	come := func() { // no more at once than a queue takes
		c := newCrowd(b, e.Addr(), 1000)
		c.exchange(1000, request("/"))
		crowds = append(crowds, c)
	}
	come() // what so many need while they are busy is kept, once
	for b.Loop() {
		before := grown()
		for range n / 1000 {
			come()
		}
		b.ReportMetric(float64(grown()-before)/n, "B/connection")
		for _, c := range crowds {
			for _, fd := range c.fds {
				_ = netpoll.Close(fd)
			}
			c.fds = nil
		}
		crowds = nil
	}
}
