package judge_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/runs"
)

func sec(x float64) dsv.Instant { return dsv.At(time.Duration(x * 1e9)) }

// levels reads pairs of an instant and a number.
func levels(xs ...float64) []runs.ReplicaLevel {
	var out []runs.ReplicaLevel
	for i := 0; i < len(xs); i += 2 {
		out = append(out, runs.ReplicaLevel{From: runs.Number(xs[i]), Replicas: int(xs[i+1])})
	}
	return out
}

// The figures of a minute, by hand.
func TestProvision(t *testing.T) {
	near := func(a, b runs.Number) bool { return math.Abs(float64(a-b)) < 1e-9 }
	for _, c := range []struct {
		name           string
		supply, demand []runs.ReplicaLevel
		want           runs.Provisioning
	}{
		{"as asked", levels(0, 2, 30, 4), levels(0, 2, 30, 4), runs.Provisioning{}},
		{
			"late by 6 s", levels(0, 2, 36, 4), levels(0, 2, 30, 4),
			runs.Provisioning{UnderAccuracy: 0.05, UnderTime: 0.1, Instability: 2. / 60},
		},
		{
			"too much by half, after a rise", levels(0, 2, 30, 6), levels(0, 2, 30, 4),
			runs.Provisioning{OverAccuracy: 0.25, OverTime: 0.5, Overshoot: 0.5},
		},
		{
			"static", levels(0, 4), levels(0, 2, 30, 4, 45, 1),
			runs.Provisioning{OverAccuracy: 0.5 + 0.75, OverTime: 0.75, Instability: 2. / 60, Jitter: -2},
		},
		{
			"back and forth", levels(0, 2, 10, 3, 20, 2, 30, 3, 40, 2), levels(0, 2),
			runs.Provisioning{OverAccuracy: 1. / 6, OverTime: 1. / 3, Instability: 4. / 60, Jitter: 4, Overshoot: 0.5},
		},
	} {
		got := judge.Provision(c.supply, c.demand, 0, sec(60), sec(5))
		if !near(got.UnderAccuracy, c.want.UnderAccuracy) || !near(got.OverAccuracy, c.want.OverAccuracy) || !near(got.UnderTime, c.want.UnderTime) ||
			!near(got.OverTime, c.want.OverTime) || !near(got.Instability, c.want.Instability) || !near(got.Jitter, c.want.Jitter) || !near(got.Overshoot, c.want.Overshoot) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// A dip of one interval is filled, two are not, and edges stay where they are.
func TestClosed(t *testing.T) {
	for _, c := range []struct{ in, want []runs.ReplicaLevel }{
		{levels(0, 1, 10, 2, 15, 1, 20, 2, 25, 1, 30, 2, 40, 1), levels(0, 1, 10, 2, 40, 1)},
		{levels(0, 2, 10, 1, 20, 2), levels(0, 2, 10, 1, 20, 2)},
		{levels(0, 1, 10, 3, 15, 1), levels(0, 1, 10, 3, 15, 1)},
		{levels(0, 4), levels(0, 4)},
	} {
		if got := judge.Closed(c.in, 0, sec(60), sec(5)); !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.in, got, c.want)
		}
	}
}

func TestSettling(t *testing.T) {
	x := func(from, to float64) runs.Interval {
		return runs.Interval{From: runs.Number(from), To: runs.Number(to)}
	}
	for _, c := range []struct {
		in   []runs.Interval
		want *runs.Settling
	}{
		{nil, nil},
		{[]runs.Interval{x(10, 12)}, &runs.Settling{Disturbances: 1, Mean: 2, Max: 2}},
		{[]runs.Interval{x(10, 12), x(16, 18)}, &runs.Settling{Disturbances: 1, Mean: 8, Max: 8}},
		{[]runs.Interval{x(10, 12), x(17, 21)}, &runs.Settling{Disturbances: 2, Mean: 3, Max: 4}},
		{[]runs.Interval{x(10, 12), x(40, 56)}, &runs.Settling{Disturbances: 2, Mean: 9, Max: 16, Unsettled: true}},
	} {
		got := judge.Settle(c.in, 60)
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%v: got %+v, want %+v", c.in, got, c.want)
		}
	}
}

// What goes back and forth oscillates, unless the demand does.
func TestOscillations(t *testing.T) {
	for _, c := range []struct {
		replicas []int
		demand   []runs.ReplicaLevel
		want     int
	}{
		{[]int{1, 2, 3, 2, 1}, nil, 0},
		{[]int{1, 2, 1}, nil, 0},
		{[]int{1, 2, 1, 2, 1}, nil, 2},
		{[]int{1, 2, 1, 2, 1}, levels(0, 1), 2},
		{[]int{2, 3, 2, 3}, levels(0, 2), 1},
		{[]int{1, 2, 1, 2}, levels(0, 2), 1},
		{[]int{1, 2, 1, 2, 1}, levels(0, 1, 0.7, 2, 1.5, 1, 2.7, 2, 3.5, 1), 0},
	} {
		if got := judge.Oscillations(c.replicas, c.demand, sec(0.3)); got != c.want {
			t.Errorf("%v of %v: got %d, want %d", c.replicas, c.demand, got, c.want)
		}
	}
}
