package dmmtest

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// A Place is somewhere that a variable is manipulated, with a kernel behind it: a module's process, or the kernel itself.
type Place interface {
	// Write writes one sample, from any goroutine.
	Write(x float64) error
	// Read reads what the kernel has; dsv.ErrUnset before the first synchronisation.
	Read() (dsv.Reading, error)
	// Close synchronises what is left. Read still works.
	Close() error
}

// patience bounds the wait for a synchronisation that is due.
const patience = 30 * time.Second

// RunPlace tests the manipulator of spec at a place: what is written comes together in the kernel, within the bounds of
// the trigger while it is written, and exactly once it is closed; three goroutines write where the manipulator merges, one
// where it does not. open opens a new place for the spec.
func RunPlace(t *testing.T, spec dmm.Spec, open func(t *testing.T) Place) {
	t.Helper()
	man := spec.Custom
	if man == nil {
		m, err := dmm.Shipped().Lookup(spec.Manipulator)
		if err != nil {
			t.Fatal(err)
		}
		man = &m
	}
	p := open(t)
	writers, each := 3, 100
	if man.OneWriter {
		writers, each = 1, 300
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := p.Write(placed(w*each + i)); err != nil {
					t.Errorf("write: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	total := float64(writers * each)
	if err := p.Write(math.NaN()); err == nil { // or it is refused
		if s, ok := p.(interface{ Ignored() uint64 }); ok && s.Ignored() != 1 {
			t.Errorf("%d writes were ignored, want 1", s.Ignored())
		}
	}
	if !man.PerSecond {
		within(t, p, spec.Sync, total)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := p.Read()
	if err != nil {
		t.Fatal(err)
	}
	if !man.PerSecond && got.Weight != total {
		t.Errorf("in the end the kernel has %v samples, want %v", got.Weight, total)
	}
	if man.PerSecond || spec.Manipulator == "window" {
		return // they depend on the time
	}
	want := alone(t, spec, writers*each)
	x, number := got.Value.Number()
	if y, _ := want.Number(); number && math.Abs(x-y) > 1e-9*math.Abs(y) || !number && !got.Value.Equal(want) {
		t.Errorf("got %v, want %v", got.Value, want)
	}
}

// placed is the i-th sample.
func placed(i int) float64 { return math.Round(1000*(2+math.Sin(float64(i)))) / 1000 }

// within waits until no more is missing than the trigger allows.
func within(t *testing.T, p Place, s dmm.Trigger, total float64) {
	t.Helper()
	missing := math.Inf(1)
	switch {
	case s.Every > 0:
		missing = 1
	case s.Count > 0:
		missing = float64(s.Count)
	}
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		r, err := p.Read()
		if err == nil && total-r.Weight < missing || math.IsInf(missing, 1) {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("the kernel has %v of %v samples, %v: no more than %v may be missing", r.Weight, total, err, missing)
		}
	}
}

// alone is what one Set makes of the same samples.
func alone(t *testing.T, spec dmm.Spec, n int) dsv.Value {
	t.Helper()
	set, err := dmm.NewSet(1, 1, []dmm.Spec{spec})
	if err != nil {
		t.Fatal(err)
	}
	v := set.Var(spec.Name)
	for i := range n {
		v.Write(1, placed(i))
	}
	return v.Read()
}
