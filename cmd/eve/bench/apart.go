package bench

import (
	"os"

	"github.com/eve-emulation/eve/internal/mono"
)

// apart confines this process to the last of its processors, and others to the first, so that what they exchange crosses
// processors as it would cross hosts. Left alone, the scheduler moves two ends that wait for each other together and apart again,
// and which it does weighs more than what is compared. near processes stay with this one. together lets all of them go again;
// on a single processor nothing is done.
func apart(others []int, near ...int) (together func(), err error) {
	cpus, err := mono.Processors()
	if err != nil || len(cpus) < 2 {
		return func() {}, err
	}
	near = append(near, os.Getpid())
	together = func() {
		for _, pid := range append(others, near...) {
			_ = mono.Confine(pid, cpus...) // one that has ended needs none
		}
	}
	for _, pid := range others {
		if err := mono.Confine(pid, cpus[0]); err != nil {
			return together, err
		}
	}
	for _, pid := range near {
		if err := mono.Confine(pid, cpus[len(cpus)-1]); err != nil {
			return together, err
		}
	}
	return together, nil
}
