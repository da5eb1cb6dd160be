package bench

// ReadWrk reads what wrk prints: requests, errors, seconds, p50 and p99 in s.
func ReadWrk(out string) (requests, errors int64, seconds, p50, p99 float64, err error) {
	f, err := readWrk(out)
	return f.Requests, f.Errors, f.Seconds, f.P50, f.P99, err
}

// Lateness is how late arrivals are behind a plan of equal gaps, of all or of each connection.
func Lateness(at []int64, over []int32, rate float64, each bool) (p50, p99 float64) {
	s := seenArrivals{At: at, Over: over}
	return s.lateness(rate, each)
}

// Stalled is a quantile of responses of a server that stands still for a part of a run, by its closed form, in s.
var Stalled = stalled

// Rounds are rounds of Eve's clients: how late each was in s, whether it was the limit, and whether the machine was quiet. late is the
// claim that they were at most the bound late, within that they were never the limit.
func Rounds(late []float64, limited, quiet []bool, bound float64) (lateness, within Shape) {
	c := runner{lag50: late, rate: late, quiet: quiet}
	for i := range limited {
		if limited[i] {
			c.limited++
			if quiet[i] {
				c.limitedQuiet++
			}
		}
	}
	return c.late("late", late, bound), c.within("limited")
}
