package modules_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/modules"
)

// run runs a module inside a kernel that expects it alone, and returns how it ended.
func run(t *testing.T, cfg string, m modules.Func) (*evekernel.Kernel, error) {
	t.Helper()
	k, _ := open(t, evekernel.Config{Lead: 20 * time.Millisecond})
	if err := k.Hub().Expect(egs.StartBarrier, "one"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	f := inside(m)
	spec := evekernel.ModuleSpec{Name: "one", ReadyTimeout: -1, Func: func(ctx context.Context, r evekernel.Reach) error {
		err := f(ctx, r)
		ended <- err
		return err
	}}
	if cfg != "" {
		spec.Config = []byte(cfg)
	}
	start(t, k, spec)
	select {
	case err := <-ended:
		return k, err
	case <-time.After(patience):
		t.Fatal("the module does not end")
		return nil, nil
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct{ name, config, want string }{
		{"none", "", ""},
		{"whole", `{"beats": 7}`, ""},
		{"unknown key", `{"beat": 7}`, `module one: config of one: json: unknown field "beat"`},
		{"wrong type", `{"beats": "many"}`, "config of one: json: cannot unmarshal string"},
		{"more than one", `{"beats": 7} {}`, "config of one: more than one value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := 5
			if c.name == "whole" {
				want = 7
			}
			_, err := run(t, c.config, func(_ context.Context, env *modules.Env) error {
				got := settings{Beats: 5}
				if err := env.Config(&got); err != nil {
					return err
				}
				if got.Beats != want {
					t.Errorf("beats are %d, want %d", got.Beats, want)
				}
				return nil
			})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("ended with %v, want %q", err, c.want)
			}
		})
	}
}

