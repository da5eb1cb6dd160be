package fit

import (
	"fmt"
	"slices"
	"time"
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
