package find

import "math"

// An Evidence is what a probe knows of one limit.
type Evidence struct {
	Limit Limit
	// Share of requests above the bound of a quantile, or that failed; with Mean, the mean in seconds.
	Share, Low, High float64
	// Allowed is what Share must stay below.
	Allowed float64
	Value   float64 // the metric itself: quantile or mean in seconds, share of errors
	// Effective is how many independent requests tell as much: the requests by the time over which they are correlated.
	Effective float64
	Verdict   Verdict
}

// thresholds is at how many times, each half of the one above, the correlation of a series is looked at.
const thresholds = 8

// inflation is by how much the correlation of responses inflates the variance of a share: that of the batches' shares
// above a bound, by that of independent requests. What is above the bound comes in few clumps, of which a short run may
// have seen none, and batches without any have no variance; so bounds below it are looked at as well, which many more
// requests exceed, and the largest inflation counts. (In M/M/1 the clumps above any level are alike: each is a busy
// period.) Batches of twice and four times the length are looked at too, as those of one may be shorter than the
// correlation.
func inflation(bs []batch, bound float64, above func(i int, b batch, bound float64) int64) float64 {
	n := 0.0
	for _, b := range bs {
		n += float64(b.n)
	}
	worst := 1.0
	over := make([]float64, len(bs))
	for range thresholds {
		sum := 0.0
		for i, b := range bs {
			over[i] = float64(above(i, b, bound))
			sum += over[i]
		}
		p := sum / n
		bound /= 2
		if sum < 2*enough || p > 0.9 {
			continue
		}
		for join := 1; len(bs)/join >= fewest; join *= 2 {
			v := ratioVariance(bs, over, p, n, join)
			worst = math.Max(worst, v*n/(p*(1-p)))
		}
	}
	return worst
}

const (
	enough = 10 // requests above a bound, before their clumps can be seen
	fewest = 8  // batches of which a variance is taken
)

// above is how many requests of a batch exceeded a bound, or failed.
func above(_ int, b batch, bound float64) int64 { return int64(b.hist.CountAbove(bound)) + b.failed }

// ratioVariance is the variance of sum(xs)/n as an estimate of p, by batches joined so many at a time.
func ratioVariance(bs []batch, xs []float64, p, n float64, join int) float64 {
	k, sum := 0, 0.0
	for i := len(bs) % join; i+join <= len(bs); i += join {
		r := 0.0
		for j := i; j < i+join; j++ {
			r += xs[j] - p*float64(bs[j].n)
		}
		sum += r * r
		k++
	}
	return sum * float64(k) / float64(k-1) / (n * n)
}

// wilson is the interval of a share of n independent requests (Wilson, "Probable Inference, the Law of Succession, and
// Statistical Inference", JASA 22, 1927): it is not empty where none was seen. n need not be whole.
func wilson(p, n, z float64) (low, high float64) {
	d := 1 + z*z/n
	mid := (p + z*z/(2*n)) / d
	half := z / d * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return mid - half, mid + half
}

// normal is the quantile of the standard normal distribution that a share alpha exceeds.
func normal(alpha float64) float64 { return math.Sqrt2 * math.Erfinv(1-2*alpha) }

// student corrects a quantile z of the normal distribution for a variance that was estimated with so many degrees of
// freedom (Cornish and Fisher's expansion: Abramowitz and Stegun, 26.7.5).
func student(z, freedom float64) float64 {
	z2 := z * z
	return z + z*(z2+1)/(4*freedom) + z*(5*z2*z2+16*z2+3)/(96*freedom*freedom)
}

// judge says what a series knows of a limit, with one-sided errors of at most pass and fail. waiting are requests that
// have not ended and are above the bound already.
func (s *Series) judge(l Limit, waiting int64, pass, fail float64) Evidence {
	bs := s.settled()
	n, failed := s.Count()
	e := Evidence{Limit: l, Low: math.Inf(-1), High: math.Inf(1), Verdict: Inconclusive, Share: math.NaN(), Value: math.NaN()}
	if l.Metric == Mean {
		e.Allowed = l.Bound
	} else {
		e.Allowed = l.Bound
		if l.Metric == Quantile {
			e.Allowed = 1 - l.Q
		}
	}
	if len(bs) < 2*fewest || n+waiting == 0 {
		return e
	}
	if l.Metric == Mean {
		if n == 0 {
			return e
		}
		s.judgeMean(&e, bs, float64(n), pass, fail)
		return e.decide()
	}
	bound, over := l.Bound, failed
	e.Value = float64(failed) / float64(max(n, 1))
	if l.Metric == Quantile {
		over = 0
		for i, b := range bs {
			over += above(i, b, bound)
		}
		if e.Value = s.Quantile(l.Q); n == 0 {
			e.Value = math.Inf(1)
		}
	} else {
		bound = math.Inf(1)
	}
	// What still waits would have ended late: it is above the bound whatever comes.
	all := float64(n + waiting)
	e.Share = float64(over+waiting) / all
	worst := inflation(bs, bound, above)
	e.Effective = all / worst
	freedom := float64(len(bs) - 1)
	e.Low, _ = wilson(e.Share, e.Effective, student(normal(fail), freedom))
	_, e.High = wilson(e.Share, e.Effective, student(normal(pass), freedom))
	return e.decide()
}

func (s *Series) judgeMean(e *Evidence, bs []batch, n, pass, fail float64) {
	xs := make([]float64, len(bs))
	for i, b := range bs {
		xs[i] = b.sum
	}
	e.Share = s.Mean()
	e.Value = e.Share
	worst, freedom := 0.0, 0.0
	for join := 1; len(bs)/join >= fewest; join *= 2 {
		if v := ratioVariance(bs, xs, e.Share, n, join); v >= worst {
			worst, freedom = v, float64(len(bs)/join-1)
		}
	}
	sd := math.Sqrt(worst)
	e.Low = e.Share - student(normal(fail), freedom)*sd
	e.High = e.Share + student(normal(pass), freedom)*sd
	e.Effective = float64(len(bs))
}

func (e Evidence) decide() Evidence {
	switch {
	case e.High < e.Allowed:
		e.Verdict = Pass
	case e.Low > e.Allowed:
		e.Verdict = Fail
	}
	return e
}
