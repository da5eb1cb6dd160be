package netpoll

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Reserve makes the process's table of descriptors large enough for n of them, or for as many as it may have, whichever is less. Linux
// doubles that table when it is full, and where a process has threads the one that opened a descriptor, or accepted a connection,
// stands still for some ten milliseconds then, until no other can still look at the old table: a loop that keeps time has that behind
// it before it begins. It may be called at any time, by anyone.
func Reserve(n int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	fd, err := Spare()
	if err != nil {
		return err
	}
	least := min(uint64(max(n, 1)), max(limit.Cur, 1)) - 1
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, int(least))
	if err == nil {
		_ = Close(high)
	}
	_ = Close(fd)
	if errors.Is(err, unix.EMFILE) { // the place is taken, so that the table is large enough
		return nil
	}
	return err
}
