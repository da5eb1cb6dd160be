package modules_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/modules"
)

// TestMain lets the test's own program be a module, or a whole kernel, of a test.
func TestMain(m *testing.M) {
	switch os.Getenv("EVE_TEST_ROLE") {
	case "module":
		os.Exit(asModule())
	case "kernel":
		os.Exit(asKernel())
	case "server":
		os.Exit(asServer())
	case "reader":
		os.Exit(asReader())
	case "sink":
		os.Exit(asSink())
	case "mortal":
		os.Exit(asMortal())
	}
	goleak.VerifyTestMain(m)
}

type settings struct {
	Beats int `json:"beats"`
}

// worker counts to its configuration's beats and then waits for its end.
func worker(ctx context.Context, env *modules.Env) error {
	cfg := settings{Beats: 5}
	if err := env.Config(&cfg); err != nil {
		return err
	}
	name := dsv.Name(env.Name + ".beats")
	if err := env.Measure(dmm.Spec{Name: name, Manipulator: "count", Sync: dmm.Trigger{Every: 10 * time.Millisecond}}); err != nil {
		return err
	}
	if err := env.Ready(ctx); err != nil {
		return err
	}
	for range cfg.Beats {
		env.Var(name).Write(env.Now(), 1)
	}
	env.Logf("beats: %d", cfg.Beats)
	<-ctx.Done()
	env.Var(name).Write(env.Now(), 1) // the last synchronisation brings it
	return nil
}

