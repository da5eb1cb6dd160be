package sweep_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/sweep"
)

func definition(t *testing.T) *sweep.Definition {
	t.Helper()
	return &sweep.Definition{
		Sweep: sweep.DefinitionVersion, Eve: "test", Scenario: "mm1", Name: "mm1", Kind: runs.Virtual, SHA256: "ab", Seeds: []uint64{1, 2},
		Axes:    []sweep.Axis{axis(t, "a=1..3"), axis(t, "b=[x,y]")},
		Metrics: []sweep.Metric{{Name: "jobs mean", Unit: "s", Group: "jobs", Figure: sweep.Mean}, {Name: "p95(jobs.latency)", Unit: "s"}},
	}
}

// result is what a point came to with a seed: some function of both that no decimal writes exactly.
func result(point int, seed uint64) sweep.Result {
	x := math.Sqrt(float64(point+2)) / float64(seed+2)
	return sweep.Result{
		Point: point, Seed: seed, Busiest: fmt.Sprintf("s%d.cpu", point%2),
		Values: map[string]sweep.Reading{"jobs mean": {Value: runs.Number(x), Low: runs.Number(x * 0.9), High: runs.Number(x * 1.1)}, "p95(jobs.latency)": sweep.Exactly(3 * x)},
	}
}

// table is that of a log as CSV and JSON.
func table(t *testing.T, d *sweep.Definition, l *sweep.Log) string {
	t.Helper()
	x, err := sweep.Tabulate(d, l.Result, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := errors.Join(x.CSV(&b), x.JSON(&b)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestResume cuts a sweep off at bytes all over what it has written, and goes on: the table is the same as of one in one go.
func TestResume(t *testing.T) {
	d := definition(t)
	whole := filepath.Join(t.TempDir(), "whole")
	l, err := sweep.Create(whole, d)
	if err != nil {
		t.Fatal(err)
	}
	for _, seed := range d.Seeds {
		for p := range 6 {
			if err := l.Add(result(p, seed)); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := table(t, d, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(filepath.Join(whole, sweep.ResultsFile))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "cut")
	l, err = sweep.Create(dir, d)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	for n := 0; n <= len(written); n += 29 {
		if err := os.WriteFile(filepath.Join(dir, sweep.ResultsFile), written[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := sweep.Resume(dir, d)
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		if got, lines := l.Done(), bytes.Count(written[:n], []byte("\n")); got != lines {
			t.Fatalf("cut at %d: %d results of %d whole lines", n, got, lines)
		}
		for p := range 6 { // in another order
			for _, seed := range d.Seeds {
				if _, ok := l.Result(p, seed); !ok {
					if err := l.Add(result(p, seed)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		got := table(t, d, l)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("cut at %d: got\n%s\nwant\n%s", n, got, want)
		}
	}
}

func TestLogIsOnes(t *testing.T) {
	d := definition(t)
	dir := filepath.Join(t.TempDir(), "s")
	// One that was killed while it wrote what it is has left no more than a beginning: nothing is in the way.
	if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, sweep.DefinitionFile+".tmp"), []byte("{"), 0o644)); err != nil {
		t.Fatal(err)
	}
	l, err := sweep.Create(dir, d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sweep.Resume(dir, d); !errors.Is(err, sweep.ErrInUse) {
		t.Errorf("a second process: got %v", err)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := sweep.Create(dir, d); !errors.Is(err, sweep.ErrExists) {
		t.Errorf("a second sweep: got %v", err)
	}
	if _, err := sweep.Resume(t.TempDir(), d); !errors.Is(err, sweep.ErrNone) {
		t.Errorf("no sweep: got %v", err)
	}
	for what, change := range map[string]func(d *sweep.Definition){
		"--sim":    func(d *sweep.Definition) { d.Kind = runs.Real },
		"seeds":    func(d *sweep.Definition) { d.Seeds = []uint64{1} },
		"--over":   func(d *sweep.Definition) { d.Axes = d.Axes[:1] },
		"--metric": func(d *sweep.Definition) { d.Metrics = d.Metrics[:1] },
		"changed":  func(d *sweep.Definition) { d.SHA256 = "cd" },
	} {
		other := *d
		change(&other)
		if _, err := sweep.Resume(dir, &other); !errors.Is(err, sweep.ErrDiffers) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, sweep.ResultsFile), []byte("{\n{\"point\":1,\"seed\":2}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := sweep.Resume(dir, d); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a broken line amid others: got %v", err)
	}
}

// TestLogTogether has several goroutines keep results, one of which fails first and succeeds later.
func TestLogTogether(t *testing.T) {
	d := definition(t)
	l, err := sweep.Create(filepath.Join(t.TempDir(), "s"), d)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for p := range 6 {
		wg.Go(func() {
			for _, seed := range d.Seeds {
				if err := errors.Join(l.Add(sweep.Result{Point: p, Seed: seed, Error: "no luck"}), l.Add(result(p, seed))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := l.Done(); got != 12 {
		t.Errorf("got %d results, want 12", got)
	}
	was := table(t, d, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = sweep.Resume(l.Dir(), d); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := table(t, d, l); got != was {
		t.Errorf("read again: got\n%s\nwant\n%s", got, was)
	}
}
