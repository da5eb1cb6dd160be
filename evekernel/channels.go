package evekernel

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// An exchange is what the kernel knows about channels beside the hub: who is who.
type exchange struct {
	mu    sync.Mutex // guards what follows
	nodes map[uint64]*session
}

// node is the process that a session is, as channels call it. It stays the same when the process comes back.
func (s *session) node() uint64 { return uint64(s.writer)<<32 | uint64(s.epoch) }

// sinks are those of a session. They outlive its connections.
type sinks struct {
	mu     sync.Mutex // guards what follows
	bySub  map[uint64]*sink
	expiry *time.Timer // while there is no connection

	answers   *egs.Inbox // to what the session asked; nil before the first
	answering bool       // somebody sends them
}

// A sink is a participant's subscription as the kernel keeps it: its inbox holds what goes through the kernel.
type sink struct {
	channel *egs.Channel
	inbox   *egs.Inbox
}

// linkSecret is what processes show each other on direct links. It is the same after a restart with the same token.
func (k *Kernel) linkSecret() string {
	m := hmac.New(sha256.New, []byte(k.cfg.Token))
	m.Write([]byte("eve direct links"))
	return hex.EncodeToString(m.Sum(nil))
}

// arrived notes that a session has a connection.
func (k *Kernel) arrived(s *session) {
	s.sinks.mu.Lock()
	if s.sinks.expiry != nil {
		s.sinks.expiry.Stop()
		s.sinks.expiry = nil
	}
	s.sinks.mu.Unlock()
	k.exchange.mu.Lock()
	defer k.exchange.mu.Unlock()
	if k.exchange.nodes == nil {
		k.exchange.nodes = map[uint64]*session{}
	}
	k.exchange.nodes[s.node()] = s
}

// departed notes that a session has lost its connection: for good, or it may come back and then has missed nothing that
// its inboxes could hold.
func (k *Kernel) departed(s *session, forGood bool) {
	if forGood || s.name == "" {
		k.forget(s)
		return
	}
	s.sinks.mu.Lock()
	defer s.sinks.mu.Unlock()
	if s.sinks.expiry == nil && len(s.sinks.bySub) > 0 {
		s.sinks.expiry = time.AfterFunc(k.cfg.Absence, func() { k.forget(s) })
	}
}

// forget ends what a session has on channels, unless it is connected or another one has taken its place.
func (k *Kernel) forget(s *session) {
	if s.connected() {
		return
	}
	k.exchange.mu.Lock()
	mine := k.exchange.nodes[s.node()] == s
	if mine {
		delete(k.exchange.nodes, s.node())
	}
	k.exchange.mu.Unlock()
	s.sinks.end()
	if mine {
		k.hub.LeaveAll(s.node())
	}
}

// end closes the inboxes.
func (s *sinks) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	for sub, k := range s.bySub {
		k.inbox.Close()
		delete(s.bySub, sub)
	}
}

// endChannels stops what waits for sessions to come back.
func (k *Kernel) endChannels() {
	k.exchange.mu.Lock()
	nodes := k.exchange.nodes
	k.exchange.nodes = nil
	k.exchange.mu.Unlock()
	for _, s := range nodes {
		s.sinks.end()
	}
}

// answer brings an answer to the process that asked.
func (k *Kernel) answer(node uint64, e *egs.Event) error {
	if node == 0 {
		k.hub.Answer(e)
		return nil
	}
	k.exchange.mu.Lock()
	s := k.exchange.nodes[node]
	k.exchange.mu.Unlock()
	c, err := k.hub.Channel(e.Channel)
	if err != nil {
		return err
	}
	if s == nil {
		return fmt.Errorf("answer %s: who asked has left: %w", e.Channel, dsv.ErrNotFound)
	}
	s.sinks.mu.Lock()
	defer s.sinks.mu.Unlock()
	if s.sinks.answers == nil {
		s.sinks.answers = egs.NewInbox(egs.InboxConfig{Channel: c, Sink: &egs.Sink{}, Transit: true})
	}
	s.sinks.answers.Put(e)
	if !s.sinks.answering && k.begin() {
		defer k.work.Done()
		s.sinks.answering = true
		k.work.Go(func() { k.sendAnswers(s) })
	}
	return nil
}

