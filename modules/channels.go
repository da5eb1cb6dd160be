package modules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/link"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// An exchange is a process's end of its channels: its sinks, its sources, and what they know of the sinks of others. Its
// lock comes after the proxy's.
type exchange struct {
	p    *Proxy
	self atomic.Uint64 // node, once it is known

	// What the readers of links look up: copies of subs and byDesk that do not change.
	inboxes atomic.Pointer[map[uint64]*egs.Inbox]
	desks   atomic.Pointer[map[uint64]*egs.Desk]

	mu       sync.Mutex // guards what follows
	decls    map[dsv.Name]*egs.Channel
	links    *link.Endpoint // nil until a channel was asked for
	nodes    map[uint64]*neighbour
	subs     map[uint64]*subscription
	outlets  map[dsv.Name]*outlet
	byDesk   map[uint64]*outlet
	lastDesk uint64
	news     []news // what the kernel told of members, not yet applied
	applies  bool   // somebody applies them

	over bool

	work sync.WaitGroup
}

// news is what the kernel told about the members of a channel.
type news struct {
	o     *outlet
	peers *wire.Peers
	whole bool // all members, not changes

	partial bool          // all members that a kernel has heard of which has just begun
	done    chan struct{} // closed when it is applied; may be nil
}

func newExchange(p *Proxy) *exchange {
	x := &exchange{
		p: p, decls: map[dsv.Name]*egs.Channel{}, subs: map[uint64]*subscription{}, nodes: map[uint64]*neighbour{},
		outlets: map[dsv.Name]*outlet{}, byDesk: map[uint64]*outlet{},
	}
	x.publish()
	return x
}

// publish makes the sinks and the desks known to the readers of links; mu is held.
func (x *exchange) publish() {
	inboxes := make(map[uint64]*egs.Inbox, len(x.subs))
	for n, s := range x.subs {
		inboxes[n] = s.inbox
	}
	desks := make(map[uint64]*egs.Desk, len(x.byDesk))
	for n, o := range x.byDesk {
		desks[n] = o.desk
	}
	x.inboxes.Store(&inboxes)
	x.desks.Store(&desks)
}

// node is what this process is called on channels. It does not change once there was a connection.
func (x *exchange) node() uint64 {
	if n := x.self.Load(); n != 0 {
		return n
	}
	x.p.mu.Lock()
	defer x.p.mu.Unlock()
	n := uint64(x.p.welcome.Writer)<<32 | uint64(x.p.welcome.Epoch)
	x.self.Store(n)
	return n
}

// channel asks the kernel for a channel's declaration, once. A kernel that forgot it is told again.
func (x *exchange) channel(ctx context.Context, n dsv.Name) (*egs.Channel, error) {
	x.mu.Lock()
	c := x.decls[n]
	x.mu.Unlock()
	if c != nil {
		return c, nil
	}
	res, err := x.p.do(ctx, wire.Req{Op: wire.OpChannel, Name: n}, true)
	if err != nil {
		return nil, err
	}
	decl, err := res.Channel.Channel()
	if err != nil {
		return nil, err
	}
	x.p.mu.Lock()
	x.p.stands.note(wire.Req{Op: wire.OpOpen, Channel: res.Channel})
	x.p.mu.Unlock()
	node := x.node()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.links == nil && !x.over {
		x.links = link.New(link.Config{
			Node: node, Name: x.p.link.Name, Secret: res.Secret, Log: x.p.log,
			Inbox: func(sub uint64) *egs.Inbox { return (*x.inboxes.Load())[sub] },
			Desk:  func(num uint64) *egs.Desk { return (*x.desks.Load())[num] },
		})
	}
	x.decls[n] = &decl
	return &decl, nil
}

// happened takes an event, or an answer, from the kernel.
func (x *exchange) happened(f *wire.Evt) error {
	x.mu.Lock()
	s, o := x.subs[uint64(f.Sub)], x.byDesk[egs.DeskOf(uint64(f.Re))]
	x.mu.Unlock()
	var c *egs.Channel
	switch {
	case f.Re != 0 && o != nil:
		c = o.decl
	case f.Re == 0 && s != nil:
		c = s.inbox.Declared()
	default:
		return nil // left meanwhile
	}
	e, err := f.Event(c)
	if err == nil {
		err = c.Fits(&e)
	}
	if err != nil {
		return fmt.Errorf("event: %w: %w", err, wire.ErrProtocol)
	}
	e.Lost = 0 // the numbers tell
	if f.Re != 0 {
		o.desk.Answer(&e)
	} else { // the connection's reader has to read what a handler may wait for
		s.inbox.Post(&e)
	}
	return nil
}

