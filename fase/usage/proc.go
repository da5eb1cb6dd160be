package usage

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the kernel's unit of CPU time: USER_HZ, which is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// stat is what of /proc/PID/stat is needed here.
type stat struct {
	parent       int
	zombie       bool
	user, system time.Duration // its own
	below        [2]time.Duration
}

// parseStat reads /proc/PID/stat; the name, in parentheses, may contain anything.
func parseStat(b []byte) (stat, bool) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return stat{}, false
	}
	f := strings.Fields(string(b[i+1:]))
	if len(f) < 15 {
		return stat{}, false
	}
	var v [5]uint64
	for j, k := range []int{1, 11, 12, 13, 14} { // ppid, utime, stime, cutime, cstime
		x, err := strconv.ParseUint(f[k], 10, 64)
		if err != nil {
			return stat{}, false
		}
		v[j] = x
	}
	ticks := func(n uint64) time.Duration { return time.Duration(n) * tick }
	return stat{
		parent: int(v[0]), zombie: f[0] == "Z" || f[0] == "X", user: ticks(v[1]), system: ticks(v[2]),
		below: [2]time.Duration{ticks(v[3]), ticks(v[4])},
	}, true
}

func readStat(pid int) (stat, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, false
	}
	return parseStat(b)
}

// status is what of /proc/PID/status, or of a thread's, is needed here.
type status struct {
	anonymous, resident    int64
	threads                int
	voluntary, involuntary uint64
}

func parseStatus(b []byte) status {
	var s status
	for line := range bytes.Lines(b) {
		key, rest, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		word := strings.Fields(string(rest))
		if len(word) == 0 {
			continue
		}
		x, err := strconv.ParseInt(word[0], 10, 64)
		if err != nil {
			continue
		}
		switch string(key) {
		case "RssAnon":
			s.anonymous = x * 1024
		case "VmRSS":
			s.resident = x * 1024
		case "Threads":
			s.threads = int(x)
		case "voluntary_ctxt_switches":
			s.voluntary = uint64(x)
		case "nonvoluntary_ctxt_switches":
			s.involuntary = uint64(x)
		}
	}
	return s
}

func readStatus(dir string) (status, bool) {
	b, err := os.ReadFile(dir + "/status")
	if err != nil {
		return status{}, false
	}
	return parseStatus(b), true
}

// threadsOf lists the folders of a process's threads; none when it has ended.
func threadsOf(pid int) []string {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1) // those up to an error are there
	for i, name := range names {
		names[i] = dir + "/" + name
	}
	return names
}

// descriptors counts the open ones of a process: since Linux 6.2 the folder's size is their number, before it is 0.
func descriptors(pid int) int {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	if info, err := os.Stat(dir); err == nil && info.Size() > 0 {
		return int(info.Size())
	}
	fds, err := os.ReadDir(dir)
	if err != nil {
		return 0 // another user's
	}
	return len(fds)
}

// parents lists all processes of the host, each with its parent, but for those that have ended.
func parents() map[int]int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	all := make(map[int]int, len(entries))
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, ok := readStat(pid); ok && !s.zombie {
			all[pid] = s.parent
		}
	}
	return all
}

// Below lists the living processes that root started, and those that they started, in no order; root is not among them.
func Below(root int) []int {
	var out []int
	all := parents()
	for pid := range all {
		if under(all, pid, []int{root}) && pid != root {
			out = append(out, pid)
		}
	}
	return out
}

// under reports whether a process is one of roots, or below one.
func under(all map[int]int, pid int, roots []int) bool {
	for depth := 0; pid > 0 && depth < 64; depth++ {
		if slices.Contains(roots, pid) {
			return true
		}
		pid = all[pid]
	}
	return false
}
