package netpoll

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/eve-emulation/eve/internal/mono"
)

// Light is that of a Poller.
func (r *Ring) Light(on bool) { r.light = on }

// Spin makes Wait poll without sleeping for the last ns nanoseconds before its instant: exact, at the price of the CPU.
// Zero, the default, sleeps all the way.
func (r *Ring) Spin(ns int64) { r.spin = ns }

// Wait submits what is queued and waits for completions, at the latest until the instant until: mono.Never waits without end,
// an instant that has passed polls. It reports whether Dispatch has anything to do; it has not after a wake-up, a signal or the time-out.
func (r *Ring) Wait(until int64) (bool, error) {
	found, err := r.wait(until)
	if found || r.awake {
		r.quiet = 0
	}
	if err == nil {
		err = r.err
	}
	return found, err
}

func (r *Ring) wait(until int64) (bool, error) {
	if r.pending() || until <= 0 {
		err := r.enter(0, 0)
		return r.harvest(&err), err
	}
	for light := r.light && r.quiet < lightQuiet; ; light = light && r.quiet < lightQuiet {
		end, last := until, true
		if light || r.spin > 0 && until != mono.Never {
			now := mono.Now()
			if until-now <= r.spin {
				return r.spinUntil(until)
			}
			if until != mono.Never {
				end, last = until-r.spin, r.spin == 0
			}
			if light && end-now > lightWait {
				end, last = now+lightWait, false
			}
			if light {
				r.quiet += end - now
			}
		}
		err := r.enterUntil(end, light)
		if r.harvest(&err) || err != nil || last || r.awake {
			return r.pending(), err
		}
	}
}

func (r *Ring) spinUntil(until int64) (bool, error) {
	for {
		err := r.enter(0, 0)
		if r.harvest(&err) || err != nil || r.awake || mono.Now() >= until {
			return r.pending(), err
		}
	}
}

// enterUntil submits and waits for one completion until an instant. light keeps it from the scheduler.
func (r *Ring) enterUntil(end int64, light bool) error {
	r.header.arg.ts = 0
	if end != mono.Never {
		if !r.absolute {
			end = max(end-mono.Now(), 0)
		}
		r.header.ts = unix.NsecToTimespec(end)
		r.header.arg.ts = uint64(uintptr(unsafe.Pointer(&r.header.ts)))
	}
	n := r.publish()
	var errno unix.Errno
	if light {
		_, _, errno = unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFd), uintptr(n), 1, r.enterOpt,
			uintptr(unsafe.Pointer(&r.header.arg)), unsafe.Sizeof(waitArg{}))
	} else {
		_, _, errno = unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFd), uintptr(n), 1, r.enterOpt,
			uintptr(unsafe.Pointer(&r.header.arg)), unsafe.Sizeof(waitArg{}))
	}
	return entered(errno)
}

// enter submits, has the kernel finish what it can and returns at once, or after timeout nanoseconds without one of min completions.
func (r *Ring) enter(least uint32, timeout int64) error {
	if least > 0 {
		return r.enterUntil(mono.Now()+timeout, true)
	}
	n := r.publish()
	r.header.arg.ts = 0
	_, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFd), uintptr(n), 0, r.enterOpt,
		uintptr(unsafe.Pointer(&r.header.arg)), unsafe.Sizeof(waitArg{}))
	return entered(errno)
}

// entered tells what is an error from what is a reason to look again: a signal, the time-out, or a kernel that is short of memory or
// has more completions than room, and takes the rest of the submissions when asked again.
func entered(errno unix.Errno) error {
	switch errno {
	case 0, unix.EINTR, unix.ETIME, unix.EAGAIN, unix.EBUSY:
		return nil
	default:
		return fmt.Errorf("ring wait: %w", errno)
	}
}

// publish shows the kernel what is queued and returns how much that is.
func (r *Ring) publish() uint32 {
	atomic.StoreUint32(r.sq.tail, r.sq.next)
	return r.queued()
}

