package report

import (
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A Chart is a figure of measurements that belong to no run: panels side by side, each with axes of its own, and one legend
// for all of them, in which series of one label have one colour.
type Chart struct {
	Name    string // of its files, without extension: [a-z0-9_-]+
	Title   string
	Caption string // what it shows and how to read it, in a sentence or two
	Panels  []ChartPanel
}

// A ChartPanel is one pair of axes: grouped bars when it has Groups, else lines. What is not positive has no place on a
// logarithmic axis and is left out there, and so is NaN everywhere.
type ChartPanel struct {
	Title      string // what y is, with its unit
	XLabel     string
	LogX, LogY bool
	FormatX    func(float64) string // labels of the ticks; nil for plain numbers
	FormatY    func(float64) string // also what is written over bars
	Groups     []string             // names below the groups of bars
	Series     []ChartSeries
}

// A ChartSeries is one line, or one bar in each group.
type ChartSeries struct {
	Label  string
	Xs, Ys []float64 // bars have no Xs: the i-th of Ys is in the i-th group
	Bound  bool      // drawn thin, dashed and grey: what the others must not cross
	Smooth bool      // computed, not measured: its points are not marked
}

// any tells whether there is anything to draw.
func (s ChartSeries) any() bool {
	return slices.ContainsFunc(s.Ys, func(y float64) bool { return !math.IsNaN(y) })
}

const (
	chartHeight vg.Length = 230
	chartGap    vg.Length = 22
	legendRow   vg.Length = 14
	groupRow    vg.Length = 10 // of a group's name, which may take two
)

// Picture makes the chart ready to be drawn.
func (c Chart) Picture() Picture {
	rows := len(c.legendRows())
	return Picture{
		Name: c.Name, Title: c.Title, Caption: c.Caption, width: pictureWidth,
		height: 2*margin + titleSize + 6 + vg.Length(rows)*legendRow + headStrip + chartHeight + footRoom,
		paint:  c.paint,
	}
}

// labels lists the labels of all panels in the order in which they come; bounds last.
func (c Chart) labels() []ChartSeries {
	var all, bounds []ChartSeries
	seen := map[string]bool{}
	for _, p := range c.Panels {
		for _, s := range p.Series {
			switch {
			case s.Label == "" || seen[s.Label] || !s.any():
			case s.Bound:
				bounds = append(bounds, s)
			default:
				all = append(all, s)
			}
			seen[s.Label] = true
		}
	}
	return append(all, bounds...)
}

// color is that of a label throughout the chart.
func (c Chart) color(label string) color.NRGBA {
	for i, s := range c.labels() {
		if s.Label == label && !s.Bound {
			return hue(i)
		}
	}
	return paleInk()
}

// legendRows lays the legend out in as few rows as it needs.
func (c Chart) legendRows() [][]ChartSeries {
	style := textStyle(8, ink(), false)
	var rows [][]ChartSeries
	left := vg.Length(0)
	for _, s := range c.labels() {
		w := style.Width(shorten(s.Label, 60)) + 34
		if left -= w; left < 0 || len(rows) == 0 {
			rows = append(rows, nil)
			left = pictureWidth - 2*margin - w
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], s)
	}
	return rows
}

func (c Chart) paint(canvas draw.Canvas) {
	y := canvas.Max.Y - margin - titleSize
	canvas.FillText(textStyle(titleSize, ink(), true), vg.Point{X: canvas.Min.X + margin, Y: y}, shorten(c.Title, 100))
	y -= 6
	for _, row := range c.legendRows() {
		y -= legendRow
		c.paintLegend(canvas, row, y)
	}
	n := vg.Length(len(c.Panels))
	width := (pictureWidth - 2*margin - chartGap*(n-1)) / max(n, 1)
	for i, p := range c.Panels {
		left := canvas.Min.X + margin + vg.Length(i)*(width+chartGap)
		area := canvas
		area.Rectangle = vg.Rectangle{Min: vg.Point{X: left, Y: canvas.Min.Y + margin}, Max: vg.Point{X: left + width, Y: y}}
		k := c.layOut(area, p)
		k.inner.Max.Y += y - headStrip - 5 - k.data.Max.Y // a label at the end of an axis takes room above: all begin at one height
		k.data = k.plot.DataCanvas(k.inner)
		k.paint()
	}
}

