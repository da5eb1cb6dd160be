package usage_test

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/usage"
)

// spinner is a shell that has another one spin for as long as it may.
func spinner(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	c := exec.Command("sh", "-c", script)
	if err := c.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		for _, pid := range usage.Below(c.Process.Pid) {
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill()
			}
		}
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	return c
}

func read(t *testing.T, s usage.Source) usage.Usage {
	t.Helper()
	u, err := s.Read(true)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// until reads a source until the reading is as wanted.
func until(t *testing.T, s usage.Source, what string, ok func(usage.Usage) bool) usage.Usage {
	t.Helper()
	var u usage.Usage
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if u = read(t, s); ok(u) {
			return u
		}
	}
	t.Fatalf("%s: not within 20 s; got %+v", what, u)
	return u
}

func TestTreeCountsWhatItStarted(t *testing.T) {
	c := spinner(t, "(while :; do :; done) & wait")
	u := until(t, usage.NewTree(c.Process.Pid), "two processes, one of which spins", func(u usage.Usage) bool {
		return u.Processes == 2 && u.CPU > 50*time.Millisecond
	})
	if u.Threads != 2 || u.Descriptors < 2 || u.Anonymous <= 0 || u.Resident < u.Anonymous || u.User+u.System <= 0 {
		t.Errorf("got %+v, want two threads, descriptors, memory and processor time", u)
	}
	until(t, usage.NewBelow(c.Process.Pid), "the one below, which spins", func(u usage.Usage) bool {
		return u.Processes == 1 && u.CPU > 50*time.Millisecond
	})
}

func TestTreeKeepsWhatEndedProcessesUsed(t *testing.T) {
	c := spinner(t, "(i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done); echo; exec sleep 60")
	s := usage.NewTree(c.Process.Pid)
	least := until(t, s, "a child that works", func(u usage.Usage) bool { return u.CPU > 30*time.Millisecond })
	u := until(t, s, "the child's end", func(u usage.Usage) bool { return u.Processes == 1 })
	if u.CPU < least.CPU || u.User+u.System < least.User+least.System {
		t.Errorf("after its end: got %v, want no less than %v before", u.CPU, least.CPU)
	}
}

// TestTreeAgreesWithTheKernel compares what a tree counts, of children and grandchildren that have ended, with what the
// kernel tells him who waits for the first of them.
func TestTreeAgreesWithTheKernel(t *testing.T) {
	const work = "i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done"
	c := exec.Command("sh", "-c", "for k in 1 2 3 4 5 6 7 8; do ("+work+"; ("+work+"); :); done; echo; read x")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Skip(err)
	}
	s := usage.NewTree(c.Process.Pid)
	if _, err := out.Read(make([]byte, 1)); err != nil { // they have ended
		t.Fatal(err)
	}
	got := read(t, s)
	_ = in.Close()
	_ = c.Wait()          // its read failed
	const steps = 4 * 1e7 // user and system time of the shell and of its children, each in steps of 10 ms
	user, system := c.ProcessState.UserTime(), c.ProcessState.SystemTime()
	for _, x := range []struct {
		what      string
		got, want time.Duration
	}{{"CPU", got.CPU, user + system}, {"user", got.User, user}, {"system", got.System, system}} {
		if x.got < x.want-steps || x.got > x.want+steps {
			t.Errorf("%s: got %v, want the kernel's %v within %v", x.what, x.got, x.want, time.Duration(steps))
		}
	}
	if user+system < 2*steps || got.Processes != 1 {
		t.Errorf("got %v of %d processes, want a good deal of work, and one that is left", user+system, got.Processes)
	}
}

