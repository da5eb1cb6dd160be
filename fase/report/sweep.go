package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/sweep"
)

// SweepText writes the table of a sweep for a terminal: a row for each point, a table for each group of clients. notes stand below it.
func SweepText(w io.Writer, t *sweep.Table, notes ...string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", clean(t.Name), sweepSubtitle(t))
	for _, x := range sweepTables(t) {
		b.WriteByte('\n')
		x.first(maxTextRows, "in table.csv").text(&b)
	}
	remarks := append(sweepRemarks(t), notes...)
	if len(remarks) > 0 {
		b.WriteByte('\n')
	}
	for _, n := range remarks {
		fmt.Fprintf(&b, "note: %s\n", clean(n))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write sweep: %w", err)
	}
	return nil
}

// sweepSubtitle says in a line what a sweep is.
func sweepSubtitle(t *sweep.Table) string {
	how := "run for real"
	if t.Kind == runs.Virtual {
		how = "simulated"
	}
	s := fmt.Sprintf("%s at %d points with %s", how, len(t.Rows), seedList(t.Seeds))
	if len(t.Rows) == 1 {
		s = strings.Replace(s, "points", "point", 1)
	}
	if len(t.Seeds) > 1 {
		s += fmt.Sprintf("; means over seeds ± half of their intervals at %g %%", 100*sweep.Confidence)
	}
	if !t.Complete() {
		s += fmt.Sprintf("; %d of %d runs are there", t.Results, t.Runs)
	}
	return s
}

func seedList(seeds []uint64) string {
	if len(seeds) == 1 {
		return fmt.Sprintf("seed %d", seeds[0])
	}
	if len(seeds) > 6 {
		return fmt.Sprintf("%d seeds", len(seeds))
	}
	texts := make([]string, len(seeds))
	for i, s := range seeds {
		texts[i] = fmt.Sprint(s)
	}
	return "seeds " + strings.Join(texts, ", ")
}

// sweepTables are the points as tables: one for each group, the last of which has what is of all of them.
func sweepTables(t *sweep.Table) []table {
	var groups []string
	for _, m := range t.Metrics {
		if m.Group != "" && !slices.Contains(groups, m.Group) {
			groups = append(groups, m.Group)
		}
	}
	if len(groups) == 0 {
		return []table{sweepTable(t, "", true)}
	}
	var out []table
	for i, g := range groups {
		out = append(out, sweepTable(t, g, i == len(groups)-1))
	}
	return out
}

// sweepTable has the metrics of a group, and where it is the last table, those of no group, and remarks.
func sweepTable(t *sweep.Table, group string, last bool) table {
	out := table{title: group}
	var axes []int
	for i, a := range t.Axes {
		if len(a.Values) > 1 || len(t.Axes) == 1 {
			axes = append(axes, i)
			for _, p := range a.Paths {
				out.head = append(out.head, axisHead(p))
			}
		}
	}
	if len(axes) == 0 {
		out.head = []string{"point"}
	}
	if group != "" { // the title takes the place of the first head
		out.head = append([]string{""}, out.head...)
	} else {
		out.title = out.head[0]
	}
	var shown []int
	beside := make([]bool, len(t.Metrics))
	for i, m := range t.Metrics {
		if m.Group == group || m.Group == "" && last {
			shown = append(shown, i)
			out.head = append(out.head, metricHead(m))
			if beside[i] = besides(t, i); beside[i] {
				out.head = append(out.head, "theory")
			}
		}
	}
	remarks := last && slices.ContainsFunc(t.Rows, func(r sweep.Row) bool { return remark(t, r) != "" })
	if remarks {
		out.left = append(out.left, len(out.head))
		out.head = append(out.head, "remark")
	}
	for n, r := range t.Rows {
		var row []string
		if group != "" {
			row = append(row, "")
		}
		for _, i := range axes {
			for _, text := range t.Axes[i].Values[r.At[i]].Texts {
				row = append(row, orDash(shorten(text, 24)))
			}
		}
		if len(axes) == 0 {
			row = append(row, fmt.Sprint(r.Point))
		}
		for _, i := range shown {
			row = append(row, sweepCell(t.Metrics[i], r, i))
			if beside[i] {
				row = append(row, inUnit(float64(r.Cells[i].Theory), t.Metrics[i].Unit))
			}
		}
		if remarks {
			row = append(row, remark(t, r))
		}
		if r.Seeds < len(t.Seeds) {
			out.bad = append(out.bad, n)
		}
		out.rows = append(out.rows, row)
	}
	return out
}

