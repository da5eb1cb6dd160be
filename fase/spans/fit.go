package spans

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// moments are the count, the mean and the variance of samples, by Welford's recurrence.
type moments struct {
	n        int
	mean, m2 float64
}

func (m *moments) add(x float64) {
	m.n++
	d := x - m.mean
	m.mean += d / float64(m.n)
	m.m2 += d * (x - m.mean)
}

// scv is the squared coefficient of variation: the variance by the squared mean.
func (m *moments) scv() float64 {
	if m.n < 2 || !(m.mean > 0) {
		return 0
	}
	return m.m2 / float64(m.n-1) / (m.mean * m.mean)
}

// least is a time below which nothing is worth a statement.
const least = 500e-9

// law writes the distribution of times that has the mean and the scv of samples: a constant below an scv of 0.01; an exponential where
// the scv differs from 1 by no more than 0.1, or two standard errors that the scv of n exponential samples has, 2/√n each; a lognormal
// otherwise.
func (m *moments) law() string {
	switch scv := m.scv(); {
	case scv < 0.01:
		return duration(m.mean)
	case math.Abs(scv-1) <= max(0.1, min(4/math.Sqrt(float64(m.n)), 0.9)):
		return "exp(" + duration(m.mean) + ")"
	default:
		median := m.mean / math.Sqrt(1+scv)
		if median < 1e-9 { // so wild that its median cannot be written
			return "exp(" + duration(m.mean) + ")"
		}
		return "lognormal(" + duration(median) + ", " + decimal(math.Sqrt(math.Log1p(scv)), 4) + ")"
	}
}

// figures are those of the samples, for a comment.
func (m *moments) figures() string {
	return fmt.Sprintf("n=%d mean=%s scv=%s", m.n, duration(m.mean), decimal(m.scv(), 3))
}

// duration writes a time in the unit that suits it, to the nanosecond.
func duration(s float64) string {
	switch ns := math.Round(s * 1e9); {
	case ns < 1e3:
		return strconv.FormatFloat(ns, 'f', -1, 64) + "ns"
	case ns < 1e6:
		return strconv.FormatFloat(ns/1e3, 'f', -1, 64) + "us"
	case ns < 1e9:
		return strconv.FormatFloat(math.Round(ns/10)/1e5, 'f', -1, 64) + "ms"
	default:
		return strconv.FormatFloat(math.Round(ns/1e4)/1e5, 'f', -1, 64) + "s"
	}
}

func decimal(x float64, digits int) string {
	p := math.Pow(10, float64(digits))
	return strconv.FormatFloat(math.Round(x*p)/p, 'f', -1, 64)
}

// arrivals are instants, in no order.
type arrivals struct {
	n           int
	first, last int64
	kept        []int64
}

func (a *arrivals) add(at int64) {
	if a.n == 0 {
		a.first, a.last = at, at
	}
	a.n++
	a.first, a.last = min(a.first, at), max(a.last, at)
	if len(a.kept) < maxRoots {
		a.kept = append(a.kept, at)
	}
}

// rate is per second, over the gaps between the first and the last; 0 where there are none.
func (a *arrivals) rate() float64 {
	if a.n < 2 || a.last == a.first {
		return 0
	}
	return float64(a.n-1) / seconds(a.last-a.first)
}

// gaps are the moments of those between arrivals, if all are known.
func (a *arrivals) gaps() moments {
	var m moments
	if len(a.kept) < a.n {
		return m
	}
	sorted := slices.Sorted(slices.Values(a.kept))
	for i := range sorted[1:] {
		m.add(seconds(sorted[i+1] - sorted[i]))
	}
	return m
}

// processors are so many that, at a load of so many busy ones in the mean, less than one job in a thousand has to wait: the smallest c
// with Erlang's C below 0.001 (by the recurrence of Erlang's B).
func processors(load float64) int {
	const most = 4096
	if !(load < most/2) {
		return most
	}
	b := 1.0
	for c := 1; c < most; c++ {
		b = load * b / (float64(c) + load*b)
		if rho := load / float64(c); rho < 1 && b/(1-rho*(1-b)) < 0.001 {
			return c
		}
	}
	return most
}
