// Package link carries the events of channels between two processes without the kernel in between.
//
//   - An [Endpoint] is a process's end: it takes links from others and makes links to others, one for each process.
//   - A [Link] is one connection. Events and answers travel both ways on it.
//   - [AppendBody] encodes an event, once for all links that it travels on.
//
// Whoever submits an event writes the socket, and whoever reads the socket hands the event over: there is no other
// goroutine in between. Only when events come faster than one by one, or when the other end is slow, they queue, and a
// goroutine of the link's writes what has gathered with one call. docs/events.md describes the frames.
package link

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/eve-emulation/eve/evekernel/egs"
)

// The limits of links.
const (
	MaxFrame     = 1 << 20         // bytes of one frame
	MaxQueue     = 1 << 20         // bytes that wait for one link; what comes beyond is dropped
	DialTimeout  = time.Second     // from dialling to the answer to the hello
	HelloTimeout = 5 * time.Second // from accepting to the hello
	WriteTimeout = 5 * time.Second // a peer that takes nothing for so long is given up
	maxAccepted  = 4096            // links that others made
	maxGreeting  = 1024            // connections that have not said hello: beyond, the oldest is hung up on
)

// ErrRefused reports that the other end is not who was meant, or showed the wrong secret.
var ErrRefused = errors.New("link refused")

// errProtocol ends a link whose frames make no sense.
var errProtocol = errors.New("link protocol violated")

// A Config says who an Endpoint is.
type Config struct {
	Node   uint64 // this process, as channels call it
	Name   string // of its member
	Secret string // which both ends must show

	// Inbox finds a sink of this process, Desk those who asked; nil when they have left. Both are called from several
	// goroutines at once and must not wait.
	Inbox func(sub uint64) *egs.Inbox
	Desk  func(num uint64) *egs.Desk

	// Log is told of links that end because a handler blocks. It may be nil.
	Log func(line string)
}

// An Endpoint is a process's end of all its links. Its methods may be called from several goroutines at once.
type Endpoint struct {
	cfg  Config
	work sync.WaitGroup
	done chan struct{} // closed by Close

	mu       sync.Mutex // guards what follows
	listener net.Listener
	dialled  map[uint64]*Link // by the process at the other end
	accepted map[uint64]*Link
	greeting map[net.Conn]uint64 // not yet a link; the order in which they came
	greeted  uint64
	closed   bool
}

// New returns an endpoint. Nothing is started.
func New(cfg Config) *Endpoint {
	return &Endpoint{
		cfg: cfg, done: make(chan struct{}),
		dialled: map[uint64]*Link{}, accepted: map[uint64]*Link{}, greeting: map[net.Conn]uint64{},
	}
}

// Listen begins to take links at a host of this machine, any port, and returns the address. It may be called again and
// then returns the same.
func (n *Endpoint) Listen(host string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed:
		return "", fmt.Errorf("listen for links: %w", net.ErrClosed)
	case n.listener != nil:
		return n.listener.Addr().String(), nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", fmt.Errorf("listen for links: %w", err)
	}
	n.listener = l
	n.work.Go(func() { n.accept(l) })
	return l.Addr().String(), nil
}

func (n *Endpoint) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			select {
			case <-n.done:
				return
			case <-time.After(10 * time.Millisecond): // out of descriptors, perhaps
				continue
			}
		}
		n.work.Go(func() { n.receive(conn) })
	}
}

// receive makes a link of a connection that somebody made, and reads it.
func (n *Endpoint) receive(conn net.Conn) {
	if !n.greet(conn) {
		_ = conn.Close()
		return
	}
	node, name, err := n.welcome(conn)
	n.mu.Lock()
	delete(n.greeting, conn)
	n.mu.Unlock()
	if err != nil {
		_ = conn.Close()
		return
	}
	l, err := newLink(n, conn, node, name)
	if err != nil {
		_ = conn.Close()
		return
	}
	former, ok := n.admit(l)
	if !ok {
		l.fail(net.ErrClosed)
		return
	}
	if former != nil && !former.guard.stalled.Load() { // what it still holds came before
		select {
		case <-former.ended:
		case <-time.After(time.Second):
			former.fail(net.ErrClosed)
		}
	}
	n.work.Go(l.flusher)
	l.read()
	n.mu.Lock()
	if n.accepted[node] == l {
		delete(n.accepted, node)
	}
	n.mu.Unlock()
}

