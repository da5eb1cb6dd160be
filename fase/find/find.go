// Package find searches the highest load that a condition on what users feel allows, and says when a run has been
// measured precisely enough. It reads no clock and knows no sockets: a driver runs the load, for real or in virtual time,
// and feeds what came of it.
//
// The nouns:
//
//   - A [Limit] is a condition on what users feel, such as p99 < 20ms.
//   - A [Series] is what was measured, in batches of equal length, so that intervals respect that the responses of a
//     queue are correlated.
//   - A [Test] is one probe: a sequential test of limits, which stops as soon as an interval excludes a limit.
//   - A [Search] says which load to try next: exponential, then bisection, then a longer run that confirms.
//   - A [Goal] is a precision to be reached, such as p99 ± 5%.
//
// A run of a search is
//
//	s, err := find.NewSearch(cfg)
//	for probe, more := s.Next(); more; probe, more = s.Next() {
//		t := find.NewTest(probe.Test)
//		// run at probe.Load, feed t, look at t now and then, until it has decided
//		s.Tell(t.Outcome())
//	}
//	answer := s.Answer()
package find

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Metric is what a limit is on.
type Metric uint8

// The metrics.
const (
	Quantile Metric = iota // of response times, from when a request was due
	Mean                   // of response times
	Errors                 // share of requests that failed
)

// A Limit is a condition on what users feel: a metric that stays below a bound. A request that failed is above every
// bound of a quantile, however soon it failed, so that a server that refuses does not pass for a fast one; in a mean it
// counts with the time that it took.
type Limit struct {
	Metric Metric
	Q      float64 // of Quantile, 0.99 for p99
	Bound  float64 // seconds; of Errors a share
	Of     string  // the variable in brackets, as crowd.latency in p99(crowd.latency) < 20ms; empty without
}

// Name is the metric as people write it.
func (l Limit) Name() string {
	switch l.Metric {
	case Mean:
		return "mean"
	case Errors:
		return "errors"
	}
	return quantileName(l.Q)
}

func quantileName(q float64) string {
	digits := strconv.FormatFloat(q*100, 'f', -1, 64)
	if len(digits) > 12 { // 99.9 is not held exactly
		digits = strconv.FormatFloat(q*100, 'g', 8, 64)
	}
	return "p" + strings.Replace(digits, ".", "", 1)
}

// String writes the limit as it is parsed.
func (l Limit) String() string {
	name := l.Name()
	if l.Of != "" {
		name += "(" + l.Of + ")"
	}
	if l.Metric == Errors {
		return name + " < " + strconv.FormatFloat(l.Bound*100, 'g', 6, 64) + "%"
	}
	return name + " < " + time.Duration(math.Round(l.Bound*1e9)).String()
}

// ParseLimits reads conditions joined by "and": p50 … p9999, mean or errors, below a time or, for errors, a share:
// "p99 < 20ms and errors < 0.1%". <= is taken for <.
func ParseLimits(text string) ([]Limit, error) {
	var ls []Limit
	for part := range strings.SplitSeq(text, " and ") {
		l, err := parseLimit(part)
		if err != nil {
			return nil, err
		}
		ls = append(ls, l)
	}
	return ls, nil
}

func parseLimit(text string) (Limit, error) {
	name, bound, ok := strings.Cut(text, "<")
	if !ok {
		return Limit{}, fmt.Errorf("%q: want a condition as 'p99 < 20ms', 'mean < 5ms' or 'errors < 1%%', joined by 'and'", strings.TrimSpace(text))
	}
	l, err := parseMetric(name)
	if err != nil {
		return l, err
	}
	bound = strings.TrimSpace(strings.TrimPrefix(bound, "="))
	if l.Metric == Errors {
		l.Bound, err = parseShare(bound)
		return l, err
	}
	d, err := time.ParseDuration(strings.ReplaceAll(bound, " ", ""))
	if err != nil || d <= 0 {
		return l, fmt.Errorf("%s < %s: want a time above 0, as 20ms", l.Name(), bound)
	}
	l.Bound = d.Seconds()
	return l, nil
}

func parseMetric(text string) (Limit, error) {
	name := strings.TrimSpace(text)
	var l Limit
	if before, of, ok := strings.Cut(name, "("); ok {
		of, closed := strings.CutSuffix(strings.TrimSpace(of), ")")
		if !closed || strings.TrimSpace(of) == "" {
			return l, fmt.Errorf("%q: want p99(GROUP.latency), with its bracket closed", name)
		}
		name, l.Of = strings.TrimSpace(before), strings.TrimSpace(of)
	}
	switch name {
	case "mean":
		l.Metric = Mean
		return l, nil
	case "errors":
		l.Metric = Errors
		return l, nil
	}
	digits, ok := strings.CutPrefix(name, "p")
	if q, err := strconv.ParseUint(digits, 10, 32); ok && err == nil && len(digits) >= 2 && len(digits) <= 6 {
		l.Q = float64(q) / math.Pow10(len(digits))
		if l.Q > 0 && l.Q < 1 {
			return l, nil
		}
	}
	return l, fmt.Errorf("%q: want a quantile as p50, p99 or p999, mean, or errors", name)
}

func parseShare(text string) (float64, error) {
	digits, percent := strings.CutSuffix(text, "%")
	x, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if percent {
		x /= 100
	}
	if err != nil || !(x > 0 && x < 1) {
		return 0, fmt.Errorf("%s: want a share above 0 and below 1, as 1%% or 0.01", text)
	}
	return x, nil
}

// ErrConfig reports settings of a search or a test that cannot be.
var ErrConfig = errors.New("wrong setting")