func asModule() int {
	kinds, err := modules.NewRegistry(
		modules.Spec{Name: "worker", New: func() modules.Module { return modules.Func(worker) }},
		modules.Spec{Name: "idle", New: func() modules.Module {
			return modules.Func(func(ctx context.Context, _ *modules.Env) error {
				<-ctx.Done()
				return nil
			})
		}},
		modules.Spec{Name: "broken", New: func() modules.Module {
			return modules.Func(func(context.Context, *modules.Env) error {
				fmt.Println("about to fail\x1b[2J")
				return errors.New("no such disk")
			})
		}},
	)
	if err == nil {
		err = modules.Main(context.Background(), kinds, os.Getenv("EVE_KIND"), os.Getenv("EVE_MODULE"), os.Getenv)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child is the spec of a module that is this program.
func child(t testing.TB, name, kind string) evekernel.ModuleSpec {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return evekernel.ModuleSpec{
		Name: name, Kind: kind, Argv: []string{exe}, ReadyTimeout: patience,
		Env: []string{"EVE_TEST_ROLE=module", "PATH=" + os.Getenv("PATH"), "GOCOVERDIR=" + os.Getenv("GOCOVERDIR")},
	}
}

func start(t *testing.T, k *evekernel.Kernel, specs ...evekernel.ModuleSpec) {
	t.Helper()
	for _, s := range specs {
		if err := k.Start(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// gone waits until no process of the group is left, but for orphans that have ended and which the host's first process
// has yet to reap.
func gone(t *testing.T, pid int) {
	t.Helper()
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(5 * time.Millisecond) {
		if errors.Is(syscall.Kill(-pid, 0), syscall.ESRCH) || !living(t, pid) {
			return
		}
	}
	t.Errorf("process group %d is still there", pid)
}

// living tells whether a process of the group runs.
func living(t *testing.T, group int) bool {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it ended
		}
		_, rest, ok := strings.Cut(string(b), ") ")
		f := strings.Fields(rest) // state, parent, group
		if !ok || len(f) < 3 {
			t.Fatalf("%s is %q", name, b)
		}
		if f[2] == strconv.Itoa(group) && f[0] != "Z" && f[0] != "X" {
			return true
		}
	}
	return false
}

func TestChild(t *testing.T) {
	k, r := open(t, evekernel.Config{Run: "test"})
	if err := k.Hub().Expect(egs.StartBarrier, "one", "two"); err != nil {
		t.Fatal(err)
	}
	two := child(t, "two", "worker")
	two.Config = []byte(`{"beats": 40}`)
	start(t, k, child(t, "one", "worker"), two)
	s, err := k.Hub().Await(t.Context(), egs.StartBarrier)
	if err != nil {
		t.Fatal(err)
	}
	if s.T0 == 0 || s.Boot == "" {
		t.Errorf("start is %+v", s)
	}
	for n, want := range map[string]int64{"one": 5, "two": 40} {
		beats(t, k, n, want)
		pid, err := k.Space().Read(t.Context(), dsv.Name("eve.modules."+n+".pid"))
		if err != nil || int(pid.Value.Int) != r.await(t, n, evekernel.Ready).PID {
			t.Errorf("pid of %s is %v (error %v)", n, pid.Value, err)
		}
	}
	if err := k.Stop(t.Context(), "two", "one"); err != nil {
		t.Fatal(err)
	}
	one, other := r.await(t, "one", evekernel.Exited), r.await(t, "two", evekernel.Exited)
	if one.At < other.At {
		t.Error("one ended before two, which was to be stopped first")
	}
	gone(t, one.PID)
	gone(t, other.PID)
	beats(t, k, "one", 6)
	beats(t, k, "two", 41)
	if !strings.Contains(r.log(), "two: beats: 40") {
		t.Errorf("the log misses what the module logged:\n%s", r.log())
	}
}

// beats waits until a worker's count is want.
func beats(t *testing.T, k *evekernel.Kernel, name string, want int64) {
	t.Helper()
	var got dsv.Reading
	var err error
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(5 * time.Millisecond) {
		if got, err = k.Space().Read(t.Context(), dsv.Name(name+".beats")); err == nil && got.Value.Int == want {
			return
		}
	}
	t.Errorf("%s.beats is %d (error %v), want %d", name, got.Value.Int, err, want)
}

// TestKilled kills a module by kill -9: that is noticed, said, and known by variables; what it sent before is kept; and
// it can begin again under its name without its new deltas being taken for repeats.
func TestKilled(t *testing.T) {
	k, r := open(t, evekernel.Config{})
	if err := k.Hub().Expect(egs.StartBarrier, "one"); err != nil {
		t.Fatal(err)
	}
	start(t, k, child(t, "one", "worker"))
	e := r.await(t, "one", evekernel.Ready)
	beats(t, k, "one", 5)
	if err := syscall.Kill(e.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	e = r.await(t, "one", evekernel.Failed)
	if want := fmt.Sprintf("module one (pid %d) was killed by signal 9 (killed)", e.PID); e.Status != want {
		t.Errorf("status is %q, want %q", e.Status, want)
	}
	if v, err := k.Space().Read(t.Context(), "eve.modules.one.state"); err != nil || v.Value.Text != "failed" {
		t.Errorf("state is %v (error %v), want failed", v.Value, err)
	}
	beats(t, k, "one", 5)
	start(t, k, child(t, "one", "worker"))
	beats(t, k, "one", 10)
}

func TestFails(t *testing.T) {
	sh := func(script string) []string { return []string{"sh", "-c", script} }
	for _, c := range []struct {
		name string
		spec evekernel.ModuleSpec
		want string
	}{
		{"error", child(t, "one", "broken"), "exited with status 1; it printed: about to fail\uFFFD[2J | module one: no such disk"},
		{"unknown kind", child(t, "one", "magic"), `exited with status 1; it printed: module kind "magic": unknown; known are worker, idle, broken`},
		{"never ready", func() evekernel.ModuleSpec {
			s := child(t, "one", "idle")
			s.ReadyTimeout = 300 * time.Millisecond
			return s
		}(), "did not become ready within 300ms"},
		{"never ready, no module at all", evekernel.ModuleSpec{
			Argv: sh("echo hello; trap '' TERM; sleep 1000 & sleep 1000"), ReadyTimeout: 200 * time.Millisecond,
		}, "did not become ready within 200ms; it printed: hello"},
		{"ends at once", evekernel.ModuleSpec{Argv: sh("exit 0")}, "ended before it was ready"},
		{"leaves a child", evekernel.ModuleSpec{Argv: sh("sleep 1000 & exit 4")}, "exited with status 4"},
		{"status", evekernel.ModuleSpec{Argv: sh("exit 3")}, "exited with status 3"},
		{"last lines only", evekernel.ModuleSpec{Argv: sh("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo $i; done; exit 1")}, "exited with status 1; it printed: 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12"},
		{"function", evekernel.ModuleSpec{Func: func(context.Context, evekernel.Reach) error { return errors.New("out of luck") }}, "module one out of luck"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, r := open(t, evekernel.Config{})
			if err := k.Hub().Expect(egs.StartBarrier, "one", "two"); err != nil {
				t.Fatal(err)
			}
			waits := make(chan error, 1)
			go func() {
				_, err := k.Hub().Member("two").Join(context.Background(), egs.StartBarrier)
				waits <- err
			}()
			c.spec.Name = "one"
			if c.spec.Env == nil {
				c.spec.Env = []string{"PATH=" + os.Getenv("PATH")}
			}
			start(t, k, c.spec)
			e := r.await(t, "one", evekernel.Failed)
			if !strings.HasSuffix(e.Status, c.want) || !strings.HasPrefix(e.Status, "module one ") {
				t.Errorf("status is %q, want it to end in %q", e.Status, c.want)
			}
			if e.PID != 0 {
				gone(t, e.PID)
			}
			// Whoever waits for the dead is told who it is.
			if err := <-waits; !errors.Is(err, egs.ErrBarrier) || !strings.Contains(err.Error(), "one: ") {
				t.Errorf("join: %v, want %v that names one", err, egs.ErrBarrier)
			}
		})
	}
}

func TestCannotStart(t *testing.T) {
	k, _ := open(t, evekernel.Config{})
	for _, c := range []struct {
		spec evekernel.ModuleSpec
		want string
	}{
		{evekernel.ModuleSpec{Name: "one", Argv: []string{"/no/such/program"}}, "start module one: fork/exec /no/such/program: no such file or directory"},
		{evekernel.ModuleSpec{Name: "One", Argv: []string{"true"}}, "not a variable name"},
		{evekernel.ModuleSpec{Name: "a.b", Argv: []string{"true"}}, "not a variable name"},
		{evekernel.ModuleSpec{Name: "one"}, "want a program, a function, or somebody else who starts it: one of them"},
	} {
		if err := k.Start(t.Context(), c.spec); err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("start: %v, want %q", err, c.want)
		}
	}
	start(t, k, child(t, "one", "idle"))
	if err := k.Start(t.Context(), child(t, "one", "idle")); err == nil || err.Error() != "start module one: runs already" {
		t.Errorf("start twice: %v", err)
	}
}

// TestStopGroup stops a program that is deaf to SIGTERM and has children of its own: nothing is left.
func TestStopGroup(t *testing.T) {
	k, r := open(t, evekernel.Config{})
	start(t, k, evekernel.ModuleSpec{
		Name: "deaf", Argv: []string{"sh", "-c", "trap '' TERM; sleep 1000 & echo up; wait; sleep 1000"},
		Env: []string{"PATH=" + os.Getenv("PATH")}, ReadyTimeout: -1,
	})
	pid := r.await(t, "deaf", evekernel.Started).PID
	for late := time.Now().Add(patience); !strings.Contains(r.log(), "deaf: up"); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the program does not come up")
		}
	}
	if err := k.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := k.Modules()[0]; e.State != evekernel.Exited {
		t.Errorf("state is %+v, want exited", e)
	}
	gone(t, pid)
	if err := k.Stop(t.Context()); err != nil {
		t.Errorf("stop again: %v", err)
	}
}