// sendAnswers sends the answers that wait for a session, so that who answers does not wait for who asked.
func (k *Kernel) sendAnswers(s *session) {
	now, cancel := context.WithCancel(context.Background())
	cancel() // Next takes what there is
	for {
		s.sinks.mu.Lock()
		e, err := s.sinks.answers.Next(now)
		if err != nil {
			s.sinks.answering = false
			s.sinks.mu.Unlock()
			return
		}
		s.sinks.mu.Unlock()
		s.mu.Lock()
		conn := s.conn
		s.mu.Unlock()
		c, err := k.hub.Channel(e.Channel)
		if err != nil || conn == nil {
			continue // nobody waits for it any more
		}
		if f, err := wire.FromEvent(0, e, c); err == nil {
			_ = conn.Send(&wire.Frame{Evt: f}) // a connection that is lost ends its own reading
		}
	}
}

// happen takes an event from a participant: an answer, an event for named sinks, or one for all.
func (p *peer) happen(w *wire.Evt) (delivered int, err error) {
	if w == nil {
		return 0, fmt.Errorf("publish: no event: %w", dsv.ErrName)
	}
	c, err := p.k.hub.Channel(w.Channel)
	if err != nil {
		return 0, err
	}
	e, err := w.Event(c)
	if err != nil {
		return 0, fmt.Errorf("publish %s: %w", w.Channel, err)
	}
	e.From, e.Lost = p.s.name, 0
	switch {
	case e.Re != 0:
		if err := c.Fits(&e); err != nil {
			return 0, fmt.Errorf("answer %s: %w", w.Channel, err)
		}
		asked := e.Node
		e.Node = p.s.node()
		return 1, p.k.answer(asked, &e)
	case len(w.To) > 0:
		to, err := w.Addresses()
		if err != nil {
			return 0, fmt.Errorf("publish %s: %w", w.Channel, err)
		}
		e.Node = p.s.node()
		return len(to), p.k.hub.Relay(&e, to)
	}
	e.Node = p.s.node()
	return p.k.hub.Submit(&e)
}

// channel does the operations on channels that do not wait.
func (p *peer) channel(r *wire.Req, res *wire.Res) error {
	switch r.Op {
	case wire.OpOpen:
		c, err := r.Channel.Channel()
		if err == nil {
			err = p.k.hub.Open(c)
		}
		return err
	case wire.OpChannel:
		c, err := p.k.hub.Channel(r.Name)
		if err != nil {
			return err
		}
		res.Channel, res.Secret = wire.FromChannel(*c), p.k.linkSecret()
		return nil
	case wire.OpPublish:
		n, err := p.happen(r.Event)
		res.Delivered = n
		return err
	case wire.OpAttach:
		return p.attach(r, res)
	case wire.OpDetach:
		if a := p.sources[r.Name]; a != nil {
			delete(p.sources, r.Name)
			a.close()
		}
		return nil
	case wire.OpSeen:
		if a := p.sources[r.Name]; a != nil {
			a.watcher.Seen(uint64(r.Version))
		}
		return nil
	}
	p.unsubscribe(uint64(r.Sub))
	return nil
}

// membership does the operations on channels that wait for the sources, and answers them.
func (p *peer) membership(r *wire.Req) error {
	res := &wire.Res{ID: r.ID}
	var known *egs.Known
	var err error
	switch r.Op {
	case wire.OpSubscribe:
		known, err = p.subscribe(r)
	default:
		known, err = p.change(r)
	}
	if err != nil {
		return p.respond(res, p.conn.Answer, err)
	}
	select {
	case p.slots <- struct{}{}:
	default: // so many wait that nobody should wait for one more
		err := p.respond(res, p.conn.Answer, nil)
		if r.Op == wire.OpSubscribe {
			p.deliver(r.Sub)
		}
		return err
	}
	p.work.Go(func() {
		defer func() { <-p.slots }()
		err := known.Wait(p.ctx)
		_ = p.respond(res, p.conn.Send, err) // a connection that is lost ends its own reading
		if r.Op == wire.OpSubscribe && err == nil {
			p.deliver(r.Sub)
		}
	})
	return nil
}

