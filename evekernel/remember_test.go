package evekernel_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// TestManipulatedAfterRestart has the kernel's successor fold what is written as the kernel did, before anybody asks it to.
func TestManipulatedAfterRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.db")
	life := func(create bool, do func(k *evekernel.Kernel)) {
		t.Helper()
		db, err := dsvbolt.Open(path, false)
		if create {
			db, err = dsvbolt.Create(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		k, err := evekernel.New(evekernel.Config{Recorder: db, Restore: db})
		if err != nil {
			t.Fatal(err)
		}
		do(k)
		if err := errors.Join(k.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	write := func(k *evekernel.Kernel, n dsv.Name, x float64) {
		t.Helper()
		if _, err := k.Space().Write(t.Context(), n, dsv.FloatValue(x)); err != nil {
			t.Error(err)
		}
	}
	sum := evekernel.Manipulation{Declaration: dsv.Declaration{Name: "a.sum", Unit: "s"}, Recipe: dmm.Recipe{Name: "sum"}}
	hist := evekernel.Manipulation{Declaration: dsv.Declaration{Name: "a.hist"}, Recipe: dmm.Recipe{Name: "histogram"}}
	gone := evekernel.Manipulation{Declaration: dsv.Declaration{Name: "a.gone"}, Recipe: dmm.Recipe{Expr: "shadow + sample", Init: new(1.0)}}
	life(true, func(k *evekernel.Kernel) {
		for _, m := range []evekernel.Manipulation{sum, hist, gone} {
			if err := k.Manipulate(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			write(k, m.Declaration.Name, 3)
		}
		if err := k.Space().Delete(t.Context(), "a.gone"); err != nil {
			t.Fatal(err)
		}
	})
	life(false, func(k *evekernel.Kernel) {
		write(k, "a.sum", 4)
		write(k, "a.hist", 4)
		if err := k.Manipulate(t.Context(), sum); err != nil {
			t.Errorf("the same again: %v", err)
		}
		if _, err := k.Space().Write(t.Context(), "a.gone", dsv.FloatValue(1)); !errors.Is(err, dsv.ErrNotFound) {
			t.Errorf("a deleted one: %v", err)
		}
	})
	life(false, func(k *evekernel.Kernel) {
		r, err := k.Space().Read(t.Context(), "a.sum")
		if err != nil || r.Value.Float != 7 || r.Weight != 2 {
			t.Errorf("sum is %+v, %v, want 7 of 2", r, err)
		}
		r, err = k.Space().Read(t.Context(), "a.hist")
		if err != nil || r.Value.Kind != dsv.Histogram || r.Value.Hist.Count() != 2 {
			t.Errorf("histogram is %+v, %v, want 2 samples", r, err)
		}
	})
}

// TestManipulatedAndDeletedAtOnce has whoever creates a variable that is gone find it afterwards.
func TestManipulatedAndDeletedAtOnce(t *testing.T) {
	k := open(t, evekernel.Config{})
	s := k.Space()
	create := func(n dsv.Name) {
		t.Helper()
		what := evekernel.Manipulation{Declaration: dsv.Declaration{Name: n}, Recipe: dmm.Recipe{Name: "histogram", Sync: dmm.Trigger{Count: 1}}}
		if err := k.Manipulate(t.Context(), what); err != nil {
			t.Fatal(err)
		}
	}
	create("a.busy") // so that the kernel is always synchronising
	var both sync.WaitGroup
	defer both.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	both.Go(func() {
		for ctx.Err() == nil {
			_, _ = s.Write(ctx, "a.busy", dsv.FloatValue(1))
		}
	})
	for range 500 {
		create("a.b")
		both.Go(func() { _ = s.Delete(t.Context(), "a.b") })
		for {
			if _, err := s.Info(t.Context(), "a.b"); errors.Is(err, dsv.ErrNotFound) {
				break
			}
		}
		create("a.b")
		if i, err := s.Info(t.Context(), "a.b"); err != nil || i.Manipulated == "" {
			t.Fatalf("created after it was deleted: %+v, %v", i, err)
		}
	}
}

// TestWrittenAgain folds a write that is sent again over the next connection once, and every other one, whatever its number.
func TestWrittenAgain(t *testing.T) {
	k := open(t, evekernel.Config{})
	what := evekernel.Manipulation{Declaration: dsv.Declaration{Name: "a.n"}, Recipe: dmm.Recipe{Name: "count", Sync: dmm.Trigger{Count: 1}}}
	if err := k.Manipulate(t.Context(), what); err != nil {
		t.Fatal(err)
	}
	write := wire.Req{ID: 1, Op: wire.OpWrite, Name: "a.n", Value: &wire.Value{Float: new(1.0)}}
	one := dial(t, k, wire.Hello{Module: "one"})
	one.ask(write)
	one.ask(write) // one at a time, so any number does
	again := dial(t, k, wire.Hello{Module: "one", Resume: one.w.Session, Writer: one.w.Writer, Epoch: one.w.Epoch})
	again.ask(write) // this one was sent again
	again.ask(write)
	again.ask(write)
	s, late := k.Space(), time.Now().Add(patience)
	for {
		if r, err := s.Read(t.Context(), "a.n"); err == nil && r.Value.Int >= 4 {
			if r.Value.Int != 4 {
				t.Errorf("folded %d writes, want 4", r.Value.Int)
			}
			return
		}
		if time.Now().After(late) {
			t.Fatal("not all writes were folded")
		}
		time.Sleep(time.Millisecond)
	}
}
