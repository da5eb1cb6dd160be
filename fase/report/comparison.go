package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/runs"
)

// CompareText writes a comparison for a terminal: what differs between the scenarios, and then which measures do, which do not,
// and of which it cannot be told.
func CompareText(w io.Writer, c *judge.Comparison) error {
	var b strings.Builder
	fmt.Fprintf(&b, "A  %s\nB  %s\n%s\n", describeParty(c.A), describeParty(c.B), pairing(c))
	for _, t := range comparisonTables(c) {
		if len(t.rows) > 0 {
			b.WriteByte('\n')
			t.text(&b)
		}
	}
	for _, n := range c.Notes {
		fmt.Fprintf(&b, "\nnote: %s\n", clean(n))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write comparison: %w", err)
	}
	return nil
}

func describeParty(p judge.Party) string {
	seeds := make([]string, len(p.Seeds))
	for i, s := range p.Seeds {
		seeds[i] = fmt.Sprint(s)
	}
	word := "run"
	if len(p.Runs) > 1 {
		word = "runs"
	}
	return clean(fmt.Sprintf("%s: %d %s (%s), seed %s", p.Name, len(p.Runs), word, strings.Join(p.Kinds, ", "), strings.Join(seeds, ", ")))
}

// pairing says how the sides are compared.
func pairing(c *judge.Comparison) string {
	s := fmt.Sprintf("intervals at %g %%; alike: within %g %% of A; ", 100*float64(c.Confidence), 100*float64(c.Margin))
	if c.Paired {
		return s + "runs of one seed have the same arrivals and are compared in pairs"
	}
	return s + "not in pairs: " + clean(c.Unpaired)
}