// TestMeasure checks that windows end at multiples of the period since T0, without a hole between, that nothing written
// is lost, and that a count trigger does not wait for them.
func TestMeasure(t *testing.T) {
	const period, writes = 20 * time.Millisecond, 300
	k, err := run(t, "", func(ctx context.Context, env *modules.Env) error {
		err := env.Measure(
			dmm.Spec{Name: "one.sum", Manipulator: "sum", Sync: dmm.Trigger{Every: period}},
			dmm.Spec{Name: "one.latency", Manipulator: "histogram", Sync: dmm.Trigger{Count: 100}},
		)
		if err != nil {
			return err
		}
		sums, err := env.Space().Watch(ctx, dsv.WatchRequest{Pattern: "one.sum", Mode: dsv.All})
		if err != nil {
			return err
		}
		if err := env.Ready(ctx); err != nil {
			return err
		}
		if env.Now() > 0 && env.T0() == 0 || env.Now() < -dsv.At(time.Second) {
			t.Errorf("it is %d, T0 %d", env.Now(), env.T0())
		}
		for env.Now() < 0 {
			time.Sleep(time.Millisecond)
		}
		for range writes {
			now := env.Now()
			env.Var("one.sum").Write(now, 0.5)
			env.Var("one.latency").Write(now, 1e-3)
			env.Var("one.unknown").Write(now, 1) // does nothing
			time.Sleep(100 * time.Microsecond)
		}
		// Three counts of 100 were synchronised without any period.
		for {
			r, err := env.Space().Read(ctx, "one.latency")
			if err == nil && r.Value.Hist.Count() == writes {
				break
			}
			if ctx.Err() != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
		var sum float64
		for last := dsv.Instant(0); sum < writes/2; {
			u, err := sums.Next(ctx)
			if err != nil {
				return err
			}
			d := u.Delta
			if d.T0 != last || d.T1%dsv.At(period) != 0 {
				t.Errorf("window from %v to %v after one that ended at %v", time.Duration(d.T0), time.Duration(d.T1), time.Duration(last))
			}
			last = d.T1
			sum += d.Value.Float
		}
		env.Var("one.sum").Write(env.Now(), 7)
		return sums.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := k.Space().Read(t.Context(), "one.sum")
	if err != nil || r.Value.Float != writes/2+7 {
		t.Errorf("the sum is %v (error %v), want %v", r.Value, err, writes/2+7)
	}
	i, err := k.Space().Info(t.Context(), "one.sum")
	if err != nil || !i.Declaration.History || i.Writers != 1 {
		t.Errorf("info is %+v (error %v)", i, err)
	}
}

func TestMeasureRefuses(t *testing.T) {
	_, err := run(t, "", func(ctx context.Context, env *modules.Env) error {
		d := dsv.Declaration{Name: "one.x", Kind: dsv.Float, Merge: dsv.Sum, Unit: "s"}
		if err := env.Space().Create(ctx, d); err != nil {
			return err
		}
		for _, c := range []struct {
			spec dmm.Spec
			want error
		}{
			{dmm.Spec{Name: "one.x", Manipulator: "sum"}, nil}, // used as it is declared
			{dmm.Spec{Name: "one.x", Manipulator: "sum"}, dsv.ErrExists},
			{dmm.Spec{Name: "one.y", Manipulator: "median"}, dmm.ErrManipulator},
			{dmm.Spec{Name: "One", Manipulator: "sum"}, dsv.ErrName},
		} {
			if err := env.Measure(c.spec); !errors.Is(err, c.want) {
				t.Errorf("measure %+v: %v, want %v", c.spec, err, c.want)
			}
		}
		d.Name = "one.z"
		if err := env.Space().Create(ctx, d); err != nil {
			return err
		}
		if err := env.Measure(dmm.Spec{Name: "one.z", Manipulator: "count"}); !errors.Is(err, dsv.ErrExists) {
			t.Errorf("measure what is declared otherwise: %v, want %v", err, dsv.ErrExists)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestThreads checks that a thread's error ends the module, and that the end of Run ends the threads.
func TestThreads(t *testing.T) {
	_, err := run(t, "", func(ctx context.Context, env *modules.Env) error {
		env.Go(func(context.Context) error { return errors.New("thread broke") })
		<-ctx.Done()
		return ctx.Err()
	})
	if err == nil || err.Error() != "module one: thread broke" {
		t.Errorf("ended with %v, want the thread's error", err)
	}
	var ended bool
	_, err = run(t, "", func(_ context.Context, env *modules.Env) error {
		env.Go(func(ctx context.Context) error {
			<-ctx.Done()
			ended = true
			return ctx.Err()
		})
		return nil
	})
	if err != nil || !ended {
		t.Errorf("ended with %v; thread ended: %v", err, ended)
	}
}

// TestDeadParty checks that a module which waits for one that dies is told which.
func TestDeadParty(t *testing.T) {
	k, r := open(t, evekernel.Config{})
	if err := k.Hub().Expect(egs.StartBarrier, "one", "two"); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	start(t, k, evekernel.ModuleSpec{Name: "one", Func: inside(func(ctx context.Context, env *modules.Env) error {
		err := env.Ready(ctx)
		failed <- err
		return err
	})})
	r.await(t, "one", evekernel.Ready)
	start(t, k, child(t, "two", "broken"))
	err := <-failed
	if !errors.Is(err, egs.ErrBarrier) || !strings.Contains(err.Error(), "join start: two: exited with status 1") {
		t.Errorf("ready: %v, want %v that names two", err, egs.ErrBarrier)
	}
	r.await(t, "one", evekernel.Failed)
}

// TestLate checks a module that comes when T0 has passed: it is ready at once, and its first window begins when it came.
func TestLate(t *testing.T) {
	k, _ := open(t, evekernel.Config{Lead: time.Millisecond})
	if err := k.Hub().Expect(egs.StartBarrier, "one"); err != nil {
		t.Fatal(err)
	}
	s, err := k.Hub().Member("one").Join(t.Context(), egs.StartBarrier)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	done := make(chan error, 1)
	start(t, k, evekernel.ModuleSpec{Name: "late", Func: inside(func(ctx context.Context, env *modules.Env) error {
		if err := env.Measure(dmm.Spec{Name: "late.x", Manipulator: "count", Sync: dmm.Trigger{Every: time.Hour}}); err != nil {
			return err
		}
		if err := env.Ready(ctx); err != nil {
			return err
		}
		if env.T0() != s.T0 || env.Now() < dsv.At(40*time.Millisecond) {
			t.Errorf("T0 is %d, want %d; now is %d", env.T0(), s.T0, env.Now())
		}
		env.Var("late.x").Write(env.Now(), 1)
		if err := env.Measure(dmm.Spec{Name: "late.y", Manipulator: "count", Sync: dmm.Trigger{Every: time.Hour}}); err != nil {
			return err
		}
		env.Var("late.y").Write(env.Now(), 1)
		done <- nil
		<-ctx.Done()
		return nil
	})})
	<-done
	w, err := k.Space().Watch(t.Context(), dsv.WatchRequest{Pattern: "late.*", Mode: dsv.All})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		u, err := w.Next(t.Context())
		if err != nil || u.Delta == nil || u.Delta.T0 < dsv.At(40*time.Millisecond) {
			t.Errorf("update is %+v (error %v), want a window that begins late", u, err)
		}
	}
}

// TestOtherHost checks that T0 is translated for a module whose clock is another one: here it is the same, so that the
// estimate is off by no more than the round trip.
func TestOtherHost(t *testing.T) {
	k, _ := open(t, evekernel.Config{})
	if err := k.Hub().Expect(egs.StartBarrier, "far"); err != nil {
		t.Fatal(err)
	}
	done := make(chan int64, 1)
	start(t, k, evekernel.ModuleSpec{Name: "far", Func: func(ctx context.Context, r evekernel.Reach) error {
		link := modules.Link{Name: r.Name, URL: r.URL, Token: r.Token, Boot: "another"}
		return modules.Run(ctx, modules.Func(func(ctx context.Context, env *modules.Env) error {
			err := env.Ready(ctx)
			done <- env.T0()
			return err
		}), link)
	}})
	got := <-done
	s, err := k.Hub().Await(t.Context(), egs.StartBarrier)
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Duration(got - s.T0).Abs(); d > 100*time.Millisecond {
		t.Errorf("T0 is off by %v", d)
	}
	for _, leaf := range []string{"clock_offset", "clock_uncertainty"} {
		r, err := k.Space().Read(t.Context(), dsv.Name("eve.modules.far."+leaf))
		if err != nil || r.Value.Float == 0 || r.Value.Float > 0.1 {
			t.Errorf("%s is %v (error %v), want a little", leaf, r.Value, err)
		}
	}
}

func TestRegistry(t *testing.T) {
	mk := func() modules.Module { return modules.Func(worker) }
	for _, c := range []struct {
		specs []modules.Spec
		want  string
	}{
		{[]modules.Spec{{Name: "a", New: mk}, {Name: "b", New: mk}}, ""},
		{[]modules.Spec{{Name: "a", New: mk}, {Name: "a", New: mk}}, "register module a: registered twice"},
		{[]modules.Spec{{Name: "A", New: mk}}, `register module "A": want [a-z][a-z0-9_]*`},
		{[]modules.Spec{{Name: "a.b", New: mk}}, `register module "a.b": want [a-z][a-z0-9_]*`},
	} {
		r, err := modules.NewRegistry(c.specs...)
		if c.want == "" {
			if err != nil || len(r.Specs()) != 2 {
				t.Errorf("registry of %d (error %v)", len(r.Specs()), err)
			}
			continue
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("error is %v, want %q", err, c.want)
		}
	}
}
