// Package enginetest is the contract of engines as a test. Every kind of engine passes
//
//	enginetest.Run(t, kind)
//
// over real sockets on loopback. An engine that says it is [engine.Kind.Blind] need not tell a handler of a peer that
// goes while its request is under way.
package enginetest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/engine"
)

// Run tests engines of a kind. It skips what the kernel cannot run: a kind whose Listen says errors.ErrUnsupported.
func Run(t *testing.T, kind engine.Kind) {
	t.Helper()
	s := suite{kind}
	e, err := s.open(engine.Config{Listen: "127.0.0.1:0"}, func(int) engine.Handler { return newHandler() })
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err == nil {
		err = e.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range []map[string]func(*testing.T){s.messages(), s.connections(), s.badInput(), s.abuse(), s.outgoing(), s.working(), s.breaking()} {
		for name, test := range group {
			t.Run(name, test)
		}
	}
}

type suite struct{ kind engine.Kind }

// open opens the engine under test, with as many of the loops that cfg asks for as it can have.
func (s suite) open(cfg engine.Config, handler func(loop int) engine.Handler) (engine.Engine, error) {
	cfg.Name = s.kind.Name
	if s.kind.MaxLoops > 0 {
		cfg.Reactors = min(cfg.Reactors, s.kind.MaxLoops)
	}
	return engine.Registry{s.kind}.Listen(cfg, handler)
}

// patience bounds every wait of a test that succeeds much sooner.
const patience = 20 * time.Second

// A server is an engine that runs during one test.
type server struct {
	engine.Engine
	handlers []*handler
	stop     context.CancelFunc
	ended    chan error
}

// start runs an engine with test handlers until the test ends or stop is called.
func (s suite) start(t *testing.T, cfg engine.Config) *server {
	t.Helper()
	sv := &server{ended: make(chan error, 1)}
	cfg.Listen = "127.0.0.1:0"
	if cfg.Drain == 0 {
		cfg.Drain = 50 * time.Millisecond // some tests leave requests unanswered
	}
	e, err := s.open(cfg, func(i int) engine.Handler {
		h := newHandler()
		sv.handlers = append(sv.handlers, h)
		return h
	})
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	sv.Engine = e
	for _, h := range sv.handlers {
		h.post = e.Post
	}
	ctx, cancel := context.WithCancel(context.Background())
	sv.stop = cancel
	go func() { sv.ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-sv.ended; err != nil {
			t.Errorf("run: got %v, want nil", err)
		}
		sv.ended <- nil
	})
	return sv
}

// wait returns the result of Run.
func (sv *server) wait(t *testing.T) {
	t.Helper()
	select {
	case err := <-sv.ended:
		if err != nil {
			t.Errorf("run: got %v, want nil", err)
		}
		sv.ended <- nil
	case <-time.After(patience):
		t.Fatal("run has not returned")
	}
}

// A client is one connection of a test.
type client struct {
	*net.TCPConn
	t *testing.T
	r *bufio.Reader
}

func (sv *server) dial(t *testing.T) *client {
	t.Helper()
	conn, err := net.Dial("tcp", sv.Addr().String())
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &client{TCPConn: conn.(*net.TCPConn), t: t, r: bufio.NewReader(conn)}
}

// send writes text.
func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// get asks for path.
func (c *client) get(path string) {
	c.t.Helper()
	c.send("GET " + path + " HTTP/1.1\r\nHost: eve\r\n\r\n")
}

// A reply is a response that was read whole.
type reply struct {
	*http.Response
	body []byte
}

// next reads the next response, to a request with the given method.
func (c *client) next(method string) reply {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read response: %v", err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("read body: %v", err)
	}
	return reply{res, body}
}

// expect reads the next response and checks its status and its body, filler being given by its length as "#N".
func (c *client) expect(method string, status int, body string) reply {
	c.t.Helper()
	res := c.next(method)
	if res.StatusCode != status {
		c.t.Errorf("status: got %d (%s), want %d", res.StatusCode, bytes.TrimSpace(res.body), status)
	}
	if n, ok := strings.CutPrefix(body, "#"); ok {
		if got := itoa(len(res.body)); got != n {
			c.t.Errorf("body: got %s bytes, want %s", got, n)
		}
	} else if string(res.body) != body {
		c.t.Errorf("body: got %.60q, want %.60q", res.body, body)
	}
	return res
}

// expectEnd checks that the server ends the connection, by end of stream or reset, without another byte.
func (c *client) expectEnd() {
	c.t.Helper()
	b, err := c.r.ReadByte()
	if err == nil {
		c.t.Errorf("connection: got byte %q, want its end", b)
	} else if e, ok := err.(net.Error); ok && e.Timeout() {
		c.t.Error("connection: still open, want its end")
	}
}
