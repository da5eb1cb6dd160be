// Package child waits for child processes without reaping them: whoever must signal a process safely has to know that its
// number still belongs to it.
package child

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Exited waits until the child process pid has ended. It leaves the process to be reaped, so its number stays taken until
// then. It returns at once for a process that is no child of this one.
func Exited(pid int) {
	for errors.Is(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
}

// Subreaper makes this process the parent of all that loses its own and descends from it, instead of process 1.
func Subreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the parent of orphans: %w", err)
	}
	return nil
}

// Any waits until some child of this process has ended, and leaves it to be reaped. It returns false once there are no
// children.
func Any() bool {
	for {
		err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}
