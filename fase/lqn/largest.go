package lqn

import "math"

// largest is the largest of independent times with laws of gamma.
func largest(spans []span) span {
	most, wide := 0.0, 0.0
	for _, a := range spans {
		most = math.Max(most, a.mean)
		wide = math.Max(wide, math.Sqrt(a.variance))
	}
	if wide < 1e-6*most || most == 0 {
		return span{mean: most}
	}
	// E[max] = ∫ 1 − Π F, E[max²] = ∫ 2t(1 − Π F), by the rule of Simpson on t = end·u², which is fine near 0.
	const steps = 240
	end := most + 30*wide
	first, second := 0.0, 0.0
	for i := range steps + 1 {
		u := float64(i) / steps
		t := end * u * u
		all := 1.0
		for _, a := range spans {
			if all *= a.below(t); all == 0 {
				break
			}
		}
		weight := 2.0
		switch {
		case i == 0 || i == steps:
			weight = 1
		case i%2 == 1:
			weight = 4
		}
		weight *= 2 * end * u / (3 * steps)
		first += weight * (1 - all)
		second += weight * 2 * t * (1 - all)
	}
	return span{first, math.Max(0, second-first*first)}
}

// below is the probability that a time with a law of gamma is at most t.
func (a span) below(t float64) float64 {
	if a.variance < 1e-12*a.mean*a.mean || a.mean == 0 {
		if t >= a.mean {
			return 1
		}
		return 0
	}
	shape := a.mean * a.mean / a.variance
	if shape == 1 {
		return -math.Expm1(-t / a.mean)
	}
	return gamma(shape, t*shape/a.mean)
}

// gamma is the regularised incomplete gamma function P(a, x) (Press et al., Numerical Recipes, section 6.2).
func gamma(a, x float64) float64 {
	if x <= 0 {
		return 0
	}
	ln, _ := math.Lgamma(a)
	front := math.Exp(a*math.Log(x) - x - ln)
	if x < a+1 {
		term, sum := 1/a, 1/a
		for n := 1.0; n < 10_000 && term > 1e-15*sum; n++ {
			term *= x / (a + n)
			sum += term
		}
		return math.Min(1, front*sum)
	}
	b := x + 1 - a
	c, d := 1e300, 1/b
	h := d
	for i := 1.0; i < 10_000; i++ {
		an := -i * (i - a)
		b += 2
		if d = an*d + b; math.Abs(d) < 1e-300 {
			d = 1e-300
		}
		if c = b + an/c; math.Abs(c) < 1e-300 {
			c = 1e-300
		}
		d = 1 / d
		h *= d * c
		if math.Abs(d*c-1) < 1e-15 {
			break
		}
	}
	return math.Max(0, 1-front*h)
}
