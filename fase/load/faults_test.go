package load_test

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

func TestFaults(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		name  string
		play  script // nil: nobody listens
		cause service.Cause
		bytes int64 // of the body that came
	}{
		{"refused", nil, service.Refused, 0},
		{"reset", reset, service.Reset, 0},
		{"closed without a word", func(_ *net.TCPConn, r *bufio.Reader, _ int) { request(r) }, service.Closed, 0},
		{"closed in the head", say(ok+"Content-Le", 1), service.Truncated, 0},
		{"closed in the body", say(ok+"Content-Length: 10\r\n\r\nabcd", 1), service.Truncated, 4},
		{"closed in a chunk", say(ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", 1), service.Truncated, 3},
		{"closed after an interim answer", say("HTTP/1.1 102 Processing\r\n\r\n", 1), service.Truncated, 0},
		{"body until the end", say("HTTP/1.0 200 OK\r\n\r\nabcdef", 1), service.OK, 6},
		{"more than announced", say(pong+"pong", 0), service.OK, 4},
		{"interim answers first", say("HTTP/1.1 100 Continue\r\n\r\n"+pong+"\r\n", 0), service.OK, 4},
		{"speaks first", func(c *net.TCPConn, r *bufio.Reader, n int) { _, _ = io.WriteString(c, "220 ready\r\n"); hush(c, r, n) }, service.Malformed, 0},
		{"not HTTP", say("SSH-2.0-OpenSSH_9.2", 1), service.Malformed, 0},
		{"not HTTP, stays open", say("220 ready\r\n", 0), service.Malformed, 0},
		{"endless head", endless(ok, "X-%d: and so on\r\n"), service.Oversized, 0},
		{"endless interim answers", endless("", "HTTP/1.1 103 Early Hints\r\nLink: <%d>\r\n\r\n"), service.Oversized, 0},
		{"endless trailer", endless(ok+"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", "X-%d: and so on\r\n"), service.Oversized, 1},
		{"endless size of a chunk", endless(ok+"Transfer-Encoding: chunked\r\n\r\n1;", "x=%d;"), service.Oversized, 0},
		{"a length above the limit", say(ok+"Content-Length: 65537\r\n\r\nab", 0), service.Oversized, 2},
		{"a length up to the limit", say(ok+"Content-Length: 65536\r\n\r\n"+strings.Repeat("x", 65536)+"!", 0), service.OK, 65536},
		{"a chunk above the limit", say(ok+"Transfer-Encoding: chunked\r\n\r\n10001\r\nab", 0), service.Oversized, 2},
		{"a length beyond all", say(ok+"Content-Length: 99999999999999999999\r\n\r\nab", 0), service.Malformed, 0},
		{"two lengths", say(ok+"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 0), service.Malformed, 0},
		{"negative length", say(ok+"Content-Length: -4\r\n\r\n", 0), service.Malformed, 0},
		{"bad chunk", say(ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX", 0), service.Malformed, 5},
		{"switches protocols", say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 0), service.OK, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address := ""
			if test.play == nil {
				address = refused(t)
			} else {
				address = serve(t, test.play)
			}
			c := &crowd{t: t, request: service.Request{Method: "POST", Service: -1}, due: burst(5), again: true, limit: 30}
			s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(address), MaxBody: 65536}))
			if got, want := describe(c.causes()), describe(map[service.Cause]int{test.cause: 30}); got != want {
				t.Fatalf("causes: got %s, want %s", got, want)
			}
			if want := map[bool]uint64{true: 30}[test.play != nil]; s.Opened != want {
				t.Errorf("opened: got %d, want %d, because none can be used again", s.Opened, want)
			}
			for i, x := range c.samples {
				if x.answer.Bytes != test.bytes || x.sent < x.due || x.done < x.sent {
					t.Fatalf("sample %d: got %+v, want %d bytes and instants in order", i, x, test.bytes)
				}
			}
		})
	}
}

func TestRefusedCallsInLineAllFail(t *testing.T) {
	c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(10)}
	s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(refused(t)), Connections: 1}))
	if got := s.Errors[service.Refused]; got != 10 {
		t.Errorf("refused: got %d, want 10", got)
	}
}

func TestRetry(t *testing.T) {
	// The server closes each connection when it has read the second request.
	second := func(c *net.TCPConn, r *bufio.Reader, _ int) {
		if request(r) {
			_, _ = io.WriteString(c, pong)
			request(r)
		}
	}
	once := func(c *net.TCPConn, r *bufio.Reader, n int) {
		if request(r) && n == 0 {
			_, _ = io.WriteString(c, pong)
			request(r)
		}
	}
	interim := func(c *net.TCPConn, r *bufio.Reader, _ int) {
		if request(r) {
			_, _ = io.WriteString(c, pong)
			request(r)
			_, _ = io.WriteString(c, "HTTP/1.1 102 Processing\r\n\r\n")
		}
	}
	tests := []struct {
		name    string
		play    script
		method  string
		want    map[service.Cause]int
		retried uint64
	}{
		{"GET is sent again", second, "GET", map[service.Cause]int{service.OK: 4}, 3},
		{"HEAD is sent again", say("HTTP/1.1 204 No Content\r\n\r\n", 1), "HEAD", map[service.Cause]int{service.OK: 4}, 3},
		{"POST is not", second, "POST", map[service.Cause]int{service.OK: 2, service.Closed: 2}, 0},
		{"once only, and only of a kept connection", once, "GET", map[service.Cause]int{service.OK: 1, service.Closed: 3}, 1},
		{"not after a byte of an answer", interim, "GET", map[service.Cause]int{service.OK: 2, service.Truncated: 2}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &crowd{t: t, request: service.Request{Method: test.method, Service: -1}, due: burst(1), again: true, limit: 4}
			s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(serve(t, test.play))}))
			if got, want := describe(c.causes()), describe(test.want); got != want {
				t.Errorf("causes: got %s, want %s", got, want)
			}
			if test.method != "HEAD" && s.Retried != test.retried {
				t.Errorf("retried: got %d, want %d", s.Retried, test.retried)
			}
		})
	}
}

