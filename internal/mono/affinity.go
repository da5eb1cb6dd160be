package mono

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Processors lists the processors that the calling thread may run on, in ascending order.
func Processors() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("processors of thread: %w", err)
	}
	var cpus []int
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// Confine restricts a living process to the given processors: all its threads, and so those that they will start. A process
// that is gone is an error.
func Confine(pid int, cpus ...int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	for before := -1; ; { // until no thread has started meanwhile: one that starts inherits what its maker had
		tasks, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("confine process %d: %w", pid, err)
		}
		if len(tasks) == before {
			return nil
		}
		before = len(tasks)
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil {
				continue
			}
			if err := unix.SchedSetaffinity(tid, &set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("confine process %d to processors %v: %w", pid, cpus, err)
			}
		}
	}
}
