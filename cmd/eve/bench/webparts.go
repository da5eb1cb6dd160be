package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
	emulation "github.com/eve-emulation/eve/modules/server"
)

// A serverSpec says which server a part is: an emulated one with the named engine, or a peer that is a Go library.
type serverSpec struct{ Engine, Peer string }

// serverPart is a server. It serves until the part ends.
func serverPart(ctx context.Context) (duty, func() error, error) {
	var running sync.WaitGroup
	var failed error
	ctx, cancel := context.WithCancel(ctx)
	open := func(s serverSpec) (any, error) {
		var address string
		var run func() error
		var err error
		switch s.Peer {
		case "":
			address, run, err = emulated(ctx, s.Engine)
		case netHTTP:
			address, run, err = plainGo(ctx)
		case gnetPeer:
			address, run, err = onGnet(ctx)
		default:
			err = errors.New("no such server")
		}
		if err != nil {
			return nil, err
		}
		running.Go(func() { failed = run() })
		return door{TCP: address}, nil
	}
	settle := func(struct{}) (any, error) {
		debug.FreeOSMemory()
		return nil, nil
	}
	return duty{"open": take(open), "settle": take(settle)}, func() error {
		cancel()
		running.Wait()
		return failed
	}, nil
}

// emulated is a server as `eve serve` is.
func emulated(ctx context.Context, name string) (string, func() error, error) {
	s, err := emulation.Listen(emulation.Config{
		Host:   service.HostConfig{Topology: &service.Topology{Servers: []string{"server"}}},
		Engine: engine.Config{Name: name, Listen: "127.0.0.1:0", IdleTimeout: time.Hour, Drain: time.Millisecond},
		Seed:   1,
	})
	if err != nil {
		return "", nil, err
	}
	s.Start(mono.Now())
	return s.Addr().String(), func() error { return s.Run(ctx) }, nil
}

const page = "ok\n"

// plainGo is net/http with one handler.
func plainGo(ctx context.Context) (string, func() error, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, page)
	})}
	return l.Addr().String(), func() error {
		stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
		defer stop()
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}, nil
}

// onGnet is one event loop of gnet that answers each empty line: no more of HTTP than the raw loop does.
type onGnetHandler struct {
	gnet.BuiltinEventEngine
	booted chan gnet.Engine
	answer []byte
}

var emptyLine = []byte("\r\n\r\n")

func (h *onGnetHandler) OnBoot(e gnet.Engine) gnet.Action {
	h.booted <- e
	return gnet.None
}

func (h *onGnetHandler) OnTraffic(c gnet.Conn) gnet.Action {
	b, err := c.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	n, end := 0, 0
	for {
		i := bytes.Index(b[end:], emptyLine)
		if i < 0 {
			break
		}
		n, end = n+1, end+i+len(emptyLine)
	}
	if _, err := c.Discard(end); err != nil {
		return gnet.Close
	}
	for range n {
		if _, err := c.Write(h.answer); err != nil {
			return gnet.Close
		}
	}
	return gnet.None
}

// mute says nothing: a part's standard output is for its answers.
type mute struct{}

func (mute) Debugf(string, ...any) {}
func (mute) Infof(string, ...any)  {}
func (mute) Warnf(string, ...any)  {}
func (mute) Errorf(string, ...any) {}
func (mute) Fatalf(string, ...any) {}

func onGnet(ctx context.Context) (string, func() error, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // gnet does not tell which free port it took
	if err != nil {
		return "", nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", nil, err
	}
	h := &onGnetHandler{booted: make(chan gnet.Engine, 1), answer: fmt.Appendf(nil,
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(page), page)}
	ended := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		ended <- gnet.Run(h, "tcp://"+address, gnet.WithMulticore(false), gnet.WithTCPNoDelay(gnet.TCPNoDelay), gnet.WithLogger(mute{}))
	})
	select {
	case err := <-ended:
		return "", nil, err
	case e := <-h.booted:
		return address, func() error {
			defer wg.Wait()
			stop := context.AfterFunc(ctx, func() { _ = e.Stop(context.Background()) })
			defer stop()
			return <-ended
		}, nil
	}
}
