package report

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A panel is one pair of axes of a figure.
type panel struct {
	title  string // with the unit
	note   string // shown in the middle instead of lines: why there are none
	height vg.Length
	blank  bool // nothing: the last row of a figure may have fewer panels than the others
	lines  []line
	legend []entry

	low, high float64 // of the y axis; high 0: as the lines need
	log       bool    // logarithmic y axis
	label     func(float64) string
	yTicks    []plot.Tick // instead of computed ones
	plotters  []plot.Plotter
}

// A line is one series. NaN breaks it.
type line struct {
	label  string // in the legend; empty: not there
	xs, ys []float64
	color  color.NRGBA
	dashes []vg.Length
	width  vg.Length // 0: as usual
	step   bool      // each y holds for the window that ends at its x
	fill   bool      // the area below is tinted
	smooth bool      // its points are not marked
}

// An entry of a legend; area entries are boxes.
type entry struct {
	label  string
	color  color.NRGBA
	dashes []vg.Length
	area   bool
	glyph  draw.GlyphDrawer // a mark instead of a line, in the legend of a figure
}

// build makes the plot of a panel, without marks.
func (p *panel) build(from, to float64) *plot.Plot {
	g := plot.New()
	g.BackgroundColor = nil
	g.X.Min, g.X.Max = from, to
	low, high := p.bounds()
	g.Y.Min, g.Y.Max = low, high
	label := p.label
	if label == nil {
		label = plain
	}
	if p.log {
		g.Y.Scale = plot.LogScale{}
		g.Y.Tick.Marker = logTicks(low, high, label)
	} else {
		g.Y.Tick.Marker = linearTicks(low, high, 4, label)
	}
	if p.yTicks != nil {
		g.Y.Tick.Marker = plot.ConstantTicks(p.yTicks)
	}
	for _, a := range []*plot.Axis{&g.X, &g.Y} {
		a.Padding = 2
		a.LineStyle = lineStyle(paleInk(), 0.5, nil)
		a.Tick.LineStyle = lineStyle(paleInk(), 0.5, nil)
		a.Tick.Length = 3
		style := textStyle(8, ink(), false)
		style.XAlign, style.YAlign = a.Tick.Label.XAlign, a.Tick.Label.YAlign
		a.Tick.Label = style
	}
	if p.yTicks != nil {
		g.Y.Tick.Length = 0
	}
	return g
}

// bounds returns the range of the y axis.
func (p *panel) bounds() (low, high float64) {
	low, high = p.low, p.high
	least, most := math.Inf(1), math.Inf(-1)
	for _, l := range p.lines {
		for _, y := range l.ys {
			if math.IsNaN(y) || p.log && y <= 0 {
				continue
			}
			least, most = min(least, y), max(most, y)
		}
	}
	if low == 0 && !p.log && least < 0 {
		low = least * 1.06
	}
	if high == 0 {
		if high = most * 1.06; !(most > 0) {
			high = 1
		}
	}
	if p.log {
		if math.IsInf(least, 0) || !(least > 0) {
			least = high / 10
		}
		if low == 0 {
			low = least
		}
		low, high = floorNice(low), ceilNice(high/1.06)
		if high < 4*low {
			low, high = floorNice(low/2), ceilNice(high*2)
		}
	}
	return low, high
}

// floorNice and ceilNice round to 1, 2 or 5 times a power of ten.
func floorNice(x float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(x)+1e-9))
	for _, m := range []float64{5, 2} {
		if x >= m*unit*0.9999 {
			return m * unit
		}
	}
	return unit
}

func ceilNice(x float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(x)+1e-9))
	for _, m := range []float64{1, 2, 5} {
		if x <= m*unit*1.0001 {
			return m * unit
		}
	}
	return 10 * unit
}

// drawGrid draws the lines behind the data at the labelled ticks.
func drawGrid(c draw.Canvas, g *plot.Plot, xs []plot.Tick) {
	style := lineStyle(gridTone(), 0.5, nil)
	for _, t := range xs {
		if x := c.X(g.X.Norm(t.Value)); c.ContainsX(x) {
			c.StrokeLine2(style, x, c.Min.Y, x, c.Max.Y)
		}
	}
	for _, t := range g.Y.Tick.Marker.Ticks(g.Y.Min, g.Y.Max) {
		if y := c.Y(g.Y.Norm(t.Value)); t.Label != "" && c.ContainsY(y) {
			c.StrokeLine2(style, c.Min.X, y, c.Max.X, y)
		}
	}
}

