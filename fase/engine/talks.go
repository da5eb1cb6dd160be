package engine

import (
	"sync"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
)

// talks is what the engines share whose threads serve connections. It is guarded by the handler's lock but for what is said to be the
// keeper's.
type talks struct {
	s     *shared
	by    attendant
	wg    sync.WaitGroup // threads
	sweep int64          // the keeper's: when it looks for those whose time is over

	limit    int // of connections; 0 is as many as there are slots
	slots    []slot
	free     []uint32
	draining bool
	stopped  bool
}

// A slot holds a connection, and what goes on when another takes its place: the numbers by which late events and stale Refs are told.
type slot struct {
	t      *talk
	gen    uint32
	serial uint64
}

// An attendant is what tells these engines apart.
type attendant interface {
	// await blocks the thread of t until its socket takes bytes.
	await(t *talk) bool
	// do does work on the thread of t; the lock is not held.
	do(t *talk, fn func(*Thread))
	// rejects reports whether t is served only to be told that there is no place for it.
	rejects(t *talk) bool
	// rouse has the thread of t, or one, look after it: at its todo, late, gone or draining. Under the lock.
	rouse(t *talk)
	// other does work of a connection that is gone. Under the lock.
	other(fn func(*Thread))
}

func (ts *talks) await(t *talk) bool           { return ts.by.await(t) }
func (ts *talks) do(t *talk, fn func(*Thread)) { ts.by.do(t, fn) }
func (ts *talks) rejects(t *talk) bool         { return ts.by.rejects(t) }

// open enters a new connection; nil if there is no slot. The keeper calls it.
func (ts *talks) open(fd int) *talk {
	s := ts.s
	t := &talk{ts: ts, fd: fd, wake: make(chan struct{}, 1)}
	s.enter()
	defer s.leave()
	if ts.limit > 0 && len(ts.slots)-len(ts.free) >= ts.limit {
		return nil
	}
	if len(ts.free) == 0 {
		if len(ts.slots) == maxSlots {
			return nil
		}
		ts.free = append(ts.free, uint32(len(ts.slots)))
		ts.slots = append(ts.slots, slot{})
	}
	t.slot = ts.free[len(ts.free)-1]
	ts.free = ts.free[:len(ts.free)-1]
	at := &ts.slots[t.slot]
	at.gen = (at.gen + 1) & tagGenMask
	at.t, t.gen, t.serial, t.first = t, at.gen, at.serial, at.serial
	t.rest()
	s.open.Add(1)
	s.keeper.count.Accepted++
	if ts.sweep == mono.Never {
		ts.sweep = s.keeper.now + ts.period()
	}
	return t
}

// shut ends a connection that nobody serves any more, and does what is left to do for it. The thread that served it calls it.
func (ts *talks) shut(t *talk) {
	s := ts.s
	s.enter()
	for len(t.todo) > 0 && t.th != nil {
		t.work()
	}
	at := &ts.slots[t.slot]
	at.t, at.serial = nil, t.serial
	for _, fn := range t.todo {
		ts.by.other(fn)
	}
	s.leave()
	t.close()
	s.enter()
	ts.free = append(ts.free, t.slot)
	s.leave()
	if !t.left {
		s.left()
	}
}

// find returns the connection of ref, if ref is its latest request, and whether that is still to be answered.
func (ts *talks) find(ref Ref) (t *talk, due bool) {
	if int(ref.slot()) >= len(ts.slots) {
		return nil, false
	}
	t = ts.slots[ref.slot()].t
	if t == nil || t.serial == t.first || ref.serial() != (t.serial-1)&serialMask {
		return nil, false
	}
	return t, len(t.x.pending) > 0
}

func (ts *talks) respond(ref Ref, res *Response) bool {
	t, due := ts.find(ref)
	if !due {
		return false
	}
	if _, closing := ts.s.keeper.answer(&t.x, &t.x.pending[0], res); closing {
		t.last = true
	}
	t.x.pending = t.x.pending[:0]
	ts.s.tally.responses.Add(1)
	t.signal()
	return true
}

func (ts *talks) work(ref Ref, _ WorkKind, fn func(*Thread)) bool {
	if ts.stopped {
		return false
	}
	t, _ := ts.find(ref)
	if t == nil {
		ts.by.other(fn)
		return true
	}
	t.todo = append(t.todo, fn)
	ts.stir(t)
	return true
}

// stir has whoever serves t look at it again, under the lock.
func (ts *talks) stir(t *talk) {
	if t.phase == handling {
		t.signal() // a thread that is not parked looks before it goes on
		return
	}
	ts.by.rouse(t)
}

// tell tells the handler that the peer of t has gone, under the lock.
func (ts *talks) tell(t *talk) {
	if len(t.x.pending) > 0 && !t.told {
		t.told = true
		ts.s.handler.Closed(ts.s, makeRef(0, t.slot, t.serial-1))
	}
}

// period is how often connections are looked at whose time may be over, in ns: a fourth of the shortest time-out, so that they end
// at most a fourth late.
func (ts *talks) period() int64 {
	c := &ts.s.cfg
	least := min(c.IdleTimeout, c.HeadTimeout, c.SendTimeout, lingerTime)
	return int64(min(max(least/4, time.Millisecond), time.Second))
}

func (ts *talks) next() int64 { return ts.sweep }

func (ts *talks) expire(now int64) {
	if now < ts.sweep {
		return
	}
	s := ts.s
	s.enter()
	ts.sweep = mono.Never
	for i := range ts.slots {
		t := ts.slots[i].t
		if t == nil {
			continue
		}
		ts.sweep = now + ts.period()
		if t.due > now {
			continue
		}
		t.due, t.late = mono.Never, true
		if t.phase != lingering {
			s.tally.timedOut.Add(1)
		}
		ts.by.rouse(t)
	}
	s.leave()
}

func (ts *talks) drain() {
	ts.s.enter()
	defer ts.s.leave()
	ts.draining = true
	for i := range ts.slots {
		if t := ts.slots[i].t; t != nil && t.phase == between {
			ts.by.rouse(t)
		}
	}
}

// breakAll has every connection end at once.
func (ts *talks) breakAll() {
	ts.s.enter()
	defer ts.s.leave()
	ts.stopped = true
	for i := range ts.slots {
		if t := ts.slots[i].t; t != nil {
			t.gone = true
			ts.tell(t)
			t.signal()
			ts.by.rouse(t)
		}
	}
}
