package stat

import "math"

// A Sequential test decides whether the mean of a stationary, possibly correlated stream is below a limit, and stops as
// soon as it can tell: Pass when the interval of batch means lies below the limit, Fail when it lies above, else
// Inconclusive: go on. "p99 < 50ms" is the claim that the share of requests beyond 50 ms is below 1 %: sum counts those
// beyond, count all, and Limit is 0.01.
//
// Looking often makes any fixed interval err in the end, so there are at most Looks looks, each once the stream is half
// as long again as at the one before, and each at confidence 1-(1-Confidence)/Looks: all of them together err with at most
// 1-Confidence (Bonferroni; as a group sequential test: Jennison and Turnbull, Group Sequential Methods, 1999, chapter 2).
//
// Add keeps cells of equal length; when there are too many, neighbours are joined, so it neither grows nor allocates after its
// first call. It belongs to one goroutine.
type Sequential struct {
	Limit      float64
	Confidence float64 // of the verdict; 0: 0.95
	Looks      int     // 0: 12, enough for a stream a hundred times as long as at the first
	Share      bool    // what is judged is a share of samples: its variance is at least that of independent ones
	MinCells   int     // before the first look; 0: 40

	sums, counts []float64
	each, held   int     // calls of Add in a cell; in the open one
	sum, count   float64 // of the open cell
	added        int
	next, looks  int
	last         Interval
	verdict      Verdict
}

// maxSequential is how many cells a test keeps.
const maxSequential = 800

// Add takes a window of the stream: count samples that add up to sum. Windows are of equal length; empty ones count too.
func (s *Sequential) Add(sum, count float64) {
	if s.sums == nil {
		s.sums, s.counts = make([]float64, 0, maxSequential), make([]float64, 0, maxSequential)
		s.each, s.next, s.verdict = 1, orDefault(s.MinCells, 2*Batches), Inconclusive
		s.last = Interval{Estimate: Estimate{Value: math.NaN(), Low: math.Inf(-1), High: math.Inf(1)}, TooFew: true}
	}
	s.added++
	s.sum, s.count, s.held = s.sum+sum, s.count+count, s.held+1
	if s.held < s.each {
		return
	}
	s.sums, s.counts = append(s.sums, s.sum), append(s.counts, s.count)
	s.sum, s.count, s.held = 0, 0, 0
	if len(s.sums) == maxSequential {
		s.fold()
	}
}

// fold joins neighbouring cells.
func (s *Sequential) fold() {
	half := len(s.sums) / 2
	for i := range half {
		s.sums[i] = s.sums[2*i] + s.sums[2*i+1]
		s.counts[i] = s.counts[2*i] + s.counts[2*i+1]
	}
	s.sums, s.counts, s.each = s.sums[:half], s.counts[:half], 2*s.each
}

// Verdict judges what came so far, if a look is due, and returns the verdict and the interval of the last look. A verdict
// other than Inconclusive stays.
func (s *Sequential) Verdict() (Verdict, Interval) {
	if s.sums == nil {
		return Inconclusive, Interval{Estimate: Estimate{Value: math.NaN(), Low: math.Inf(-1), High: math.Inf(1)}, TooFew: true}
	}
	if s.verdict != Inconclusive || s.added < s.next || s.Exhausted() {
		return s.verdict, s.last
	}
	s.looks++
	s.next = s.added + max(s.added/2, 1)
	confidence := s.Confidence
	if confidence == 0 {
		confidence = 0.95
	}
	s.last = s.interval(1 - (1-confidence)/float64(orDefault(s.Looks, sequentialLooks)))
	if s.last.Trusted() {
		switch {
		case s.last.High < s.Limit:
			s.verdict = Pass
		case s.last.Low > s.Limit:
			s.verdict = Fail
		}
	}
	return s.verdict, s.last
}

const sequentialLooks = 12

// interval is that of the stream so far. The variance of a share is not only measured: few samples beyond the limit go with
// a small measured variance, so what correlation multiplies that of independent samples by is applied to the share that is
// claimed as well, and the greater one counts (the design effect: Kish, Survey Sampling, 1965; Rao and Scott, Annals of
// Statistics 12, 1984). So no request beyond the limit does not mean that there is none.
func (s *Sequential) interval(confidence float64) Interval {
	i := steadyRatio(s.sums, s.counts, confidence, 0)
	if !s.Share || i.Batches == 0 {
		return i
	}
	t := student(i.Batches-1, confidence)
	n, p := float64(i.N), i.Value
	effect := 1.0
	if independent := p * (1 - p) / n; independent > 0 {
		effect = math.Max(1, math.Pow(i.Half()/t, 2)/independent)
	}
	half := math.Max(i.Half(), t*math.Sqrt(effect*s.Limit*(1-s.Limit)/n))
	i.Low, i.High = p-half, p+half
	i.TooFew = i.TooFew || n*math.Min(s.Limit, 1-s.Limit) < minBeyond*effect
	return i
}

// minBeyond is how many independent samples beyond the limit are expected before a share is judged.
const minBeyond = 10

// Exhausted reports that all looks were taken: the stream is too near the limit to tell.
func (s *Sequential) Exhausted() bool { return s.looks >= orDefault(s.Looks, sequentialLooks) }

func orDefault(x, otherwise int) int {
	if x == 0 {
		return otherwise
	}
	return x
}
