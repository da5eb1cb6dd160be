package netpoll

import (
	"math/bits"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A selectSet is an interest set that every wait hands to the kernel whole, by select(2): a bit for each descriptor up to the
// highest. The limit of 1024 descriptors is the C library's; the kernel takes as many as a process may have.
type selectSet struct {
	known         bitmap
	in, out       bitmap   // what to wait for
	inMet, outMet bitmap   // the copies that the kernel overwrites
	tags          []uint64 // by descriptor
	n             int      // one more than the highest descriptor
}

// A bitmap is an fd_set of any size.
type bitmap []uint64

const wordBits = 64

func (b bitmap) has(i int) bool { return i>>6 < len(b) && b[i>>6]&(1<<(i&63)) != 0 }

func (b bitmap) set(i int, on bool) {
	if on {
		b[i>>6] |= 1 << (i & 63)
	} else {
		b[i>>6] &^= 1 << (i & 63)
	}
}

func (s *selectSet) add(fd int, tag uint64, ev Events) error {
	switch {
	case fd < 0:
		return unix.EBADF
	case ev&Edge != 0:
		return unix.EINVAL
	case s.known.has(fd):
		return unix.EEXIST
	}
	s.grow(fd)
	s.n = max(s.n, fd+1)
	s.known.set(fd, true)
	return s.modify(fd, tag, ev)
}

// grow makes room for the bits and the tag of fd.
func (s *selectSet) grow(fd int) {
	if more := fd>>6 + 1 - len(s.known); more > 0 {
		for _, b := range []*bitmap{&s.known, &s.in, &s.out, &s.inMet, &s.outMet} {
			*b = append(*b, make(bitmap, more)...)
		}
	}
	if more := fd + 1 - len(s.tags); more > 0 {
		s.tags = append(s.tags, make([]uint64, more)...)
	}
}

func (s *selectSet) modify(fd int, tag uint64, ev Events) error {
	switch {
	case fd < 0 || !s.known.has(fd):
		return unix.ENOENT
	case ev&Edge != 0:
		return unix.EINVAL
	}
	s.tags[fd] = tag
	s.in.set(fd, ev&(In|RdHup) != 0)
	s.out.set(fd, ev&Out != 0)
	return nil
}

func (s *selectSet) remove(fd int) error {
	if fd < 0 || !s.known.has(fd) {
		return unix.ENOENT
	}
	for _, b := range []bitmap{s.known, s.in, s.out} {
		b.set(fd, false)
	}
	for w := (s.n - 1) >> 6; fd == s.n-1 && w >= 0; w-- {
		if word := s.known[w]; word != 0 {
			s.n = w*wordBits + bits.Len64(word)
			return nil
		}
		if w == 0 {
			s.n = 0
		}
	}
	return nil
}

func (s *selectSet) closing(fd int) { _ = s.remove(fd) }

func (s *selectSet) wait(out []Event, timeout int64, _ bool) ([]Event, error) {
	words := (s.n + wordBits - 1) / wordBits
	copy(s.inMet[:words], s.in)
	copy(s.outMet[:words], s.out)
	var ts unix.Timespec
	_, _, errno := unix.Syscall6(unix.SYS_PSELECT6, uintptr(s.n), uintptr(unsafe.Pointer(unsafe.SliceData(s.inMet))),
		uintptr(unsafe.Pointer(unsafe.SliceData(s.outMet))), 0, uintptr(unsafe.Pointer(timespec(&ts, timeout))), 0)
	switch errno {
	case 0:
	case unix.EINTR:
		return out, nil
	default:
		return out, errno
	}
	for w := range words {
		in, outs := s.inMet[w], s.outMet[w]
		for met := in | outs; met != 0; met &= met - 1 {
			bit := bits.TrailingZeros64(met)
			ev := Events(0)
			if in>>bit&1 != 0 {
				ev |= In
			}
			if outs>>bit&1 != 0 {
				ev |= Out
			}
			out = append(out, Event{Tag: s.tags[w*wordBits+bit], Events: ev})
		}
	}
	return out, nil
}

func (s *selectSet) close() error { return nil }
