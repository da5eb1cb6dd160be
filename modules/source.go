package modules

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
)

// A source is one source of this process.
type source struct {
	o      *outlet
	out    egs.Slot
	closed atomic.Bool
}

// Attach implements egs.Service.
func (p *Proxy) Attach(ctx context.Context, channel dsv.Name) (egs.Source, error) {
	o, err := p.x.outlet(ctx, channel)
	if err != nil {
		return nil, local(err, "attach", channel)
	}
	return &source{o: o}, nil
}

// Publish implements egs.Service.
func (p *Proxy) Publish(ctx context.Context, e egs.Event) error {
	o, err := p.x.outlet(ctx, e.Channel)
	if err != nil {
		return local(err, "publish", e.Channel)
	}
	e.ID = o.desk.NextID()
	_, err = o.submit(e, &o.all)
	return err
}

// Channel implements egs.Source.
func (s *source) Channel() egs.Channel { return *s.o.decl }

// Submit implements egs.Source.
func (s *source) Submit(_ context.Context, e egs.Event) (int, error) {
	if s.closed.Load() {
		return 0, fmt.Errorf("submit %s: %w", s.o.decl.Name, dsv.ErrClosed)
	}
	e.ID = s.o.desk.NextID()
	return s.o.submit(e, &s.out)
}

// Ask implements egs.Source.
func (s *source) Ask(_ context.Context, e egs.Event) (*egs.Inquiry, error) {
	if s.closed.Load() {
		return nil, fmt.Errorf("ask %s: %w", s.o.decl.Name, dsv.ErrClosed)
	}
	q, err := s.o.desk.Open(s.o.desk.NextID())
	if err != nil {
		return nil, err
	}
	e.ID = q.ID()
	n, err := s.o.submit(e, &s.out)
	if err != nil {
		q.Close()
		return nil, err
	}
	q.SetAsked(n)
	return q, nil
}

// SetOut implements egs.Source.
func (s *source) SetOut(f egs.Filter) {
	s.out.Set(f, s.o.x.fault(s.o.decl, "source's OUT", egs.FilterSpec{}))
}

// Sinks implements egs.Source.
func (s *source) Sinks() []egs.Sink {
	list := *s.o.list.Load()
	sinks := make([]egs.Sink, len(list))
	for i, t := range list {
		sinks[i] = t.peer.Load().Sink
	}
	return sinks
}

// Stats implements egs.Source.
func (s *source) Stats() egs.SourceStats {
	return egs.SourceStats{
		Submitted: s.o.submitted.Load(), Delivered: s.o.delivered.Load(), Filtered: s.o.filtered.Load(),
		Dropped: s.o.dropped.Load(), Late: s.o.desk.Late(),
	}
}

// Close implements egs.Source.
func (s *source) Close() error {
	s.closed.Store(true)
	return nil
}
