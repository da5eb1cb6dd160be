package modules

import (
	"context"
	"fmt"
	"sync"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// Join implements egs.Service.
func (p *Proxy) Join(ctx context.Context, barrier dsv.Name) (egs.Start, error) {
	res, err := p.do(ctx, wire.Req{Op: wire.OpJoin, Name: barrier}, true)
	if err != nil {
		return egs.Start{}, local(err, "join", barrier)
	}
	if res.Start == nil {
		return egs.Start{}, fmt.Errorf("join %s: no start in the answer: %w", barrier, wire.ErrProtocol)
	}
	return egs.Start{T0: int64(res.Start.T0), Boot: res.Start.Boot}, nil
}

// Enter implements egs.Service.
func (p *Proxy) Enter(ctx context.Context, group dsv.Name) error {
	_, err := p.do(ctx, wire.Req{Op: wire.OpEnter, Name: group}, true)
	return local(err, "enter", group)
}

// Leave implements egs.Service.
func (p *Proxy) Leave(ctx context.Context, group dsv.Name) error {
	_, err := p.do(ctx, wire.Req{Op: wire.OpLeave, Name: group}, true)
	return local(err, "leave", group)
}

// Members implements egs.Service.
func (p *Proxy) Members(ctx context.Context, group dsv.Name) ([]string, error) {
	res, err := p.do(ctx, wire.Req{Op: wire.OpMembers, Name: group}, true)
	if err != nil {
		return nil, local(err, "members", group)
	}
	return res.Members, nil
}

// Open implements egs.Service.
func (p *Proxy) Open(ctx context.Context, c egs.Channel) error {
	_, err := p.do(ctx, wire.Req{Op: wire.OpOpen, Channel: wire.FromChannel(c)}, true)
	return local(err, "open", c.Name)
}

// Publish implements egs.Service; ErrLost when the connection was lost before the answer.
func (p *Proxy) Publish(ctx context.Context, e egs.Event) error {
	w, err := wire.FromEvent(0, e)
	if err != nil {
		return local(err, "publish", e.Channel)
	}
	_, err = p.do(ctx, wire.Req{Op: wire.OpPublish, Event: w}, false)
	return local(err, "publish", e.Channel)
}

// clock reads the kernel's monotonic clock.
func (p *Proxy) clock(ctx context.Context) (int64, error) {
	res, err := p.do(ctx, wire.Req{Op: wire.OpClock}, true)
	if err != nil {
		return 0, local(err, "clock", "")
	}
	return int64(res.Now), nil
}

// log sends one line to the kernel's log; without a connection it is lost.
func (p *Proxy) log(line string) {
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	if conn != nil {
		_ = conn.Send(&wire.Frame{Evt: &wire.Evt{Channel: wire.LogChannel, Data: []byte(line)}})
	}
}

// subscription is the reader's end of a Subscription at the kernel.
type subscription struct {
	p       *Proxy
	id      uint64
	channel dsv.Name

	mu     sync.Mutex // guards what follows
	queue  []egs.Event
	lost   uint64
	closed bool

	wake chan struct{} // capacity 1
}

// eventQueue bounds the events that wait for a slow subscriber.
const eventQueue = 1024

// Subscribe implements egs.Service. Events that happen while the connection is lost are lost, uncounted.
func (p *Proxy) Subscribe(ctx context.Context, channel dsv.Name) (egs.Subscription, error) {
	s := &subscription{p: p, channel: channel, wake: make(chan struct{}, 1)}
	p.mu.Lock()
	p.last++
	s.id = p.last
	p.mu.Unlock()
	c := &call{req: wire.Req{Op: wire.OpSubscribe, Name: channel, Sub: wire.Uint(s.id)}, repeat: true}
	c.onRes = func(res *wire.Res) {
		if res.Err() == nil {
			p.subs[s.id] = s
		}
	}
	if _, err := p.wait(ctx, c); err != nil {
		p.mu.Lock()
		delete(p.subs, s.id) // the answer may have come while ctx ended
		p.mu.Unlock()
		p.tell(wire.Req{Op: wire.OpUnsubscribe, Sub: wire.Uint(s.id)})
		return nil, local(err, "subscribe", channel)
	}
	return s, nil
}

func (s *subscription) again() wire.Req {
	return wire.Req{Op: wire.OpSubscribe, Name: s.channel, Sub: wire.Uint(s.id)}
}

// happened takes an event from the kernel.
func (p *Proxy) happened(f *wire.Evt) error {
	e, err := f.Event()
	if err != nil {
		return fmt.Errorf("event: %w: %w", err, wire.ErrProtocol)
	}
	p.mu.Lock()
	s := p.subs[uint64(f.Sub)]
	p.mu.Unlock()
	if s != nil {
		s.put(e)
	}
	return nil
}

func (s *subscription) put(e egs.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if len(s.queue) == eventQueue {
		s.lost += 1 + e.Lost
		return
	}
	e.Lost += s.lost
	s.lost = 0
	s.queue = append(s.queue, e)
	s.signal()
}

func (s *subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// end ends the subscription.
func (s *subscription) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.signal()
}

// Next implements egs.Subscription.
func (s *subscription) Next(ctx context.Context) (egs.Event, error) {
	for {
		s.mu.Lock()
		if len(s.queue) > 0 {
			e := s.queue[0]
			s.queue[0] = egs.Event{}
			s.queue = s.queue[1:]
			s.mu.Unlock()
			return e, nil
		}
		if s.closed {
			s.signal() // for the next call
			s.mu.Unlock()
			return egs.Event{}, fmt.Errorf("subscribe %s: %w", s.channel, dsv.ErrClosed)
		}
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-ctx.Done():
			return egs.Event{}, fmt.Errorf("subscribe %s: %w", s.channel, context.Cause(ctx))
		}
	}
}

// Close implements egs.Subscription.
func (s *subscription) Close() error {
	s.end()
	s.p.mu.Lock()
	_, live := s.p.subs[s.id]
	delete(s.p.subs, s.id)
	s.p.mu.Unlock()
	if live {
		s.p.tell(wire.Req{Op: wire.OpUnsubscribe, Sub: wire.Uint(s.id)})
	}
	return nil
}
