package report

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// heat makes a panel a heat map: x across, the axis of lines upwards.
func (s *swept) heat(p *panel, metric int, combo []int) {
	a := s.Axes[s.lines]
	h := heatMap{label: p.label}
	least, most := math.Inf(1), math.Inf(-1)
	for k := range a.Values {
		for i := range s.xs {
			c := heatCell{x: float64(i), y: float64(k), value: math.NaN()}
			if r := s.row(i, k, combo); r != nil {
				c.value, c.over = float64(r.Cells[metric].Value), r.Unstable != ""
			}
			if !math.IsNaN(c.value) {
				least, most = min(least, c.value), max(most, c.value)
			}
			h.cells = append(h.cells, c)
		}
	}
	if all := max(math.Abs(least), math.Abs(most)) * 0.1; most-least < all { // what hardly differs looks alike
		middle := (least + most) / 2
		least, most = middle-all/2, middle+all/2
	}
	h.low, h.high = least, most
	if h.log = s.Metrics[metric].Unit == "s" && least > 0 && most > 20*least; h.log {
		p.title += ", logarithmic"
	}
	p.low, p.high = -0.5, float64(len(a.Values))-0.5
	p.height = max(p.height, headStrip+20*vg.Length(min(len(a.Values), 16)))
	for k, v := range a.Values {
		label := shorten(a.Short()+" "+v.Label(), 18)
		if n := len(a.Values); n > 16 && k%(n/16+1) != 0 {
			label = ""
		}
		p.yTicks = append(p.yTicks, plot.Tick{Value: float64(k), Label: label})
	}
	p.plotters = []plot.Plotter{h}
}

// A heatMap paints cells by their values.
type heatMap struct {
	cells     []heatCell
	low, high float64
	log       bool
	label     func(float64) string
}

type heatCell struct {
	x, y, value float64
	over        bool
}

// share is where a value lies between the least and the greatest, 0 to 1.
func (h heatMap) share(x float64) float64 {
	switch {
	case !(h.high > h.low):
		return 0.5
	case h.log:
		return math.Log(x/h.low) / math.Log(h.high/h.low)
	}
	return (x - h.low) / (h.high - h.low)
}

// Plot implements plot.Plotter.
func (h heatMap) Plot(c draw.Canvas, g *plot.Plot) {
	style := textStyle(7, ink(), false)
	style.XAlign, style.YAlign = draw.XCenter, draw.YCenter
	for _, k := range h.cells {
		left, right := c.X(g.X.Norm(k.x-0.5)), c.X(g.X.Norm(k.x+0.5))
		low, high := c.Y(g.Y.Norm(k.y-0.5)), c.Y(g.Y.Norm(k.y+0.5))
		fill, share := gridTone(), 0.0
		if !math.IsNaN(k.value) {
			share = h.share(k.value)
			fill = shade(share)
		}
		gap := vg.Length(0.5)
		if right-left < 10 || high-low < 10 {
			gap = -0.1 // many cells make an area
		}
		c.FillPolygon(fill, box(left+gap, low+gap, right-gap, high-gap))
		style.Color = ink()
		if share > 0.55 {
			style.Color = rgb(0xffffff)
		}
		text := h.label(k.value)
		if math.IsNaN(k.value) {
			text = "–"
		}
		if k.over {
			text += " ×"
		}
		if style.Width(text) < right-left-3 && high-low > 8 {
			c.FillText(style, vg.Point{X: (left + right) / 2, Y: (low + high) / 2}, text)
		}
	}
}

// shade is a colour from light to dark: lightness alone tells, so that it can be read without seeing colours.
func shade(share float64) color.NRGBA {
	stops := []color.NRGBA{rgb(0xf7fbff), rgb(0xc6dbef), rgb(0x6baed6), rgb(0x2171b5), rgb(0x08306b)}
	at := min(max(share, 0), 1) * float64(len(stops)-1)
	i := min(int(at), len(stops)-2)
	f := at - float64(i)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + f*(float64(b)-float64(a)))) }
	return color.NRGBA{R: mix(stops[i].R, stops[i+1].R), G: mix(stops[i].G, stops[i+1].G), B: mix(stops[i].B, stops[i+1].B), A: 255}
}
