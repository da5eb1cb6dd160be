package fit

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// Numbers of the method.
const (
	minFreedom = 8                      // batches beyond the unknowns
	fewFreedom = 20                     // below it is told
	minBatch   = 500 * time.Millisecond // shorter ones are mostly edges
	floor      = 0.05                   // least variance of a batch, as a share of that of one with the mean use
	resamples  = 400
	rounding   = 1e-9 // of the mean use: less that is left of a batch is nothing
	alike      = 0.5  // correlation of neighbours above which blocks of batches no longer help
)

// Estimate fits the demands of all classes of recordings to all resources. One that a recording does not have was not used there.
//
// Batches are pieces of the same length of every run. Without Options.Batch they are as short as half a second, so that there are
// many, and become longer while what the fit leaves of neighbouring ones is correlated (lag 1, one-sided at 1 %) and there are
// still p + 20 of them for p unknowns.
// A batch weighs with the inverse of the use that is fitted to it, as the variance of a sum of independent demands grows with their
// number; the weights are iterated (quasi-likelihood with a variance in proportion to the mean: McCullagh and Nelder, Generalized
// Linear Models, 1989, chapter 9).
//
// Intervals are those of Student's t around the value with the standard deviation of solutions over resampled batches: blocks of
// them as long as their correlation lasts, drawn within each run (Künsch, Annals of Statistics 17, 1989), enlarged by the square root of
// n/(n-p). So a fit to one run, and to the runs of a few mixes, has intervals of chance alone; that requests take less time each under
// load, or more, is for [Fitted].Bend and Off to tell.
//
// It is ErrTooShort when there are fewer than p + 8 batches for p unknowns.
func Estimate(rs []*Recording, o Options) (*Fit, error) {
	if len(rs) == 0 {
		return nil, fmt.Errorf("fit: %w", ErrNoRequests)
	}
	if o.Confidence == 0 {
		o.Confidence = 0.95
	}
	if o.Resamples == 0 {
		o.Resamples = resamples
	}
	f := &Fit{Confidence: o.Confidence, classes: map[string]int{}}
	cell := time.Duration(0)
	for _, r := range rs {
		f.merge(r)
		cell = max(cell, r.cell)
	}
	var b *batches
	for length := first(o.Batch, cell); ; length = longer(length, cell) {
		next, err := f.cut(rs, length, o)
		if b == nil && err != nil {
			return nil, err
		}
		if b != nil && (err != nil || len(next.work) < next.unknowns()+fewFreedom) {
			break // the one before has to do: blocks of its batches are resampled
		}
		b = next
		b.fit()
		if o.Batch > 0 || !b.correlated() {
			break
		}
	}
	f.describe(rs, b)
	b.intervals(o)
	f.judge(b)
	return f, nil
}

// first is the length of batches to begin with: a multiple of the cells.
func first(asked, cell time.Duration) time.Duration {
	if asked <= 0 {
		asked = minBatch
	}
	return max(1, (asked+cell-1)/cell) * cell
}

// longer is the next length to try.
func longer(length, cell time.Duration) time.Duration { return first(2*length, cell) }

// merge takes the classes and resources of a recording into the fit.
func (f *Fit) merge(r *Recording) {
	f.plans = append(f.plans, r.plan)
	f.Warnings = append(f.Warnings, r.Warnings...)
	for _, c := range r.Classes {
		i, ok := f.classes[c.Name]
		if !ok {
			f.classes[c.Name] = len(f.Classes)
			c.Sources = slices.Clone(c.Sources)
			f.Classes = append(f.Classes, c)
			continue
		}
		g := &f.Classes[i]
		g.Requests, g.Errors = g.Requests+c.Requests, g.Errors+c.Errors
		for _, s := range c.Sources {
			if !slices.Contains(g.Sources, s) {
				g.Sources = append(g.Sources, s)
			}
		}
	}
	for _, x := range r.Resources {
		if f.Fitted(x.Name) == nil {
			f.Resources = append(f.Resources, Fitted{Resource: x})
		}
	}
}

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
		f.known(&f.Resources[k])
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
	for i := range f.Resources {
		r := &f.Resources[i]
		if stat.Autocorrelation(b.left[i], 1) > alike {
			warn("%s: what the fit leaves of neighbouring batches is correlated (%.2f): the intervals are too narrow; run for longer", r.Name, float64(r.Correlation))
		}
		if r.Bend != 0 {
			warn("%s: it does not grow in proportion to the load: a request takes %.3g %% %s in the batch with the most of it than at hardly any; fit at the loads that you plan for", r.Name,
				100*math.Abs(r.Bend), map[bool]string{true: "more", false: "less"}[r.Bend > 0])
		}
		if r.Background == nil && r.Kind == CPU && r.Target && r.Used < 0.02 {
			warn("%s is hardly used, %.2g processors in the mean: load it more", r.Name, r.Used)
		}
	}
}

// listed is "a, b and c".
func listed(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
