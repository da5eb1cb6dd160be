package modules

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/evekernel/link"
)

// retryAfter is how long a process that no link could be made to is reached through the kernel before it is tried again.
const retryAfter = time.Second

// A neighbour is another process with sinks, and the link to it.
type neighbour struct {
	node   uint64
	addr   atomic.Pointer[string]
	link   atomic.Pointer[link.Link] // nil, or down: through the kernel
	trying sync.Mutex
	tried  atomic.Int64 // when, in Unix ns
}

// listen makes this process take links and returns where; empty when it does not.
func (x *exchange) listen() string {
	x.mu.Lock()
	links := x.links
	x.mu.Unlock()
	if links == nil || x.p.link.NoLinks {
		return ""
	}
	host := x.p.link.Address
	if host == "" {
		host = "127.0.0.1"
	}
	at, err := links.Listen(host)
	if err != nil {
		x.p.log(err.Error() + "; events come through the kernel")
		return ""
	}
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		return ""
	}
	return net.JoinHostPort(host, port)
}

// neighbour returns a process that takes links at addr, or nil when it is this one or takes none.
func (x *exchange) neighbour(node uint64, addr string) *neighbour {
	if addr == "" || node == x.node() || x.p.link.NoLinks {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	nb := x.nodes[node]
	if nb == nil {
		nb = &neighbour{node: node}
		x.nodes[node] = nb
	}
	nb.addr.Store(&addr)
	return nb
}

// up returns the link if there is one.
func (nb *neighbour) up() *link.Link {
	if nb == nil {
		return nil
	}
	if l := nb.link.Load(); l != nil && l.Up() {
		return l
	}
	return nil
}

// connect makes the link, unless it is there. An error only means that events go through the kernel.
func (x *exchange) connect(nb *neighbour) {
	nb.trying.Lock()
	defer nb.trying.Unlock()
	if nb.up() != nil {
		return
	}
	x.mu.Lock()
	links := x.links
	x.mu.Unlock()
	nb.tried.Store(time.Now().UnixNano())
	if l, err := links.Dial(context.Background(), nb.node, *nb.addr.Load()); err == nil { // it has a timeout of its own
		nb.link.Store(l)
	}
}

// reconnect makes the link that was lost or could not be made, in the background and not too often.
func (x *exchange) reconnect(nb *neighbour) {
	last := nb.tried.Load()
	now := time.Now().UnixNano()
	if now-last < int64(retryAfter) || !nb.tried.CompareAndSwap(last, now) {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.over {
		x.work.Go(func() { x.connect(nb) })
	}
}
