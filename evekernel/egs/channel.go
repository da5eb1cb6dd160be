package egs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// KnownWithin is how long a sink that joins or changes waits for the sources to know.
const KnownWithin = time.Second

// A Peer is a sink as the sources know it.
type Peer struct {
	Sink Sink
	Link string     // where its process takes direct links; empty to go through the kernel
	Out  FilterSpec // what it wants of the sources
}

// A Registration makes a participant outside the kernel's process a sink.
type Registration struct {
	Channel dsv.Name
	Peer    Peer
	// Deliver takes an event that goes through the kernel, in the order of its numbers. It must not wait, and the event's
	// memory is its own only during the call.
	Deliver func(e *Event)
}

// A channel is one channel at the hub.
type channel struct {
	decl *Channel
	desk *Desk

	// What follows is guarded by the hub's mutex.
	version  uint64 // of the membership
	sinks    map[SinkID]*entry
	watchers map[*Watcher]bool
	lastSub  uint64

	list  atomic.Pointer[[]*entry] // of sinks, in the order of their joining
	stats sourceStats
}

type sourceStats struct {
	submitted, delivered, filtered atomic.Uint64
}

// An entry is one sink of a channel.
type entry struct {
	peer  atomic.Pointer[Peer]
	out   Slot
	order uint64
	inbox *Inbox // of a sink inside the kernel's process

	mu      sync.Mutex // guards what follows, and holds while Deliver runs
	deliver func(*Event)
	numbers map[numbered]uint64
	gone    bool
}

type numbered struct {
	node     uint64
	priority int
}

// send hands e to the sink; own says that it has no number yet, outside that it came over a connection, whose reader must
// not meet a handler.
func (s *entry) send(e *Event, own, outside bool) bool {
	switch {
	case s.inbox != nil && outside:
		return s.inbox.Post(e)
	case s.inbox != nil:
		return s.inbox.Put(e)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return false
	}
	if own {
		k := numbered{e.Node, e.Priority}
		s.numbers[k]++
		e.Seq = s.numbers[k]
	}
	s.deliver(e)
	return true
}

// find returns a channel; mu is held.
func (h *Hub) find(n dsv.Name) (*channel, error) {
	c := h.channels[n]
	switch {
	case c == nil:
		return nil, dsv.ErrNotFound
	case h.closed:
		return nil, dsv.ErrClosed
	}
	return c, nil
}

// Open declares a channel, as [Service] says.
func (h *Hub) Open(c Channel) error {
	if err := c.Check(); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	c.Attrs = slices.Clone(c.Attrs)
	h.mu.Lock()
	defer h.mu.Unlock()
	if have := h.channels[c.Name]; have != nil {
		if !have.decl.Equal(c) {
			return fmt.Errorf("open %s: %w", c.Name, dsv.ErrExists)
		}
		return nil
	}
	h.lastDesk++
	ch := &channel{
		decl: &c, desk: NewDesk(&c, h.lastDesk), sinks: map[SinkID]*entry{}, watchers: map[*Watcher]bool{},
	}
	ch.list.Store(&[]*entry{})
	h.channels[c.Name] = ch
	return nil
}

// Channel returns a channel's declaration, which must not be changed: dsv.ErrNotFound.
func (h *Hub) Channel(n dsv.Name) (*Channel, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := h.find(n)
	if err != nil {
		return nil, fmt.Errorf("channel %.80s: %w", n, err)
	}
	return c.decl, nil
}

// Register makes a participant outside the kernel's process a sink, or changes one that is. The Known tells when the
// sources know.
func (h *Hub) Register(r Registration) (*Known, error) { return h.register(r, nil) }

func (h *Hub) register(r Registration, inbox *Inbox) (*Known, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := h.find(r.Channel)
	if err != nil {
		return nil, fmt.Errorf("subscribe %.80s: %w", r.Channel, err)
	}
	var out Filter
	if err = checkFacts(r.Peer.Sink.Facts); err == nil {
		out, err = r.Peer.Out.Compile(c.decl)
	}
	if err != nil {
		return nil, fmt.Errorf("subscribe %s: %w", r.Channel, err)
	}
	s := c.sinks[r.Peer.Sink.ID]
	if s == nil {
		h.joined++
		s = &entry{order: h.joined, inbox: inbox, numbers: map[numbered]uint64{}}
		c.sinks[r.Peer.Sink.ID] = s
	}
	s.mu.Lock()
	s.deliver = r.Deliver
	s.mu.Unlock()
	s.out.Set(out, h.fault(c.decl.Name, "OUT", r.Peer.Sink.Member, r.Peer.Out))
	return h.changed(c, s, &r.Peer), nil
}