func (c Chart) paintLegend(canvas draw.Canvas, row []ChartSeries, y vg.Length) {
	style := textStyle(8, ink(), false)
	x := canvas.Min.X + margin
	for _, s := range row {
		mid := y + 2.6
		if s.Bound {
			canvas.StrokeLine2(lineStyle(paleInk(), 1, dash(1)), x, mid, x+16, mid)
		} else {
			canvas.FillPolygon(c.color(s.Label), box(x+2, mid-3.5, x+14, mid+3.5))
		}
		label := shorten(s.Label, 60)
		canvas.FillText(style, vg.Point{X: x + 20, Y: y}, label)
		x += style.Width(label) + 34
	}
}

func box(left, low, right, high vg.Length) []vg.Point {
	return []vg.Point{{X: left, Y: low}, {X: right, Y: low}, {X: right, Y: high}, {X: left, Y: high}}
}

// A chartCell is a panel of a chart ready to be drawn.
type chartCell struct {
	ChartPanel
	panel             *panel
	plot              *plot.Plot
	area, inner, data draw.Canvas // all of it; without the names; the data
	xs                plot.ConstantTicks
}

// layOut makes the axes of a panel.
func (c Chart) layOut(area draw.Canvas, p ChartPanel) chartCell {
	inner := area
	inner.Min.Y += 12
	inner.Max.Y -= headStrip
	if len(p.Groups) > 0 {
		inner.Min.Y += 2 * groupRow
	}
	k, from, to := c.panel(p)
	g := k.build(from, to)
	if p.LogX {
		g.X.Scale = plot.LogScale{}
	}
	xs := thinned(p.ticks(from, to), func(x float64) vg.Length { return vg.Length(g.X.Norm(x)) * (inner.Max.X - inner.Min.X - 40) })
	g.X.Tick.Marker = xs
	return chartCell{ChartPanel: p, panel: k, plot: g, area: area, inner: inner, data: g.DataCanvas(inner), xs: xs}
}

// paint draws one pair of axes with its name above and that of x below.
func (k chartCell) paint() {
	foot := textStyle(8, paleInk(), false)
	foot.XAlign = draw.XCenter
	var major []plot.Tick
	for _, t := range k.xs {
		if t.Label != "" {
			major = append(major, t)
		}
	}
	drawGrid(k.data, k.plot, major)
	k.plot.Draw(k.inner)
	for _, x := range k.panel.plotters {
		x.Plot(k.data, k.plot)
	}
	for _, l := range k.panel.lines {
		l.draw(k.data, k.plot)
		l.dots(k.data, k.plot)
	}
	k.area.FillText(textStyle(9, ink(), true), vg.Point{X: k.data.Min.X, Y: k.data.Max.Y + 6}, shorten(k.Title, 90))
	k.area.FillText(foot, vg.Point{X: (k.data.Min.X + k.data.Max.X) / 2, Y: k.area.Min.Y}, k.XLabel)
	room := (k.data.Max.X - k.data.Min.X) / vg.Length(max(len(k.Groups), 1))
	for i, name := range k.Groups {
		x := k.data.X(k.plot.X.Norm(float64(i)))
		lines := []string{shorten(name, 40)}
		if foot.Width(lines[0]) > room-4 {
			lines = twoLines(lines[0])
		}
		for r, line := range lines {
			k.area.FillText(foot, vg.Point{X: x, Y: k.data.Min.Y - groupRow*vg.Length(r+1) - 3}, line)
		}
	}
}

// twoLines breaks a name of several words near its middle.
func twoLines(s string) []string {
	best := -1
	for i, r := range s {
		if r == ' ' && (best < 0 || abs(i-len(s)/2) < abs(best-len(s)/2)) {
			best = i
		}
	}
	if best < 0 {
		return []string{s}
	}
	return []string{s[:best], strings.TrimSpace(s[best:])}
}

func abs(i int) int { return max(i, -i) }

