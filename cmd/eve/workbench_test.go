package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds everything that a script waits for.
const patience = 60 * time.Second

type workbenchKey struct{}

// A workbench is what a script has started beside its own commands.
type workbench struct {
	dir     string
	docs    string // absolute
	running map[string]*exec.Cmd
	closers []func() error
}

func newWorkbench(dir string) (*workbench, error) {
	docs, err := filepath.Abs("../../docs")
	return &workbench{dir: dir, docs: docs, running: map[string]*exec.Cmd{}}, err
}

func (w *workbench) close() {
	for _, c := range w.running {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	for _, f := range w.closers {
		_ = f()
	}
}

func bench(ts *testscript.TestScript) *workbench {
	return ts.Value(workbenchKey{}).(*workbench)
}

// commands are what scripts can do beside the predefined commands:
//
//	exits CODES PROGRAM ARGS…   runs a program that must end with one of the codes, as 0 or 0,4
//	start NAME PROGRAM ARGS…    starts one, whose output goes to the files NAME.out and NAME.err
//	await FILE REGEXP           waits until a file has such a line
//	signal NAME SIGNAL          sends a signal to what was started: INT, TERM or KILL
//	killmodule MODULE           kills, at once, the process of a module of a run of this script
//	ends NAME CODES             waits for the end of what was started
//	alone                       waits until no process of this script is left, zombies aside
//	taken VARIABLE              sets VARIABLE to an address on which something listens
//	free VARIABLE               sets VARIABLE to an address on which nothing listens
//	program DOC FILE LINES      writes the first Python program that a document shows, which has at most so many lines
//	stdoutof NAME REGEXP        looks at what a program that was started has printed
//	mode FILE MODE              checks the permissions of a file: 0600
//	kernelof RUN VARIABLE       sets VARIABLE to HOST:PORT of a live run's kernel
//	json FILE PATH REGEXP       looks at a value of a JSON file, which may be stdout: clients.crowd.errors.all
//	tiny DIR SIZE               mounts a small file system (needs root)
//	fifo FILE                   makes a named pipe
//	audit RUN ASKERS MANAGERS   checks the books of a run with resource managers
//	send ADDRESS TEXT REGEXP    sends raw bytes, \r\n unquoted, and looks at the answer
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	cmds := map[string]struct {
		args int // at least
		run  func(ts *testscript.TestScript, args []string) error
	}{
		"exits": {2, exits}, "start": {2, start}, "await": {2, await}, "signal": {2, signal}, "killmodule": {1, killModule},
		"ends": {2, ends}, "alone": {0, alone}, "taken": {1, taken}, "free": {1, free}, "json": {3, jsonValue},
		"kernelof": {2, kernelOf}, "stdoutof": {2, stdoutOf}, "mode": {2, mode},
		"program": {3, program}, "secure": {2, secure},
		"tiny": {2, tiny}, "fifo": {1, fifo}, "send": {3, send}, "audit": {3, audit},
	}
	out := map[string]func(*testscript.TestScript, bool, []string){}
	for name, c := range cmds {
		out[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg || len(args) < c.args {
				ts.Fatalf("%s: wrong use", name)
			}
			ts.Check(c.run(ts, args))
		}
	}
	return out
}

func exits(ts *testscript.TestScript, args []string) error {
	return code(ts.Exec(args[1], args[2:]...), args[0])
}

// code checks an exit code.
func code(err error, want string) error {
	got := 0
	if ee, ok := errors.AsType[*exec.ExitError](err); ok {
		got = ee.ExitCode()
	} else if err != nil {
		return err
	}
	if !slices.Contains(strings.Split(want, ","), strconv.Itoa(got)) {
		return fmt.Errorf("exit code %d, want %s", got, want)
	}
	return nil
}

func start(ts *testscript.TestScript, args []string) error {
	path := args[1]
	if !strings.Contains(path, "/") {
		var err error
		if path, err = lookPath(path, ts.Getenv("PATH")); err != nil {
			return err
		}
	}
	c := exec.Command(path, args[2:]...)
	c.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "GOCOVERDIR"} {
		c.Env = append(c.Env, name+"="+ts.Getenv(name))
	}
	var err error
	if c.Stdout, err = os.Create(ts.MkAbs(args[0] + ".out")); err != nil {
		return err
	}
	if c.Stderr, err = os.Create(ts.MkAbs(args[0] + ".err")); err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	bench(ts).running[args[0]] = c
	return nil
}

func lookPath(program, path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		f := filepath.Join(dir, program)
		if st, err := os.Stat(f); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return f, nil
		}
	}
	return "", fmt.Errorf("%s: not found in %s", program, path)
}

// until asks again and again, for a while.
func until(what string, ok func() (bool, error)) error {
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	deadline := time.After(patience)
	for {
		if done, err := ok(); done || err != nil {
			return err
		}
		select {
		case <-t.C:
		case <-deadline:
			return fmt.Errorf("%s: not within %v", what, patience)
		}
	}
}

func await(ts *testscript.TestScript, args []string) error {
	re, err := regexp.Compile("(?m)" + args[1])
	if err != nil {
		return err
	}
	var text []byte
	err = until("await "+args[0]+" "+args[1], func() (bool, error) {
		text, _ = os.ReadFile(ts.MkAbs(args[0])) // it may not exist yet
		return re.Match(text), nil
	})
	if err != nil {
		ts.Logf("%s:\n%s", args[0], text)
	}
	return err
}