func comparisonTables(c *judge.Comparison) []table {
	settings := table{title: "settings", head: []string{"", "A", "B"}, left: []int{1, 2}}
	for _, d := range c.Settings {
		settings.rows = append(settings.rows, []string{shorten(d.Path, 40), orDash(shorten(d.A, 60)), orDash(shorten(d.B, 60))})
	}
	out := []table{settings.first(maxTextRows, "in the JSON")}
	for _, x := range []struct{ verdict, title string }{
		{judge.Differs, "differ"}, {judge.Alike, "do not differ"}, {judge.Unknown, "cannot be told"},
	} {
		t := table{title: x.title, head: []string{"", "A", "B", "B less A", "of A", "better"}, left: []int{5}}
		if x.verdict == judge.Unknown {
			t.head[5] = "because"
		}
		for _, m := range c.Measures {
			if m.Verdict != x.verdict || x.verdict == judge.Alike && m.A.Value == 0 && m.B.Value == 0 {
				continue
			}
			last := strings.ToUpper(m.Better)
			if x.verdict == judge.Unknown {
				last = because(m)
			}
			t.rows = append(t.rows, []string{
				shorten(m.Name, 44), plusMinus(m.A, m.Unit), plusMinus(m.B, m.Unit), plusMinus(m.Difference, m.Unit), relative(m.Relative), last,
			})
		}
		out = append(out, t)
	}
	return out
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// because says why nothing can be said of a measure.
func because(m judge.Measure) string {
	if math.IsNaN(float64(m.Difference.Low)) {
		return m.By
	}
	return "the interval holds 0 and is wider than what is alike"
}

// plusMinus writes a figure with half of its interval.
func plusMinus(f judge.Figure, unit string) string {
	s := inUnit(float64(f.Value), unit)
	if half := float64(f.High-f.Low) / 2; half > 0 {
		s += " ± " + inUnit(half, unit)
	}
	return s
}

// inUnit writes a number of a unit: shares in percent.
func inUnit(x float64, unit string) string {
	switch {
	case math.IsNaN(x):
		return "–"
	case unit == "s" && x < 0:
		return "-" + duration(-x)
	case unit == "s":
		return duration(x)
	case unit == "1":
		return percent(x)
	}
	return number(x)
}

func relative(x runs.Number) string {
	switch y := float64(x); {
	case math.IsNaN(y):
		return ""
	case y > 0:
		return "+" + percent(y)
	default:
		return percent(y)
	}
}

// A Sided is one side of a comparison as it is drawn.
type Sided struct {
	Name string
	Runs []*Data
}

// Overlay draws two sides into the same panels, each the mean over its runs: the arrivals, the response times and errors of each
// group of clients, the replicas of each service, and the distribution of response times. There is no picture of runs whose
// windows differ.
func Overlay(a, b Sided) []Picture {
	sides := []Sided{a, b}
	width, end := a.Runs[0].Width, math.Inf(1)
	for _, s := range sides {
		for _, d := range s.Runs {
			if d.Width != width {
				return nil
			}
			end = min(end, d.end())
		}
	}
	first := a.Runs[0]
	var rows [][]panel
	for i := range first.groups {
		if i == 3 {
			break
		}
		rows = append(rows, overlayGroup(sides, first.groups[i].name)...)
	}
	for _, name := range supplied(sides) {
		rows = append(rows, []panel{overlaySupply(sides, name)})
	}
	var ps []Picture
	if len(rows) > 0 {
		f := &figure{
			title: shorten(a.Name, 40) + " and " + shorten(b.Name, 40), rows: rows, to: end, xLabel: "time since the start of the run (s)",
			xTicks: linearTicks(0, end, 12, plain), warmup: float64(first.Summary.Window.From),
		}
		ps = append(ps, f.picture("comparison", fmt.Sprintf("A: %s; B: %s. Means over the runs of each, in windows of %s.", clean(a.Name), clean(b.Name), duration(width.Seconds()))))
	}
	if p, ok := overlayDistribution(sides); ok {
		ps = append(ps, p)
	}
	return ps
}

// overlayGroup are the panels of one group: arrivals, p95, errors.
func overlayGroup(sides []Sided, name string) [][]panel {
	arrivals := panel{title: "Arrivals of " + shorten(name, 30) + " (1/s)", height: thinHeight}
	p95 := panel{title: "Response time p95 of " + shorten(name, 30) + ", logarithmic", height: panelHeight + 20, log: true, label: duration}
	failed := panel{title: "Errors of " + shorten(name, 30) + " (1/s)", height: thinHeight}
	errs := false
	for i, s := range sides {
		of := func(pick func(g *group) []float64) []float64 {
			return meanOf(s, func(d *Data) []float64 {
				for k := range d.groups {
					if d.groups[k].name == name {
						return pick(&d.groups[k])
					}
				}
				return nil
			})
		}
		grid := s.Runs[0].grid
		label := string(rune('A' + i))
		arrivals.lines = append(arrivals.lines, line{label: label, xs: grid.ends(), ys: of(func(g *group) []float64 { return g.issued }), color: hue(i), dashes: dash(i), step: true})
		p95.lines = append(p95.lines, line{label: label, xs: grid.middles(), ys: of(func(g *group) []float64 { return g.quantiles[1] }), color: hue(i), dashes: dash(i)})
		e := of(failures)
		errs = errs || most(e) > 0
		failed.lines = append(failed.lines, line{label: label, xs: grid.ends(), ys: e, color: hue(i), dashes: dash(i), step: true})
	}
	rows := [][]panel{{arrivals}, {p95}}
	if errs {
		rows = append(rows, []panel{failed})
	}
	return rows
}

// failures are the errors of a group of all causes.
func failures(g *group) []float64 {
	out := make([]float64, len(g.ended))
	for _, xs := range g.errors {
		for i, x := range xs {
			out[i] += x
		}
	}
	return out
}

// meanOf is the mean over the runs of a side, window by window; NaN where no run has a number.
func meanOf(s Sided, pick func(*Data) []float64) []float64 {
	out, n := make([]float64, s.Runs[0].grid.n), make([]float64, s.Runs[0].grid.n)
	for _, d := range s.Runs {
		for i, x := range pick(d) {
			if i < len(out) && !math.IsNaN(x) {
				out[i], n[i] = out[i]+x, n[i]+1
			}
		}
	}
	for i := range out {
		out[i] /= n[i] // 0/0 is NaN
	}
	return out
}

// supplied lists the services whose replicas changed in some run, at most four.
func supplied(sides []Sided) []string {
	var names []string
	for _, s := range sides {
		for _, d := range s.Runs {
			if a := d.Summary.Adaptation; a != nil {
				for name, e := range a.Services {
					if !slices.Contains(names, name) && (len(e.Supply) > 1 || e.Up+e.Down > 0) {
						names = append(names, name)
					}
				}
			}
		}
	}
	slices.SortFunc(names, runs.CompareNames)
	return names[:min(len(names), 4)]
}

func overlaySupply(sides []Sided, name string) panel {
	p := panel{title: "Replicas of " + shorten(name, 30), height: thinHeight}
	for i, s := range sides {
		grid := s.Runs[0].grid
		middles := grid.middles()
		ys := meanOf(s, func(d *Data) []float64 {
			if d.Summary.Adaptation == nil {
				return nil
			}
			ys := make([]float64, grid.n)
			for k, x := range middles {
				ys[k] = math.NaN()
				for _, l := range d.Summary.Adaptation.Services[name].Supply {
					if float64(l.From) <= x {
						ys[k] = float64(l.Replicas)
					}
				}
			}
			return ys
		})
		p.lines = append(p.lines, line{label: string(rune('A' + i)), xs: grid.ends(), ys: ys, color: hue(i), dashes: dash(i), step: true})
	}
	return p
}

// overlayDistribution shows which share of the requests took longer than a time, of all runs of each side.
func overlayDistribution(sides []Sided) (Picture, bool) {
	merged := &Data{Summary: &runs.Summary{}}
	for i, s := range sides {
		for k := range s.Runs[0].groups {
			g := group{name: string(rune('A'+i)) + " " + s.Runs[0].groups[k].name}
			sum := histSum(s, s.Runs[0].groups[k].name)
			g.total = sum.Hist()
			merged.groups = append(merged.groups, g)
		}
	}
	p, ok := merged.distribution()
	p.Name = "comparison-distribution"
	return p, ok
}

// histSum merges the response times of a group over the runs of a side.
func histSum(s Sided, name string) *dsv.HistSum {
	sum := &dsv.HistSum{}
	for _, d := range s.Runs {
		for k := range d.groups {
			if d.groups[k].name == name && d.groups[k].total != nil {
				sum.Add(d.groups[k].total)
			}
		}
	}
	return sum
}
