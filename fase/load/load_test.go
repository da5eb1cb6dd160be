package load_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

func TestPlainAgainstNetHTTP(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		switch r.URL.Path {
		case "/empty":
			w.WriteHeader(204)
		case "/same":
			w.WriteHeader(304)
		case "/chunks":
			for range 5 {
				_, _ = io.WriteString(w, strings.Repeat("x", 1000))
				w.(http.Flusher).Flush()
			}
		case "/big":
			_, _ = io.WriteString(w, strings.Repeat("x", 3<<20))
		case "/fail":
			w.WriteHeader(503)
		case "/bye":
			w.Header().Set("Connection", "close")
		case "/count":
			w.WriteHeader(200)
			_, _ = io.WriteString(w, strconv.FormatInt(n, 10))
		default:
			w.Header().Set("Content-Length", "7")
			if r.Method != "HEAD" {
				_, _ = io.WriteString(w, "1234567")
			}
		}
	}))
	t.Cleanup(srv.Close)

	tests := []struct {
		name   string
		r      service.Request
		status int
		bytes  int64
		opened uint64 // for two requests, one after the other
	}{
		{"get", service.Request{Path: "/x?q=1"}, 200, 7, 1},
		{"no path", service.Request{}, 200, 7, 1},
		{"head", service.Request{Method: "HEAD", Path: "/x"}, 200, 0, 1},
		{"no content", service.Request{Path: "/empty"}, 204, 0, 1},
		{"not modified", service.Request{Path: "/same"}, 304, 0, 1},
		{"chunked", service.Request{Path: "/chunks"}, 200, 5000, 1},
		{"large answer", service.Request{Path: "/big"}, 200, 3 << 20, 1},
		{"error status", service.Request{Path: "/fail"}, 503, 0, 1},
		{"closed by the server", service.Request{Path: "/bye"}, 200, 0, 2},
		{"post without body", service.Request{Method: "POST", Path: "/count"}, 200, 1, 1},
		{"post large body", service.Request{Method: "POST", Path: "/count", Send: 5 << 20}, 200, 7, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.r.Service = -1
			c := &crowd{t: t, request: test.r, due: burst(1), again: true, limit: 2}
			s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(srv.URL)}))
			for i, x := range c.samples {
				want := service.Answer{Status: test.status, Bytes: test.bytes}
				if x.answer != want {
					t.Errorf("answer %d: got %+v, want %+v", i, x.answer, want)
				}
				if x.sent < x.due || x.done < x.sent {
					t.Errorf("instants: got due %d sent %d done %d", x.due, x.sent, x.done)
				}
			}
			if s.Opened != test.opened || s.Connect.Count() != test.opened {
				t.Errorf("opened: got %d, connect times %d, want %d", s.Opened, s.Connect.Count(), test.opened)
			}
		})
	}
}

func TestRDROnTheWire(t *testing.T) {
	block, err := rdr.ParseBlock("body", []byte("cpu exp(5ms) reply 10KiB"), rdr.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 2)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		compact := block.Compact()
		got, err := rdr.DecodeBlock(body[:min(len(body), len(compact))], rdr.Limits{})
		if err != nil || string(got.Compact()) != string(compact) {
			err = fmt.Errorf("another block: %w", err)
		}
		h := r.Header
		seen <- fmt.Sprint(r.Method, " ", r.URL.Path, " ", r.Host == r.Context().Value(http.LocalAddrContextKey).(net.Addr).String(),
			" ", h.Get("Eve-Key"), " ", h.Get("Eve-Epoch"), " ", h.Get("Eve-Priority"), " ", h.Get("Eve-Deadline"), " ", len(body)-len(compact), " ", err)
		w.Header().Set("Eve-Epoch", "9")
		w.WriteHeader(421)
	}))
	t.Cleanup(srv.Close)

	tests := []struct {
		name string
		r    service.Request
		want string
	}{
		{"to a service", service.Request{Service: 1, Block: block, Key: 0xbeef, Epoch: 4, Send: 3000, Priority: 2, Deadline: 5e9}, "POST /rdr/app true beef 4 2 5000000000 3000 <nil>"},
		{"to the host", service.Request{Service: -1, Block: block, Key: 1}, "POST /rdr true 1 0   0 <nil>"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &crowd{t: t, request: test.r, due: burst(1)}
			carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(srv.URL), Services: []string{"static", "app"}}))
			if got := <-seen; got != test.want {
				t.Errorf("request: got %q, want %q", got, test.want)
			}
			if got, want := c.samples[0].answer, (service.Answer{Status: 421, Epoch: 9}); got != want {
				t.Errorf("answer: got %+v, want %+v", got, want)
			}
		})
	}
}

