package netpoll

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// A pollSet is an interest set that every wait hands to the kernel whole, by poll(2).
type pollSet struct {
	fds  []unix.PollFd
	tags []uint64 // of fds
	at   []int32  // for each descriptor 1 + its index in fds, 0 if it is not there
}

func (s *pollSet) index(fd int) int {
	if fd < 0 || fd >= len(s.at) {
		return -1
	}
	return int(s.at[fd]) - 1
}

func (s *pollSet) add(fd int, tag uint64, ev Events) error {
	switch {
	case fd < 0:
		return unix.EBADF
	case ev&Edge != 0:
		return unix.EINVAL
	case s.index(fd) >= 0:
		return unix.EEXIST
	}
	if fd >= len(s.at) {
		s.at = append(s.at, make([]int32, fd+1-len(s.at))...)
	}
	s.fds = append(s.fds, unix.PollFd{Fd: int32(fd), Events: int16(ev)})
	s.tags = append(s.tags, tag)
	s.at[fd] = int32(len(s.fds))
	return nil
}

func (s *pollSet) modify(fd int, tag uint64, ev Events) error {
	i := s.index(fd)
	switch {
	case i < 0:
		return unix.ENOENT
	case ev&Edge != 0:
		return unix.EINVAL
	}
	s.fds[i].Events, s.tags[i] = int16(ev), tag
	return nil
}

// remove moves the last descriptor to the place of fd.
func (s *pollSet) remove(fd int) error {
	i := s.index(fd)
	if i < 0 {
		return unix.ENOENT
	}
	end := len(s.fds) - 1
	s.fds[i], s.tags[i] = s.fds[end], s.tags[end]
	s.at[s.fds[i].Fd] = int32(i + 1)
	s.at[fd] = 0
	s.fds, s.tags = s.fds[:end], s.tags[:end]
	return nil
}

func (s *pollSet) closing(fd int) { _ = s.remove(fd) }

func (s *pollSet) wait(out []Event, timeout int64, _ bool) ([]Event, error) {
	var ts unix.Timespec
	n, _, errno := unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(s.fds))), uintptr(len(s.fds)),
		uintptr(unsafe.Pointer(timespec(&ts, timeout))), 0, 0, 0)
	switch errno {
	case 0:
	case unix.EINTR:
		return out, nil
	default:
		return out, errno
	}
	left := int(n)
	for i := 0; left > 0 && i < len(s.fds); i++ {
		if met := s.fds[i].Revents; met != 0 {
			left--
			out = append(out, Event{Tag: s.tags[i], Events: Events(uint16(met))})
		}
	}
	return out, nil
}

func (s *pollSet) close() error { return nil }
