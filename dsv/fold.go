package dsv

import "math"

// A Fold folds deltas of one variable into one value by its merge rule. Stores fold what writers send, watches what a
// slow reader missed, readers a window. It belongs to one goroutine at a time.
type Fold struct {
	kind   Kind
	rule   Merge
	some   bool
	value  Value // Mean: the sum of weight × sample
	weight float64
	hists  *HistSum // of Hists, once something was folded in
	t0, t1 Instant
}

// NewFold returns an empty fold for variables of this kind and rule.
func NewFold(k Kind, m Merge) *Fold { return &Fold{kind: k, rule: m} }

// Add folds one delta in. Its value must be of the fold's kind.
func (f *Fold) Add(d *Delta) {
	newest := !f.some || d.T1 >= f.t1
	f.weight = foldFloat(Sum, f.weight, d.Weight)
	if !f.some {
		f.t0, f.t1 = d.T0, d.T1
	} else {
		f.t0, f.t1 = min(f.t0, d.T0), max(f.t1, d.T1)
	}
	if f.rule == Hists {
		f.sum().Add(d.Value.Hist)
	} else {
		f.merge(d.Value, newest)
	}
	f.some = true
}

func (f *Fold) merge(v Value, newest bool) {
	switch {
	case !f.some:
		f.value = v
	case f.rule == Last || f.rule == Append:
		if newest {
			f.value = v
		}
	case f.kind == Int:
		f.value.Int = foldInt(f.rule, f.value.Int, v.Int)
	default:
		f.value.Float = foldFloat(f.rule, f.value.Float, v.Float)
	}
}

// foldInt adds without wrapping round.
func foldInt(rule Merge, a, b int64) int64 {
	switch rule {
	case Min:
		return min(a, b)
	case Max:
		return max(a, b)
	}
	sum := a + b
	if a > 0 && b > 0 && sum < 0 {
		return math.MaxInt64
	}
	if a < 0 && b < 0 && sum >= 0 {
		return math.MinInt64
	}
	return sum
}

// foldFloat adds without leaving the finite numbers.
func foldFloat(rule Merge, a, b float64) float64 {
	switch rule {
	case Min:
		return min(a, b)
	case Max:
		return max(a, b)
	}
	return min(max(a+b, -math.MaxFloat64), math.MaxFloat64)
}

// Set replaces everything by one whole value, as a Write does, at the instant t1 of the fold's own time.
func (f *Fold) Set(v Value, weight float64) {
	if f.hists != nil {
		f.hists.Reset()
	}
	f.some, f.weight, f.value = true, weight, v
	switch f.rule {
	case Hists:
		f.sum().Add(v.Hist)
	case Mean:
		f.value.Float = foldFloat(Sum, f.value.Float*weight, 0)
	}
}

// Empty says whether nothing was folded in.
func (f *Fold) Empty() bool { return !f.some }

// Reset empties the fold.
func (f *Fold) Reset() {
	if f.hists != nil {
		f.hists.Reset()
	}
	*f = Fold{kind: f.kind, rule: f.rule, hists: f.hists}
}

// sum returns what histograms are added to.
func (f *Fold) sum() *HistSum {
	if f.hists == nil {
		f.hists = new(HistSum)
	}
	return f.hists
}

// Raw returns the folded value as a Delta carries it: for Mean the sum.
func (f *Fold) Raw() Value {
	if f.rule == Hists {
		if f.hists == nil { // readers may come at the same time, so nothing is kept
			return HistValue(new(HistSum).Hist())
		}
		return HistValue(f.hists.Hist())
	}
	return f.value
}

// Value returns the folded value as a Reading carries it: for Mean the mean, 0 while its weight is 0.
func (f *Fold) Value() Value {
	if f.rule != Mean {
		return f.Raw()
	}
	if f.weight == 0 {
		return FloatValue(0)
	}
	return FloatValue(foldFloat(Sum, f.value.Float/f.weight, 0))
}

// Weight returns the number of samples, or for Mean the sum of weights.
func (f *Fold) Weight() float64 { return f.weight }

// Span returns the first and the last instant that the deltas cover.
func (f *Fold) Span() (t0, t1 Instant) { return f.t0, f.t1 }

// Kind returns the kind of what is folded.
func (f *Fold) Kind() Kind { return f.kind }