func TestAbandonClosesTheConnection(t *testing.T) {
	var closed sync.WaitGroup
	closed.Add(20)
	address := serve(t, func(c *net.TCPConn, r *bufio.Reader, n int) {
		defer closed.Done()
		hush(c, r, n)
	})
	c := &crowd{t: t, request: service.Request{Service: -1}, due: every(time.Millisecond, 20), patience: 30 * time.Millisecond}
	s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(address)}))
	if s.Abandoned != 20 || s.Opened != 20 {
		t.Errorf("got %d abandoned on %d connections, want 20 on 20", s.Abandoned, s.Opened)
	}
	for i, x := range c.samples {
		if got := x.done.Sub(x.due); got != c.patience {
			t.Errorf("request %d was given up after %v, want %v", i, got, c.patience)
		}
	}
	done := make(chan struct{})
	go func() { closed.Wait(); close(done) }()
	await(t, "every connection is closed", done)
}

func TestEndGivesGraceThenAbandons(t *testing.T) {
	const end, grace = 20 * time.Millisecond, 30 * time.Millisecond
	address := serve(t, func(c *net.TCPConn, r *bufio.Reader, n int) {
		if n == 0 {
			say(pong, 0)(c, r, n)
		} else {
			hush(c, r, n)
		}
	})
	c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(3)}
	carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(address), End: dsv.At(end), Grace: grace}))
	if got, want := describe(c.causes()), describe(map[service.Cause]int{service.OK: 1, service.Abandoned: 2}); got != want {
		t.Errorf("causes: got %s, want %s", got, want)
	}
	for _, x := range c.samples {
		if x.answer.Cause == service.Abandoned && x.done < dsv.At(end+grace) {
			t.Errorf("abandoned at %v, before the grace was over", x.done.Seconds())
		}
	}
}

// A server that is frozen while requests go on being due shows in the latency of all of them, not of one alone.
func TestFrozenServerShowsInEveryLatency(t *testing.T) {
	const n, gap = 100, time.Millisecond
	for _, test := range []struct {
		name        string
		connections int
	}{{"a connection each", 0}, {"three connections", 3}} {
		t.Run(test.name, func(t *testing.T) {
			thaw := make(chan struct{})
			address := serve(t, func(c *net.TCPConn, r *bufio.Reader, _ int) {
				for request(r) {
					<-thaw
					if _, err := io.WriteString(c, pong); err != nil {
						return
					}
				}
			})
			release := &watcher{at: dsv.At(n * gap), do: func() { close(thaw) }}
			c := &crowd{t: t, request: service.Request{Service: -1}, due: every(gap, n)}
			l := open(t, start(load.Config{Groups: []load.Group{c, release}, Address: to(address), Connections: test.connections}))
			s, err := l.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if s.Answered != n || !s.Balanced() {
				t.Errorf("got %+v, want %d answers", s, n)
			}
			for i, x := range c.samples {
				if got, least := x.done.Sub(x.due), (n-time.Duration(i))*gap; got < least {
					t.Errorf("latency %d: got %v, want at least %v", i, got, least)
				}
			}
			if test.connections > 0 && s.Opened != uint64(test.connections) {
				t.Errorf("opened: got %d, want %d", s.Opened, test.connections)
			}
		})
	}
}

