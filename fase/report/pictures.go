package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/service"
)

// Pictures draws everything that the run has data for; the first one shows the run at a glance.
func (d *Data) Pictures() []Picture {
	var ps []Picture
	if len(d.groups)+len(d.servers) > 0 {
		ps = append(ps, d.adaptation())
	}
	if p, ok := d.elasticity(); ok {
		ps = append(ps, p)
	}
	if p, ok := d.controlled(); ok {
		ps = append(ps, p)
	}
	if p, ok := d.measured(); ok {
		ps = append(ps, p)
	}
	for i := range d.groups {
		ps = append(ps, d.clients(i))
	}
	if len(d.servers) > 0 {
		ps = append(ps, d.serversPicture())
	}
	if p, ok := d.processesPicture(); ok {
		ps = append(ps, p)
	}
	if p, ok := d.mapping(); ok {
		ps = append(ps, p)
	}
	if p, ok := d.distribution(); ok {
		ps = append(ps, p)
	}
	return ps
}

// fileName makes a name of files of whatever a thing is called.
func fileName(parts ...string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, strings.ToLower(strings.Join(parts, "-")))
}

// timed is a figure over the time of the run.
func (d *Data) timed(title string, rows [][]panel) *figure {
	end := d.end()
	f := &figure{
		title: title, rows: rows, from: 0, to: end, xLabel: "time since the start of the run (s)",
		warmup: float64(d.Summary.Window.From), marks: d.marks(), copies: d.copySpans(), faults: d.faultSpans(),
	}
	columns := 1
	if len(rows) > 0 {
		columns = len(rows[0])
	}
	f.xTicks = linearTicks(0, end, 12/columns, plain)
	if f.warmup > 0 && len(rows) > 0 {
		rows[0][0].legend = append(rows[0][0].legend, entry{label: "warm-up", color: warmTone(), area: true})
	}
	if len(f.faults) > 0 && len(rows) > 0 {
		rows[0][0].legend = append(rows[0][0].legend, entry{label: "a fault is in force", color: faultTone(), area: true})
	}
	if len(f.copies) > 0 && len(rows) > 0 {
		rows[0][0].legend = append(rows[0][0].legend, entry{label: "a copy is under way", color: faint(hue(2), 40), area: true})
	}
	return f
}

// marks are the decisions, a labelled line when one was taken or failed, a faint one when it took effect; and what became of
// modules.
func (d *Data) marks() []mark {
	var ms []mark
	n := 0
	for _, x := range d.Summary.Decisions {
		switch m := (mark{at: float64(x.Time)}); x.Phase {
		case "decided":
			n++
			m.label, m.number = x.Action, n
			ms = append(ms, m)
		case "failed":
			n++
			m.label, m.number, m.failed = "failed: "+x.Action, n, true
			ms = append(ms, m)
		case adapt.Lost:
			n++
			m.label, m.number, m.failed = "lost: "+x.Rule, n, true
			ms = append(ms, m)
		case "switched":
			ms = append(ms, m)
		}
	}
	ms = append(ms, d.eventMarks()...)
	slices.SortStableFunc(ms, func(a, b mark) int { return cmp.Compare(a.at, b.at) })
	return ms
}

// markCaption explains the marks, where there are any.
func (d *Data) markCaption() string {
	s := ""
	if len(d.Summary.Decisions) > 0 {
		s = " Solid vertical lines are decisions, numbered as in the table; dotted ones are the moments when they took effect."
	}
	if len(d.events) > 0 {
		s += " Dashed vertical lines are modules that joined, ended or failed."
	}
	return s
}

func (d *Data) warmCaption() string {
	if d.Summary.Window.From > 0 {
		return " The shaded stretch is the warm-up, which the summary leaves out."
	}
	return ""
}

// unitFor scales seconds to the unit in which the greatest of them reads best.
func unitFor(most float64) (factor float64, unit string) {
	switch {
	case most >= 1 || most <= 0:
		return 1, "s"
	case most >= 1e-3:
		return 1e3, "ms"
	default:
		return 1e6, "µs"
	}
}

func scaled(xs []float64, factor float64) []float64 {
	out := make([]float64, len(xs))
	for i, x := range xs {
		out[i] = x * factor
	}
	return out
}

// adaptation stacks arrivals, response time and the utilisation of each server on one time axis.
func (d *Data) adaptation() Picture {
	var rows [][]panel
	var told []string
	if len(d.groups) > 0 {
		rows = [][]panel{{d.arrivals()}, {d.responses()}}
		told = []string{"response time"}
	}
	shown := d.busiest(6)
	for _, i := range shown {
		rows = append(rows, []panel{d.utilisation(i, thinHeight)})
	}
	what := "Utilisation of each server"
	switch {
	case len(d.servers) == 0:
		what = "Arrivals and response times of the clients"
	case len(d.groups) > 0:
		what = "Arrivals, response times of the clients and utilisation of each server"
	}
	if len(d.servers) > 0 {
		told = append(told, "utilisation")
	}
	f := d.timed(d.Summary.Scenario+": "+strings.Join(told, " and "), rows)
	caption := fmt.Sprintf("%s in windows of %s.", what, duration(d.Width.Seconds()))
	if len(shown) < len(d.servers) {
		caption += fmt.Sprintf(" Of %d servers the %d busiest are shown.", len(d.servers), len(shown))
	}
	return f.picture("adaptation", caption+d.markCaption()+d.warmCaption())
}

