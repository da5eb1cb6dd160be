package fit

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// describe tells what was fitted, without intervals.
func (f *Fit) describe(rs []*Recording, b *batches) {
	f.Batches, f.Seconds = len(b.work), b.seconds
	f.freedom = float64(len(b.work) - b.unknowns())
	for k, r := range rs {
		n := 0
		for _, run := range b.run {
			if run == k {
				n++
			}
		}
		f.Runs = append(f.Runs, Span{Name: r.Name, Scenario: r.plan.Name, From: r.From.Sub(0).Seconds(), To: r.To.Sub(0).Seconds(), Batches: n})
	}
	g := stat.NewGram(b.unknowns())
	for _, x := range b.work {
		g.Add(x, 0, 1)
	}
	c := g.Collinearity()
	f.Condition = runs.Number(c.Condition)
	for _, group := range c.Groups {
		f.Collinear = append(f.Collinear, f.names(group))
	}
	for k := range f.Resources {
		f.Resources[k].describe(b, k, len(rs))
		if !slices.ContainsFunc(rs, func(r *Recording) bool { return r.acted }) {
			f.known(&f.Resources[k])
		}
	}
}

// names are those of columns.
func (f *Fit) names(columns []int) []string {
	var out []string
	for _, i := range columns {
		if i < len(f.Classes) {
			out = append(out, f.Classes[i].Name)
		} else {
			out = append(out, "the background")
		}
	}
	return out
}

// describe tells of one resource what was fitted.
func (r *Fitted) describe(b *batches, k, ofRuns int) {
	d := b.solutions[k]
	r.Demands = make([]Demand, len(b.f.Classes))
	for i := range r.Demands {
		r.Demands[i].Value = d[i]
	}
	if b.background {
		r.Background = &Demand{Value: d[len(d)-1]}
	}
	n, sum, squares, left := 0.0, 0.0, 0.0, 0.0
	off, use := make([]float64, ofRuns), make([]float64, ofRuns)
	for i, y := range b.u[k] {
		if math.IsNaN(y) {
			continue
		}
		n, sum, squares, left = n+1, sum+y, squares+y*y, left+b.off[k][i]*b.off[k][i]
		off[b.run[i]] += b.off[k][i]
		use[b.run[i]] += y
	}
	r.Used = sum / n
	r.Explained = runs.Number(1 - left/(squares-sum*sum/n))
	r.Residual = runs.Number(math.Sqrt(left/n) / r.Used)
	r.Correlation = runs.Number(stat.Autocorrelation(b.left[k], 1))
	for i := range off {
		r.Off = append(r.Off, runs.Number(off[i]/use[i]))
	}
	r.Bend = b.bend(k, r.Used)
}

// bend adds the square of the fitted use to the regression, and returns what it makes of the batch with the most load where
// its t is at least 3.3 (one in a thousand) and it makes at least 3 %; else 0.
func (b *batches) bend(k int, used float64) float64 {
	p := b.unknowns()
	g := stat.NewGram(p + 1)
	most := 0.0
	for i, x := range b.x(k) {
		if w := b.weights[k][i]; w > 0 {
			fitted := dot(x, b.solutions[k]) / used
			most = max(most, fitted)
			g.Add(append(slices.Clone(x), fitted*fitted), b.u[k][i], w)
		}
	}
	bent, err := g.Unbounded()
	if err != nil {
		return 0
	}
	// The square that the last column explains alone, over the variance that is left: t².
	left := g.Squares(bent)
	straight := stat.NewGram(p)
	for i, x := range b.x(k) {
		if w := b.weights[k][i]; w > 0 {
			straight.Add(x, b.u[k][i], w)
		}
	}
	without, err := straight.Unbounded()
	if err != nil {
		return 0
	}
	n := float64(g.Rows())
	t2 := (straight.Squares(without) - left) / (left / (n - float64(p) - 1))
	share := bent[p] * most * most / (most * used)
	if !(t2 > 3.3*3.3) || math.Abs(share) < 0.03 {
		return 0
	}
	return share
}

// judge warns of what makes the demands doubtful.
func (f *Fit) judge(b *batches) {
	warn := func(format string, args ...any) { f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...)) }
	for _, group := range f.Collinear {
		warn("%s cannot be told apart by how they vary (condition number %.3g): their sum is known better than each; run mixes in which one has more, another less",
			listed(group), float64(f.Condition))
	}
	if f.freedom < fewFreedom {
		warn("%d batches for %d unknowns are few: the intervals are rough; run for longer", f.Batches, b.unknowns())
	}
	for _, c := range f.Classes {
		if c.Errors > 0.01*c.Requests {
			warn("%.3g %% of the requests of %s failed: what they demand is that of successes and failures together", 100*c.Errors/c.Requests, c.Name)
		}
	}
	var correlated []string
	for i := range f.Resources {
		r := &f.Resources[i]
		if stat.Autocorrelation(b.left[i], 1) > alike {
			correlated = append(correlated, r.Name)
		}
		if r.Bend != 0 {
			warn("%s: it does not grow in proportion to the load: a request takes %.3g %% %s in the batch with the most of it than at hardly any; fit at the loads that you plan for", r.Name,
				100*math.Abs(r.Bend), map[bool]string{true: "more", false: "less"}[r.Bend > 0])
		}
		if r.Background == nil && r.Kind == CPU && r.Target && r.Used < 0.02 {
			warn("%s is hardly used, %.2g processors in the mean: load it more", r.Name, r.Used)
		}
	}
	if len(correlated) > 0 {
		warn("what the fit leaves of neighbouring batches is correlated, of %s: the intervals there are too narrow; run for longer", listed(correlated))
	}
}

// listed is "a, b and c".
func listed(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
