package report

import (
	"fmt"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// sessionTable has one row for each page of each group's sessions: how often it was visited, beside what the graph of the
// session promises.
func sessionTable(s *runs.Summary) table {
	t := table{title: "pages", head: []string{"", "page", "visits", "expected", "within", "", "errors", "mean", "p50", "p95", "p99"}, left: []int{1, 5}}
	for _, name := range s.Groups() {
		x := s.Clients[name].Sessions
		if x == nil {
			continue
		}
		shown := name
		for _, p := range x.Pages {
			if p.Verdict == stat.Fail {
				t.bad = append(t.bad, len(t.rows))
			}
			t.rows = append(t.rows, []string{
				shown, p.Name, number(float64(p.Visits)), number(float64(p.Expected)), span(float64(p.Low), float64(p.High)), tick(p.Verdict),
				number(float64(p.Errors)), duration(float64(p.Response.Mean)), duration(float64(p.Response.P50)),
				duration(float64(p.Response.P95)), duration(float64(p.Response.P99)),
			})
			shown = ""
		}
	}
	if len(t.rows) > 0 {
		t.note = "visits of the whole run; expected of the sessions that began, without what the end of the run or an error cut short"
	}
	return t
}

// span writes the bounds of a count.
func span(low, high float64) string {
	if low != low || high != high {
		return "–"
	}
	return number(low) + "–" + number(high)
}

// sessionLines tells of the sessions of each group: their number, their length and their time, and whether they kept their
// graph.
func sessionLines(s *runs.Summary) []checkLine {
	var out []checkLine
	for _, name := range s.Groups() {
		x := s.Clients[name].Sessions
		if x == nil {
			continue
		}
		c := checkLine{Verdict: string(x.Verdict), Tick: tick(x.Verdict), Text: "visits of " + name + " follow its graph"}
		if x.Mix {
			c.Text = "requests of " + name + " follow its mix"
		}
		c.Note = fmt.Sprintf("%d of %d pages within bounds that hold at %s", passed(x), len(x.Pages), percent(float64(x.Together)))
		if x.Reason != "" {
			c.Note = x.Reason
		}
		if !x.Mix {
			c.Note += fmt.Sprintf("; %d sessions begun, %d ended, %.3g pages each expected", x.Begun, x.Ended, float64(x.Length))
			if x.Time != nil {
				c.Note += ", p50 " + duration(float64(x.Time.P50)) + ", p95 " + duration(float64(x.Time.P95))
			}
		}
		out = append(out, c)
	}
	return out
}

func passed(x *runs.Sessions) int {
	n := 0
	for _, p := range x.Pages {
		if p.Verdict == stat.Pass {
			n++
		}
	}
	return n
}
