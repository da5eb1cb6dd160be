package qn

import "math"

// A speed is how fast a station serves the requests of closed classes that are present, and what becomes of those of open classes beside
// them. Where n closed and k open requests are, the product form has the weight C(n + k, k)·λ^k ÷ (μ(1)…μ(n + k)) with λ the work that
// open classes bring per second and μ(j) the station's speed with j requests; summed over k that is a station for closed classes alone
// (Lavenberg, Computer Performance Modeling Handbook, 1983, chapter 3, of one server; the same holds for any speeds).
type speed struct {
	delay bool
	rates []float64 // with 1, 2, … present; the last holds beyond
	load  float64   // work that open classes bring per second, in servers as rates are
	left  []float64 // speed for 1, 2, … closed requests
	open  []float64 // mean open requests beside 0, 1, … closed ones
	busy  []float64 // mean in service, of both, beside 0, 1, … closed ones
	total []float64 // logarithms of the sums of weights beside 0, 1, … closed ones
}

// speed returns that of a station beside a load by open classes, below its fastest, for populations up to so many.
func (s *Station) speed(load float64, most int) *speed {
	if s.Delay {
		return &speed{delay: true, load: load}
	}
	v := &speed{rates: s.Rates, load: load}
	if v.rates == nil {
		v.rates = make([]float64, max(s.Servers, 1))
		for j := range v.rates {
			v.rates[j] = float64(j + 1)
		}
	}
	states := min(len(v.rates), most+1) + 1
	v.open, v.busy = make([]float64, states), make([]float64, states)
	v.left = make([]float64, states-1)
	v.total = make([]float64, states)
	before := 0.0
	for j := range states {
		sum := v.states(j)
		v.total[j] = sum
		if j > 0 {
			v.left[j-1] = v.rates[j-1] * math.Exp(before-sum)
		}
		before = sum
	}
	return v
}

func (v *speed) fastest() float64 { return v.rates[len(v.rates)-1] }

// share is what of its fastest open classes need.
func (v *speed) share() float64 { return v.load / v.fastest() }

// states sums the weights over the numbers of open requests beside j closed ones, relative to that without any, as a logarithm, and fills in
// their mean and how many are in service.
func (v *speed) states(j int) float64 {
	m := len(v.rates)
	if v.load == 0 {
		v.busy[j] = float64(min(j, m))
		return 0
	}
	term, sum, open, busy, scaled := 1.0, 0.0, 0.0, 0.0, 0.0
	k := 0
	for ; j+k < m; k++ {
		sum, open, busy = sum+term, open+float64(k)*term, busy+float64(j+k)*term
		term *= float64(j+k+1) / float64(k+1) * v.load / v.rates[j+k]
		if term > 1e200 {
			term, sum, open, busy, scaled = term*1e-200, sum*1e-200, open*1e-200, busy*1e-200, scaled+200*math.Ln10
		}
	}
	// Beyond, the speed is the same: terms g(k) = C(j + k, j)·r^k from here on, and Σ k·g(k) = (r(j + 1)·Σ g(k) + k₀·g(k₀))/(1 − r).
	r := v.share()
	tail := geometric(k, j, r)
	sum, open, busy = sum+term*tail, open+term*(r*float64(j+1)*tail+float64(k))/(1-r), busy+term*float64(m)*tail
	v.open[j], v.busy[j] = open/sum, busy/sum
	return math.Log(sum) + scaled
}

// geometric is Σ C(j + i, j)·r^i over i ≥ k, ÷ the first of its terms: a tail of the negative binomial distribution, by the continued
// fraction of the incomplete beta function (Press et al., Numerical Recipes, section 6.4).
func geometric(k, j int, r float64) float64 {
	if r == 0 {
		return 1
	}
	a, b := float64(k), float64(j+1)
	whole := -b * math.Log1p(-r)
	if k == 0 {
		return math.Exp(whole)
	}
	if r < (a+1)/(a+b+2) {
		return fraction(a, b, r)
	}
	first := a*math.Log(r) + choose(a, b)
	less := math.Exp(b*math.Log1p(-r)+a*math.Log(r)+choose(b, a)) * fraction(b, a, 1-r)
	return math.Exp(whole-first) * (1 - less)
}

// choose is ln 1/(a·B(a, b)).
func choose(a, b float64) float64 {
	la, _ := math.Lgamma(a + 1)
	lb, _ := math.Lgamma(b)
	both, _ := math.Lgamma(a + b)
	return both - la - lb
}

// fraction is the continued fraction of the incomplete beta function, by the method of Lentz.
func fraction(a, b, x float64) float64 {
	const tiny = 1e-300
	nonzero := func(y float64) float64 {
		if math.Abs(y) < tiny {
			return tiny
		}
		return y
	}
	c, d := 1.0, 1/nonzero(1-(a+b)*x/(a+1))
	h := d
	for i := 1.0; i < 10_000; i++ {
		even := i * (b - i) * x / ((a + 2*i - 1) * (a + 2*i))
		d, c = 1/nonzero(1+even*d), nonzero(1+even/c)
		h *= d * c
		odd := -(a + i) * (a + b + i) * x / ((a + 2*i) * (a + 2*i + 1))
		d, c = 1/nonzero(1+odd*d), nonzero(1+odd/c)
		h *= d * c
		if math.Abs(d*c-1) < 1e-15 {
			break
		}
	}
	return h
}

// beside returns the mean of open requests, and of all that are in service, where p tells the probabilities of fewer closed requests than
// len(p) and queue is their mean number. Past the last of the rates both are linear.
func (v *speed) beside(p []float64, queue float64) (open, busy float64) {
	if v.delay {
		return v.load, v.load + queue
	}
	rest, beyond := 1.0, queue
	for j, x := range p {
		open, busy = open+x*v.open[j], busy+x*v.busy[j]
		rest, beyond = rest-x, beyond-float64(j)*x
	}
	rest, beyond = math.Max(rest, 0), math.Max(beyond, 0)
	if len(p) < len(v.rates) { // all states are in p
		return open, busy
	}
	r := v.share()
	return open + (beyond+rest)*r/(1-r), busy + rest*float64(len(v.rates))
}
