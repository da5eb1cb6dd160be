package report

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/eve-emulation/eve/fase/runs"
)

// A figure is panels on one x axis, in one or more columns, with the decisions as marks through all of them.
type figure struct {
	title   string
	rows    [][]panel // all rows have as many columns
	from    float64
	to      float64
	xLabel  string
	xTicks  plot.ConstantTicks
	xLog    bool
	warmup  float64 // shaded from `from` to here
	marks   []mark
	copies  []runs.Interval // tinted: copies of services
	faults  []runs.Interval // tinted: what was wrong
	numbers bool            // marks carry their number only
	legend  []entry         // below the title: of all panels
}

// A mark is a vertical line through all panels.
type mark struct {
	at     float64
	label  string // empty: a faint line without one
	number int    // of the decision
	module bool   // what became of a module, and no decision
	failed bool
}

const (
	margin    vg.Length = 10
	headStrip vg.Length = 17
	gapColumn vg.Length = 14
	titleSize vg.Length = 12
	footRoom  vg.Length = 30 // x tick labels and the axis' name
)

// height is the height of the figure; labels is the number of rows of labels.
func (f *figure) height(labels int) vg.Length {
	h := 2*margin + titleSize + 8 + footRoom - 6 + vg.Length(labels)*labelRow + vg.Length(len(f.legendRows()))*legendRow
	for _, r := range f.rows {
		h += r[0].height
	}
	return h
}

// picture lays the figure out.
func (f *figure) picture(name, caption string) Picture {
	labels := 0
	for _, l := range f.place(f.columnWidth() * 0.86) { // no wider than the data will be
		labels = max(labels, l.row+1)
	}
	return Picture{
		Name: name, Title: f.title, Caption: caption,
		width: pictureWidth, height: f.height(labels),
		paint: func(c draw.Canvas) { f.paint(c, labels) },
	}
}

// legendRows lays the legend of the figure out in as few rows as it needs.
func (f *figure) legendRows() [][]entry {
	style := textStyle(8, ink(), false)
	var rows [][]entry
	left := vg.Length(0)
	for _, e := range f.legend {
		w := style.Width(e.label) + 34
		if left -= w; left < 0 || len(rows) == 0 {
			rows, left = append(rows, nil), pictureWidth-2*margin-w
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], e)
	}
	return rows
}

// paintLegend draws entries from the left edge on, at a height.
func paintLegend(c draw.Canvas, row []entry, y vg.Length) {
	style := textStyle(8, ink(), false)
	x := c.Min.X + margin
	for _, e := range row {
		mid := y + 2.6
		switch {
		case e.area:
			c.FillPolygon(e.color, box(x+2, mid-3.5, x+14, mid+3.5))
		case e.glyph != nil:
			c.DrawGlyph(draw.GlyphStyle{Color: e.color, Radius: 3, Shape: e.glyph}, vg.Point{X: x + 8, Y: mid})
		default:
			c.StrokeLine2(lineStyle(e.color, 1.6, e.dashes), x, mid, x+16, mid)
		}
		c.FillText(style, vg.Point{X: x + 20, Y: y}, e.label)
		x += style.Width(e.label) + 34
	}
}

// columnWidth is the width of one panel with its axes.
func (f *figure) columnWidth() vg.Length {
	columns := vg.Length(1)
	if len(f.rows) > 0 {
		columns = vg.Length(len(f.rows[0]))
	}
	return (pictureWidth - 2*margin - gapColumn*(columns-1)) / columns
}

// A cell is a panel ready to be drawn.
type cell struct {
	*panel
	plot   *plot.Plot
	canvas draw.Canvas // with axes, without the strip of title and legend
	data   draw.Canvas
}

func (f *figure) paint(c draw.Canvas, labels int) {
	title := textStyle(titleSize, ink(), true)
	c.FillText(title, vg.Point{X: c.Min.X + margin, Y: c.Max.Y - margin - titleSize}, shorten(f.title, 100))
	y := c.Max.Y - margin - titleSize - 4
	for _, row := range f.legendRows() {
		y -= legendRow
		paintLegend(c, row, y)
	}
	inner := draw.Crop(c, margin, -margin, margin, y+4-c.Max.Y-8-vg.Length(labels)*labelRow)
	cells := f.cells(inner)
	for _, row := range cells {
		for i := range row {
			f.paintCell(&row[i])
		}
	}
	if len(cells) > 0 {
		f.paintMarks(cells, labels)
	}
	for _, row := range cells {
		for i := range row {
			row[i].paintHead() // over the marks, so that these do not strike its words out
		}
	}
	style := textStyle(8, paleInk(), false)
	style.XAlign = draw.XCenter
	for r, row := range cells {
		for i, k := range row {
			if f.lowest(r, i) && !k.blank {
				y := c.Min.Y + margin - 5
				if r < len(cells)-1 {
					y = k.canvas.Min.Y - 9
				}
				c.FillText(style, vg.Point{X: (k.data.Min.X + k.data.Max.X) / 2, Y: y}, f.xLabel)
			}
		}
	}
}

