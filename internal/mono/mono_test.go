package mono_test

import (
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eve-emulation/eve/internal/mono"
)

// TestNow brackets Now between two readings of the kernel's clock.
func TestNow(t *testing.T) {
	kernel := func() int64 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			t.Fatal(err)
		}
		return ts.Nano()
	}
	const slack = 2000 // ns: what the anchor may be off
	last := int64(0)
	for range 1000 {
		before := kernel()
		got := mono.Now()
		after := kernel()
		if got < before-slack || got > after+slack {
			t.Fatalf("now: got %d, want between %d and %d", got, before, after)
		}
		if got < last {
			t.Fatalf("now: got %d after %d", got, last)
		}
		last = got
	}
}

func TestNowAllocates(t *testing.T) {
	if got := testing.AllocsPerRun(100, func() { mono.Now(); mono.ThreadCPU(); mono.ProcessCPU() }); got != 0 {
		t.Errorf("allocations: got %v, want 0", got)
	}
}

// TestCPUClocks burns and sleeps: the clocks of CPU time must see the one and not the other.
func TestCPUClocks(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread, process := mono.ThreadCPU(), mono.ProcessCPU()
	for mono.ThreadCPU() < thread+int64(5*time.Millisecond) {
	}
	if got := mono.ProcessCPU() - process; got < int64(4*time.Millisecond) {
		t.Errorf("process CPU after 5 ms of a thread's: got %d ns more", got)
	}
	thread = mono.ThreadCPU()
	mono.SleepUntil(mono.Now() + int64(50*time.Millisecond))
	if got := mono.ThreadCPU() - thread; got > int64(25*time.Millisecond) {
		t.Errorf("thread CPU over a sleep of 50 ms: got %d ns, want next to none", got)
	}
}

func TestSleepUntil(t *testing.T) {
	for _, d := range []time.Duration{-time.Hour, 0, 100 * time.Microsecond, 3 * time.Millisecond} {
		at := mono.Now() + int64(d)
		mono.SleepUntil(at)
		if got := mono.Now(); got < at-2000 {
			t.Errorf("sleep of %v: woke %d ns early", d, at-got)
		}
	}
}

func TestThread(t *testing.T) {
	done := make(chan struct{})
	go func() { // its thread ends with it
		defer close(done)
		runtime.LockOSThread()
		if err := mono.TimerSlack(1); err != nil {
			t.Error(err)
		}
		if got, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); got != 1 || err != nil {
			t.Errorf("timer slack: got %d, %v, want 1", got, err)
		}
		if err := mono.Pin(4000); err == nil {
			t.Error("pin to processor 4000: got no error")
		}
		var before, after unix.CPUSet
		if err := unix.SchedGetaffinity(0, &before); err != nil {
			t.Error(err)
		}
		cpu := 0
		for !before.IsSet(cpu) {
			cpu++
		}
		if err := mono.Pin(cpu); err != nil {
			t.Error(err)
		}
		if err := unix.SchedGetaffinity(0, &after); err != nil || after.Count() != 1 || !after.IsSet(cpu) {
			t.Errorf("pinned to processor %d: got %v, %v", cpu, after, err)
		}
	}()
	<-done
}

func TestBootID(t *testing.T) {
	a, err := mono.BootID()
	if err != nil || len(a) != 36 {
		t.Fatalf("boot id: got %q, %v, want 36 characters", a, err)
	}
	if b, _ := mono.BootID(); a != b {
		t.Errorf("boot id: got %q, then %q", a, b)
	}
}

func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		mono.Now()
	}
}

func BenchmarkThreadCPU(b *testing.B) {
	for b.Loop() {
		mono.ThreadCPU()
	}
}

// TestSlice asks the kernel what it was told; one before 6.12 tells 0.
func TestSlice(t *testing.T) {
	done := make(chan struct{})
	go func() { // its thread ends with it
		defer close(done)
		runtime.LockOSThread()
		before, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Error(err)
			return
		}
		if err := mono.Slice(200_000); err != nil {
			t.Error(err)
		}
		got, err := unix.SchedGetAttr(0, 0)
		if err != nil || got.Runtime != 200_000 && before.Runtime != 0 || got.Nice != before.Nice || got.Policy != before.Policy {
			t.Errorf("after a slice of 200 µs: got %+v, %v, before %+v", got, err, before)
		}
		if err := mono.Slice(0); err != nil {
			t.Error(err)
		}
		if got, err = unix.SchedGetAttr(0, 0); err != nil || *got != *before {
			t.Errorf("after the default slice: got %+v, %v, want %+v", got, err, before)
		}
	}()
	<-done
}

// TestProcessCPUOf reads this process's CPU time as another would.
func TestProcessCPUOf(t *testing.T) {
	before := mono.ProcessCPU()
	got, err := mono.ProcessCPUOf(os.Getpid())
	if after := mono.ProcessCPU(); err != nil || got < before || got > after {
		t.Errorf("got %d, %v, want between %d and %d", got, err, before, after)
	}
	if _, err := mono.ProcessCPUOf(1 << 22); err == nil {
		t.Error("a process that cannot be has CPU time")
	}
}
