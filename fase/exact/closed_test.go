package exact_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
)

// TestClosedFCFS follows two users through one server by hand.
func TestClosedFCFS(t *testing.T) {
	thinks := [][]int64{{10, 5, 100}, {12, 1, 100}}
	demands := [][]int64{{10, 3}, {4, 2}}
	got := exact.ClosedFCFS(1, 2, 0, 60,
		func(u int, n uint64) int64 { return thinks[u][n] }, func(u int, n uint64) int64 { return demands[u][n] })
	want := []exact.Round{
		{User: 0, N: 0, Arrival: 10, Departure: 20},
		{User: 1, N: 0, Arrival: 12, Departure: 24}, // it waits for the first
		{User: 0, N: 1, Arrival: 25, Departure: 28}, // 20 + 5, and so does user 1: 24 + 1
		{User: 1, N: 1, Arrival: 25, Departure: 30},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestClosedFCFSIsFCFS holds the departures against those of the same arrivals, and the means against mean value analysis.
func TestClosedFCFSIsFCFS(t *testing.T) {
	const users, think, demand = 10, 50e-3, 5e-3
	draw := func(mean float64, salt uint64) func(int, uint64) int64 {
		return func(u int, n uint64) int64 {
			return int64(mean * 1e9 * rand.New(rand.NewPCG(uint64(u)<<8|salt, n)).ExpFloat64())
		}
	}
	demands := draw(demand, 1)
	for _, c := range []int{1, 3} {
		all := exact.ClosedFCFS(c, users, 0, dsv.Instant(1200e9), draw(think, 2), demands)
		jobs, sum := make([]exact.Job, len(all)), 0.0
		for i, r := range all {
			jobs[i] = exact.Job{Arrival: r.Arrival, Demand: demands(r.User, r.N)}
			sum += r.Departure.Sub(r.Arrival).Seconds()
		}
		for i, at := range exact.FCFS(c, jobs) {
			if at != all[i].Departure {
				t.Fatalf("%d servers, round %d: got %d, want %d", c, i, all[i].Departure, at)
			}
		}
		if c > 1 {
			continue
		}
		theory, err := exact.MVA(users, think, demand)
		if err != nil {
			t.Fatal(err)
		}
		if got := sum / float64(len(all)); math.Abs(got/theory.Response-1) > 0.02 {
			t.Errorf("mean response: got %.3f ms of %d, want %.3f ms", 1e3*got, len(all), 1e3*theory.Response)
		}
		if got := float64(len(all)) / 1200; math.Abs(got/theory.Throughput-1) > 0.01 {
			t.Errorf("throughput: got %.2f/s, want %.2f/s", got, theory.Throughput)
		}
	}
}
