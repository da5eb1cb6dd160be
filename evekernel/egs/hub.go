package egs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// Config says how a Hub announces starts.
type Config struct {
	Now  func() int64  // ns of CLOCK_MONOTONIC
	Boot string        // the boot id of that clock's host
	Lead time.Duration // how far ahead T0 lies when it is announced

	// Log is told of filters that are removed. Answer takes an answer to the process that asked. Both may be nil.
	Log    func(line string)
	Answer func(node uint64, e *Event) error

	// Announce is told of a start before those who wait for it are, so that it can be kept. It must not use the hub. It
	// may be nil.
	Announce func(barrier dsv.Name, s Start)
}

// A Hub keeps barriers, groups and channels in memory. It starts no goroutine. All methods may be called from several
// goroutines at once.
type Hub struct {
	cfg Config

	mu       sync.Mutex // guards what follows
	barriers map[dsv.Name]*barrier
	groups   map[dsv.Name]map[string]bool
	channels map[dsv.Name]*channel
	joined   uint64 // sinks so far
	lastDesk uint64
	gone     map[string]error // members that ended, and why
	closed   bool
}

// A barrier is done once start or err is set.
type barrier struct {
	missing map[string]bool // parties that have not joined; nil while nobody said who is expected
	parties map[string]bool
	joined  map[string]int // joins that wait
	start   Start
	err     error
	done    chan struct{}
}

// NewHub returns an empty hub.
func NewHub(cfg Config) *Hub {
	return &Hub{
		cfg: cfg, barriers: map[dsv.Name]*barrier{}, groups: map[dsv.Name]map[string]bool{},
		channels: map[dsv.Name]*channel{}, gone: map[string]error{},
	}
}

// barrier returns the barrier called n, made if need be; mu is held.
func (h *Hub) barrier(n dsv.Name) *barrier {
	b := h.barriers[n]
	if b == nil {
		b = &barrier{joined: map[string]int{}, done: make(chan struct{})}
		h.barriers[n] = b
		if h.closed {
			b.fail(n, "kernel", dsv.ErrClosed)
		}
	}
	return b
}

func (b *barrier) over() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// Expect says who has to join a barrier; joins before that wait. It is an error to expect nobody, or to change a barrier
// that was expected before, unless that one failed: then it starts anew.
func (h *Hub) Expect(n dsv.Name, parties ...string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.barrier(n)
	if b.err != nil {
		delete(h.barriers, n)
		b = h.barrier(n)
	}
	switch {
	case len(parties) == 0:
		return fmt.Errorf("expect %s: no parties", n)
	case b.parties != nil:
		return fmt.Errorf("expect %s: expected before: %w", n, dsv.ErrExists)
	}
	b.parties, b.missing = map[string]bool{}, map[string]bool{}
	for _, p := range parties {
		b.parties[p] = true
		if b.joined[p] == 0 {
			b.missing[p] = true
		}
	}
	for _, p := range parties {
		if cause, ok := h.gone[p]; ok {
			b.fail(n, p, cause)
			return nil
		}
	}
	h.release(n, b)
	return nil
}

// release announces the start when nobody is missing; mu is held.
func (h *Hub) release(n dsv.Name, b *barrier) {
	if b.parties == nil || len(b.missing) > 0 || b.over() {
		return
	}
	b.start = Start{T0: h.cfg.Now() + int64(h.cfg.Lead), Boot: h.cfg.Boot}
	if h.cfg.Announce != nil {
		h.cfg.Announce(n, b.start)
	}
	close(b.done)
}

func (b *barrier) fail(n dsv.Name, member string, cause error) {
	if b.over() {
		return
	}
	b.err = fmt.Errorf("join %s: %s: %w: %w", n, member, cause, ErrBarrier)
	close(b.done)
}

// Await waits for a barrier without being a party.
func (h *Hub) Await(ctx context.Context, n dsv.Name) (Start, error) {
	h.mu.Lock()
	b := h.barrier(n)
	h.mu.Unlock()
	return b.wait(ctx, n)
}

