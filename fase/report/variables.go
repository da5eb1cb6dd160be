package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// variableTable tells what modules measured, in the unit of each variable. What was never written, or stayed 0, is named
// below. Columns that no variable fills are left out.
func variableTable(s *runs.Summary) table {
	t := table{title: "measured by modules", head: []string{"", "count", "per second", "last", "mean", "p50", "p95", "p99", "max"}}
	us := units(s)
	var idle []string
	for _, name := range s.VariableNames() {
		v := s.Variables[name]
		if _, size, _ := about(name, v); !(size > 0) {
			idle = append(idle, name)
			continue
		}
		in := func(x runs.Number) string { return quantity(float64(x), us[name]) }
		row := make([]string, len(t.head))
		row[0] = name
		switch {
		case v.Sum != nil:
			row[1], row[2] = in(v.Sum.Total), in(v.Sum.Rate)
		case v.Dist != nil:
			copy(row[4:], []string{in(v.Dist.Mean), in(v.Dist.P50), in(v.Dist.P95), in(v.Dist.P99), in(v.Dist.Max)})
			row[1] = number(float64(v.Dist.Count))
			row[2] = number(float64(v.Dist.Count) / float64(s.Window.To-s.Window.From))
		case v.Level != nil:
			row[3], row[4], row[8] = in(v.Level.Last), in(v.Level.Mean), in(v.Level.Max)
			if math.IsNaN(float64(v.Level.Max)) {
				row[3], row[8] = "min "+in(v.Level.Min), ""
			}
		}
		t.rows = append(t.rows, row)
	}
	if len(idle) > 0 {
		t.note = "Never written, or 0 all the time: " + listed(idle, maxIdle)
	}
	return t.filled()
}

// maxIdle bounds the variables that the note below a table names.
const maxIdle = 30

// listed names the first n of a list, and counts the others.
func listed(names []string, n int) string {
	if more := len(names) - n; more > 1 {
		return strings.Join(names[:n], ", ") + fmt.Sprintf(" and %s more", number(float64(more)))
	}
	return strings.Join(names, ", ")
}

// quantity writes a value with its unit.
func quantity(x float64, unit string) string {
	switch {
	case math.IsNaN(x):
		return "–"
	case unit == "s":
		return duration(x)
	case unit == "B":
		return size(x)
	case unit == "" || unit == "1":
		return number(x)
	}
	return number(x) + " " + shorten(unit, 16)
}

// filled is the table without the columns in which nothing stands.
func (t table) filled() table {
	for i := len(t.head) - 1; i > 0; i-- {
		if slices.ContainsFunc(t.rows, func(r []string) bool { return r[i] != "" }) {
			continue
		}
		t.head = slices.Delete(t.head, i, i+1)
		for k := range t.rows {
			t.rows[k] = slices.Delete(t.rows[k], i, i+1)
		}
	}
	return t
}

// first keeps the first n rows, and says how many there are more, and where.
func (t table) first(n int, where string) table {
	if more := len(t.rows) - n; more > 0 {
		t.rows = t.rows[:n]
		t.note = strings.TrimSpace(fmt.Sprintf("%s more %s. %s", number(float64(more)), where, t.note))
	}
	return t
}

// checkLines are the operational laws, a line for each.
func checkLines(s *runs.Summary) []checkLine {
	var out []checkLine
	for _, c := range s.Checks {
		l := checkLine{Verdict: string(c.Verdict), Tick: tick(c.Verdict)}
		switch c.Law {
		case runs.Little:
			g := s.Clients[c.Of]
			l.Text = c.Of + ": L = λW"
			l.Note = fmt.Sprintf("%s in flight; %s/s × %s = %s", number(float64(c.Measured)),
				number(float64(c.Expected/g.Response.Mean)), duration(float64(g.Response.Mean)), number(float64(c.Expected)))
		case runs.Utilisation:
			l.Text = c.Of + ".cpu: U = demand delivered ÷ capacity"
			l.Note = fmt.Sprintf("%s; %s", percent(float64(c.Measured)), percent(float64(c.Expected)))
		default:
			l.Text = string(c.Law) + " " + c.Of
		}
		switch {
		case c.Verdict == stat.Fail:
			l.Text += " is off by " + percent(float64(c.Error))
			if c.Law == runs.Utilisation && c.Measured > c.Expected {
				l.Note += ": it was busy for longer than the demand, as on a host that is slow or has other work"
			}
		case c.Verdict == stat.Inconclusive:
			l.Text += " within " + percent(max(float64(c.Error), 0.001))
			l.Note += "; the run is too short to tell"
		default:
			l.Text += " within " + percent(max(float64(c.Error), 0.001))
		}
		out = append(out, l)
	}
	return out
}

type checkLine struct{ Verdict, Tick, Text, Note string }
