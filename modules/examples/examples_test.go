// Package examples_test runs the examples that docs/writing-modules.md shows, for real.
package examples_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/modules"
	"github.com/eve-emulation/eve/modules/examples/probe"
	"github.com/eve-emulation/eve/modules/examples/sensor"
)

const patience = time.Minute

// TestMain lets the test's own program be the probe's process.
func TestMain(m *testing.M) {
	if os.Getenv("EVE_KERNEL") != "" {
		r, err := modules.NewRegistry(probe.Spec, sensor.Spec)
		if err == nil {
			err = modules.Main(context.Background(), r, os.Getenv("EVE_KIND"), os.Getenv("EVE_MODULE"), os.Getenv)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// running starts a kernel with a module in Go, which is this program, and one in Python. said tells what they logged, and
// which failed.
func running(t *testing.T, kind, config, program string) (ctx context.Context, k *evekernel.Kernel, said func() string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var lines []string
	say := func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
	}
	k, err = evekernel.New(evekernel.Config{
		Log: func(l evekernel.Line) { say(l.Module + ": " + l.Text) },
		OnModule: func(e evekernel.ModuleEvent) {
			if e.State == evekernel.Failed {
				say("failed: " + e.Status)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	ran := make(chan error, 1)
	go func() { ran <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := k.Hub().Expect(egs.StartBarrier, kind, program); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1", "GOCOVERDIR=" + os.Getenv("GOCOVERDIR")}
	for _, s := range []evekernel.ModuleSpec{
		{Name: kind, Kind: kind, Argv: []string{exe}, Env: env, Config: []byte(config), ReadyTimeout: patience},
		{Name: program, Argv: []string{python, program + ".py"}, Dir: "python", Env: env, ReadyTimeout: patience},
	} {
		if err := k.Start(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	return ctx, k, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(lines, "\n")
	}
}

// stop ends modules, which have to end in order.
func stop(ctx context.Context, t *testing.T, k *evekernel.Kernel, names ...string) {
	t.Helper()
	if err := k.Stop(ctx, names...); err != nil {
		t.Fatal(err)
	}
	for _, e := range k.Modules() {
		if e.State != evekernel.Exited || strings.Contains(e.Status, "signal") || strings.Contains(e.Status, "status") {
			t.Errorf("%s is %s: %s", e.Name, e.State, e.Status)
		}
	}
}

// TestSensorAndAdviser runs a source in Go that asks, and a sink in Python that answers: it says something else once its
// filter has been replaced.
func TestSensorAndAdviser(t *testing.T) {
	ctx, k, said := running(t, "sensor", "{}", "adviser")
	for _, todo := range []string{"cool", "rest"} {
		for !strings.Contains(said(), "sensor: adviser advises: "+todo) {
			select {
			case <-ctx.Done():
				t.Fatalf("nobody advises to %s:\n%s", todo, said())
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	stop(ctx, t, k, "adviser", "sensor")
}

// TestProbeAndController runs a probe in Go and the controller in Python that steers it: the probe begins with a pause
// of 1 ms, at some hundred round trips a second, and is slowed down towards 100.
func TestProbeAndController(t *testing.T) {
	ctx, k, said := running(t, "probe", `{"pause": 0.0005}`, "controller")
	decided, err := k.Space().Watch(ctx, dsv.WatchRequest{Pattern: "controller.decision", Mode: dsv.All})
	if err != nil {
		t.Fatal(err)
	}
	var d struct{ At, Rate, Pause float64 }
	for slower := false; !slower; {
		u, err := decided.Next(ctx)
		if err != nil {
			t.Fatalf("%v; log:\n%s", err, said())
		}
		if err := json.Unmarshal([]byte(u.Reading.Value.Text), &d); err != nil {
			t.Fatal(err)
		}
		slower = d.Pause > 0.002
	}
	for { // what was decided steers the probe
		r, err := k.Space().Read(ctx, "probe.pause")
		if err != nil {
			t.Fatal(err)
		}
		if r.Value.Float >= 0.001 {
			break
		}
	}
	stop(ctx, t, k, "controller", "probe")
	r, err := k.Space().Read(context.Background(), "probe.round_trip")
	if err != nil || r.Value.Hist.Count() == 0 {
		t.Errorf("the probe measured %v (error %v)", r.Value, err)
	}
	if !strings.Contains(said(), "controller: ") {
		t.Error("what the controller printed is not in the log")
	}
}

// TestDocument checks that the documents show the examples as they are.
func TestDocument(t *testing.T) {
	for page, paths := range map[string][]string{
		"writing-modules.md":     {"probe/probe.go", "python/controller.py"},
		"writing-controllers.md": {"ladder/ladder.go", "python/steered.yaml"},
	} {
		doc, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(doc), string(src)) {
				t.Errorf("%s does not show %s as it is", page, path)
			}
		}
	}
}
