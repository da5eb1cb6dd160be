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
