package exact

import (
	"container/heap"
	"fmt"
	"math"

	"github.com/eve-emulation/eve/dsv"
)

// A Visit is what a job does next: at which station, and what it demands there in ns.
type Visit struct {
	Station int
	Demand  int64
}

// Network returns when jobs leave a network of stations, of which the i-th has servers[i] servers with one line, first come first served.
// arrivals are when the jobs come, in order; visit tells the k-th visit of a job, from 0, and false when it leaves. A job goes on in the
// instant in which it has departed, behind who came to its next station before; of those who come there in one nanosecond whoever
// departed first goes first. The result is exact to the nanosecond.
//
// It panics for arrivals out of order and for stations without servers.
func Network(servers []int, arrivals []dsv.Instant, visit func(job, k int) (Visit, bool)) []dsv.Instant {
	n := newNetwork(servers)
	out := make([]dsv.Instant, len(arrivals))
	next := 0
	for next < len(arrivals) || len(n.moves) > 0 {
		// Who comes from outside goes before who departs in the same nanosecond: it was due there before.
		if next < len(arrivals) && (len(n.moves) == 0 || arrivals[next] <= n.moves[0].at) {
			if next > 0 && arrivals[next] < arrivals[next-1] {
				panic(fmt.Sprintf("exact path: job %d arrives before the one before it", next))
			}
			n.move(arrivals[next], next, 0)
			next++
			continue
		}
		m := heap.Pop(&n.moves).(move)
		if v, ok := visit(m.job, m.k); ok {
			n.move(n.serve(m.at, v), m.job, m.k+1)
		} else {
			out[m.job] = m.at
		}
	}
	return out
}

// ClosedNetwork returns what the users of a closed population do in such a network: each thinks from start on, makes its visits, thinks and
// comes again, until it would at or after end. think and visit tell how long a user thinks before its n-th round, in ns, and the round's
// k-th visit. Rounds are in order of arrival.
func ClosedNetwork(servers []int, users int, start, end dsv.Instant, think func(user int, n uint64) int64, visit func(user int, n uint64, k int) (Visit, bool)) []Round {
	if users < 1 {
		panic(fmt.Sprintf("exact path: %d users", users))
	}
	net := newNetwork(servers)
	var all, began []Round // began: the present round of each user
	comes := func(u int, n uint64, from dsv.Instant) {
		if at := from + dsv.Instant(think(u, n)); at < end {
			began[u] = Round{User: u, N: n, Arrival: at, Departure: dsv.Instant(len(all))} // until it departs: its place
			all = append(all, Round{})
			net.move(at, u, 0)
		}
	}
	began = make([]Round, users)
	for u := range users {
		comes(u, 0, start)
	}
	for len(net.moves) > 0 {
		m := heap.Pop(&net.moves).(move)
		r := &began[m.job]
		if v, ok := visit(r.User, r.N, m.k); ok {
			net.move(net.serve(m.at, v), m.job, m.k+1)
			continue
		}
		place := r.Departure
		r.Departure = m.at
		all[place] = *r
		comes(r.User, r.N+1, m.at)
	}
	sortRounds(all)
	return all
}

// network is stations, and who comes to the next one when.
type network struct {
	free  []instants // of each station: when its servers are free
	moves moves
	seq   uint64
}

func newNetwork(servers []int) *network {
	n := &network{free: make([]instants, len(servers))}
	for i, c := range servers {
		if c < 1 {
			panic(fmt.Sprintf("exact path: station %d has %d servers", i, c))
		}
		n.free[i] = make(instants, c)
		for k := range n.free[i] {
			n.free[i][k] = math.MinInt64
		}
	}
	return n
}

// serve is when one who comes at an instant departs.
func (n *network) serve(at dsv.Instant, v Visit) dsv.Instant {
	free := n.free[v.Station]
	free[0] = max(free[0], at) + dsv.Instant(v.Demand)
	departs := free[0]
	heap.Fix(&free, 0)
	return departs
}

func (n *network) move(at dsv.Instant, job, k int) {
	n.seq++
	heap.Push(&n.moves, move{at, n.seq, job, k})
}

// move is a job that comes to its k-th visit.
type move struct {
	at     dsv.Instant
	seq    uint64
	job, k int
}

// moves is a heap: the earliest first, then who departed first.
type moves []move

func (h moves) Len() int { return len(h) }
func (h moves) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h moves) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *moves) Push(x any)   { *h = append(*h, x.(move)) }

func (h *moves) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}
