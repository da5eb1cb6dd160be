package stat_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/fase/stat"
)

func gram(a [][]float64, b []float64) *stat.Gram {
	g := stat.NewGram(len(a[0]))
	for i, row := range a {
		g.Add(row, b[i], 1)
	}
	return g
}

func squares(a [][]float64, b, x []float64) float64 {
	sum := 0.0
	for i, row := range a {
		left := -b[i]
		for j, y := range row {
			left += y * x[j]
		}
		sum += left * left
	}
	return sum
}

// everySubset finds the best non-negative solution by trying all sets of columns that may be above 0.
func everySubset(a [][]float64, b []float64) float64 {
	p := len(a[0])
	best := squares(a, b, make([]float64, p))
	for set := 1; set < 1<<p; set++ {
		var columns []int
		for j := range p {
			if set&(1<<j) != 0 {
				columns = append(columns, j)
			}
		}
		g := stat.NewGram(len(columns))
		for i, row := range a {
			part := make([]float64, len(columns))
			for k, j := range columns {
				part[k] = row[j]
			}
			g.Add(part, b[i], 1)
		}
		x, err := g.Unbounded()
		if err != nil || slices.Min(x) < 0 {
			continue
		}
		whole := make([]float64, p)
		for k, j := range columns {
			whole[j] = x[k]
		}
		best = min(best, squares(a, b, whole))
	}
	return best
}

func TestNonNegativeIsTheBestOfEverySubset(t *testing.T) {
	bounded := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := 1 + r.IntN(5)
		a, b := make([][]float64, p+5), make([]float64, p+5)
		unit := math.Pow(10, float64(r.IntN(9))-6) // seconds of some, bytes of others
		for i := range a {
			a[i] = make([]float64, p)
			for j := range a[i] {
				a[i][j] = r.NormFloat64() * []float64{1, unit}[j%2]
			}
			b[i] = r.NormFloat64()
		}
		x := gram(a, b).NonNegative()
		got, want := squares(a, b, x), everySubset(a, b)
		if slices.Min(x) < 0 || got > want*(1+1e-9) {
			t.Errorf("seed %d: got %v with squares %.12g, want %.12g", seed, x, got, want)
		}
		if slices.Contains(x, 0) {
			bounded++
		}
		if left := gram(a, b).Squares(x); math.Abs(left-got) > 1e-9*(1+got) {
			t.Errorf("seed %d: got %.12g by the equations, want %.12g", seed, left, got)
		}
	}
	if bounded < 100 || bounded > 290 {
		t.Errorf("got %d of 300 solutions at a bound: it is to be some, not all", bounded)
	}
}

func TestNonNegativeFindsDemands(t *testing.T) {
	want := []float64{35e-6, 0, 2e-3}
	r := rand.New(rand.NewPCG(7, 1))
	g := stat.NewGram(4)
	for range 50 {
		row := []float64{r.Float64() * 1e4, r.Float64() * 10, r.Float64() * 300, 0}
		g.Add(row, row[0]*want[0]+row[2]*want[2], 1+r.Float64())
	}
	got := g.NonNegative()
	for j, w := range append(want, 0) {
		if math.Abs(got[j]-w) > 1e-12 {
			t.Errorf("column %d: got %g, want %g", j, got[j], w)
		}
	}
	if g.Rows() != 50 {
		t.Errorf("got %d rows, want 50", g.Rows())
	}
	g.Reset()
	if got := g.NonNegative(); slices.Max(got) != 0 {
		t.Errorf("without rows: got %v, want zeros", got)
	}
}

func TestCollinearityNamesWhatDependsOnWhat(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	rows := func(f func() []float64) *stat.Gram {
		g := stat.NewGram(len(f()))
		for range 200 {
			g.Add(f(), 0, 1)
		}
		return g
	}
	tests := []struct {
		name   string
		row    func() []float64
		from   float64 // of the condition number
		to     float64
		groups [][]int
	}{
		{"orthogonal in the mean", func() []float64 { return []float64{r.NormFloat64(), r.NormFloat64(), 1} }, 1, 1.5, nil},
		{"one column", func() []float64 { return []float64{5} }, 1, 1, nil},
		{"a column of zeros", func() []float64 { return []float64{r.Float64(), 0} }, 1, 1, nil},
		{"twice the other", func() []float64 { x := r.Float64(); return []float64{x, r.Float64(), 2e6 * x} }, math.Inf(1), math.Inf(1), [][]int{{0, 2}}},
		{"nearly so", func() []float64 {
			x := r.Float64()
			return []float64{x, r.Float64(), x * (1 + 0.01*r.NormFloat64())}
		}, 60, 400, [][]int{{0, 2}}},
		{"a mix of Poisson noise alone", func() []float64 { return []float64{1000 + 32*r.NormFloat64(), 1000 + 32*r.NormFloat64()} }, 30, 70, [][]int{{0, 1}}},
		{"two pairs", func() []float64 {
			x, y := r.NormFloat64(), r.NormFloat64()
			return []float64{x, y, x + 1e-3*r.NormFloat64(), r.NormFloat64(), y + 1e-2*r.NormFloat64()}
		}, 500, 5000, [][]int{{0, 2}, {1, 4}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := rows(test.row).Collinearity()
			if !(got.Condition >= test.from*(1-1e-9) && got.Condition <= test.to*(1+1e-9)) {
				t.Errorf("condition: got %g, want %g to %g", got.Condition, test.from, test.to)
			}
			if !slices.EqualFunc(got.Groups, test.groups, slices.Equal) {
				t.Errorf("groups: got %v, want %v", got.Groups, test.groups)
			}
		})
	}
}

func TestUnboundedRefusesDependentColumns(t *testing.T) {
	g := stat.NewGram(2)
	for i := range 10 {
		g.Add([]float64{float64(i), 3 * float64(i)}, 1, 1)
	}
	if _, err := g.Unbounded(); !errors.Is(err, stat.ErrSingular) {
		t.Errorf("got %v, want %v", err, stat.ErrSingular)
	}
	x := g.NonNegative()
	if x[0]*x[1] != 0 || x[0]+x[1] == 0 {
		t.Errorf("got %v, want one of two that depend on each other", x)
	}
}
