package exact

import (
	"container/heap"
	"math"

	"github.com/eve-emulation/eve/dsv"
)

// SJF returns the departures from a station of c servers that serves the least demand of those that wait; see NonPreemptive.
func SJF(c int, jobs []Job) []dsv.Instant {
	return NonPreemptive(c, jobs, func(i int) int64 { return jobs[i].Demand })
}

// NonPreemptive returns the departures from a station of c servers that serves, whenever one is free, the job of the least
// rank of those that wait, ties in the order of the list, and lets it end. rank is asked once for each index of jobs. A job
// waits for a server from its arrival; one that arrives in the nanosecond in which a server becomes free comes after the
// choice among those that waited. The result is exact to the nanosecond.
//
// Jobs must be in order of arrival: NonPreemptive panics otherwise, and for c below 1.
func NonPreemptive(c int, jobs []Job, rank func(i int) int64) []dsv.Instant {
	check(c, jobs)
	free := make(instants, c)
	for i := range free {
		free[i] = math.MinInt64
	}
	departures := make([]dsv.Instant, len(jobs))
	var line places
	for next := 0; next < len(jobs) || len(line) > 0; {
		for next < len(jobs) && jobs[next].Arrival < free[0] {
			heap.Push(&line, place{rank(next), next})
			next++
		}
		if len(line) == 0 { // the next one finds a server free
			heap.Push(&line, place{rank(next), next})
			next++
		}
		i := heap.Pop(&line).(place).job
		free[0] = max(free[0], jobs[i].Arrival) + dsv.Instant(jobs[i].Demand)
		departures[i] = free[0]
		heap.Fix(&free, 0)
	}
	return departures
}

// places is a heap of the jobs that wait: the least rank first, then who came first.
type places []place

type place struct {
	rank int64
	job  int
}

func (h places) Len() int { return len(h) }
func (h places) Less(i, j int) bool {
	return h[i].rank < h[j].rank || h[i].rank == h[j].rank && h[i].job < h[j].job
}
func (h places) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *places) Push(x any)   { *h = append(*h, x.(place)) }

func (h *places) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}