// change changes a sink of the participant's.
func (p *peer) change(r *wire.Req) (*egs.Known, error) {
	s := p.s.sinks.get(uint64(r.Sub))
	if s == nil {
		return nil, fmt.Errorf("%s: %d is not subscribed: %w", r.Op, r.Sub, dsv.ErrNotFound)
	}
	facts, out, err := r.Sink.Told()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Op, s.channel.Name, err)
	}
	id := egs.SinkID{Node: p.s.node(), Sub: uint64(r.Sub)}
	if r.Op == wire.OpDescribe {
		return p.k.hub.Change(s.channel.Name, id, facts, nil)
	}
	return p.k.hub.Change(s.channel.Name, id, nil, &out)
}

func (s *sinks) get(sub uint64) *sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bySub[sub]
}

// subscribe makes the participant a sink; one that comes back finds the inbox that it had.
func (p *peer) subscribe(r *wire.Req) (*egs.Known, error) {
	sub := uint64(r.Sub)
	facts, out, err := r.Sink.Told()
	if err != nil {
		return nil, fmt.Errorf("subscribe %.80s: %w", r.Name, err)
	}
	c, err := p.k.hub.Channel(r.Name)
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	peer := egs.Peer{Sink: egs.Sink{ID: egs.SinkID{Node: p.s.node(), Sub: sub}, Member: p.s.name, Facts: facts}, Out: out}
	numbered := false
	if r.Sink != nil {
		peer.Link, numbered = r.Sink.Link, r.Sink.Numbered
	}
	s, err := p.s.sinks.open(sub, c, &peer.Sink, numbered, p.subs)
	if err != nil {
		return nil, err
	}
	known, err := p.k.hub.Register(egs.Registration{Channel: r.Name, Peer: peer, Deliver: func(e *egs.Event) { s.inbox.Put(e) }})
	if err != nil {
		p.unsubscribe(sub)
		return nil, err
	}
	p.subs[sub] = true
	return known, nil
}

// open finds or makes a sink. here are those of the present connection.
func (s *sinks) open(sub uint64, c *egs.Channel, as *egs.Sink, numbered bool, here map[uint64]bool) (*sink, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub == 0 || here[sub] {
		return nil, fmt.Errorf("subscribe: number %d is taken: %w", sub, dsv.ErrExists)
	}
	if k := s.bySub[sub]; k != nil {
		if k.channel.Name == c.Name {
			return k, nil
		}
		k.inbox.Close()
	} else if len(s.bySub) >= maxFollowed {
		return nil, fmt.Errorf("subscribe: more than %d by one participant", maxFollowed)
	}
	k := &sink{channel: c, inbox: egs.NewInbox(egs.InboxConfig{Channel: c, Sink: as, Transit: numbered})}
	if s.bySub == nil {
		s.bySub = map[uint64]*sink{}
	}
	s.bySub[sub] = k
	return k, nil
}

func (p *peer) unsubscribe(sub uint64) {
	delete(p.subs, sub)
	p.s.sinks.mu.Lock()
	s := p.s.sinks.bySub[sub]
	delete(p.s.sinks.bySub, sub)
	p.s.sinks.mu.Unlock()
	if s != nil {
		p.k.hub.Leave(s.channel.Name, egs.SinkID{Node: p.s.node(), Sub: sub})
		s.inbox.Close()
	}
}

