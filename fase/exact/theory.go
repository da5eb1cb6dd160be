package exact

import (
	"fmt"
	"math"
)

// MG1 is the mean response of a single server, first come first served, with Poisson arrivals and demands of any law, in mean demands:
// 1 + ρ(1 + c²)/(2(1 − ρ)), c² being the squared coefficient of variation of the demands (Pollaczek 1930, Khinchine 1932; Kleinrock,
// Queueing Systems I, section 5.6). Shared among all that are present it would be 1/(1 − ρ) whatever the law.
func MG1(rho, scv float64) (float64, error) {
	if err := steady("M/G/1", rho); err != nil {
		return 0, err
	}
	return 1 + rho*(1+scv)/(2*(1-rho)), nil
}

// MMc is the mean response of c servers with one line, Poisson arrivals and exponential demands, at utilisation rho of each, in mean
// demands: 1 + C(c, cρ)/(c(1 − ρ)), C being Erlang's formula for waiting (Erlang 1917; Kleinrock, Queueing Systems I, section 3.5).
func MMc(c int, rho float64) (float64, error) {
	if err := steady("M/M/c", rho); err != nil || c < 1 {
		return 0, fmt.Errorf("M/M/c: %d servers at %g", c, rho)
	}
	b := ErlangB(c, float64(c)*rho)
	return 1 + b/(1-rho*(1-b))/(float64(c)*(1-rho)), nil
}

// ErlangB is the share of calls that c servers without a line turn away, at an offered load of a servers: by the recursion
// B(k) = a·B(k−1)/(k + a·B(k−1)) from B(0) = 1.
func ErlangB(c int, a float64) float64 {
	b := 1.0
	for k := 1; k <= c; k++ {
		b = a * b / (float64(k) + a*b)
	}
	return b
}

// ForkJoin2 is the mean response of requests that fork to two servers of their own and wait for both, exponential demands, in mean demands:
// (12 − ρ)/8 ÷ (1 − ρ) (Flatto and Hahn 1984; Nelson and Tantawi, "Approximate Analysis of Fork/Join Synchronization in Parallel Queues",
// IEEE Trans. Computers 37(6), 1988).
func ForkJoin2(rho float64) (float64, error) {
	if err := steady("fork-join", rho); err != nil {
		return 0, err
	}
	return (12 - rho) / 8 / (1 - rho), nil
}

// Cobham is the mean response of each class at a single server that lets each demand end and then serves the class of the least index that
// waits, exponential demands of one mean, in mean demands: class i waits R ÷ ((1 − σ(i−1))(1 − σ(i))), σ(i) being the load of the classes up
// to i and R the load of all (Cobham, "Priority Assignment in Waiting Line Problems", Operations Research 2(1), 1954). What classes wait,
// weighted by their loads, adds up to the same in any such order (Kleinrock's conservation law).
func Cobham(rhos ...float64) ([]float64, error) {
	all := 0.0
	for _, r := range rhos {
		all += r
	}
	if err := steady("priorities", all); err != nil {
		return nil, err
	}
	out, before := make([]float64, len(rhos)), 0.0
	for i, r := range rhos {
		out[i] = 1 + all/((1-before)*(1-before-r))
		before += r
	}
	return out, nil
}

// Tandem is the mean response of exponential servers one after the other, each first come first served, behind Poisson arrivals at a rate per
// second: the sum of demand ÷ (1 − rate·demand), as what leaves an M/M/1 is Poisson again (Burke 1956, Jackson 1957). Demands and the result
// are in s.
func Tandem(rate float64, demands ...float64) (float64, error) {
	sum := 0.0
	for _, d := range demands {
		r, err := MM1(rate, d)
		if err != nil {
			return 0, err
		}
		sum += r
	}
	return sum, nil
}

// Choices is the mean response at utilisation rho in the limit of many servers, each request joining the shortest of d lines drawn at random,
// exponential demands, in mean demands: Σ ρ^((d^i − d)/(d − 1)), i from 1 (Mitzenmacher, "The Power of Two Choices in Randomized Load
// Balancing", 1996; Vvedenskaya, Dobrushin and Karpelevich 1996); 1/(1 − ρ) for one choice.
func Choices(d int, rho float64) (float64, error) {
	if err := steady("power of choices", rho); err != nil || d < 1 {
		return 0, fmt.Errorf("power of %d choices at %g", d, rho)
	}
	if d == 1 {
		return 1 / (1 - rho), nil
	}
	sum, power := 0.0, float64(d)
	for {
		x := math.Pow(rho, (power-float64(d))/float64(d-1))
		if x < 1e-15 {
			return sum, nil
		}
		sum, power = sum+x, power*float64(d)
	}
}

func steady(what string, rho float64) error {
	if !(rho >= 0 && rho < 1) {
		return fmt.Errorf("%s: utilisation %g is no steady load", what, rho)
	}
	return nil
}
