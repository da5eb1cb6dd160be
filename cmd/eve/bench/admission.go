package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/scenarios"
)

// Admission measures admission in two phases: the policies in virtual time, with one run for real beside it (2P), and forwarding (K5); and SEDA's
// load shedding (S3) and overload control (S4) on real sockets, with virtual time beside them.
func Admission(ctx context.Context, cfg Config) (*Report, error) {
	p, s, k := &phases{cfg: cfg}, &shedders{cfg: cfg}, &forwarder{cfg: cfg}
	return measure("admission", cfg,
		func(r *Report) error { return p.run(ctx, r) },
		func(r *Report) error { return k.run(ctx, r) },
		func(r *Report) error { return s.run(ctx, r) },
	)
}

// A trial is what one run of a scenario left behind, in virtual time or for real.
type trial struct {
	plan *scenario.Plan
	h    runs.History
}

// virtual runs a scenario in virtual time.
func virtual(ctx context.Context, plan *scenario.Plan) (trial, error) {
	m := &memory{updates: map[dsv.Name][]dsv.Update{}}
	s, err := sim.New(ctx, plan, dsv.NewStore(m))
	if err != nil {
		return trial{}, err
	}
	return trial{plan, m}, s.Run(ctx, nil)
}

// real runs a shipped scenario on real sockets, as a process of its own, and then calls read with what it left behind.
func (c Config) real(ctx context.Context, name string, set []string, read func(trial) error) error {
	dir, err := os.MkdirTemp("", "eve-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	src, err := scenarios.Open(name)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, name+".yaml")
	if err := os.WriteFile(file, src, 0o600); err != nil {
		return err
	}
	out := filepath.Join(dir, "run")
	args := append(slices.Clone(c.Self[1:len(c.Self)-2]), "run", file, "--out", out) // Self ends with: bench part
	for _, s := range set {
		args = append(args, "--set", s)
	}
	cmd := exec.CommandContext(ctx, c.Self[0], args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the bench, which ends it
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	if said, err := cmd.CombinedOutput(); err != nil {
		// What the scenario expects, and whether the generator kept up, is judged here.
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || runs.Exit(exit.ExitCode()) != runs.ExitExpectFailed && runs.Exit(exit.ExitCode()) != runs.ExitGeneratorLimited {
			return fmt.Errorf("run %s: %w: %s", name, err, lastLine(string(said)))
		}
	}
	f, err := runs.Open(out)
	if err != nil {
		return err
	}
	plan, err := f.Plan(nil)
	if err == nil {
		err = read(trial{plan, f.History()})
	}
	return errors.Join(err, f.Close())
}

// inVirtualTime runs a shipped scenario in virtual time, and then calls read with what it left behind.
func inVirtualTime(ctx context.Context, name string, set []string, read func(trial) error) error {
	plan, err := shippedPlan(name, set)
	if err != nil {
		return err
	}
	t, err := virtual(ctx, plan)
	if err != nil {
		return err
	}
	return read(t)
}

// shippedPlan is a shipped scenario with some values set.
func shippedPlan(name string, set []string) (*scenario.Plan, error) {
	src, err := scenarios.Open(name)
	if err != nil {
		return nil, err
	}
	return scenario.Load(name, src, scenario.Options{Set: set})
}

// sum is what was counted of a variable in (from, to].
func (t trial) sum(n dsv.Name, from, to dsv.Instant) (sum float64, err error) {
	err = t.h.History(n, from, to, func(u dsv.Update) error {
		if u.Delta != nil {
			x, _ := u.Delta.Value.Number()
			sum += x
		}
		return nil
	})
	return sum, err
}

// hist is what a histogram holds of (from, to].
func (t trial) hist(n dsv.Name, from, to dsv.Instant) (*dsv.Hist, error) {
	var sum dsv.HistSum
	err := t.h.History(n, from, to, func(u dsv.Update) error {
		if u.Delta != nil && u.Delta.Value.Kind == dsv.Histogram {
			sum.Add(u.Delta.Value.Hist)
		}
		return nil
	})
	return sum.Hist(), err
}

// bounds are the instants between which a run is measured.
func (t trial) bounds() (from, to dsv.Instant) { return dsv.At(t.plan.Warmup), dsv.At(t.plan.Duration) }

// memory is a history in memory, and the recorder that makes it.
type memory struct {
	declarations []dsv.Declaration
	updates      map[dsv.Name][]dsv.Update
}

// Declare implements dsv.Recorder.
func (m *memory) Declare(d dsv.Declaration) error {
	m.declarations = append(m.declarations, d)
	return nil
}

// Record implements dsv.Recorder.
func (m *memory) Record(u dsv.Update) error {
	if u.Delta == nil {
		return nil
	}
	d := *u.Delta // the Store's, until this returns
	u.Delta = &d
	m.updates[u.Name] = append(m.updates[u.Name], u)
	return nil
}

// Flush implements dsv.Recorder.
func (m *memory) Flush() error { return nil }

// Close implements dsv.Recorder.
func (m *memory) Close() error { return nil }

// Declarations implements runs.History.
func (m *memory) Declarations() []dsv.Declaration { return m.declarations }

// History implements runs.History.
func (m *memory) History(n dsv.Name, from, to dsv.Instant, fn func(dsv.Update) error) error {
	for _, u := range m.updates[n] {
		if u.Delta.T1 <= from || u.Delta.T1 > to {
			continue
		}
		if err := fn(u); err != nil {
			return err
		}
	}
	return nil
}
