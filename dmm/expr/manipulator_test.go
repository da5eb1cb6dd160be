package expr_test

import (
	"math"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/dmmtest"
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
)

func TestManipulator(t *testing.T) {
	ten, zero := 10.0, 0.0
	for _, tc := range []struct {
		src           string
		init          *float64
		samples, want []float64
	}{
		{"0.9*shadow + 0.1*sample", nil, []float64{10, 20, 0}, []float64{10, 11, 9.9}},
		{"0.9*shadow + 0.1*sample", &ten, []float64{20, 0}, []float64{11, 9.9}},
		{"max(shadow, sample)", nil, []float64{3, 2, 5}, []float64{3, 3, 5}},
		{"shadow + sample", &zero, []float64{1, 2, 3}, []float64{1, 3, 6}},
		{"sample > 0 ? shadow + 1 : shadow", &zero, []float64{1, -2, 3}, []float64{1, 1, 2}},
		{"abs(sample)", nil, []float64{-1, -2}, []float64{-1, 2}}, // the first sample is held as it is
		{"abs(sample)", &zero, []float64{-1, -2}, []float64{1, 2}},
		{"1 / sample", &ten, []float64{0, 2, 0}, []float64{10, 0.5, 0.5}}, // unknown leaves the shadow
	} {
		t.Run(tc.src, func(t *testing.T) {
			man, err := expr.Manipulator(tc.src, tc.init)
			if err != nil {
				t.Fatal(err)
			}
			s, level := man.New(dmm.Spec{}), math.NaN()
			for i, x := range tc.samples {
				s.Write(x, 1)
				level = man.Level(level, x, 0)
				if v, weight := s.Take(); math.Abs(v.Float-tc.want[i]) > 1e-12 || weight != 1 || v.Kind != dsv.Float {
					t.Fatalf("after %v: got %v of weight %v, want %v", tc.samples[:i+1], v, weight, tc.want[i])
				}
				if math.Abs(level-tc.want[i]) > 1e-12 {
					t.Fatalf("after %v: got level %v, want %v", tc.samples[:i+1], level, tc.want[i])
				}
			}
			s.WriteValue(dsv.IntValue(1))
			s.WriteValue(dsv.TextValue("1"))
			if _, weight := s.Take(); weight != 1 {
				t.Errorf("values: got weight %v, want 1", weight)
			}
			if got := testing.AllocsPerRun(100, func() { s.Write(1, 1) }); got != 0 {
				t.Errorf("got %v allocations", got)
			}
		})
	}
}

func TestManipulatorMistakes(t *testing.T) {
	inf := math.Inf(1)
	for _, tc := range []struct {
		src  string
		init *float64
		want string
	}{
		{"shadow > sample", nil, "col 1: a manipulator comes to a number, not to true or false; write c ? 1 : 0"},
		{"0.9*shadw", nil, "col 5: no such input shadw; did you mean shadow?"},
		{"p95(sample)", nil, "col 1: no such function p95; the functions are min max abs floor sqrt exp log"},
		{"shadow +", nil, "col 9: the expression ends too early"},
		{"shadow", &inf, "init +Inf: not a finite number"},
	} {
		if man, err := expr.Manipulator(tc.src, tc.init); man != nil || err == nil || err.Error() != tc.want {
			t.Errorf("%s: got %v, want %s", tc.src, err, tc.want)
		}
	}
}

// Expressions keep to the contract of all manipulators.
func TestManipulatorContract(t *testing.T) {
	above := 2.5
	for _, sync := range []dmm.Trigger{{}, {Every: 100 * time.Millisecond}, {Count: 7}, {Change: 0.5}, {Above: &above}} {
		for _, init := range []*float64{nil, &above} {
			man, err := expr.Manipulator("0.9*shadow + 0.1*sample", init)
			if err != nil {
				t.Fatal(err)
			}
			dmmtest.Run(t, dmm.Spec{Name: "probe.x", Manipulator: "expr", Custom: man, Sync: sync})
		}
	}
}
