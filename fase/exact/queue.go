package exact

import (
	"errors"
	"fmt"
	"math"
)

// ErlangC is the share of arrivals that wait at c servers with one line, Poisson arrivals and exponential demands, at utilisation rho of
// each (Erlang 1917): B/(1 − ρ(1 − B)), B being ErlangB at that load.
func ErlangC(c int, rho float64) (float64, error) {
	if err := steady("M/M/c", rho); err != nil || c < 1 {
		return 0, fmt.Errorf("M/M/c: %d servers at %g", c, rho)
	}
	b := ErlangB(c, float64(c)*rho)
	return b / (1 - rho*(1-b)), nil
}

// Servers is the least c for which c servers with one line, at an offered load of a servers, have a mean response of at most limit mean
// demands, by MMc. The error says that none has: nothing is faster than its demand.
func Servers(a, limit float64) (int, error) {
	if !(a >= 0) || math.IsInf(a, 1) || !(limit > 1) {
		return 0, fmt.Errorf("servers for a load of %g: a response of %g demands is not to be had", a, limit)
	}
	fits := func(c int) bool {
		r, err := MMc(c, a/float64(c))
		return err == nil && r <= limit
	}
	low := max(int(a), 0) // too few
	high := low + 1
	for !fits(high) {
		high += max(high-low, 1)
	}
	for high-low > 1 {
		if c := (low + high) / 2; fits(c) {
			high = c
		} else {
			low = c
		}
	}
	return high, nil
}

// MM1Quantile is the response that a share q of requests stay within at a single server with Poisson arrivals and exponential demands, first
// come, first served, in mean demands: −ln(1 − q)/(1 − ρ), as the response is exponential (Kleinrock, Queueing Systems I, section 5.12).
func MM1Quantile(rho, q float64) (float64, error) {
	if err := steady("M/M/1", rho); err != nil || !(q >= 0 && q < 1) {
		return 0, fmt.Errorf("M/M/1: quantile %g at %g", q, rho)
	}
	return -math.Log1p(-q) / (1 - rho), nil
}

// MMcTail is the probability that the response of c servers with one line, Poisson arrivals and exponential demands, first come, first
// served, is longer than t mean demands, at utilisation rho of each: that of a demand after a wait that is 0 or, with probability
// ErlangC, exponential with the rate c(1 − ρ) (Kleinrock, Queueing Systems I, section 5.12; Gross and Harris, Fundamentals of
// Queueing Theory, section 2.3).
func MMcTail(c int, rho, t float64) (float64, error) {
	wait, err := ErlangC(c, rho)
	if err != nil || !(t >= 0) {
		return 0, fmt.Errorf("M/M/c: %d servers at %g beyond %g", c, rho, t)
	}
	a := float64(c) * (1 - rho)
	if math.Abs(a-1) < 1e-9 {
		return math.Exp(-t) * (1 + wait*t), nil
	}
	return math.Exp(-t) + wait*(math.Exp(-t)-math.Exp(-a*t))/(a-1), nil
}

// MMcQuantile is the response that a share q of requests stay within at c servers with one line, in mean demands: the inverse of MMcTail.
func MMcQuantile(c int, rho, q float64) (float64, error) {
	if _, err := MMcTail(c, rho, 0); err != nil || !(q >= 0 && q < 1) {
		return 0, fmt.Errorf("M/M/c: quantile %g of %d servers at %g", q, c, rho)
	}
	return inverse(1-q, func(t float64) float64 {
		tail, _ := MMcTail(c, rho, t)
		return tail
	}), nil
}

// inverse is where a tail that falls from 1 to 0 has a value.
func inverse(value float64, tail func(float64) float64) float64 {
	high := 1.0
	for tail(high) > value {
		high *= 2
	}
	low := 0.0
	for range 200 {
		t := (low + high) / 2
		if t == low || t == high {
			break
		}
		if tail(t) > value {
			low = t
		} else {
			high = t
		}
	}
	return high
}

