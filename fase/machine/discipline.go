package machine

import "github.com/eve-emulation/eve/dsv"

// Discipline orders the jobs of a CPU.
type Discipline uint8

// The disciplines. All but PS and OS let a job that has begun end, unless they preempt.
const (
	FCFS     Discipline = iota // first come first served
	PS                         // processor sharing
	SJF                        // shortest job first: the least demand of those that wait
	Priority                   // the greatest priority of those that wait
	EDF                        // the earliest deadline of those that wait; without one last
	OS                         // whatever the operating system does; where it is not asked, processor sharing
	numDisciplines
)

var disciplineNames = [numDisciplines]string{"fcfs", "ps", "sjf", "priority", "edf", "os"}

// Disciplines lists the names of all disciplines, as they stand in scenarios; the default first.
func Disciplines() []string { return append([]string(nil), disciplineNames[:]...) }

// ParseDiscipline finds a discipline by its name.
func ParseDiscipline(name string) (d Discipline, ok bool) {
	for i, n := range disciplineNames {
		if n == name {
			return Discipline(i), true
		}
	}
	return FCFS, false
}

// String returns the name.
func (d Discipline) String() string {
	if d < numDisciplines {
		return disciplineNames[d]
	}
	return "unknown"
}

// Shares reports whether the discipline serves all at once.
func (d Discipline) Shares() bool { return d == PS || d == OS }

// Ranked reports whether the discipline needs a line that goes by rank.
func (d Discipline) Ranked() bool { return d == SJF || d == Priority || d == EDF }

// Rank is where a job stands in the line of a ranked discipline, the least first: by its demand in ns, by its priority, of
// which the greatest is first, or by its deadline, where 0 is none. It is 0 for the others.
func (d Discipline) Rank(demand int64, priority int, deadline dsv.Instant) int64 {
	switch d {
	case SJF:
		return demand
	case Priority:
		return ^int64(priority) // order reversed, and no overflow
	case EDF:
		if deadline == 0 {
			deadline = dsv.Never
		}
		return int64(deadline)
	}
	return 0
}
