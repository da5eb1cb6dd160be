package stat

import "math"

// MSER5 returns how many samples at the front of a series are warm-up: the cut, in whole batches of 5, after which the
// marginal standard error of the remaining batch means is least (White, Cobb and Spratt, "A Comparison of Five
// Steady-State Truncation Heuristics for Simulation", WSC 2000). A cut in the last half says that the series never
// settled: it is returned with ErrTooShort, and the run should be longer. The method is known to fail for some queues
// that start empty; a fixed warm-up is the alternative.
func MSER5(xs []float64) (int, error) {
	const batch = 5
	n := len(xs) / batch
	if n < 10 {
		return 0, ErrTooShort
	}
	means := make([]float64, n)
	for i := range means {
		means[i], _ = moments(xs[i*batch : (i+1)*batch])
	}
	// From the back, so that sums are running. The last five batch means are never left alone: few points that happen to
	// agree would win.
	var count, mean, m2 float64
	best, cut := math.Inf(1), 0
	for d := n - 1; d >= 0; d-- {
		count++
		delta := means[d] - mean
		mean += delta / count
		m2 += delta * (means[d] - mean)
		if count < 5 {
			continue
		}
		if se := m2 / (count * count); se <= best {
			best, cut = se, d
		}
	}
	if cut > n/2 {
		return cut * batch, ErrTooShort
	}
	return cut * batch, nil
}

// Autocorrelation returns the correlation of a series with itself lag samples later; 0 when the series is constant or
// not longer than lag.
func Autocorrelation(xs []float64, lag int) float64 {
	if lag < 0 || len(xs) <= lag {
		return 0
	}
	m, _ := moments(xs)
	return covariance(xs, m, lag) / nonzero(covariance(xs, m, 0))
}

// IACT returns the integrated autocorrelation time of a series in samples: 1 for independent samples; n samples tell
// as much about the mean as n/IACT independent ones. The sum of autocorrelations stops at the first window of at least
// 5 times the time found so far (Sokal, "Monte Carlo Methods in Statistical Mechanics", 1997, section 3).
func IACT(xs []float64) float64 {
	if len(xs) < 4 {
		return 1
	}
	m, _ := moments(xs)
	c0 := covariance(xs, m, 0)
	if c0 == 0 {
		return 1
	}
	tau := 1.0
	for lag := 1; lag < len(xs)/2 && float64(lag) < 5*tau; lag++ {
		tau += 2 * covariance(xs, m, lag) / c0
	}
	return math.Max(tau, 1)
}

func covariance(xs []float64, mean float64, lag int) float64 {
	s := 0.0
	for i := lag; i < len(xs); i++ {
		s += (xs[i] - mean) * (xs[i-lag] - mean)
	}
	return s / float64(len(xs))
}

func nonzero(x float64) float64 {
	if x == 0 {
		return 1
	}
	return x
}
