package wire

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gorilla/websocket"
)

// A Guard says whom a kernel lets in.
type Guard struct {
	Token string   // what a participant must show; an empty one lets nobody in
	Hosts []string // names, without port, that the Host header may carry beside localhost and the loopback addresses
}

// Allow tells whether the request's Host and Origin are in order. If not, it has answered: 421 or 403. Whatever else a
// kernel serves asks it too, for a page on another origin, or a name that was bound to a loopback address, is foreign.
func (g Guard) Allow(w http.ResponseWriter, r *http.Request) bool {
	if !g.host(r.Host) {
		http.Error(w, "Host "+quoteShort(r.Host)+" is not served here", http.StatusMisdirectedRequest)
		return false
	}
	if !sameOrigin(r) {
		http.Error(w, "Origin "+quoteShort(r.Header.Get("Origin"))+" is foreign", http.StatusForbidden)
		return false
	}
	return true
}

func quoteShort(s string) string { return fmt.Sprintf("%.80q", s) }

func (g Guard) host(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || slices.Contains(g.Hosts, host) {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// sameOrigin tells whether Origin is absent or the origin that was asked. A second Origin header is foreign.
func sameOrigin(r *http.Request) bool {
	os := r.Header.Values("Origin")
	if len(os) == 0 {
		return true
	}
	u, err := url.Parse(os[0])
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return len(os) == 1 && err == nil && u.Scheme == scheme && strings.EqualFold(u.Host, r.Host)
}

// authorized compares in a time that does not depend on how much of the token is right.
func (g Guard) authorized(token string) bool {
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(g.Token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && g.Token != ""
}

// Bearer returns the token of the request's Authorization header; ok is false when there is none.
func Bearer(r *http.Request) (token string, ok bool) {
	return strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// Authorized tells whether the request carries the token in its Authorization header.
func (g Guard) Authorized(r *http.Request) bool {
	token, ok := Bearer(r)
	return ok && g.authorized(token)
}

// Upgrade makes a connection of an HTTP request and waits for its hello. On an error the request has been answered, and
// the connection closed. The caller answers with a Welcome, and runs and closes the connection.
func Upgrade(w http.ResponseWriter, r *http.Request, g Guard) (*Conn, Hello, error) {
	if !g.Allow(w, r) {
		return nil, Hello{}, fmt.Errorf("upgrade: host %q, origin %q: foreign", r.Host, r.Header.Get("Origin"))
	}
	_, shown := Bearer(r)
	if shown && !g.Authorized(r) {
		http.Error(w, ErrUnauthorized.Error(), http.StatusUnauthorized)
		return nil, Hello{}, fmt.Errorf("upgrade: %w", ErrUnauthorized)
	}
	if offered := websocket.Subprotocols(r); !slices.Contains(offered, CBOR.Protocol()) && !slices.Contains(offered, JSON.Protocol()) {
		http.Error(w, "offer the sub-protocol "+CBOR.Protocol()+" or "+JSON.Protocol(), http.StatusBadRequest)
		return nil, Hello{}, fmt.Errorf("upgrade: sub-protocols %.80q: %w", offered, ErrProtocol)
	}
	up := websocket.Upgrader{
		Subprotocols:     []string{CBOR.Protocol(), JSON.Protocol()},
		HandshakeTimeout: HelloTimeout,
		ReadBufferSize:   readBuffer,
		WriteBufferSize:  writeBuffer,
		CheckOrigin:      func(*http.Request) bool { return true }, // done above
	}
	h := &hijacker{ResponseWriter: w}
	ws, err := up.Upgrade(h, r, nil)
	if err != nil {
		return nil, Hello{}, fmt.Errorf("upgrade: %w", err)
	}
	c, err := newConn(ws, h.sock)
	if err != nil {
		_ = ws.Close()
		return nil, Hello{}, fmt.Errorf("upgrade: %w", err)
	}
	stop := context.AfterFunc(r.Context(), c.shut)
	defer stop()
	hello, err := c.accept(g, shown)
	if err != nil {
		f := FaultOf(err)
		_ = c.Send(&Frame{Bye: &Bye{Code: f.Code, Msg: f.Msg}})
		_ = c.Close()
		return nil, Hello{}, fmt.Errorf("upgrade: %w", err)
	}
	return c, hello, nil
}

func (c *Conn) accept(g Guard, shown bool) (Hello, error) {
	f, err := c.recv(HelloTimeout)
	switch {
	case err != nil:
		return Hello{}, err
	case f.Hello == nil:
		return Hello{}, fmt.Errorf("%s instead of hello: %w", f.Type(), ErrProtocol)
	case !shown && !g.authorized(f.Hello.Token):
		return Hello{}, ErrUnauthorized
	case f.Hello.Proto != Proto:
		return Hello{}, fmt.Errorf("protocol %d is not spoken here, only %d: %w", f.Hello.Proto, Proto, ErrProtocol)
	}
	h := *f.Hello
	h.Token = ""
	return h, nil
}
