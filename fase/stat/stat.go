// Package stat holds the small statistics that a measurement needs before it may be believed: intervals of means and
// quantiles of dependent samples, the cut of a warm-up, paired differences, verdicts by equivalence and a test for
// exponential gaps.
//
// The nouns: an [Estimate] is a value with its confidence interval; a [Verdict] is what an estimate says about a
// tolerance. All functions are pure, keep nothing, and leave their arguments as they were unless they say otherwise.
//
// Responses of a queue are strongly correlated: taking 100,000 consecutive ones of an M/M/1 queue at utilisation 0.9 as
// independent gives a "95 %" interval that covers the truth one time in twelve. [BatchMeans] is for such series,
// [Mean] for independent ones (replications).
package stat

import (
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Batches is the customary number of batches: few enough to be nearly independent, enough for a narrow t quantile
// (Schmeiser, "Batch Size Effects in the Analysis of Simulation Output", Operations Research 30(3), 1982).
const Batches = 20

// The errors of estimates.
var (
	ErrTooShort = errors.New("too few samples")
	ErrLengths  = errors.New("series differ in length")
	ErrRange    = errors.New("outside its range")
)

// An Estimate is a value with its two-sided confidence interval.
type Estimate struct {
	Value      float64
	Low, High  float64
	Confidence float64 // of the interval, 0.95 for instance
	N          int     // samples behind it
	Batches    int     // independent pieces that the interval rests on; N when the samples were taken as independent
}

// Half is half of the interval's width.
func (e Estimate) Half() float64 { return (e.High - e.Low) / 2 }

// Mean returns the mean of independent samples with its Student t interval. It needs two samples.
func Mean(xs []float64, confidence float64) (Estimate, error) {
	n := len(xs)
	if n < 2 {
		return Estimate{}, ErrTooShort
	}
	if !(confidence > 0 && confidence < 1) {
		return Estimate{}, ErrRange
	}
	m, v := moments(xs)
	half := student(n-1, confidence) * math.Sqrt(v/float64(n))
	return Estimate{Value: m, Low: m - half, High: m + half, Confidence: confidence, N: n, Batches: n}, nil
}

// BatchMeans returns the mean of a stationary, possibly correlated series with the interval of k non-overlapping batch
// means (Law, Simulation Modeling and Analysis, section 9.5.3). Samples beyond k equal batches are left out at the
// front, where a remaining transient would sit. It needs two samples a batch and two batches; whether the batches are
// long enough is for [IACT] to say: at least 10 times it, better 20.
func BatchMeans(xs []float64, k int, confidence float64) (Estimate, error) {
	return batched(xs, k, confidence, func(b []float64) float64 {
		m, _ := moments(b)
		return m
	})
}

// QuantileBatches returns the q quantile of a stationary, possibly correlated series: the value is that of all samples,
// the interval that of k batch quantiles. Each batch needs 1/(1-q) samples, or 1/q for q below a half.
func QuantileBatches(xs []float64, q float64, k int, confidence float64) (Estimate, error) {
	if !(q > 0 && q < 1) {
		return Estimate{}, ErrRange
	}
	if k > 0 && float64(len(xs)/k)*math.Min(q, 1-q) < 1-1e-9 {
		return Estimate{}, ErrTooShort
	}
	quantile := func(b []float64) float64 {
		s := slices.Clone(b)
		slices.Sort(s)
		return Quantile(s, q)
	}
	e, err := batched(xs, k, confidence, quantile)
	if err != nil {
		return e, err
	}
	shift := quantile(xs) - e.Value
	e.Value, e.Low, e.High = e.Value+shift, e.Low+shift, e.High+shift
	return e, nil
}

// batched returns the mean of f over k batches with its t interval.
func batched(xs []float64, k int, confidence float64, f func([]float64) float64) (Estimate, error) {
	if k < 2 || len(xs) < 2*k {
		return Estimate{}, ErrTooShort
	}
	size := len(xs) / k
	rest := xs[len(xs)-k*size:]
	values := make([]float64, k)
	for i := range values {
		values[i] = f(rest[i*size : (i+1)*size])
	}
	e, err := Mean(values, confidence)
	e.N = k * size
	return e, err
}

// QuantileOrder returns the q quantile of independent samples with the distribution-free interval of order statistics
// n·q ± z·sqrt(n·q·(1-q)) (Conover, Practical Nonparametric Statistics, section 3.2). sorted must be ascending.
func QuantileOrder(sorted []float64, q, confidence float64) (Estimate, error) {
	if !(q > 0 && q < 1) || !(confidence > 0 && confidence < 1) {
		return Estimate{}, ErrRange
	}
	n := float64(len(sorted))
	half := distuv.UnitNormal.Quantile(0.5+confidence/2) * math.Sqrt(n*q*(1-q))
	low, high := math.Floor(n*q-half), math.Ceil(n*q+half)
	if low < 1 || high > n {
		return Estimate{}, ErrTooShort
	}
	return Estimate{
		Value: Quantile(sorted, q), Low: sorted[int(low)-1], High: sorted[int(high)-1],
		Confidence: confidence, N: len(sorted), Batches: len(sorted),
	}, nil
}

// Paired returns the mean of got[i]-want[i] with its interval by k batches: the error of sampling that both share
// cancels. The series must be of one length and in one order.
func Paired(got, want []float64, k int, confidence float64) (Estimate, error) {
	if len(got) != len(want) {
		return Estimate{}, ErrLengths
	}
	diff := make([]float64, len(got))
	for i := range diff {
		diff[i] = got[i] - want[i]
	}
	return BatchMeans(diff, k, confidence)
}

// Quantile returns the q quantile of ascending samples: the least sample that at least a share q of all samples does
// not exceed (the inverse of the empirical distribution, definition 1 of Hyndman and Fan, "Sample Quantiles in
// Statistical Packages", 1996). It is NaN without samples; q is held within 0 to 1.
func Quantile(sorted []float64, q float64) float64 {
	n := len(sorted)
	if n == 0 || math.IsNaN(q) {
		return math.NaN()
	}
	// Without the nudge, 0.07·100 = 7.000000000000001 would be rank 8.
	rank := int(math.Ceil(q*float64(n) - 1e-9))
	return sorted[min(max(rank, 1), n)-1]
}

// moments returns mean and unbiased variance in two passes.
func moments(xs []float64) (mean, variance float64) {
	for _, x := range xs {
		mean += x
	}
	mean /= float64(len(xs))
	for _, x := range xs {
		variance += (x - mean) * (x - mean)
	}
	if len(xs) > 1 {
		variance /= float64(len(xs) - 1)
	}
	return mean, variance
}

// student returns the quantile of Student's t for a two-sided interval.
func student(freedom int, confidence float64) float64 { return studentAt(float64(freedom), confidence) }

// Student returns the quantile of Student's t for a two-sided interval: by how many standard errors it reaches to either side.
func Student(freedom, confidence float64) float64 { return studentAt(freedom, confidence) }

// studentAt does so for degrees of freedom that are no whole number.
func studentAt(freedom, confidence float64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: freedom}.Quantile(0.5 + confidence/2)
}