func TestFailingConnections(t *testing.T) {
	tests := []struct {
		name    string
		address string
		source  string
		r       service.Request
		cause   service.Cause
		message string
	}{
		{"no local address", "127.0.0.1:9", "192.0.2.1", service.Request{Service: -1}, service.Other, "cannot assign requested address"},
		{"unknown address", "", "", service.Request{Service: -1}, service.NoRoute, "call server 0: address unknown"},
		{"a name", "localhost:9", "", service.Request{Service: -1}, service.Other, "not an IP address with a port"},
		{"path with a line end", "127.0.0.1:9", "", service.Request{Service: -1, Path: "/ HTTP/1.1\r\nX: y"}, service.Other, "is no method and path"},
		{"service without a name", "127.0.0.1:9", "", service.Request{Service: 7, Block: &rdr.Block{}}, service.Other, "service 7 has no name"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := load.Config{Address: to(test.address)}
			if test.source != "" {
				cfg.Sources = []netip.Addr{netip.MustParseAddr(test.source)}
			}
			c := &crowd{t: t, request: test.r, due: burst(4), again: true, limit: 12}
			cfg.Groups = []load.Group{c}
			s := carry(t, start(cfg))
			if got := s.Errors[test.cause]; got != 12 {
				t.Errorf("errors: got %v, want 12 of %s", s.Errors, test.cause)
			}
			if len(s.Messages) != 1 || s.Messages[0].Count != 12 || !strings.Contains(s.Messages[0].Text, test.message) {
				t.Errorf("messages: got %+v, want 12 of %q", s.Messages, test.message)
			}
		})
	}
}

// One server that does everything wrong, each connection in its turn: each fault is counted as what it is, none is lost, none stops
// the run, and the users who were answered go on.
func TestFaultsTogether(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	plays := []struct {
		play  script
		cause service.Cause
	}{
		{reset, service.Reset},
		{say(ok+"Connection: close\r\nContent-Length: 4\r\n\r\npong", 1), service.OK},
		{func(_ *net.TCPConn, r *bufio.Reader, _ int) { request(r) }, service.Closed},
		{say(ok+"Content-Length: 10\r\n\r\nabcd", 1), service.Truncated},
		{say(pong+"more", 0), service.OK},
		{endless(ok, "X-%d: and so on\r\n"), service.Oversized},
		{endless(ok+"Transfer-Encoding: chunked\r\n\r\n", "4\r\nabcd\r\n%[1]x\r\n"), service.Malformed},
		{endless(ok+"Transfer-Encoding: chunked\r\n\r\n", "4\r\nabcd\r\n%.0d"), service.Oversized},
		{endless(ok+"\r\n", "endless %d"), service.Oversized},
		{say("220 ready\r\n", 0), service.Malformed},
		{hush, service.Abandoned},
		{say("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 0), service.OK},
	}
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	address := serve(t, func(c *net.TCPConn, r *bufio.Reader, n int) { plays[n%len(plays)].play(c, r, n) })
	for i := range 2 {
		own, readiness := i == 1, i == 1
		cs := &crowd{
			t: t, request: service.Request{Method: "POST", Service: -1}, due: burst(5), again: true, limit: rounds * len(plays), patience: 2 * time.Second,
		}
		cfg := load.Config{Groups: []load.Group{cs}, Address: to(address), MaxBody: 100_000, Own: own, Readiness: readiness}
		if own {
			cfg.Groups = []load.Group{&solo{crowd: cs}}
		}
		l := open(t, start(cfg))
		s, err := l.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		cfg.Groups = []load.Group{cs}
		audit(t, cfg, s)
		want := map[service.Cause]int{}
		for _, p := range plays {
			want[p.cause] += rounds
		}
		if got, want := describe(cs.causes()), describe(want); got != want {
			t.Errorf("own connections %v, epoll %v: got %s, want %s; messages %v", own, readiness, got, want, s.Messages)
		}
		if want := uint64(rounds * len(plays)); s.Opened != want || s.Issued != want {
			t.Errorf("own connections %v, epoll %v: got %d requests over %d connections, want %d, none of which can be used again", own, readiness, s.Issued, s.Opened, want)
		}
	}
}

// solo is a crowd each of whose calls has a connection of its own.
type solo struct{ *crowd }

func (*solo) Owner(ref step.Ref) uint32 { return ref.Slot() }
