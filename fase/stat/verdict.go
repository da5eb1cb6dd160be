package stat

import (
	"math"
	"slices"
)

// A Verdict is what an estimate says about a claim.
type Verdict string

// The verdicts.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive"
)

// Equivalence judges the claim that a difference is at most tolerance: pass when the whole interval lies within
// ±tolerance, fail when it lies wholly outside, else inconclusive: a noisy estimate never passes for its noise
// (two one-sided tests: Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15, 1987).
func Equivalence(e Estimate, tolerance float64) Verdict {
	switch {
	case math.IsNaN(e.Low) || math.IsNaN(e.High):
		return Inconclusive
	case e.Low >= -tolerance && e.High <= tolerance:
		return Pass
	case e.Low > tolerance || e.High < -tolerance:
		return Fail
	default:
		return Inconclusive
	}
}

// Levels of significance that [AndersonDarling.Rejects] knows, with the critical values of A²(1+0.6/n) for an
// exponential of unknown mean (D'Agostino and Stephens, Goodness-of-Fit Techniques, 1986, table 4.14).
var criticalExponential = [...]struct{ level, value float64 }{
	{0.25, 0.736},
	{0.20, 0.816},
	{0.15, 0.916},
	{0.10, 1.062},
	{0.05, 1.321},
	{0.025, 1.591},
	{0.01, 1.959},
	{0.005, 2.244},
	{0.0025, 2.534},
}

// AndersonDarling is the outcome of [Exponential].
type AndersonDarling struct {
	Statistic float64 // A²(1+0.6/n)
	N         int
}

// Exponential tests whether independent gaps come from an exponential distribution of whatever mean, by the statistic
// of Anderson and Darling, which weighs the tails. Gaps must not be negative, and at least 8 are needed.
func Exponential(gaps []float64) (AndersonDarling, error) {
	n := len(gaps)
	if n < 8 {
		return AndersonDarling{}, ErrTooShort
	}
	xs := slices.Clone(gaps)
	slices.Sort(xs)
	mean, _ := moments(xs)
	if xs[0] < 0 || !(mean > 0) {
		return AndersonDarling{}, ErrRange
	}
	sum := 0.0
	for i := range xs {
		// log F = log(1-e^-x), floored: gaps that a clock rounded to 0 count as one part in 1e12 of the mean.
		logF := math.Log(-math.Expm1(-math.Max(xs[i]/mean, 1e-12)))
		sum += float64(2*i+1) * (logF - xs[n-1-i]/mean)
	}
	a2 := -float64(n) - sum/float64(n)
	return AndersonDarling{Statistic: a2 * (1 + 0.6/float64(n)), N: n}, nil
}

// Rejects reports whether the gaps are not exponential, at a level of significance (the share of truly exponential
// samples that are rejected). The level is one of 0.25, 0.2, 0.15, 0.1, 0.05, 0.025, 0.01, 0.005, 0.0025; others take
// the next stricter one, and less than 0.0025 takes that.
func (a AndersonDarling) Rejects(level float64) bool {
	for _, c := range criticalExponential {
		if c.level <= level {
			return a.Statistic > c.value
		}
	}
	return a.Statistic > criticalExponential[len(criticalExponential)-1].value
}