func (n *Endpoint) greet(conn net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || len(n.accepted) >= maxAccepted {
		return false
	}
	if len(n.greeting) >= maxGreeting {
		oldest := conn
		first := n.greeted + 1
		for c, order := range n.greeting {
			if order < first {
				oldest, first = c, order
			}
		}
		_ = oldest.Close()
		delete(n.greeting, oldest)
	}
	n.greeted++
	n.greeting[conn] = n.greeted
	return true
}

func (n *Endpoint) admit(l *Link) (former *Link, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, false
	}
	former = n.accepted[l.node]
	n.accepted[l.node] = l
	return former, true
}

// welcome reads the hello of a connection and answers it.
func (n *Endpoint) welcome(conn net.Conn) (node uint64, name string, err error) {
	if err := conn.SetDeadline(time.Now().Add(HelloTimeout)); err != nil {
		return 0, "", err
	}
	secret, node, name, err := readHello(conn)
	if err != nil {
		return 0, "", err
	}
	if subtle.ConstantTimeCompare([]byte(secret), []byte(n.cfg.Secret)) != 1 {
		return 0, "", ErrRefused
	}
	if _, err := conn.Write(appendHello(nil, "", n.cfg.Node, n.cfg.Name)); err != nil {
		return 0, "", err
	}
	return node, name, conn.SetDeadline(time.Time{})
}

// Dial returns the link to a process at an address: the one that there is, whoever made it, or a new one. One connection
// for both ways saves acknowledgements. ErrRefused when somebody else answers there.
func (n *Endpoint) Dial(ctx context.Context, node uint64, addr string) (*Link, error) {
	n.mu.Lock()
	have, closed := n.present(node), n.closed
	n.mu.Unlock()
	switch {
	case closed:
		return nil, fmt.Errorf("link to %s: %w", addr, net.ErrClosed)
	case have != nil:
		return have, nil
	}
	conn, name, err := n.hail(ctx, node, addr)
	if err != nil {
		return nil, fmt.Errorf("link to %s: %w", addr, err)
	}
	l, err := newLink(n, conn, node, name)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("link to %s: %w", addr, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		l.fail(net.ErrClosed)
		return nil, fmt.Errorf("link to %s: %w", addr, net.ErrClosed)
	}
	if have := n.present(node); have != nil { // somebody was faster
		l.fail(net.ErrClosed)
		return have, nil
	}
	n.dialled[node] = l
	n.work.Go(l.flusher)
	n.work.Go(func() {
		l.read()
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.dialled[node] == l {
			delete(n.dialled, node)
		}
	})
	return l, nil
}

// present returns a link to a process that is up; nil when there is none. mu is held.
func (n *Endpoint) present(node uint64) *Link {
	if l := n.dialled[node]; l != nil && l.Up() {
		return l
	}
	if l := n.accepted[node]; l != nil && l.Up() {
		return l
	}
	return nil
}

// hail connects and says hello.
func (n *Endpoint) hail(ctx context.Context, node uint64, addr string) (net.Conn, string, error) {
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, "", err
	}
	err = conn.SetDeadline(time.Now().Add(DialTimeout))
	if err == nil {
		_, err = conn.Write(appendHello(nil, n.cfg.Secret, n.cfg.Node, n.cfg.Name))
	}
	var there uint64
	var name string
	if err == nil {
		_, there, name, err = readHello(conn)
	}
	if err == nil && there != node {
		err = fmt.Errorf("another process answers: %w", ErrRefused)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = conn.Close()
		return nil, "", err
	}
	return conn, name, nil
}

// To returns a link to a process, whoever made it; nil when there is none.
func (n *Endpoint) To(node uint64) *Link {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.present(node)
}

// closeTimeout is how long the ends of links have to take what is under way when one closes.
const closeTimeout = 500 * time.Millisecond

// Close sends what waits, ends all links and waits for everything that was started. It may be called twice.
func (n *Endpoint) Close() {
	n.mu.Lock()
	again := n.closed
	n.closed = true
	var links []*Link
	for _, l := range n.dialled {
		links = append(links, l)
	}
	for _, l := range n.accepted {
		links = append(links, l)
	}
	for c := range n.greeting {
		_ = c.Close()
	}
	if !again {
		close(n.done)
		if n.listener != nil {
			_ = n.listener.Close()
		}
	}
	n.mu.Unlock()
	var ending sync.WaitGroup
	for _, l := range links {
		ending.Go(l.close)
	}
	ending.Wait()
	n.work.Wait()
}
