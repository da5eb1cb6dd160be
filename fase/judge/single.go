package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// single compares one run with one: mean response times request by request where arrivals are the same, and what summaries have
// an interval for by that.
func (f *figure) single(m Measure, a, b Subject, paired bool, o CompareOptions) Measure {
	if f.group == "" || math.IsNaN(float64(m.Difference.Value)) {
		return m
	}
	if e, n, ok := f.requests(a, b, paired, o); ok {
		m.Difference = Figure{runs.Number(e.Value), runs.Number(e.Low), runs.Number(e.High), 1}
		m.By = fmt.Sprintf("%d requests in pairs", n)
		f.judge(&m, o)
		return m
	}
	x, y := a.Summary.Clients[f.group].Intervals[f.stat], b.Summary.Clients[f.group].Intervals[f.stat]
	if x.TooShort || y.TooShort || x.Batches == 0 || y.Batches == 0 || o.Confidence != float64(x.Confidence) {
		m.By = "one run each, too short for an interval"
		return m
	}
	m.A.Low, m.A.High, m.B.Low, m.B.High = x.Low, x.High, y.Low, y.High
	// Halves of independent intervals add up like standard errors do.
	half := runs.Number(math.Hypot(float64(x.High-x.Low)/2, float64(y.High-y.Low)/2))
	m.Difference = Figure{m.Difference.Value, m.Difference.Value - half, m.Difference.Value + half, 1}
	m.By = "batches of one run each"
	f.judge(&m, o)
	return m
}

// requests compares the mean response times of requests with the same key.
func (f *figure) requests(a, b Subject, paired bool, o CompareOptions) (stat.Estimate, int, bool) {
	if f.stat != "mean" || !paired || a.History == nil || b.History == nil {
		return stat.Estimate{}, 0, false
	}
	type pair struct {
		due  int64
		x, y float64
	}
	first := map[rdr.Key]user.Record{}
	keep := func(s *runs.Summary, r user.Record) bool {
		return r.Done > instant(s.Window.From) && r.Done <= instant(s.Window.To)
	}
	err := runs.Requests(a.History, f.group, func(r user.Record) error {
		if keep(a.Summary, r) {
			first[r.Key] = r
		}
		return nil
	})
	var pairs []pair
	if err == nil {
		err = runs.Requests(b.History, f.group, func(r user.Record) error {
			if x, ok := first[r.Key]; ok && keep(b.Summary, r) && x.Due == r.Due {
				pairs = append(pairs, pair{int64(r.Due), x.Done.Sub(x.Due).Seconds(), r.Done.Sub(r.Due).Seconds()})
			}
			return nil
		})
	}
	// Requests that only one of them finished would be left out, and those are not like the others.
	if err != nil || len(pairs) < 20*stat.Batches || float64(len(pairs)) < 0.95*float64(len(first)) {
		return stat.Estimate{}, 0, false
	}
	slices.SortFunc(pairs, func(p, q pair) int { return cmp.Compare(p.due, q.due) })
	d := make([]float64, len(pairs))
	for i, p := range pairs {
		d[i] = p.y - p.x
	}
	i := stat.Steady(d, o.Confidence)
	if !i.Trusted() {
		return stat.Estimate{}, 0, false
	}
	return i.Estimate, len(pairs), true
}