func signal(ts *testscript.TestScript, args []string) error {
	c := bench(ts).running[args[0]]
	s, ok := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}[args[1]]
	if c == nil || !ok {
		return fmt.Errorf("signal %s %s: nothing to signal", args[0], args[1])
	}
	return c.Process.Signal(s)
}

func ends(ts *testscript.TestScript, args []string) error {
	w := bench(ts)
	c := w.running[args[0]]
	if c == nil {
		return fmt.Errorf("%s was not started", args[0])
	}
	kill := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
	err := c.Wait()
	if !kill.Stop() {
		return fmt.Errorf("%s did not end within %v", args[0], patience)
	}
	delete(w.running, args[0])
	for _, suffix := range []string{".out", ".err"} {
		ts.Logf("%s%s:\n%s", args[0], suffix, ts.ReadFile(args[0]+suffix))
	}
	return code(err, args[1])
}

// processes lists the processes that live and belong to a script, by their environment, and their command lines.
func (w *workbench) processes() map[int]string {
	found := map[int]string{}
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range entries {
		env, err := os.ReadFile(dir + "/environ") // empty of a zombie
		if err != nil || !bytes.Contains(env, []byte("TMPDIR="+w.dir+"/")) {
			continue
		}
		line, _ := os.ReadFile(dir + "/cmdline")
		pid, _ := strconv.Atoi(filepath.Base(dir))
		found[pid] = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
	}
	return found
}

func killModule(ts *testscript.TestScript, args []string) error {
	for pid, line := range bench(ts).processes() {
		if strings.Contains(line, " module ") && strings.HasSuffix(line, " "+args[0]) {
			return syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return fmt.Errorf("no process of module %s", args[0])
}

func alone(ts *testscript.TestScript, _ []string) error {
	w := bench(ts)
	err := until("alone", func() (bool, error) { return len(w.processes()) == 0, nil })
	if err != nil {
		return fmt.Errorf("%w; left are %v", err, w.processes())
	}
	return nil
}

func taken(ts *testscript.TestScript, args []string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w := bench(ts)
	w.closers = append(w.closers, l.Close)
	ts.Setenv(args[0], l.Addr().String())
	return nil
}

func free(ts *testscript.TestScript, args []string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ts.Setenv(args[0], l.Addr().String())
	return l.Close()
}

func program(ts *testscript.TestScript, args []string) error {
	doc, err := os.ReadFile(filepath.Join(bench(ts).docs, args[0]))
	if err != nil {
		return err
	}
	_, text, ok := strings.Cut(string(doc), "```python\n")
	text, _, closed := strings.Cut(text, "```\n")
	if most, err := strconv.Atoi(args[2]); err != nil || !ok || !closed || strings.Count(text, "\n") > most {
		return fmt.Errorf("%s: want a program of at most %s lines, got %d", args[0], args[2], strings.Count(text, "\n"))
	}
	return os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600)
}

func stdoutOf(ts *testscript.TestScript, args []string) error {
	text := ts.ReadFile(args[0] + ".out")
	if !regexp.MustCompile("(?m)" + args[1]).MatchString(text) {
		return fmt.Errorf("%s has not printed %s, but:\n%s", args[0], args[1], text)
	}
	return nil
}

func mode(ts *testscript.TestScript, args []string) error {
	info, err := os.Stat(ts.MkAbs(args[0]))
	if err != nil {
		return err
	}
	if got := fmt.Sprintf("%#o", info.Mode().Perm()); got != args[1] {
		return fmt.Errorf("%s has mode %s, want %s", args[0], got, args[1])
	}
	return nil
}

func kernelOf(ts *testscript.TestScript, args []string) error {
	var live struct{ URL string }
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0]+"/live.json")), &live); err != nil {
		return err
	}
	ts.Setenv(args[1], strings.TrimSuffix(strings.TrimPrefix(live.URL, "ws://"), "/eve"))
	return nil
}

func jsonValue(ts *testscript.TestScript, args []string) error {
	var v any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &v); err != nil {
		return err
	}
	path := args[1]
	for key := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(x) {
				return fmt.Errorf("%s: no item %s of %d", path, key, len(x))
			}
			v = x[i]
		default:
			v = nil
		}
	}
	got, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if !regexp.MustCompile(args[2]).Match(got) {
		return fmt.Errorf("%s is %s, want %s", path, got, args[2])
	}
	return nil
}

func tiny(ts *testscript.TestScript, args []string) error {
	dir := ts.MkAbs(args[0])
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[1]); err != nil {
		if errors.Is(err, syscall.EPERM) {
			return nil // a container without that right: the script then sees an ordinary folder, and skips
		}
		return err
	}
	w := bench(ts)
	w.closers = append(w.closers, func() error { return syscall.Unmount(dir, syscall.MNT_DETACH) })
	return nil
}

func fifo(ts *testscript.TestScript, args []string) error {
	return syscall.Mkfifo(ts.MkAbs(args[0]), 0o600)
}

func send(_ *testscript.TestScript, args []string) error {
	c, err := net.Dial("tcp", args[0])
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	if err != nil {
		return err
	}
	if _, err := c.Write([]byte(text)); err != nil {
		return err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	var got bytes.Buffer
	_, err = got.ReadFrom(c)
	if !regexp.MustCompile(args[2]).Match(got.Bytes()) {
		return fmt.Errorf("answer %q (%v), want %s", got.String(), err, args[2])
	}
	return nil
}
