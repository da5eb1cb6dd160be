package evekernel

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
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
	turn    sync.Mutex // held by the connection that delivers: a new one waits until a lost one has ended
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
		k.forget(s, true)
		return
	}
	s.sinks.mu.Lock()
	defer s.sinks.mu.Unlock()
	if s.sinks.expiry == nil && len(s.sinks.bySub) > 0 {
		s.sinks.expiry = time.AfterFunc(k.cfg.Absence, func() { k.forget(s, false) })
	}
}

// forget ends what a session has on channels, unless it is connected or another one has taken its place. Where it may come
// back its events are numbered on.
func (k *Kernel) forget(s *session, forGood bool) {
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
		k.hub.LeaveAll(s.node(), forGood)
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
