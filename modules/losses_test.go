package modules_test

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules"
)

// missing waits until a space tells that n misses something, or that it does not.
func missing(t *testing.T, space dsv.Space, n dsv.Name, some bool) []dsv.Loss {
	t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		i, err := space.Info(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		if some == (len(i.Losses) > 0) {
			return i.Losses
		}
		if time.Now().After(late) {
			t.Fatalf("%s misses %+v, want some: %v", n, i.Losses, some)
		}
	}
}

// TestLossOfTheKilled checks that of a module which was killed Info tells what it had not synchronised, and of one that
// ended in order nothing.
func TestLossOfTheKilled(t *testing.T) {
	k, r := open(t, evekernel.Config{})
	if err := k.Hub().Expect(egs.StartBarrier, "one", "two"); err != nil {
		t.Fatal(err)
	}
	start(t, k, child(t, "one", "worker"), child(t, "two", "worker"))
	if _, err := k.Hub().Await(t.Context(), egs.StartBarrier); err != nil {
		t.Fatal(err)
	}
	beats(t, k, "one", 5)
	beats(t, k, "two", 5)
	for _, n := range []dsv.Name{"one.beats", "two.beats"} {
		if i, err := k.Space().Info(t.Context(), n); err != nil || len(i.Losses) > 0 {
			t.Errorf("%s misses %+v (error %v) while its module lives", n, i.Losses, err)
		}
	}
	was, err := k.Space().Read(t.Context(), "one.beats")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(r.await(t, "one", evekernel.Ready).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.await(t, "one", evekernel.Failed)
	for _, c := range []wire.Coding{wire.CBOR, wire.JSON} {
		got := missing(t, connect(t, linkTo(k, c)), "one.beats", true)
		if len(got) != 1 || got[0].Module != "one" || got[0].Writer == 0 || got[0].Since != was.T1 || got[0].Sync != "every 10ms" {
			t.Errorf("%v: one.beats misses %+v, want what one wrote since %d, every 10ms", c, got, was.T1)
		}
	}
	if want := "one ended without its last synchronisation: one.beats since 0."; !strings.Contains(r.log(), want) {
		t.Errorf("the log is\n%s\nwant %q", r.log(), want)
	}
	start(t, k, child(t, "one", "worker")) // its former life's samples are not there all the same
	beats(t, k, "one", 10)
	if err := k.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := missing(t, k.Space(), "one.beats", true); len(got) != 1 || got[0].Since != was.T1 {
		t.Errorf("one.beats misses %+v, want what was written since %d", got, was.T1)
	}
	missing(t, k.Space(), "two.beats", false)
	if all := k.Losses(); len(all) != 1 || len(all["one.beats"]) != 1 {
		t.Errorf("losses are %+v, want that of one.beats", all)
	}
}

// TestLossOfTheAbsent checks that a participant which lost its connection counts as lost once it had time to come back,
// and no more once it does.
func TestLossOfTheAbsent(t *testing.T) {
	k, rec := open(t, evekernel.Config{Grace: 50 * time.Millisecond})
	r := newRelay(t, k.Addr().String())
	link := linkTo(k, wire.CBOR)
	link.Name, link.Dial = "far", r.dial
	ctx, cancel := context.WithCancel(t.Context())
	wrote := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- modules.Run(ctx, modules.Func(func(ctx context.Context, env *modules.Env) error {
			err := env.Measure(dmm.Spec{Name: "far.n", Manipulator: "count", Sync: dmm.Trigger{Count: 100}})
			if err != nil {
				return err
			}
			for range 250 {
				env.Var("far.n").Write(env.Now(), 1)
			}
			close(wrote)
			<-ctx.Done()
			return nil
		}), link)
	}()
	<-wrote
	missing(t, k.Space(), "far.n", false)
	r.stop()
	got := missing(t, k.Space(), "far.n", true)
	if len(got) != 1 || got[0].Module != "far" || got[0].Sync != "100 writes" {
		t.Errorf("far.n misses %+v, want what far wrote, 100 writes", got)
	}
	for late := time.Now().Add(patience); !strings.Contains(rec.log(), "far ended without"); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("the log is\n%s", rec.log())
		}
	}
	r.resume(k.Addr().String())
	missing(t, k.Space(), "far.n", false)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	missing(t, k.Space(), "far.n", false)
	if v, err := k.Space().Read(t.Context(), "far.n"); err != nil || v.Value.Int != 250 {
		t.Errorf("far.n is %v (error %v), want 250", v.Value, err)
	}
}
