package exact

import (
	"fmt"

	"github.com/eve-emulation/eve/dsv"
)

// Shortest returns the departures from n single servers, each first come first served, where each job joins the line of fewest jobs among
// those that pick appends to an empty list, the first of them where several are: the supermarket model (Mitzenmacher, "The Power of Two
// Choices in Randomized Load Balancing", 1996) for d servers drawn at random, the shortest line for all of them. A line is what has arrived
// and not departed, the job in service included; one that departs in the nanosecond of an arrival has left before. Exact to the nanosecond.
//
// Jobs must be in order of arrival: Shortest panics otherwise, for n below 1, and for a pick of no server, or of none of the n.
func Shortest(n int, jobs []Job, pick func(job int, list []int) []int) []dsv.Instant {
	check(n, jobs)
	lines := make([][]dsv.Instant, n) // departures of the jobs that are there, in order
	departures := make([]dsv.Instant, len(jobs))
	var list []int
	for i, j := range jobs {
		if list = pick(i, list[:0]); len(list) == 0 {
			panic(fmt.Sprintf("exact path: job %d may go nowhere", i))
		}
		best := -1
		for _, s := range list {
			for len(lines[s]) > 0 && lines[s][0] <= j.Arrival {
				lines[s] = lines[s][1:]
			}
			if best < 0 || len(lines[s]) < len(lines[best]) {
				best = s
			}
		}
		free := j.Arrival
		if k := len(lines[best]); k > 0 {
			free = lines[best][k-1]
		}
		departures[i] = free + dsv.Instant(j.Demand)
		lines[best] = append(lines[best], departures[i])
	}
	return departures
}
