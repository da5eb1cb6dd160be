package exact_test

import (
	"math"
	"testing"

	"github.com/eve-emulation/eve/fase/exact"
)

// TestMVA compares with published figures and the balance of the machine repairman's states.
func TestMVA(t *testing.T) {
	for _, tt := range []struct {
		n          int
		think      float64
		demands    []float64
		throughput float64
		response   float64
	}{
		{1, 10, []float64{1}, 1.0 / 11, 1},
		{5, 10, []float64{1}, 0.43605, 1.46663},
		{10, 10, []float64{1}, 0.78542, 2.73208},
		{12, 10, []float64{1}, 0.88026, 3.63232},
		{20, 10, []float64{1}, 0.99813, 10.03745},
		{8, 5, []float64{2, 1, 0.5}, 0.48458, 11.5092},
		{3, 7, nil, 3.0 / 7, 0},
	} {
		c, err := exact.MVA(tt.n, tt.think, tt.demands...)
		if err != nil || math.Abs(c.Throughput-tt.throughput) > 1e-5 || math.Abs(c.Response-tt.response) > 1e-4 {
			t.Errorf("%d users, think %g, demands %v: got %+v, %v; want %g/s and %g s", tt.n, tt.think, tt.demands, c, err, tt.throughput, tt.response)
		}
		// Users are at a station or think.
		sum := c.Throughput * tt.think
		for _, q := range c.Queues {
			sum += q
		}
		if math.Abs(sum-float64(tt.n)) > 1e-9 {
			t.Errorf("%d users: got %.12f of them somewhere", tt.n, sum)
		}
	}
}

// TestMVARepairman solves the birth-death chain of one station, whose users fail at rate (n − k)/Z and are repaired at 1/D.
func TestMVARepairman(t *testing.T) {
	const n, think, demand = 17, 3.0, 0.4
	p, sum, idle, length := 1.0, 0.0, 1.0, 0.0
	for k := 0; k <= n; k++ {
		sum += p
		length += float64(k) * p
		p *= float64(n-k) / think * demand
	}
	idle /= sum
	c, err := exact.MVA(n, think, demand)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Throughput, (1-idle)/demand; math.Abs(got-want) > 1e-9 {
		t.Errorf("throughput: got %.12f, want %.12f", got, want)
	}
	if got, want := c.Queues[0], length/sum; math.Abs(got-want) > 1e-9 {
		t.Errorf("users at the station: got %.12f, want %.12f", got, want)
	}
}

func TestNoSteadyLoad(t *testing.T) {
	for _, tt := range []struct {
		n       int
		think   float64
		demands []float64
	}{{0, 1, []float64{1}}, {1, -1, []float64{1}}, {1, 0, []float64{0}}, {1, 0, []float64{-1}}, {1, math.NaN(), []float64{1}}, {1, 1, []float64{math.NaN()}}} {
		if c, err := exact.MVA(tt.n, tt.think, tt.demands...); err == nil {
			t.Errorf("%+v: got %+v, want an error", tt, c)
		}
	}
	for _, tt := range [][2]float64{{10, 0.1}, {11, 0.1}, {-1, 1}, {1, -1}, {math.NaN(), 1}} {
		if r, err := exact.MM1(tt[0], tt[1]); err == nil {
			t.Errorf("%v: got %g s, want an error", tt, r)
		}
	}
	if r, err := exact.MM1(70, 0.01); err != nil || math.Abs(r-0.01/0.3) > 1e-12 {
		t.Errorf("got %g, %v; want 33.3 ms", r, err)
	}
}
