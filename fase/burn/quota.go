package burn

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Quota is a limit on the CPU time of this process, all of its threads, that the kernel sees to: a control group of its own.
type Quota struct {
	dir  string // the group
	home string // where the process was before
}

// quotaPeriod is over what a quota is reckoned, in microseconds: the kernel's own default, which containers have.
const quotaPeriod = 100_000

// LimitCPU lets this process have so many processors' worth of time, as a container's limit does: in each 100 ms it runs until that is
// used up, and then stands still. It takes a control group (cgroup) of version 2, or the cpu controller of version 1, beside or
// below the one that the process is in, and the permission to make one there. Where the kernel does not let it, the error says
// what it said. Release ends the limit. One at a time.
func LimitCPU(cpus float64) (*Quota, error) { return limitCPU("/proc", cpus) }

func limitCPU(proc string, cpus float64) (*Quota, error) {
	q, err := tryLimit(proc, max(int64(cpus*quotaPeriod), 1000))
	if err != nil {
		return nil, fmt.Errorf("limit the process to %g processors: %w", cpus, err)
	}
	return q, nil
}

func tryLimit(proc string, quota int64) (*Quota, error) {
	homes, err := cpuGroups(proc)
	if err != nil {
		return nil, err
	}
	err = errors.New("the kernel has no control groups for processors")
	for _, h := range homes {
		dirs := []string{filepath.Dir(h.dir), h.dir} // beside it: a group with processes has no groups below that are limited
		if h.top {
			dirs = dirs[1:]
		}
		for _, parent := range dirs {
			var q *Quota
			if q, err = h.make(parent, quota); err == nil {
				return q, nil
			}
		}
	}
	return nil, err
}

// cpuGroup is the control group that the process is in, of a hierarchy that has the cpu controller.
type cpuGroup struct {
	dir    string
	top    bool // of the hierarchy, as far as it is seen from here
	second bool // version 2
}

// cpuGroups finds the groups of the process, version 2 first.
func cpuGroups(proc string) ([]cpuGroup, error) {
	mounts, err := lines(filepath.Join(proc, "self/mountinfo"))
	if err != nil {
		return nil, err
	}
	own, err := lines(filepath.Join(proc, "self/cgroup"))
	if err != nil {
		return nil, err
	}
	var found []cpuGroup
	for _, m := range mounts {
		// 36 35 98:0 ROOT MOUNTPOINT options … - TYPE SOURCE SUPEROPTIONS
		before, after, ok := strings.Cut(m, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 3 {
			continue
		}
		second := g[0] == "cgroup2"
		if !second && (g[0] != "cgroup" || !slices.Contains(strings.Split(g[2], ","), "cpu")) {
			continue
		}
		for _, o := range own {
			// ID:CONTROLLERS:PATH; of version 2, 0::PATH
			parts := strings.SplitN(o, ":", 3)
			if len(parts) < 3 || second != (parts[1] == "") || !second && !slices.Contains(strings.Split(parts[1], ","), "cpu") {
				continue
			}
			at, err := filepath.Rel(f[3], parts[2])
			if err != nil || at == ".." || strings.HasPrefix(at, "../") {
				at = "." // the process is outside of what is mounted here
			}
			c := cpuGroup{dir: path.Join(f[4], at), top: at == ".", second: second}
			if second {
				found = slices.Insert(found, 0, c)
			} else {
				found = append(found, c)
			}
		}
	}
	return found, nil
}

// make makes a group below parent, limits it, and moves the process there.
func (c *cpuGroup) make(parent string, quota int64) (q *Quota, err error) {
	if c.second {
		has, err := os.ReadFile(filepath.Join(parent, "cgroup.controllers"))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(strings.Fields(string(has)), "cpu") {
			return nil, fmt.Errorf("%s has no cpu controller", parent)
		}
		if err := put(filepath.Join(parent, "cgroup.subtree_control"), "+cpu"); err != nil {
			return nil, err
		}
	}
	sweep(parent)
	dir := filepath.Join(parent, groupPrefix+strconv.Itoa(os.Getpid()))
	q = &Quota{dir: dir, home: c.dir}
	if err := os.Mkdir(q.dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(dir) // a group without processes is no harm
		}
	}()
	if c.second {
		err = put(filepath.Join(q.dir, "cpu.max"), fmt.Sprintf("%d %d", quota, quotaPeriod))
	} else if err = put(filepath.Join(q.dir, "cpu.cfs_period_us"), strconv.Itoa(quotaPeriod)); err == nil {
		err = put(filepath.Join(q.dir, "cpu.cfs_quota_us"), strconv.FormatInt(quota, 10))
	}
	if err != nil {
		return nil, err
	}
	if err = put(filepath.Join(q.dir, procs), strconv.Itoa(os.Getpid())); err != nil {
		return nil, err
	}
	return q, nil
}

const (
	groupPrefix = "eve-"
	procs       = "cgroup.procs"
)

// sweep removes the groups of processes that were killed, and so could not.
func sweep(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, groupPrefix+"*"))
	for _, dir := range left {
		pid := strings.TrimPrefix(filepath.Base(dir), groupPrefix)
		if _, err := strconv.ParseUint(pid, 10, 31); err != nil {
			continue // somebody else's
		}
		if _, err := os.Stat(filepath.Join("/proc", pid)); errors.Is(err, os.ErrNotExist) {
			_ = os.Remove(dir) // the kernel refuses while somebody is in it
		}
	}
}

// Throttled returns how often the kernel has made the process stand still so far; of nil, never.
func (q *Quota) Throttled() (int64, error) {
	if q == nil {
		return 0, nil
	}
	stat, err := lines(filepath.Join(q.dir, "cpu.stat"))
	if err != nil {
		return 0, fmt.Errorf("read how often the process was stopped: %w", err)
	}
	for _, l := range stat {
		if n, ok := strings.CutPrefix(l, "nr_throttled "); ok {
			return strconv.ParseInt(n, 10, 64)
		}
	}
	return 0, fmt.Errorf("read how often the process was stopped: %s does not tell", q.dir)
}

// Release moves the process back, and removes the group. It may be called twice, and on nil.
func (q *Quota) Release() error {
	if q == nil || q.dir == "" {
		return nil
	}
	err := put(filepath.Join(q.home, procs), strconv.Itoa(os.Getpid()))
	if err == nil {
		err = os.Remove(q.dir)
	}
	q.dir = ""
	if err != nil {
		return fmt.Errorf("release the limit of the process: %w", err)
	}
	return nil
}

// put writes a file of the kernel's, which is there already.
func put(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

func lines(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		out = append(out, s.Text())
	}
	return out, s.Err()
}
