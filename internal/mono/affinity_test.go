package mono_test

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/internal/mono"
)

func TestConfine(t *testing.T) {
	all, err := mono.Processors()
	if err != nil || len(all) == 0 || !slices.IsSorted(all) {
		t.Fatalf("processors: got %v, %v", all, err)
	}
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	}()
	last := all[len(all)-1]
	if err := mono.Confine(other.Process.Pid, last); err != nil {
		t.Fatal(err)
	}
	if got := allowed(t, other.Process.Pid); got != strconv.Itoa(last) {
		t.Errorf("another process: may run on %s, want %d", got, last)
	}
	if err := mono.Confine(other.Process.Pid, 4000); err == nil {
		t.Error("confine to processor 4000: got no error")
	}
	if err := mono.Confine(os.Getpid(), last); err != nil {
		t.Fatal(err)
	}
	if got, _ := mono.Processors(); !slices.Equal(got, []int{last}) {
		t.Errorf("this process: got %v, want %d alone", got, last)
	}
	if err := mono.Confine(os.Getpid(), all...); err != nil {
		t.Fatal(err)
	}
	if got, _ := mono.Processors(); !slices.Equal(got, all) {
		t.Errorf("let go again: got %v, want %v", got, all)
	}
	if err := mono.Confine(1<<30, last); err == nil {
		t.Error("confine no process: got no error")
	}
}

// allowed is the list of processors that the kernel tells of a process.
func allowed(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Fatal("no list of processors")
	return ""
}
