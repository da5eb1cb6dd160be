package exact

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/eve-emulation/eve/dsv"
)

// Loss returns the departures from a station of c servers with one line, first come first served, at which no more than most jobs may be,
// waiting or in service: who finds so many is refused, and departs as it came. With most = c it is Erlang's loss system. Who departs in the
// nanosecond in which another arrives has left. The result is exact to the nanosecond.
//
// Jobs must be in order of arrival: Loss panics otherwise, for c below 1, and for most below c.
func Loss(c, most int, jobs []Job) (departures []dsv.Instant, refused []bool) {
	check(c, jobs)
	if most < c {
		panic("exact path: fewer places than servers")
	}
	var present instants // when those who are there will have left
	departures, refused = make([]dsv.Instant, len(jobs)), make([]bool, len(jobs))
	free := make(instants, c)
	for i := range free {
		free[i] = -1 << 63
	}
	for i, j := range jobs {
		for len(present) > 0 && present[0] <= j.Arrival {
			heap.Pop(&present)
		}
		if len(present) >= most {
			departures[i], refused[i] = j.Arrival, true
			continue
		}
		free[0] = max(free[0], j.Arrival) + dsv.Instant(j.Demand)
		departures[i] = free[0]
		heap.Fix(&free, 0)
		heap.Push(&present, departures[i])
	}
	return departures, refused
}

func sortRounds(all []Round) {
	slices.SortFunc(all, func(a, b Round) int { return cmp.Or(cmp.Compare(a.Arrival, b.Arrival), cmp.Compare(a.User, b.User)) })
}
