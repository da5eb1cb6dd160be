package report

import (
	"image/color"
	"math"

	"github.com/eve-emulation/eve/fase/runs"
)

// faultTable shows what went wrong, and when.
func faultTable(s *runs.Summary) table {
	t := table{title: "faults", head: []string{"", "name", "what", "from", "until"}, left: []int{1, 2}}
	for _, x := range s.Faults {
		until := "the end"
		if !math.IsNaN(float64(x.Until)) {
			until = clock(float64(x.Until))
		}
		name := x.Name
		if name == x.What {
			name = ""
		}
		t.rows = append(t.rows, []string{"", name, x.What, clock(float64(x.From)), until})
	}
	return t
}

// faultTone tints a stretch in which something was wrong.
func faultTone() color.NRGBA { return faint(hue(1), 36) }

// faultSpans are the stretches in which something was wrong, apart from one another.
func (d *Data) faultSpans() []runs.Interval {
	var out []runs.Interval
	for _, x := range d.Summary.Faults { // by their beginning
		until := x.Until
		if math.IsNaN(float64(until)) {
			until = runs.Number(d.end())
		}
		if n := len(out); n > 0 && x.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, until)
			continue
		}
		out = append(out, runs.Interval{From: x.From, To: until})
	}
	return out
}
