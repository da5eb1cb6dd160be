package netpoll

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/eve-emulation/eve/internal/mono"
)

// wakeTag is the poller's own; callers must not use it.
const wakeTag = math.MaxUint64

// A Mechanism is the system call by which a Poller waits.
type Mechanism uint8

// The mechanisms. Poll and Select hand their whole interest set to the kernel for every wait, which looks at each descriptor of
// it: a wait costs what is watched, not what is ready. They know no Edge, and report all that is ready at once. Select does
// not tell Err and Hup as such, and nothing of a descriptor that is watched for nothing: a broken connection is readable.
const (
	Epoll  Mechanism = iota // epoll_pwait2(2); the kernel keeps the interest set
	Poll                    // ppoll(2)
	Select                  // pselect6(2), with sets as large as the highest descriptor needs
)

// An interest is a set of descriptors with what to wait for, and a way to wait for it.
type interest interface {
	add(fd int, tag uint64, ev Events) error
	modify(fd int, tag uint64, ev Events) error
	remove(fd int) error
	// closing removes fd, if it is in the set, unless its close does so.
	closing(fd int)
	// wait appends to out what is met within timeout nanoseconds, without end if it is negative. A signal ends it. light asks it to
	// keep from the scheduler.
	wait(out []Event, timeout int64, light bool) ([]Event, error)
	close() error
}

// A Poller waits for conditions of descriptors, for an instant, or for a Wake, whichever comes first.
type Poller struct {
	set   interest // nil once closed
	wake  int
	out   []Event
	spin  int64
	light bool
	cheap bool  // to ask without blocking costs little
	busy  bool  // the last Wait found events, so the next probably will
	quiet int64 // ns of light waits since events were found
	woken atomic.Bool
}

// NewPoller returns a Poller on epoll that reports at most batch events a Wait (256 if batch is not positive).
func NewPoller(batch int) (*Poller, error) { return NewPollerOn(Epoll, batch) }

// NewPollerOn returns a Poller that waits by m. batch is as in NewPoller; but for Epoll it only sizes a buffer.
func NewPollerOn(m Mechanism, batch int) (*Poller, error) {
	if batch <= 0 {
		batch = 256
	}
	p := &Poller{out: make([]Event, 0, batch), cheap: m == Epoll}
	switch m {
	case Epoll:
		set, err := newEpollSet(batch)
		if err != nil {
			return nil, fmt.Errorf("open poller: %w", err)
		}
		p.set = set
	case Poll:
		p.set = new(pollSet)
	case Select:
		p.set = new(selectSet)
	default:
		return nil, fmt.Errorf("open poller: no mechanism %d", m)
	}
	var err error
	if p.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("open poller: %w", errors.Join(err, p.set.close()))
	}
	if err := p.Add(p.wake, wakeTag, In); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// Spin makes Wait poll without sleeping for the last ns nanoseconds before its instant: exact, at the price of the CPU.
// Zero, the default, sleeps all the way.
func (p *Poller) Spin(ns int64) { p.spin = ns }

// lightWait is how long a light wait lasts at most, in ns. The runtime ends it by a signal about then, and it is no nearer than the
// kernel's own tick, so that it costs no setting of a timer.
const lightWait = 10_000_000

// lightQuiet is how long, in ns, a Poller goes on with light waits that find nothing. Each time that the last processor of the runtime falls idle
// and is woken, its monitor looks some sixty times before it has calmed down, which costs as much CPU as dozens of small requests.
const lightQuiet = 1_000_000_000

// Light makes Wait keep from Go's scheduler while there is work, and for a second after: it enters the kernel as if
// it did not block. Leaving and entering the scheduler, and being watched by it meanwhile, costs as much as a small request. In return the thread keeps a
// processor of the runtime (GOMAXPROCS) to itself for up to 10 ms at a time while it sleeps, and stopping the world takes a signal: there must be more of them
// than threads that do so.
func (p *Poller) Light(on bool) { p.light = on }

// Add starts to watch fd for ev; events carry tag, which must not be the highest uint64.
func (p *Poller) Add(fd int, tag uint64, ev Events) error {
	return named("add", fd, p.set.add(fd, tag, ev))
}

// Modify replaces the tag and the conditions of fd.
func (p *Poller) Modify(fd int, tag uint64, ev Events) error {
	return named("modify", fd, p.set.modify(fd, tag, ev))
}

