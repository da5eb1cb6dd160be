package modules

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/link"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// A subscription is a sink of this process.
type subscription struct {
	x     *exchange
	id    uint64
	c     *egs.Channel
	addr  string // where its process takes links; empty for none
	inbox *egs.Inbox

	mu    sync.Mutex // guards what follows
	facts map[string]dsv.Value
	out   egs.FilterSpec
	said  *wire.Sink // both, as it travels
}

// Subscribe implements egs.Service.
func (p *Proxy) Subscribe(ctx context.Context, r egs.SubscribeRequest) (egs.Subscription, error) {
	s, err := p.x.subscribe(ctx, r)
	if err != nil {
		return nil, local(err, "subscribe", r.Channel)
	}
	return s, nil
}

func (x *exchange) subscribe(ctx context.Context, r egs.SubscribeRequest) (*subscription, error) {
	c, err := x.channel(ctx, r.Channel)
	if err != nil {
		return nil, err
	}
	x.p.mu.Lock()
	x.p.last++
	s := &subscription{x: x, id: x.p.last, c: c, facts: maps.Clone(r.Facts), out: r.Out}
	x.p.mu.Unlock()
	s.addr = x.listen()
	if err := s.say(); err != nil {
		return nil, err
	}
	s.inbox = egs.NewInbox(egs.InboxConfig{
		Channel: c, Sink: s.sink(), In: r.In, Handler: r.Handler, Fault: x.fault(c, "IN", egs.FilterSpec{}),
	})
	x.mu.Lock()
	if !x.over {
		x.subs[s.id] = s // events may come before the answer
		x.publish()
	}
	x.mu.Unlock()
	// A loss of the connection makes it known again, so that the request need not be repeated; but if it is, no harm is done.
	if _, err := x.p.do(ctx, s.request(), true); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// fault tells the kernel's log of a filter that was removed.
func (x *exchange) fault(c *egs.Channel, side string, f egs.FilterSpec) func(error) {
	return func(err error) {
		x.p.log(fmt.Sprintf("channel %s: %s filter of %s (%v) is removed: %v", c.Name, side, x.p.link.Name, f, err))
	}
}

// say makes what travels; mu is held, or nobody else knows s.
func (s *subscription) say() error {
	said, err := wire.FromSink(s.addr, s.facts, s.out)
	if err == nil {
		s.said = said
	}
	return err
}

func (s *subscription) sink() *egs.Sink {
	return &egs.Sink{ID: egs.SinkID{Node: s.x.node(), Sub: s.id}, Member: s.x.p.link.Name, Facts: s.facts}
}

func (s *subscription) request() wire.Req {
	s.mu.Lock()
	defer s.mu.Unlock()
	return wire.Req{Op: wire.OpSubscribe, Name: s.c.Name, Sub: wire.Uint(s.id), Sink: s.said}
}

// Channel implements egs.Subscription.
func (s *subscription) Channel() egs.Channel { return *s.c }

// Next implements egs.Subscription.
func (s *subscription) Next(ctx context.Context) (egs.Event, error) { return s.inbox.Next(ctx) }

// SetIn implements egs.Subscription.
func (s *subscription) SetIn(f egs.Filter) { s.inbox.SetIn(f) }

// Stats implements egs.Subscription.
func (s *subscription) Stats() egs.SinkStats { return s.inbox.Stats() }

// Describe implements egs.Subscription.
func (s *subscription) Describe(ctx context.Context, facts map[string]dsv.Value) error {
	return s.change(ctx, wire.OpDescribe, func() { s.facts = maps.Clone(facts) })
}

// SetOut implements egs.Subscription.
func (s *subscription) SetOut(ctx context.Context, f egs.FilterSpec) error {
	if err := f.Check(s.c); err != nil {
		return local(err, "filter", s.c.Name)
	}
	return s.change(ctx, wire.OpFilter, func() { s.out = f })
}

func (s *subscription) change(ctx context.Context, op wire.Op, set func()) error {
	s.mu.Lock()
	facts, out, said := s.facts, s.out, s.said
	set()
	err := s.say()
	if err != nil {
		s.facts, s.out, s.said = facts, out, said
	}
	req := wire.Req{Op: op, Sub: wire.Uint(s.id), Sink: s.said}
	s.inbox.Describe(s.sink())
	s.mu.Unlock()
	if err == nil {
		_, err = s.x.p.do(ctx, req, true)
	}
	return local(err, string(op), s.c.Name)
}

// Answer implements egs.Subscription.
func (s *subscription) Answer(_ context.Context, to, answer egs.Event) error {
	e, err := answer.Answers(to, s.c, s.x.p.link.Name)
	if err != nil {
		return err
	}
	return local(s.x.answer(&e, s.c), "answer", s.c.Name)
}

// answer sends an answer to the process that asked.
func (x *exchange) answer(e *egs.Event, c *egs.Channel) error {
	if e.Node == x.node() {
		x.mu.Lock()
		o := x.byDesk[egs.DeskOf(e.Re)]
		x.mu.Unlock()
		if o != nil {
			o.desk.Answer(e)
		}
		return nil
	}
	x.mu.Lock()
	links := x.links
	x.mu.Unlock()
	if l := links.To(e.Node); l != nil {
		ok, flush := l.QueueAnswer(e.Priority, e.Re, link.AppendBody(nil, c, e))
		if flush {
			l.Flush()
		}
		if ok {
			return nil
		}
	}
	w, err := wire.FromEvent(0, *e, c)
	if err != nil {
		return err
	}
	return x.p.utter(&wire.Frame{Evt: w})
}

// utter sends a frame that nobody answers: dsv.ErrClosed without a connection.
func (p *Proxy) utter(f *wire.Frame) error {
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	if conn == nil {
		return fmt.Errorf("no connection: %w", dsv.ErrClosed)
	}
	return conn.Send(f)
}

// Close implements egs.Subscription.
func (s *subscription) Close() error {
	live := s.x.remove(s)
	s.inbox.Close()
	if live {
		s.x.p.tell(wire.Req{Op: wire.OpUnsubscribe, Sub: wire.Uint(s.id)})
	}
	return nil
}
