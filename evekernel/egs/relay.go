package egs

import (
	"fmt"
)

// Submit submits an event for a participant outside the kernel's process that leaves filters and numbers to the kernel.
// e.Node says who it is; its ID is its own.
func (h *Hub) Submit(e *Event) (delivered int, err error) {
	h.mu.Lock()
	c, err := h.find(e.Channel)
	h.mu.Unlock()
	if err == nil {
		err = c.decl.Fits(e)
	}
	if err != nil {
		return 0, fmt.Errorf("publish %.80s: %w", e.Channel, err)
	}
	return c.submit(e, nil), nil
}

// submit sends e to the sinks that the filters admit; own is the filter of a source inside the kernel's process.
func (c *channel) submit(e *Event, own *Slot) int {
	if e.Priority == 0 {
		e.Priority = c.decl.Priority
	}
	n, filtered := 0, 0
	for _, s := range *c.list.Load() {
		e.Seq = 0
		sink := &s.peer.Load().Sink
		if own != nil && !own.Pass(e, sink) || !s.out.Pass(e, sink) {
			filtered++
			continue
		}
		if s.send(e, true, own == nil) {
			n++
		}
	}
	c.stats.submitted.Add(1)
	c.stats.delivered.Add(uint64(n))
	c.stats.filtered.Add(uint64(filtered))
	return n
}

// An Address is a sink that an event is to reach through the kernel, and the event's number for it.
type Address struct {
	ID  SinkID
	Seq uint64
}

// Relay takes an event, filtered and numbered by its source, to sinks of its channel. Sinks that have left are passed
// over.
func (h *Hub) Relay(e *Event, to []Address) error {
	h.mu.Lock()
	c, err := h.find(e.Channel)
	if err != nil {
		h.mu.Unlock()
		return fmt.Errorf("relay %.80s: %w", e.Channel, err)
	}
	sinks := make([]*entry, len(to))
	for i, a := range to {
		sinks[i] = c.sinks[a.ID]
	}
	h.mu.Unlock()
	if err := c.decl.Fits(e); err != nil {
		return fmt.Errorf("relay %s: %w", e.Channel, err)
	}
	for i, s := range sinks {
		if s != nil {
			e.Seq = to[i].Seq
			s.send(e, false, true)
		}
	}
	return nil
}

// Answer takes an answer to an event that a member inside the kernel's process asked.
func (h *Hub) Answer(e *Event) {
	h.mu.Lock()
	c := h.channels[e.Channel]
	h.mu.Unlock()
	if c != nil {
		c.desk.Answer(e)
	}
}
