package stat_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/eve-emulation/eve/fase/stat"
)

// A well-known example, of two sets of 15: by hand their means are 20.82 and 22.98667, their variances 7.86743 and 3.81267, the
// standard error of the difference √(11.68010/15) = 0.88242, the degrees of freedom 24.99; the quantile of t there is 2.0596.
func TestWelchExample(t *testing.T) {
	a := []float64{27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4}
	b := []float64{27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4}
	e, err := stat.Welch(a, b, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(e.Value-2.16667) > 1e-4 || math.Abs(e.Half()-1.81743) > 2e-3 {
		t.Errorf("got %.5f ± %.5f, want 2.16667 ± 1.81743", e.Value, e.Half())
	}
}

// Of intervals at 95 % about one in twenty misses the truth, though variances and numbers differ.
func TestWelchCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	missed, tries := 0, 2000
	for range tries {
		a, b := make([]float64, 3), make([]float64, 6)
		for i := range a {
			a[i] = r.NormFloat64()
		}
		for i := range b {
			b[i] = 5 + 4*r.NormFloat64()
		}
		e, err := stat.Welch(a, b, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		if e.Low > 5 || e.High < 5 {
			missed++
		}
	}
	if share := float64(missed) / float64(tries); share < 0.03 || share > 0.07 {
		t.Errorf("got %.3f of the intervals beside the truth, want about 0.05", share)
	}
}

func TestWelchWrong(t *testing.T) {
	two := []float64{1, 2}
	if _, err := stat.Welch(two[:1], two, 0.95); !errors.Is(err, stat.ErrTooShort) {
		t.Errorf("got %v of one sample", err)
	}
	if _, err := stat.Welch(two, two, 1); !errors.Is(err, stat.ErrRange) {
		t.Errorf("got %v at a confidence of 1", err)
	}
	if e, err := stat.Welch([]float64{3, 3}, []float64{4, 4}, 0.95); err != nil || e.Low != 1 || e.High != 1 {
		t.Errorf("got %+v, %v of samples that do not vary", e, err)
	}
}
