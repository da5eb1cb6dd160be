package netpoll

import (
	"errors"
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An epollSet leaves the interest set to the kernel, which tells what is ready of it without looking at the rest.
type epollSet struct {
	fd     int
	raw    []unix.EpollEvent
	coarse bool // the kernel has no epoll_pwait2: waits are in milliseconds
}

func newEpollSet(batch int) (*epollSet, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &epollSet{fd: fd, raw: make([]unix.EpollEvent, batch)}, nil
}

func (s *epollSet) add(fd int, tag uint64, ev Events) error {
	return s.ctl(unix.EPOLL_CTL_ADD, fd, tag, ev)
}

func (s *epollSet) modify(fd int, tag uint64, ev Events) error {
	return s.ctl(unix.EPOLL_CTL_MOD, fd, tag, ev)
}

func (s *epollSet) remove(fd int) error { return s.ctl(unix.EPOLL_CTL_DEL, fd, 0, 0) }

func (s *epollSet) ctl(op uintptr, fd int, tag uint64, ev Events) error {
	e := unix.EpollEvent{Events: uint32(ev), Fd: int32(uint32(tag)), Pad: int32(uint32(tag >> 32))}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(s.fd), op, uintptr(fd), uintptr(unsafe.Pointer(&e)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// closing does nothing: the kernel forgets a descriptor that is closed.
func (s *epollSet) closing(int) {}

func (s *epollSet) wait(out []Event, timeout int64, light bool) ([]Event, error) {
	n, errno := s.enter(timeout, light)
	switch errno {
	case 0:
	case unix.EINTR:
		return out, nil
	default:
		return out, errno
	}
	for i := range s.raw[:n] {
		e := &s.raw[i]
		out = append(out, Event{Tag: uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32, Events: Events(e.Events)})
	}
	return out, nil
}

func (s *epollSet) enter(timeout int64, light bool) (int, unix.Errno) {
	if timeout == 0 {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(s.fd), uintptr(unsafe.Pointer(&s.raw[0])),
			uintptr(len(s.raw)), 0, 0, 0)
		return int(n), errno
	}
	if s.coarse {
		return s.enterCoarse(timeout)
	}
	var ts unix.Timespec
	if light {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(s.fd), uintptr(unsafe.Pointer(&s.raw[0])),
			uintptr(len(s.raw)), uintptr(unsafe.Pointer(timespec(&ts, timeout))), 0, 0)
		if errno != unix.ENOSYS {
			return int(n), errno
		}
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(s.fd), uintptr(unsafe.Pointer(&s.raw[0])),
		uintptr(len(s.raw)), uintptr(unsafe.Pointer(timespec(&ts, timeout))), 0, 0)
	if errno == unix.ENOSYS {
		s.coarse = true
		return s.enterCoarse(timeout)
	}
	return int(n), errno
}

// enterCoarse serves kernels before 5.11: milliseconds, rounded up so that a wait does not turn into a busy loop.
func (s *epollSet) enterCoarse(timeout int64) (int, unix.Errno) {
	ms := int64(-1)
	if timeout >= 0 {
		ms = min((timeout+999_999)/1_000_000, math.MaxInt32)
	}
	n, err := unix.EpollWait(s.fd, s.raw, int(ms))
	if err == nil {
		return n, 0
	}
	var errno unix.Errno
	errors.As(err, &errno)
	return 0, errno
}

// descriptor is readable while wait would find something.
func (s *epollSet) descriptor() int { return s.fd }

func (s *epollSet) close() error { return unix.Close(s.fd) }