// A Limited is a queue with room for so many, which turns the rest away.
type Limited struct {
	Turned      float64 // share of arrivals that find no room
	Response    float64 // mean of those that do, in mean demands
	Queue       float64 // mean number present
	Utilisation float64 // of each server
}

// MMcK is c servers with room for k requests in all, those in service with them, Poisson arrivals and exponential demands, at an offered
// load of rho of each server, which may be above 1 (Gross and Harris, Fundamentals of Queueing Theory, section 2.5): k = c is Erlang's
// loss system, and c = 1 has (1 − ρ)ρ^k/(1 − ρ^(k+1)) turned away.
func MMcK(c, k int, rho float64) (Limited, error) {
	if c < 1 || k < c || !(rho >= 0) || math.IsInf(rho, 1) {
		return Limited{}, fmt.Errorf("M/M/c/K: %d servers, room for %d, at %g", c, k, rho)
	}
	a := rho * float64(c)
	p, sum, queue, busy := 1.0, 1.0, 0.0, 0.0
	for n := 1; n <= k; n++ {
		p *= a / float64(min(n, c))
		sum, queue, busy = sum+p, queue+float64(n)*p, busy+float64(min(n, c))*p
		if sum > 1e200 {
			p, sum, queue, busy = p*1e-200, sum*1e-200, queue*1e-200, busy*1e-200
		}
	}
	l := Limited{Turned: p / sum, Queue: queue / sum, Utilisation: busy / sum / float64(c), Response: 1}
	if busy > 0 {
		l.Response = queue / busy
	}
	return l, nil
}

// GGc is the mean response of c servers with one line, first come, first served, in mean demands: 1 + C(c)·(a² + s²)/2 ÷ (c(1 − ρ)), a² and s²
// being the squared coefficients of variation of the gaps between arrivals and of the demands (Allen and Cunneen; Allen, Probability,
// Statistics, and Queueing Theory, 1990, section 5.2). It is exact for M/M/c and M/G/1, and an approximation elsewhere that is best at heavy
// load.
func GGc(c int, rho, arrivals, demands float64) (float64, error) {
	wait, err := ErlangC(c, rho)
	if err != nil || !(arrivals >= 0 && demands >= 0) {
		return 0, fmt.Errorf("G/G/c: %d servers at %g with variations %g and %g", c, rho, arrivals, demands)
	}
	return 1 + wait*(arrivals+demands)/2/(float64(c)*(1-rho)), nil
}

// Kingman is what the mean response of a single server is at most, first come, first served, in mean demands: 1 + ρ⁻¹(σa² + σs²)/(2(1 − ρ)) with the
// variances of gaps and demands, here 1 + (a²/ρ + ρs²)/(2(1 − ρ)) (Kingman, "Some Inequalities for the Queue GI/G/1", Biometrika
// 49, 1962).
func Kingman(rho, arrivals, demands float64) (float64, error) {
	if err := steady("G/G/1", rho); err != nil || !(arrivals >= 0 && demands >= 0) || rho == 0 {
		return 0, fmt.Errorf("G/G/1: at %g with variations %g and %g", rho, arrivals, demands)
	}
	return 1 + (arrivals/rho+rho*demands)/(2*(1-rho)), nil
}

// Shared is the mean response of a request of a demand x at a single server that all who are present share evenly, with Poisson arrivals: x/(1 − ρ),
// whatever the law of demands (Kleinrock, Queueing Systems II, section 4.4), in the unit of x.
func Shared(rho, x float64) (float64, error) {
	if err := steady("processor sharing", rho); err != nil {
		return 0, err
	}
	return x / (1 - rho), nil
}

// SharedSCV is the squared coefficient of variation of the response at a single server that all who are present share evenly, Poisson arrivals and
// exponential demands: (2 + ρ)/(2 − ρ) (Coffman, Muntz and Trotter, "Waiting Time Distributions for Processor-Sharing Systems", Journal of the
// ACM 17(1), 1970).
func SharedSCV(rho float64) (float64, error) {
	if err := steady("processor sharing", rho); err != nil {
		return 0, err
	}
	return (2 + rho) / (2 - rho), nil
}

