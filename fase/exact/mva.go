package exact

import (
	"errors"
	"fmt"
)

// A Closed is what a closed network of queueing stations does in the long run with some users in it.
type Closed struct {
	Throughput float64   // rounds of a user that end, per second
	Response   float64   // mean time of a round without thinking, s
	Queues     []float64 // by station: mean number of users there
}

// MVA returns how a closed network of single servers behaves with n users: each thinks for think seconds in the mean, then asks station k for
// demands[k] seconds in the mean, one station after the other, and begins anew. It is the exact mean value analysis (Reiser
// and Lavenberg, "Mean-Value Analysis of Closed Multichain Queuing Networks", Journal of the ACM 27(2), 1980), exact where demands are exponential and
// served first come, first served, or have any law and share the processor. The think time may have any law. One station is the machine repairman, M/M/1//N.
//
// It is an error when n is below 1, a time is negative, or all times are 0.
func MVA(n int, think float64, demands ...float64) (Closed, error) {
	sum := think
	for _, d := range demands {
		if !(d >= 0) {
			return Closed{}, fmt.Errorf("mean value analysis: demand %g s", d)
		}
		sum += d
	}
	switch {
	case n < 1:
		return Closed{}, fmt.Errorf("mean value analysis: %d users", n)
	case !(think >= 0):
		return Closed{}, fmt.Errorf("mean value analysis: think time %g s", think)
	case sum == 0:
		return Closed{}, errors.New("mean value analysis: users who need no time")
	}
	c := Closed{Queues: make([]float64, len(demands))}
	times := make([]float64, len(demands))
	for users := 1; users <= n; users++ {
		c.Response = 0
		for k, d := range demands {
			times[k] = d * (1 + c.Queues[k]) // who arrives sees the network as it is with one user less
			c.Response += times[k]
		}
		c.Throughput = float64(users) / (think + c.Response)
		for k := range demands {
			c.Queues[k] = c.Throughput * times[k]
		}
	}
	return c, nil
}

// MM1 is the mean response of a single server with Poisson arrivals at a rate per second and exponential demands, in s: demand ÷ (1 − rate·demand).
// It is an error when the server cannot carry the rate.
func MM1(rate, demand float64) (float64, error) {
	if !(rate >= 0 && demand >= 0) || rate*demand >= 1 {
		return 0, fmt.Errorf("M/M/1: %g/s of %g s are no steady load", rate, demand)
	}
	return demand / (1 - rate*demand), nil
}
