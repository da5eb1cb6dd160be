package exact_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
)

// somejobs are jobs in order of arrival.
func someJobs(n int, seed uint64) []exact.Job {
	r := rand.New(rand.NewPCG(seed, 1))
	jobs, at := make([]exact.Job, n), 0.0
	for i := range jobs {
		at += r.ExpFloat64() * 1000
		jobs[i] = exact.Job{Arrival: dsv.Instant(at), Demand: int64(r.ExpFloat64() * 1600)}
	}
	return jobs
}

// A network of one visit is FCFS, and one of several in a row is FCFS after FCFS.
func TestNetworkIsFCFS(t *testing.T) {
	jobs := someJobs(2000, 7)
	arrivals := make([]dsv.Instant, len(jobs))
	for i, j := range jobs {
		arrivals[i] = j.Arrival
	}
	for _, c := range []int{1, 2, 5} {
		first := exact.FCFS(c, jobs)
		got := exact.Network([]int{c, 1}, arrivals, func(job, k int) (exact.Visit, bool) { return exact.Visit{Demand: jobs[job].Demand}, k == 0 })
		if !slices.Equal(got, first) {
			t.Errorf("%d servers: a visit is not FCFS", c)
		}
		// Behind it, in order of departure.
		order := make([]int, len(jobs))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return int(first[a] - first[b]) })
		next := make([]exact.Job, len(jobs))
		for n, i := range order {
			next[n] = exact.Job{Arrival: first[i], Demand: jobs[i].Demand / 2}
		}
		want := make([]dsv.Instant, len(jobs))
		for n, d := range exact.FCFS(1, next) {
			want[order[n]] = d
		}
		got = exact.Network([]int{c, 1}, arrivals, func(job, k int) (exact.Visit, bool) {
			return exact.Visit{Station: k, Demand: jobs[job].Demand >> k}, k < 2
		})
		if !slices.Equal(got, want) {
			t.Errorf("%d servers: two visits are not FCFS after FCFS", c)
		}
	}
}

// By hand: a job that comes back goes behind who came meanwhile.
func TestNetworkWithFeedback(t *testing.T) {
	visits := [][]int64{{10, 10}, {10}, {5, 5, 5}}
	got := exact.Network([]int{1}, []dsv.Instant{0, 4, 25}, func(job, k int) (exact.Visit, bool) {
		if k == len(visits[job]) {
			return exact.Visit{}, false
		}
		return exact.Visit{Demand: visits[job][k]}, true
	})
	if want := []dsv.Instant{30, 20, 45}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A closed network of one station is that of ClosedFCFS.
func TestClosedNetworkIsClosedFCFS(t *testing.T) {
	draw := func(salt uint64, mean float64) func(int, uint64) int64 {
		return func(u int, n uint64) int64 {
			return 1 + int64(rand.New(rand.NewPCG(uint64(u)<<32|n, salt)).ExpFloat64()*mean)
		}
	}
	think, demand := draw(1, 5000), draw(2, 1000)
	for _, c := range []int{1, 3} {
		want := exact.ClosedFCFS(c, 7, 100, 200_000, think, demand)
		got := exact.ClosedNetwork([]int{c}, 7, 100, 200_000, think, func(u int, n uint64, k int) (exact.Visit, bool) {
			return exact.Visit{Demand: demand(u, n)}, k == 0
		})
		if !slices.Equal(got, want) {
			t.Errorf("%d servers: got %d rounds, want %d", c, len(got), len(want))
		}
	}
}

func TestLoss(t *testing.T) {
	jobs := []exact.Job{{Arrival: 0, Demand: 10}, {Arrival: 1, Demand: 10}, {Arrival: 2, Demand: 10}, {Arrival: 10, Demand: 3}, {Arrival: 11, Demand: 1}, {Arrival: 12, Demand: 1}}
	for _, tt := range []struct {
		c, most int
		want    []dsv.Instant
		refused []bool
	}{
		{1, 1, []dsv.Instant{10, 1, 2, 13, 11, 12}, []bool{false, true, true, false, true, true}},
		{1, 2, []dsv.Instant{10, 20, 2, 23, 11, 12}, []bool{false, false, true, false, true, true}},
		{2, 2, []dsv.Instant{10, 11, 2, 13, 12, 13}, []bool{false, false, true, false, false, false}},
	} {
		got, refused := exact.Loss(tt.c, tt.most, jobs)
		if !slices.Equal(got, tt.want) || !slices.Equal(refused, tt.refused) {
			t.Errorf("%d servers, %d places: got %v %v, want %v %v", tt.c, tt.most, got, refused, tt.want, tt.refused)
		}
	}
	many := someJobs(3000, 3)
	got, refused := exact.Loss(3, 1<<30, many)
	if !slices.Equal(got, exact.FCFS(3, many)) || slices.Contains(refused, true) {
		t.Error("with places for all it is not FCFS")
	}
}
