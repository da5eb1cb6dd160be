package stat

import (
	"errors"
	"math"
)

// ErrSingular reports that no variable of a regression can be told from the others.
var ErrSingular = errors.New("the columns depend on each other")

// dependent is how small a pivot of the scaled normal equations is when its column depends on those before: condition numbers up
// to 10⁵ go through.
const dependent = 1e-10

// A Gram holds the normal equations of a weighted linear least squares problem: all that its solutions depend on. The zero value is
// no Gram: [NewGram] makes one. It is used by one goroutine at a time.
type Gram struct {
	p     int
	ata   []float64 // p × p, symmetric, by rows
	atb   []float64
	btb   float64
	rows  int
	scale []float64 // the lengths of the columns
}

// NewGram returns the equations of p unknowns and no rows.
func NewGram(p int) *Gram {
	return &Gram{p: p, ata: make([]float64, p*p), atb: make([]float64, p)}
}

// Add adds one row: Σ_j a[j]·x[j] should be b, with a weight ≥ 0 (an inverse variance, or how often the row was seen). a is not kept.
func (g *Gram) Add(a []float64, b, weight float64) {
	if weight == 0 {
		return
	}
	g.rows++
	g.scale = nil
	for i, x := range a {
		wx := weight * x
		if wx == 0 {
			continue
		}
		row := g.ata[i*g.p : (i+1)*g.p]
		for j := 0; j <= i; j++ {
			row[j] += wx * a[j]
		}
		g.atb[i] += wx * b
	}
	g.btb += weight * b * b
}

// Reset leaves out all rows.
func (g *Gram) Reset() {
	clear(g.ata)
	clear(g.atb)
	g.btb, g.rows, g.scale = 0, 0, nil
}

// Rows is how many rows of a weight above 0 were added.
func (g *Gram) Rows() int { return g.rows }

// prepare takes the lengths of the columns, by which everything is scaled, so that units do not matter.
func (g *Gram) prepare() {
	if g.scale != nil {
		return
	}
	g.scale = make([]float64, g.p)
	for j := range g.scale {
		g.scale[j] = math.Sqrt(g.ata[j*g.p+j])
	}
}

// at is an entry of the scaled matrix, whose diagonal is 1, or 0 of a column without entries.
func (g *Gram) at(i, j int) float64 {
	if i < j {
		i, j = j, i
	}
	if d := g.scale[i] * g.scale[j]; d > 0 {
		return g.ata[i*g.p+j] / d
	}
	return 0
}

// NonNegative returns the x ≥ 0 with the least sum of weighted squares, by the active set method of Lawson and Hanson (Solving
// Least Squares Problems, 1974, chapter 23) on the normal equations (Bro and de Jong, J. Chemometrics 11, 1997). A column that depends
// on those already in, up to a condition number of 10⁵, stays at 0, and so does one without entries.
func (g *Gram) NonNegative() []float64 {
	g.prepare()
	s := activeSet{g: g, x: make([]float64, g.p), in: make([]bool, g.p), barred: make([]bool, g.p)}
	for range 3*g.p + 10 { // as often as Lawson and Hanson's own routine tries
		j := s.steepest()
		if j < 0 {
			break
		}
		s.in[j] = true
		if !s.descend() {
			s.in[j], s.barred[j] = false, true
		}
	}
	for j := range s.x {
		if g.scale[j] > 0 {
			s.x[j] /= g.scale[j]
		}
	}
	return s.x
}

// Unbounded returns the x of any sign with the least sum of weighted squares; ErrSingular when there are several.
func (g *Gram) Unbounded() ([]float64, error) {
	g.prepare()
	all := make([]int, g.p)
	for j := range all {
		all[j] = j
	}
	x, ok := g.solve(all)
	if !ok {
		return nil, ErrSingular
	}
	for j := range x {
		x[j] /= g.scale[j]
	}
	return x, nil
}

// Squares returns the sum of weighted squares that x leaves.
func (g *Gram) Squares(x []float64) float64 {
	sum := g.btb
	for i := range x {
		sum -= 2 * x[i] * g.atb[i]
		for j := range x {
			sum += x[i] * x[j] * g.ata[max(i, j)*g.p+min(i, j)]
		}
	}
	return max(sum, 0)
}

// solve solves the scaled equations of some columns by Cholesky's method; false where one depends on the others.
func (g *Gram) solve(columns []int) ([]float64, bool) {
	n := len(columns)
	l, x := make([]float64, n*n), make([]float64, n)
	for i, ci := range columns {
		for j := range i + 1 {
			sum := g.at(ci, columns[j])
			for k := range j {
				sum -= l[i*n+k] * l[j*n+k]
			}
			switch {
			case i > j:
				l[i*n+j] = sum / l[j*n+j]
			case !(sum > dependent):
				return nil, false
			default:
				l[i*n+i] = math.Sqrt(sum)
			}
		}
		sum := g.atb[ci] / g.scale[ci]
		for k := range i {
			sum -= l[i*n+k] * x[k]
		}
		x[i] = sum / l[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			x[i] -= l[k*n+i] * x[k]
		}
		x[i] /= l[i*n+i]
	}
	return x, true
}

// An activeSet is the state of NonNegative, in scaled variables.
type activeSet struct {
	g      *Gram
	x      []float64
	in     []bool // may be above 0
	barred []bool // depends on those that are in
}

// steepest returns the column outside along which the squares fall fastest, or -1.
func (s *activeSet) steepest() int {
	best, most := -1, 1e-12*math.Sqrt(s.g.btb)
	for j := range s.x {
		if s.in[j] || s.barred[j] || s.g.scale[j] == 0 {
			continue
		}
		slope := s.g.atb[j] / s.g.scale[j]
		for k, x := range s.x {
			if x != 0 {
				slope -= s.g.at(j, k) * x
			}
		}
		if slope > most {
			best, most = j, slope
		}
	}
	return best
}

// descend goes to the least squares of the columns that are in, and leaves those behind that reach 0 on the way. It returns
// false, and changes nothing, where they depend on each other.
func (s *activeSet) descend() bool {
	for first := true; ; first = false {
		var columns []int
		for j, in := range s.in {
			if in {
				columns = append(columns, j)
			}
		}
		to, ok := s.g.solve(columns)
		if !ok {
			return !first
		}
		step, blocked := 1.0, false
		for i, j := range columns {
			if to[i] > 0 {
				continue
			}
			if a := s.x[j] / (s.x[j] - to[i]); a < step || !blocked {
				step, blocked = min(a, step), true
			}
		}
		for i, j := range columns {
			s.x[j] += step * (to[i] - s.x[j])
			if blocked && to[i] <= 0 && s.x[j] <= 1e-15*math.Sqrt(s.g.btb) {
				s.x[j], s.in[j] = 0, false
				clear(s.barred)
			}
		}
		if !blocked {
			return true
		}
	}
}
