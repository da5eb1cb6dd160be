package burn_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/burn"
)

// A process with a quota has no more CPU time than that allows, however many threads it has; without one it has again what it
// takes. On a busy machine it may have less.
func TestQuota(t *testing.T) {
	const cpus = 0.4
	q, err := burn.LimitCPU(cpus)
	if err != nil {
		if !strings.Contains(err.Error(), "limit the process to 0.4 processors: ") {
			t.Errorf("the error does not say what was done: %v", err)
		}
		t.Skipf("this kernel lets nobody limit processes here: %v", err)
	}
	defer q.Release()
	var wg sync.WaitGroup
	var mu sync.Mutex
	used, start := int64(0), time.Now()
	for range 2 {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			b, err := burn.New(burn.Config{})
			if err != nil {
				t.Error(err)
				return
			}
			n := int64(0)
			for time.Since(start) < time.Second {
				n += b.CPU(5e6)
			}
			mu.Lock()
			used += n
			mu.Unlock()
		})
	}
	wg.Wait()
	share := float64(used) / float64(time.Since(start))
	throttled, err := q.Throttled()
	t.Logf("two threads had %.3f processors with a quota of %v, and were stopped %d times", share, cpus, throttled)
	// A period's quota at either end, and slices of the scheduler.
	if share > cpus*1.3+0.1 {
		t.Errorf("got %.3f processors with a quota of %v", share, cpus)
	}
	if err != nil || throttled == 0 && share > cpus {
		t.Errorf("stopped %d times, %v", throttled, err)
	}
	for range 2 {
		if err := q.Release(); err != nil {
			t.Error(err)
		}
	}
}

// system writes what /proc tells of a process in a group.
func system(t *testing.T, mountinfo, cgroup string) string {
	t.Helper()
	proc := t.TempDir()
	if err := os.Mkdir(filepath.Join(proc, "self"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"mountinfo": mountinfo, "cgroup": cgroup} {
		if err := os.WriteFile(filepath.Join(proc, "self", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return proc
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Where there is nobody to see to a quota the error says why.
func TestQuotaRefused(t *testing.T) {
	root := t.TempDir()
	mount := "30 20 0:25 / " + root + " rw shared:4 - cgroup2 cgroup2 rw\n"
	write(t, filepath.Join(root, "a"), map[string]string{"cgroup.controllers": "memory pids\n", "cgroup.subtree_control": ""})
	write(t, filepath.Join(root, "a/b"), map[string]string{"cgroup.controllers": "memory\n"})
	for _, tt := range []struct{ name, mountinfo, cgroup, want string }{
		{"no groups", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", "0::/\n", "no control groups"},
		{"no cpu controller", mount, "0::/a/b\n", "has no cpu controller"},
		{"another hierarchy", "31 20 0:26 / " + root + " rw - cgroup cgroup rw,memory\n", "4:memory:/a\n", "no control groups"},
	} {
		_, err := burn.LimitCPUAt(system(t, tt.mountinfo, tt.cgroup), 0.5)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	if _, err := burn.LimitCPUAt(t.TempDir(), 0.5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without /proc: got %v", err)
	}
}

// What was left by processes that were killed goes; what somebody else calls alike stays.
func TestQuotaSweeps(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"cgroup.controllers": "cpu\n", "cgroup.subtree_control": ""})
	for _, dir := range []string{"eve-2147483646", "eve-online"} {
		write(t, filepath.Join(root, dir), nil)
	}
	_, err := burn.LimitCPUAt(system(t, "30 20 0:25 / "+root+" rw shared:4 - cgroup2 cgroup2 rw\n", "0::/\n"), 0.5)
	if err == nil { // a plain folder has no cpu.max
		t.Error("got no error")
	}
	if _, err := os.Stat(filepath.Join(root, "eve-2147483646")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the group of a process that has gone: got %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "eve-online")); err != nil {
		t.Errorf("somebody else's group: got %v", err)
	}
}
