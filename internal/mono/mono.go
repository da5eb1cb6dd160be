// Package mono reads the clocks that measurement rests on: CLOCK_MONOTONIC, which all processes of a host share, and the
// CPU clocks of a thread and of the process. It also holds what a thread that keeps time asks of the kernel: its timer
// slack, its processor, and a sleep that ends at an absolute instant.
//
// An instant is nanoseconds of CLOCK_MONOTONIC, an int64. Two instants are comparable if they were read on the same host
// since the same boot, which [BootID] tells.
package mono

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Never is the instant that does not come: a wait until Never has no time-out.
const Never int64 = math.MaxInt64

// base ties Go's own monotonic reading to CLOCK_MONOTONIC; it is set once, before main, and never changes.
var base = anchor()

type fix struct {
	start  time.Time
	offset int64
}

// anchor brackets Go's clock by the kernel's several times and intersects the brackets, which leaves an error of some
// tens of nanoseconds, the same for the life of the process.
func anchor() fix {
	start := time.Now()
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	for range 8 {
		before := clock(unix.CLOCK_MONOTONIC)
		gone := int64(time.Since(start))
		after := clock(unix.CLOCK_MONOTONIC)
		low, high = max(low, before-gone), min(high, after-gone)
	}
	return fix{start: start, offset: low + (high-low)/2}
}

// Now returns the instant now, in nanoseconds of CLOCK_MONOTONIC. It enters no system call, costs some tens of
// nanoseconds and may be called by any goroutine.
func Now() int64 {
	return base.offset + int64(time.Since(base.start))
}

// ThreadCPU returns the CPU time that the calling thread has used, in nanoseconds. It means something only on a
// goroutine that is locked to its thread. It costs one system call.
func ThreadCPU() int64 { return clock(unix.CLOCK_THREAD_CPUTIME_ID) }

// ProcessCPU returns the CPU time that all threads of the process have used, user and system, in nanoseconds.
func ProcessCPU() int64 { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// ProcessCPUOf returns the CPU time that all threads of another process have used, user and system, in nanoseconds: finer
// than /proc tells it. It is an error when there is no such process.
func ProcessCPUOf(pid int) (int64, error) {
	var ts unix.Timespec
	id := int32(^uint32(pid)<<3 | 2) // CPUCLOCK_SCHED of the whole process: see clock_getcpuclockid(3)
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0, fmt.Errorf("read CPU time of process %d: %w", pid, err)
	}
	return ts.Nano(), nil
}

// clock reads a clock by the raw system call: reading a clock does not block, so the scheduler need not know.
func clock(id uintptr) int64 {
	var ts unix.Timespec
	_, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&ts)), 0)
	if errno != 0 {
		panic(fmt.Sprintf("clock_gettime %d: %v", id, errno)) // these clocks exist on every Linux
	}
	return ts.Nano()
}

// SleepUntil blocks the calling thread until the instant at, or returns at once if that has passed. How late it returns
// is decided by the thread's timer slack.
func SleepUntil(at int64) {
	ts := unix.NsecToTimespec(max(at, 0))
	for {
		err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// TimerSlack sets how much later than asked the kernel may wake the calling thread, in nanoseconds; threads start with
// 50 µs. The goroutine must be locked to its thread.
func TimerSlack(ns int) error {
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(ns), 0, 0, 0); err != nil {
		return fmt.Errorf("set timer slack %d ns: %w", ns, err)
	}
	return nil
}

// Slice asks the kernel to run the calling thread in slices of ns nanoseconds, from 100 µs to 100 ms; 0 is the system's
// default of some milliseconds. A thread that wakes up with a shorter slice than the running one takes its processor at
// once, so it is on time beside others; its share of the processor stays as it is. Kernels before 6.12 take no notice. The
// goroutine must be locked to its thread.
func Slice(ns int) error {
	attr, err := unix.SchedGetAttr(0, 0)
	if err == nil {
		attr.Runtime = uint64(max(ns, 0))
		err = unix.SchedSetAttr(0, attr, 0)
	}
	if err != nil {
		return fmt.Errorf("set slice %d ns: %w", ns, err)
	}
	return nil
}

// Pin restricts the calling thread to one processor. The goroutine must be locked to its thread.
func Pin(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin thread to processor %d: %w", cpu, err)
	}
	return nil
}

// BootID names the boot of this host: processes whose boot ids are equal share one CLOCK_MONOTONIC.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
