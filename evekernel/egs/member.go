package egs

import (
	"context"
	"fmt"
	"maps"

	"github.com/eve-emulation/eve/dsv"
)

func (m *member) Open(_ context.Context, c Channel) error { return m.h.Open(c) }

func (m *member) Publish(_ context.Context, e Event) error {
	m.h.mu.Lock()
	c, err := m.h.find(e.Channel)
	m.h.mu.Unlock()
	if err != nil {
		return fmt.Errorf("publish %.80s: %w", e.Channel, err)
	}
	_, err = (&source{m: m, c: c}).send(&e, c.desk.NextID())
	return err
}

func (m *member) Attach(_ context.Context, n dsv.Name) (Source, error) {
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	c, err := m.h.find(n)
	if err != nil {
		return nil, fmt.Errorf("attach %.80s: %w", n, err)
	}
	s := &source{m: m, c: c, closed: make(chan struct{})}
	return s, nil
}

func (m *member) Subscribe(ctx context.Context, r SubscribeRequest) (Subscription, error) {
	m.h.mu.Lock()
	c, err := m.h.find(r.Channel)
	if err != nil {
		m.h.mu.Unlock()
		return nil, fmt.Errorf("subscribe %.80s: %w", r.Channel, err)
	}
	c.lastSub++
	s := &subscription{m: m, c: c, sink: Sink{
		ID: SinkID{Sub: c.lastSub}, Member: m.name, Facts: maps.Clone(r.Facts),
	}}
	m.h.mu.Unlock()
	s.Inbox = NewInbox(InboxConfig{
		Channel: c.decl, Sink: &s.sink, In: r.In, Handler: r.Handler, Fault: m.h.fault(r.Channel, "IN", m.name, FilterSpec{}),
	})
	known, err := m.h.register(Registration{Channel: r.Channel, Peer: Peer{Sink: s.sink, Out: r.Out}}, s.Inbox)
	if err == nil {
		err = known.Wait(ctx)
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// A subscription is a sink inside the kernel's process.
type subscription struct {
	*Inbox
	m    *member
	c    *channel
	sink Sink // as it was at first
}

func (s *subscription) Channel() Channel { return *s.c.decl }

func (s *subscription) Describe(ctx context.Context, facts map[string]dsv.Value) error {
	if facts == nil {
		facts = map[string]dsv.Value{}
	}
	return s.change(ctx, facts, nil)
}

func (s *subscription) SetOut(ctx context.Context, f FilterSpec) error {
	return s.change(ctx, nil, &f)
}

func (s *subscription) change(ctx context.Context, facts map[string]dsv.Value, out *FilterSpec) error {
	known, err := s.m.h.Change(s.c.decl.Name, s.sink.ID, facts, out)
	if err != nil {
		return err
	}
	return known.Wait(ctx)
}

func (s *subscription) Answer(_ context.Context, to, answer Event) error {
	e, err := answer.answers(to, s.c.decl, s.m.name)
	if err != nil {
		return err
	}
	e.Node = 0
	if to.Node == 0 {
		s.c.desk.Answer(&e)
		return nil
	}
	if s.m.h.cfg.Answer == nil {
		return fmt.Errorf("answer %s: %w", e.Channel, dsv.ErrNotFound)
	}
	return s.m.h.cfg.Answer(to.Node, &e)
}

// answers returns e as the answer of a member to another event.
func (e Event) answers(to Event, c *Channel, member string) (Event, error) {
	e.Channel, e.From, e.Re, e.ID, e.Node, e.Seq, e.Lost = c.Name, member, to.ID, 0, to.Node, 0, 0
	if err := c.Fits(&e); err != nil {
		return e, fmt.Errorf("answer %s: %w", c.Name, err)
	}
	return e, nil
}

// Answers returns e as the answer of a member to another event of channel c: Node says whose.
func (e Event) Answers(to Event, c *Channel, member string) (Event, error) {
	return e.answers(to, c, member)
}

// Close implements Subscription.
func (s *subscription) Close() error {
	s.m.h.Leave(s.c.decl.Name, s.sink.ID)
	s.Inbox.Close()
	return nil
}

// A source is one inside the kernel's process.
type source struct {
	m      *member
	c      *channel
	out    Slot
	closed chan struct{} // nil for one that is used once
}

func (s *source) Channel() Channel { return *s.c.decl }

func (s *source) SetOut(f Filter) {
	s.out.Set(f, s.m.h.fault(s.c.decl.Name, "source's OUT", s.m.name, FilterSpec{}))
}

func (s *source) Submit(_ context.Context, e Event) (int, error) {
	return s.send(&e, s.c.desk.NextID())
}

func (s *source) send(e *Event, id uint64) (int, error) {
	select {
	case <-s.closed:
		return 0, fmt.Errorf("submit %s: %w", s.c.decl.Name, dsv.ErrClosed)
	default:
	}
	e.Channel, e.From, e.Node, e.ID, e.Re, e.Lost = s.c.decl.Name, s.m.name, 0, id, 0, 0
	if err := s.c.decl.Fits(e); err != nil {
		return 0, fmt.Errorf("submit %s: %w", s.c.decl.Name, err)
	}
	return s.c.submit(e, &s.out), nil
}

func (s *source) Ask(_ context.Context, e Event) (*Inquiry, error) {
	q, err := s.c.desk.Open(s.c.desk.NextID())
	if err != nil {
		return nil, err
	}
	n, err := s.send(&e, q.ID())
	if err != nil {
		q.Close()
		return nil, err
	}
	q.SetAsked(n)
	return q, nil
}

func (s *source) Sinks() []Sink {
	list := *s.c.list.Load()
	sinks := make([]Sink, len(list))
	for i, e := range list {
		sinks[i] = e.peer.Load().Sink
	}
	return sinks
}

func (s *source) Stats() SourceStats {
	return SourceStats{
		Submitted: s.c.stats.submitted.Load(), Delivered: s.c.stats.delivered.Load(),
		Filtered: s.c.stats.filtered.Load(), Late: s.c.desk.Late(),
	}
}

func (s *source) Close() error {
	s.m.h.mu.Lock()
	defer s.m.h.mu.Unlock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	return nil
}
