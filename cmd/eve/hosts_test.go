package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A host is a network namespace: as far as sockets go, a machine of its own.
type host struct {
	t    *testing.T
	name string
	addr string
	dir  string // where its programs run
}

// twoHosts makes two hosts that are joined by a wire; the test is skipped where nobody may.
func twoHosts(t *testing.T) (a, b *host) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip (iproute2) is not installed")
	}
	id := os.Getpid() % 100_000
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, filepath.Join(dir, "eve")); err != nil { // under this name it is eve, see TestMain
		t.Fatal(err)
	}
	a = &host{t, fmt.Sprintf("eve%da", id), "10.77.0.1", dir}
	b = &host{t, fmt.Sprintf("eve%db", id), "10.77.0.2", dir}
	for _, h := range []*host{a, b} {
		if out, err := exec.Command("ip", "netns", "add", h.name).CombinedOutput(); err != nil {
			t.Skipf("no network namespaces here: %v: %s", err, out)
		}
		t.Cleanup(func() { ip(t, "netns", "del", h.name) })
	}
	ip(t, "link", "add", a.name, "netns", a.name, "type", "veth", "peer", "name", b.name, "netns", b.name)
	for _, h := range []*host{a, b} {
		ip(t, "-n", h.name, "addr", "add", h.addr+"/24", "dev", h.name)
		ip(t, "-n", h.name, "link", "set", h.name, "up")
		ip(t, "-n", h.name, "link", "set", "lo", "up")
	}
	return a, b
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Errorf("ip %v: %v: %s", args, err, out)
	}
}

// shell prepares a command line on the host, whose output goes to out.
func (h *host) shell(ctx context.Context, out *bytes.Buffer, line string) *exec.Cmd {
	c := exec.CommandContext(ctx, "ip", "netns", "exec", h.name, "sh", "-c", "exec "+line)
	c.Dir, c.Env = h.dir, append(os.Environ(), "PATH="+h.dir+":"+os.Getenv("PATH"))
	c.Stdout, c.Stderr = out, out
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	return c
}

// TestTwoHosts starts a kernel on one host, and on the other the modules that its run needs, by the commands that it
// prints.
func TestTwoHosts(t *testing.T) {
	t.Parallel()
	a, b := twoHosts(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var said, wrong bytes.Buffer
	kernel := a.shell(ctx, &wrong, "eve kernel hello --duration 3s --listen 10.77.0.1:7300 --allow-remote --token-file key --out run")
	kernel.Stdout = nil
	out, err := kernel.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := kernel.Start(); err != nil {
		t.Fatal(err)
	}
	var started sync.WaitGroup
	defer started.Wait()
	defer cancel()
	logs := make([]bytes.Buffer, 0, 10) // grows no further: its items are written to
	var began []string
	address := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		said.WriteString(line + "\n")
		switch {
		case strings.HasPrefix(line, "eve module ") && len(logs) < cap(logs):
			logs = append(logs, bytes.Buffer{})
			c := b.shell(ctx, &logs[len(logs)-1], strings.ReplaceAll(line, "HOST", b.addr))
			started.Go(func() {
				if err := c.Run(); err != nil {
					t.Errorf("%s: %v: %s", line, err, c.Stdout)
				}
			})
			began = append(began, strings.Fields(line)[3])
		case strings.HasPrefix(line, "1.0 s of 3 s"):
			var vars bytes.Buffer
			if err := a.shell(ctx, &vars, "eve vars --run run server_1.address").Run(); err != nil {
				t.Errorf("vars: %v: %s", err, &vars)
			}
			address = vars.String()
		}
	}
	err = kernel.Wait()
	if code := kernel.ProcessState.ExitCode(); code != 0 && code != 4 {
		t.Fatalf("the kernel ended with %v; it said:\n%s%s", err, &said, &wrong)
	}
	if want := []string{"server_1", "visitors"}; !slices.Equal(began, want) {
		t.Errorf("the kernel asked for %v, want %v", began, want)
	}
	if !strings.Contains(address, b.addr+":") {
		t.Errorf("server_1 is at %q, want one of %s", address, b.addr)
	}
	if !strings.Contains(said.String(), "nothing is encrypted") {
		t.Errorf("nobody was told that nothing is encrypted:\n%s", &said)
	}
	checkHello(t, filepath.Join(a.dir, "run"))
}

// checkHello looks at the summary of a run of hello.
func checkHello(t *testing.T, run string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(run, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Clients map[string]struct {
			Requests int
			Errors   map[string]int
		}
		Expect []struct{ Verdict string }
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	v := s.Clients["visitors"]
	if v.Requests == 0 || v.Errors["all"] != 0 || len(s.Expect) == 0 {
		t.Errorf("the summary tells %+v", s)
	}
	for _, e := range s.Expect {
		if e.Verdict != "pass" {
			t.Errorf("a verdict is %q, want pass", e.Verdict)
		}
	}
	if _, err := os.Stat(filepath.Join(run, "live.json")); err == nil {
		t.Error("live.json is still there")
	}
}
