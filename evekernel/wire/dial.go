package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/gorilla/websocket"
)

// A Dialer makes connections to a kernel. The zero Dialer speaks CBOR over TCP.
type Dialer struct {
	Coding Coding
	// Net makes the connection below; nil for TCP. Tests and modules inside the kernel's process hand out pipes.
	Net func(ctx context.Context) (net.Conn, error)
}

// Dial is Dial of the zero Dialer.
func Dial(ctx context.Context, url, token string, h Hello) (*Conn, Welcome, error) {
	return Dialer{}.Dial(ctx, url, token, h)
}

// Dial connects to the kernel at url (ws://HOST:PORT/eve), says h and waits for the welcome. The caller runs and closes
// the connection. ErrUnauthorized when the kernel refuses the token.
func (d Dialer) Dial(ctx context.Context, url, token string, h Hello) (*Conn, Welcome, error) {
	c, w, err := d.dial(ctx, url, token, h)
	if err != nil {
		return nil, Welcome{}, fmt.Errorf("dial %s: %w", url, err)
	}
	return c, w, nil
}

func (d Dialer) dial(ctx context.Context, url, token string, h Hello) (*Conn, Welcome, error) {
	ctx, cancel := context.WithTimeout(ctx, HelloTimeout)
	defer cancel()
	wd := websocket.Dialer{
		Subprotocols:     []string{d.Coding.Protocol()},
		HandshakeTimeout: HelloTimeout,
		ReadBufferSize:   readBuffer,
		WriteBufferSize:  clientWriteBuffer,
	}
	var sock *socket
	wd.NetDialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.connect(ctx, network, addr)
		sock = &socket{Conn: conn}
		return sock, err
	}
	head := http.Header{}
	if token != "" {
		head.Set("Authorization", "Bearer "+token)
	}
	ws, res, err := wd.DialContext(ctx, url, head)
	if err != nil {
		return nil, Welcome{}, refusal(err, res)
	}
	sock.framed = true // a kernel says nothing before hello, so nothing of a frame was read
	c, err := newConn(ws, sock)
	if err != nil {
		_ = ws.Close()
		return nil, Welcome{}, err
	}
	stop := context.AfterFunc(ctx, c.shut)
	w, err := c.hail(h)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.shut()
		return nil, Welcome{}, err
	}
	return c, w, nil
}

func (d Dialer) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	if d.Net != nil {
		return d.Net(ctx)
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}

// refusal makes an error of an HTTP answer that is no upgrade.
func refusal(err error, res *http.Response) error {
	if !errors.Is(err, websocket.ErrBadHandshake) || res == nil {
		return err
	}
	b, _ := io.ReadAll(io.LimitReader(res.Body, 512)) // gorilla holds what it has read; there is no more to close
	why := strings.TrimSpace(string(b))
	if res.StatusCode == http.StatusUnauthorized {
		return fmt.Errorf("%s: %w", res.Status, ErrUnauthorized)
	}
	return fmt.Errorf("%s: %s", res.Status, why)
}

// hail says hello and waits for the welcome.
func (c *Conn) hail(h Hello) (Welcome, error) {
	if h.Proto == 0 {
		h.Proto = Proto
	}
	if err := c.Send(&Frame{Hello: &h}); err != nil {
		return Welcome{}, err
	}
	f, err := c.recv(HelloTimeout)
	switch {
	case err != nil:
		return Welcome{}, err
	case f.Bye != nil:
		return Welcome{}, (&Fault{Code: f.Bye.Code, Msg: f.Bye.Msg}).Err()
	case f.Welcome == nil:
		return Welcome{}, fmt.Errorf("%s instead of welcome: %w", f.Type(), ErrProtocol)
	}
	return *f.Welcome, nil
}
