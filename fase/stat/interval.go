package stat

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// An Interval is an estimate by batches with what it takes to believe it.
type Interval struct {
	Estimate
	Correlation float64 // of neighbouring batches, lag 1
	// Correlated says that neighbouring batches are alike (von Neumann's ratio, one-sided at 1 %): they are too short to be
	// independent, so the interval is too narrow.
	Correlated bool
	// TooFew says that there are not enough samples for an interval: then Low and High are infinite; or that a batch is
	// shorter than 10 times the autocorrelation time, so that they are too narrow.
	TooFew bool
}

// Trusted reports whether the interval covers the truth as often as it says.
func (i Interval) Trusted() bool { return !i.TooFew && !i.Correlated && !math.IsInf(i.High, 1) }

// Relative is half of the interval's width as a share of its value: the ± of "23.1 ms ± 2 %".
func (i Interval) Relative() float64 { return math.Abs(i.Half() / i.Value) }

// correlationLevel is the share of independent batches that [Interval].Correlated blames.
const correlationLevel = 0.01

// MinPerBatch is how many times the autocorrelation time a batch has at least.
const MinPerBatch = 10

// Steady returns the mean of a stationary, possibly correlated series by 20 batch means (Law and Kelton, Simulation
// Modeling and Analysis, section 9.5.3; [Batches] says why 20), and whether the batches are independent enough.
func Steady(xs []float64, confidence float64) Interval {
	ones := make([]float64, len(xs))
	for i := range ones {
		ones[i] = 1
	}
	return SteadyRatio(xs, ones, confidence)
}

// SteadyRatio returns sum(sums)/sum(counts) of a stationary series of cells, as windows of time are: cell i has counts[i]
// samples that add up to sums[i]; it may be empty. A mean over windows is one, and so is the share of requests that took
// longer than a bound. The interval is that of 20 batches of equal numbers of cells, by the residuals sum - ratio·count
// (Cochran, Sampling Techniques, 1977, section 6.3; Law and Kelton, section 9.5.3), so that a batch with more samples
// weighs more. Cells beyond 20 equal batches join no batch, at the front, but count for the value.
func SteadyRatio(sums, counts []float64, confidence float64) Interval {
	return steadyRatio(sums, counts, confidence, 0)
}

// steadyRatio does so with a least standard error.
func steadyRatio(sums, counts []float64, confidence, leastError float64) Interval {
	out := Interval{Estimate: Estimate{
		Value: math.NaN(), Low: math.Inf(-1), High: math.Inf(1), Confidence: confidence,
	}, TooFew: true}
	total, n := 0.0, 0.0
	for i := range counts {
		total, n = total+sums[i], n+counts[i]
	}
	out.N = int(n)
	if n > 0 {
		out.Value = total / n
	}
	size := len(counts) / Batches
	if size == 0 || n < 2*Batches || !(confidence > 0 && confidence < 1) {
		return out
	}
	first := len(counts) - size*Batches
	residuals := make([]float64, 0, len(counts)-first)
	batches := make([]float64, Batches)
	within := 0.0
	for i := first; i < len(counts); i++ {
		r := sums[i] - out.Value*counts[i]
		residuals = append(residuals, r)
		batches[(i-first)/size] += r
		within += counts[i]
	}
	_, variance := moments(batches)
	se := math.Max(math.Sqrt(variance/Batches)/(within/Batches), leastError)
	half := student(Batches-1, confidence) * se
	out.Low, out.High, out.Batches = out.Value-half, out.Value+half, Batches
	out.Correlation, out.Correlated = alike(batches)
	out.TooFew = tooShort(size, residuals)
	return out
}

// tooShort says whether batches of so many cells are shorter than 10 times the autocorrelation time of the cells. Cells
// that hold more than that each are nearly independent, and then a batch may have any number of them: what neighbouring
// batches share is about (τ-1)/2 ÷ size of their variance.
func tooShort(size int, cells []float64) bool {
	const independent = 2 // what chance makes of the time of independent cells
	tau := IACT(cells)
	return tau > independent && float64(size) < MinPerBatch*(tau-1)
}

// SteadyQuantile returns the q quantile of a stationary series of cells, of which the caller knows the distribution of
// all samples: inverse is its quantile function. above[i] of counts[i] samples of cell i exceed inverse(q). The interval
// of the share that exceeds it, by [SteadyRatio], is carried to the quantile (Woodruff, "Confidence Intervals for Medians
// and Other Position Measures", JASA 47, 1952). Fewer than 10 samples beyond the quantile are too few.
func SteadyQuantile(q float64, inverse func(q float64) float64, above, counts []float64, confidence float64) Interval {
	n := 0.0
	for _, c := range counts {
		n += c
	}
	share := steadyRatio(above, counts, confidence, math.Sqrt(q*(1-q)/math.Max(n, 1)))
	out := share
	out.Value = inverse(q)
	if n*math.Min(q, 1-q) < 10 || math.IsInf(share.High, 1) {
		out.Low, out.High, out.TooFew = math.Inf(-1), math.Inf(1), true
		return out
	}
	half := share.Half()
	if low, high := q-half, q+half; low > 0 && high < 1 {
		out.Low, out.High = inverse(low), inverse(high)
	} else {
		out.Low, out.High, out.TooFew = math.Inf(-1), math.Inf(1), true
	}
	return out
}

// alike returns the lag-1 correlation of batches, and whether it is more than chance makes it: von Neumann's ratio of
// successive differences (Annals of Mathematical Statistics 12, 1941; as a test of batch means: Fishman, "Grouping
// Observations in Digital Simulation", Management Science 24, 1978). It is normal with variance (k-2)/(k²-1).
func alike(batches []float64) (correlation float64, yes bool) {
	k := float64(len(batches))
	mean, variance := moments(batches)
	if variance == 0 || k < 8 {
		return 0, false
	}
	successive := 0.0
	for i := 1; i < len(batches); i++ {
		successive += (batches[i] - batches[i-1]) * (batches[i] - batches[i-1])
	}
	first, last := batches[0]-mean, batches[len(batches)-1]-mean
	squares := variance * (k - 1)
	c := 1 - successive/(2*squares) // = (Σ products + (first²+last²)/2) ÷ squares
	critical := distuv.UnitNormal.Quantile(1-correlationLevel) * math.Sqrt((k-2)/(k*k-1))
	return c - (first*first+last*last)/(2*squares), c > critical
}