// A watcher is a group that does one thing at one instant.
type watcher struct {
	crowd
	at dsv.Instant
	do func()
}

func (w *watcher) Next() dsv.Instant { return w.at }

func (w *watcher) Advance(dsv.Instant) {
	w.at = dsv.Never
	w.do()
}

func TestConnectionsAreBoundedAndServedInOrder(t *testing.T) {
	var present, most atomic.Int32
	var mu sync.Mutex
	var order []string
	address := serve(t, func(c *net.TCPConn, r *bufio.Reader, _ int) {
		most.Store(max(most.Load(), present.Add(1)))
		defer present.Add(-1)
		for {
			line, err := r.ReadString('\n')
			if err != nil || !request(r) {
				return
			}
			mu.Lock()
			order = append(order, strings.Fields(line)[1])
			mu.Unlock()
			_, _ = io.WriteString(c, pong)
		}
	})
	c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(50)}
	groups := []load.Group{&numbered{crowd: c}}
	l := open(t, start(load.Config{Groups: groups, Address: to(address), Connections: 1}))
	s, err := l.Run(t.Context())
	if err != nil || s.Answered != 50 || s.Opened != 1 || most.Load() != 1 {
		t.Fatalf("got %v, %d answered, %d opened, %d at once; want 50 over 1", err, s.Answered, s.Opened, most.Load())
	}
	mu.Lock()
	defer mu.Unlock()
	for i, path := range order {
		if want := fmt.Sprintf("/%d", i); path != want {
			t.Fatalf("request %d: got %s, want %s", i, path, want)
		}
	}
}

// A numbered crowd asks for /0, /1 and so on.
type numbered struct {
	*crowd
	n int
}

func (c *numbered) Request(step.Ref) *service.Request {
	r := c.request
	r.Path = fmt.Sprintf("/%d", c.n)
	c.n++
	return &r
}

func TestAddressMayChange(t *testing.T) {
	var asked [2]atomic.Int32
	var addresses [2]string
	for i := range addresses {
		addresses[i] = serve(t, func(c *net.TCPConn, r *bufio.Reader, _ int) {
			for request(r) {
				asked[i].Add(1)
				_, _ = io.WriteString(c, pong)
			}
		})
	}
	var now atomic.Int32
	c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(1), again: true, limit: 10}
	c.onEnd = func(_ *crowd, n int) { now.Store(int32(n / 5)) }
	s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: func(int) string { return addresses[now.Load()] }}))
	if a, b := asked[0].Load(), asked[1].Load(); a+b != 10 || a == 0 || b == 0 || s.Opened != 2 {
		t.Errorf("got %d and %d requests over %d connections, want 10 in all, over 2", a, b, s.Opened)
	}
}

func TestSources(t *testing.T) {
	from := make(chan string, 4)
	address := serve(t, func(c *net.TCPConn, r *bufio.Reader, n int) {
		from <- c.RemoteAddr().(*net.TCPAddr).IP.String()
		say(pong, 0)(c, r, n)
	})
	c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(4)}
	sources := []netip.Addr{netip.MustParseAddr("127.0.0.7"), netip.MustParseAddr("127.0.0.8")}
	carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(address), Sources: sources}))
	got := map[string]int{}
	for range 4 {
		got[<-from]++
	}
	if got["127.0.0.7"] != 2 || got["127.0.0.8"] != 2 {
		t.Errorf("connections by source: got %v, want 2 each of %v", got, sources)
	}
}

