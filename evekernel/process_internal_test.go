package evekernel

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestReapedIsNotSignalled checks that nobody else is hit when the number of a process that has ended is given again.
func TestReapedIsNotSignalled(t *testing.T) {
	start := func(argv ...string) *process {
		far, life, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return &process{cmd: cmd, life: life}
	}
	ended, other := start("true"), start("sleep", "1000")
	if err := ended.wait(); err != nil {
		t.Fatal(err)
	}
	ended.cmd.Process.Pid = other.pid() // as the kernel of the host may do
	ended.kill()
	ended.term()
	ended.cmd.Process.Pid = -1
	other.term()
	if err := other.wait(); err == nil || err.Error() != "was killed by signal 15 (terminated)" {
		t.Errorf("the other process: %v, want the end that it was told", err)
	}
}
