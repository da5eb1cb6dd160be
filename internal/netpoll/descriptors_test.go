package netpoll_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/eve-emulation/eve/internal/netpoll"
)

// tableSize is for how many descriptors the process's table is made (FDSize of proc_pid_status(5)).
func tableSize(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "FDSize:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(rest))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no FDSize")
	return 0
}

func TestReserve(t *testing.T) {
	fd, err := netpoll.Spare()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = netpoll.Close(fd) }()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if old.Cur < 2048 {
		t.Skipf("%d descriptors", old.Cur)
	}
	limit := func(n uint64) {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
	}
	defer limit(old.Cur)
	before := open(t)
	limit(1500)
	for _, test := range []struct{ n, least int }{
		{-1, 0}, {0, 0}, {fd, 0}, {fd + 1, 0}, // places that may be taken
		{1000, 1000}, {1 << 20, 1500}, {1 << 20, 1500}, // as far as the limit
	} {
		if err := netpoll.Reserve(test.n); err != nil {
			t.Errorf("%d: %v", test.n, err)
		}
		if got := tableSize(t); got < test.least { // it never shrinks
			t.Errorf("%d: got a table of %d, want one of %d", test.n, got, test.least)
		}
	}
	if after := open(t); after != before {
		t.Errorf("descriptors that are open: got %s, want those of before, %s", after, before)
	}
	limit(uint64(fd)) // no further descriptor
	if err := netpoll.Reserve(10); !netpoll.Exhausted(err) {
		t.Errorf("no descriptor left: got %v", err)
	}
}

// open lists the descriptors that are open, but for that of the list itself.
func open(t *testing.T) string {
	t.Helper()
	var fds []string
	for fd := range 2048 {
		if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0); errno == 0 {
			fds = append(fds, strconv.Itoa(fd))
		}
	}
	return fmt.Sprint(fds)
}
