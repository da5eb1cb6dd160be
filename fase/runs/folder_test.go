package runs_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
)

func day() time.Time { return time.Date(2026, 8, 1, 12, 30, 5, 0, time.UTC) }

func TestFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	plan := runstest.Plan(time.Minute, 0, []string{"g"}, nil, nil)
	plan.Name = "flash-crowd"
	plan.Inputs = map[string][]byte{"sizes.txt": []byte("1 2 3"), "traces/a.csv": []byte("4")}
	var dirs []string
	for range 2 {
		f, err := runs.Create("", plan, day())
		if err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, f.Dir())
		if len(dirs) == 1 { // the wait for whoever writes takes two seconds
			if _, err := runs.Open(f.Dir()); !errors.Is(err, dsvbolt.ErrInUse) {
				t.Errorf("open while it is written: got %v, want ErrInUse", err)
			}
		}
		if err := f.WriteEnvironment(runs.Here("1", day())); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if dirs[0] != "runs/flash-crowd-20260801-123005" || dirs[1] != dirs[0]+"-2" {
		t.Errorf("got folders %q", dirs)
	}
	for name, want := range map[string]string{"scenario.yaml": string(plan.Text), "inputs/sizes.txt": "1 2 3", "inputs/traces/a.csv": "4"} {
		if got, err := os.ReadFile(filepath.Join(dirs[0], name)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}

	f, err := runs.Open(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Summary(); !errors.Is(err, runs.ErrNoSummary) {
		t.Errorf("before the end: got %v, want ErrNoSummary", err)
	}
	if err := f.Finish(runs.Summarise(plan, f.History(), runs.Extras{Version: "1"})); err != nil {
		t.Fatal(err)
	}
	if s, err := f.Summary(); err != nil || s.Scenario != "flash-crowd" || s.Seed != 7 {
		t.Errorf("got %+v, %v", s, err)
	}
	if left, err := filepath.Glob(dirs[0] + "/.*"); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v %v", left, err)
	}
	list, err := runs.List(runs.DefaultRoot)
	if err != nil || len(list) != 2 || !list[0].Finished || list[1].Finished || !list[0].Start.Equal(day()) {
		t.Errorf("got %+v, %v, want both, one of them finished", list, err)
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	plan := runstest.Plan(time.Minute, 0, nil, nil, nil)
	dir := t.TempDir()
	kept := filepath.Join(dir, "thesis.tex")
	if err := os.WriteFile(kept, []byte("years"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := runs.Create(dir, plan, day()); !errors.Is(err, runs.ErrNotEmpty) {
		t.Errorf("got %v, want ErrNotEmpty", err)
	}
	if b, err := os.ReadFile(kept); err != nil || string(b) != "years" {
		t.Errorf("got %q, %v", b, err)
	}

	plan.Inputs = map[string][]byte{"../escape": nil}
	outer := t.TempDir()
	if _, err := runs.Create(filepath.Join(outer, "run"), plan, day()); err == nil {
		t.Error("an input outside of the folder was accepted")
	}
	if entries, err := os.ReadDir(outer); err != nil || len(entries) != 0 {
		t.Errorf("got %v, %v left behind, want nothing", entries, err)
	}
}

func TestOpenWhatIsNotARun(t *testing.T) {
	if _, err := runs.Open(t.TempDir()); !errors.Is(err, runs.ErrNotRun) {
		t.Errorf("got %v, want ErrNotRun", err)
	}
	if list, err := runs.List(filepath.Join(t.TempDir(), "none")); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v, want none", list, err)
	}
}

const tiny = `eve: 1
name: tiny
duration: 10s
seed: 3
requests: |
  request page { call app { cpu 5ms } }
servers:
  s: {cpus: 1}
services:
  app: {on: [s]}
clients:
  g: {request: page, arrive: constant, rate: 10/s}
expect:
  - g.requests > 0
`

// TestRescue kills a run, in that nobody closes its folder orderly, and computes the summary from what is left.
func TestRescue(t *testing.T) {
	plan, err := scenario.Load("tiny.yaml", []byte(tiny), scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	f, err := runs.Create(dir, plan, day())
	if err != nil {
		t.Fatal(err)
	}
	w, err := runstest.NewWriter(plan, f.Store())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		request(w, float64(i)*0.1+0.05, 0, 0.005)
	}
	if err := w.Advance(sec(4)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f, err = runs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := f.SummaryOrRescue(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Clients["g"]; !s.Interrupted || s.Window.To != 4 || c.Requests != 40 || len(s.Warnings) == 0 || s.Expect[0].Verdict != "pass" {
		t.Errorf("got %+v", s)
	}
}

func TestDamagedStore(t *testing.T) {
	plan := runstest.Plan(time.Minute, 0, []string{"g"}, nil, nil)
	dir := filepath.Join(t.TempDir(), "run")
	f, err := runs.Create(dir, plan, day())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Finish(runs.Summarise(plan, f.History(), runs.Extras{})); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, runs.StoreFile), 10000); err != nil {
		t.Fatal(err)
	}
	f, err = runs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !errors.Is(f.Damage(), dsvbolt.ErrDamaged) {
		t.Errorf("got damage %v, want ErrDamaged", f.Damage())
	}
	if s, err := f.Summary(); err != nil || s.Scenario != "synthetic" {
		t.Errorf("got %+v, %v, want the summary", s, err)
	}
	if got := len(f.History().Declarations()); got != 0 {
		t.Errorf("got %d declarations, want none", got)
	}
}

// TestGapsAreTold damages the page that tells a file's newest transaction.
func TestGapsAreTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	plan := runstest.Plan(time.Minute, 0, []string{"g"}, nil, nil)
	f, err := runs.Create(dir, plan, day())
	if err != nil {
		t.Fatal(err)
	}
	if got := runs.Gaps(f.History()); len(got) != 0 {
		t.Errorf("got %q of a new file, want nothing", got)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, runs.StoreFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for page := range 2 {
		b := slices.Clone(whole)
		b[4096*page+16+63] ^= 1 // of the page's checksum
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := runs.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		s := runs.Summarise(plan, f.History(), runs.Extras{})
		if slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.Contains(w, "missing between the revisions") }) {
			told++
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if told != 1 {
		t.Errorf("got %d warnings, want one: for the newer of two pages", told)
	}
}

func TestStoreOutlivesItsSpace(t *testing.T) {
	f, err := runs.Create(filepath.Join(t.TempDir(), "run"), runstest.Plan(time.Minute, 0, nil, nil, nil), day())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	space := dsv.NewStore(f.Store())
	if err := space.Create(context.Background(), dsv.Declaration{Name: "x", Kind: dsv.Float, History: true}); err != nil {
		t.Fatal(err)
	}
	if err := space.Close(); err != nil {
		t.Fatal(err)
	}
	if got := len(f.History().Declarations()); got != 1 {
		t.Errorf("got %d declarations after the space was closed, want 1", got)
	}
}

func TestProbe(t *testing.T) {
	p := runs.StartProbe()
	t0 := time.Now()
	busy := 0.0
	for time.Since(t0) < 300*time.Millisecond { // the probe measures this very time
		busy += math.Sqrt(busy + 1)
	}
	n := p.Stop(t0)
	if len(n.Intervals) == 0 || n.Overshoot.Count == 0 || !(n.Overshoot.Max >= n.Overshoot.P50) {
		t.Fatalf("got %+v, want an interval with sleeps", n)
	}
	if own := n.Intervals[0].Own; !(own > 0) {
		t.Errorf("got %v of the CPUs for this busy test, want more than none", own)
	}
	if n.Clean != (len(n.Reasons) == 0) {
		t.Errorf("got clean %v with reasons %v", n.Clean, n.Reasons)
	}
	if i := n.Intervals[0]; n.CleanAt(float64(i.From), float64(i.To)) != i.Clean || n.CleanAt(1e6, 1e6+1) {
		t.Errorf("CleanAt disagrees with %+v", i)
	}
}
