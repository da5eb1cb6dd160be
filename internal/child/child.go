// Package child waits for child processes without reaping them: whoever must signal a process safely has to know that its
// number still belongs to it.
package child

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Exited waits until the child process pid has ended. It leaves the process to be reaped, so its number stays taken until
// then. It returns at once for a process that is no child of this one.
func Exited(pid int) {
	for errors.Is(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
}
