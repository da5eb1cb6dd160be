package solve

import "math"

// A Shape is the law that a response is taken to follow: a least part, and beyond it a gamma law of the mean and deviation that were found. With
// a deviation that equals the rest of the mean this is the exponential law, which M/M/1 has exactly.
type Shape struct {
	Least, Mean, Deviation float64 // s
	Quality                Quality // exact where it is the very law
	// Away is the share that is turned away at once, in no time; Mean and Deviation are of all.
	Away float64
}

// served is the law of those that are not turned away.
func (s Shape) served() Shape {
	stay := 1 - s.Away
	mean := s.Mean / stay
	second := (s.Deviation*s.Deviation + s.Mean*s.Mean) / stay
	return Shape{s.Least, mean, math.Sqrt(max(0, second-mean*mean)), s.Quality, 0}
}

// Quantile is the response that a share q of the requests stays below, in s, and how far it can be believed. q is above 0 and below 1.
func (g *Group) Quantile(q float64) (float64, Quality) { return g.Shape.Quantile(q) }

// Quantile is the value that a share q stays below, in s.
func (s Shape) Quantile(q float64) (float64, Quality) {
	if s.Away > 0 && s.Away < 1 {
		if q <= s.Away {
			return s.Least, s.Quality
		}
		return s.served().Quantile((q - s.Away) / (1 - s.Away))
	}
	rest := s.Mean - s.Least
	switch {
	case !(rest > 0):
		return s.Mean, s.Quality
	case !(s.Deviation > 1e-9*rest):
		return s.Mean, s.Quality
	case math.IsInf(rest, 1) || math.IsInf(s.Deviation, 1):
		return math.Inf(1), s.Quality
	}
	k := rest / s.Deviation * rest / s.Deviation
	return s.Least + gammaQuantile(k, q)*rest/k, s.Quality
}

// Below is the share of responses below x seconds.
func (s Shape) Below(x float64) float64 {
	if s.Away > 0 && s.Away < 1 {
		return s.Away + (1-s.Away)*s.served().Below(x)
	}
	rest := s.Mean - s.Least
	if !(rest > 0) || !(s.Deviation > 1e-9*rest) {
		if x < s.Mean {
			return 0
		}
		return 1
	}
	if x <= s.Least {
		return 0
	}
	k := rest / s.Deviation * rest / s.Deviation
	return gammaBelow(k, (x-s.Least)/rest*k)
}

// gammaQuantile inverts gammaBelow by bisection in the logarithm; the law has a scale of 1.
func gammaQuantile(k, q float64) float64 {
	if k == 1 {
		return -math.Log1p(-q)
	}
	low, high := math.Log(1e-300), math.Log(k+60*math.Sqrt(k)+700)
	for range 200 {
		mid := (low + high) / 2
		if gammaBelow(k, math.Exp(mid)) < q {
			low = mid
		} else {
			high = mid
		}
		if high-low < 1e-13 {
			break
		}
	}
	return math.Exp((low + high) / 2)
}

// gammaBelow is the regularised lower incomplete gamma function P(k, x): by its series below k+1, else by the continued fraction of its
// complement (Abramowitz and Stegun 6.5.29 and 6.5.31, evaluated as Lentz has it).
func gammaBelow(k, x float64) float64 {
	if x <= 0 {
		return 0
	}
	lg, _ := math.Lgamma(k)
	front := math.Exp(k*math.Log(x) - x - lg)
	if x < k+1 {
		term := 1 / k
		sum := term
		for n := 1; n < 100_000 && term > sum*1e-16; n++ {
			term *= x / (k + float64(n))
			sum += term
		}
		return min(1, front*sum)
	}
	const tiny = 1e-300
	b := x + 1 - k
	c, d := 1/tiny, 1/b
	h := d
	for n := 1; n < 100_000; n++ {
		a := -float64(n) * (float64(n) - k)
		b += 2
		d = away(a*d + b)
		c = away(b + a/c)
		d = 1 / d
		h *= d * c
		if math.Abs(d*c-1) < 1e-15 {
			break
		}
	}
	return max(0, 1-front*h)
}

// away keeps a denominator from 0.
func away(x float64) float64 {
	if math.Abs(x) < 1e-300 {
		return 1e-300
	}
	return x
}
