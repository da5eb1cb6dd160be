package report

import (
	"math"
	"testing"

	"github.com/eve-emulation/eve/dsv"
)

// deltas is the history of one variable, whatever it is called.
type deltas []dsv.Delta

func (deltas) Declarations() []dsv.Declaration { return nil }

func (ds deltas) History(n dsv.Name, _, _ dsv.Instant, fn func(dsv.Update) error) error {
	for i := range ds {
		if err := fn(dsv.Update{Name: n, Delta: &ds[i]}); err != nil {
			return err
		}
	}
	return nil
}

func (ds deltas) reader(merge dsv.Merge) *reader {
	return &reader{
		h: ds, declared: map[dsv.Name]dsv.Declaration{"x": {Name: "x", Merge: merge}}, broken: map[dsv.Name]error{},
		data: &Data{grid: grid{width: 1e9, n: 4}},
	}
}

func delta(t0, t1, x float64) dsv.Delta {
	return dsv.Delta{Name: "x", T0: dsv.Instant(t0 * 1e9), T1: dsv.Instant(t1 * 1e9), Value: dsv.FloatValue(x), Weight: 1}
}

func same(got, want []float64) bool {
	for i := range want {
		if !(math.Abs(got[i]-want[i]) < 1e-9) && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
			return false
		}
	}
	return len(got) == len(want)
}

func TestRates(t *testing.T) {
	other := delta(0, 3, 6)
	other.Writer = 2
	for _, tt := range []struct {
		what string
		ds   deltas
		want []float64
	}{
		{"nothing", nil, []float64{0, 0, 0, 0}},
		{"one window after the other", deltas{delta(0, 1, 4), delta(1, 2, 2)}, []float64{4, 2, 0, 0}},
		{"long windows", deltas{delta(0, 2, 4), delta(2, 4, 2)}, []float64{2, 2, 1, 1}},
		{"nothing until the third", deltas{delta(0, 2.5, 4), delta(2.5, 3, 1)}, []float64{0, 0, 5, 0}},
		{"a pause", deltas{delta(0, 1, 4), delta(1, 2, 0), delta(2, 4, 7)}, []float64{4, 0, 0, 7}},
		{"another writer begins later", deltas{delta(0, 1, 4), delta(1, 2, 2), other}, []float64{4, 2, 6, 0}},
	} {
		if got := tt.ds.reader(dsv.Sum).rate("x"); !same(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.what, got, tt.want)
		}
	}
}

func TestLevels(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct {
		what  string
		merge dsv.Merge
		ds    deltas
		until float64
		want  []float64
	}{
		{"nothing", dsv.Last, nil, 4, []float64{nan, nan, nan, nan}},
		{"held since before the start", dsv.Last, deltas{delta(-1, -1, 3)}, 4, []float64{3, 3, 3, 3}},
		{"changes within a window", dsv.Last, deltas{delta(0, 0.5, 2), delta(0.5, 1.25, 6)}, 4, []float64{2, 5, 6, 6}},
		{"its module ends", dsv.Last, deltas{delta(0, 0.5, 2)}, 2.5, []float64{2, 2, 2, nan}},
		{"least", dsv.Min, deltas{delta(0, 0.5, 2), delta(0.5, 1, 1), delta(2, 3, -4)}, 4, []float64{1, nan, -4, nan}},
		{"greatest", dsv.Max, deltas{delta(0, 0.5, 2), delta(0.5, 1, 1), delta(2, 3, -4)}, 4, []float64{2, nan, -4, nan}},
		{"mean", dsv.Mean, deltas{delta(0, 0.5, 2), delta(0.5, 1, 1)}, 4, []float64{1.5, nan, nan, nan}},
	} {
		if got := tt.ds.reader(tt.merge).level("x", dsv.Instant(tt.until*1e9)); !same(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.what, got, tt.want)
		}
	}
}

func TestAxes(t *testing.T) {
	for _, tt := range []struct {
		unit   string
		rate   bool
		high   float64
		factor float64
		name   string
	}{
		{"1", false, 9, 1, ""},
		{"", true, 9, 1, "1/s"},
		{"s", false, 0.02, 1e3, "ms"},
		{"s", true, 0.02, 1, "s/s"},
		{"B", false, 100, 1, "B"},
		{"B", true, 3 << 20, 1.0 / (1 << 20), "MiB/s"},
		{"1/s", false, 9, 1, "1/s"},
		{"W\x1b", false, 9, 1, "W?"},
	} {
		if factor, name := axis(tt.unit, tt.rate, tt.high); factor != tt.factor || name != tt.name {
			t.Errorf("%q to %v: got %v and %q, want %v and %q", tt.unit, tt.high, factor, name, tt.factor, tt.name)
		}
	}
}
