package load

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net/netip"

	"github.com/eve-emulation/eve/fase/service"
)

// A pool is the connections to one address, and the calls that wait for one.
type pool struct {
	to    netip.AddrPort
	host  string            // what Host says
	tls   *tls.Config       // nil: plain
	idle  list[conn, *conn] // the latest freed first
	line  list[call, *call] // calls that wait, in order of issue
	waits bool              // it is in the loop's list of pools with a line
	open  int               // connections, those being opened included
}

// A node remembers what the address of a server was, and its pool.
type node struct {
	address string
	pool    *pool
}

// poolOf finds the pool of a server. The cause is that of err.
func (l *Loop) poolOf(server int) (*pool, service.Cause, error) {
	if server < 0 {
		return nil, service.NoRoute, fmt.Errorf("call server %d: no such server", server)
	}
	for len(l.nodes) <= server {
		l.nodes = append(l.nodes, node{})
	}
	address := l.cfg.Address(server)
	n := &l.nodes[server]
	if n.pool != nil && n.address == address {
		return n.pool, service.OK, nil
	}
	if address == "" {
		return nil, service.NoRoute, fmt.Errorf("call server %d: address unknown", server)
	}
	p, err := l.openPool(server, address)
	if err != nil {
		return nil, service.Other, fmt.Errorf("call server %d: %w", server, err)
	}
	*n = node{address: address, pool: p}
	return p, service.OK, nil
}

// A place is what calls must have in common to share connections.
type place struct {
	to   netip.AddrPort
	host string
	tls  *tls.Config // as it was configured
}

func (l *Loop) openPool(server int, address string) (*pool, error) {
	to, host, secure, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	var site Site
	if server < len(l.cfg.Sites) {
		site = l.cfg.Sites[server]
	}
	if site.TLS == nil && secure {
		site.TLS = l.verified
	}
	at := place{to, cmp.Or(site.Host, l.cfg.Host, host), site.TLS}
	if p, ok := l.pools[at]; ok {
		return p, nil
	}
	p := &pool{to: to, host: at.host}
	if at.tls != nil {
		p.tls = named(at.tls, at.host)
	}
	l.pools[at] = p
	return p, nil
}

// connects is how many connections are begun at most before the loop looks at its sockets again: opening one takes several times
// as long as sending over one that an answer has just left. A loop that comes late to many calls would else open one for each,
// and come later still.
const connects = 16

// assign gives a call a connection, or a place in the line. While there is a line no connection is idle, so nobody overtakes.
func (l *Loop) assign(k *call) {
	p := k.pool
	switch {
	case l.cfg.Own:
		l.assignOwn(k)
	case p.idle.first != nil:
		c := p.idle.first
		p.idle.remove(c)
		l.begin(c, k)
	case p.line.first != nil || !l.mayOpen(p):
		if l.cfg.Connections > 0 && p.open >= l.cfg.Connections {
			l.stats.Queued++
		}
		p.line.pushBack(k)
		if !p.waits {
			p.waits = true
			l.waiting = append(l.waiting, p)
		}
	default:
		l.connect(k)
	}
}

// mayOpen reports whether another connection may be opened now.
func (l *Loop) mayOpen(p *pool) bool {
	return l.begun < connects && (l.cfg.Connections == 0 || p.open < l.cfg.Connections)
}

// serveWaiting begins another round of connects.
func (l *Loop) serveWaiting() {
	l.begun = 0
	n := 0
	for _, p := range l.waiting {
		if l.serve(p); p.line.first != nil {
			l.waiting[n] = p
			n++
		} else {
			p.waits = false
		}
	}
	l.waiting = l.waiting[:n]
}

// serve gives connections to calls in line as far as there are.
func (l *Loop) serve(p *pool) {
	for p.line.first != nil && !l.closing {
		k := p.line.first
		if p.idle.first == nil && !l.mayOpen(p) {
			return
		}
		p.line.remove(k)
		if c := p.idle.first; c != nil {
			p.idle.remove(c)
			l.begin(c, k)
		} else {
			l.connect(k)
		}
	}
}