// submit has the kernel take what is queued, without looking for completions.
func (r *Ring) submit() {
	for range 1000 {
		if r.err = r.enter(0, 0); r.err != nil || r.queued() == 0 {
			return
		}
	}
	r.err = fmt.Errorf("ring submit: the kernel takes no more: %w", unix.EAGAIN)
}

// pending reports whether Dispatch has anything to do.
func (r *Ring) pending() bool { return r.found > 0 }

// harvest takes over what the kernel has reported, and reports whether Dispatch has anything to do. What there was no place for in the
// ring is asked for until there is no more of it: Unsent must know of all that was not sent. What goes wrong with that is joined to err.
func (r *Ring) harvest(err *error) bool {
	r.awake = false
	for range 1000 { // a kernel that is short of memory may need to be asked again
		taken := atomic.LoadUint32(r.sq.head)
		head, tail := *r.cq.head, atomic.LoadUint32(r.cq.tail)
		for ; head != tail; head++ {
			r.complete(&r.cq.entries[head&r.cq.mask])
		}
		atomic.StoreUint32(r.cq.head, head)
		whole := atomic.LoadUint32(r.sq.flags)&sqOverflow == 0
		r.arena.done = int32(taken-r.arena.mark) >= 0 && whole
		if whole || *err != nil {
			return r.pending()
		}
		*err = r.enter(0, 0)
	}
	return r.pending()
}

// complete sorts one completion.
func (r *Ring) complete(e *cqe) {
	c := Completion{N: int(e.res), More: e.flags&cqeMore != 0, op: uint8(e.userData >> opShift)}
	tag := e.userData & (1<<opShift - 1)
	if e.res < 0 {
		c.N, c.Err = 0, syscall.Errno(-e.res)
	}
	switch c.op {
	case opCancel:
		return
	case opWake:
		r.inflight--
		r.awake = true
		r.woken.Store(false) // after the read: a Wake from here on writes again
		if !r.closing {
			r.listenWake()
		}
		return
	case opSend:
		s := r.arena.sent[tag]
		c.Data, tag = r.arena.mem[s.off+c.N:s.to], s.tag
		if c.Err == unix.EAGAIN {
			c.Err = 0
		}
		c.ID, c.event = tag&MaxID, RingEvent(tag>>eventShift)
		r.short = append(r.short, c)
		r.found++
		return
	case opWhole:
		tag = binary.NativeEndian.Uint64(r.blocks.at(uint32(tag)))
		r.blocks.put(uint32(e.userData))
	case opReceive:
		if e.flags&cqeBuffer != 0 {
			c.Data = r.receive.take(c.N, e.flags)
		}
	}
	if !c.More {
		r.inflight--
	}
	c.ID, c.event = tag&MaxID, RingEvent(tag>>eventShift)
	p := r.handlers[c.event].priority
	r.ready[p] = append(r.ready[p], c)
	r.found++
}

// Unsent hands over what Send could not send. Handlers must not Send from within it.
func (r *Ring) Unsent() {
	for i := range r.short {
		c := &r.short[i]
		r.handlers[c.event].fn(c)
	}
	r.found -= len(r.short)
	r.short = r.short[:0]
	r.arena.old = r.arena.done
}

// Peek shows a function what Dispatch is to hand to the handler of an event.
func (r *Ring) Peek(event RingEvent, fn func(c *Completion)) {
	q := r.ready[r.handlers[event].priority]
	for i := range q {
		if q[i].event == event {
			fn(&q[i])
		}
	}
}

// Dispatch hands what Wait found to the handlers of its events: first what is Unsent, then by priority. What a completion brought
// is given back afterwards.
func (r *Ring) Dispatch() {
	r.Unsent()
	for p := range r.ready {
		q := r.ready[p]
		for i := range q {
			r.handlers[q[i].event].fn(&q[i])
		}
		r.ready[p] = q[:0]
	}
	r.found = 0
	r.receive.recycle()
}
