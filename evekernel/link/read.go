package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/evekernel/egs"
)

// readBuffer is what one read can bring; frames that are larger make it grow until they are handled.
const readBuffer = 64 << 10

// read hands over what comes until the link ends.
func (l *Link) read() {
	defer close(l.ended)
	buf := make([]byte, readBuffer)
	have := 0
	var r reading
	r.e.From, r.e.Node = l.name, l.node
	for {
		n, err := l.conn.Read(buf[have:])
		have += n
		l.guard.begin(l)
		used, need, bad := r.handle(l.n, buf[:have], &l.guard.frames)
		l.guard.handing.Store(false)
		if bad != nil {
			err = bad
		}
		if err != nil {
			if errors.Is(err, io.EOF) { // closed in order: the other end still takes the answers that wait
				l.empty(time.Now().Add(closeTimeout / 5))
			}
			l.fail(err)
			return
		}
		copy(buf, buf[used:have])
		have -= used
		switch {
		case need > len(buf):
			buf = append(make([]byte, 0, need), buf[:have]...)[:need]
		case len(buf) > readBuffer && have == 0:
			buf = make([]byte, readBuffer)
		}
	}
}

// A reading is what handling frames needs.
type reading struct {
	d decoder
	e egs.Event
}

// handle handles the whole frames in b, and counts them: used is how many bytes they were, need how many the next has.
func (r *reading) handle(n *Endpoint, b []byte, frames *atomic.Uint64) (used, need int, err error) {
	for {
		rest := b[used:]
		if len(rest) < 4 {
			return used, 4, nil
		}
		size := int(binary.LittleEndian.Uint32(rest))
		if size < 1 || size > MaxFrame {
			return used, 0, fmt.Errorf("a frame of %d bytes: %w", size, errProtocol)
		}
		if len(rest) < 4+size {
			return used, 4 + size, nil
		}
		if err := r.frame(n, rest[4:4+size]); err != nil {
			return used, 0, err
		}
		used += 4 + size
		frames.Add(1)
	}
}

func (r *reading) frame(n *Endpoint, b []byte) error {
	c := cursor{b: b[1:]}
	switch b[0] {
	case typeEvent:
		return r.event(n, &c)
	case typeAnswer:
		re := c.uvarint()
		if c.bad {
			return errProtocol
		}
		desk := n.cfg.Desk(egs.DeskOf(re))
		if desk == nil {
			return nil // nobody waits any more
		}
		e := r.e
		if err := r.d.body(&c, desk.Channel(), &e); err != nil {
			return err
		}
		e.Re, e.ID = re, 0
		desk.Answer(&e)
		return nil
	}
	return fmt.Errorf("a frame of type %d: %w", b[0], errProtocol)
}

// event hands an event to its sinks. It is decoded once: all of them are of the same channel.
func (r *reading) event(n *Endpoint, c *cursor) error {
	r.d.readDests(c)
	if c.bad {
		return errProtocol
	}
	decoded := false
	for _, d := range r.d.dests {
		inbox := n.cfg.Inbox(d.Sub)
		if inbox == nil {
			continue // left
		}
		if !decoded {
			if err := r.d.body(c, inbox.Declared(), &r.e); err != nil {
				return err
			}
			decoded = true
		}
		if inbox.Declared().Name != r.e.Channel {
			return fmt.Errorf("sinks of several channels: %w", errProtocol)
		}
		r.e.Seq, r.e.Lost = d.Seq, 0
		inbox.Put(&r.e)
	}
	return nil
}
