package netpoll

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/eve-emulation/eve/internal/mono"
)

// wakeTag is the poller's own; callers must not use it.
const wakeTag = math.MaxUint64

// A Poller waits for conditions of descriptors, for an instant, or for a Wake, whichever comes first.
type Poller struct {
	fd, wake int
	raw      []unix.EpollEvent
	out      []Event
	spin     int64
	busy     bool // the last Wait found events, so the next probably will
	coarse   bool // the kernel has no epoll_pwait2: waits are in milliseconds
	woken    atomic.Bool
}

// NewPoller returns a Poller that reports at most batch events a Wait (256 if batch is not positive).
func NewPoller(batch int) (*Poller, error) {
	if batch <= 0 {
		batch = 256
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open poller: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("open poller: %w", err)
	}
	p := &Poller{fd: fd, wake: wake, raw: make([]unix.EpollEvent, batch), out: make([]Event, 0, batch)}
	if err := p.Add(wake, wakeTag, In); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// Spin makes Wait poll without sleeping for the last ns nanoseconds before its instant: exact, at the price of the CPU.
// Zero, the default, sleeps all the way.
func (p *Poller) Spin(ns int64) { p.spin = ns }

// Add starts to watch fd for ev; events carry tag, which must not be the highest uint64.
func (p *Poller) Add(fd int, tag uint64, ev Events) error {
	return p.ctl(unix.EPOLL_CTL_ADD, "add", fd, tag, ev)
}

// Modify replaces the tag and the conditions of fd.
func (p *Poller) Modify(fd int, tag uint64, ev Events) error {
	return p.ctl(unix.EPOLL_CTL_MOD, "modify", fd, tag, ev)
}

// Delete stops to watch fd. Closing a descriptor that has no duplicate does so too.
func (p *Poller) Delete(fd int) error {
	return p.ctl(unix.EPOLL_CTL_DEL, "delete", fd, 0, 0)
}

func (p *Poller) ctl(op uintptr, verb string, fd int, tag uint64, ev Events) error {
	e := unix.EpollEvent{Events: uint32(ev), Fd: int32(uint32(tag)), Pad: int32(uint32(tag >> 32))}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), op, uintptr(fd), uintptr(unsafe.Pointer(&e)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("poller %s descriptor %d: %w", verb, fd, errno)
	}
	return nil
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
	// While there is work the kernel is asked without blocking first, which spares the scheduler's bookkeeping.
	if p.busy || until <= 0 {
		n, err := p.poll()
		if n != 0 || err != nil || until <= 0 {
			return p.take(n), err
		}
	}
	for {
		timeout := int64(-1)
		if until != mono.Never {
			timeout = until - mono.Now()
			if timeout <= p.spin {
				return p.spinUntil(until)
			}
			timeout -= p.spin
		}
		n, err := p.sleep(timeout)
		if n != 0 || err != nil || p.spin == 0 || until == mono.Never {
			return p.take(n), err
		}
		if p.woken.Load() {
			return p.take(0), nil
		}
	}
}

func (p *Poller) spinUntil(until int64) ([]Event, error) {
	for {
		n, err := p.poll()
		if n != 0 || err != nil || mono.Now() >= until {
			return p.take(n), err
		}
	}
}

// poll asks without blocking.
func (p *Poller) poll() (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.raw[0])),
		uintptr(len(p.raw)), 0, 0, 0)
	return count(n, errno)
}

// sleep blocks for at most timeout nanoseconds, without end if it is negative.
func (p *Poller) sleep(timeout int64) (int, error) {
	if p.coarse {
		return p.sleepCoarse(timeout)
	}
	var spec *unix.Timespec
	var ts unix.Timespec
	if timeout >= 0 {
		ts = unix.NsecToTimespec(timeout)
		spec = &ts
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.raw[0])),
		uintptr(len(p.raw)), uintptr(unsafe.Pointer(spec)), 0, 0)
	if errno == unix.ENOSYS {
		p.coarse = true
		return p.sleepCoarse(timeout)
	}
	return count(n, errno)
}

// sleepCoarse serves kernels before 5.11: milliseconds, rounded up so that a wait does not turn into a busy loop.
func (p *Poller) sleepCoarse(timeout int64) (int, error) {
	ms := int64(-1)
	if timeout >= 0 {
		ms = min((timeout+999_999)/1_000_000, math.MaxInt32)
	}
	n, err := unix.EpollWait(p.fd, p.raw, int(ms))
	if err == nil {
		return n, nil
	}
	var errno unix.Errno
	errors.As(err, &errno)
	return count(0, errno)
}

func count(n uintptr, errno unix.Errno) (int, error) {
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	default:
		return 0, fmt.Errorf("poller wait: %w", errno)
	}
}

// take turns the first n raw events into events and swallows the wake-up.
func (p *Poller) take(n int) []Event {
	p.busy = n > 0
	p.out = p.out[:0]
	for i := range p.raw[:n] {
		e := &p.raw[i]
		tag := uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
		if tag == wakeTag {
			var b [8]byte
			_, _ = Read(p.wake, b[:])
			p.woken.Store(false) // after the read: a Wake from here on writes again
			continue
		}
		p.out = append(p.out, Event{Tag: tag, Events: Events(e.Events)})
	}
	return p.out
}

// Close frees the poller's descriptors. Nobody may Wake it any more. It may be called twice.
func (p *Poller) Close() error {
	if p.fd < 0 {
		return nil
	}
	err := errors.Join(unix.Close(p.wake), unix.Close(p.fd))
	p.fd, p.wake = -1, -1
	return err
}
