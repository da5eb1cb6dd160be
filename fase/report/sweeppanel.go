package report

import (
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/eve-emulation/eve/fase/sweep"
)

// panel makes one pair of axes: lines, or a heat map, of one metric.
func (s *swept) panel(metric int, combo []int, heat bool, title string) panel {
	m := s.Metrics[metric]
	p := panel{title: title, height: 150, label: in(m.Unit)}
	if heat {
		s.heat(&p, metric, combo)
		return p
	}
	var all []float64
	for n, v := range s.lineValues() {
		color := hue(n)
		measured := line{xs: s.xs, color: color, width: 1.5}
		theory := line{xs: s.xs, color: color, dashes: dash(1), width: 1}
		if s.lines < 0 {
			theory.color = hue(1)
		}
		d := dots{color: color}
		for i := range s.xs {
			y, low, high, said := math.NaN(), math.NaN(), math.NaN(), math.NaN()
			over := false
			if r := s.row(i, v, combo); r != nil {
				c := r.Cells[metric]
				y, said, over = float64(c.Value), float64(c.Theory), r.Unstable != ""
				if c.HasInterval() {
					low, high = float64(c.Low), float64(c.High)
				}
			}
			measured.ys, theory.ys = append(measured.ys, y), append(theory.ys, said)
			d.xs, d.ys = append(d.xs, s.xs[i]), append(d.ys, y)
			d.lows, d.highs, d.over = append(d.lows, low), append(d.highs, high), append(d.over, over)
			all = append(all, y, said, high)
		}
		if c := s.curve(v, combo); c != nil {
			theory.xs, theory.ys = c.Xs, nil
			measured.color, measured.width = faint(color, 110), 1 // points tell; a straight line between two would seem to differ from the curve
			for _, y := range c.Values[m.Name] {
				theory.ys = append(theory.ys, float64(y)) // where it goes beyond what was met it leaves the picture
			}
		}
		p.lines = append(p.lines, measured, theory)
		p.plotters = append(p.plotters, d)
	}
	all = slices.DeleteFunc(all, func(y float64) bool { return math.IsNaN(y) })
	if len(all) == 0 {
		p.note = "nothing is known yet"
		return p
	}
	positive := slices.DeleteFunc(slices.Clone(all), func(y float64) bool { return !(y > 0) })
	p.high = slices.Max(all) * 1.06
	if p.log = m.Unit == "s" && len(positive) == len(all) && slices.Max(all) > 50*slices.Min(all); p.log {
		p.title += ", logarithmic"
	}
	return p
}

// curve is what theory says between the points of a line; nil where it does not.
func (s *swept) curve(line int, combo []int) *sweep.Curve {
	at := make([]int, len(s.Axes))
	if s.lines >= 0 {
		at[s.lines] = line
	}
	for i, k := range combo {
		at[s.others[i]] = k
	}
	i := slices.IndexFunc(s.Curves, func(c sweep.Curve) bool { return slices.Equal(c.At, at) })
	if i < 0 {
		return nil
	}
	return &s.Curves[i]
}

// in is how values of a metric are written.
func in(unit string) func(float64) string {
	return func(x float64) string {
		switch unit {
		case "s":
			return duration(x)
		case "1":
			return plain(100*x) + " %"
		}
		return plain(x)
	}
}

// dots draws the points of a line with the bars of their intervals.
type dots struct {
	xs, ys, lows, highs []float64
	over                []bool
	color               color.NRGBA
}

// Plot implements plot.Plotter.
func (d dots) Plot(c draw.Canvas, g *plot.Plot) {
	style := lineStyle(d.color, 1, nil)
	at := func(x, y float64) vg.Point {
		y = min(max(y, g.Y.Min), g.Y.Max)
		return vg.Point{X: c.X(g.X.Norm(x)), Y: c.Y(g.Y.Norm(y))}
	}
	for i, y := range d.ys {
		if math.IsNaN(y) || math.IsInf(y, 0) {
			continue
		}
		p := at(d.xs[i], y)
		if !math.IsNaN(d.lows[i]) {
			low, high := at(d.xs[i], d.lows[i]), at(d.xs[i], d.highs[i])
			c.StrokeLine2(style, low.X, low.Y, high.X, high.Y)
			for _, end := range []vg.Point{low, high} {
				c.StrokeLine2(style, end.X-2.5, end.Y, end.X+2.5, end.Y)
			}
		}
		glyph := draw.GlyphStyle{Color: d.color, Radius: 2, Shape: draw.CircleGlyph{}}
		if d.over[i] {
			glyph.Radius, glyph.Shape = 3.5, draw.CrossGlyph{}
		}
		c.DrawGlyph(glyph, p)
	}
}
