// Package wiretest is the least that a round trip over the transport of package wire can cost: bare messages over
// gorilla/websocket, without frames, codings or a kernel. What is built on the transport is compared with it.
package wiretest

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gorilla/websocket"
)

// Echo is an HTTP handler that sends every message back as it came, until the other end leaves. It reads nothing else of
// the request, so it belongs on a loopback address.
func Echo() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var up websocket.Upgrader
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return // Upgrade has answered
		}
		defer func() { _ = ws.Close() }()
		for {
			kind, b, err := ws.ReadMessage()
			if err != nil || ws.WriteMessage(kind, b) != nil {
				return
			}
		}
	})
}

// A Pinger is one connection to an Echo. It belongs to one goroutine.
type Pinger struct {
	ws      *websocket.Conn
	message []byte
}

// Dial connects to the Echo at url (ws://HOST:PORT/) for messages of size bytes.
func Dial(ctx context.Context, url string, size int) (*Pinger, error) {
	ws, res, err := websocket.DefaultDialer.DialContext(ctx, url, nil)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", url, err)
	}
	_ = res.Body.Close() // gorilla has read it
	return &Pinger{ws: ws, message: make([]byte, size)}, nil
}

// Ping sends one message and waits until it is back.
func (p *Pinger) Ping() error {
	if err := p.ws.WriteMessage(websocket.BinaryMessage, p.message); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	_, b, err := p.ws.ReadMessage()
	if err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	if len(b) != len(p.message) {
		return errors.New("ping: another message came back")
	}
	return nil
}

// Close ends the connection.
func (p *Pinger) Close() error { return p.ws.Close() }
