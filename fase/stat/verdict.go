package stat

import "math"

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
