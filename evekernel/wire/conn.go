package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// A Conn is one connection in frames. Send may be called from several goroutines at once; Run once.
type Conn struct {
	ws    *websocket.Conn
	codec *Codec

	mu sync.Mutex // one writer at a time

	closing sync.Once
	closed  error
}

func newConn(ws *websocket.Conn) (*Conn, error) {
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
	return &Conn{ws: ws, codec: codec}, nil
}

// Coding is the coding that both ends agreed on.
func (c *Conn) Coding() Coding { return c.codec.Coding() }

// Send writes one frame. It waits while other frames are being written, and ends the connection when the peer does not
// take the frame within WriteTimeout. A frame that cannot be encoded leaves the connection whole.
func (c *Conn) Send(f *Frame) error {
	b, err := c.codec.Encode(f)
	if err != nil {
		return err
	}
	kind := websocket.BinaryMessage
	if c.codec.Coding() == JSON {
		kind = websocket.TextMessage
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ws.SetWriteDeadline(time.Now().Add(WriteTimeout)); err != nil {
		return fmt.Errorf("send %s: %w", f.Type(), err)
	}
	if err := c.ws.WriteMessage(kind, b); err != nil {
		// A frame may be half written: nothing can follow it.
		c.shut()
		return fmt.Errorf("send %s: %w", f.Type(), err)
	}
	return nil
}

// recv reads the next frame; silence of d ends the connection.
func (c *Conn) recv(d time.Duration) (*Frame, error) {
	if err := c.ws.SetReadDeadline(time.Now().Add(d)); err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	kind, b, err := c.ws.ReadMessage()
	if err != nil {
		return nil, receiveError(err, d)
	}
	want := websocket.BinaryMessage
	if c.codec.Coding() == JSON {
		want = websocket.TextMessage
	}
	if kind != want {
		return nil, fmt.Errorf("receive: a message of the wrong type for %s: %w", c.codec.Coding().Protocol(), ErrProtocol)
	}
	return c.codec.Decode(b)
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
	wg.Go(func() { c.ping(inner, pongs) })
	stop := context.AfterFunc(ctx, c.shut)
	err := c.loop(handle, pongs)
	stop()
	cancel()
	if errors.Is(err, ErrProtocol) {
		_ = c.Send(&Frame{Bye: &Bye{Code: CodeProtocol, Msg: err.Error()}})
	}
	c.shut()
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (c *Conn) loop(handle func(*Frame) error, pongs chan<- string) error {
	c.ws.SetPongHandler(func(string) error { return c.alive() })
	c.ws.SetPingHandler(func(data string) error {
		select {
		case pongs <- data: // not written here: two ends that write while they should read would wait for each other
		default: // a pong answers all pings before it
		}
		return c.alive()
	})
	for {
		f, err := c.recv(DeadAfter)
		if err != nil {
			return err
		}
		if err := handle(f); err != nil {
			return err
		}
	}
}

func (c *Conn) alive() error { return c.ws.SetReadDeadline(time.Now().Add(DeadAfter)) }

// ping sends pings and pongs.
func (c *Conn) ping(ctx context.Context, pongs <-chan string) {
	tick := time.NewTicker(PingEvery)
	defer tick.Stop()
	for {
		kind, data := websocket.PingMessage, ""
		select {
		case <-ctx.Done():
			return
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

// shut closes the connection at once; whoever reads or writes returns.
func (c *Conn) shut() {
	c.closing.Do(func() { c.closed = c.ws.Close() })
}

// Close tells the peer that the connection ends, and ends it. It may be called twice and from any goroutine.
func (c *Conn) Close() error {
	end := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = c.ws.WriteControl(websocket.CloseMessage, end, time.Now().Add(time.Second))
	c.shut()
	return c.closed
}
