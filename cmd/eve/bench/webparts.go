package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

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
