package dmm

import (
	"math"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// A Window is the reader's side of a variable: it keeps its deltas and sums those of any stretch of time. It belongs to
// one goroutine at a time.
type Window struct {
	kind   dsv.Kind
	rule   dsv.Merge
	keep   time.Duration
	step   dsv.Instant
	deltas []dsv.Delta // by T1
	newest dsv.Instant
}

// NewWindow returns an empty Window for the variable, which forgets deltas that ended more than keep before the newest
// one; keep 0 forgets none.
func NewWindow(d dsv.Declaration, keep time.Duration) *Window {
	return &Window{kind: d.Kind, rule: d.Merge, keep: keep}
}

// Add files a delta, of whichever writer. A delta of another kind than the variable's is ignored.
func (w *Window) Add(d dsv.Delta) {
	if d.Value.Kind != w.kind {
		return
	}
	i := len(w.deltas)
	for i > 0 && w.deltas[i-1].T1 > d.T1 {
		i--
	}
	switch {
	case i > 0 && w.together(&w.deltas[i-1], &d):
		w.join(&w.deltas[i-1], &d)
	case i < len(w.deltas) && w.together(&w.deltas[i], &d):
		w.join(&w.deltas[i], &d)
	default:
		w.deltas = slices.Insert(w.deltas, i, d)
	}
	w.newest = max(w.newest, d.T1)
	w.prune()
}

// Coarsen has deltas kept as one that end in the same step since T0, so that the Window takes memory for its length and not
// for what comes. Sums are exact that begin and end at multiples of step. It is called before the first Add.
func (w *Window) Coarsen(step time.Duration) { w.step = max(0, dsv.Instant(step)) }

// together says whether two deltas end in one step.
func (w *Window) together(a, b *dsv.Delta) bool {
	return w.step > 0 && (a.T1-1)/w.step == (b.T1-1)/w.step && (a.T1 > 0) == (b.T1 > 0)
}

// join folds b into a.
func (w *Window) join(a, b *dsv.Delta) {
	f := dsv.NewFold(w.kind, w.rule)
	f.Add(a)
	f.Add(b)
	a.Weight = f.Weight()
	if w.rule == dsv.Hists {
		a.Value = dsv.HistValue(dsv.MergeHists(a.Value.Hist, b.Value.Hist)) // at once, or what came would stay for as long as the sum
	} else {
		a.Value = f.Raw()
	}
	a.T0, a.T1 = f.Span()
}

// prune forgets what is too old, half of the list or more at a time, so that it costs little each time.
func (w *Window) prune() {
	if w.keep <= 0 {
		return
	}
	old := w.after(w.newest.Add(-w.keep))
	if old > len(w.deltas)/2 {
		w.deltas = slices.Delete(w.deltas, 0, old)
	}
}

// after returns the index of the first delta with T1 past t.
func (w *Window) after(t dsv.Instant) int {
	i, _ := slices.BinarySearchFunc(w.deltas, t, func(d dsv.Delta, t dsv.Instant) int {
		if d.T1 <= t {
			return -1
		}
		return 1
	})
	return i
}

// Len returns the number of deltas that are kept.
func (w *Window) Len() int { return len(w.deltas) }

// Newest returns the latest T1 that was added.
func (w *Window) Newest() dsv.Instant { return w.newest }

// Deltas returns the deltas with T1 in (from, to], oldest first; valid until the next Add.
func (w *Window) Deltas(from, to dsv.Instant) []dsv.Delta {
	i, j := w.after(from), w.after(to)
	return w.deltas[i:max(i, j)]
}

// Sum folds the deltas with T1 in (from, to]. Missing deltas are empty ones, so the Total spans from to to whatever is
// there. A variable that keeps its last value has it also when it was written before from, as long as it is kept.
func (w *Window) Sum(from, to dsv.Instant) Total {
	f := dsv.NewFold(w.kind, w.rule)
	ds := w.Deltas(from, to)
	for i := range ds {
		f.Add(&ds[i])
	}
	if len(ds) == 0 && w.rule == dsv.Last {
		if i := w.after(to); i > 0 {
			f.Add(&w.deltas[i-1])
		}
	}
	t := Total{Kind: w.kind, Merge: w.rule, Weight: f.Weight(), T0: max(from, 0), T1: to}
	if !f.Empty() {
		t.Value = f.Raw()
	}
	return t
}

// A Total is what a variable's writers told over a stretch of time.
type Total struct {
	Kind   dsv.Kind
	Merge  dsv.Merge
	Value  dsv.Value // as a Delta carries it: for Mean the sum; without a kind when nothing was written
	Weight float64   // samples, or for Mean the sum of weights
	T0, T1 dsv.Instant
}

// Empty says whether there was nothing to fold.
func (t Total) Empty() bool {
	return t.Value.Kind == 0 || t.Value.Kind == dsv.Histogram && t.Value.Hist.Count() == 0
}

// Seconds returns the length of the stretch.
func (t Total) Seconds() float64 { return t.T1.Sub(t.T0).Seconds() }

// Mean returns the mean of the samples: for Mean and Hists variables of what was written, for a Sum the mean addend,
// else the value itself. NaN when there is none.
func (t Total) Mean() float64 {
	x, ok := t.Value.Number()
	switch {
	case !ok:
		return math.NaN()
	case t.Merge == dsv.Mean || t.Merge == dsv.Sum:
		return x / t.Weight // 0/0 is NaN
	}
	return x
}

// Number returns the value that a bare name stands for: the sum, the least, the greatest, the latest, or the mean. NaN
// when there is none, except that a Sum of nothing is 0.
func (t Total) Number() float64 {
	if t.Merge == dsv.Sum {
		x, _ := t.Value.Number()
		return x
	}
	return t.Mean()
}

// Quantile returns the q-quantile of a histogram, NaN of anything else and when it is empty.
func (t Total) Quantile(q float64) float64 {
	if t.Value.Kind != dsv.Histogram {
		return math.NaN()
	}
	return t.Value.Hist.Quantile(q)
}

// Rate returns what was added per second, for a Sum; for other rules the samples per second. 0 for an empty stretch.
func (t Total) Rate() float64 {
	if t.Seconds() <= 0 {
		return 0
	}
	return t.Count() / t.Seconds()
}

// Count returns what a Sum added up to, and the number of samples otherwise.
func (t Total) Count() float64 {
	if t.Merge == dsv.Sum {
		x, _ := t.Value.Number()
		return x
	}
	return t.Weight
}

// Min returns the least sample that is known: of a histogram or a Min; else the value. NaN when there is none.
func (t Total) Min() float64 {
	if t.Value.Kind == dsv.Histogram {
		return t.Value.Hist.Min()
	}
	return t.Number()
}

// Max returns the greatest sample that is known: of a histogram or a Max; else the value. NaN when there is none.
func (t Total) Max() float64 {
	if t.Value.Kind == dsv.Histogram {
		return t.Value.Hist.Max()
	}
	return t.Number()
}
