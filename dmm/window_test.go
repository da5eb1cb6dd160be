package dmm_test

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// windowOf has deltas that end at 1, 2, 3 … seconds.
func windowOf(manipulator string, keep time.Duration, vs ...dsv.Value) *dmm.Window {
	w := dmm.NewWindow(dmm.Spec{Name: "x", Manipulator: manipulator}.Declaration("1", "", true), keep)
	for i, v := range vs {
		at := dsv.Instant(i+1) * 1e9
		w.Add(dsv.Delta{Name: "x", Seq: uint64(i), T0: at - 1e9, T1: at, Value: v, Weight: 2})
	}
	return w
}

func TestTotals(t *testing.T) {
	f, i := dsv.FloatValue, dsv.IntValue
	nan := math.NaN()
	for _, c := range []struct {
		manipulator                          string
		values                               []dsv.Value
		number, mean, rate, count, low, high float64 // of (1 s, 3 s]
	}{
		{"sum", []dsv.Value{f(9), f(4), f(2)}, 6, 1.5, 3, 6, 6, 6},
		{"count", []dsv.Value{i(9), i(4), i(2)}, 6, 1.5, 3, 6, 6, 6},
		{"mean", []dsv.Value{f(9), f(4), f(2)}, 1.5, 1.5, 2, 4, 1.5, 1.5},
		{"rate", []dsv.Value{f(9), f(4), f(2)}, 1.5, 1.5, 2, 4, 1.5, 1.5},
		{"min", []dsv.Value{f(9), f(4), f(2)}, 2, 2, 2, 4, 2, 2},
		{"max", []dsv.Value{f(9), f(4), f(2)}, 4, 4, 2, 4, 4, 4},
		{"last", []dsv.Value{f(9), f(4), f(2)}, 2, 2, 2, 4, 2, 2},
		{"last", []dsv.Value{f(9)}, 9, 9, 1, 2, 9, 9}, // what holds since before
		{"sum", []dsv.Value{f(9)}, 0, nan, 0, 0, 0, 0},
		{"mean", []dsv.Value{f(9)}, nan, nan, 0, 0, nan, nan},
		{"histogram", []dsv.Value{dsv.HistValue(histOf(9)), dsv.HistValue(histOf(0.5, 1)), dsv.HistValue(histOf(3))}, 1.5, 1.5, 2, 4, 0.5, 3},
		{"histogram", nil, nan, nan, 0, 0, nan, nan},
	} {
		got := windowOf(c.manipulator, 0, c.values...).Sum(1e9, 3e9)
		for _, x := range []struct {
			what      string
			got, want float64
		}{
			{"number", got.Number(), c.number},
			{"mean", got.Mean(), c.mean},
			{"rate", got.Rate(), c.rate},
			{"count", got.Count(), c.count},
			{"min", got.Min(), c.low},
			{"max", got.Max(), c.high},
			{"seconds", got.Seconds(), 2},
		} {
			if x.got != x.want && !(math.IsNaN(x.got) && math.IsNaN(x.want)) {
				t.Errorf("%s of %v: %s is %v, want %v", c.manipulator, c.values, x.what, x.got, x.want)
			}
		}
	}
}

func histOf(xs ...float64) *dsv.Hist {
	var c dsv.Counts
	for _, x := range xs {
		c.Add(x)
	}
	return c.Take()
}

func TestWindowForgets(t *testing.T) {
	w := dmm.NewWindow(dmm.Spec{Name: "x", Manipulator: "count"}.Declaration("1", "", true), 5*time.Second)
	for i := range dsv.Instant(10_000) {
		at := (i + 1) * 100 * ms
		w.Add(dsv.Delta{Name: "x", T0: at - 100*ms, T1: at, Value: dsv.IntValue(1), Weight: 1})
		if w.Len() > 102 {
			t.Fatalf("%d deltas are kept of 5 s, want at most 102", w.Len())
		}
		if got, want := w.Sum(at-5e9, at).Count(), float64(min(i+1, 50)); got != want {
			t.Fatalf("at %d: %v in the last 5 s, want %v", at, got, want)
		}
	}
	if w.Newest() != 1000e9 {
		t.Errorf("newest is %d", w.Newest())
	}
}

func TestWindowTakesWritersInAnyOrder(t *testing.T) {
	w := dmm.NewWindow(dmm.Spec{Name: "x", Manipulator: "count"}.Declaration("1", "", true), 0)
	for _, at := range []dsv.Instant{3, 1, 2, 5, 4, 2} {
		w.Add(dsv.Delta{Name: "x", T1: at, Value: dsv.IntValue(1), Weight: 1})
	}
	w.Add(dsv.Delta{Name: "x", T1: 3, Value: dsv.TextValue("other"), Weight: 1})
	for _, c := range []struct {
		from, to dsv.Instant
		want     float64
	}{{0, 5, 6}, {1, 2, 2}, {2, 2, 0}, {3, 1, 0}, {-1, 1, 1}, {4, dsv.Never, 1}} {
		if got := w.Sum(c.from, c.to).Count(); got != c.want {
			t.Errorf("(%d, %d] has %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

// TestWindowCoarsens keeps one delta for each step, and the same sums between steps.
func TestWindowCoarsens(t *testing.T) {
	d := dmm.Spec{Name: "x", Manipulator: "sum"}.Declaration("", "", false)
	fine, coarse := dmm.NewWindow(d, 0), dmm.NewWindow(d, 0)
	coarse.Coarsen(100 * time.Millisecond)
	for i := range 5000 {
		at := dsv.Instant(i*7919%5000) * ms // in any order
		x := dsv.Delta{T0: at - ms, T1: at, Value: dsv.FloatValue(float64(i)), Weight: 1}
		fine.Add(x)
		coarse.Add(x)
	}
	if got := coarse.Len(); got != 51 { // 50 steps, and what ended at T0
		t.Errorf("%d deltas are kept, want 51", got)
	}
	for from := -100 * ms; from < 5000*ms; from += 300 * ms {
		for to := from; to < 5000*ms; to += 700 * ms {
			a, b := fine.Sum(from, to), coarse.Sum(from, to)
			if a.Number() != b.Number() || a.Weight != b.Weight {
				t.Errorf("(%v, %v]: got %+v, want %+v", from, to, b, a)
			}
		}
	}
}

// TestCoarseWindowsForget has many deltas come within one step: what they were made of must not stay.
func TestCoarseWindowsForget(t *testing.T) {
	const deltas, bytes = 20_000, 1 << 10
	w := dmm.NewWindow(dsv.Declaration{Name: "x", Kind: dsv.Histogram, Merge: dsv.Hists}, 0)
	w.Coarsen(time.Hour)
	freed := make(chan struct{}, deltas)
	for i := range deltas {
		h := dsv.NewHist([]uint32{uint32(i % 100)}, []uint64{1})
		runtime.AddCleanup(h, func(struct{}) { freed <- struct{}{} }, struct{}{})
		w.Add(dsv.Delta{Name: "x", Seq: uint64(i), T1: dsv.Instant(i + 1), Value: dsv.HistValue(h), Weight: 1})
	}
	for deadline := time.Now().Add(10 * time.Second); len(freed) < deltas-1; {
		if runtime.GC(); time.Now().After(deadline) {
			t.Fatalf("got %d of %d histograms freed, want all but the last", len(freed), deltas)
		}
	}
	if got := w.Sum(0, dsv.At(time.Hour)).Count(); got != deltas {
		t.Errorf("got %g samples, want %d", got, deltas)
	}
}
