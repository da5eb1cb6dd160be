package report

import (
	"errors"
	"fmt"
	"html/template"
	"math"

	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/plan"
)

// PlanPictures draws an answer: the response over the load with the bound, the knee and the three answers; servers over the load; throughput
// over counts with the law that was fitted.
func PlanPictures(name string, r *plan.Result) []Picture {
	var out []Picture
	for _, c := range []Chart{responseChart(name, r), growthChart(name, r), scalingChart(name, r)} {
		for _, p := range c.Panels {
			if len(p.Series) > 0 {
				out = append(out, c.Picture())
				break
			}
		}
	}
	return out
}

func responseChart(name string, r *plan.Result) Chart {
	c := Chart{
		Name: "response", Title: name + ": response over load",
		Caption: "What the objectives bound, over the load, at the counts that were found: the model scaled to the simulation (line), simulations and the emulation. " +
			"The dashed line across is the bound, the one upright the largest load that holds.",
	}
	if len(r.Curve) == 0 {
		return c
	}
	for i, l := range r.Limits {
		if l.Metric == find.Errors {
			continue
		}
		p := ChartPanel{Title: l.Name() + " of " + l.Of, XLabel: "requests per second", LogY: true, FormatY: duration}
		model := ChartSeries{Label: "solve", Smooth: true}
		top := 5 * l.Bound
		for _, x := range r.Curve {
			if v := x.Values[i].Value; v < top {
				model.Xs, model.Ys = append(model.Xs, x.Load), append(model.Ys, v)
			}
		}
		if len(model.Xs) < 2 {
			continue
		}
		from, to := model.Xs[0], model.Xs[len(model.Xs)-1]
		var simulated, emulated ChartSeries
		simulated.Label, emulated.Label = "simulate", "emulate"
		low, high := model.Ys[0], l.Bound
		for _, x := range sameCounts(r) {
			v := x.Values[i].Value
			if !(v > 0) || v > top {
				continue
			}
			s := &simulated
			if x.How == plan.Emulated {
				s = &emulated
			}
			s.Xs, s.Ys = append(s.Xs, x.Load), append(s.Ys, v)
			low, high, to = math.Min(low, v), math.Max(high, v), math.Max(to, x.Load)
		}
		p.Series = append(p.Series, model, ordered(simulated), ordered(emulated),
			ChartSeries{Label: "objective (across)", Bound: true, Xs: []float64{from, to}, Ys: []float64{l.Bound, l.Bound}})
		if k := r.Knee; k != nil && !k.Whole {
			at := k.Holds
			if at == 0 {
				at = k.Analytic
			}
			if at > from {
				p.Series = append(p.Series, ChartSeries{Label: "largest load that holds (upright)", Bound: true, Xs: []float64{at, at}, Ys: []float64{low, high}})
			}
		}
		c.Panels = append(c.Panels, p)
	}
	return c
}

// sameCounts are the points at the counts that were found, at any load.
func sameCounts(r *plan.Result) []plan.Point {
	var out []plan.Point
	for _, x := range r.Points {
		if x.How != plan.Solved && x.Counts.Covers(r.Counts) && r.Counts.Covers(x.Counts) {
			out = append(out, x)
		}
	}
	return out
}

// ordered sorts the points of a line by x.
func ordered(s ChartSeries) ChartSeries {
	for i := range s.Xs {
		for k := i; k > 0 && s.Xs[k] < s.Xs[k-1]; k-- {
			s.Xs[k], s.Xs[k-1], s.Ys[k], s.Ys[k-1] = s.Xs[k-1], s.Xs[k], s.Ys[k-1], s.Ys[k]
		}
	}
	return s
}

func growthChart(name string, r *plan.Result) Chart {
	c := Chart{Name: "servers", Title: name + ": servers over load", Caption: "The least of each tier that keeps the objectives, by the model scaled to the simulation."}
	p := ChartPanel{Title: "least count", XLabel: "requests per second"}
	if r.Knee != nil && r.Knee.Whole || len(r.Growth) < 2 {
		return c
	}
	for i, t := range r.Tiers {
		s := ChartSeries{Label: t.Name}
		for _, g := range r.Growth {
			y := math.NaN()
			if g.Counts != nil {
				y = float64(g.Counts[i])
			}
			s.Ys = append(s.Ys, y)
		}
		p.Series = append(p.Series, s)
	}
	for _, g := range r.Growth {
		p.Groups = append(p.Groups, number(g.Load))
	}
	c.Panels = []ChartPanel{p}
	return c
}

func scalingChart(name string, r *plan.Result) Chart {
	c := Chart{Name: "scalability", Title: name + ": throughput over counts"}
	s := r.Scaling
	if s == nil || len(s.Points) < 2 {
		return c
	}
	c.Caption = fmt.Sprintf("What so many of %s carry together when more is asked for, with plenty of everything else (simulated), and the universal scalability law. ", s.Tier)
	p := ChartPanel{Title: "requests per second", XLabel: s.Tier}
	measured, straight := ChartSeries{Label: "simulate"}, ChartSeries{Label: "in proportion", Bound: true}
	for _, x := range s.Points {
		measured.Xs, measured.Ys = append(measured.Xs, x.N), append(measured.Ys, x.X)
		straight.Xs, straight.Ys = append(straight.Xs, x.N), append(straight.Ys, x.N*s.Points[0].X/s.Points[0].N)
	}
	p.Series = []ChartSeries{measured}
	if s.Fit != nil {
		law := ChartSeries{Label: "law", Smooth: true}
		most := s.Points[len(s.Points)-1].N
		if s.Fit.Identifiable {
			most *= 2
		}
		for n := s.Points[0].N; n <= most; n++ {
			law.Xs, law.Ys = append(law.Xs, n), append(law.Ys, s.Fit.At(n))
		}
		p.Series = append(p.Series, law)
		if !s.Fit.Identifiable {
			c.Caption += "κ is not identifiable: " + s.Fit.Reason
		}
	}
	p.Series = append(p.Series, straight)
	c.Panels = []ChartPanel{p}
	return c
}

// A PlanFile is a file of a plan's report.
type PlanFile struct {
	Name    string
	Content []byte
}

// PlanFiles draws the report of an answer: report.html, and each picture as SVG and PNG. Whatever could be drawn is there also when the error
// says that not everything could.
func PlanFiles(name, load string, r *plan.Result, scenario []byte) ([]PlanFile, error) {
	ds, err := drawAll(PlanPictures(name, r), true)
	var files []PlanFile
	for _, x := range ds {
		if len(x.svg) > 0 {
			files = append(files, PlanFile{x.Name + ".svg", append([]byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), x.svg...)})
		}
		if len(x.png) > 0 {
			files = append(files, PlanFile{x.Name + ".png", x.png})
		}
	}
	page := answerPage{Name: name, Subtitle: planLimits(r.Limits) + " at " + load, Words: PlanWords(r), Scenario: string(scenario)}
	for _, x := range ds {
		page.Figures = append(page.Figures, pageFigure{Name: x.Name, Caption: x.Caption, SVG: template.HTML(x.svg)})
	}
	for _, t := range planTables(r) {
		page.Tables = append(page.Tables, t.page())
	}
	b, perr := page.html()
	if perr == nil {
		files = append(files, PlanFile{PageFile, b})
	}
	return files, errors.Join(err, perr)
}