// busiest returns the indices of at most n servers with the highest CPU utilisation, in the order of the servers.
func (d *Data) busiest(n int) []int {
	is := make([]int, len(d.servers))
	for i := range is {
		is[i] = i
	}
	load := func(i int) float64 {
		m := 0.0
		for _, r := range d.Summary.Servers[d.servers[i].name] {
			m = max(m, float64(r.Utilisation))
		}
		return m
	}
	slices.SortStableFunc(is, func(a, b int) int {
		switch x, y := load(a), load(b); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	is = is[:min(n, len(is))]
	slices.Sort(is)
	return is
}

func (d *Data) arrivals() panel {
	p := panel{title: "Arrival rate (1/s)", height: thinHeight}
	for i, g := range d.groups {
		label := ""
		if len(d.groups) > 1 {
			label = shorten(g.name, 24)
		}
		p.lines = append(p.lines, line{label: label, xs: d.grid.ends(), ys: g.issued, color: hue(i), step: true, fill: len(d.groups) == 1})
	}
	if len(d.groups) == 1 && d.groups[0].target != nil {
		p.lines[0].label = "issued"
		p.lines = append(p.lines, line{label: "planned", xs: d.grid.ends(), ys: d.groups[0].target, color: ink(), dashes: dash(1), width: 0.9, step: true})
	}
	return p
}

func (d *Data) responses() panel {
	high := 0.0
	for _, g := range d.groups {
		high = max(high, most(g.quantiles[1]))
	}
	factor, unit := unitFor(high)
	p := panel{title: "Response time (" + unit + ")", height: panelHeight}
	if len(d.groups) == 1 {
		p.title = "Response time of " + shorten(d.groups[0].name, 30) + " (" + unit + ")"
	}
	for i, g := range d.groups {
		if len(d.groups) == 1 {
			p.lines = append(p.lines, line{label: "p50", xs: d.grid.middles(), ys: scaled(g.quantiles[0], factor), color: hue(5)})
		}
		label := "p95"
		if len(d.groups) > 1 {
			label = "p95 " + shorten(g.name, 20)
		}
		p.lines = append(p.lines, line{label: label, xs: d.grid.middles(), ys: scaled(g.quantiles[1], factor), color: hue(i)})
	}
	if high == 0 {
		p.note = "no request finished"
	}
	return p
}

func (d *Data) utilisation(i int, height vg.Length) panel {
	s := d.servers[i]
	p := panel{title: "Utilisation of " + shorten(s.name, 30) + " (%)", height: height, low: 0, high: 106}
	p.yTicks = []plot.Tick{{Value: 0, Label: "0"}, {Value: 50, Label: "50"}, {Value: 100, Label: "100"}}
	for _, r := range s.resources {
		if m := 100 * most(r.utilisation); m > p.high { // a target of several processors
			p.high, p.yTicks = 1.06*m, nil
		}
	}
	for _, r := range s.resources {
		p.lines = append(p.lines, line{
			label: r.name, xs: d.grid.ends(), ys: scaled(r.utilisation, 100), color: d.color(s.name), dashes: dash(r.index),
			step: true, fill: r.name == "cpu",
		})
	}
	return p
}

// color is that of a server in every picture; the first hue is the first group's.
func (d *Data) color(name string) rgba { return hue(d.order[name] + 1) }

// clients shows one group: what it asked for, what it got, what went wrong.
func (d *Data) clients(i int) Picture {
	g := d.groups[i]
	rate := panel{title: "Requests (1/s)", height: panelHeight}
	rate.lines = append(rate.lines,
		line{label: "issued", xs: d.grid.ends(), ys: g.issued, color: hue(0), step: true, fill: true},
		line{label: "finished", xs: d.grid.ends(), ys: g.ended, color: hue(2), step: true})
	if g.target != nil {
		rate.lines = append(rate.lines, line{label: "planned", xs: d.grid.ends(), ys: g.target, color: ink(), dashes: dash(1), width: 0.9, step: true})
	}
	response := panel{title: "Response time, logarithmic", height: 150, log: true, label: duration}
	for k, label := range []string{"p50", "p95", "p99"} {
		response.lines = append(response.lines, line{label: label, xs: d.grid.middles(), ys: g.quantiles[k], color: hue([]int{5, 0, 1}[k])})
	}
	if g.total.Count() == 0 && most(g.quantiles[2]) == 0 {
		response.note = "no request finished"
	}
	rows, lags := [][]panel{{rate}, {response}, {d.errors(g)}}, ""
	if lag, ok := d.lag(g); ok {
		rows, lags = append(rows, []panel{lag}), ", how late the generator sent"
	}
	for _, p := range d.changed(g) {
		rows = append(rows, []panel{p})
	}
	f := d.timed("Clients "+g.name, rows)
	f.marks = append(f.marks, d.changeMarks(g, f.marks)...)
	slices.SortStableFunc(f.marks, func(a, b mark) int { return cmp.Compare(a.at, b.at) })
	caption := "What the group asked for, how long answers took from the moment each request was due (errors and time-outs included), errors by cause" + lags + ", in windows of " +
		duration(d.Width.Seconds()) + "."
	return f.picture(fileName("clients", g.name), caption+d.markCaption()+d.warmCaption())
}

func (d *Data) errors(g group) panel {
	p := panel{title: "Errors (1/s)", height: thinHeight}
	for i, c := range service.Causes() {
		if ys, ok := g.errors[c.String()]; ok {
			p.lines = append(p.lines, line{label: c.String(), xs: d.grid.ends(), ys: ys, color: hue(i + 1), dashes: dash(i + i/hues), step: true})
		}
	}
	if len(p.lines) == 0 {
		p.note = "none"
	}
	return p
}
