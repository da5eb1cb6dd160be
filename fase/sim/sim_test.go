package sim_test

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
	"github.com/eve-emulation/eve/scenarios"
)

// shipped loads a shipped scenario.
func shipped(t testing.TB, name string, o scenario.Options) *scenario.Plan {
	t.Helper()
	src, err := scenarios.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	o.ReadFile = func(path string) ([]byte, error) { return fs.ReadFile(scenarios.FS(), path) }
	return load(t, name, src, o)
}

func load(t testing.TB, name string, src []byte, o scenario.Options) *scenario.Plan {
	t.Helper()
	p, err := scenario.Load(name, src, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A simulation is what is left of one: its plan and all that it measured.
type simulation struct {
	plan    *scenario.Plan
	history *runstest.Memory
}

func simulate(t testing.TB, p *scenario.Plan) *simulation {
	t.Helper()
	m := runstest.NewMemory()
	s, err := sim.New(context.Background(), p, dsv.NewStore(m))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	return &simulation{p, m}
}

func (s *simulation) summary() *runs.Summary {
	return runs.Summarise(s.plan, s.history, runs.Extras{Version: "test"})
}

// requests are what a group recorded, in the order in which they were due.
func (s *simulation) requests(t testing.TB, group string) []user.Record {
	t.Helper()
	var rs []user.Record
	err := runs.Requests(s.history, group, func(r user.Record) error {
		rs = append(rs, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(rs, func(a, b user.Record) int { return cmp.Compare(a.Due, b.Due) })
	return rs
}

// visits are what the servers recorded of a service, in order of arrival.
func (s *simulation) visits(t testing.TB, svc string) []runs.Visit {
	t.Helper()
	var vs []runs.Visit
	err := runs.Visits(s.history, svc, func(v runs.Visit) error {
		vs = append(vs, v)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(vs, func(a, b runs.Visit) int { return cmp.Compare(a.Arrived, b.Arrived) })
	return vs
}

// area is the integral over the whole run of what a weighted mean measures: of a number of jobs, in job-seconds.
func (s *simulation) area(t testing.TB, n dsv.Name) float64 {
	t.Helper()
	sum := 0.0
	err := s.history.History(n, -1, dsv.Never, func(u dsv.Update) error {
		sum += u.Delta.Value.Float
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// planned are the jobs of an open group whose request asks one server for CPU time.
func planned(g *user.Config) []exact.Job {
	var jobs []exact.Job
	for key, due := range g.Arrivals() {
		jobs = append(jobs, exact.Job{Arrival: due, Demand: cpu(g.Request, key)})
	}
	return jobs
}

func cpu(b *rdr.Block, key rdr.Key) int64 {
	var sum int64
	b.Draw(key, "", func(d *rdr.Demand) {
		switch d.Op {
		case rdr.OpCall:
			sum += cpu(d.Block, d.Key)
		case rdr.OpCPU:
			sum += d.N
		}
	})
	return sum
}

func TestShippedScenariosRun(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and one goroutine: the race detector has nothing to find")
	}
	for _, s := range scenarios.List() {
		t.Run(s.Name, func(t *testing.T) {
			p := shipped(t, s.Name, scenario.Options{AnyKind: true})
			if len(p.Targets)+len(p.Modules) > 0 {
				_, err := sim.New(context.Background(), p, dsv.NewStore(nil))
				if !errors.Is(err, sim.ErrReal) {
					t.Errorf("a scenario with something real: got %v, want ErrReal", err)
				}
				return
			}
			got := simulate(t, p).summary()
			for name, c := range got.Clients {
				if c.Requests == 0 {
					t.Errorf("%s: no request ended", name)
				}
				if !c.Accounting.Balanced || c.ArrivalsOffPlan != 0 {
					t.Errorf("%s: books %+v, off plan %d", name, c.Accounting, c.ArrivalsOffPlan)
				}
			}
			if b := got.Books; b.Verdict != stat.Pass {
				t.Errorf("books: got %+v, want that all balance", b)
			}
			for _, e := range got.Expect {
				if e.Verdict != "pass" {
					t.Errorf("expect %s: got %s with %v %s", e.Text, e.Verdict, e.Readings, e.Reason)
				}
			}
			if len(got.Warnings) > 0 {
				t.Errorf("warnings: got %q, want none", got.Warnings)
			}
		})
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and one goroutine: the race detector has nothing to find")
	}
	for _, name := range []string{"mm1", "flash-crowd", "hello"} {
		t.Run(name, func(t *testing.T) {
			results := func(seed uint64) string {
				b, err := simulate(t, shipped(t, name, scenario.Options{Seed: &seed})).summary().Bytes()
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			}
			first, second := results(11), results(11)
			if first != second {
				t.Errorf("one seed, two results:\n%s\n%s", first, second)
			}
			if first == results(12) {
				t.Error("two seeds, one result")
			}
		})
	}
}

// An interrupted simulation keeps its books up to then.
func TestInterrupted(t *testing.T) {
	p := shipped(t, "mm1", scenario.Options{})
	m := runstest.NewMemory()
	s, err := sim.New(context.Background(), p, dsv.NewStore(m))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err = s.Run(ctx, func(at dsv.Instant) {
		if at >= dsv.At(10*time.Second) {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("run: got %v, want canceled", err)
	}
	got := runs.Summarise(p, m, runs.Extras{Interrupted: true})
	if c := got.Clients["jobs"]; !c.Accounting.Balanced || c.Accounting.Issued < 500 || c.Accounting.Issued > 900 {
		t.Errorf("books after 10 s at 70/s: got %+v", c.Accounting)
	}
	if got.Window.To != 10 {
		t.Errorf("window ends at %v s, want 10", got.Window.To)
	}
}
