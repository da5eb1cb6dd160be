package find

import (
	"math"

	"github.com/eve-emulation/eve/dsv"
)

// Batches are merged in pairs when there are this many, so that there are from half of it on.
const mostBatches = 64

// A batch is what ended within one stretch of time.
type batch struct {
	n, failed int64
	sum       float64 // of the times of all, seconds
	hist      *dsv.Hist
}

// A Series holds what was measured in batches of equal length, whose number stays between 32 and 64 however long it gets:
// when there are 64 each two become one. So the length of a batch grows with the run, and soon exceeds the time over which
// the responses of a queue are correlated (batch means: Law, Simulation Modeling and Analysis, section 9.5.3).
// The first tenth is left out of all results: a system that starts empty, or full, settles in it.
// A Series belongs to one goroutine; its memory is bounded.
type Series struct {
	width dsv.Instant // of a batch
	done  []batch
	from  dsv.Instant // when the series began
	now   batch
	open  dsv.Counts // of now
	fails dsv.Counts // times of failed requests of now
	bad   []*dsv.Hist
}

// firstWidth is the length of a batch in the beginning.
const firstWidth = dsv.Instant(10e6)

// NewSeries returns a series that begins at an instant.
func NewSeries(from dsv.Instant) *Series { return &Series{width: firstWidth, from: from} }

// Add takes in a request that ended at an instant, at or after those before. A request that ended before the beginning is
// ignored.
func (s *Series) Add(done dsv.Instant, seconds float64, failed bool) {
	if done < s.from {
		return
	}
	s.To(done)
	s.now.n++
	s.now.sum += seconds
	if failed {
		s.now.failed++
		s.fails.Add(seconds)
		return
	}
	s.open.Add(seconds)
}

// To tells that time has passed: batches that are over by then are closed, empty ones as well.
func (s *Series) To(at dsv.Instant) {
	for s.from+dsv.Instant(len(s.done)+1)*s.width <= at {
		s.now.hist = s.open.Take()
		s.done, s.bad = append(s.done, s.now), append(s.bad, s.fails.Take())
		s.now = batch{}
		if len(s.done) == mostBatches {
			s.pair()
		}
	}
}

func (s *Series) pair() {
	for i := range mostBatches / 2 {
		a, b := s.done[2*i], s.done[2*i+1]
		s.done[i] = batch{n: a.n + b.n, failed: a.failed + b.failed, sum: a.sum + b.sum, hist: dsv.MergeHists(a.hist, b.hist)}
		s.bad[i] = dsv.MergeHists(s.bad[2*i], s.bad[2*i+1])
	}
	s.done, s.bad = s.done[:mostBatches/2], s.bad[:mostBatches/2]
	s.width *= 2
}

// settled are the batches after the first tenth.
func (s *Series) settled() []batch {
	return s.done[(len(s.done)+9)/10:]
}

// Seconds is the length of what results rest on, without the first tenth.
func (s *Series) Seconds() float64 {
	return float64(len(s.settled())) * s.width.Seconds()
}

// Count is the number of requests that results rest on.
func (s *Series) Count() (n, failed int64) {
	for _, b := range s.settled() {
		n, failed = n+b.n, failed+b.failed
	}
	return n, failed
}

// hists are the batches' histograms, of those that did not fail or of all.
func (s *Series) hists(all bool) []*dsv.Hist {
	cut := (len(s.done) + 9) / 10
	hs := make([]*dsv.Hist, 0, 2*len(s.done))
	for i := cut; i < len(s.done); i++ {
		hs = append(hs, s.done[i].hist)
		if all {
			hs = append(hs, s.bad[i])
		}
	}
	return hs
}

// Quantile is the q quantile of response times in seconds, failed requests above all others: +Inf where they are too many.
// NaN without samples.
func (s *Series) Quantile(q float64) float64 {
	n, failed := s.Count()
	if n == 0 {
		return math.NaN()
	}
	if q*float64(n) > float64(n-failed) {
		return math.Inf(1)
	}
	return dsv.MergeHists(s.hists(false)...).Quantile(q * float64(n) / float64(n-failed))
}

// Felt is the q quantile of the times that all requests took, failed or not, as tables and pictures show it.
func (s *Series) Felt(q float64) float64 { return dsv.MergeHists(s.hists(true)...).Quantile(q) }

// Mean is the mean of the times that all requests took; NaN without any.
func (s *Series) Mean() float64 {
	sum, n := 0.0, int64(0)
	for _, b := range s.settled() {
		sum, n = sum+b.sum, n+b.n
	}
	return sum / float64(n)
}
