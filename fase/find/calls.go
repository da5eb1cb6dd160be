package find

import (
	"cmp"
	"slices"

	"github.com/eve-emulation/eve/dsv"
)

// Calls hands the calls of a service that ended after from to add, with when they ended and how long they took, in seconds, window by
// window of its synchronised latency. Which of them failed is not known: those that were answered fastest are taken for it, so that none
// is missed above a bound.
func Calls(deltas []dsv.Delta, service string, from dsv.Instant, add func(at dsv.Instant, latency float64, failed bool)) {
	failed := map[dsv.Instant]int64{}
	var windows []*dsv.Delta
	for i := range deltas {
		switch d := &deltas[i]; {
		case d.T1 <= from:
		case d.Name == dsv.Name(service+".errors"):
			failed[d.T1] += d.Value.Int
		case d.Name == dsv.Name(service+".latency"):
			windows = append(windows, d)
		}
	}
	slices.SortStableFunc(windows, func(a, b *dsv.Delta) int { return cmp.Compare(a.T1, b.T1) })
	for _, d := range windows {
		d.Value.Hist.Buckets(func(b int, n uint64) bool {
			for range n {
				add(d.T1-1, dsv.BucketMid(b), failed[d.T1] > 0)
				failed[d.T1]--
			}
			return true
		})
	}
}
