// Command gnet is one event loop of the library gnet that answers each empty line with a fixed page: as much of HTTP as the
// raw loop beside it knows. It is what `eve bench engines` compares with, a program of its own because the library starts
// goroutines in every program that imports it.
//
//	gnet PORT
//
// It listens on 127.0.0.1:PORT and serves until it is ended by a signal.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "gnet: want a port")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gnet:", err)
		os.Exit(1)
	}
}

func run(port string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	h := &handler{booted: make(chan gnet.Engine, 1)}
	ended := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() {
		ended <- gnet.Run(h, "tcp://127.0.0.1:"+port, gnet.WithMulticore(false), gnet.WithTCPNoDelay(gnet.TCPNoDelay), gnet.WithLogger(mute{}))
	})
	defer running.Wait()
	select {
	case err := <-ended:
		return errors.Join(err, errors.New("it ended by itself"))
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	e := <-h.booted
	return e.Stop(late)
}

var (
	emptyLine = []byte("\r\n\r\n")
	answer    = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n")
)

type handler struct {
	gnet.BuiltinEventEngine
	booted chan gnet.Engine
}

// OnBoot implements gnet.EventHandler.
func (h *handler) OnBoot(e gnet.Engine) gnet.Action {
	h.booted <- e
	return gnet.None
}

// OnTraffic implements gnet.EventHandler: it answers the whole requests that are there.
func (h *handler) OnTraffic(c gnet.Conn) gnet.Action {
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
		if _, err := c.Write(answer); err != nil {
			return gnet.Close
		}
	}
	return gnet.None
}

// mute is a logger that says nothing.
type mute struct{}

func (mute) Debugf(string, ...any) {}
func (mute) Infof(string, ...any)  {}
func (mute) Warnf(string, ...any)  {}
func (mute) Errorf(string, ...any) {}
func (mute) Fatalf(string, ...any) {}
