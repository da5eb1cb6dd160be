// Package exact computes the exact path of a queue: when each job departs, given when it arrived and what it demanded.
// A measurement of the same jobs is then compared with it job by job, which leaves no error of sampling.
//
// All functions are pure and independent of the stations of fase/machine, which they serve to check: they see all jobs at
// once and keep no events. A [Job] has an arrival and a demand; the result has one departure per job, in the same order.
package exact

import (
	"container/heap"
	"fmt"
	"math"

	"github.com/eve-emulation/eve/dsv"
)

// A Job is one request for service.
type Job struct {
	Arrival dsv.Instant
	Demand  int64 // ns of service; not negative
}

// FCFS returns the departures from a station of c servers with one line, first come first served; jobs that arrive
// together are served in the order of the list. For one server this is the recursion of Lindley ("The Theory of Queues
// with a Single Server", Proc. Cambridge Phil. Soc. 48, 1952): a job starts when it has arrived and the one before it has
// left. For more it is that of Kiefer and Wolfowitz ("On the Theory of Queues with Many Servers", Trans. AMS 78, 1955): it
// starts when it has arrived and the first of the servers is free. The result is exact to the nanosecond.
//
// Jobs must be in order of arrival: FCFS panics otherwise, and for c below 1.
func FCFS(c int, jobs []Job) []dsv.Instant {
	check(c, jobs)
	free := make(instants, c) // when each server is free; all of them from the beginning
	for i := range free {
		free[i] = math.MinInt64
	}
	departures := make([]dsv.Instant, len(jobs))
	for i, j := range jobs {
		free[0] = max(free[0], j.Arrival) + dsv.Instant(j.Demand)
		departures[i] = free[0]
		heap.Fix(&free, 0)
	}
	return departures
}

// PS returns the departures from a station of c servers that n jobs share evenly: each is served at rate min(1, c/n).
// It is the recursion in virtual time (Parekh and Gallager, "A Generalized Processor Sharing Approach to Flow Control in
// Integrated Services Networks", IEEE/ACM Trans. Networking 1(3), 1993): virtual time is the service that a job present
// all the time would have had, so a job departs when it has moved by the job's demand since the arrival. Departures are
// rounded up to the nanosecond; nothing is rounded in between but the floating point.
//
// Jobs must be in order of arrival: PS panics otherwise, and for c below 1.
func PS(c int, jobs []Job) []dsv.Instant {
	check(c, jobs)
	departures := make([]dsv.Instant, len(jobs))
	var (
		present finishes
		now     float64 // ns since the busy period began
		virtual float64 // ns of service per job since then
		began   dsv.Instant
	)
	// until serves until an instant, or until nobody is left.
	until := func(at float64) {
		for len(present) > 0 {
			rate := math.Min(1, float64(c)/float64(len(present)))
			first := present[0]
			leaves := now + (first.virtual-virtual)/rate
			if leaves > at {
				virtual += (at - now) * rate
				now = at
				return
			}
			now, virtual = leaves, first.virtual
			departures[first.job] = began + dsv.Instant(math.Ceil(leaves-slack))
			heap.Pop(&present)
		}
	}
	for i, j := range jobs {
		until(float64(j.Arrival - began))
		if len(present) == 0 {
			began, now, virtual = j.Arrival, 0, 0
		}
		heap.Push(&present, finish{virtual: virtual + float64(j.Demand), job: i})
	}
	until(math.Inf(1))
	return departures
}

// slack is what sums of floating point may be off by within a busy period, in ns; so much too late is not rounded up.
const slack = 1e-3

func check(c int, jobs []Job) {
	if c < 1 {
		panic(fmt.Sprintf("exact path: %d servers", c))
	}
	for i := 1; i < len(jobs); i++ {
		if jobs[i].Arrival < jobs[i-1].Arrival {
			panic(fmt.Sprintf("exact path: job %d arrives before the one in front of it", i))
		}
	}
}

// instants is a heap: the earliest first.
type instants []dsv.Instant

func (h instants) Len() int           { return len(h) }
func (h instants) Less(i, j int) bool { return h[i] < h[j] }
func (h instants) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *instants) Push(x any)        { *h = append(*h, x.(dsv.Instant)) }

func (h *instants) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}

// finishes is a heap of the jobs present: who departs first in virtual time, then who came first.
type finishes []finish

type finish struct {
	virtual float64
	job     int
}

func (h finishes) Len() int { return len(h) }
func (h finishes) Less(i, j int) bool {
	return h[i].virtual < h[j].virtual || h[i].virtual == h[j].virtual && h[i].job < h[j].job
}
func (h finishes) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *finishes) Push(x any)   { *h = append(*h, x.(finish)) }

func (h *finishes) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}
