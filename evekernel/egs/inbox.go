package egs

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/eve-emulation/eve/dsv"
)

// An InboxConfig says what an Inbox is to do.
type InboxConfig struct {
	Channel *Channel
	Sink    *Sink
	In      Filter
	Handler func(Event) // nil for Next
	Fault   func(error) // told of a filter that faults; may be nil
	// Transit makes an inbox that keeps events for somebody else, who counts what is lost by their numbers: this one
	// does not.
	Transit bool
}

// An Inbox is where the events for one sink arrive: it drops repeats, counts what is lost, filters, and hands over or
// queues. What arrives while another event is being handed over waits, and goes on by a goroutine of the inbox's if that takes
// long, so that a filter and a handler are never called
// twice at once, and may themselves submit to where they belong. All methods may be called from several goroutines at
// once, but for Next.
type Inbox struct {
	cfg  InboxConfig
	sink atomic.Pointer[Sink]
	in   Slot

	mu      sync.Mutex // guards what follows
	streams []stream
	waiting queue // while one is being handed over
	ready   queue // for Next
	stats   SinkStats
	lost    uint64 // since the last that was delivered
	busy    bool   // somebody hands over
	closed  bool
	idle    sync.Cond // busy has become false

	work sync.WaitGroup

	wake chan struct{} // capacity 1
}

// A stream is what one source sends at one priority.
type stream struct {
	node     uint64
	priority int
	next     uint64
	renewed  bool
}

// NewInbox returns an inbox.
func NewInbox(cfg InboxConfig) *Inbox {
	b := &Inbox{cfg: cfg, wake: make(chan struct{}, 1)}
	b.in.Set(cfg.In, cfg.Fault)
	b.sink.Store(cfg.Sink)
	b.idle.L = &b.mu
	return b
}

// Declared is the channel whose events arrive. It must not be changed.
func (b *Inbox) Declared() *Channel { return b.cfg.Channel }

// Put takes an event, whose memory stays the caller's. It returns false when the inbox is closed.
func (b *Inbox) Put(e *Event) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	if !b.expected(e) {
		b.mu.Unlock()
		return true
	}
	if b.busy {
		b.wait(e)
		b.mu.Unlock()
		return true
	}
	b.busy = true
	b.hand(e)
	if b.waiting.len() == 0 || b.drain(turn) {
		b.rest()
	} else { // the caller has others to serve
		b.work.Go(b.serve)
	}
	b.mu.Unlock()
	return true
}

// Post is Put for a caller that must not meet a handler: another goroutine calls it.
func (b *Inbox) Post(e *Event) bool {
	if b.cfg.Handler == nil {
		return b.Put(e)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	if b.expected(e) {
		b.wait(e)
		if !b.busy {
			b.busy = true
			b.work.Go(b.serve)
		}
	}
	return true
}

// wait queues an event until it can be handed over; mu is held.
func (b *Inbox) wait(e *Event) {
	dropped, _ := b.waiting.put(e, 0)
	b.drop(dropped)
}

// turn is how many events that have come meanwhile one caller of Put hands over.
const turn = 64

// drain hands over what has come meanwhile, at most n, and tells whether that is all; mu is held, but not while filter
// and handler run.
func (b *Inbox) drain(n int) bool {
	for ; n > 0 && !b.closed; n-- {
		e, ok := b.waiting.take()
		if !ok {
			return true
		}
		b.hand(&e)
	}
	return b.closed || b.waiting.len() == 0
}

// serve hands over what waits.
func (b *Inbox) serve() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drain(math.MaxInt)
	b.rest()
}

// rest notes that nobody hands over any more; mu is held.
func (b *Inbox) rest() {
	b.busy = false
	b.idle.Broadcast()
}

// expected tells whether e is none that came before, and counts those that did not come; mu is held.
func (b *Inbox) expected(e *Event) bool {
	if e.Seq == 0 || b.cfg.Transit {
		return true
	}
	for i := range b.streams {
		s := &b.streams[i]
		if s.node != e.Node || s.priority != e.Priority {
			continue
		}
		renewed := s.renewed
		s.renewed = false
		switch {
		case e.Seq >= s.next:
		case renewed:
			s.next = 1
		default:
			b.stats.Late++
			return false
		}
		b.drop(e.Seq - s.next)
		s.next = e.Seq + 1
		return true
	}
	b.drop(e.Seq - 1)
	b.streams = append(b.streams, stream{node: e.Node, priority: e.Priority, next: e.Seq + 1})
	return true
}

func (b *Inbox) drop(n uint64) {
	b.lost += n
	b.stats.Lost += n
}

// hand filters e and hands it over; mu is held before and after, and not while filter and handler run.
func (b *Inbox) hand(e *Event) {
	if b.closed {
		return
	}
	sink := b.sink.Load()
	b.mu.Unlock()
	pass := b.in.Pass(e, sink)
	b.mu.Lock()
	switch {
	case b.closed:
	case !pass:
		b.stats.Filtered++
	case b.cfg.Handler == nil:
		dropped, owed := b.ready.put(e, b.lost)
		b.stats.Lost += dropped
		b.lost = owed
		b.signal()
	default:
		shown := *e
		shown.Lost, b.lost = b.lost, 0
		b.stats.Delivered++
		b.mu.Unlock()
		b.cfg.Handler(shown)
		b.mu.Lock()
	}
}

func (b *Inbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Next waits for the next event: dsv.ErrClosed after Close, the context's error when ctx ends.
func (b *Inbox) Next(ctx context.Context) (Event, error) {
	for {
		b.mu.Lock()
		e, ok := b.ready.take()
		closed := b.closed
		switch {
		case ok:
			b.stats.Delivered++
			if b.ready.len() > 0 {
				b.signal()
			}
		case closed:
			b.signal() // for the next call
		}
		b.mu.Unlock()
		switch {
		case ok:
			return e, nil
		case closed:
			return Event{}, fmt.Errorf("subscribe %s: %w", b.cfg.Channel.Name, dsv.ErrClosed)
		}
		select {
		case <-b.wake:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("subscribe %s: %w", b.cfg.Channel.Name, context.Cause(ctx))
		}
	}
}

// Return puts back what Next gave, which comes again before all others.
func (b *Inbox) Return(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Delivered--
	b.ready.back(e)
	b.signal()
}

// Lose counts what Next gave as lost, with those before it.
func (b *Inbox) Lose(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Delivered--
	b.stats.Lost++
	if b.ready.len() > 0 {
		b.ready.events[b.ready.head].Lost += 1 + e.Lost
		return
	}
	b.lost += 1 + e.Lost
}

// Renew says that sources may have begun to count anew.
func (b *Inbox) Renew() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.streams {
		b.streams[i].renewed = true
	}
}

// SetIn replaces the filter of what arrives.
func (b *Inbox) SetIn(f Filter) { b.in.Set(f, b.cfg.Fault) }

// Describe replaces what the IN filter knows about the sink.
func (b *Inbox) Describe(s *Sink) { b.sink.Store(s) }

// Stats counts what became of the events.
func (b *Inbox) Stats() SinkStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stats
}

// End closes the inbox: nothing is taken any more; what is queued can still be read. It does not wait for the handler.
func (b *Inbox) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.signal()
}

// Wait waits until nothing is handed over any more, after End.
func (b *Inbox) Wait() { b.work.Wait() }

// Close ends the inbox, drops what is queued, and waits until no handler runs.
func (b *Inbox) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.waiting.clear()
	b.ready.clear()
	b.signal()
	for b.busy {
		b.idle.Wait()
	}
}