// asKernel runs a kernel with two modules, prints their pids, and hangs.
func asKernel() int {
	k, err := evekernel.New(evekernel.Config{OnModule: func(e evekernel.ModuleEvent) {
		fmt.Printf("%s %s %d\n", e.Name, e.State, e.PID)
	}})
	if err == nil {
		err = k.Listen()
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ctx := context.Background()
	exe, _ := os.Executable()
	go func() {
		for _, s := range []evekernel.ModuleSpec{
			{Name: "one", Kind: "idle", Argv: []string{exe}, Env: []string{"EVE_TEST_ROLE=module"}},
			{Name: "deaf", Argv: []string{"/bin/sh", "-c", "trap '' TERM HUP PIPE; while :; do read x < /dev/zero; done"}, ReadyTimeout: -1},
		} {
			if err := k.Start(ctx, s); err != nil {
				fmt.Println(err)
			}
		}
	}()
	if err := k.Run(ctx); err != nil {
		fmt.Println(err)
	}
	return 1
}

// TestNoOrphans kills a kernel by kill -9: its modules go with it.
func TestNoOrphans(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "EVE_TEST_ROLE=kernel")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for lines := bufio.NewScanner(out); len(pids) < 2 && lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) != 3 || f[1] != "started" {
			t.Fatalf("the kernel says %q", lines.Text())
		}
		pid, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err != nil {
			t.Errorf("module %d: %v before the kernel was killed", pid, err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for _, pid := range pids {
		gone(t, pid)
	}
}