// MG1Variance is the variance of the response of a single server with Poisson arrivals, first come, first served, in squares of the mean
// demand: that of the demand and of the wait, W² + λE[s³]/(3(1 − ρ)) with W the mean wait (Takács 1962; Kleinrock, Queueing Systems I, section
// 5.7). second and third are the moments E[s²] and E[s³] of the demand, in mean demands.
func MG1Variance(rho, second, third float64) (float64, error) {
	if err := steady("M/G/1", rho); err != nil {
		return 0, err
	}
	w := rho * second / (2 * (1 - rho))
	return second - 1 + w*w + rho*third/(3*(1-rho)), nil
}

// Forked is the mean response of requests that fork to n servers of their own, first come, first served, and wait for all, Poisson arrivals
// and exponential demands, in mean demands: ForkJoin2 for two; else (H(n)/H(2) + 4/11·(1 − H(n)/H(2))·ρ)·ForkJoin2, H(n) being 1 + … + 1/n
// (Nelson and Tantawi, "Approximate Analysis of Fork/Join Synchronization in Parallel Queues", IEEE Trans. Computers 37(6), 1988). It is
// at most 5 % low up to 32 branches.
func Forked(n int, rho float64) (float64, error) {
	two, err := ForkJoin2(rho)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("fork-join: %d branches at %g", n, rho)
	}
	if n == 1 {
		return 1 / (1 - rho), nil
	}
	h := Harmonic(n) / 1.5
	return (h + 4.0/11*(1-h)*rho) * two, nil
}

// ForkedBounds are what no fork to n servers of their own is below and above, first come, first served: the longest of n demands, H(n), and of
// 1/(1 − ρ), and the longest of n responses if they were independent, H(n)/(1 − ρ) (Nelson and Tantawi 1988; Varki, "Response Time Analysis
// of Parallel Computer and Storage Systems", IEEE Trans. Parallel and Distributed Systems 12(11), 2001).
func ForkedBounds(n int, rho float64) (low, high float64, err error) {
	if err := steady("fork-join", rho); err != nil || n < 1 {
		return 0, 0, fmt.Errorf("fork-join: %d branches at %g", n, rho)
	}
	h := Harmonic(n)
	return math.Max(h, 1/(1-rho)), h / (1 - rho), nil
}

// Harmonic is H(n) = 1 + 1/2 + … + 1/n: the mean of the longest of n independent exponential times of mean 1.
func Harmonic(n int) float64 {
	sum := 0.0
	for i := n; i >= 1; i-- {
		sum += 1 / float64(i)
	}
	return sum
}

// Longest is the mean of the longest of independent exponential times, by inclusion and exclusion: Σ mᵢ − Σ 1/(1/mᵢ + 1/mⱼ) + …, in the unit of
// the means, of which there may be 20.
func Longest(means ...float64) (float64, error) {
	if len(means) == 0 || len(means) > 20 {
		return 0, fmt.Errorf("longest of %d times: want 1 to 20", len(means))
	}
	for _, m := range means {
		if !(m > 0) || math.IsInf(m, 1) {
			return 0, errors.New("longest: a mean that is not positive")
		}
	}
	sum := 0.0
	for set := 1; set < 1<<len(means); set++ {
		rate, sign := 0.0, -1.0
		for i, m := range means {
			if set&(1<<i) != 0 {
				rate, sign = rate+1/m, -sign
			}
		}
		sum += sign / rate
	}
	return sum, nil
}

// Feedback is the mean response of exponential servers behind Poisson arrivals at a rate per second, each of which a request visits so many
// times in the mean, in any order (Jackson 1957): the sum of V·S/(1 − rate·V·S), in s.
func Feedback(rate float64, visits, services []float64) (float64, error) {
	if len(visits) != len(services) {
		return 0, fmt.Errorf("jackson network: visits of %d stations, services of %d", len(visits), len(services))
	}
	demands := make([]float64, len(visits))
	for i := range visits {
		demands[i] = visits[i] * services[i]
	}
	return Tandem(rate, demands...)
}