// draw draws a line into the data area.
func (l line) draw(c draw.Canvas, g *plot.Plot) {
	width := l.width
	if width == 0 {
		width = 1.3
	}
	style := lineStyle(l.color, width, l.dashes)
	for _, run := range l.runs(c, g) {
		if l.fill && len(run) > 1 {
			area := append([]vg.Point{{X: run[0].X, Y: c.Min.Y}}, run...)
			area = append(area, vg.Point{X: run[len(run)-1].X, Y: c.Min.Y})
			c.FillPolygon(faint(l.color, 48), c.ClipPolygonXY(area))
		}
		if len(run) == 1 { // a single window between gaps: a dot, else nothing would be seen
			c.DrawGlyph(draw.GlyphStyle{Color: l.color, Radius: 1.3, Shape: draw.CircleGlyph{}}, run[0])
			continue
		}
		c.StrokeLines(style, c.ClipLinesXY(run)...)
	}
}

// runs returns the points of the line in pieces without gaps.
func (l line) runs(c draw.Canvas, g *plot.Plot) [][]vg.Point {
	var runs [][]vg.Point
	var run []vg.Point
	flush := func() {
		if len(run) > 0 {
			runs = append(runs, run)
		}
		run = nil
	}
	for i, y := range l.ys {
		if math.IsNaN(y) || math.IsInf(y, 0) {
			flush()
			continue
		}
		// What lies below an axis is drawn at its end: a logarithm knows no 0, and virtual time knows responses of 0 s.
		x, y := max(l.xs[i], g.X.Min), max(y, g.Y.Min)
		pt := vg.Point{X: c.X(g.X.Norm(x)), Y: c.Y(g.Y.Norm(y))}
		if l.step {
			left := c.Min.X
			if i > 0 {
				left = c.X(g.X.Norm(max(l.xs[i-1], g.X.Min)))
			}
			run = append(run, vg.Point{X: left, Y: pt.Y})
		}
		run = append(run, pt)
	}
	flush()
	return runs
}

// entries are the legend of the panel.
func (p *panel) entries() []entry {
	es := append([]entry(nil), p.legend...)
	for _, l := range p.lines {
		if l.label != "" {
			es = append(es, entry{label: l.label, color: l.color, dashes: l.dashes})
		}
	}
	return es
}

// fit shortens the labels of the legend until there is room for all beside the title, and for one of the warm-up; below six
// characters it gives up.
func (p *panel) fit() {
	labels, title := textStyle(8, ink(), false), textStyle(9, ink(), true)
	for n := 24; n >= 6; n-- {
		left := pictureWidth - 2*margin - 110 - title.Width(p.title)
		for i := range p.lines {
			if p.lines[i].label != "" {
				p.lines[i].label = shorten(p.lines[i].label, n)
				left -= labels.Width(p.lines[i].label) + 28
			}
		}
		if left >= 0 {
			return
		}
	}
}

// drawHead draws the title at the left and the legend at the right of the strip above the data.
func (p *panel) drawHead(strip draw.Canvas) {
	base := strip.Min.Y + 4
	title := textStyle(9, ink(), true)
	fillTextOnWhite(strip, title, vg.Point{X: strip.Min.X, Y: base}, p.title)
	style := textStyle(8, ink(), false)
	x := strip.Max.X
	left := strip.Min.X + title.Width(p.title) + 12
	es := p.entries()
	for i := len(es) - 1; i >= 0; i-- {
		x -= style.Width(es[i].label)
		if x-18 < left {
			break // no room: the caption names the colours' order
		}
		fillTextOnWhite(strip, style, vg.Point{X: x, Y: base}, es[i].label)
		x -= 20
		mid := base + 2.6
		if es[i].area {
			strip.FillPolygon(es[i].color, []vg.Point{{X: x + 4, Y: mid - 3.5}, {X: x + 16, Y: mid - 3.5}, {X: x + 16, Y: mid + 3.5}, {X: x + 4, Y: mid + 3.5}})
		} else {
			strip.StrokeLine2(lineStyle(es[i].color, 1.6, es[i].dashes), x, mid, x+16, mid)
		}
		x -= 8
	}
}