// again lists the requests that make sinks and sources known to a kernel after a lost connection. Another kernel may not
// have heard of all members yet, and counts anew.
func (x *exchange) again(other bool) []call {
	x.mu.Lock()
	defer x.mu.Unlock()
	var calls []call
	for _, id := range slices.Sorted(maps.Keys(x.subs)) {
		s := x.subs[id]
		if other {
			s.inbox.Renew()
		}
		calls = append(calls, call{req: s.request(), onRes: func(res *wire.Res) {
			if res.Err() != nil {
				x.remove(s)
				s.inbox.End()
			}
		}})
	}
	for _, n := range slices.Sorted(maps.Keys(x.outlets)) {
		o := x.outlets[n]
		calls = append(calls, call{req: wire.Req{Op: wire.OpAttach, Name: n}, onRes: func(res *wire.Res) {
			if res.Err() == nil {
				x.told(news{o: o, peers: res.Peers, whole: true, partial: other})
			}
		}})
	}
	return calls
}

func (x *exchange) remove(s *subscription) (was bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, was = x.subs[s.id]
	delete(x.subs, s.id)
	x.publish()
	return was
}

// changed takes news of changes from the kernel.
func (x *exchange) changed(f *wire.Peers) {
	x.mu.Lock()
	o := x.outlets[f.Channel]
	x.mu.Unlock()
	if o != nil {
		x.told(news{o: o, peers: f})
	}
}

// told queues news, once they are whole; they are applied in order, by one goroutine while there are any.
func (x *exchange) told(n news) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if part := n.o.part; part != nil {
		n.o.part = nil
		if n.done == nil {
			n.done = part.done
		}
		if !n.whole { // a new connection's list takes the place of what a lost one began
			part.peers.List = append(part.peers.List, n.peers.List...)
			part.peers.Version = n.peers.Version
			n = news{o: n.o, peers: part.peers, whole: part.whole, partial: part.partial, done: n.done}
		}
	}
	if !x.over && n.peers != nil && n.peers.Version == 0 && len(n.peers.List) > 0 {
		n.o.part = &n // the last frame has the version
		return
	}
	if x.over {
		if n.done != nil {
			close(n.done)
		}
		return
	}
	x.news = append(x.news, n)
	if !x.applies {
		x.applies = true
		x.work.Go(x.apply)
	}
}

func (x *exchange) apply() {
	for {
		x.mu.Lock()
		if len(x.news) == 0 {
			x.applies = false
			x.mu.Unlock()
			return
		}
		n := x.news[0]
		x.news = x.news[1:]
		x.mu.Unlock()
		n.o.apply(n)
		if n.done != nil {
			close(n.done)
		}
		if !n.whole {
			x.p.tell(wire.Req{Op: wire.OpSeen, Name: n.o.decl.Name, Version: n.peers.Version})
		}
	}
}

// end ends sinks and sources and waits for what was begun.
func (x *exchange) end() {
	x.mu.Lock()
	x.over = true
	subs, outlets := slices.Collect(maps.Values(x.subs)), slices.Collect(maps.Values(x.outlets))
	links := x.links
	x.mu.Unlock()
	for _, s := range subs {
		s.inbox.End()
	}
	for _, o := range outlets {
		o.desk.Close()
		o.end()
	}
	if links != nil {
		links.Close()
	}
	x.work.Wait()
	for _, s := range subs {
		s.inbox.Wait()
	}
}

// outlet finds or makes the outlet of a channel. It stays as long as the process.
func (x *exchange) outlet(ctx context.Context, n dsv.Name) (*outlet, error) {
	c, err := x.channel(ctx, n)
	for err == nil {
		x.mu.Lock()
		o := x.outlets[n]
		made := o == nil
		if made {
			x.lastDesk++
			o = newOutlet(x, c, x.lastDesk)
			x.outlets[n], x.byDesk[x.lastDesk] = o, o
			x.publish()
		}
		x.mu.Unlock()
		if made {
			o.attach(ctx)
		}
		select {
		case <-o.ready:
			err = o.failed
		case <-x.p.done:
			err = x.p.closed()
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if err == nil {
			return o, nil
		}
		if !made && ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
			err = nil // somebody else gave up; try oneself
		}
	}
	return nil, err
}

// drop forgets an outlet that was never ready.
func (x *exchange) drop(o *outlet) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.outlets, o.decl.Name)
	delete(x.byDesk, o.num)
	x.publish()
}

// byLink orders targets such that those behind one link are together.
func byLink(a, b *target) int {
	return cmp.Or(cmp.Compare(a.id.Node, b.id.Node), cmp.Compare(a.id.Sub, b.id.Sub))
}
