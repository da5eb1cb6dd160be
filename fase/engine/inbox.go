package engine

import (
	"sync"
	"sync/atomic"
)

// An inbox carries messages from other threads to a loop. The bytes of messages lie in one arena for each batch, so that
// posting allocates nothing once both have grown.
type inbox struct {
	asleep atomic.Bool // the loop waits, or is about to
	poller interface{ Wake() }

	mu     sync.Mutex // guards what follows, and the poller's life
	msgs   []message
	arena  []byte
	closed bool
}

type message struct {
	fn     func(Loop) // for kind call
	kind   messageKind
	close  bool
	status int
	ref    Ref
	filler int64
	start  int // of its bytes in the arena
	middle int // where head or header ends and body begins
	end    int
}

type messageKind uint8

const (
	callMessage     messageKind = iota // call fn
	requestMessage                     // a passed request: head, body
	closedMessage                      // the peer of a passed request has gone
	responseMessage                    // the response to a passed request: header, body
	stopMessage                        // drain and end
	wakeMessage                        // look again whether all is drained
)

// post adds m with its bytes, head and body. It reports false if the loop has ended.
func (b *inbox) post(m message, head, body []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	m.start = len(b.arena)
	b.arena = append(b.arena, head...)
	m.middle = len(b.arena)
	b.arena = append(b.arena, body...)
	m.end = len(b.arena)
	b.msgs = append(b.msgs, m)
	if b.asleep.Load() {
		b.poller.Wake()
	}
	return true
}

// take swaps the waiting messages for the emptied slices of an earlier batch.
func (b *inbox) take(msgs []message, arena []byte) ([]message, []byte) {
	clear(msgs)
	if cap(arena) > 4<<20 {
		arena = nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	taken, bytes := b.msgs, b.arena
	b.msgs, b.arena = msgs[:0], arena[:0]
	return taken, bytes
}

func (b *inbox) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.msgs) == 0
}

// clear reports whether nothing waits, and the loop has not ended.
func (b *inbox) clear() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.msgs) == 0 && !b.closed
}

// shut refuses further messages; after it nobody wakes the poller.
func (b *inbox) shut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}
