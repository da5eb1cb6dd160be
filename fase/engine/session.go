package engine

import (
	"sync"
	"sync/atomic"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// A session is a connection that several threads serve, one after the other. It is watched for edges, once for all, so that no
// thread has to tell the poller what it waits for.
type session struct {
	mu sync.Mutex // guards the rest, but for what the sessions' lock guards, and for actors: see there
	conn
	parsing bool // seda: in the queue of the parse stage, or there
	writing bool // seda: in the queue of the write stage
	actor        // actors
}

// sessions are the connections of an engine with many threads, and what these share for them.
type sessions struct {
	s        *shared
	pool     buffers
	draining atomic.Bool
	keeps    bool // a slot is freed by put, later than its connection is closed

	chunks atomic.Pointer[[]*[1 << chunkBits]session] // replaced when it grows; by the keeper

	mu        sync.Mutex // guards what follows, and the lists' links
	free      []uint32
	exchanges []*exchange
	lists     [timeouts]timeoutList
	sleeps    int64      // instant until which the keeper sleeps at the longest
	due       []*session // of this expire; the keeper's
}

// napMax is how long the keeper sleeps at most, in ns: time-outs longer than that need not wake it when they begin.
const napMax = 1e9

func (t *sessions) init(s *shared) {
	t.s = s
	t.pool.mu = new(sync.Mutex)
	for i := range t.lists {
		t.lists[i] = timeoutList{first: nowhere, last: nowhere}
	}
}

// configure takes the time-outs over, once the configuration is known.
func (t *sessions) configure(cfg *Config) {
	t.lists[idling].length = int64(cfg.IdleTimeout)
	t.lists[arriving].length = int64(cfg.HeadTimeout)
	t.lists[sending].length = int64(cfg.SendTimeout)
	t.lists[leaving].length = int64(lingerTime)
}

// wire returns a new wire for a thread.
func (t *sessions) wire() *wire {
	return &wire{cfg: &t.s.cfg, filler: t.s.filler, pool: &t.pool}
}

// at returns the slot's session, nil if there never was one. Any thread may call it.
func (t *sessions) at(slot uint32) *session {
	chunks := t.chunks.Load()
	if chunks == nil || int(slot>>chunkBits) >= len(*chunks) {
		return nil
	}
	return &(*chunks)[slot>>chunkBits][slot&(1<<chunkBits-1)]
}

// grow adds a chunk of free sessions; false if there can be no more. The keeper calls it, under mu.
func (t *sessions) grow() bool {
	var old []*[1 << chunkBits]session
	if p := t.chunks.Load(); p != nil {
		old = *p
	}
	base := uint32(len(old) << chunkBits)
	if base >= maxSlots {
		return false
	}
	chunk := new([1 << chunkBits]session)
	for i := range chunk {
		chunk[i].slot, chunk[i].fd = base+uint32(i), -1
		t.free = append(t.free, base+uint32(len(chunk)-1-i))
	}
	grown := append(old[:len(old):len(old)], chunk)
	t.chunks.Store(&grown)
	return true
}

// take makes a session of a new connection. It returns nil, and has closed it, if that cannot be. The keeper calls it.
func (t *sessions) take(fd int) *session {
	k := t.s.keeper
	t.mu.Lock()
	if len(t.free) == 0 && !t.grow() {
		t.mu.Unlock()
		k.count.Shed++
		_ = netpoll.Close(fd)
		return nil
	}
	slot := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	t.mu.Unlock()
	c := t.at(slot)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn{slot: slot, gen: c.gen + 1, serial: c.serial, fd: int32(fd)}
	c.parsing, c.writing = false, false
	const all = netpoll.In | netpoll.Out | netpoll.RdHup | netpoll.Edge
	if err := k.poller.Add(fd, tag(0, c.gen, slot), all); err != nil {
		k.count.Shed++
		_ = netpoll.Close(fd)
		c.fd = -1
		t.put(c)
		return nil
	}
	t.s.open.Add(1)
	k.count.Accepted++
	t.wait(c, idling)
	return c
}

// put frees the slot of c.
func (t *sessions) put(c *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free = append(t.free, c.slot)
}

// each calls fn for every session there ever was.
func (t *sessions) each(fn func(*session)) {
	chunks := t.chunks.Load()
	if chunks == nil {
		return
	}
	for _, chunk := range *chunks {
		for i := range chunk {
			fn(&chunk[i])
		}
	}
}

// acquire gives c its working state.
func (t *sessions) acquire(c *session) *exchange {
	if c.x != nil {
		return c.x
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.exchanges); n > 0 {
		c.x = t.exchanges[n-1]
		t.exchanges = t.exchanges[:n-1]
	} else {
		c.x = new(exchange)
	}
	return c.x
}

// release takes the working state of c back.
func (t *sessions) release(c *session) {
	x := c.x
	if x == nil {
		return
	}
	c.x = nil
	for i := range x.pending {
		t.pool.put(x.pending[i].out)
		x.pending[i] = pending{}
	}
	t.pool.put(x.in)
	t.pool.put(x.out)
	*x = exchange{pending: x.pending[:0], fills: x.fills[:0]}
	if cap(x.pending) > 256 || cap(x.fills) > 256 {
		x.pending, x.fills = nil, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.exchanges = append(t.exchanges, x)
}

// close closes c. Nothing that the handler knows of may be pending.
func (t *sessions) close(c *session) {
	t.wait(c, none)
	t.release(c)
	_ = netpoll.Close(int(c.fd))
	lingers := c.flags&linger != 0
	c.fd = -1
	if !t.keeps {
		t.put(c)
	}
	if !lingers {
		t.s.left()
	}
}

// wait has c time out for the reason k from now on; none ends that.
func (t *sessions) wait(c *session, k timeout) {
	now := mono.Now()
	t.mu.Lock()
	t.unlink(c)
	if k == none {
		t.mu.Unlock()
		return
	}
	l := &t.lists[k]
	c.list, c.when = k, now+l.length
	c.prev, c.next = l.last, nowhere
	if l.last == nowhere {
		l.first = c.slot
	} else {
		t.at(l.last).next = c.slot
	}
	l.last = c.slot
	early := c.when < t.sleeps
	t.mu.Unlock()
	if early {
		t.s.keeper.poller.Wake()
	}
}

// waits reports whether c waits for that.
func (t *sessions) waits(c *session, k timeout) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.list == k
}

// waitOnce is wait, unless c waits for that already.
func (t *sessions) waitOnce(c *session, k timeout) {
	if !t.waits(c, k) {
		t.wait(c, k)
	}
}

// unlink takes c out of its list.
func (t *sessions) unlink(c *session) {
	if c.list == none {
		return
	}
	l := &t.lists[c.list]
	if c.prev == nowhere {
		l.first = c.next
	} else {
		t.at(c.prev).next = c.next
	}
	if c.next == nowhere {
		l.last = c.prev
	} else {
		t.at(c.next).prev = c.prev
	}
	c.list = none
}

// next returns the instant at which the keeper has to look for time-outs.
func (t *sessions) next() int64 {
	at := mono.Now() + napMax
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.lists {
		if l := &t.lists[i]; l.first != nowhere {
			at = min(at, t.at(l.first).when)
		}
	}
	t.sleeps = at // what begins from here on and ends before it wakes the keeper
	return at
}

// overdue returns the sessions whose time is over, and why, taken out of their lists.
func (t *sessions) overdue(now int64, k timeout) []*session {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.due = t.due[:0]
	for l := &t.lists[k]; l.first != nowhere; {
		c := t.at(l.first)
		if c.when > now {
			break
		}
		t.unlink(c)
		t.due = append(t.due, c)
	}
	return t.due
}
