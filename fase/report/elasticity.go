package report

import (
	"maps"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/eve-emulation/eve/fase/runs"
)

// bands tint stretches of time.
type bands struct {
	list  []runs.Interval
	color rgba
}

// Plot implements plot.Plotter.
func (b bands) Plot(c draw.Canvas, g *plot.Plot) {
	for _, x := range b.list {
		left, right := c.X(g.X.Norm(float64(x.From))), c.X(g.X.Norm(float64(x.To)))
		c.FillPolygon(b.color, []vg.Point{{X: left, Y: c.Min.Y}, {X: right, Y: c.Min.Y}, {X: right, Y: c.Max.Y}, {X: left, Y: c.Max.Y}})
	}
}

// elasticity shows the load, the replicas of each service beside the demand, and when objectives did not hold.
func (d *Data) elasticity() (Picture, bool) {
	a := d.Summary.Adaptation
	if a == nil || len(a.Services) == 0 && len(a.SLO) == 0 {
		return Picture{}, false
	}
	var rows [][]panel
	if len(d.groups) > 0 {
		rows = append(rows, []panel{d.arrivals()})
	}
	demand := false
	for i, name := range slices.SortedFunc(maps.Keys(a.Services), runs.CompareNames) {
		e := a.Services[name]
		if i == maxSupplies {
			break
		}
		p := panel{title: "Replicas of " + shorten(name, 30), height: thinHeight}
		p.lines = append(p.lines, d.levels("supply", e.Supply, hue(0)))
		p.lines[0].fill = true
		if len(e.Demand) > 0 {
			demand = true
			l := d.levels("demand", e.Demand, hue(1))
			l.dashes = dash(1)
			p.lines = append(p.lines, l)
		}
		p.yTicks = wholeTicks(p.lines)
		p.high = 1.15 * max(1, most(p.lines[0].ys), most(p.lines[len(p.lines)-1].ys))
		rows = append(rows, []panel{p})
	}
	if len(a.SLO) > 0 && len(d.groups) > 0 {
		rows = append(rows, []panel{d.objectives(a)})
	}
	if len(rows) == 0 {
		return Picture{}, false
	}
	f := d.timed("Load, supply, demand and objectives", rows)
	f.numbers = true
	caption := "Arrivals, and the replicas of each service that serve."
	if demand {
		caption += " The demand is the fewest with which the objectives hold, found by simulating the same arrivals."
	}
	if len(a.SLO) > 0 {
		caption += " Tinted are the seconds in which some objective did not hold."
	}
	return f.picture("elasticity", caption+d.markCaption()+d.warmCaption()), true
}

// timed says whether what an objective bounds is a response time.
func timed(o runs.Objective) bool {
	for text := range o.Worst {
		if strings.Contains(text, "latency") || strings.Contains(text, "residence") || strings.Contains(text, "first_byte") {
			return true
		}
	}
	return false
}

// maxSupplies bounds the services of the picture.
const maxSupplies = 6

// levels is a line of replicas over time.
func (d *Data) levels(label string, levels []runs.ReplicaLevel, c rgba) line {
	l := line{label: label, color: c, step: true, xs: []float64{0}, ys: []float64{math.NaN()}}
	for i, x := range levels {
		if i == 0 {
			l.xs[0] = float64(x.From)
		}
		end := float64(d.Summary.Window.To)
		if i+1 < len(levels) {
			end = float64(levels[i+1].From)
		}
		l.xs, l.ys = append(l.xs, end), append(l.ys, float64(x.Replicas))
	}
	return l
}

// wholeTicks are at whole numbers of replicas, at most five of them.
func wholeTicks(lines []line) []plot.Tick {
	top := 1.0
	for _, l := range lines {
		top = max(top, most(l.ys))
	}
	each := math.Ceil(top / 4)
	var ts []plot.Tick
	for x := 0.0; x <= top; x += each {
		ts = append(ts, plot.Tick{Value: x, Label: plain(x)})
	}
	return ts
}

// objectives shows response times, the bounds on them, and when they were exceeded.
func (d *Data) objectives(a *runs.Adaptation) panel {
	p := d.responses()
	high := 0.0
	for _, l := range p.lines {
		high = max(high, most(l.ys))
	}
	factor := 1.0
	if len(d.groups) > 0 && len(p.lines) > 0 {
		raw := 0.0
		for _, g := range d.groups {
			raw = max(raw, most(g.quantiles[1]))
		}
		factor, _ = unitFor(raw)
	}
	for i, o := range a.SLO {
		if bound := float64(o.Bound) * factor; bound > 0 && timed(o) {
			p.lines = append(p.lines, line{
				label: shorten(o.Text, 34), xs: []float64{0, d.end()}, ys: []float64{bound, bound}, color: ink(), dashes: dash(i + 1), width: 0.9,
			})
			high = max(high, bound)
		}
	}
	p.high = 1.06 * high
	p.plotters = append(p.plotters, bands{a.Violations, faint(hue(1), 56)})
	if len(a.Violations) > 0 {
		p.legend = append(p.legend, entry{label: "violated", color: faint(hue(1), 110), area: true})
	}
	return p
}
