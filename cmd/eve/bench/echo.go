package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/eve-emulation/eve/evekernel/wire/wiretest"
)

// echoPart sends back what it is sent, by WebSocket and by TCP.
func echoPart(context.Context) (duty, func() error, error) {
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		_ = web.Close()
		return nil, nil, err
	}
	srv := &http.Server{Handler: wiretest.Echo(), ReadHeaderTimeout: 5 * time.Second}
	var runs sync.WaitGroup
	runs.Go(func() { _ = srv.Serve(web) })
	runs.Go(func() {
		for {
			c, err := bare.Accept()
			if err != nil {
				return
			}
			runs.Go(func() { // ends with its client, which ends before this process is told to
				_, _ = io.Copy(c, struct{ io.Reader }{c}) // by reading and writing, as whoever looks at the bytes must
				_ = c.Close()
			})
		}
	})
	open := func(struct{}) (any, error) {
		return door{URL: "ws://" + web.Addr().String() + "/", TCP: bare.Addr().String()}, nil
	}
	return duty{"open": take(open)}, func() error {
		_ = bare.Close()
		return srv.Close()
	}, nil
}

// openEcho starts an echo in a process of its own.
func (c Config) openEcho(ctx context.Context) (*part, door, error) {
	p, err := c.start(ctx, "echo")
	if err != nil {
		return nil, door{}, err
	}
	var d door
	if err := p.call("open", struct{}{}, &d); err != nil {
		p.stop()
		return nil, door{}, err
	}
	return p, d, nil
}

// A bareping is a ping-pong over TCP and nothing else.
type bareping struct {
	conn       net.Conn
	there, got []byte
}

func dialBare(ctx context.Context, addr string, size int) (*bareping, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &bareping{conn: c, there: make([]byte, size), got: make([]byte, size)}, nil
}

// ping sends one message and waits until it is back.
func (b *bareping) ping() error {
	if _, err := b.conn.Write(b.there); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	if _, err := io.ReadFull(b.conn, b.got); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}