// TestHundredsOfThreads counts the context switches of more threads than are read at a time.
func TestHundredsOfThreads(t *testing.T) {
	const n = 800
	before, beforeAll := read(t, usage.NewTree(os.Getpid())).Voluntary, read(t, usage.Self{}).Voluntary
	stop, ready := make(chan struct{}), make(chan struct{}, n)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			runtime.LockOSThread() // for good: the thread ends with it
			for range 5 {
				_ = syscall.Nanosleep(&syscall.Timespec{Nsec: 1000}, nil)
			}
			ready <- struct{}{}
			<-stop
		})
	}
	for range n {
		<-ready
	}
	s := usage.NewTree(os.Getpid())
	first := read(t, s)
	_ = read(t, s)
	u := read(t, s)
	all := read(t, usage.Self{}).Voluntary - beforeAll + before // by getrusage
	close(stop)
	wg.Wait()
	switch low, high := all*9/10, all*11/10; {
	case first.Threads < n || first.Voluntary > low:
		t.Errorf("first: got %d waits of %d threads, want part of %d", first.Voluntary, first.Threads, all)
	case u.Voluntary < low || u.Voluntary > high:
		t.Errorf("third: got %d waits, want %d to %d", u.Voluntary, low, high)
	}
	if after := read(t, s); after.Voluntary < u.Voluntary {
		t.Errorf("got %d waits once the threads have ended, want no less than %d", after.Voluntary, u.Voluntary)
	}
}

func TestTreeTellsThatNobodyIsLeft(t *testing.T) {
	c := spinner(t, "exec sleep 60")
	s := usage.NewTree(c.Process.Pid)
	read(t, s)
	_ = c.Process.Kill()
	_ = c.Wait()
	if _, err := s.Read(true); !errors.Is(err, usage.ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
}

func TestSelf(t *testing.T) {
	before := read(t, usage.Self{})
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
	}
	after := read(t, usage.Self{})
	if after.CPU <= before.CPU || after.Descriptors <= before.Descriptors || after.Threads < 1 || after.Anonymous <= 0 || after.Processes != 1 {
		t.Errorf("got %+v after %+v, want more processor time and one descriptor more", after, before)
	}
}

// fixed is a source of readings that a test gives.
type fixed []usage.Usage

func (f *fixed) Read(bool) (usage.Usage, error) {
	if len(*f) == 0 {
		return usage.Usage{}, usage.ErrGone
	}
	u := (*f)[0]
	*f = (*f)[1:]
	return u, nil
}

func TestMeterWritesWhatWasUsedSinceTheSampleBefore(t *testing.T) {
	second := time.Second
	source := &fixed{
		{CPU: 5 * second, User: 4 * second, System: second, Voluntary: 10, Anonymous: 1 << 30},
		{CPU: 6 * second, User: 4 * second, System: 2 * second, Voluntary: 17, Involuntary: 3, Anonymous: 100, Resident: 300, Descriptors: 4, Threads: 2, Processes: 1},
		{CPU: 7 * second, User: 5 * second, System: 2 * second, Voluntary: 17, Involuntary: 3, Anonymous: 400, Resident: 300, Descriptors: 4, Threads: 2, Processes: 1},
	}
	var specs []dmm.Spec
	for _, v := range usage.Variables() {
		specs = append(specs, dmm.Spec{Name: dsv.Name("web." + v.Leaf), Manipulator: v.Manipulator, Sync: dmm.Trigger{Every: time.Hour}})
	}
	set, err := dmm.NewSet(1, 1, specs)
	if err != nil {
		t.Fatal(err)
	}
	set.Begin(0)
	m := usage.NewMeter(source, "web", set.Var)
	for _, at := range []time.Duration{0, 2 * second, 3 * second} {
		if err := m.Sample(dsv.At(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Sample(dsv.At(4 * second)); !errors.Is(err, usage.ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
	for name, want := range map[dsv.Name]float64{
		"web.cpu.utilisation": 2.0 / 3, "web.cpu.user": 1, "web.cpu.system": 1, "web.memory": (2*100 + 400) / 3.0,
		"web.memory.resident": 300, "web.descriptors": 4, "web.threads": 2, "web.processes": 1,
		"web.switches.voluntary": 7, "web.switches.involuntary": 3,
	} {
		x, _ := set.Var(name).Read().Number()
		if x < want-1e-9 || x > want+1e-9 {
			t.Errorf("%s: got %v, want %v", name, x, want)
		}
	}
}
