package report

import (
	"strconv"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A placed label of a mark, relative to the left edge of the data.
type placed struct {
	mark
	text string
	x    vg.Length // of the mark
	left vg.Length // of the text
	row  int       // 0 is nearest to the data
}

// maxLabelRows bounds the rows of labels: beyond, marks carry their number only.
const maxLabelRows = 5

// place staggers the labels so that none covers another.
func (f *figure) place(width vg.Length) []placed {
	for _, numbersOnly := range []bool{f.numbers, true} {
		ps, rows := f.stagger(width, numbersOnly)
		if rows <= maxLabelRows || numbersOnly {
			return ps
		}
	}
	return nil
}

// stagger goes from right to left, so that the leader of a label passes left of the labels below it.
func (f *figure) stagger(width vg.Length, numbersOnly bool) (ps []placed, rows int) {
	style := textStyle(8, ink(), false)
	var starts []vg.Length // of the leftmost label of each row
	for i := len(f.marks) - 1; i >= 0; i-- {
		m := f.marks[i]
		if m.label == "" || m.at < f.from || m.at > f.to {
			continue
		}
		if m.module && numbersOnly {
			continue // it has none
		}
		p := placed{mark: m, text: m.text(numbersOnly), x: width * vg.Length((m.at-f.from)/(f.to-f.from))}
		w := style.Width(p.text)
		p.left = max(0, min(p.x+2.5, width-w))
		for p.row < len(starts) && p.left+w > starts[p.row]-8 {
			p.row++
		}
		if p.row == maxLabelRows && numbersOnly {
			continue // a swarm: the line is there, the table has its text
		}
		if p.row == len(starts) {
			starts = append(starts, 0)
		}
		starts[p.row] = p.left
		ps = append(ps, p)
	}
	return ps, len(starts)
}

// text is what a label of the mark says.
func (m mark) text(numbersOnly bool) string {
	switch {
	case m.module:
		return shorten(m.label, 44)
	case numbersOnly:
		return strconv.Itoa(m.number)
	}
	return strconv.Itoa(m.number) + "  " + shorten(m.label, 44)
}

// paintMarks draws the marks through all panels, and their labels above the first row.
func (f *figure) paintMarks(cells [][]cell, labels int) {
	for i, top := range cells[0] {
		for _, m := range f.marks {
			if m.at < f.from || m.at > f.to {
				continue
			}
			style := lineStyle(faint(ink(), 170), 0.8, nil)
			if m.module {
				style.Dashes = dash(1)
			}
			switch {
			case m.failed:
				style.Color = hue(1)
			case m.label == "":
				style = lineStyle(faint(paleInk(), 150), 0.6, []vg.Length{1.5, 2})
			}
			for r := range cells {
				d := cells[r][i].data
				x := d.X((m.at - f.from) / (f.to - f.from))
				d.StrokeLine2(style, x, d.Min.Y, x, d.Max.Y)
			}
		}
		f.paintLabels(top.data, labels)
	}
}

func (f *figure) paintLabels(d draw.Canvas, labels int) {
	base := d.Max.Y + headStrip + 1
	ps := f.place(d.Size().X)
	for _, p := range ps {
		if p.row < labels {
			x := d.Min.X + p.x
			d.StrokeLine2(lineStyle(faint(paleInk(), 150), 0.5, nil), x, d.Max.Y, x, base+vg.Length(p.row)*labelRow+8)
		}
	}
	for _, p := range ps {
		if p.row >= labels {
			continue
		}
		style := textStyle(8, ink(), false)
		if p.failed {
			style.Color = hue(1)
		}
		fillTextOnWhite(d, style, vg.Point{X: d.Min.X + p.left, Y: base + vg.Length(p.row)*labelRow + 1}, p.text)
	}
}

// fillTextOnWhite writes a text and hides what is behind it.
func fillTextOnWhite(c draw.Canvas, style text.Style, at vg.Point, s string) {
	left, right := at.X-1, at.X+style.Width(s)+1
	low, high := at.Y-2, at.Y+style.Font.Size*0.9
	c.FillPolygon(rgb(0xffffff), []vg.Point{{X: left, Y: low}, {X: right, Y: low}, {X: right, Y: high}, {X: left, Y: high}})
	c.FillText(style, at, s)
}
