package stat

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// A Collinearity says how well the columns of a regression can be told from each other.
type Collinearity struct {
	// Condition is the condition number of the matrix with its columns scaled to length 1: up to 10 nothing depends on anything,
	// from 30 on something does; infinite where a column is a combination of others.
	Condition float64
	// Groups are the columns that depend on each other, each group in order; none below a condition of MaxCondition.
	Groups [][]int
}

// MaxCondition is the condition index from which on a dependency does harm (Belsley, Kuh and Welsch, section 3.2).
const MaxCondition = 30

// Collinearity finds the dependencies between the columns by condition indices and variance proportions: columns of which more than half
// of the variance comes from directions with an index of MaxCondition or more depend on each other (Belsley, Kuh and Welsch, Regression
// Diagnostics, 1980, section 3.2). Columns without an entry are in no group.
func (g *Gram) Collinearity() Collinearity {
	g.prepare()
	var columns []int
	for j := range g.p {
		if g.scale[j] > 0 {
			columns = append(columns, j)
		}
	}
	n := len(columns)
	if n < 2 {
		return Collinearity{Condition: 1}
	}
	m := mat.NewSymDense(n, nil)
	for i, a := range columns {
		for j, b := range columns[:i+1] {
			m.SetSym(i, j, g.at(a, b))
		}
	}
	var e mat.EigenSym
	if !e.Factorize(m, true) {
		return Collinearity{Condition: math.Inf(1), Groups: [][]int{columns}}
	}
	values := e.Values(nil) // ascending
	var v mat.Dense
	e.VectorsTo(&v)
	return dependencies(columns, values, &v)
}

// rounding is what an eigenvalue of a scaled matrix may be of rounding alone.
const rounding = 1e-14

func dependencies(columns []int, values []float64, v *mat.Dense) Collinearity {
	n := len(columns)
	top := values[n-1]
	least := func(k int) float64 { return math.Max(values[k], rounding*top) }
	c := Collinearity{Condition: math.Sqrt(top / least(0))}
	if values[0] <= rounding*top {
		c.Condition = math.Inf(1)
	}
	var weak []int // directions
	for k := range values {
		if math.Sqrt(top/least(k)) >= MaxCondition {
			weak = append(weak, k)
		}
	}
	part := func(j, k int) float64 { return v.At(j, k) * v.At(j, k) / least(k) }
	var involved []int
	for j := range n {
		all, bad := 0.0, 0.0
		for k := range values {
			all += part(j, k)
			if slices.Contains(weak, k) {
				bad += part(j, k)
			}
		}
		if bad > all/2 {
			involved = append(involved, j)
		}
	}
	for len(involved) > 0 { // those that share a weak direction belong together
		group := involved[:1:1]
		involved = involved[1:]
		for i := 0; i < len(group); i++ {
			involved = slices.DeleteFunc(involved, func(j int) bool {
				shared := slices.ContainsFunc(weak, func(k int) bool { return share(v, group[i], k) && share(v, j, k) })
				if shared {
					group = append(group, j)
				}
				return shared
			})
		}
		for i, j := range group {
			group[i] = columns[j]
		}
		if slices.Sort(group); len(group) > 1 {
			c.Groups = append(c.Groups, group)
		}
	}
	return c
}

// share reports whether a column has a part in a direction that is worth telling.
func share(v *mat.Dense, j, k int) bool { return math.Abs(v.At(j, k)) > 0.1 }
