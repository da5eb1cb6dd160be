package runs_test

import (
	"testing"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// TestVisitsOutsideTheirBoundsFail takes counts of visits up to and beyond the bounds of the law that they follow.
func TestVisitsOutsideTheirBoundsFail(t *testing.T) {
	for _, tt := range []struct {
		name           string
		mean, variance float64
		once           bool
		begun          int64
		cut            float64
		visits         int64
		want           stat.Verdict
	}{
		{"binomial, expected", 0.3, 0.21, true, 1000, 0, 300, stat.Pass},
		{"binomial, four deviations", 0.3, 0.21, true, 1000, 0, 358, stat.Fail},
		{"binomial, four deviations below", 0.3, 0.21, true, 1000, 0, 242, stat.Fail},
		{"certain", 1, 0, true, 50, 0, 50, stat.Pass},
		{"certain, one missing", 1, 0, true, 50, 0, 49, stat.Fail},
		{"certain, one cut short", 1, 0, true, 50, 1, 49, stat.Pass},
		{"never, once", 0, 0, true, 50, 0, 1, stat.Fail},
		{"normal, expected", 2, 3, false, 1000, 0, 2000, stat.Pass},
		{"normal, four deviations", 2, 3, false, 1000, 0, 2219, stat.Fail},
		{"normal, too few", 2, 3, false, 3, 0, 60, stat.Inconclusive},
		{"none begun", 0.3, 0.21, true, 0, 0, 0, stat.Inconclusive},
	} {
		p := runs.Page{Cut: runs.Number(tt.cut), Visits: tt.visits}
		if p.Judge(tt.mean, tt.variance, tt.once, tt.begun, 1); p.Verdict != tt.want {
			t.Errorf("%s: got %v for %d visits within %v to %v, want %v", tt.name, p.Verdict, tt.visits, p.Low, p.High, tt.want)
		}
	}
}
