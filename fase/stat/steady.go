package stat

import "math"

// Stationarity says whether a series stays at one level.
type Stationarity struct {
	Verdict Verdict // Pass: no drift was seen; Fail: it drifts; Inconclusive: too few samples
	P       float64 // share of stationary series that deviate at least as much: twice the lesser of Bridge and Trend
	Bridge  float64 // the same by the test of Heidelberger and Welch alone
	Trend   float64 // the same by the test of Mann and Kendall alone
	// Drift is the greatest difference between the mean of a quarter of the series and the mean of all, as a share of the
	// mean of all, with its sign.
	Drift float64
}

// The bounds of [Stationary]: both must be passed for a series to drift.
const (
	DriftLevel = 0.01 // of significance
	DriftShare = 0.05 // of the mean
)

// How many means of equal parts the tests rest on: enough for a bridge, few enough to be nearly independent.
const (
	bridgeCells = 40
	trendCells  = 10
)

// Stationary tests whether a series stays at one level, by two tests at half of the level each.
//
// That of Heidelberger and Welch ("Simulation Run Length Control in the Presence of an Initial Transient", Operations
// Research 31, 1983; Schruben 1982): the sums of deviations from the mean are a Brownian bridge where it does, whose
// Cramér–von Mises statistic is known. It uses means of 40 equal parts, and their long-run variance with a Bartlett window of
// 3 (Newey and West, Econometrica 55, 1987), which makes it the KPSS test of level (Kwiatkowski, Phillips, Schmidt and
// Shin, J. Econometrics 54, 1992). That of Mann (Econometrica 13, 1945) and Kendall for a trend, of means of 10 equal parts, goes
// by ranks, so that a queue that comes near its capacity, and varies ever more, does not hide its trend.
//
// A series drifts when chance explains it with less than 1 % and a quarter of it differs from the mean by more than
// 5 %: a drift that is too small to matter is none. It needs 40 samples.
func Stationary(xs []float64) Stationarity {
	ys := parts(xs, bridgeCells)
	if ys == nil {
		nan := math.NaN()
		return Stationarity{Verdict: Inconclusive, P: nan, Bridge: nan, Trend: nan, Drift: nan}
	}
	s := Stationarity{Verdict: Pass, Bridge: bridge(ys), Trend: trend(parts(xs, trendCells)), Drift: drift(ys)}
	s.P = math.Min(1, 2*math.Min(s.Bridge, s.Trend))
	if s.P < DriftLevel && math.Abs(s.Drift) > DriftShare {
		s.Verdict = Fail
	}
	return s
}

// parts are the means of k equal parts, without what is left over at the front; nil where there are fewer samples.
func parts(xs []float64, k int) []float64 {
	size := len(xs) / k
	if size == 0 {
		return nil
	}
	ys := make([]float64, k)
	rest := xs[len(xs)-size*k:]
	for i := range ys {
		ys[i], _ = moments(rest[i*size : (i+1)*size])
	}
	return ys
}

// bridge is the share of stationary series whose bridge is at least as far from 0.
func bridge(ys []float64) float64 {
	const window = 3
	mean, _ := moments(ys)
	n, longRun := float64(len(ys)), covariance(ys, mean, 0)
	for lag := 1; lag <= window; lag++ {
		longRun += 2 * (1 - float64(lag)/(window+1)) * covariance(ys, mean, lag)
	}
	if !(longRun > 0) {
		return 1
	}
	sum, squares := 0.0, 0.0
	for _, y := range ys {
		sum += y - mean
		squares += sum * sum
	}
	return 1 - cvm(squares/(n*n*longRun))
}

// trend is the share of series without one whose Kendall's S is at least as far from 0, by its normal approximation.
func trend(ys []float64) float64 {
	s := 0.0
	for i := range ys {
		for j := range i {
			switch {
			case ys[i] > ys[j]:
				s++
			case ys[i] < ys[j]:
				s--
			}
		}
	}
	n := float64(len(ys))
	return math.Erfc(math.Max(math.Abs(s)-1, 0) / math.Sqrt(n*(n-1)*(2*n+5)/18) / math.Sqrt2)
}

// drift is the greatest relative difference of a quarter's mean.
func drift(ys []float64) float64 {
	mean, _ := moments(ys)
	worst := 0.0
	quarter := len(ys) / 4
	for i := range 4 {
		m, _ := moments(ys[i*quarter : (i+1)*quarter])
		if d := (m - mean) / nonzero(math.Abs(mean)); math.Abs(d) > math.Abs(worst) {
			worst = d
		}
	}
	return worst
}

// cvm is the asymptotic distribution function of the Cramér–von Mises statistic, by the series of Anderson and Darling
// (1952, equation 4.35); four terms are right to 1e-6 up to 3, beyond which it is 1 to 1e-7.
func cvm(z float64) float64 {
	if z <= 0.001 {
		return 0
	}
	if z > 3 {
		return 1
	}
	sum := 0.0
	for j := range 6 {
		a := float64(4*j + 1)
		x := a * a / (16 * z)
		if x > 300 {
			break
		}
		// Γ(j+1/2)/(Γ(1/2)·j!)·√(4j+1)·e^-x·K¼(x)
		lj, _ := math.Lgamma(float64(j) + 0.5)
		l1, _ := math.Lgamma(float64(j) + 1)
		sum += math.Exp(lj-l1-x) / math.Sqrt(math.Pi) * math.Sqrt(a) * besselK4(x)
	}
	return min(sum/(math.Pi*math.Sqrt(z)), 1)
}

// besselK4 is the modified Bessel function of the second kind of order ¼, by the trapezoidal rule for
// ∫ e^(-x·cosh t)·cosh(t/4) dt, which converges geometrically.
func besselK4(x float64) float64 {
	const h = 0.05
	sum := math.Exp(-x) / 2
	for t := h; ; t += h {
		y := math.Exp(-x*math.Cosh(t)) * math.Cosh(t/4)
		sum += y
		if y < 1e-17*sum {
			return sum * h
		}
	}
}