// deliver sends what comes through the kernel for a sink until the connection or the sink ends.
func (p *peer) deliver(sub wire.Uint) {
	s := p.s.sinks.get(uint64(sub))
	if s == nil {
		return
	}
	p.work.Go(func() {
		for {
			e, err := s.inbox.Next(p.ctx)
			if err != nil {
				return
			}
			f, err := wire.FromEvent(sub, e, s.channel)
			if err == nil {
				err = p.conn.Send(&wire.Frame{Evt: f})
			}
			if err != nil && !errors.Is(err, dsv.ErrTooLarge) && !errors.Is(err, dsv.ErrKind) {
				return
			}
		}
	})
}

// An attached is a source of the participant's: it is told of the members of its channel.
type attached struct {
	watcher *egs.Watcher
	stop    context.CancelFunc
	wake    chan struct{} // capacity 1

	mu      sync.Mutex // guards what follows
	changed map[egs.SinkID]egs.Change
	version uint64
}

// attach makes the participant a source.
func (p *peer) attach(r *wire.Req, res *wire.Res) error {
	if a := p.sources[r.Name]; a != nil {
		a.close() // asked twice
	}
	if len(p.sources) >= maxFollowed {
		return fmt.Errorf("attach: more than %d by one participant", maxFollowed)
	}
	a := &attached{wake: make(chan struct{}, 1), changed: map[egs.SinkID]egs.Change{}}
	w, peers, version, err := p.k.hub.Watch(r.Name, a.note)
	if err != nil {
		return err
	}
	list := &wire.Peers{Channel: r.Name, Version: wire.Uint(version)}
	for _, peer := range peers {
		wp, err := wire.FromPeer(peer)
		if err != nil {
			w.Close()
			return err
		}
		list.List = append(list.List, wp)
	}
	frames := split(list)
	res.Peers = frames[0]
	ctx, stop := context.WithCancel(p.ctx)
	a.watcher, a.stop = w, stop
	p.sources[r.Name] = a
	ready := make(chan struct{})
	p.opened = ready
	p.work.Go(func() {
		defer w.Close()
		select {
		case <-ready:
		case <-ctx.Done():
			return
		}
		for _, f := range frames[1:] {
			if p.conn.Send(&wire.Frame{Peers: f}) != nil {
				return
			}
		}
		a.run(ctx, p, r.Name)
	})
	return nil
}

// note notes a change. The hub is locked.
func (a *attached) note(c egs.Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed[c.Peer.Sink.ID] = c
	a.version = c.Version
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// run tells of changes, several at once when they come fast.
func (a *attached) run(ctx context.Context, p *peer, channel dsv.Name) {
	for {
		select {
		case <-a.wake:
		case <-ctx.Done():
			return
		}
		a.mu.Lock()
		changed, version := a.changed, a.version
		a.changed = map[egs.SinkID]egs.Change{}
		a.mu.Unlock()
		f := &wire.Peers{Channel: channel, Version: wire.Uint(version)}
		for _, c := range changed {
			if wp, err := wire.FromChange(c); err == nil {
				f.List = append(f.List, wp)
			}
		}
		for _, f := range split(f) {
			if p.conn.Send(&wire.Frame{Peers: f}) != nil {
				return
			}
		}
	}
}

// maxPeers bounds about the bytes of one list of members.
const maxPeers = 256 << 10

// split makes lists that fit a message: the last one carries the version, for only then all is told.
func split(all *wire.Peers) []*wire.Peers {
	var lists []*wire.Peers
	list, size := &wire.Peers{Channel: all.Channel}, 0
	for _, p := range all.List {
		n := 128 + len(p.Member) + len(p.Link)
		if p.Filter != nil {
			n += len(p.Filter.Expr) + 4*len(p.Filter.Wasm)/3
		}
		for name, v := range p.Facts {
			n += 64 + len(name)
			if v.Text != nil {
				n += len(*v.Text)
			}
		}
		if size += n; size > maxPeers && len(list.List) > 0 {
			lists = append(lists, list)
			list, size = &wire.Peers{Channel: all.Channel}, n
		}
		list.List = append(list.List, p)
	}
	list.Version = all.Version
	return append(lists, list)
}

func (a *attached) close() {
	a.stop()
	a.watcher.Close()
}
