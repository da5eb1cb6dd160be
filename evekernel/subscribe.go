package evekernel

import (
	"errors"
	"fmt"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
)

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
		s.turn.Lock()
		defer s.turn.Unlock()
		for {
			e, err := s.inbox.Next(p.ctx)
			if err != nil {
				return
			}
			f, err := wire.FromEvent(sub, e, s.channel)
			if err == nil {
				err = p.conn.Send(&wire.Frame{Evt: f})
			}
			switch {
			case err == nil:
			case errors.Is(err, dsv.ErrTooLarge), errors.Is(err, dsv.ErrKind):
				s.inbox.Lose(e)
			default:
				s.inbox.Return(e)
				return
			}
		}
	})
}
