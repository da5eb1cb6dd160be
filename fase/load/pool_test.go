package load_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/internal/netpoll"
)

func TestLatestFreedConnectionIsUsedFirst(t *testing.T) {
	const wide, more = 5, 20
	var mu sync.Mutex
	asked := map[int]int{}
	var all sync.WaitGroup
	all.Add(wide)
	address := serve(t, func(c *net.TCPConn, r *bufio.Reader, n int) {
		for i := 0; request(r); i++ {
			if i == 0 {
				all.Done()
				all.Wait()
			}
			mu.Lock()
			asked[n]++
			mu.Unlock()
			_, _ = io.WriteString(c, pong)
		}
	})
	c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(wide)}
	left := wide
	c.onEnd = func(c *crowd, n int) {
		if left--; left <= 0 && left > -more {
			c.issue(c.samples[n].done)
		}
	}
	s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(address)}))
	mu.Lock()
	defer mu.Unlock()
	most := 0
	for _, n := range asked {
		most = max(most, n)
	}
	if s.Opened != wide || most != 1+more {
		t.Errorf("got %d opened and requests by connection %v, want %d, one of them with %d", s.Opened, asked, wide, 1+more)
	}
}

func TestAbandonInLineAndWhileConnecting(t *testing.T) {
	const patience = 20 * time.Millisecond
	t.Run("in line", func(t *testing.T) {
		c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(6), patience: patience}
		s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(serve(t, hush)), Connections: 2}))
		sent := 0
		for _, x := range c.samples {
			if x.sent > 0 {
				sent++
			}
		}
		if s.Abandoned != 6 || s.Opened < 2 {
			t.Errorf("got %d abandoned on %d connections, want 6 on 2 or more", s.Abandoned, s.Opened)
		}
		if sent < 2 {
			t.Errorf("sent: got %d, want 2 or more", sent)
		}
	})
	t.Run("in line, and never sent", func(t *testing.T) {
		thaw := make(chan struct{})
		var asked atomic.Int32
		address := serve(t, func(c *net.TCPConn, r *bufio.Reader, _ int) {
			for request(r) {
				asked.Add(1)
				<-thaw
				_, _ = io.WriteString(c, pong)
			}
		})
		first := &crowd{t: t, request: service.Request{Service: -1}, due: burst(1)}
		rest := &crowd{t: t, request: service.Request{Service: -1}, due: burst(6), patience: patience}
		w := &watcher{at: dsv.At(2 * patience), do: func() { close(thaw) }}
		cfg := start(load.Config{Groups: []load.Group{first, rest, w}, Address: to(address), Connections: 1})
		s, err := open(t, cfg).Run(t.Context())
		if err != nil || s.Answered != 1 || s.Abandoned != 6 || !s.Balanced() || asked.Load() != 1 {
			t.Errorf("got %v, %d answered, %d abandoned, %d seen by the server; want 1, 6, 1", err, s.Answered, s.Abandoned, asked.Load())
		}
	})
	t.Run("failed, but not told yet", func(t *testing.T) {
		c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(6), patience: 1}
		s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to("")}))
		if s.Abandoned != 6 {
			t.Errorf("abandoned: got %d, want 6", s.Abandoned)
		}
	})
	t.Run("before the loop came to it", func(t *testing.T) {
		c := &crowd{t: t, due: burst(6), patience: 1}
		l := open(t, start(load.Config{Groups: []load.Group{forgetful{c}}, Address: to(serve(t, hush))}))
		s, err := l.Run(t.Context())
		if err != nil || s.Issued != 6 || s.Abandoned != 6 || s.Opened != 0 {
			t.Errorf("got %v, %+v; want 6 abandoned and nothing opened", err, s)
		}
	})
	t.Run("while connecting", func(t *testing.T) {
		ln, err := netpoll.Listen(netip.MustParseAddrPort("127.0.0.1:0"), 0, false)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = netpoll.Close(ln) }()
		at, err := netpoll.Local(ln)
		if err != nil {
			t.Fatal(err)
		}
		c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(6), patience: patience}
		s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(at.String())}))
		if s.Abandoned != 6 || s.Opened >= 6 {
			t.Errorf("got %d abandoned, %d opened, want 6 abandoned, some never opened", s.Abandoned, s.Opened)
		}
		for i, x := range c.samples {
			if got := x.done.Sub(x.due); got != patience {
				t.Errorf("request %d was given up after %v, want %v", i, got, patience)
			}
		}
	})
}