// lowest says that nothing is below a panel of its column.
func (f *figure) lowest(row, column int) bool {
	return row == len(f.rows)-1 || f.rows[row+1][column].blank
}

// cells lays the panels out and aligns the data areas of each column.
func (f *figure) cells(c draw.Canvas) [][]cell {
	cells := make([][]cell, len(f.rows))
	y := c.Max.Y
	for r, row := range f.rows {
		cells[r] = make([]cell, len(row))
		width := f.columnWidth()
		bottom := y - row[0].height
		if r == len(f.rows)-1 { // the labels of the ticks hang below
			bottom -= footRoom - 17
		}
		for i := range row {
			p := &f.rows[r][i]
			g := p.build(f.from, f.to)
			if f.xLog {
				g.X.Scale = plot.LogScale{}
			}
			g.X.Tick.Marker = f.ticks(f.lowest(r, i))
			left := c.Min.X + (width+gapColumn)*vg.Length(i)
			canvas := c
			canvas.Rectangle = vg.Rectangle{Min: vg.Point{X: left, Y: bottom}, Max: vg.Point{X: left + width, Y: y - headStrip}}
			if f.lowest(r, i) && r < len(f.rows)-1 { // its labels hang into what is blank
				canvas.Min.Y -= footRoom - 17
			}
			cells[r][i] = cell{panel: p, plot: g, canvas: canvas}
		}
		y = bottom
	}
	align(cells)
	return cells
}

// align crops the canvases of each column so that their data areas have the same left and right edges.
func align(cells [][]cell) {
	if len(cells) == 0 {
		return
	}
	for i := range cells[0] {
		left, right := vg.Length(math.Inf(-1)), vg.Length(math.Inf(1))
		for r := range cells {
			d := cells[r][i].plot.DataCanvas(cells[r][i].canvas)
			left, right = max(left, d.Min.X), min(right, d.Max.X)
		}
		for r := range cells {
			k := &cells[r][i]
			for range 4 { // the room for halves of labels that hang out depends on the width, so approach
				d := k.plot.DataCanvas(k.canvas)
				k.canvas.Min.X += left - d.Min.X
				k.canvas.Max.X += right - d.Max.X
			}
			k.data = k.plot.DataCanvas(k.canvas)
		}
	}
}

func (f *figure) ticks(labelled bool) plot.ConstantTicks {
	if labelled {
		return f.xTicks
	}
	ts := make(plot.ConstantTicks, len(f.xTicks))
	for i, t := range f.xTicks {
		ts[i] = plot.Tick{Value: t.Value}
	}
	return ts
}

// paintCell draws one panel: background, axes, data.
func (f *figure) paintCell(k *cell) {
	if k.blank {
		return
	}
	d := k.data
	if f.warmup > f.from {
		x := d.X(k.plot.X.Norm(math.Min(f.warmup, f.to)))
		d.FillPolygon(warmTone(), []vg.Point{d.Min, {X: x, Y: d.Min.Y}, {X: x, Y: d.Max.Y}, {X: d.Min.X, Y: d.Max.Y}})
	}
	bands{f.faults, faultTone()}.Plot(d, k.plot)
	bands{f.copies, faint(hue(2), 40)}.Plot(d, k.plot)
	var major []plot.Tick
	for _, t := range f.xTicks {
		if t.Label != "" {
			major = append(major, t)
		}
	}
	drawGrid(d, k.plot, major)
	k.plot.Draw(k.canvas)
	for _, p := range k.plotters {
		p.Plot(d, k.plot)
	}
	for _, l := range k.lines {
		l.draw(d, k.plot)
	}
	if k.note != "" {
		style := textStyle(9, paleInk(), false)
		style.XAlign, style.YAlign = draw.XCenter, draw.YCenter
		d.FillText(style, d.Center(), k.note)
	}
}

func (k *cell) paintHead() {
	if k.blank {
		return
	}
	strip := k.data
	strip.Min.Y, strip.Max.Y = k.data.Max.Y, k.data.Max.Y+headStrip
	k.drawHead(strip)
}