func TestPost(t *testing.T) {
	address := serve(t, say(pong, 0))
	c := &crowd{t: t, request: service.Request{Service: -1}}
	l := open(t, start(load.Config{Groups: []load.Group{c}, Address: to(address), End: dsv.At(time.Hour), Mailbox: 2}))
	if !l.Post(func(dsv.Instant) {}) {
		t.Error("post before the run: got false, want true")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	called := 0 // on the loop's thread only
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if !l.Post(func(at dsv.Instant) { called++; c.issue(at) }) {
					t.Error("post: got false, want true")
				}
			}
		})
	}
	wg.Go(func() {
		for epoch := range uint32(3) {
			l.Changed(0, service.Mapping{Epoch: epoch})
		}
	})
	go func() { // ends the run when every call has been answered
		wg.Wait()
		for s := l.Stats(); s.Answered < 200; s = l.Stats() {
			if !s.Balanced() {
				t.Errorf("accounts in the run do not balance: %+v", s)
				break
			}
		}
		cancel()
	}()
	s, err := l.Run(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("run: got %v, want %v", err, context.Canceled)
	}
	audit(t, load.Config{Groups: []load.Group{c}}, s)
	if called != 200 || s.Answered != 200 || fmt.Sprint(c.changed) != "[0 1 2]" {
		t.Errorf("got %d called, %d answered, changes %v; want 200, 200, 0 1 2", called, s.Answered, c.changed)
	}
	if l.Post(func(dsv.Instant) { t.Error("called after the run") }) {
		t.Error("post after the run: got true, want false")
	}
	if got := l.Stats(); got.Answered != 200 || got.Wall != s.Wall {
		t.Errorf("stats after the run: got %+v, want %+v", got, s)
	}
	if _, err := l.Run(t.Context()); err == nil {
		t.Error("second run: got no error")
	}
}

func TestCancelAbandonsWhatIsInFlight(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked atomic.Int32
	address := serve(t, func(c *net.TCPConn, r *bufio.Reader, n int) {
		if request(r) && asked.Add(1) == 8 {
			cancel()
		}
		hush(c, r, n)
	})
	c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(8)}
	cfg := start(load.Config{Groups: []load.Group{c}, Address: to(address)})
	s, err := open(t, cfg).Run(ctx)
	if !errors.Is(err, context.Canceled) || s.Abandoned != 8 {
		t.Errorf("got %d abandoned, %v; want 8, %v", s.Abandoned, err, context.Canceled)
	}
	audit(t, cfg, s)
}

func TestConfigIsChecked(t *testing.T) {
	group := []load.Group{&crowd{t: t}}
	for name, cfg := range map[string]load.Config{
		"no groups":      {Address: to("")},
		"no addresses":   {Groups: group},
		"negative grace": {Groups: group, Address: to(""), Grace: -1},
		"no source":      {Groups: group, Address: to(""), Sources: []netip.Addr{{}}},
	} {
		if _, err := load.New(cfg); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestLookup(t *testing.T) {
	tests := []struct {
		url, fails string
		want       load.Target
	}{
		{"http://127.0.0.1", "", load.Target{Address: "127.0.0.1:80", Host: "127.0.0.1", Path: "/"}},
		{"http://127.0.0.1:81/a/b?c=d", "", load.Target{Address: "127.0.0.1:81", Host: "127.0.0.1:81", Path: "/a/b?c=d"}},
		{"http://[::1]:82/", "", load.Target{Address: "[::1]:82", Host: "[::1]:82", Path: "/"}},
		{"http://localhost:83/", "", load.Target{Address: "127.0.0.1:83", Host: "localhost:83", Path: "/"}},
		{"https://127.0.0.1/", "", load.Target{Address: "https://127.0.0.1:443", Host: "127.0.0.1", Path: "/"}},
		{"https://localhost:84/a", "", load.Target{Address: "https://127.0.0.1:84", Host: "localhost:84", Path: "/a"}},
		{"127.0.0.1:80", "first path segment", load.Target{}},
		{"ftp://127.0.0.1/", "want http://", load.Target{}},
		{"http:///x", "want http://", load.Target{}},
	}
	for _, test := range tests {
		got, err := load.Lookup(t.Context(), test.url)
		if got != test.want || (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("look up %s: got %+v, %v; want %+v, %q", test.url, got, err, test.want, test.fails)
		}
	}
}
