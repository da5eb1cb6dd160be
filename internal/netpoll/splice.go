package netpoll

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// A Pipe is what [Splice] moves bytes through. It belongs to one goroutine.
type Pipe struct {
	r, w  int
	size  int
	slots int
}

// NewPipe opens a pipe of at least size bytes, as far as the kernel grants them: a pipe that stays smaller is no error. It
// takes two descriptors.
func NewPipe(size int) (*Pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	p := &Pipe{r: fds[0], w: fds[1]}
	var err error
	if p.size, err = unix.FcntlInt(uintptr(p.w), unix.F_SETPIPE_SZ, size); err != nil {
		// A user has so many pages in pipes: past that they are small and stay so.
		if p.size, err = unix.FcntlInt(uintptr(p.w), unix.F_GETPIPE_SZ, 0); err != nil {
			_ = p.Close()
			return nil, err
		}
	}
	p.slots = p.size / os.Getpagesize()
	return p, nil
}

// Slots is how many pieces fit in, each of at least one byte: a pipe that was Filled with fewer bytes had room for more.
func (p *Pipe) Slots() int { return p.slots }

// Size is how many bytes fit in.
func (p *Pipe) Size() int { return p.size }

// Fill moves at most n bytes from a socket into the pipe, which must be empty, without copying them where the kernel can.
// io.EOF is the end of the stream, ErrAgain that nothing has come.
func (p *Pipe) Fill(fd, n int) (int, error) {
	moved, err := splice(fd, p.w, n)
	if err == nil && moved == 0 {
		return 0, io.EOF
	}
	return moved, err
}

// Drain moves at most n bytes of those in the pipe to a socket. ErrAgain is that it takes none now.
func (p *Pipe) Drain(fd, n int) (int, error) { return splice(p.r, fd, n) }

// Close closes the pipe; what is in it is lost.
func (p *Pipe) Close() error {
	err := Close(p.w)
	if e := Close(p.r); e != nil {
		err = e
	}
	return err
}

// splice moves bytes between a socket and a pipe. A broken connection raises SIGPIPE, which the runtime ignores but for the
// standard descriptors.
func splice(from, to, n int) (int, error) {
	for {
		moved, _, errno := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n),
			unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		switch errno {
		case 0:
			return int(moved), nil
		case unix.EAGAIN:
			return 0, ErrAgain
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
