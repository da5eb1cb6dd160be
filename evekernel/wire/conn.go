package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// A Conn is one connection in frames. Queue, Flush and Send may be called from several goroutines at once; Run once.
type Conn struct {
	ws    *websocket.Conn
	sock  *socket
	codec *Codec
	out   outbox
	turns turns
	in    []byte // the message that is read; the reader's

	beforeWait func() // the reader's

	closing sync.Once
	closed  error
}

func newConn(ws *websocket.Conn, sock *socket) (*Conn, error) {
	coding := CBOR
	switch ws.Subprotocol() {
	case CBOR.Protocol():
	case JSON.Protocol():
		coding = JSON
	default:
		return nil, fmt.Errorf("no common sub-protocol: want %s or %s: %w", CBOR.Protocol(), JSON.Protocol(), ErrProtocol)
	}
	codec, err := NewCodec(coding)
	if err != nil {
		return nil, err
	}
	ws.EnableWriteCompression(false)
	ws.SetReadLimit(MaxMessage)
	c := &Conn{ws: ws, sock: sock, codec: codec}
	c.turns.role, c.turns.back = make(chan struct{}, 1), make(chan struct{}, 1)
	c.turns.role <- struct{}{}
	c.out.room.L = &c.out.mu
	c.out.kick = make(chan struct{}, 1)
	return c, nil
}

// Coding is the coding that both ends agreed on.
func (c *Conn) Coding() Coding { return c.codec.Coding() }

// recv reads the first frame; silence of d ends the connection.
func (c *Conn) recv(d time.Duration) (*Frame, error) {
	if err := c.ws.SetReadDeadline(time.Now().Add(d)); err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	b, err := c.message(d)
	if err != nil {
		return nil, err
	}
	f, n, err := c.codec.next(b)
	if err != nil {
		return nil, err
	}
	c.turns.rest = b[n:]
	return f, nil
}

// message reads the next message. It is valid until the next call.
func (c *Conn) message(d time.Duration) ([]byte, error) {
	kind, r, err := c.ws.NextReader()
	if err != nil {
		return nil, receiveError(err, d)
	}
	want := websocket.BinaryMessage
	if c.codec.coding == JSON {
		want = websocket.TextMessage
	}
	if kind != want {
		return nil, fmt.Errorf("receive: a message of the wrong type for %s: %w", c.codec.coding.Protocol(), ErrProtocol)
	}
	b := c.in[:0]
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, max(512, len(b)))
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, receiveError(err, d)
		}
	}
	if c.in = b; cap(b) > keepBytes {
		c.in = nil
	}
	return b, nil
}

func receiveError(err error, d time.Duration) error {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return fmt.Errorf("receive: silent for %v", d)
	}
	if errors.Is(err, websocket.ErrReadLimit) {
		return fmt.Errorf("receive: a message beyond %d bytes: %w", MaxMessage, ErrProtocol)
	}
	return fmt.Errorf("receive: %w", err)
}

// Run reads frames and hands each to handle, and keeps the connection alive, until the connection ends, handle returns
// an error, or ctx ends. It then closes the connection and returns why. handle is called from one goroutine and must not
// block for long, for nothing is read meanwhile. A peer that broke the protocol is told so by a Bye.
func (c *Conn) Run(ctx context.Context, handle func(*Frame) error) error {
	inner, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	pongs := make(chan string, 1)
	wg.Go(func() { c.attend(inner, pongs) })
	stop := context.AfterFunc(ctx, c.shut)
	err, lost := c.loop(handle, pongs)
	stop()
	cancel()
	if errors.Is(err, ErrProtocol) {
		_ = c.Queue(&Frame{Bye: &Bye{Code: CodeProtocol, Msg: err.Error()}})
	}
	if !lost && ctx.Err() == nil {
		c.drain()
	}
	c.shut()
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// loop reads until an error; lost says that it is the connection's.
func (c *Conn) loop(handle func(*Frame) error, pongs chan<- string) (err error, lost bool) {
	c.ws.SetPongHandler(func(string) error { return nil })
	c.ws.SetPingHandler(func(data string) error {
		select {
		case pongs <- data: // not written here: two ends that write while they should read would wait for each other
		default: // a pong answers all pings before it
		}
		return nil
	})
	c.sock.quiet = DeadAfter
	if !c.sock.framed {
		c.sock.before = c.answer
	}
	c.turns.handle = handle
	return c.turn()
}

// attend sends pings and pongs, and what it is kicked to send.
func (c *Conn) attend(ctx context.Context, pongs <-chan string) {
	c.serve(true)
	defer c.serve(false)
	tick := time.NewTicker(PingEvery)
	defer tick.Stop()
	for {
		kind, data := websocket.PingMessage, ""
		select {
		case <-ctx.Done():
			return
		case <-c.out.kick:
			_ = c.Flush() // whose error the reader meets
			continue
		case <-tick.C:
		case data = <-pongs:
			kind = websocket.PongMessage
		}
		if err := c.ws.WriteControl(kind, []byte(data), time.Now().Add(WriteTimeout)); err != nil {
			c.shut()
			return
		}
	}
}

// serve says whether Run's goroutine takes kicks.
func (c *Conn) serve(on bool) {
	c.out.mu.Lock()
	c.out.served = on
	c.out.mu.Unlock()
}

// close closes the socket at once; whoever reads or writes returns.
func (c *Conn) close() {
	c.closing.Do(func() { c.closed = c.ws.Close() })
}

// shut is close; who waits for room returns too.
func (c *Conn) shut() {
	c.close()
	c.out.mu.Lock()
	if c.out.err == nil {
		c.out.err = errShut
	}
	c.out.room.Broadcast()
	c.out.mu.Unlock()
}

// Close tells the peer that the connection ends, once it has taken what was queued, for a second at most, and ends it. It
// may be called twice and from any goroutine.
func (c *Conn) Close() error {
	late := time.AfterFunc(time.Second, c.shut)
	c.drain()
	end := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = c.ws.WriteControl(websocket.CloseMessage, end, time.Now().Add(time.Second))
	late.Stop()
	c.shut()
	return c.closed
}
