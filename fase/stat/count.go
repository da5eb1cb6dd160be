package stat

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Binomial returns the least and the greatest count between which a binomial one of n trials with probability p lies at least
// as often as the confidence says, with at most half of the rest on either side. The quantiles are exact.
func Binomial(n int, p, confidence float64) (low, high int) {
	switch {
	case n <= 0 || p <= 0:
		return 0, 0
	case p >= 1:
		return n, n
	}
	b := distuv.Binomial{N: float64(n), P: p}
	tail := (1 - confidence) / 2
	return quantile(b, tail), quantile(b, 1-tail)
}

// quantile is the least count up to which the distribution has at least this much: a bisection, for it is monotone.
func quantile(b distuv.Binomial, q float64) int {
	low, high := -1, int(b.N) // CDF(low) < q ≤ CDF(high)
	for high-low > 1 {
		if mid := low + (high-low)/2; b.CDF(float64(mid)) < q {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// Normal returns how many standard deviations from its mean a normal variable stays as often as the confidence says.
func Normal(confidence float64) float64 {
	return distuv.Normal{Mu: 0, Sigma: 1}.Quantile(0.5 + confidence/2)
}

// Together is the confidence that each of k statements needs for all of them to hold with this one (Bonferroni).
func Together(confidence float64, k int) float64 { return 1 - (1-confidence)/math.Max(1, float64(k)) }
