package usage

import (
	"errors"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
)

// ErrGone reports that no process is left of those that are measured.
var ErrGone = errors.New("no process is left")

// A Tree reads the usage of processes and of all that they started.
//
// What a process that ends has used since the reading before is counted once its parent has waited for it. Memory that
// processes share without a file, as after a fork, is counted in each.
type Tree struct {
	roots    []int
	only     bool // what is below the roots, without themselves
	pids     []int
	last     Usage
	switches map[int][2]uint64
	gone     [2]uint64 // context switches of processes that have ended
}

// NewTree returns a source of the processes roots and what they started.
func NewTree(roots ...int) *Tree {
	return &Tree{roots: slices.Clone(roots), switches: map[int][2]uint64{}}
}

// NewBelow returns a source of what the process root started, without itself.
func NewBelow(root int) *Tree {
	t := NewTree(root)
	t.only = true
	return t
}

// Read implements Source.
func (t *Tree) Read(thorough bool) (Usage, error) {
	if thorough || len(t.pids) == 0 {
		t.look()
	}
	u := Usage{Voluntary: t.gone[0], Involuntary: t.gone[1]}
	for _, pid := range t.pids {
		t.add(&u, pid)
	}
	if t.only {
		for _, r := range t.roots { // what has ended, and was waited for by the root itself
			if s, ok := readStat(r); ok {
				u.waited(s)
			}
		}
	}
	for _, x := range t.switches {
		u.Voluntary, u.Involuntary = u.Voluntary+x[0], u.Involuntary+x[1]
	}
	if u.Processes == 0 {
		t.pids = t.pids[:0]
		return t.last, ErrGone
	}
	u.CPU, u.User, u.System = max(u.CPU, t.last.CPU), max(u.User, t.last.User), max(u.System, t.last.System)
	u.Voluntary, u.Involuntary = max(u.Voluntary, t.last.Voluntary), max(u.Involuntary, t.last.Involuntary)
	t.last = u
	return u, nil
}

// look finds the processes, and reads the context switches of their threads.
func (t *Tree) look() {
	all := parents()
	t.pids = t.pids[:0]
	for pid := range all {
		if under(all, pid, t.roots) && !(t.only && slices.Contains(t.roots, pid)) {
			t.pids = append(t.pids, pid)
		}
	}
	slices.Sort(t.pids)
	for pid, x := range t.switches {
		if !slices.Contains(t.pids, pid) {
			t.gone[0], t.gone[1] = t.gone[0]+x[0], t.gone[1]+x[1]
			delete(t.switches, pid)
		}
	}
	for _, pid := range t.pids {
		v, i := switches(pid)
		have := t.switches[pid]
		t.switches[pid] = [2]uint64{max(v, have[0]), max(i, have[1])} // threads end
	}
}

func (t *Tree) add(u *Usage, pid int) {
	s, ok := readStat(pid)
	if !ok || s.zombie {
		return
	}
	u.Processes++
	u.User, u.System = u.User+s.user, u.System+s.system
	if ns, err := mono.ProcessCPUOf(pid); err == nil {
		u.CPU += time.Duration(ns)
	} else {
		u.CPU += s.user + s.system
	}
	u.waited(s)
	if st, ok := readStatus("/proc/" + strconv.Itoa(pid)); ok {
		u.Anonymous, u.Resident, u.Threads = u.Anonymous+st.anonymous, u.Resident+st.resident, u.Threads+st.threads
	}
	u.Descriptors += descriptors(pid)
}

// waited adds what the ended children of a process have used, which it waited for.
func (u *Usage) waited(s stat) {
	u.User, u.System = u.User+s.below[0], u.System+s.below[1]
	u.CPU += s.below[0] + s.below[1]
}

// Self reads the usage of this process, without what it started.
type Self struct{}

// Read implements Source.
func (Self) Read(bool) (Usage, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return Usage{}, err
	}
	u := Usage{
		CPU: time.Duration(mono.ProcessCPU()), User: time.Duration(r.Utime.Nano()), System: time.Duration(r.Stime.Nano()),
		Voluntary: uint64(r.Nvcsw), Involuntary: uint64(r.Nivcsw), Processes: 1,
	}
	if st, ok := readStatus("/proc/self"); ok {
		u.Anonymous, u.Resident, u.Threads = st.anonymous, st.resident, st.threads
	}
	u.Descriptors = descriptors(syscall.Getpid())
	return u, nil
}
