package report

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/eve-emulation/eve/fase/service"
)

type rgba = color.NRGBA

// A bar is a stretch in which a replica was in one state.
type bar struct {
	row      int
	from, to float64
	state    service.State
	epoch    uint32
}

func stateColor(s service.State) rgba {
	switch s {
	case service.Serving:
		return hue(0)
	case service.Copying:
		return hue(4)
	case service.Draining:
		return hue(5)
	default:
		return hue(7)
	}
}

// bars draws a Gantt chart.
type bars struct{ list []bar }

// Plot implements plot.Plotter.
func (b bars) Plot(c draw.Canvas, g *plot.Plot) {
	for _, x := range b.list {
		left, right := c.X(g.X.Norm(x.from)), c.X(g.X.Norm(x.to))
		low, high := c.Y(g.Y.Norm(float64(x.row)-0.32)), c.Y(g.Y.Norm(float64(x.row)+0.32))
		right = max(right, left+1)
		c.FillPolygon(stateColor(x.state), []vg.Point{{X: left, Y: low}, {X: right, Y: low}, {X: right, Y: high}, {X: left, Y: high}})
		style := textStyle(7, rgb(0xffffff), false)
		text := strconv.FormatUint(uint64(x.epoch), 10)
		if x.state == service.Copying || x.state == service.Draining {
			style.Color = ink()
		}
		if style.Width(text)+4 < right-left {
			style.YAlign = draw.YCenter
			c.FillText(style, vg.Point{X: left + 3, Y: (low + high) / 2}, text)
		}
		c.StrokeLine2(lineStyle(rgb(0xffffff), 0.8, nil), right, low, right, high)
	}
}

// mostPlaces is how many rows the picture of mappings has: the places that were first in use.
const mostPlaces = 128

// mapping shows where each service was, and since which epoch.
func (d *Data) mapping() (Picture, bool) {
	type place struct{ service, server string }
	var places []place
	index := map[place]int{}
	var list []bar
	more := map[place]bool{}
	states := map[service.State]bool{}
	for _, m := range d.mappings {
		for i, c := range m.changes {
			from, to := math.Max(0, c.At.Seconds()), d.end()
			if i+1 < len(m.changes) {
				to = math.Min(to, m.changes[i+1].At.Seconds())
			}
			for _, r := range c.Replicas {
				p := place{m.service, r.Server}
				if _, ok := index[p]; !ok {
					if len(places) == mostPlaces {
						more[p] = true
						continue
					}
					index[p] = len(places)
					places = append(places, p)
				}
				if to > from {
					list = append(list, bar{row: index[p], from: from, to: to, state: r.State, epoch: c.Epoch})
					states[r.State] = true
				}
			}
		}
	}
	if len(list) == 0 {
		return Picture{}, false
	}
	n := len(places)
	for i := range list { // the first place on top
		list[i].row = n - 1 - list[i].row
	}
	p := panel{
		title: "Service on server", height: vg.Length(n)*20 + 28, low: -0.6, high: float64(n) - 0.4,
		plotters: []plot.Plotter{bars{list}},
	}
	for i, x := range places {
		p.yTicks = append(p.yTicks, plot.Tick{Value: float64(n - 1 - i), Label: shorten(x.service, 18) + " on " + shorten(x.server, 18)})
	}
	for _, s := range []service.State{service.Serving, service.Copying, service.Draining, service.Stopped} {
		if states[s] {
			p.legend = append(p.legend, entry{label: string(s), color: stateColor(s), area: true})
		}
	}
	f := d.timed("Mapping of services to servers", [][]panel{{p}})
	caption := "Where each service was, and in which state; the number in a bar is the epoch of the mapping."
	if len(more) > 0 {
		caption += fmt.Sprintf(" %d further places are left out.", len(more))
	}
	return f.picture("mapping", caption+d.markCaption()), true
}
