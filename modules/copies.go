package modules

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// When a process reads a variable again within copyWithin, its Proxy keeps a copy, until nobody has read it for
// copyUnread. maxCopies bounds them.
const (
	copyWithin = time.Second
	copyUnread = 10 * time.Second
	maxCopies  = 1024
)

// copies are the values that a process reads often. A watch at the kernel keeps each up to date, so that reading it
// costs no message. It may lag behind the kernel as far as messages do, but never behind what this process wrote.
type copies struct {
	live atomic.Pointer[map[dsv.Name]*replica] // replaced, never changed

	mu     sync.Mutex // guards what follows
	recent map[dsv.Name]time.Time
	swept  time.Time
}

// A replica is the copy of one variable.
type replica struct {
	name dsv.Name
	id   uint64 // of its watch

	cur    atomic.Pointer[held] // what is read; nil when the kernel has to be asked
	unread atomic.Bool          // since the last sweep

	mu    sync.Mutex // guards what follows
	last  *held      // the newest that is known
	own   uint64     // counts the writes of this process, and deletions
	dirty bool       // there was one since the kernel was asked
}

type held struct {
	r  dsv.Reading
	at time.Time // when it came
}

// find returns the copy of a variable, nil when there is none.
func (c *copies) find(n dsv.Name) *replica {
	m := c.live.Load()
	if m == nil {
		return nil
	}
	return (*m)[n]
}

// read returns what the copy holds; ok is false when the kernel has to be asked.
func (l *replica) read() (r dsv.Reading, ok bool) {
	h := l.cur.Load()
	if h == nil {
		return dsv.Reading{}, false
	}
	if l.unread.Load() {
		l.unread.Store(false)
	}
	r = h.r
	if r.Value.Bytes != nil {
		r.Value = r.Value.Clone()
	}
	return r, true
}

// age is how long ago what is read came; 0 when the kernel is asked.
func (l *replica) age() time.Duration {
	if l == nil {
		return 0
	}
	h := l.cur.Load()
	if h == nil {
		return 0
	}
	return time.Since(h.at)
}

// asks tells, before the kernel is asked, how much there was that may make its answer old.
func (l *replica) asks() uint64 {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own
}

// told takes the kernel's answer to a question that was asked when asks returned own: what was written or deleted since
// may not be in it.
func (l *replica) told(r dsv.Reading, own uint64) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.own == own {
		l.dirty = false
		l.hold(r)
	}
}

// wrote notes that this process has written the variable: the next read asks the kernel.
func (l *replica) wrote() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ask()
}

// ask has the next read ask the kernel. mu is held.
func (l *replica) ask() {
	l.own++
	l.dirty = true
	l.cur.Store(nil)
}

// put takes an update of the watch.
func (l *replica) put(u dsv.Update) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u.Deleted {
		l.last = nil
		l.ask()
		return
	}
	l.hold(u.Reading)
}

// hold makes r what is read, unless something newer is known. mu is held.
func (l *replica) hold(r dsv.Reading) {
	if l.last == nil || r.Revision >= l.last.r.Revision {
		l.last = &held{r: r, at: time.Now()}
	}
	if !l.dirty {
		l.cur.Store(l.last)
	}
}

// often notes that a variable was read at the kernel, and tells whether it is read often.
func (c *copies) often(n dsv.Name, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, ok := c.recent[n]
	if c.recent == nil || len(c.recent) >= maxCopies {
		c.recent = map[dsv.Name]time.Time{}
	}
	c.recent[n] = now
	return ok && now.Sub(last) <= copyWithin
}

// keep begins a copy of a variable that is read often.
func (p *Proxy) keep(n dsv.Name) {
	now := time.Now()
	p.sweepCopies(now)
	if !p.copies.often(n, now) {
		return
	}
	p.mu.Lock()
	if p.conn == nil || p.copies.find(n) != nil || len(p.replicas) >= maxCopies {
		p.mu.Unlock()
		return
	}
	id := uint64(p.next())
	l := &replica{name: n, id: id}
	p.replicas[id] = l
	p.changeCopies(func(m map[dsv.Name]*replica) { m[n] = l })
	c := &call{
		req: wire.Req{ID: p.next(), Op: wire.OpWatch, Watch: wire.Uint(id), Pattern: string(n), Mode: wire.FromMode(dsv.Latest)},
		res: make(chan *wire.Res, 1), sent: true,
	}
	c.onRes = func(res *wire.Res) {
		if res.Err() != nil {
			p.dropCopy(l)
		}
	}
	p.calls[p.last] = c
	conn := p.conn
	if conn.Queue(&wire.Frame{Req: &c.req}) != nil {
		p.dropCopy(l)
		delete(p.calls, uint64(c.req.ID))
	}
	p.mu.Unlock()
	_ = conn.Flush()
}

// changeCopies replaces the map of copies. mu is held.
func (p *Proxy) changeCopies(change func(map[dsv.Name]*replica)) {
	m := map[dsv.Name]*replica{}
	if old := p.copies.live.Load(); old != nil {
		maps.Copy(m, *old)
	}
	change(m)
	p.copies.live.Store(&m)
}

// dropCopy forgets a copy; a nil one is none. mu is held.
func (p *Proxy) dropCopy(l *replica) {
	if l == nil || p.replicas[l.id] != l {
		return
	}
	delete(p.replicas, l.id)
	p.changeCopies(func(m map[dsv.Name]*replica) { delete(m, l.name) })
}

// dropCopies forgets all copies: the connection that kept them is lost. mu is held.
func (p *Proxy) dropCopies() {
	clear(p.replicas)
	p.copies.live.Store(nil)
}

// sweepCopies drops, now and then, what nobody has read since the last time.
func (p *Proxy) sweepCopies(now time.Time) {
	c := &p.copies
	c.mu.Lock()
	due := now.Sub(c.swept) >= copyUnread
	if due {
		c.swept = now
	}
	c.mu.Unlock()
	if !due {
		return
	}
	p.mu.Lock()
	conn := p.conn
	p.changeCopies(func(m map[dsv.Name]*replica) {
		for id, l := range p.replicas {
			if !l.unread.Swap(true) {
				continue
			}
			delete(p.replicas, id)
			delete(m, l.name)
			p.queue(wire.Req{Op: wire.OpUnwatch, Watch: wire.Uint(id)})
		}
	})
	p.mu.Unlock()
	if conn != nil {
		conn.Kick()
	}
}

// wroteAll notes that this process has written variables.
func (p *Proxy) wroteAll(deltas []dsv.Delta) {
	if p.copies.live.Load() == nil {
		return
	}
	for i := range deltas {
		p.copies.find(deltas[i].Name).wrote()
	}
}