// panel makes the panel of this package that draws p, and the range of x.
func (c Chart) panel(p ChartPanel) (k *panel, from, to float64) {
	k = &panel{log: p.LogY, label: p.FormatY}
	from, to = math.Inf(1), math.Inf(-1)
	for _, s := range p.Series {
		if !s.any() {
			continue
		}
		l := line{color: c.color(s.Label), width: 1.5, smooth: s.Smooth}
		if s.Bound {
			l.color, l.width, l.dashes = paleInk(), 1, dash(1)
		}
		for i, y := range s.Ys {
			x := float64(i)
			if len(p.Groups) == 0 {
				x = s.Xs[i]
			}
			if math.IsNaN(y) || p.LogY && y <= 0 || p.LogX && x <= 0 {
				y = math.NaN()
			} else {
				from, to = min(from, x), max(to, x)
			}
			l.xs, l.ys = append(l.xs, x), append(l.ys, y)
		}
		k.lines = append(k.lines, l)
	}
	if len(p.Groups) > 0 {
		low, high := k.bounds()
		k.low, k.high = low, high
		if p.LogY {
			k.low, k.high = floorNice(low/2), high*1.5 // the least bar is seen, and the highest has its figure above it
		} else {
			k.high = high * 1.06
		}
		k.plotters = []plot.Plotter{groupedBars{k.lines, p.FormatY}}
		k.lines = nil
		return k, -0.5, float64(len(p.Groups)) - 0.5
	}
	switch {
	case math.IsInf(from, 0):
		from, to = 1, 10
	case p.LogX:
		from, to = from/1.15, to*1.15
	case from == to:
		from, to = from-1, to+1
	}
	return k, from, to
}

func (p ChartPanel) ticks(from, to float64) plot.ConstantTicks {
	label := p.FormatX
	if label == nil {
		label = plain
	}
	switch {
	case len(p.Groups) > 0:
		return nil
	case p.LogX:
		return logTicks(from, to, label)
	}
	return linearTicks(from, to, 6, label)
}

// thinned takes labels away that would touch the one before; at tells where a tick is.
func thinned(ts plot.ConstantTicks, at func(x float64) vg.Length) plot.ConstantTicks {
	style := textStyle(8, ink(), false)
	right := vg.Length(math.Inf(-1))
	for i, t := range ts {
		half := style.Width(t.Label) / 2
		if t.Label == "" {
			continue
		}
		if at(t.Value)-half < right+5 {
			ts[i].Label = ""
			continue
		}
		right = at(t.Value) + half
	}
	return ts
}

// dots marks what was measured on a line; bounds and curves, which were not, have none.
func (l line) dots(c draw.Canvas, g *plot.Plot) {
	if l.dashes != nil || l.smooth {
		return
	}
	for _, run := range l.runs(c, g) {
		for _, at := range run {
			c.DrawGlyph(draw.GlyphStyle{Color: l.color, Radius: 2, Shape: draw.CircleGlyph{}}, at)
		}
	}
}

// groupedBars draws one bar for each line and group, with its figure above.
type groupedBars struct {
	lines []line
	label func(float64) string
}

// Plot implements plot.Plotter.
func (b groupedBars) Plot(c draw.Canvas, g *plot.Plot) {
	style := textStyle(7, ink(), false)
	style.XAlign = draw.XCenter
	n := float64(len(b.lines))
	for i, l := range b.lines {
		for j, y := range l.ys {
			if math.IsNaN(y) {
				continue
			}
			left := c.X(g.X.Norm(l.xs[j] - 0.4 + 0.8*float64(i)/n))
			right := c.X(g.X.Norm(l.xs[j] - 0.4 + 0.8*float64(i+1)/n))
			top := min(c.Y(g.Y.Norm(max(y, g.Y.Min))), c.Max.Y)
			c.FillPolygon(l.color, box(left+0.5, c.Min.Y, right-0.5, top))
			if b.label != nil {
				writeBar(c, style, b.label(y), left, right, top)
			}
		}
	}
}

// writeBar writes a bar's figure above it, or, where it is too wide, upright: inside the bar if that is long enough.
func writeBar(c draw.Canvas, style text.Style, label string, left, right, top vg.Length) {
	x := (left + right) / 2
	if style.Width(label) < right-left {
		c.FillText(style, vg.Point{X: x, Y: top + 2}, label)
		return
	}
	style.Rotation = math.Pi / 2
	style.XAlign, style.YAlign = draw.XLeft, draw.YCenter
	y := top + 3
	if top-c.Min.Y > style.Width(label)+8 {
		style.Color, style.XAlign, y = rgb(0xffffff), draw.XRight, top-3
	}
	c.FillText(style, vg.Point{X: x, Y: y}, label)
}
