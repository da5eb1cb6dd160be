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

// maxPassed bounds the lines of one law that holds.
const maxPassed = 6

// checkLines are the operational laws, a line for each group and server; where a law holds of many, one for all of these; and
// how sessions kept their graph.
func checkLines(s *runs.Summary) []checkLine {
	var out []checkLine
	passed := map[runs.Law][]runs.Check{}
	for _, c := range s.Checks {
		if c.Verdict == stat.Pass {
			passed[c.Law] = append(passed[c.Law], c)
		}
	}
	for _, c := range s.Checks {
		if of := passed[c.Law]; c.Verdict == stat.Pass && len(of) > maxPassed {
			if c.Of == of[0].Of {
				out = append(out, passedLine(of))
			}
			continue
		}
		out = append(out, lineOf(s, c))
	}
	return append(out, sessionLines(s)...)
}

// passedLine tells of checks of one law that all passed.
func passedLine(cs []runs.Check) checkLine {
	var names []string
	worst := runs.Number(0)
	for _, c := range cs {
		names, worst = append(names, c.Of), max(worst, c.Error)
	}
	return checkLine{
		Verdict: string(stat.Pass), Tick: tick(stat.Pass),
		Text: lawText(cs[0].Law) + within(worst), Note: fmt.Sprintf("all of %d: %s", len(cs), listed(names, 4)),
	}
}

func lawText(l runs.Law) string {
	switch l {
	case runs.Little:
		return "L = λW"
	case runs.Utilisation:
		return "U = demand delivered ÷ capacity"
	}
	return string(l)
}

func within(x runs.Number) string { return " within " + percent(max(float64(x), 0.001)) }

// lineOf tells of one check.
func lineOf(s *runs.Summary, c runs.Check) checkLine {
	l := checkLine{Verdict: string(c.Verdict), Tick: tick(c.Verdict), Text: c.Of + ": " + lawText(c.Law)}
	switch c.Law {
	case runs.Little:
		mean := s.Clients[c.Of].Response.Mean
		l.Note = fmt.Sprintf("%s in flight; %s/s × %s = %s", number(float64(c.Measured)), number(float64(c.Expected/mean)),
			duration(float64(mean)), number(float64(c.Expected)))
	case runs.Utilisation:
		l.Text = c.Of + ".cpu: " + lawText(c.Law)
		l.Note = fmt.Sprintf("%s; %s", percent(float64(c.Measured)), percent(float64(c.Expected)))
	}
	if c.Verdict != stat.Fail {
		l.Text += within(c.Error)
	} else {
		l.Text += " is off by " + percent(float64(c.Error))
	}
	switch {
	case c.Verdict != stat.Inconclusive:
	case c.Law == runs.Utilisation:
		l.Note += ": busy for longer than the demand, as on a host that is slow or has other work"
	default:
		l.Note += "; the run is too short to tell"
	}
	return l
}

type checkLine struct{ Verdict, Tick, Text, Note string }
