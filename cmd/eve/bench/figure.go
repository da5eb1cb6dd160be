package bench

import (
	"math"
	"slices"

	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// A Unit says what a figure counts.
type Unit string

// The units.
const (
	Seconds   Unit = "s"
	PerSecond Unit = "1/s"
	Bytes     Unit = "B"
	Share     Unit = "share"  // of one: CPU seconds per second
	One       Unit = "1"      // counts, and ratios
	Broken    Unit = "broken" // observations that broke a bound
)

// text writes a value of the unit for people; – for none.
func (u Unit) text(x float64) string {
	switch {
	case math.IsNaN(x):
		return "–"
	case u == Seconds && math.Abs(x) < 0.9995e-6 && x != 0:
		return report.Count(round(x*1e9, 3)) + " ns"
	case u == Seconds:
		return report.Seconds(x)
	case u == PerSecond:
		return report.Count(round(x, 3)) + "/s"
	case u == Bytes && x < 100:
		return report.Count(round(x, 3)) + " B"
	case u == Bytes:
		return report.Size(x)
	case u == Broken:
		return One.text(x) + " broken"
	case u == Share:
		return report.Share(x)
	}
	return report.Count(round(x, 3))
}

// round keeps so many significant digits.
func round(x float64, digits int) float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	unit := math.Pow(10, float64(digits)-1-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*unit) / unit
}

// A Figure is one thing measured in rounds. Its value is their median. The interval is the narrowest pair of order
// statistics that covers the true median with at least 95 %, whatever the distribution; with fewer than six rounds it is
// all of them, and covers less (five: 93.75 %). A Figure without rounds was not measured.
type Figure struct {
	Unit   Unit          `json:"unit"`
	Value  runs.Number   `json:"value"`
	Low    runs.Number   `json:"low"`
	High   runs.Number   `json:"high"`
	Rounds []runs.Number `json:"rounds,omitempty"`
}

// NewFigure makes a figure of its rounds.
func NewFigure(u Unit, rounds ...float64) Figure {
	f := Figure{Unit: u, Value: runs.Number(math.NaN()), Low: runs.Number(math.NaN()), High: runs.Number(math.NaN())}
	for _, x := range rounds {
		f.Rounds = append(f.Rounds, runs.Number(x))
	}
	if len(rounds) == 0 || slices.ContainsFunc(rounds, math.IsNaN) {
		return f
	}
	s := slices.Clone(rounds)
	slices.Sort(s)
	n := len(s)
	f.Value = runs.Number((s[(n-1)/2] + s[n/2]) / 2)
	k := orderRank(n)
	f.Low, f.High = runs.Number(s[k-1]), runs.Number(s[n-k])
	return f
}

// orderRank returns the greatest k for which the k-th of n samples from either end enclose the median with at least 95 %,
// or 1.
func orderRank(n int) int {
	tail, term := 0.0, math.Pow(0.5, float64(n)) // P(X < k) and P(X = k) of a binomial with p = 1/2
	k := 0
	for k < (n+1)/2 {
		tail += term
		if 1-2*tail < 0.95 {
			break
		}
		term *= float64(n-k) / float64(k+1)
		k++
	}
	return max(k, 1)
}

// measured says whether there is anything.
func (f Figure) measured() bool { return len(f.Rounds) > 0 && !math.IsNaN(float64(f.Value)) }

// Text writes the median for people.
func (f Figure) Text() string {
	if !f.measured() {
		return "–"
	}
	return f.Unit.text(float64(f.Value))
}

// interval writes the interval for people; empty where there is none.
func (f Figure) interval() string {
	if len(f.Rounds) < 2 || !f.measured() {
		return ""
	}
	return f.Unit.text(float64(f.Low)) + " … " + f.Unit.text(float64(f.High))
}

// Map returns the figure of f's rounds, each changed.
func (f Figure) Map(u Unit, change func(x float64) float64) Figure {
	xs := make([]float64, len(f.Rounds))
	for i, x := range f.Rounds {
		xs[i] = change(float64(x))
	}
	return NewFigure(u, xs...)
}

// Ratio divides a by b round by round; rounds that only one of them has are left out.
func Ratio(a, b Figure) Figure {
	var xs []float64
	for i := range min(len(a.Rounds), len(b.Rounds)) {
		xs = append(xs, float64(a.Rounds[i])/float64(b.Rounds[i]))
	}
	return NewFigure(One, xs...)
}

// A sampler collects the durations, in s, of one round after another.
type sampler struct {
	round []float64
	all   []float64
	p50   []float64
}

func (s *sampler) add(seconds float64) { s.round = append(s.round, seconds) }

// next ends a round.
func (s *sampler) next() {
	if len(s.round) == 0 {
		return
	}
	slices.Sort(s.round)
	s.p50 = append(s.p50, stat.Quantile(s.round, 0.5))
	s.all = append(s.all, s.round...)
	s.round = s.round[:0]
}

// median is the p50 of a round, over the rounds; quantile that of all rounds together, which has no interval.
func (s *sampler) median() Figure { return NewFigure(Seconds, s.p50...) }

func (s *sampler) quantile(q float64) Figure {
	all := slices.Clone(s.all)
	slices.Sort(all)
	return NewFigure(Seconds, stat.Quantile(all, q))
}
