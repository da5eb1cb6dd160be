package stat

import (
	"math"
	"slices"
)

// AndersonDarling is the outcome of a test of goodness of fit by the statistic of Anderson and Darling ("Asymptotic
// Theory of Certain 'Goodness of Fit' Criteria Based on Stochastic Processes", Annals of Mathematical Statistics 23,
// 1952), which weighs the tails.
type AndersonDarling struct {
	Statistic float64 // A²; A²(1+0.6/n) where the mean was estimated
	N         int     // samples
	Known     bool    // the law was known whole, nothing of it was estimated from the samples
}

// Exponential tests whether independent gaps come from an exponential distribution of whatever mean: the mean is
// estimated (D'Agostino and Stephens, Goodness-of-Fit Techniques, 1986, section 4.9). Gaps must not be negative
// (ErrRange), and at least 8 are needed (ErrTooShort).
func Exponential(gaps []float64) (AndersonDarling, error) {
	if len(gaps) < 8 {
		return AndersonDarling{}, ErrTooShort
	}
	mean, _ := moments(gaps)
	a2, err := exponential(gaps, mean)
	n := float64(len(gaps))
	return AndersonDarling{Statistic: a2 * (1 + 0.6/n), N: len(gaps)}, err
}

// ExponentialMean tests whether independent gaps come from the exponential distribution with the given mean: of Poisson
// arrivals at a known rate 1/mean, and, with mean 1, of arrivals of any rate after [Rescale]. A wrong rate is rejected
// like a wrong law. Errors are those of [Exponential].
func ExponentialMean(gaps []float64, mean float64) (AndersonDarling, error) {
	if len(gaps) < 8 {
		return AndersonDarling{}, ErrTooShort
	}
	a2, err := exponential(gaps, mean)
	return AndersonDarling{Statistic: a2, N: len(gaps), Known: true}, err
}

// exponential is A² of gaps against the exponential distribution with a mean.
func exponential(gaps []float64, mean float64) (float64, error) {
	xs := slices.Clone(gaps)
	slices.Sort(xs)
	if !(xs[0] >= 0) || !(mean > 0) || math.IsInf(xs[len(xs)-1], 1) {
		return math.NaN(), ErrRange
	}
	n, sum := len(xs), 0.0
	for i := range xs {
		// log F = log(1-e^-x), floored: gaps that a clock rounded to 0 count as one part in 1e12 of the mean.
		logF := math.Log(-math.Expm1(-math.Max(xs[i]/mean, 1e-12)))
		sum += float64(2*i+1) * (logF - xs[n-1-i]/mean)
	}
	return -float64(n) - sum/float64(n), nil
}

// Rescale turns arrivals of a Poisson process whose rate varies into gaps that are independent and exponential with mean
// 1, if the rate is as told: the time-rescaling theorem (Papangelou 1972; Brown, Barbieri, Ventura, Kass and Frank, "The
// Time-Rescaling Theorem and Its Application to Neural Spike Train Data Analysis", Neural Computation 14, 2002). Arrivals
// ascend; cumulative is the integral of the rate from anywhere to an instant, called in ascending order. n arrivals give
// n-1 gaps.
func Rescale(arrivals []float64, cumulative func(at float64) float64) []float64 {
	if len(arrivals) < 2 {
		return nil
	}
	gaps := make([]float64, len(arrivals)-1)
	before := cumulative(arrivals[0])
	for i, at := range arrivals[1:] {
		now := cumulative(at)
		gaps[i], before = now-before, now
	}
	return gaps
}

// Distance is sqrt(A²/n): by how much the shares of samples below a value differ from those of the law, in the root
// mean square, each weighted by the law's standard deviation there. Other than P it does not fall as samples are added: it
// says how wrong a law is, and P whether it is. It is about 1/sqrt(n) where the law holds; 0.1 is plainly wrong.
func (a AndersonDarling) Distance() float64 {
	if a.N == 0 {
		return math.NaN()
	}
	return math.Sqrt(math.Max(a.Statistic, 0) / float64(a.N))
}

// Rejects reports whether the samples do not come from the law, at a level of significance: the share of samples of the
// law that are rejected.
func (a AndersonDarling) Rejects(level float64) bool { return a.P() < level }

