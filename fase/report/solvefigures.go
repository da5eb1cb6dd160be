package report

import (
	"errors"
	"fmt"
	"html/template"
	"math"
	"strings"

	"github.com/eve-emulation/eve/fase/solve"
)

// mostResources is how many resources a picture of them shows: the busiest.
const mostResources = 8

// SolvePictures draws an answer and its curve: response over load with the knee, utilisation of the busiest resources over load, and, of two groups, which
// resource is the bottleneck at which mix.
func SolvePictures(name string, a *solve.Answer, curve []solve.CurvePoint) []Picture {
	var out []Picture
	if len(curve) > 1 {
		out = append(out, solveResponse(name, a, curve).Picture(), solveUtilisation(name, a, curve).Picture())
	}
	if c, ok := solveSectors(name, a); ok {
		out = append(out, c.Picture())
	}
	return out
}

// shareOfAxis writes a tick, of which rounding makes the least a little below 0.
func shareOfAxis(x float64) string {
	if math.Abs(x) < 1e-9 {
		x = 0
	}
	return percent(x)
}

// loadLabel is what a curve is drawn over.
func loadLabel(a *solve.Answer) string {
	for _, g := range a.Groups {
		if !g.Closed {
			return "requests per second, all groups together"
		}
	}
	return "users, all groups together"
}

func solveResponse(name string, a *solve.Answer, curve []solve.CurvePoint) Chart {
	c := Chart{
		Name: "response", Title: name + ": response over load",
		Caption: "Mean and 95th percentile of each group as the load grows at the present mix, by the analytic model. The dashed line upright is the present load, the one beside it where the bottleneck is full.",
	}
	mean := ChartPanel{Title: "mean response", XLabel: loadLabel(a), LogY: true, FormatY: duration}
	tail := ChartPanel{Title: "95th percentile", XLabel: loadLabel(a), LogY: true, FormatY: duration}
	low, high, now := math.Inf(1), 0.0, curve[0].Load/curve[0].Factor
	for i := range a.Groups {
		m, p := ChartSeries{Label: a.Groups[i].Name, Smooth: true}, ChartSeries{Label: a.Groups[i].Name, Smooth: true}
		for _, x := range curve {
			g := &x.Answer.Groups[i]
			q, _ := g.Quantile(0.95)
			m.Xs, m.Ys = append(m.Xs, x.Load), append(m.Ys, g.Response)
			p.Xs, p.Ys = append(p.Xs, x.Load), append(p.Ys, q)
			low, high = math.Min(low, g.Response), math.Max(high, q)
		}
		mean.Series, tail.Series = append(mean.Series, m), append(tail.Series, p)
	}
	upright := func(label string, x float64) {
		if x >= curve[0].Load && x <= curve[len(curve)-1].Load*1.1 {
			s := ChartSeries{Label: label, Bound: true, Xs: []float64{x, x}, Ys: []float64{low, high}}
			mean.Series, tail.Series = append(mean.Series, s), append(tail.Series, s)
		}
	}
	upright("the present load", now)
	if f := a.Bottleneck.Factor; !math.IsInf(f, 1) {
		upright(a.Bottleneck.Resource+" is full", now*f)
	}
	c.Panels = []ChartPanel{mean, tail}
	return c
}

func solveUtilisation(name string, a *solve.Answer, curve []solve.CurvePoint) Chart {
	c := Chart{Name: "utilisation", Title: name + ": utilisation over load", Caption: "Of the busiest resources, hardware and what is held, as the load grows at the present mix. Those that are alike are one line."}
	p := ChartPanel{Title: "utilisation", XLabel: loadLabel(a), FormatY: shareOfAxis}
	rs, count := tiers(a)
	for _, r := range rs[:min(mostResources, len(rs))] {
		s := ChartSeries{Label: r.Name, Smooth: true}
		if count[r.Tier] > 1 {
			s.Label = fmt.Sprintf("%s and %d alike", r.Name, count[r.Tier]-1)
		}
		for _, x := range curve {
			for _, y := range x.Answer.Resources {
				if y.Name == r.Name {
					s.Xs, s.Ys = append(s.Xs, x.Load), append(s.Ys, y.Utilisation)
					break
				}
			}
		}
		p.Series = append(p.Series, s)
	}
	end := curve[len(curve)-1].Load
	p.Series = append(p.Series, ChartSeries{Label: "full", Bound: true, Xs: []float64{0, end}, Ys: []float64{1, 1}})
	c.Panels = []ChartPanel{p}
	return c
}

func solveSectors(name string, a *solve.Answer) (Chart, bool) {
	names, sectors := a.Sectors(101)
	if len(names) == 0 {
		return Chart{}, false
	}
	c := Chart{Name: "sectors", Title: name + ": bottleneck over the mix"}
	p := ChartPanel{Title: "most requests per second", XLabel: "share of " + a.Groups[0].Name + " in the requests", FormatX: shareOfAxis, LogY: true}
	for k, tier := range names {
		s := ChartSeries{Label: tier, Smooth: true}
		for _, x := range sectors {
			if y := x.Lines[k]; !math.IsInf(y, 1) {
				s.Xs, s.Ys = append(s.Xs, x.Share), append(s.Ys, y)
			}
		}
		p.Series = append(p.Series, s)
	}
	var parts []string
	for i := 0; i < len(sectors); {
		k := i
		for k < len(sectors) && sectors[k].Resource == sectors[i].Resource {
			k++
		}
		parts = append(parts, fmt.Sprintf("%s from %s to %s", sectors[i].Resource, percent(sectors[i].Share), percent(sectors[k-1].Share)))
		i = k
	}
	all := a.Groups[0].Rate + a.Groups[1].Rate
	if all > 0 {
		share := a.Groups[0].Rate / all
		low, high := math.Inf(1), 0.0
		for _, x := range sectors {
			low = math.Min(low, x.Rate)
			for _, y := range x.Lines {
				if !math.IsInf(y, 1) {
					high = math.Max(high, y)
				}
			}
		}
		p.Series = append(p.Series, ChartSeries{Label: "the present mix", Bound: true, Xs: []float64{share, share}, Ys: []float64{low, high}})
	}
	c.Caption = "What each resource carries at a mix of the two groups: the lowest line is the bottleneck there. By share of " + a.Groups[0].Name + ": " + strings.Join(parts, "; ") + "."
	c.Panels = []ChartPanel{p}
	return c, true
}

// SolveFiles draws the report of an answer: report.html, and each picture as SVG and PNG. Whatever could be drawn is there also when the error says that
// not everything could.
func SolveFiles(name string, a *solve.Answer, curve []solve.CurvePoint, scenario []byte) ([]PlanFile, error) {
	ds, err := drawAll(SolvePictures(name, a, curve), true)
	page := answerPage{Name: name, Subtitle: fmt.Sprintf("solved at %v of its rates: %s", a.At, a.Method), Words: SolveWords(a), Scenario: string(scenario)}
	var files []PlanFile
	for _, x := range ds {
		if len(x.svg) > 0 {
			files = append(files, PlanFile{x.Name + ".svg", append([]byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), x.svg...)})
		}
		if len(x.png) > 0 {
			files = append(files, PlanFile{x.Name + ".png", x.png})
		}
		page.Figures = append(page.Figures, pageFigure{Name: x.Name, Caption: x.Caption, SVG: template.HTML(x.svg)})
	}
	for _, t := range solveTables(a) {
		page.Tables = append(page.Tables, t.page())
	}
	b, perr := page.html()
	if perr == nil {
		files = append(files, PlanFile{PageFile, b})
	}
	return files, errors.Join(err, perr)
}