// fault tells of a filter that was removed.
func (h *Hub) fault(channel dsv.Name, side, member string, spec FilterSpec) func(error) {
	return func(err error) {
		if h.cfg.Log != nil {
			h.cfg.Log(fmt.Sprintf("channel %s: %s filter of %s (%v) is removed: %v", channel, side, member, spec, err))
		}
	}
}

// changed makes the present sinks known to the sources; mu is held.
func (h *Hub) changed(c *channel, s *entry, p *Peer) *Known {
	s.peer.Store(p)
	c.relist()
	return h.tell(c, Change{Peer: *p})
}

func (c *channel) relist() {
	list := slices.SortedFunc(maps.Values(c.sinks), func(a, b *entry) int { return cmp.Compare(a.order, b.order) })
	c.list.Store(&list)
}

// Change changes a sink: its facts, where facts is not nil, and its OUT filter, where out is not nil. The Known tells when
// the sources know.
func (h *Hub) Change(n dsv.Name, id SinkID, facts map[string]dsv.Value, out *FilterSpec) (*Known, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, err := h.change(n, id, facts, out)
	if err != nil {
		return nil, fmt.Errorf("change sink of %.80s: %w", n, err)
	}
	return k, nil
}

func (h *Hub) change(n dsv.Name, id SinkID, facts map[string]dsv.Value, out *FilterSpec) (*Known, error) {
	c, err := h.find(n)
	if err != nil {
		return nil, err
	}
	s := c.sinks[id]
	if s == nil {
		return nil, dsv.ErrNotFound
	}
	p := *s.peer.Load()
	if facts != nil {
		if err := checkFacts(facts); err != nil {
			return nil, err
		}
		p.Sink.Facts = maps.Clone(facts)
	}
	if out != nil {
		f, err := out.Compile(c.decl)
		if err != nil {
			return nil, err
		}
		p.Out = *out
		s.out.Set(f, h.fault(n, "OUT", p.Sink.Member, p.Out))
	}
	if s.inbox != nil {
		s.inbox.Describe(&p.Sink)
	}
	return h.changed(c, s, &p), nil
}

func checkFacts(facts map[string]dsv.Value) error {
	if len(facts) > MaxAttrs {
		return fmt.Errorf("%d facts, at most %d: %w", len(facts), MaxAttrs, dsv.ErrTooLarge)
	}
	for n, v := range facts {
		if _, err := dsv.ParseName(n); err != nil {
			return fmt.Errorf("fact: %w", err)
		}
		if v.Kind != dsv.Float && v.Kind != dsv.Int && v.Kind != dsv.Text {
			return fmt.Errorf("fact %s: %v where float, int or text can be: %w", n, v.Kind, dsv.ErrKind)
		}
		if err := v.Check(v.Kind); err != nil {
			return fmt.Errorf("fact %s: %w", n, err)
		}
		if len(v.Text) > maxFact {
			return fmt.Errorf("fact %s: %d bytes, at most %d: %w", n, len(v.Text), maxFact, dsv.ErrTooLarge)
		}
	}
	return nil
}

// maxFact bounds a fact that is a text.
const maxFact = 1024

// Leave removes a sink. It does not wait for the sources.
func (h *Hub) Leave(n dsv.Name, id SinkID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.channels[n]; c != nil {
		h.leave(c, id)
	}
}

// LeaveAll removes all sinks of a process; forGood also what is kept to number its events.
func (h *Hub) LeaveAll(node uint64, forGood bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.channels {
		for id := range c.sinks {
			if id.Node == node {
				h.leave(c, id)
			}
		}
		if !forGood {
			continue
		}
		for _, s := range c.sinks {
			s.mu.Lock()
			maps.DeleteFunc(s.numbers, func(k numbered, _ uint64) bool { return k.node == node })
			s.mu.Unlock()
		}
	}
}

// leave removes a sink; mu is held.
func (h *Hub) leave(c *channel, id SinkID) {
	s := c.sinks[id]
	if s == nil {
		return
	}
	delete(c.sinks, id)
	s.out.Shut()
	c.relist()
	if s.inbox == nil {
		s.mu.Lock()
		s.gone = true
		s.mu.Unlock()
	}
	h.tell(c, Change{Peer: *s.peer.Load(), Left: true})
}
