package report

import (
	"math"

	"github.com/eve-emulation/eve/fase/runs"
)

// transferTable shows the copies of services: how long each took, beside its size divided by the rate of the link.
func transferTable(s *runs.Summary) table {
	t := table{title: "copies", head: []string{"", "of", "from", "to", "size", "began", "took", "at link rate", "served from", "nobody served"}, left: []int{1, 2, 3}}
	seconds := func(x runs.Number) string {
		if math.IsNaN(float64(x)) {
			return ""
		}
		return duration(float64(x))
	}
	at := func(x runs.Number) string {
		if math.IsNaN(float64(x)) {
			return "never"
		}
		return clock(float64(x))
	}
	for _, x := range s.Transfers {
		down := ""
		if x.Downtime > 0 {
			down = duration(float64(x.Downtime))
		}
		t.rows = append(t.rows, []string{
			"", x.Service, x.From, x.To, size(float64(x.SizeBytes)), clock(float64(x.Began)), seconds(x.Took), seconds(x.AtLink), at(x.Serving), down,
		})
	}
	return t
}

// copySpans are the stretches in which copies were under way.
func (d *Data) copySpans() []runs.Interval {
	var out []runs.Interval
	for _, x := range d.Summary.Transfers {
		if x.Took > 0 {
			out = append(out, runs.Interval{From: x.Began, To: x.Left})
		}
	}
	return out
}
