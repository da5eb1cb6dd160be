package app_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/cmd/eve/app"
)

// TestMain lets the test binary be a module of the runs that it starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "module" {
		app.Main(app.Shipped()...)
	}
	os.Exit(m.Run())
}

// output is written by a command and read by its test.
type output struct {
	mu  sync.Mutex // guards b
	b   bytes.Buffer
	saw func(text string) // called, with all that was written, on every write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.b.Write(p)
	if o.saw != nil {
		o.saw(o.b.String())
	}
	return n, err
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// eve runs a command line in this process and checks that it leaves no goroutine behind.
func eve(t *testing.T, ctx context.Context, out *output, args ...string) (code int) {
	t.Helper()
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreTopFunction("os/signal.loop"))
	return app.Run(ctx, args, out, out, app.Shipped()...)
}

func TestNothingIsLeftRunning(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name   string
		args   []string
		cancel string // what the output has when the command is interrupted; empty: it is not
		codes  []int
	}{
		{"a run", []string{"run", "hello", "--duration", "1500ms", "--out", filepath.Join(dir, "run")}, "", []int{0, 4}},
		{"a run interrupted", []string{"run", "hello", "--out", filepath.Join(dir, "early")}, " 1.0 s of 5 s", []int{130}},
		{"a run interrupted at its start", []string{"run", "hello", "--out", filepath.Join(dir, "start")}, "→", []int{130}},
		{"a run that cannot begin", []string{
			"run", "hello", "--out", filepath.Join(dir, "never"), "--set", "servers.server_1.listen=192.0.2.1:1",
		}, "", []int{1, 2}},
		{"a simulation", []string{"sim", "hello", "--duration", "2s", "--out", filepath.Join(dir, "sim")}, "", []int{0}},
		{"a server", []string{"serve", "--listen", "127.0.0.1:0"}, "listening on", []int{0}},
		{"a load of nothing", []string{"load", "http://127.0.0.1:1/", "--users", "1"}, "", []int{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			out := &output{}
			if c.cancel != "" {
				out.saw = func(text string) {
					if strings.Contains(text, c.cancel) {
						cancel()
					}
				}
			}
			got := eve(t, ctx, out, c.args...)
			if slices.Contains(c.codes, got) {
				return
			}
			t.Errorf("exit code %d, want %v; it printed:\n%s", got, c.codes, out)
		})
	}
}

// Two runs at once in one process do not disturb each other: nothing is global.
func TestRunsBesideEachOther(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		wg.Go(func() {
			out := &output{}
			if code := app.Run(t.Context(), []string{"sim", "hello", "--duration", "2s", "--out", filepath.Join(dir, name)}, out, out, app.Shipped()...); code != 0 {
				t.Errorf("exit code %d, want 0; it printed:\n%s", code, out)
			}
		})
	}
	wg.Wait()
	a, errA := os.ReadFile(filepath.Join(dir, "a", "summary.json"))
	b, errB := os.ReadFile(filepath.Join(dir, "b", "summary.json"))
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("summaries differ (%v, %v)", errA, errB)
	}
}
