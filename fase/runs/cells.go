package runs

import (
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
)

// cells are the response times of a group in their order, cut into pieces: by requests in the order in which they were due
// where each was recorded, else by the time at which they ended.
type cells struct {
	begin        []dsv.Instant // of each, ascending
	sums, counts []float64     // s, requests
	over         func(i int, x float64) float64
}

// maxCells bounds them: enough for the autocorrelation time of 20 batches.
const maxCells = 4000

// recorded cuts requests into cells; they are in the order in which they were due.
func recorded(rs []user.Record) cells {
	each := max(1, (len(rs)+maxCells-1)/maxCells)
	var c cells
	for part := range slices.Chunk(rs, each) {
		sum := 0.0
		for _, r := range part {
			sum += r.Done.Sub(r.Due).Seconds()
		}
		c.begin, c.sums, c.counts = append(c.begin, part[0].Due), append(c.sums, sum), append(c.counts, float64(len(part)))
	}
	c.over = func(i int, x float64) float64 {
		n := 0.0
		for _, r := range rs[i*each : min((i+1)*each, len(rs))] {
			if r.Done.Sub(r.Due).Seconds() > x {
				n++
			}
		}
		return n
	}
	return c
}

// windowed cuts the time in (from, to] into cells of one length, and sorts what windows of measurement tell into them.
func windowed(ds []dsv.Delta, from, to dsv.Instant) cells {
	const period = dsv.Instant(100e6)
	width := period
	if most := (to - from) / maxCells; most > width {
		width = (most + period - 1) / period * period
	}
	n := max(0, int((to-from+width-1)/width))
	c := cells{begin: make([]dsv.Instant, n), sums: make([]float64, n), counts: make([]float64, n)}
	for i := range n {
		c.begin[i] = from + dsv.Instant(i)*width
	}
	hists := make([][]*dsv.Hist, n)
	for _, d := range ds {
		if d.T1 <= from || d.T1 > to || d.Value.Hist.Count() == 0 {
			continue
		}
		i := int((d.T1 - from - 1) / width)
		c.sums[i] += d.Value.Hist.Sum()
		c.counts[i] += float64(d.Value.Hist.Count())
		hists[i] = append(hists[i], d.Value.Hist)
	}
	c.over = func(i int, x float64) float64 {
		n := uint64(0)
		for _, h := range hists[i] {
			n += h.CountAbove(x)
		}
		return float64(n)
	}
	return c
}

// means are those of the cells that have a sample, and when each of these began.
func (c cells) means() (ms []float64, begin []dsv.Instant) {
	for i, n := range c.counts {
		if n > 0 {
			ms, begin = append(ms, c.sums[i]/n), append(begin, c.begin[i])
		}
	}
	return ms, begin
}

// confidence is that of every interval in a summary.
const confidence = 0.95

// mean is the mean response with its interval.
func (c cells) mean() stat.Interval { return stat.SteadyRatio(c.sums, c.counts, confidence) }

// quantile is a quantile of the response with its interval; h has all samples.
func (c cells) quantile(q float64, h *dsv.Hist) stat.Interval {
	x, above := h.Quantile(q), make([]float64, len(c.counts))
	for i := range above {
		above[i] = c.over(i, x)
	}
	return stat.SteadyQuantile(q, h.Quantile, above, c.counts, confidence)
}

// transient returns until when a series is a transient, by MSER-5, and whether it settles within half of its length; NaN
// where there are too few samples to tell.
func (c cells) transient() (until float64, settles bool) {
	ms, begin := c.means()
	const least = 50
	if len(ms) < least {
		return math.NaN(), true
	}
	cut, err := stat.MSER5(ms)
	if cut == 0 {
		return 0, true
	}
	return begin[min(cut, len(begin)-1)].Seconds(), err == nil
}

// drifts says whether the means do not stay at one level.
func (c cells) drifts() bool {
	ms, _ := c.means()
	return stat.Stationary(ms).Verdict == stat.Fail
}
