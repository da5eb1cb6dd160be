package dmmtest

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// store is a kernel's side: it merges what a Set synchronises.
type store struct {
	*dsv.Store
	spec dmm.Spec
}

func (c *contract) merged(t *testing.T) *store {
	t.Helper()
	s := dsv.NewStore(nil)
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Create(t.Context(), c.spec.Declaration("s", "for a test", false)); err != nil {
		t.Fatal(err)
	}
	return &store{s, c.spec}
}

// sync takes what became due and returns what the kernel has: how many samples, and the value.
func (s *store) sync(t *testing.T, set *dmm.Set) (samples float64, x float64) {
	t.Helper()
	if err := s.Sync(t.Context(), set.Take(nil)); err != nil {
		t.Fatal(err)
	}
	r, err := s.Read(t.Context(), s.spec.Name)
	if err != nil {
		return 0, math.NaN()
	}
	x, _ = r.Value.Number()
	return r.Weight, x
}

// bounds checks what triggers promise to a reader of the kernel's value: fewer than count writes are missing, and the
// value is off by less than the change, after every write.
func (c *contract) bounds(t *testing.T) {
	s := c.spec.Sync
	if c.man.PerSecond {
		t.Skip("its weight is no count")
	}
	set, kernel := c.open(t, 1), c.merged(t)
	v := set.Var(c.spec.Name)
	for i, x := range samples(500, s.Every) {
		for set.Next() < x.at {
			set.Advance(set.Next())
		}
		v.Write(x.at, x.x)
		had, value := kernel.sync(t, set)
		if s.Count > 0 && float64(i+1)-had >= float64(s.Count) {
			t.Fatalf("after %d writes the kernel has %v: %d are too many to miss", i+1, had, s.Count)
		}
		own, number := v.Read().Number()
		if !number || math.IsNaN(value) || c.man.Kind == dsv.Histogram || c.man.Level == nil && c.man.Merge != dsv.Last {
			continue
		}
		if s.Change > 0 && math.Abs(own-value) >= s.Change {
			t.Fatalf("after %d writes the kernel has %v and the shadow %v: %v apart", i+1, value, own, s.Change)
		}
		if s.ChangeRelative > 0 && math.Abs(own-value) >= s.ChangeRelative*math.Abs(value) && own != value {
			t.Fatalf("after %d writes the kernel has %v and the shadow %v: %v%% apart", i+1, value, own, 100*s.ChangeRelative)
		}
	}
}

// shared checks the bound of a count while three goroutines write.
func (c *contract) shared(t *testing.T) {
	n := c.spec.Sync.Count
	if n == 0 || c.man.PerSecond {
		t.Skip("no count")
	}
	const writers, each = 3, 4000
	set, kernel := c.open(t, 1), c.merged(t)
	v := set.Var(c.spec.Name)
	var written atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range each {
				v.Write(dsv.Instant(i+1), 1)
				written.Add(1)
			}
		})
	}
	for written.Load() < writers*each {
		before := written.Load() // these have returned, so what was due is there to be taken
		if had, _ := kernel.sync(t, set); float64(before)-had >= float64(n) {
			t.Errorf("after %d writes the kernel has %v: %d are too many to miss", before, had, n)
			break
		}
	}
	wg.Wait()
	if had, _ := kernel.sync(t, set); writers*each-had >= float64(n) {
		t.Errorf("in the end the kernel has %v of %d", had, writers*each)
	}
	set.Close(each + 1)
	if had, _ := kernel.sync(t, set); had != writers*each {
		t.Errorf("after its close the kernel has %v of %d", had, writers*each)
	}
}

// nonsense checks that what is no number is ignored and counted.
func (c *contract) nonsense(t *testing.T) {
	set, kernel := c.open(t, 1), c.merged(t)
	v := set.Var(c.spec.Name)
	v.Write(1, 2)
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		v.Write(2, x)
	}
	v.WriteValue(2, dsv.TextValue("two"))
	if got := set.Ignored(); got != 4 {
		t.Errorf("%d writes were ignored, want 4", got)
	}
	set.Close(3)
	v.Write(4, 5) // goes nowhere
	if had, _ := kernel.sync(t, set); had != 1 && !c.man.PerSecond {
		t.Errorf("the kernel has %v samples, want 1", had)
	}
}
