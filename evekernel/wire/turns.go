package wire

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// lull is how long nobody may read before Run's goroutine does so again, and how soon the second wish to read has to
// follow the first for it to step back.
const lull = time.Millisecond

// turns says whose turn it is to read: Run's goroutine's, or that of a caller who waits for an answer. A caller who reads
// the answer itself is spared the way from one goroutine to another, which costs more than the answer does.
type turns struct {
	role   chan struct{} // capacity 1: full while somebody reads, and before and after Run
	back   chan struct{} // capacity 1: Run's goroutine shall read again
	wanted atomic.Bool   // a caller would have read
	asked  atomic.Bool   // somebody waits who does not read
	away   atomic.Bool   // Run's goroutine waits for its turn, or is about to
	uses   atomic.Uint64 // turns of callers

	// What follows belongs to who has the role.
	handle func(*Frame) error
	rest   []byte // of the present message
	ended  error  // why nothing more is read
	lost   bool   // that is the connection's
	last   time.Time
}

// turn reads and handles messages, as the goroutine of Run.
func (c *Conn) turn() (err error, lost bool) {
	t := &c.turns
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		c.step(nil)
		if t.ended != nil {
			return t.ended, t.lost
		}
		if !t.wanted.Swap(false) {
			continue
		}
		now := time.Now()
		often := now.Sub(t.last) < lull
		if t.last = now; !often {
			continue
		}
		t.away.Store(true)
		if t.asked.Swap(false) || t.wanted.Load() { // who comes later finds it away
			t.away.Store(false)
			continue
		}
		<-t.role
		t.rests(timer)
		t.role <- struct{}{}
		t.away.Store(false)
		if t.ended != nil {
			return t.ended, t.lost
		}
	}
}

// rests waits until it is asked back, or nobody has read for a while.
func (t *turns) rests(timer *time.Timer) {
	for {
		uses := t.uses.Load()
		timer.Reset(lull)
		select {
		case <-t.back:
			return
		case <-timer.C:
		}
		if t.uses.Load() == uses {
			return
		}
	}
}

// step handles the next frames: the rest of a message, or a new one. A caller's turn ends before a frame that is not
// mine. The role is held.
func (c *Conn) step(mine func(*Frame) bool) (strange bool) {
	t := &c.turns
	if len(t.rest) == 0 {
		b, err := c.message(DeadAfter)
		switch {
		case err != nil:
			t.ended, t.lost = err, !errors.Is(err, ErrProtocol)
			return false
		case len(b) == 0:
			t.ended = fmt.Errorf("receive: an empty message: %w", ErrProtocol)
			return false
		}
		t.rest = b
	}
	for len(t.rest) > 0 {
		f, n, err := c.codec.next(t.rest)
		if err == nil && mine != nil && !mine(f) {
			return true
		}
		if err == nil {
			t.rest = t.rest[n:]
			err = t.handle(f)
		}
		if err != nil {
			t.ended = err
			return false
		}
	}
	return false
}

// Help reads and handles messages in the goroutine of a caller who waits for an answer, until done reports that it is
// there, ctx ends, or a frame comes that is not mine, which is left to Run. It does nothing when somebody else reads:
// whoever waits for an answer waits for it afterwards all the same. Only a participant, whose handle does not wait,
// may call it.
func (c *Conn) Help(ctx context.Context, mine func(*Frame) bool, done func() bool) {
	t := &c.turns
	select {
	case t.role <- struct{}{}:
	default:
		t.wanted.Store(true)
		c.back()
		return
	}
	t.uses.Add(1)
	strange := false
	for t.ended == nil && !strange && !done() {
		if len(t.rest) == 0 {
			whole, err := c.sock.wait(ctx)
			if err != nil && ctx.Err() == nil {
				t.ended, t.lost = receiveError(err, DeadAfter), true
			}
			if strange = !whole; strange {
				break
			}
		}
		strange = c.step(mine)
	}
	again := strange || t.ended != nil || len(t.rest) > 0
	<-t.role
	if again {
		c.Back()
	}
}

// Back has Run's goroutine read: somebody waits for an answer and does not Help.
func (c *Conn) Back() {
	c.turns.asked.Store(true)
	c.back()
}

// back has Run's goroutine read again, if it is away.
func (c *Conn) back() {
	if !c.turns.away.Load() {
		return
	}
	select {
	case c.turns.back <- struct{}{}:
	default:
	}
}
