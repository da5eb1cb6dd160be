package egs

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/eve-emulation/eve/dsv"
)

// queueLength and queueBytes bound the events that wait for a slow subscriber, one of any size apart.
const (
	queueLength = 1024
	queueBytes  = 4 << 20
)

type channel struct {
	decl Channel
	subs map[*subscription]bool
}

// check tells whether the channel can be declared so.
func (c Channel) check() error {
	if _, err := dsv.ParseName(string(c.Name)); err != nil {
		return err
	}
	for i, a := range c.Attrs {
		switch {
		case a.Name == "" || len(a.Name) > dsv.MaxName:
			return fmt.Errorf("attribute %.20q: %w", a.Name, dsv.ErrName)
		case a.Kind != dsv.Float && a.Kind != dsv.Int && a.Kind != dsv.Text:
			return fmt.Errorf("attribute %s: %v where float, int or text can be: %w", a.Name, a.Kind, dsv.ErrKind)
		case slices.ContainsFunc(c.Attrs[:i], func(b Attr) bool { return a.Name == b.Name }):
			return fmt.Errorf("attribute %s: declared twice: %w", a.Name, dsv.ErrExists)
		}
	}
	return nil
}

// fits tells whether the event's attributes are as declared. An event need not carry all of them.
func (c Channel) fits(e Event) error {
	for n, v := range e.Attrs {
		i := slices.IndexFunc(c.Attrs, func(a Attr) bool { return a.Name == n })
		switch {
		case i < 0:
			return fmt.Errorf("attribute %.60q is not declared: %w", n, ErrAttributes)
		case v.Kind != c.Attrs[i].Kind:
			return fmt.Errorf("attribute %s is %v, declared %v: %w", n, v.Kind, c.Attrs[i].Kind, ErrAttributes)
		case !finite(v):
			return fmt.Errorf("attribute %s is not finite: %w", n, ErrAttributes)
		}
	}
	if len(e.Data) > dsv.MaxBytes {
		return fmt.Errorf("%d bytes of data, at most %d: %w", len(e.Data), dsv.MaxBytes, dsv.ErrTooLarge)
	}
	return nil
}

func (m *member) Open(_ context.Context, c Channel) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	c.Attrs = slices.Clone(c.Attrs)
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	if have := m.h.channels[c.Name]; have != nil {
		if have.decl.Help != c.Help || !slices.Equal(have.decl.Attrs, c.Attrs) {
			return fmt.Errorf("open %s: %w", c.Name, dsv.ErrExists)
		}
		return nil
	}
	m.h.channels[c.Name] = &channel{decl: c, subs: map[*subscription]bool{}}
	return nil
}

func (m *member) Publish(_ context.Context, e Event) error {
	e.From, e.Lost = m.name, 0
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	c := m.h.channels[e.Channel]
	if c == nil {
		return fmt.Errorf("publish %.80s: %w", e.Channel, dsv.ErrNotFound)
	}
	if err := c.decl.fits(e); err != nil {
		return fmt.Errorf("publish %s: %w", e.Channel, err)
	}
	for s := range c.subs {
		s.put(e)
	}
	return nil
}

func (m *member) Subscribe(_ context.Context, n dsv.Name) (Subscription, error) {
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	c := m.h.channels[n]
	switch {
	case c == nil:
		return nil, fmt.Errorf("subscribe %.80s: %w", n, dsv.ErrNotFound)
	case m.h.closed:
		return nil, fmt.Errorf("subscribe %s: %w", n, dsv.ErrClosed)
	}
	s := &subscription{h: m.h, c: c, wake: make(chan struct{}, 1)}
	c.subs[s] = true
	return s, nil
}

// A subscription is a bounded queue: when it is full, new events are lost and counted.
type subscription struct {
	h *Hub
	c *channel

	mu     sync.Mutex // guards what follows
	queue  []Event
	bytes  int
	lost   uint64
	closed bool

	wake chan struct{} // capacity 1
}

func (s *subscription) put(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := e.size()
	if len(s.queue) == queueLength || len(s.queue) > 0 && s.bytes+size > queueBytes {
		s.lost++
		return
	}
	s.bytes += size
	e.Lost, s.lost = s.lost, 0
	s.queue = append(s.queue, e)
	s.signal()
}

func (s *subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *subscription) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.signal()
}

func (s *subscription) Next(ctx context.Context) (Event, error) {
	for {
		e, ok, closed := s.take()
		switch {
		case ok:
			return e, nil
		case closed:
			return Event{}, fmt.Errorf("subscribe %s: %w", s.c.decl.Name, dsv.ErrClosed)
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("subscribe %s: %w", s.c.decl.Name, context.Cause(ctx))
		}
	}
}

func (s *subscription) take() (e Event, ok, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return Event{}, false, s.closed
	}
	e = s.queue[0]
	s.queue[0] = Event{}
	s.queue = s.queue[1:]
	s.bytes -= e.size()
	return e, true, false
}

// size estimates the memory that an event takes.
func (e *Event) size() int {
	n := 200 + len(e.Data)
	for name, v := range e.Attrs {
		n += 100 + len(name) + len(v.Text)
	}
	return n
}

func (s *subscription) Close() error {
	s.h.mu.Lock()
	delete(s.c.subs, s)
	s.h.mu.Unlock()
	s.end()
	return nil
}
