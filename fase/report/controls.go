package report

import (
	"cmp"
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/service"
)

// A control is what a controller asked for over time, and what was there.
type control struct {
	runs.Control
	unit         string
	asked, there line
}

// held is a value from an instant on, in s.
type held struct{ at, value float64 }

// controls reads the controllers that asked for something. The mappings are read before.
func (r *reader) controls(s *runs.Summary) []control {
	var out []control
	for _, c := range s.Controls {
		name := adapt.ControlName(c.Name)
		asked := r.values(name)
		if c.Verb == "" || len(asked) == 0 {
			continue
		}
		one := control{Control: c, unit: r.declared[name].Unit, asked: r.stairs(asked)}
		if c.Variable != "" {
			one.unit = r.declared[dsv.Name(c.Variable)].Unit
			one.there = r.stairs(r.values(dsv.Name(c.Variable)))
		} else {
			one.there = r.stairs(r.standing(c))
		}
		out = append(out, one)
	}
	return out
}

// values are those of a variable, as they were written.
func (r *reader) values(n dsv.Name) []held {
	var list []held
	r.each(n, func(d *dsv.Delta) {
		if x, ok := d.Value.Number(); ok {
			list = append(list, held{max(0, d.T1.Seconds()), x})
		}
	})
	return list
}

// standing is what a controller of a service controls, by the mapping of that.
func (r *reader) standing(c runs.Control) []held {
	i := slices.IndexFunc(r.data.mappings, func(m mapping) bool { return m.service == c.Service })
	if i < 0 {
		return nil
	}
	var list []held
	for _, m := range r.data.mappings[i].changes {
		x := math.NaN()
		switch adapt.Verb(c.Verb) {
		case adapt.Scale:
			x = 0
			for _, replica := range m.Replicas {
				if replica.State == service.Serving {
					x++
				}
			}
		case adapt.Limit:
			if m.Limit > 0 {
				x = m.Limit
			}
		case adapt.Degrade:
			x = float64(max(0, slices.Index(c.Levels, m.Level)))
		}
		list = append(list, held{max(0, m.At.Seconds()), x})
	}
	return list
}

// stairs is a line of values of which each holds until the next.
func (r *reader) stairs(list []held) line {
	l := line{step: true}
	if len(list) == 0 {
		return l
	}
	slices.SortStableFunc(list, func(a, b held) int { return cmp.Compare(a.at, b.at) })
	l.xs, l.ys = []float64{list[0].at}, []float64{math.NaN()}
	for i, x := range list {
		end := r.data.end()
		if i+1 < len(list) {
			end = list[i+1].at
		}
		if end > x.at {
			l.xs, l.ys = append(l.xs, end), append(l.ys, x.value)
		}
	}
	return l
}

// maxControls bounds the controllers of the picture.
const maxControls = 8

// controlled shows what each controller asked for, and what was there.
func (d *Data) controlled() (Picture, bool) {
	var rows [][]panel
	for _, c := range d.controls[:min(len(d.controls), maxControls)] {
		factor, unit := axis(c.unit, false, max(most(c.asked.ys), most(c.there.ys)))
		title := map[adapt.Verb]string{
			adapt.Scale: "Replicas of " + c.Service, adapt.Limit: "Limit of " + c.Service, adapt.Degrade: "Level of " + c.Service, adapt.Assign: c.Variable,
		}[adapt.Verb(c.Verb)]
		p := panel{title: shorten(title, 34) + ", by " + shorten(c.Name, 20), height: thinHeight + 14}
		if unit != "" {
			p.title += " (" + unit + ")"
		}
		asked, there := c.asked, c.there
		asked.label, asked.color, asked.dashes, asked.ys = "asked for", hue(1), dash(1), scaled(asked.ys, factor)
		there.label, there.color, there.fill, there.ys = "there", hue(0), true, scaled(there.ys, factor)
		if len(there.xs) > 0 {
			p.lines = append(p.lines, there)
		}
		p.lines = append(p.lines, asked)
		switch adapt.Verb(c.Verb) {
		case adapt.Scale, adapt.Degrade:
			p.yTicks = wholeTicks(p.lines)
			p.high = 1.15 * max(1, most(asked.ys), most(there.ys))
		}
		rows = append(rows, []panel{p})
	}
	if len(rows) == 0 {
		return Picture{}, false
	}
	f := d.timed("What controllers asked for", rows)
	caption := "What each controller asked for, within its bounds, and what was there: the replicas that served, the limit, the level by number from the best (0), the variable."
	return f.picture("controllers", caption+d.markCaption()+d.warmCaption()), true
}
