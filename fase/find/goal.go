package find

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/stat"
)

// A Goal is a precision to be reached: the interval of a metric is narrow enough. Unlike in a search, a quantile here is that
// of the times that all requests took, failed or not, as tables show it.
type Goal struct {
	Limit    Limit   // Bound 0: there is none, only the interval counts
	Relative float64 // half of the interval's width, as a share of the value
}

// String writes the goal as it is parsed.
func (g Goal) String() string {
	text := g.Limit.Name()
	if g.Limit.Bound > 0 {
		text = g.Limit.String()
	}
	return text + " ± " + strconv.FormatFloat(g.Relative*100, 'g', 4, 64) + "%"
}

// ParseGoal reads a goal: "p99 ± 5%", or "p99 < 5ms ± 5%", which also asks whether the limit holds. +- stands for ±.
func ParseGoal(text string) (Goal, error) {
	metric, relative, ok := strings.Cut(strings.ReplaceAll(text, "+-", "±"), "±")
	var g Goal
	if !ok {
		return g, fmt.Errorf("%q: want a precision as 'p99 ± 5%%' or 'p99 < 5ms ± 5%%'", text)
	}
	var err error
	if strings.Contains(metric, "<") {
		g.Limit, err = parseLimit(metric)
	} else {
		g.Limit, err = parseMetric(metric)
	}
	if err == nil && g.Limit.Of != "" {
		err = fmt.Errorf("%q: want the metric alone, as p99", strings.TrimSpace(metric))
	}
	if err == nil {
		g.Relative, err = parseShare(strings.TrimSpace(relative))
	}
	return g, err
}

// A Meter says when a goal is reached. It is looked at when what it has is a fifth longer than at the last look; stopping as
// soon as an interval is narrow keeps its confidence when it is (Chow and Robbins, "On the Asymptotic Theory of
// Fixed-Width Sequential Confidence Intervals", Annals of Mathematical Statistics 36, 1965). It belongs to one goroutine.
type Meter struct {
	goal   Goal
	series *Series
	from   dsv.Instant
	next   dsv.Instant
	last   stat.Estimate
}

// goalConfidence is that of the interval.
const goalConfidence = 0.95

// firstGoal is when a meter is first looked at.
const firstGoal = dsv.Instant(2e9)

// NewMeter returns a meter of what ends from an instant on.
func NewMeter(g Goal, from dsv.Instant) *Meter {
	return &Meter{goal: g, series: NewSeries(from), from: from, next: from + firstGoal, last: noEstimate()}
}

func noEstimate() stat.Estimate {
	return stat.Estimate{Value: math.NaN(), Low: math.Inf(-1), High: math.Inf(1), Confidence: goalConfidence}
}

// Add takes in a request that ended at an instant, which do not fall.
func (m *Meter) Add(done dsv.Instant, seconds float64, failed bool) {
	m.series.Add(done, seconds, failed)
}

// Look reports whether the goal is reached, when a look is due.
func (m *Meter) Look(at dsv.Instant) bool {
	if at < m.next {
		return false
	}
	m.series.To(at)
	m.last = m.series.estimate(m.goal.Limit)
	m.next = at + (at-m.from)/5
	return m.Reached()
}

// Settle looks once more, at the end.
func (m *Meter) Settle(at dsv.Instant) {
	m.series.To(at)
	m.last = m.series.estimate(m.goal.Limit)
}

// Reached reports whether the interval of the last look is narrow enough.
func (m *Meter) Reached() bool { return m.last.Half() <= m.goal.Relative*m.last.Value }

// Estimate is the interval of the last look: NaN and infinite where there was too little.
func (m *Meter) Estimate() stat.Estimate { return m.last }

// Verdict says whether the limit holds; Inconclusive while the interval has it inside, and without a limit.
func (m *Meter) Verdict() Verdict {
	switch b := m.goal.Limit.Bound; {
	case b > 0 && m.last.High < b:
		return Pass
	case b > 0 && m.last.Low > b:
		return Fail
	}
	return Inconclusive
}

// estimate is a metric with its interval at 95 %.
func (s *Series) estimate(l Limit) stat.Estimate {
	e := noEstimate()
	bs := s.settled()
	n, failed := s.Count()
	e.N, e.Batches = int(n), len(bs)
	if len(bs) < 2*fewest || n == 0 {
		return e
	}
	z := student(normal((1-goalConfidence)/2), float64(len(bs)-1))
	switch l.Metric {
	case Mean:
		v := Evidence{Limit: l}
		s.judgeMean(&v, bs, float64(n), (1-goalConfidence)/2, (1-goalConfidence)/2)
		e.Value, e.Low, e.High = v.Share, v.Low, v.High
	case Errors:
		e.Value = float64(failed) / float64(n)
		e.Low, e.High = wilson(e.Value, float64(n)/inflation(bs, math.Inf(1), above), z)
	default:
		e.Value = s.Felt(l.Q)
		cut := len(s.done) - len(bs)
		felt := func(i int, _ batch, bound float64) int64 {
			return int64(bs[i].hist.CountAbove(bound) + s.bad[cut+i].CountAbove(bound))
		}
		// The interval of the share above the value, carried to the quantile (Woodruff, "Confidence Intervals for Medians
		// and Other Position Measures", JASA 47, 1952).
		low, high := wilson(1-l.Q, float64(n)/inflation(bs, e.Value, felt), z)
		e.Low, e.High = s.Felt(1-high), s.Felt(1-low)
		if float64(n)*(1-l.Q) < enough {
			e.Low, e.High = math.Inf(-1), math.Inf(1)
		}
	}
	return e
}
