package wire

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// MaxQueued bounds the bytes that wait to be written on one connection: senders wait beyond it, each with one frame.
const MaxQueued = 1 << 20

const (
	groupBytes = 64 << 10  // of frames that travel in one message; a larger frame travels alone
	keepBytes  = 128 << 10 // of a buffer that is kept for the next message
	maxRounds  = 8         // messages that one sender writes for others before the connection's own goroutine goes on
)

// errShut is why a frame cannot be sent on a connection that has been closed here.
var errShut = errors.New("the connection is closed")

// outbox is what waits to be written. While a message is being written, the frames for the next one come together.
type outbox struct {
	mu      sync.Mutex // guards what follows
	room    sync.Cond  // signalled when writing ends, with err, and when bytes become fewer
	msgs    [][]byte   // messages that form, oldest first
	bytes   int        // in msgs and in what is being written
	free    []byte     // a buffer for the next message
	writing bool       // somebody writes, and will look at msgs again
	served  bool       // Run's goroutine takes kicks
	owed    bool       // Run's reader flushes before it waits
	err     error      // why nothing can be sent any more

	kick chan struct{} // capacity 1: Run's goroutine shall write
}

// Queue appends a frame to those that wait to be sent, after those that were queued before, and returns at once. It
// travels with the next Flush, Kick or Send of anybody. A frame that cannot be encoded leaves the connection whole.
func (c *Conn) Queue(f *Frame) error {
	var slow []byte
	if !c.codec.hot(f) {
		b, err := c.codec.Encode(f)
		if err != nil {
			return err
		}
		slow = b
	}
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return fmt.Errorf("send %s: %w", f.Type(), o.err)
	}
	i := len(o.msgs) - 1
	if i < 0 || c.codec.coding == JSON || len(o.msgs[i]) >= groupBytes {
		o.msgs = append(o.msgs, o.free[:0])
		o.free = nil
		i++
	}
	b, start := o.msgs[i], len(o.msgs[i])
	if slow != nil {
		b = append(b, slow...)
	} else {
		b = appendHot(b, f)
	}
	if start > 0 && len(b) > groupBytes {
		o.msgs[i] = b[:start]
		o.msgs = append(o.msgs, append([]byte(nil), b[start:]...))
	} else {
		o.msgs[i] = b
	}
	o.bytes += len(b) - start
	return nil
}

// Flush sees to it that what was queued is written: by the caller, or, when somebody writes already, by them. It waits
// only while more than MaxQueued bytes wait.
func (c *Conn) Flush() error {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	for round := 0; !o.writing && len(o.msgs) > 0 && o.err == nil; round++ {
		if round == maxRounds && o.served {
			c.poke()
			break
		}
		c.writeQueued()
	}
	for o.bytes > MaxQueued && o.err == nil {
		o.room.Wait()
	}
	if errors.Is(o.err, errShut) && !o.writing && len(o.msgs) == 0 {
		return nil // it was written before
	}
	return o.err
}

// writeQueued writes the messages that wait. mu is held, and let go meanwhile.
func (c *Conn) writeQueued() {
	o := &c.out
	msgs, bytes := o.msgs, o.bytes
	o.msgs, o.writing = nil, true
	o.mu.Unlock()
	var err error
	for _, b := range msgs {
		if err = c.write(b); err != nil {
			break
		}
	}
	o.mu.Lock()
	o.writing = false
	o.bytes -= bytes
	if b := msgs[len(msgs)-1]; cap(b) <= keepBytes {
		o.free = b
	}
	if err != nil && o.err == nil {
		o.err = err
	}
	o.room.Broadcast()
}

// write writes one message.
func (c *Conn) write(b []byte) error {
	kind := websocket.BinaryMessage
	if c.codec.coding == JSON {
		kind = websocket.TextMessage
	}
	err := c.ws.SetWriteDeadline(time.Now().Add(WriteTimeout))
	if err == nil {
		err = c.ws.WriteMessage(kind, b)
	}
	if err != nil {
		c.close() // a message may be half written: nothing can follow it
	}
	return err
}

// Send queues one frame and flushes. It returns once the frame is written, or somebody who writes already will write
// it; the connection ends when the peer takes nothing for WriteTimeout.
func (c *Conn) Send(f *Frame) error {
	if err := c.Queue(f); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("send %s: %w", f.Type(), err)
	}
	return nil
}

// Answer is Queue for Run's handle: what it queues travels when Run finds nothing more to read, or once as much waits as
// fills a message. Only a kernel's handle may call it: if both ends wrote while they should read, they would wait for
// each other.
func (c *Conn) Answer(f *Frame) error {
	if err := c.Queue(f); err != nil {
		return err
	}
	if c.Full() {
		return c.Flush()
	}
	c.out.mu.Lock()
	c.out.owed = true
	c.out.mu.Unlock()
	return nil
}

// Full tells whether as much waits to be sent as fills a message.
func (c *Conn) Full() bool {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.bytes >= groupBytes
}

// BeforeWait has Run call fn from its reader each time before it waits for bytes: fn may Answer. It is called before Run.
func (c *Conn) BeforeWait(fn func()) { c.beforeWait = fn }

// answer flushes what Answer has queued.
func (c *Conn) answer() {
	if c.beforeWait != nil {
		c.beforeWait()
	}
	c.out.mu.Lock()
	owed := c.out.owed
	c.out.owed = false
	c.out.mu.Unlock()
	if owed {
		_ = c.Flush() // whose error the next read meets
	}
}

// Kick has what was queued written by Run's own goroutine.
func (c *Conn) Kick() { c.poke() }

func (c *Conn) poke() {
	select {
	case c.out.kick <- struct{}{}:
	default:
	}
}

// drain waits until everything that was queued is written, or cannot be.
func (c *Conn) drain() {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.err == nil && (o.writing || len(o.msgs) > 0) {
		if o.writing {
			o.room.Wait()
			continue
		}
		c.writeQueued()
	}
}