// Delete stops to watch fd.
func (p *Poller) Delete(fd int) error { return named("delete", fd, p.set.remove(fd)) }

// CloseWatched closes fd and stops to watch it, if it is watched. Whoever closes a descriptor of a Poller otherwise must Delete
// it before; on Epoll the close of one that has no duplicate is enough.
func (p *Poller) CloseWatched(fd int) error {
	if p.set != nil {
		p.set.closing(fd)
	}
	return Close(fd)
}

func named(verb string, fd int, err error) error {
	if err != nil {
		return fmt.Errorf("poller %s descriptor %d: %w", verb, fd, err)
	}
	return nil
}

// Descriptor returns a descriptor that is readable while Wait has something to tell, so that a Poller can be watched itself; -1 where the
// mechanism has none.
func (p *Poller) Descriptor() int {
	if s, ok := p.set.(*epollSet); ok {
		return s.descriptor()
	}
	return -1
}

// Wake ends the current Wait, or the next one if none is under way. Any goroutine may call it at any time before Close;
// calls between two Waits count as one.
func (p *Poller) Wake() {
	if p.woken.Swap(true) {
		return
	}
	one := uint64(1) // it can fail only if the counter is full, and then the loop is awake
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(p.wake), uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
}

// Wait returns what happened, at the latest at the instant until: mono.Never waits without end, an instant that has
// passed polls. It returns no events and no error for a wake-up, a signal or the time-out. The slice is valid until the
// next Wait.
func (p *Poller) Wait(until int64) ([]Event, error) {
	light := p.light && p.quiet < lightQuiet
	// While there is work the kernel is asked without blocking first, which spares the scheduler's bookkeeping.
	if p.busy && p.cheap && !light || until <= 0 {
		met, err := p.enter(0, true)
		if len(met) != 0 || err != nil || until <= 0 {
			return p.take(met), err
		}
	}
	for ; ; light = light && p.quiet < lightQuiet {
		timeout, last := int64(-1), true
		if until != mono.Never {
			timeout = until - mono.Now()
			if timeout <= p.spin {
				return p.spinUntil(until)
			}
			timeout, last = timeout-p.spin, p.spin == 0
		}
		if light && (timeout < 0 || timeout > lightWait) {
			timeout, last = lightWait, false
		}
		met, err := p.enter(timeout, light)
		if light {
			p.quiet += timeout // take sets it back if something was found
		}
		if len(met) != 0 || err != nil || last {
			return p.take(met), err
		}
		if p.woken.Load() {
			return p.take(met), nil
		}
	}
}

func (p *Poller) spinUntil(until int64) ([]Event, error) {
	for {
		met, err := p.enter(0, true)
		if len(met) != 0 || err != nil || mono.Now() >= until {
			return p.take(met), err
		}
	}
}

// enter waits once, for at most timeout nanoseconds, without end if it is negative.
func (p *Poller) enter(timeout int64, light bool) ([]Event, error) {
	met, err := p.set.wait(p.out[:0], timeout, light)
	if err != nil {
		return nil, fmt.Errorf("poller wait: %w", err)
	}
	p.out = met // it may have grown
	return met, nil
}

// take notes what a Wait found and swallows the wake-up.
func (p *Poller) take(met []Event) []Event {
	if p.busy = len(met) > 0; p.busy {
		p.quiet = 0
	}
	if !p.busy || !p.woken.Load() {
		return met
	}
	for i := range met {
		if met[i].Tag == wakeTag {
			var n uint64
			_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(p.wake), uintptr(unsafe.Pointer(&n)), unsafe.Sizeof(n))
			p.woken.Store(false) // after the read: a Wake from here on writes again
			return slices.Delete(met, i, i+1)
		}
	}
	return met
}

// timespec returns ts set to a time-out, nil for one without end.
func timespec(ts *unix.Timespec, timeout int64) *unix.Timespec {
	if timeout < 0 {
		return nil
	}
	*ts = unix.NsecToTimespec(timeout)
	return ts
}

// Close frees the poller's descriptors. Nobody may Wake it any more. It may be called twice.
func (p *Poller) Close() error {
	if p.set == nil {
		return nil
	}
	err := errors.Join(unix.Close(p.wake), p.set.close())
	p.set, p.wake = nil, -1
	return err
}
