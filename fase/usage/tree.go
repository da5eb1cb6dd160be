package usage

import (
	"cmp"
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
// What a process that ends has used since the reading before is counted once its parent has waited for it; its context
// switches since then are lost, as are those of a thread that ends. Memory that processes share without a file, as after
// a fork, is counted in each.
type Tree struct {
	roots    []int
	only     bool // what is below the roots, without themselves
	pids     []int
	last     Usage
	switches switches
}

// A switches counts the context switches of threads, of which /proc tells each thread's alone.
type switches struct {
	of    map[string]switched // by a thread's folder
	gone  [2]uint64           // of threads that have ended
	round uint64              // of reading
}

type switched struct {
	n          [2]uint64 // voluntary, involuntary
	read, seen uint64    // the rounds
}

// maxThreads is how many threads have their context switches read at a time. Where there are more it is the turn of those
// that were read the longest ago: to read thousands would take a good part of a processor from the server.
const maxThreads = 512

// NewTree returns a source of the processes roots and what they started.
func NewTree(roots ...int) *Tree {
	return &Tree{roots: slices.Clone(roots), switches: switches{of: map[string]switched{}}}
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
	var u Usage
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
	u.Voluntary, u.Involuntary = t.switches.sum()
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
	t.switches.look(t.pids)
}

// look reads what the threads of processes have counted.
func (s *switches) look(pids []int) {
	s.round++
	var due []string
	for _, pid := range pids {
		for _, dir := range threadsOf(pid) {
			x := s.of[dir]
			x.seen = s.round
			s.of[dir] = x
			due = append(due, dir)
		}
	}
	for dir, x := range s.of {
		if x.seen != s.round {
			s.gone[0], s.gone[1] = s.gone[0]+x.n[0], s.gone[1]+x.n[1]
			delete(s.of, dir)
		}
	}
	if len(due) > maxThreads {
		slices.SortFunc(due, func(a, b string) int { return cmp.Compare(s.of[a].read, s.of[b].read) })
		due = due[:maxThreads]
	}
	for _, dir := range due {
		x := s.of[dir]
		x.read = s.round
		if st, ok := readStatus(dir); ok {
			x.n = [2]uint64{st.voluntary, st.involuntary}
		}
		s.of[dir] = x
	}
}

// sum is what all threads have counted.
func (s *switches) sum() (voluntary, involuntary uint64) {
	voluntary, involuntary = s.gone[0], s.gone[1]
	for _, x := range s.of {
		voluntary, involuntary = voluntary+x.n[0], involuntary+x.n[1]
	}
	return voluntary, involuntary
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
