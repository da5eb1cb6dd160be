package egs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// A Change is one change of a channel's membership: a sink joined, says something new about itself, or left.
type Change struct {
	Peer    Peer
	Left    bool
	Version uint64 // of the membership, after the change
}

// A Watcher is told how the membership of a channel changes, for a source outside the kernel's process.
type Watcher struct {
	h      *Hub
	c      *channel
	notify func(Change)

	// What follows is guarded by the hub's mutex.
	waits []pending
	deaf  uint64 // it did not answer in time, and nobody waits for it until it has seen this version; else 0
}

// A pending is a wait for a watcher to have seen a version.
type pending struct {
	version uint64
	w       *Known
}

// A Known tells when several sources know of a change.
type Known struct {
	h    *Hub
	c    *channel
	left int // guarded by the hub's mutex
	done chan struct{}
}

// Watch begins to tell of the changes of a channel, and returns its present sinks with the version of the membership.
// notify is called with the hub locked: it must not wait, nor use the hub.
func (h *Hub) Watch(n dsv.Name, notify func(Change)) (*Watcher, []Peer, uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := h.find(n)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("attach %.80s: %w", n, err)
	}
	w := &Watcher{h: h, c: c, notify: notify}
	c.watchers[w] = true
	return w, c.peers(), c.version, nil
}

func (c *channel) peers() []Peer {
	list := *c.list.Load()
	ps := make([]Peer, len(list))
	for i, s := range list {
		ps[i] = *s.peer.Load()
	}
	slices.SortFunc(ps, func(a, b Peer) int {
		return cmp.Or(cmp.Compare(a.Sink.ID.Node, b.Sink.ID.Node), cmp.Compare(a.Sink.ID.Sub, b.Sink.ID.Sub))
	})
	return ps
}

// tell tells the watchers of a change; the hub's mu is held.
func (h *Hub) tell(c *channel, ch Change) *Known {
	c.version++
	ch.Version = c.version
	w := &Known{h: h, c: c, done: make(chan struct{})}
	for v := range c.watchers {
		if v.deaf == 0 && !ch.Left { // for who leaves nobody waits
			w.left++
			v.waits = append(v.waits, pending{c.version, w})
		}
		v.notify(ch)
	}
	if w.left == 0 {
		close(w.done)
	}
	return w
}

// Wait waits until all sources know, KnownWithin has passed, or ctx ends: only that is an error.
func (w *Known) Wait(ctx context.Context) error {
	select {
	case <-w.done:
		return nil
	default:
	}
	late := time.NewTimer(KnownWithin)
	defer late.Stop()
	select {
	case <-w.done:
	case <-late.C:
		w.giveUp(true)
	case <-ctx.Done():
		w.giveUp(false)
		return context.Cause(ctx)
	}
	return nil
}

// giveUp ends the wait. With deaf nobody waits any more for the sources that do not know yet, until they do.
func (w *Known) giveUp(deaf bool) {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	for v := range w.c.watchers {
		i := slices.IndexFunc(v.waits, func(p pending) bool { return p.w == w })
		switch {
		case i < 0:
		case deaf:
			v.deaf = w.c.version
			v.saw(^uint64(0))
		default:
			v.waits = slices.Delete(v.waits, i, i+1)
		}
	}
}

// Seen says that the source applies what it was told up to a version.
func (w *Watcher) Seen(version uint64) {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	w.saw(version)
	if version >= w.deaf {
		w.deaf = 0
	}
}

// saw is Seen with mu held.
func (w *Watcher) saw(version uint64) {
	n := 0
	for n < len(w.waits) && w.waits[n].version <= version {
		p := w.waits[n].w
		if p.left--; p.left == 0 {
			close(p.done)
		}
		n++
	}
	w.waits = slices.Delete(w.waits, 0, n)
}

// Close ends the watch; nobody waits for it any more. It may be called twice.
func (w *Watcher) Close() {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	w.saw(^uint64(0))
	delete(w.c.watchers, w)
}