func (b *barrier) wait(ctx context.Context, n dsv.Name) (Start, error) {
	select {
	case <-b.done:
		return b.start, b.err
	case <-ctx.Done():
		return Start{}, fmt.Errorf("join %s: %w", n, context.Cause(ctx))
	}
}

// Started returns what a barrier has announced; ok is false while it has not.
func (h *Hub) Started(n dsv.Name) (s Start, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.barriers[n]
	if b == nil || !b.over() || b.err != nil {
		return Start{}, false
	}
	return b.start, true
}

// Missing lists the parties for which a barrier still waits, in the order of their names.
func (h *Hub) Missing(n dsv.Name) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.barriers[n]
	if b == nil || b.over() {
		return nil
	}
	return slices.Sorted(maps.Keys(b.missing))
}

// Gone says that a member has ended, and why: barriers that expect it and are not yet done fail, and it leaves its
// groups.
func (h *Hub) Gone(member string, cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone[member] = cause
	for n, b := range h.barriers {
		if b.parties[member] {
			b.fail(n, member, cause)
		}
	}
	for _, g := range h.groups {
		delete(g, member)
	}
	for _, c := range h.channels {
		for id, s := range c.sinks {
			if s.peer.Load().Sink.Member == member {
				h.leave(c, id)
			}
		}
	}
}

// Back says that a member which had ended begins again.
func (h *Hub) Back(member string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.gone, member)
}

// Close fails the barriers that are not done and ends the subscriptions. It may be called twice.
func (h *Hub) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	for n, b := range h.barriers {
		b.fail(n, "kernel", dsv.ErrClosed)
	}
	for _, c := range h.channels {
		for _, s := range c.sinks {
			if s.inbox != nil {
				s.inbox.End()
			}
		}
		c.desk.Close()
	}
	return nil
}

// Member returns what the member called name can do.
func (h *Hub) Member(name string) Service { return &member{h: h, name: name} }

// A member is one member's view of the hub.
type member struct {
	h    *Hub
	name string
}

func (m *member) Join(ctx context.Context, n dsv.Name) (Start, error) {
	return m.h.Join(ctx, m.name, n, func() {})
}

// Join joins a barrier as the member. joined is called once the member is not missing any more, before its join can
// bring about the start.
func (h *Hub) Join(ctx context.Context, member string, n dsv.Name, joined func()) (Start, error) {
	if _, err := dsv.ParseName(string(n)); err != nil {
		return Start{}, fmt.Errorf("join: %w", err)
	}
	h.mu.Lock()
	b := h.barrier(n)
	b.joined[member]++
	delete(b.missing, member)
	h.mu.Unlock()
	joined()
	h.mu.Lock()
	h.release(n, b)
	h.mu.Unlock()
	s, err := b.wait(ctx, n)
	if err != nil {
		h.mu.Lock()
		b.withdraw(member)
		h.mu.Unlock()
	}
	return s, err
}

// withdraw takes back a join that was given up: its member is missing again, unless it joined anew.
func (b *barrier) withdraw(member string) {
	b.joined[member]--
	if b.joined[member] == 0 && b.parties[member] && !b.over() {
		b.missing[member] = true
	}
}

func (m *member) Enter(_ context.Context, n dsv.Name) error {
	if _, err := dsv.ParseName(string(n)); err != nil {
		return fmt.Errorf("enter: %w", err)
	}
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	g := m.h.groups[n]
	if g == nil {
		g = map[string]bool{}
		m.h.groups[n] = g
	}
	g[m.name] = true
	return nil
}

func (m *member) Leave(_ context.Context, n dsv.Name) error {
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	delete(m.h.groups[n], m.name)
	return nil
}

func (m *member) Members(_ context.Context, n dsv.Name) ([]string, error) {
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	return slices.Sorted(maps.Keys(m.h.groups[n])), nil
}
