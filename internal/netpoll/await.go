package netpoll

import (
	"golang.org/x/sys/unix"

	"github.com/eve-emulation/eve/internal/mono"
)

// Await blocks the calling thread until fd meets ev or the instant until has come, which it reports as false. It is for threads that
// serve one connection at a time. An error or the end of the connection counts as met.
func Await(fd int, ev Events, until int64) (bool, error) {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: int16(ev & (In | Out | RdHup))}}
	for {
		var ts unix.Timespec
		timeout := int64(-1)
		if until != mono.Never {
			timeout = max(until-mono.Now(), 0)
		}
		n, err := unix.Ppoll(fds[:], timespec(&ts, timeout), nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return false, err
		default:
			return n > 0, nil
		}
	}
}
