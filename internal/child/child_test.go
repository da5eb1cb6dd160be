package child_test

import (
	"os/exec"
	"syscall"
	"testing"

	"github.com/eve-emulation/eve/internal/child"
)

func TestExitedLeavesTheProcessToBeReaped(t *testing.T) {
	c := exec.Command("true")
	if err := c.Start(); err != nil {
		t.Skip(err)
	}
	child.Exited(c.Process.Pid)
	if err := syscall.Kill(c.Process.Pid, 0); err != nil {
		t.Errorf("signal to a process that is not reaped: %v, want none", err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("wait after Exited: %v", err)
	}
	child.Exited(c.Process.Pid) // nobody's: returns
}
