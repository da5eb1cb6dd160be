package dmm

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// A Derivation is a read function: a number that is computed from a variable when it is read, and kept nowhere. The
// zero Derivation is none.
type Derivation uint8

// The derivations. Quantiles are of histograms; Mean, Count and Rate of whatever was folded from samples.
const (
	P50   Derivation = iota + 1
	P90              // quantiles have their buckets' resolution: three significant digits
	P95              //
	P99              //
	P999             //
	Mean             // the mean of the samples; of a sum the mean addend
	Count            // what a count added up to; else the number of samples
	Rate             // the same per second of the window
	Min              // the least sample of a histogram or a minimum
	Max              // the greatest sample of a histogram or a maximum
	Sum              // all samples added up: of sums, means and histograms
)

// RateWindow is the window of a Rate for which none is given.
const RateWindow = 5 * time.Second

// derivations are the last parts of derived names, by Derivation.
func derivations() [12]string {
	return [...]string{"", "p50", "p90", "p95", "p99", "p999", "mean", "count", "rate", "min", "max", "sum"}
}

// Derivations lists the derivations in order.
func Derivations() []Derivation {
	var all []Derivation
	for f := P50; f <= Sum; f++ {
		all = append(all, f)
	}
	return all
}

// String returns the last part of a derived name: p95, mean, rate.
func (f Derivation) String() string {
	if names := derivations(); int(f) < len(names) {
		return names[f]
	}
	return fmt.Sprintf("derivation %d", f)
}

// Derived takes a name apart that stands for a derived value, such as app.latency.p95: ok says whether the last part is
// a derivation and something stands before it. A variable of the full name, where there is one, comes first.
func Derived(n dsv.Name) (base dsv.Name, f Derivation, ok bool) {
	i := strings.LastIndexByte(string(n), '.')
	if i <= 0 {
		return "", 0, false
	}
	last := string(n[i+1:])
	for f := P50; f <= Sum; f++ {
		if derivations()[f] == last {
			return n[:i], f, true
		}
	}
	return "", 0, false
}

// Check returns nil when the derivation can be computed of a variable that is declared so; else an error that says what
// it is of, and wraps [dsv.ErrKind].
func (f Derivation) Check(d dsv.Declaration) error {
	number := d.Kind == dsv.Float || d.Kind == dsv.Int
	ok, want := false, ""
	switch f {
	case P50, P90, P95, P99, P999:
		ok, want = d.Kind == dsv.Histogram, "histograms"
	case Mean, Min, Max:
		ok, want = d.Kind == dsv.Histogram || number, "numbers and histograms"
	case Sum:
		ok, want = d.Merge == dsv.Sum || d.Merge == dsv.Mean || d.Merge == dsv.Hists, "sums, means and histograms"
	case Count, Rate:
		ok, want = f <= Sum, "everything"
	}
	if ok {
		return nil
	}
	return fmt.Errorf("%v is of %s, and %s is %v merged by %v: %w", f, want, d.Name, d.Kind, d.Merge, dsv.ErrKind)
}

// Window returns the window that is taken when none is given: 0 stands for all since the variable was created.
func (f Derivation) Window() time.Duration {
	if f == Rate {
		return RateWindow
	}
	return 0
}

// Declaration returns what is told of the derived value of a variable: a Float, merged by Last, in its own unit.
func (f Derivation) Declaration(base dsv.Declaration) dsv.Declaration {
	unit := base.Unit
	counts := base.Merge == dsv.Sum // its count is the sum of its addends, in their unit
	switch {
	case f == Count && !counts:
		unit = "1"
	case f == Rate && counts && unit != "1" && unit != "":
		unit += "/s"
	case f == Rate:
		unit = "1/s"
	}
	return dsv.Declaration{
		Name: base.Name + "." + dsv.Name(f.String()), Kind: dsv.Float, Unit: unit,
		Help: fmt.Sprintf("Derived: %v of %s.", f, base.Name),
	}
}

// Of computes the derived value of a Total; NaN when there is nothing to compute it of.
func (f Derivation) Of(t Total) float64 {
	switch f {
	case P50:
		return t.Quantile(0.5)
	case P90:
		return t.Quantile(0.9)
	case P95:
		return t.Quantile(0.95)
	case P99:
		return t.Quantile(0.99)
	case P999:
		return t.Quantile(0.999)
	case Mean:
		return t.Mean()
	case Count:
		return t.Count()
	case Rate:
		return t.Rate()
	case Min:
		return t.Min()
	case Max:
		return t.Max()
	case Sum:
		return t.sum()
	}
	return math.NaN()
}

// sum adds up all samples.
func (t Total) sum() float64 {
	switch {
	case t.Value.Kind == dsv.Histogram:
		return t.Value.Hist.Sum()
	case t.Merge == dsv.Sum:
		return t.Number()
	case t.Merge == dsv.Mean && t.Value.Kind != 0:
		return t.Value.Float
	}
	return math.NaN()
}

// TotalOf makes a Total of a reading of the variable: of all since it was created.
func TotalOf(d dsv.Declaration, r dsv.Reading) Total {
	t := Total{Kind: d.Kind, Merge: d.Merge, Value: r.Value, Weight: r.Weight, T1: r.T1}
	if d.Merge == dsv.Mean && r.Value.Kind == dsv.Float {
		t.Value = dsv.FloatValue(r.Value.Float * r.Weight)
	}
	return t
}
