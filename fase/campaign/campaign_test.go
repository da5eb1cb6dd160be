package campaign_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/scenarios"
)

func shipped(t testing.TB, name string, o scenario.Options) *scenario.Plan {
	t.Helper()
	src, err := scenarios.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	o.ReadFile = func(path string) ([]byte, error) { return fs.ReadFile(scenarios.FS(), path) }
	p, err := scenario.Load(name, src, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What is simulated in memory is, to the byte, what a store and a recorder are told.
func TestSimulateIsARun(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; other tests run side by side as well")
	}
	for name, set := range map[string][]string{"mm1": {"duration=20s", "warmup=2s"}, "flash-crowd": {"duration=30s"}} {
		p := shipped(t, name, scenario.Options{Set: set})
		m := runstest.NewMemory()
		s, err := sim.New(t.Context(), p, dsv.NewStore(m))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		want := text(t, runs.Summarise(p, m, runs.Extras{Version: "test", Kind: runs.Virtual}))
		r, err := campaign.Simulate(t.Context(), p, campaign.Options{Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, r.Summary); !bytes.Equal(got, want) {
			t.Errorf("%s: summary: got\n%s\nwant\n%s", name, got, want)
		}
		if r.Stopped || r.At != dsv.At(p.Duration) {
			t.Errorf("%s: end: got %+v, want all of %v", name, r.End, p.Duration)
		}
	}
}

func text(t *testing.T, s *runs.Summary) []byte {
	t.Helper()
	b, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Plans simulated side by side give what they give one after another, also one plan several times at once.
func TestEachIsDeterministic(t *testing.T) {
	var plans []*scenario.Plan
	for seed := range uint64(3) {
		plans = append(plans, shipped(t, "mm1", scenario.Options{Seed: &seed, Set: []string{"duration=4s", "warmup=1s"}}))
	}
	plans = append(plans, plans[0])
	results := func(workers int) (out [4][]byte) {
		if err := campaign.Each(t.Context(), len(plans), workers, func(ctx context.Context, i int) error {
			r, err := campaign.Simulate(ctx, plans[i], campaign.Options{})
			if err == nil {
				out[i], err = r.Summary.Bytes()
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	one, many := results(1), results(4)
	for i := range one {
		if !bytes.Equal(one[i], many[i]) {
			t.Errorf("plan %d: got\n%s\nwant, as alone,\n%s", i, many[i], one[i])
		}
	}
	if !bytes.Equal(one[0], one[3]) || bytes.Equal(one[0], one[1]) {
		t.Error("one plan has two results, or two seeds have one")
	}
}

func TestEachTellsErrorsInOrder(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	done := make([]bool, 5)
	err := campaign.Each(t.Context(), 5, 3, func(_ context.Context, i int) error {
		done[i] = true
		switch i {
		case 1:
			return a
		case 3:
			return b
		}
		return nil
	})
	if err == nil || err.Error() != "a\nb" || slices.Contains(done, false) {
		t.Errorf("got %v, and done %v; want a and b, and all done", err, done)
	}
	ctx, stop := context.WithCancel(t.Context())
	n := 0
	err = campaign.Each(ctx, 5, 1, func(context.Context, int) error {
		if n++; n == 2 {
			stop()
		}
		return nil
	})
	if n != 2 || !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: got %d done and %v, want 2 and that it was", n, err)
	}
	if err := campaign.Each(ctx, 0, 1, nil); err != nil {
		t.Errorf("nothing to do: got %v", err)
	}
}

// A hook that has seen enough ends the simulation, and the results are those up to there.
func TestStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; other tests run side by side as well")
	}
	p := shipped(t, "mm1", scenario.Options{})
	r, err := campaign.Simulate(t.Context(), p, campaign.Options{Hooks: campaign.Hooks{Live: func(at dsv.Instant) bool { return at < 5e9 }}})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Stopped || r.At != 5e9 || !r.Summary.Interrupted {
		t.Errorf("stopped by Live: got %+v, interrupted %v; want 5 s", r.End, r.Summary.Interrupted)
	}
	seen := 0
	end, err := campaign.Run(t.Context(), p, nil, campaign.Hooks{Deltas: func(ds []dsv.Delta) bool {
		seen += len(ds)
		return ds[0].T1 < 3500e6
	}})
	if err != nil || !end.Stopped || end.At != 4e9 || seen == 0 {
		t.Errorf("stopped by Deltas: got %+v, %v, %d deltas; want 4 s", end, err, seen)
	}
	ctx, stop := context.WithCancel(t.Context())
	r, err = campaign.Simulate(ctx, p, campaign.Options{Hooks: campaign.Hooks{Live: func(at dsv.Instant) bool {
		if at == 3e9 {
			stop()
		}
		return true
	}}})
	if !errors.Is(err, context.Canceled) || r == nil || r.At != 3e9 || r.Summary.Clients["jobs"].Accounting.Issued == 0 {
		t.Errorf("interrupted: got %v and %+v, want the results of 3 s", err, r)
	}
}

func TestEval(t *testing.T) {
	p := shipped(t, "mm1", scenario.Options{Set: []string{"duration=10s", "warmup=1s"}})
	r, err := campaign.Simulate(t.Context(), p, campaign.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]float64{
		"p95(jobs.latency)":                 float64(r.Summary.Clients["jobs"].Response.P95),
		"jobs.errors / jobs.requests":       0,
		"p95(jobs.latency) < 1ns":           0,
		"rate(jobs.requests) > 1/s":         1,
		"server_1.cpu.utilisation":          float64(r.Summary.Servers["server_1"]["cpu"].Utilisation),
		"jobs.errors / server_1.disk.queue": math.NaN(),
	} {
		x, err := p.Expression(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := r.Eval(x); err != nil || got != want && (got == got || want == want) {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	if _, err := p.Expression("p95(nobody.latency)"); err == nil {
		t.Error("an unknown variable: got no error")
	}
	lean, err := campaign.Simulate(t.Context(), p, campaign.Options{NoSummary: true, Keep: func(n dsv.Name) bool { return n == "jobs.latency" }})
	if err != nil {
		t.Fatal(err)
	}
	x, _ := p.Expression("mean(jobs.latency)")
	got, err := lean.Eval(x)
	want, _ := r.Eval(x)
	if got != want || err != nil || len(lean.History.Declarations()) != 1 || lean.Summary != nil {
		t.Errorf("of what is kept: got %v, %v, want %v, and nothing else kept", got, err, want)
	}
}
