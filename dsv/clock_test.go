package dsv_test

import (
	"testing"

	"github.com/eve-emulation/eve/dsv"
)

// TestClockStampsWholeWrites checks that a whole write bears the instant of the clock, that it outranks deltas which
// ended before it, and that instants of a variable never fall.
func TestClockStampsWholeWrites(t *testing.T) {
	s := newStore(t, nil, dsv.Declaration{Name: "x", Kind: dsv.Int}, dsv.Declaration{Name: "sum", Kind: dsv.Int, Merge: dsv.Sum})
	now := dsv.Instant(0)
	check := func(n dsv.Name, value int64, t1 dsv.Instant) {
		t.Helper()
		r, err := s.Read(t.Context(), n)
		must(t, err)
		if r.Value.Int != value || r.T1 != t1 {
			t.Errorf("%s is %d at %d, want %d at %d", n, r.Value.Int, r.T1, value, t1)
		}
	}
	write := func(n dsv.Name, value int64) {
		t.Helper()
		_, err := s.Write(t.Context(), n, dsv.IntValue(value))
		must(t, err)
	}
	delta := func(n dsv.Name, seq uint64, t1 dsv.Instant, value int64) {
		t.Helper()
		must(t, s.Sync(t.Context(), []dsv.Delta{{Name: n, Writer: 1, Seq: seq, T1: t1, Value: dsv.IntValue(value), Weight: 1}}))
	}
	write("x", 1)
	check("x", 1, 0) // no clock yet
	s.SetClock(func() dsv.Instant { return now })
	now = 100
	write("x", 2)
	check("x", 2, 100)
	delta("x", 1, 90, 3) // late
	check("x", 2, 100)
	delta("x", 2, 110, 4)
	check("x", 4, 110)
	now = 105
	write("x", 5)
	check("x", 5, 110)
	now = 200
	w, err := s.Watch(t.Context(), dsv.WatchRequest{Pattern: "sum", Mode: dsv.All})
	must(t, err)
	_, err = s.TestAndSet(t.Context(), "sum", 0, dsv.IntValue(7))
	must(t, err)
	check("sum", 7, 200)
	delta("sum", 1, 150, 3) // sums know no order
	check("sum", 10, 200)
	if u, err := w.Next(t.Context()); err != nil || u.Reading.T1 != 200 || u.Delta != nil {
		t.Errorf("update %+v, %v, want T1 200", u, err)
	}
	if u, err := w.Next(t.Context()); err != nil || u.Reading.T1 != 200 || u.Delta.T1 != 150 {
		t.Errorf("update %+v, %v, want T1 200 with a delta up to 150", u, err)
	}
}

// TestSyncAllocatesNothing merges numbers that nobody watches or records.
func TestSyncAllocatesNothing(t *testing.T) {
	var ds []dsv.Delta
	s := newStore(t, nil)
	for n, d := range map[dsv.Name]dsv.Declaration{
		"last": {Kind: dsv.Float}, "sum": {Kind: dsv.Int, Merge: dsv.Sum}, "max": {Kind: dsv.Float, Merge: dsv.Max}, "mean": {Kind: dsv.Float, Merge: dsv.Mean},
	} {
		d.Name = n
		must(t, s.Create(t.Context(), d))
		ds = append(ds, dsv.Delta{Name: n, Writer: 1, Value: dsv.Value{Kind: d.Kind, Float: 1, Int: 1}, Weight: 1})
	}
	seq := uint64(0)
	got := testing.AllocsPerRun(100, func() {
		seq++
		for i := range ds {
			ds[i].Seq, ds[i].T1 = seq, dsv.Instant(seq)
		}
		must(t, s.Sync(t.Context(), ds))
	})
	if got != 0 {
		t.Errorf("%v allocations for %d deltas, want none", got, len(ds))
	}
}