// P is the share of samples of the law that deviate at least as much. NaN without samples.
//
// Of a law known whole it is that of Marsaglia and Marsaglia, "Evaluating the Anderson-Darling Distribution", Journal of
// Statistical Software 9(2), 2004, right to 1e-6; with an estimated mean the approximation of D'Agostino and Stephens
// (1986, table 4.14 in its form of formulas), within 7 % of the tabulated levels 0.25 to 0.0025.
func (a AndersonDarling) P() float64 {
	switch {
	case a.N == 0 || math.IsNaN(a.Statistic):
		return math.NaN()
	case a.Known:
		return 1 - adKnown(a.N, a.Statistic)
	default:
		return adEstimated(a.Statistic)
	}
}

// adKnown is the distribution function of A² of n samples of a law that is known whole.
func adKnown(n int, z float64) float64 {
	const far = 10 // beyond, the series is out of its range, and the tail falls as e^-z
	if z <= 0.01 {
		return 0
	}
	if z > far {
		return 1 - (1-adKnown(n, far))*math.Exp(far-z)
	}
	x := 0.0
	if z < 2 {
		p := 2.00012 + (0.247105-(0.0649821-(0.0347962-(0.0116720-0.00168691*z)*z)*z)*z)*z
		x = math.Exp(-1.2337141/z) / math.Sqrt(z) * p
	} else {
		p := 1.0776 - (2.30695-(0.43424-(0.082433-(0.008056-0.0003146*z)*z)*z)*z)*z
		x = math.Exp(-math.Exp(p))
	}
	return min(max(x+adSmall(float64(n), x), 0), 1)
}

// adSmall is what the distribution of few samples differs by from that of many, which is x.
func adSmall(n, x float64) float64 {
	if x > 0.8 {
		return (-130.2137 + (745.2337-(1705.091-(1950.646-(1116.360-255.7844*x)*x)*x)*x)*x) / n
	}
	c := 0.01265 + 0.1757/n
	if x < c {
		t := math.Sqrt(x / c)
		return t * (1 - t) * (49*t - 102) * (0.0037/(n*n) + 0.00078/n + 0.00006) / n
	}
	t := (x - c) / (0.8 - c)
	t = -0.00022633 + (6.54034-(14.6538-(14.458-(8.259-1.91864*t)*t)*t)*t)*t
	return t * (0.04213 + 0.01365/n) / n
}

// adEstimated is the share of exponential samples whose A²(1+0.6/n), by the estimated mean, is above z.
func adEstimated(z float64) float64 {
	switch {
	case z < 0.26:
		return 1 - math.Exp(-12.2204+67.459*z-110.3*z*z)
	case z < 0.51:
		return 1 - math.Exp(-6.1327+20.218*z-18.663*z*z)
	case z < 0.95:
		return math.Exp(0.9209 - 3.353*z + 0.300*z*z)
	case z < 5: // beyond, the parabola turns: it goes on as its tangent does
		return math.Exp(0.731 - 3.009*z + 0.150*z*z)
	default:
		return math.Exp(0.731 - 3.009*5 + 0.150*25 - (3.009-0.300*5)*(z-5))
	}
}

// Deviations of arrivals from evenly spaced ones.
type Deviations struct {
	N             int     // gaps
	Mean          float64 // gap, in the unit of the period
	P50, P99, Max float64 // of |gap - period|
}

// Even measures by how much gaps deviate from a period; ErrTooShort without gaps, ErrRange for a period that is not
// above 0.
func Even(gaps []float64, period float64) (Deviations, error) {
	if len(gaps) == 0 {
		return Deviations{}, ErrTooShort
	}
	if !(period > 0) {
		return Deviations{}, ErrRange
	}
	mean, _ := moments(gaps)
	off := make([]float64, len(gaps))
	for i, g := range gaps {
		off[i] = math.Abs(g - period)
	}
	slices.Sort(off)
	return Deviations{
		N: len(gaps), Mean: mean, P50: Quantile(off, 0.5), P99: Quantile(off, 0.99), Max: off[len(off)-1],
	}, nil
}
