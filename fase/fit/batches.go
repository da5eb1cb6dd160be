package fit

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/eve-emulation/eve/fase/stat"
)

// batches are the rows of the regressions: throughput by class, in 1/s and behind it 1 for the background, and use by resource. Of
// what is busy the throughput is that of work, of bytes that of answers.
type batches struct {
	f          *Fit
	seconds    float64
	work       [][]float64
	ended      [][]float64 // likewise, of requests that ended there
	u          [][]float64 // by resource and row; NaN where it was not measured
	run        []int       // of each row
	background bool
	solutions  [][]float64 // by resource
	weights    [][]float64 // by resource and row
	left       [][]float64 // by resource and row: standardised, 0 where it was not measured
	off        [][]float64 // by resource and row: measured less fitted
}

// cut makes batches of one length.
func (f *Fit) cut(rs []*Recording, length time.Duration, o Options) (*batches, error) {
	b := &batches{f: f, seconds: length.Seconds(), background: o.Background, u: make([][]float64, len(f.Resources))}
	for k, r := range rs {
		each := int(length / r.cell)
		if length%r.cell != 0 {
			return nil, fmt.Errorf("fit %s: batches of %v are no multiple of the %v in which it was recorded", r.Name, length, r.cell)
		}
		n := r.cells() / each
		skip := r.cells() - n*each // at the front, where a remaining transient would sit
		for i := range n {
			b.row(r, k, skip+i*each, each)
		}
	}
	if p := b.unknowns(); len(b.work) < p+minFreedom {
		return nil, fmt.Errorf("fit: %d batches of %v for %d unknowns: %w; run for longer, or with --batch %v",
			len(b.work), length, p, ErrTooShort, max(length/4, period).Round(period))
	}
	for k, u := range b.u {
		n := 0
		for _, y := range u {
			if !math.IsNaN(y) {
				n++
			}
		}
		if n < b.unknowns()+minFreedom {
			return nil, fmt.Errorf("fit %s: it was measured in %d of %d batches: %w", f.Resources[k].Name, n, len(u), ErrTooShort)
		}
	}
	return b, nil
}

func (b *batches) unknowns() int {
	if b.background {
		return len(b.f.Classes) + 1
	}
	return len(b.f.Classes)
}

// row adds the cells [at, at+each) of a recording.
func (b *batches) row(r *Recording, run, at, each int) {
	throughput := func(cells [][]float64) []float64 {
		x := make([]float64, b.unknowns())
		for c := range cells {
			i := b.f.classes[r.Classes[c].Name]
			for _, n := range cells[c][at : at+each] {
				x[i] += n / b.seconds
			}
		}
		if b.background {
			x[len(x)-1] = 1
		}
		return x
	}
	for k := range b.f.Resources {
		used := 0.0
		if j := slices.IndexFunc(r.Resources, func(y Resource) bool { return y.Name == b.f.Resources[k].Name }); j >= 0 {
			used = rate(r.use[j][at:at+each], r.cell.Seconds())
		}
		b.u[k] = append(b.u[k], used)
	}
	b.work, b.ended, b.run = append(b.work, throughput(r.requests)), append(b.ended, throughput(r.ended)), append(b.run, run)
}

// x are the throughputs for a resource, by row.
func (b *batches) x(k int) [][]float64 {
	if b.f.Resources[k].Kind == Bytes {
		return b.ended
	}
	return b.work
}

// rate is the use in a second of the cells that were measured, NaN where that is not even half of them.
func rate(cells []float64, seconds float64) float64 {
	n, sum := 0, 0.0
	for _, u := range cells {
		if !math.IsNaN(u) {
			n, sum = n+1, sum+u
		}
	}
	if 2*n < len(cells) {
		return math.NaN()
	}
	return sum / (float64(n) * seconds)
}

// fit solves the regressions of all resources.
func (b *batches) fit() {
	g := stat.NewGram(b.unknowns())
	for k, u := range b.u {
		x := b.x(k)
		weights := make([]float64, len(u))
		n, mean := 0.0, 0.0
		for i, y := range u {
			if !math.IsNaN(y) {
				weights[i] = 1
				n, mean = n+1, mean+y
			}
		}
		mean /= n
		var d []float64
		for range 4 { // it has settled to 1e-3 by then
			g.Reset()
			for i, y := range u {
				if weights[i] > 0 {
					g.Add(x[i], y, weights[i])
				}
			}
			d = g.NonNegative()
			for i := range u {
				if weights[i] > 0 {
					weights[i] = 1 / max(dot(x[i], d)/mean, floor)
				}
			}
		}
		left, off := make([]float64, len(u)), make([]float64, len(u))
		for i, y := range u {
			if weights[i] > 0 {
				if o := y - dot(x[i], d); math.Abs(o) > rounding*mean {
					off[i], left[i] = o, math.Sqrt(weights[i])*o
				}
			}
		}
		b.solutions, b.weights = append(b.solutions, d), append(b.weights, weights)
		b.left, b.off = append(b.left, left), append(b.off, off)
	}
}

// correlated reports whether what is left of neighbouring batches is alike, of some resource.
func (b *batches) correlated() bool {
	return slices.ContainsFunc(b.left, func(left []float64) bool {
		return stat.Autocorrelation(left, 1) > 2.326/math.Sqrt(float64(len(left)))
	})
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}
