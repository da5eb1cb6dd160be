package exact

import (
	"container/heap"
	"fmt"
	"math"

	"github.com/eve-emulation/eve/dsv"
)

// A Round is one request of a user of a closed population.
type Round struct {
	User               int
	N                  uint64 // of the user, from 0
	Arrival, Departure dsv.Instant
}

// ClosedFCFS returns what the users of a closed population do at a station of c servers with one line, first come first served, in order of
// arrival: each user thinks from start on, asks, waits for its departure, thinks and asks again, until an arrival would come at or after end.
// think and demand tell, in ns, how long a user thinks before its n-th request and what that demands. It is the recursion of FCFS, with the
// arrivals that follow from it; users who arrive in one nanosecond are served in the order of their numbers. The result is exact to the
// nanosecond.
//
// It panics for c or users below 1. A user who neither thinks nor demands anything asks for ever at one instant, and has no end.
func ClosedFCFS(c, users int, start, end dsv.Instant, think, demand func(user int, n uint64) int64) []Round {
	if c < 1 || users < 1 {
		panic(fmt.Sprintf("exact path: %d servers, %d users", c, users))
	}
	free := make(instants, c)
	for i := range free {
		free[i] = math.MinInt64
	}
	var coming rounds
	comes := func(user int, n uint64, from dsv.Instant) {
		if at := from + dsv.Instant(think(user, n)); at < end {
			heap.Push(&coming, Round{User: user, N: n, Arrival: at})
		}
	}
	for u := range users {
		comes(u, 0, start)
	}
	var all []Round
	for len(coming) > 0 { // nobody who comes later can come before: departures are never before arrivals
		r := heap.Pop(&coming).(Round)
		free[0] = max(free[0], r.Arrival) + dsv.Instant(demand(r.User, r.N))
		r.Departure = free[0]
		heap.Fix(&free, 0)
		all = append(all, r)
		comes(r.User, r.N+1, r.Departure)
	}
	return all
}

// rounds is a heap of those who will come: the earliest first, then the user with the smallest number.
type rounds []Round

func (h rounds) Len() int { return len(h) }
func (h rounds) Less(i, j int) bool {
	return h[i].Arrival < h[j].Arrival || h[i].Arrival == h[j].Arrival && h[i].User < h[j].User
}
func (h rounds) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *rounds) Push(x any)   { *h = append(*h, x.(Round)) }

func (h *rounds) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}
