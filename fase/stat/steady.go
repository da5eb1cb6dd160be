package stat

import "math"

// Stationarity says whether a series stays at one level.
type Stationarity struct {
	Verdict   Verdict // Pass: no drift was seen; Fail: it drifts; Inconclusive: too few samples
	Statistic float64 // Cramér–von Mises of the standardised bridge
	P         float64 // share of stationary series that deviate at least as much
	// Drift is the greatest difference between the mean of a quarter of the series and the mean of all, as a share of the
	// mean of all, with its sign.
	Drift float64
}

// The bounds of [Stationary]: both must be passed for a series to drift.
const (
	DriftLevel = 0.01 // of significance
	DriftShare = 0.05 // of the mean
)

// stationaryCells is how many means of equal parts the test rests on: enough for a bridge, few enough to be nearly
// independent.
const stationaryCells = 40

// Stationary tests whether a series stays at one level, by the test of Heidelberger and Welch ("Simulation Run Length
// Control in the Presence of an Initial Transient", Operations Research 31, 1983; Schruben 1982): the sums of deviations from
// the mean are a Brownian bridge where it does, whose Cramér–von Mises statistic is known. It uses means of 40 equal
// parts, and their long-run variance with a Bartlett window of 3 (Newey and West, Econometrica 55, 1987), which makes it
// the KPSS test of level (Kwiatkowski, Phillips, Schmidt and Shin, J. Econometrics 54, 1992).
//
// A series drifts when chance explains it with less than 1 % and a quarter of it differs from the mean by more than
// 5 %: a drift that is too small to matter is none. It needs 40 samples.
func Stationary(xs []float64) Stationarity {
	size := len(xs) / stationaryCells
	if size == 0 {
		return Stationarity{Verdict: Inconclusive, Statistic: math.NaN(), P: math.NaN(), Drift: math.NaN()}
	}
	ys := make([]float64, stationaryCells)
	rest := xs[len(xs)-size*stationaryCells:]
	for i := range ys {
		ys[i], _ = moments(rest[i*size : (i+1)*size])
	}
	mean, _ := moments(ys)
	s := Stationarity{Verdict: Pass, P: 1, Drift: drift(ys, mean)}
	n, longRun := float64(len(ys)), covariance(ys, mean, 0)
	const window = 3
	for lag := 1; lag <= window; lag++ {
		longRun += 2 * (1 - float64(lag)/(window+1)) * covariance(ys, mean, lag)
	}
	if !(longRun > 0) {
		return s
	}
	sum := 0.0
	for _, y := range ys {
		sum += y - mean
		s.Statistic += sum * sum
	}
	s.Statistic /= n * n * longRun
	s.P = 1 - cvm(s.Statistic)
	if s.P < DriftLevel && math.Abs(s.Drift) > DriftShare {
		s.Verdict = Fail
	}
	return s
}

// drift is the greatest relative difference of a quarter's mean.
func drift(ys []float64, mean float64) float64 {
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
