package report

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// ReplicationsText writes what replications came to for a terminal. folder is where they are kept, or empty.
func ReplicationsText(w io.Writer, t *campaign.Table, folder string) error {
	var b strings.Builder
	n := "replication"
	if t.Replications != 1 {
		n += "s"
	}
	fmt.Fprintf(&b, "%s  sim, %d %s, seeds %d to %d, %s measured in each, %g %% intervals over replications\n", clean(t.Scenario), t.Replications, n,
		t.Seeds[0], t.Seeds[len(t.Seeds)-1], duration(float64(t.Window.To-t.Window.From)), 100*float64(t.Confidence))
	if t.Interrupted {
		b.WriteString("interrupted: these are the replications that had ended\n")
	}
	if u := t.Until; u != nil {
		fmt.Fprintf(&b, "%s\n", clean(until(t)))
	}
	for _, x := range replicationTables(t) {
		if len(x.rows) > 0 {
			b.WriteByte('\n')
			x.first(maxTextRows, "in replications.json").text(&b)
		}
	}
	if len(t.Expect) > 0 {
		b.WriteString("\nexpect, by intervals\n")
		for _, e := range t.Expect {
			fmt.Fprintf(&b, "  %s %s%s\n", tick(e.Verdict), clean(e.Text), clean(whyOver(e, t.Replications)))
		}
	}
	if len(t.Transients) > 0 {
		b.WriteString("\nwarm-up\n")
		for _, x := range t.Transients {
			fmt.Fprintf(&b, "  %s %s: %s\n", tick(x.Verdict), clean(x.Group), clean(x.Words))
		}
	}
	for _, x := range t.Warnings {
		fmt.Fprintf(&b, "\nwarning: %s\n", clean(x))
	}
	if folder != "" {
		fmt.Fprintf(&b, "\nreplications  %s\n", folder)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write replications: %w", err)
	}
	return nil
}

// until tells how far a goal was reached.
func until(t *campaign.Table) string {
	u := t.Until
	s := fmt.Sprintf("%s: ", u.Goal)
	switch {
	case u.Reached && u.Verdict != stat.Inconclusive && math.IsNaN(float64(u.Wanted)):
		s += "decided, " + map[stat.Verdict]string{stat.Pass: "it holds", stat.Fail: "it does not hold"}[u.Verdict]
	case u.Reached:
		s += fmt.Sprintf("reached: the interval is ± %s of the value", percent(u.Figure.Half()/math.Abs(float64(u.Figure.Value))))
	default:
		s += "not reached"
		if h := u.Figure.Half(); !math.IsNaN(h) {
			s += fmt.Sprintf(": the interval is ± %s of the value", percent(h/math.Abs(float64(u.Figure.Value))))
		}
		if u.Why != "" {
			s += "; " + u.Why
		}
	}
	if !math.IsNaN(float64(u.Wanted)) && u.Verdict != stat.Inconclusive {
		s += ", and the condition " + map[stat.Verdict]string{stat.Pass: "holds", stat.Fail: "does not hold"}[u.Verdict]
	}
	return s + fmt.Sprintf(", after %d replications", t.Replications)
}

func whyOver(e campaign.Expect, n int) string {
	var parts []string
	for _, c := range e.Comparisons {
		if !math.IsNaN(float64(c.Left.Value)) {
			parts = append(parts, fmt.Sprintf("%s (%s to %s)", bare(c.Left.Value), bare(c.Left.Low), bare(c.Left.High)))
		}
	}
	s := braced(strings.Join(append(parts, fmt.Sprintf("in %d of %d alone", e.Passed, n)), ", "))
	if e.Reason != "" {
		s += "  " + e.Reason
	}
	return s
}

// bare is a number in base units.
func bare(x runs.Number) string {
	if math.IsNaN(float64(x)) {
		return "–"
	}
	return fmt.Sprintf("%.4g", float64(x))
}

// A shown figure is one that a terminal is told of, by the end of its name.
type shown struct{ part, leaf, name, unit string }

var shownFigures = [...]shown{
	{"clients", "throughput_per_second", "throughput", "1/s"},
	{"clients", "error_share", "errors", "1"},
	{"clients", "response_seconds.mean", "mean", "s"},
	{"clients", "response_seconds.p50", "p50", "s"},
	{"clients", "response_seconds.p95", "p95", "s"},
	{"clients", "response_seconds.p99", "p99", "s"},
	{"services", "residence_seconds.mean", "residence mean", "s"},
	{"services", "residence_seconds.p95", "residence p95", "s"},
	{"servers", "utilisation", "", "1"},
	{"caches", "hit_ratio", "hits", "1"},
	{"adaptation", "violation_seconds", "seconds of violation", "s"},
	{"adaptation", "server_seconds", "server-seconds", "s"},
	{"decisions", "", "decisions", ""},
}

// replicationTables has one table for each part, and a row for each figure that is shown.
func replicationTables(t *campaign.Table) []table {
	var out []table
	for _, x := range t.Figures {
		for _, s := range shownFigures {
			of, ok := strings.CutSuffix(strings.TrimPrefix(x.Name, s.part+"."), s.leaf)
			if !ok || x.Name != s.part && !strings.HasPrefix(x.Name, s.part+".") || x.Value < 0.0005 && (s.part == "servers" || s.part == "decisions") || x.N == 0 {
				continue
			}
			title := strings.Replace(s.part, "decisions", "adaptation", 1)
			if len(out) == 0 || out[len(out)-1].title != title {
				out = append(out, table{title: title, head: []string{"", "mean", "interval", "deviation", "of"}})
			}
			if s.part == "decisions" {
				of = ""
			}
			row := &out[len(out)-1]
			f := judge.Figure{Value: x.Value, Low: x.Low, High: x.High, N: x.N}
			row.rows = append(row.rows, []string{
				strings.TrimSpace(strings.ReplaceAll(strings.Trim(of, "."), ".", " ") + " " + s.name), plusMinus(f, s.unit),
				inUnit(float64(x.Low), s.unit) + " to " + inUnit(float64(x.High), s.unit), inUnit(float64(x.Deviation), s.unit), number(float64(x.N)),
			})
			break
		}
	}
	return out
}
