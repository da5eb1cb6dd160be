package session

import "errors"

// Visits is what is to be expected of a session: moments of how often it visits each page, from the fundamental matrix
// N = (I − P)⁻¹ of its absorbing chain (Kemeny and Snell, Finite Markov Chains, 1960, chapter 3).
type Visits struct {
	Mean, Variance []float64 // by page
	Once           []bool    // by page: at most one visit a session
	Last           []float64 // by page: the probability that a session ends with it
	Length         float64   // pages of a session, in the mean
	// Left is, by step and page, the mean number of visits that are to come when a session is at the step, without the
	// present one.
	Left [][]float64
}

// ErrEndless reports a chain from which there is no exit.
var ErrEndless = errors.New("a session can never end")

// Visits solves the chain. It takes time with the cube of the steps at worst; less, as most lead to few others.
func (c *Chain) Visits() (*Visits, error) {
	for _, ok := range c.ending() {
		if !ok {
			return nil, ErrEndless
		}
	}
	f := factor(c)
	v := &Visits{Left: make([][]float64, len(c.Steps))}
	for i := range v.Left {
		v.Left[i] = make([]float64, len(c.Pages))
	}
	for page := range c.Pages {
		v.page(c, f, page)
	}
	v.Last = make([]float64, len(c.Pages))
	for i, x := range c.presence(f) {
		v.Last[c.Steps[i].Page] += x * c.Steps[i].exit()
	}
	return v, nil
}

// page computes the moments of one page: with f the mean visits from each step on, f = 1 + P·f where 1 is the page's
// indicator, and with m the mean square, m = 1·(1 + 2·P·f) + P·m.
func (v *Visits) page(c *Chain, lu [][]float64, page int) {
	n := len(c.Steps)
	f, m := make([]float64, n), make([]float64, n)
	for i := range c.Steps {
		if c.Steps[i].Page == page {
			f[i] = 1
		}
	}
	solve(lu, f)
	once := true
	for i := range c.Steps {
		left := 0.0
		for _, e := range c.Steps[i].Next {
			left += e.P * f[e.To]
		}
		v.Left[i][page] = left
		if c.Steps[i].Page == page {
			m[i] = 1 + 2*left
			once = once && left < 1e-12
		}
	}
	solve(lu, m)
	mean, square := 0.0, 0.0
	for _, e := range c.Start {
		mean, square = mean+e.P*f[e.To], square+e.P*m[e.To]
	}
	v.Mean = append(v.Mean, mean)
	v.Variance = append(v.Variance, max(0, square-mean*mean))
	v.Once = append(v.Once, once)
	v.Length += mean
}

// factor returns the LU factors of I − P, by rows. Elimination needs no pivots, for the matrix is an M-matrix; and each
// diagonal element is found as a sum, of what leads on and of the exit, so that nothing cancels (Grassmann, Taksar and
// Heyman, "Regenerative analysis and steady state distributions for Markov chains", Operations Research 33, 1985).
func factor(c *Chain) [][]float64 {
	n := len(c.Steps)
	a := make([][]float64, n)
	exit := make([]float64, n)
	for i := range a {
		a[i] = make([]float64, n)
		exit[i] = c.Steps[i].exit()
		for _, e := range c.Steps[i].Next {
			a[i][e.To] -= e.P
		}
	}
	for k := range n {
		d := exit[k]
		for j := k + 1; j < n; j++ {
			d -= a[k][j]
		}
		a[k][k] = d
		for i := k + 1; i < n; i++ {
			if a[i][k] == 0 {
				continue
			}
			l := a[i][k] / d
			a[i][k] = l
			exit[i] -= l * exit[k]
			for j := k + 1; j < n; j++ {
				if a[k][j] != 0 {
					a[i][j] -= l * a[k][j]
				}
			}
		}
	}
	return a
}

// solve replaces b by the solution of LU·x = b.
func solve(lu [][]float64, b []float64) {
	for i := range b {
		for j := range i {
			b[i] -= lu[i][j] * b[j]
		}
	}
	for i := len(b) - 1; i >= 0; i-- {
		for j := i + 1; j < len(b); j++ {
			b[i] -= lu[i][j] * b[j]
		}
		b[i] /= lu[i][i]
	}
}

// presence is the mean number of visits of each step: the row vector x = start + x·P, by the factors of the transposed matrix.
func (c *Chain) presence(lu [][]float64) []float64 {
	x := make([]float64, len(c.Steps))
	for _, e := range c.Start {
		x[e.To] += e.P
	}
	// (LU)ᵀ = UᵀLᵀ
	for i := range x {
		for j := range i {
			x[i] -= lu[j][i] * x[j]
		}
		x[i] /= lu[i][i]
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := i + 1; j < len(x); j++ {
			x[i] -= lu[j][i] * x[j]
		}
	}
	return x
}
