package runs

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the length of the kernel's unit of CPU time in s: USER_HZ, which is 100 on every Linux that Go runs on.
const clockTick = 0.01

// cpuTimes are the first line of /proc/stat in s, summed over CPUs.
type cpuTimes struct{ total, busy, steal float64 }

func readCPUTimes() cpuTimes {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return cpuTimes{}
	}
	return parseCPUTimes(b)
}

// parseCPUTimes reads "cpu user nice system idle iowait irq softirq steal guest guest_nice"; guest is part of user.
func parseCPUTimes(b []byte) cpuTimes {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	fields := strings.Fields(string(line))
	var t cpuTimes
	for i, f := range fields {
		if i == 0 || i > 8 {
			continue
		}
		x, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return cpuTimes{}
		}
		x *= clockTick
		t.total += x
		switch i {
		case 4, 5: // idle, iowait
		case 8:
			t.steal = x
		default:
			t.busy += x
		}
	}
	return t
}

// process is what of /proc/PID/stat is needed here.
type process struct {
	parent int
	cpu    float64 // s, its own
	reaped float64 // s, of its children that it waited for
}

// parseProcess reads /proc/PID/stat; the name, in parentheses, may contain anything.
func parseProcess(b []byte) (process, bool) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return process{}, false
	}
	f := strings.Fields(string(b[i+1:]))
	if len(f) < 15 {
		return process{}, false
	}
	var v [5]float64
	for j, k := range []int{1, 11, 12, 13, 14} { // ppid, utime, stime, cutime, cstime
		x, err := strconv.ParseFloat(f[k], 64)
		if err != nil {
			return process{}, false
		}
		v[j] = x
	}
	return process{parent: int(v[0]), cpu: (v[1] + v[2]) * clockTick, reaped: (v[3] + v[4]) * clockTick}, true
}

// ownCPU returns the CPU time of this process and all those below it, reaped ones included, in s.
func ownCPU() float64 {
	all := map[int]process{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it ended meanwhile
		}
		if p, ok := parseProcess(b); ok {
			all[pid] = p
		}
	}
	return treeCPU(all, os.Getpid())
}

// treeCPU sums the CPU time of root and what is below it.
func treeCPU(all map[int]process, root int) float64 {
	sum := 0.0
	for pid, p := range all {
		up, depth := pid, 0
		for up != root && up > 1 && depth < 64 {
			up, depth = all[up].parent, depth+1
		}
		if up == root {
			sum += p.cpu + p.reaped
		}
	}
	return sum
}

// readPressure returns for how long some task waited for a CPU, in s since boot; NaN without PSI.
func readPressure() float64 {
	b, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return math.NaN()
	}
	return parsePressure(string(b))
}

func parsePressure(s string) float64 {
	line, _, _ := strings.Cut(s, "\n")
	_, total, ok := strings.Cut(line, "total=")
	if !ok || !strings.HasPrefix(line, "some ") {
		return math.NaN()
	}
	us, err := strconv.ParseFloat(strings.TrimSpace(total), 64)
	if err != nil {
		return math.NaN()
	}
	return us / 1e6
}

func (p *Probe) watchCPU() {
	read := func() {
		p.ticks = append(p.ticks, tick{at: time.Now(), cpuTimes: readCPUTimes(), own: ownCPU(), pressure: readPressure()})
	}
	read()
	t := time.NewTicker(probeEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			read()
		case <-p.stop:
			read()
			return
		}
	}
}

// watchSleep sleeps by the system call on a thread of its own: the runtime's timers are coarser than what is looked for.
func (p *Probe) watchSleep() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t := time.NewTicker(sleepEvery)
	defer t.Stop()
	ms := syscall.NsecToTimespec(int64(time.Millisecond))
	for {
		select {
		case <-t.C:
			start := time.Now()
			if syscall.Nanosleep(&ms, nil) != nil {
				continue // a signal cut it short
			}
			now := time.Now()
			p.sleeps = append(p.sleeps, sleep{at: now, over: (now.Sub(start) - time.Millisecond).Seconds()})
		case <-p.stop:
			return
		}
	}
}