// A forgetful crowd has given every call up by the time that the loop asks what it carries.
type forgetful struct{ *crowd }

func (forgetful) Request(step.Ref) *service.Request { return nil }

// A connection that the server closes while it is idle is closed here too and costs no call.
func TestIdleConnectionClosedByTheServer(t *testing.T) {
	const rounds = 5
	ended := make(chan struct{}, rounds)
	c := &crowd{t: t, request: service.Request{Service: -1}, onEnd: func(*crowd, int) { ended <- struct{}{} }}
	cfg := start(load.Config{Groups: []load.Group{c}, Address: to(serve(t, say(pong, 1))), End: dsv.At(time.Hour)})
	l := open(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		for range rounds {
			l.Post(c.issue)
			<-ended
			for l.Stats().Open > 0 && t.Context().Err() == nil { // until the loop has seen it
				runtime.Gosched()
			}
		}
	})
	s, err := l.Run(ctx)
	wg.Wait()
	audit(t, cfg, s)
	if !errors.Is(err, context.Canceled) || s.Answered != rounds || s.Opened != rounds || s.Retried != 0 {
		t.Errorf("got %v, %d answered, %d opened, %d retried; want %v, 5, 5, 0", err, s.Answered, s.Opened, s.Retried, context.Canceled)
	}
}

// A server may answer before it has read a request to its end; whether it breaks off or not, the answer counts and the
// connection is of no more use.
func TestEarlyAnswerToALargeRequest(t *testing.T) {
	early := func(c *net.TCPConn, r *bufio.Reader, n int) {
		if request(r) {
			_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
		}
		if n%2 == 0 { // says no more but leaves the connection open
			one := make([]byte, 1)
			for {
				if _, err := c.Read(one); err != nil {
					return
				}
			}
		}
	}
	c := &crowd{t: t, request: service.Request{Service: -1, Method: "POST", Send: 32 << 20}, due: burst(2), again: true, limit: 6}
	s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(serve(t, early))}))
	for i, x := range c.samples {
		if want := (service.Answer{Status: 413, Bytes: 3}); x.answer != want {
			t.Errorf("answer %d: got %+v, want %+v", i, x.answer, want)
		}
	}
	if s.Opened != 6 {
		t.Errorf("opened: got %d, want 6", s.Opened)
	}
}

func TestDescriptorsRunOut(t *testing.T) {
	ln, err := netpoll.Listen(netip.MustParseAddrPort("127.0.0.1:0"), 1024, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = netpoll.Close(ln) }()
	at, err := netpoll.Local(ln)
	if err != nil {
		t.Fatal(err)
	}
	// Some connections stand and are never answered: once the others have failed, the run is ended.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(200)}
	c.onEnd = func(*crowd, int) { cancel() }
	w := &watcher{do: func() { // once the loop has its own descriptors
		highest, err := netpoll.Spare()
		if err != nil {
			t.Error(err)
			return
		}
		_ = netpoll.Close(highest)
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old) })
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(highest) + 10, Max: old.Max}); err != nil {
			t.Error(err)
		}
	}}
	cfg := start(load.Config{Groups: []load.Group{w, c}, Address: to(at.String())})
	s, err := open(t, cfg).Run(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want that it was ended", err)
	}
	audit(t, load.Config{Groups: []load.Group{c}}, s)
	if got := s.Errors[service.Exhausted]; got < 100 || s.Abandoned == 0 || len(s.Messages) != 1 || s.Messages[0].Count != got {
		t.Errorf("got %d exhausted, %d abandoned, messages %+v; want at least 100, some, and one message for all", got, s.Abandoned, s.Messages)
	}
}

func TestGroupsShareALoop(t *testing.T) {
	address := serve(t, say(pong, 0))
	a := &crowd{t: t, request: service.Request{Service: -1}, due: every(time.Millisecond, 10)}
	b := &crowd{t: t, request: service.Request{Service: -1, Method: "HEAD"}, node: 1, due: burst(3), again: true, limit: 50}
	s := carry(t, start(load.Config{Groups: []load.Group{a, b}, Address: func(node int) string {
		return []string{address, refused(t)}[node]
	}}))
	if s.Answered != 10 || s.Errors[service.Refused] != 50 {
		t.Errorf("got %d answered, %d refused, want 10 and 50", s.Answered, s.Errors[service.Refused])
	}
}
