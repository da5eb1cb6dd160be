package egs

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/eve-emulation/eve/dsv"
)

// maxAnswers bounds the answers of one inquiry that nobody has read.
const maxAnswers = 4096

// An Inquiry collects the answers to an event that asks, until it is closed. All methods may be called from several
// goroutines at once.
type Inquiry struct {
	d     *Desk
	id    uint64
	asked atomic.Int64

	mu      sync.Mutex // guards what follows
	answers []Event
	bytes   int // of answers, about
	closed  bool

	wake chan struct{} // capacity 1
}

// ID is that of the event that asks.
func (q *Inquiry) ID() uint64 { return q.id }

// Asked is how many sinks were asked.
func (q *Inquiry) Asked() int { return int(q.asked.Load()) }

// Next waits for the next answer: ErrNobody when no sink was asked, dsv.ErrClosed after Close, the context's error when
// ctx ends.
func (q *Inquiry) Next(ctx context.Context) (Event, error) {
	for {
		q.mu.Lock()
		if len(q.answers) > 0 {
			e := q.answers[0]
			q.answers[0] = Event{}
			q.answers = q.answers[1:]
			q.bytes -= e.size()
			if len(q.answers) > 0 {
				q.signal()
			}
			q.mu.Unlock()
			return e, nil
		}
		closed := q.closed
		if closed {
			q.signal() // for the next call
		}
		q.mu.Unlock()
		switch {
		case closed:
			return Event{}, fmt.Errorf("ask %s: %w", q.d.channel.Name, dsv.ErrClosed)
		case q.Asked() == 0:
			return Event{}, fmt.Errorf("ask %s: %w", q.d.channel.Name, ErrNobody)
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("ask %s: %w", q.d.channel.Name, context.Cause(ctx))
		}
	}
}

// First waits for the first answer, which wins: the inquiry is closed, and later answers are dropped and counted as late.
func (q *Inquiry) First(ctx context.Context) (Event, error) {
	defer q.Close()
	return q.Next(ctx)
}

// Close ends the inquiry: answers that come later are dropped and counted in the source's Late. It may be called twice.
func (q *Inquiry) Close() {
	q.d.mu.Lock()
	delete(q.d.open, q.id)
	q.d.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		q.d.late.Add(uint64(len(q.answers)))
		q.answers = nil
	}
	q.signal()
}

func (q *Inquiry) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// A Desk keeps the inquiries that one process has on one channel. It gives the IDs of its events. All methods may be
// called from several goroutines at once.
type Desk struct {
	channel *Channel
	last    atomic.Uint64
	late    atomic.Uint64

	mu     sync.Mutex // guards what follows
	open   map[uint64]*Inquiry
	closed bool
}

// deskBits is where, in an event's ID, the number of its desk begins.
const deskBits = 40

// NewDesk returns a desk whose number within its process is num.
func NewDesk(channel *Channel, num uint64) *Desk {
	d := &Desk{channel: channel, open: map[uint64]*Inquiry{}}
	d.last.Store(num << deskBits)
	return d
}

// DeskOf returns the number of the desk that gave an ID.
func DeskOf(id uint64) uint64 { return id >> deskBits }

// Channel is the desk's channel. It must not be changed.
func (d *Desk) Channel() *Channel { return d.channel }

// NextID gives the ID of an event.
func (d *Desk) NextID() uint64 { return d.last.Add(1) }

// Open opens the inquiry of the event called id. Who submits the event says how many were Asked.
func (d *Desk) Open(id uint64) (*Inquiry, error) {
	q := &Inquiry{d: d, id: id, wake: make(chan struct{}, 1)}
	q.asked.Store(1) // until it is known
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, fmt.Errorf("ask %s: %w", d.channel.Name, dsv.ErrClosed)
	}
	d.open[id] = q
	return q, nil
}

// SetAsked says how many sinks were asked.
func (q *Inquiry) SetAsked(n int) {
	q.asked.Store(int64(n))
	q.signal()
}

// Answer takes an answer, whose memory stays the caller's.
func (d *Desk) Answer(e *Event) {
	d.mu.Lock()
	q := d.open[e.Re]
	d.mu.Unlock()
	if q == nil {
		d.late.Add(1)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.answers) >= maxAnswers || len(q.answers) > 0 && q.bytes+e.size() > queueBytes {
		d.late.Add(1)
		return
	}
	q.answers = append(q.answers, e.Clone())
	q.bytes += e.size()
	q.signal()
}

// Late counts the answers that nobody waited for any more.
func (d *Desk) Late() uint64 { return d.late.Load() }

// Close ends the inquiries.
func (d *Desk) Close() {
	d.mu.Lock()
	open := d.open
	d.open, d.closed = map[uint64]*Inquiry{}, true
	d.mu.Unlock()
	for _, q := range open {
		q.Close()
	}
}