// axisHead is the head of a path's column: what it begins with goes without saying.
func axisHead(path string) string {
	for _, p := range []string{"clients.", "servers.", "services."} {
		if rest, ok := strings.CutPrefix(path, p); ok {
			return shorten(rest, 28)
		}
	}
	return shorten(path, 28)
}

func metricHead(m sweep.Metric) string {
	switch m.Figure {
	case "":
		return shorten(m.Name, 40)
	case sweep.Throughput:
		return "done/s"
	}
	return string(m.Figure)
}

// besides says whether a table sets theory beside a metric: that throughput is what is offered needs no column.
func besides(t *sweep.Table, metric int) bool {
	switch t.Metrics[metric].Figure {
	case sweep.Throughput, sweep.Errors, sweep.Expect, sweep.P50, sweep.P99:
		return false
	}
	return t.HasTheory(metric)
}

// sweepCell writes a figure with half of its interval; the busiest resource with its name.
func sweepCell(m sweep.Metric, r sweep.Row, i int) string {
	c := r.Cells[i]
	s := inUnit(float64(c.Value), m.Unit)
	if m.Figure == sweep.Expect && !math.IsNaN(float64(c.Value)) {
		switch c.Value {
		case 1:
			return "✓"
		case 0:
			return "✗"
		}
		return fmt.Sprintf("%.0f of %d", math.Round(float64(c.Value)*float64(c.N)), c.N)
	}
	if half := float64(c.High-c.Low) / 2; c.HasInterval() && half > 0 {
		s = give(float64(c.Value), half, m.Unit)
	}
	if m.Figure == sweep.Busiest && r.Busiest != "" {
		s = r.Busiest + " " + s
	}
	return s
}

// give writes a value and what may be given or taken, in the unit of the value: "12 ± 1 ms".
func give(x, half float64, unit string) string {
	switch {
	case unit == "s" && x > 0:
		factor, name := unitFor(x)
		return number(x*factor) + " ± " + plain(roundTo(half*factor, 2)) + " " + name
	case unit == "1":
		return strings.TrimSuffix(percent(x), " %") + " ± " + strings.TrimSuffix(percent(half), " %") + " %"
	}
	return inUnit(x, unit) + " ± " + plain(roundTo(half, 2))
}

// remark says in a few words what to know of a point.
func remark(t *sweep.Table, r sweep.Row) string {
	var parts []string
	if r.Unstable != "" {
		resource, _, _ := strings.Cut(r.Unstable, " ")
		parts = append(parts, "overload of "+resource)
	}
	switch missing := len(t.Seeds) - r.Seeds; {
	case missing == 0:
	case len(r.Notes) > 0 && r.Seeds == 0:
		parts = append(parts, "failed")
	case r.Seeds == 0:
		parts = append(parts, "not run")
	default:
		parts = append(parts, fmt.Sprintf("%d of %d seeds", r.Seeds, len(t.Seeds)))
	}
	if slices.ContainsFunc(r.Notes, func(n string) bool { return strings.HasPrefix(n, "limited") }) {
		parts = append(parts, "limited by its generator")
	}
	return strings.Join(parts, ", ")
}

// maxRemarks bounds the sentences below a table.
const maxRemarks = 8

// sweepRemarks tell, a sentence each, what is to be known of points: overloads by resource, then what went wrong.
func sweepRemarks(t *sweep.Table) []string {
	var out []string
	var over []string
	for _, r := range t.Rows {
		if r.Unstable != "" {
			over = append(over, fmt.Sprintf("%s (%s)", strings.Join(r.Set, ", "), r.Unstable))
		}
	}
	if n := len(over); n > 0 {
		const shown = 3
		text := strings.Join(over[:min(n, shown)], "; ")
		if n > shown {
			text += fmt.Sprintf("; and %d more", n-shown)
		}
		out = append(out, "overloaded, so that a queue grows as long as the run lasts and its figures are of this duration only: "+text)
	}
	left := 0
	for _, r := range t.Rows {
		for _, n := range r.Notes {
			if len(out) >= maxRemarks {
				left++
				continue
			}
			first, _, _ := strings.Cut(n, "\n")
			out = append(out, strings.Join(r.Set, ", ")+": "+first)
		}
	}
	if left > 0 {
		out = append(out, fmt.Sprintf("and %d more in table.csv", left))
	}
	return out
}
