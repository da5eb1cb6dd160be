package dmm_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// TestHugeSamples keeps what is folded finite, since no Space takes anything else.
func TestHugeSamples(t *testing.T) {
	const huge = math.MaxFloat64
	for _, c := range []struct {
		manipulator string
		samples     []float64
		want        float64
	}{
		{"sum", []float64{huge, huge, huge}, huge},
		{"sum", []float64{huge, huge, -huge}, 0},
		{"sum", []float64{-huge, -huge}, -huge},
		{"mean", []float64{huge, huge}, huge / 2},
		{"ewma", []float64{-huge, huge}, 0},
		{"histogram", []float64{huge, huge}, 0},
	} {
		set := newSet(t, dmm.Spec{Name: "x", Manipulator: c.manipulator, Param: 0.5})
		for i, x := range c.samples {
			set.Var("x").Write(dsv.Instant(i), x)
		}
		set.Close(10)
		for _, d := range set.Take(nil) {
			if err := d.Value.Check(d.Value.Kind); err != nil {
				t.Errorf("%s of %v: %v", c.manipulator, c.samples, err)
			}
		}
		if got := set.Var("x").Read(); got.Kind == dsv.Float && got.Float != c.want {
			t.Errorf("%s of %v: got %v, want %v", c.manipulator, c.samples, got.Float, c.want)
		}
	}
}

// TestLastKeepsWholeNumbers has an int that is written come out as it was, where a float could not hold it.
func TestLastKeepsWholeNumbers(t *testing.T) {
	set := newSet(t, dmm.Spec{Name: "x", Manipulator: "last", Kind: dsv.Int, Sync: dmm.Trigger{Change: 1}})
	for i, x := range []int64{1<<53 + 1, 1_700_000_000_123_456_789, math.MaxInt64, math.MinInt64} {
		set.Var("x").WriteValue(dsv.Instant(i), dsv.IntValue(x))
		if ds := set.Take(nil); len(ds) != 1 || ds[0].Value.Int != x {
			t.Errorf("of %d got %+v", x, ds)
		}
	}
}

// leveled is a greatest sample that tells its level.
type leveled struct{ x, n float64 }

func (s *leveled) Write(x, _ float64)     { s.x, s.n = max(s.x, x), s.n+1 }
func (s *leveled) WriteValue(v dsv.Value) { s.Write(v.Float, 1) }
func (s *leveled) Level() float64         { return s.x }
func (s *leveled) Take() (dsv.Value, float64) {
	x, n := s.x, s.n
	*s = leveled{}
	return dsv.FloatValue(x), n
}

// TestLevelOfTheWindow has triggers look at the shadow of the window that is written, not at that of the one before.
func TestLevelOfTheWindow(t *testing.T) {
	above := 5.0
	m := dmm.Manipulator{Name: "leveled", Kind: dsv.Float, Merge: dsv.Max, New: func(dmm.Spec) dmm.Shadow { return &leveled{} }}
	set := newSet(t, dmm.Spec{Name: "x", Custom: &m, Sync: dmm.Trigger{Every: time.Second, Above: &above}})
	v := set.Var("x")
	v.Write(dsv.At(500*time.Millisecond), 1)
	v.Write(dsv.At(1500*time.Millisecond), 2)
	v.Write(dsv.At(2500*time.Millisecond), 3)
	v.Write(dsv.At(2600*time.Millisecond), 9)
	select {
	case <-set.Due():
	default:
		t.Error("9 is above 5, and nothing is due")
	}
}

// TestLateWriteCuts has a write that is late, and reaches the count, synchronise the window that it went to.
func TestLateWriteCuts(t *testing.T) {
	for _, manipulator := range []string{"count", "last"} {
		set := newSet(t, dmm.Spec{Name: "x", Manipulator: manipulator, Sync: dmm.Trigger{Every: time.Second, Count: 2}})
		v := set.Var("x")
		v.Write(dsv.At(1500*time.Millisecond), 1)
		v.Write(dsv.At(900*time.Millisecond), 1)
		if ds := set.Take(nil); len(ds) != 1 || ds[0].Weight != 2 {
			t.Errorf("%s: after two writes got %+v", manipulator, ds)
		}
	}
}

// TestSharedCount has fewer writes wait than the count trigger says, however many goroutines share it, and about as many
// in each delta.
func TestSharedCount(t *testing.T) {
	const count, rounds, each, goroutines = 1000, 50, 501, 4
	set := newSet(t, dmm.Spec{Name: "x", Manipulator: "count", Sync: dmm.Trigger{Count: count}})
	v := set.Var("x")
	sent, deltas := 0.0, 0
	for round := range rounds {
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for i := range each {
					v.Write(dsv.Instant(round*each+i), 1)
				}
			})
		}
		wg.Wait()
		for _, d := range set.Take(nil) {
			sent += d.Weight
			deltas++
		}
		if missing := float64((round+1)*each*goroutines) - sent; missing < 0 || missing >= count {
			t.Fatalf("round %d: %v writes wait", round, missing)
		}
	}
	if fair := rounds * each * goroutines / count; deltas > fair+fair/3 {
		t.Errorf("%d deltas, want about %d", deltas, fair)
	}
	set.Close(dsv.Never)
	for _, d := range set.Take(nil) {
		sent += d.Weight
	}
	if want := float64(rounds * each * goroutines); sent != want {
		t.Errorf("%v writes came out of %v", sent, want)
	}
}
