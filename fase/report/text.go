package report

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// maxTextRows bounds the rows of one table on a terminal.
const maxTextRows = 60

// Text writes a summary for a terminal: compact aligned tables. page is the path of the report, or empty.
func Text(w io.Writer, s *runs.Summary, page string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s, seed %d, %s measured%s\n", clean(s.Scenario), s.Kind, s.Seed,
		duration(float64(s.Window.To-s.Window.From)), suffix(s))
	for _, t := range tables(s) {
		if len(t.rows) > 0 || t.note != "" {
			b.WriteByte('\n')
			t.first(maxTextRows, "in the report").text(&b)
		}
	}
	if ms := meanings(s); len(ms) > 0 {
		b.WriteString("\nwhat the figures mean\n")
		for _, m := range ms {
			m.text(&b)
		}
	}
	for _, part := range []struct {
		head  string
		lines []checkLine
	}{{"books", bookLines(s)}, {"checks", checkLines(s)}} {
		if len(part.lines) == 0 {
			continue
		}
		b.WriteString("\n" + part.head + "\n")
		for _, c := range part.lines {
			fmt.Fprintf(&b, "  %s %s  (%s)\n", c.Tick, clean(c.Text), clean(c.Note))
		}
	}
	if len(s.Expect) > 0 {
		b.WriteString("\nexpect\n")
		for _, e := range s.Expect {
			fmt.Fprintf(&b, "  %s %s%s\n", tick(e.Verdict), clean(e.Text), clean(why(e)))
		}
	}
	for _, x := range notes(s) {
		fmt.Fprintf(&b, "\n%s\n", clean(x))
	}
	if page != "" {
		fmt.Fprintf(&b, "\nreport  %s\n", page)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

func suffix(s *runs.Summary) string {
	switch {
	case s.Interrupted && s.Error != "":
		return ", interrupted: " + clean(s.Error)
	case s.Interrupted:
		return ", interrupted"
	case s.Error != "":
		return ", failed: " + clean(s.Error)
	}
	return ""
}

// notes are what a reader should know before believing the figures.
func notes(s *runs.Summary) []string {
	var ns []string
	type fate struct{ state, exit string }
	var fates []fate
	by := map[fate][]runs.Module{}
	for _, m := range s.Modules {
		if m.Exit == "" {
			continue
		}
		f := fate{m.State, m.Exit}
		if by[f] == nil {
			fates = append(fates, f)
		}
		by[f] = append(by[f], m)
	}
	for _, f := range fates {
		ns = append(ns, fateNote(by[f]))
	}
	for _, x := range s.Warnings {
		ns = append(ns, "warning: "+x)
	}
	return ns
}

// fateNote tells what became of modules that ended alike.
func fateNote(ms []runs.Module) string {
	first, last := math.Inf(1), math.Inf(-1)
	var names []string
	for _, m := range ms {
		names = append(names, m.Name)
		if at := float64(m.At); at == at {
			first, last = min(first, at), max(last, at)
		}
	}
	slices.SortFunc(names, runs.CompareNames)
	n := "module "
	if len(names) > 1 {
		n = "modules "
	}
	n += listed(names, 3) + " " + ms[0].State + ": " + ms[0].Exit
	switch {
	case first < last && clock(first) != clock(last):
		n += " from " + clock(first) + " to " + clock(last)
	case first <= last:
		n += " at " + clock(first)
	}
	return n
}

func tick(v stat.Verdict) string {
	switch v {
	case stat.Pass:
		return "✓"
	case stat.Fail:
		return "✗"
	default:
		return "?"
	}
}

// why tells the readings behind a verdict, or why there is none.
func why(e runs.Expect) string {
	if e.Reason != "" {
		return "  (" + e.Reason + ")"
	}
	return braced(readings(e.Readings))
}

func braced(s string) string {
	if s == "" {
		return ""
	}
	return "  (" + s + ")"
}

// readings are the values behind a condition, sorted by text.
func readings(m map[string]runs.Number) string {
	parts := make([]string, 0, len(m))
	for _, k := range slices.SortedFunc(maps.Keys(m), runs.CompareNames) {
		parts = append(parts, k+" = "+reading(k, float64(m[k])))
	}
	return strings.Join(parts, ", ")
}

// reading writes a value with the unit that its text suggests: quantiles and latencies are seconds.
func reading(text string, x float64) string {
	switch {
	case strings.Contains(text, "latency") || strings.Contains(text, "residence") || strings.Contains(text, "send_lag"):
		if !strings.HasPrefix(text, "count(") && !strings.HasPrefix(text, "rate(") {
			return duration(x)
		}
	case strings.Contains(text, "utilisation"):
		return percent(x)
	}
	return number(x)
}

// A table is rows of cells; the first column is left-aligned, and so are those in left.
type table struct {
	title string
	head  []string
	rows  [][]string
	left  []int
	bad   []int  // rows that need attention
	note  string // stands below
}

// tables are the results as tables, for terminal and page alike.
func tables(s *runs.Summary) []table {
	return []table{clientTable(s), generatorTable(s), sessionTable(s), sloTable(s), adaptationTable(s), serverTable(s), cacheTable(s), stationTable(s), serviceTable(s), processTable(s), variableTable(s), faultTable(s), decisionTable(s), transferTable(s), elasticTable(s)}
}

func clientTable(s *runs.Summary) table {
	t := table{title: "clients", head: []string{"", "requests", "rate/s", "planned/s", "errors", "mean", "p50", "p95", "p99", "max", "lag p99"}}
	for i, name := range s.Groups() {
		c := s.Clients[name]
		planned := float64(c.TargetRate)
		if c.Sessions != nil && !c.Sessions.Mix {
			planned = math.NaN() // what is planned is sessions
		}
		t.rows = append(t.rows, []string{
			name, number(float64(c.Requests)), number(float64(c.AchievedRate)), number(planned), number(float64(c.Errors[runs.AllErrors])),
			duration(float64(c.Response.Mean)), duration(float64(c.Response.P50)), duration(float64(c.Response.P95)),
			duration(float64(c.Response.P99)), duration(float64(c.Response.Max)), duration(float64(c.SendLag.P99)),
		})
		if c.GeneratorLimited || slices.ContainsFunc(c.Gates, func(g runs.Gate) bool { return g.Verdict == stat.Fail }) {
			t.bad = append(t.bad, i)
		}
	}
	return t
}

// serverTable has one row for each resource that was used, and the CPU always.
func serverTable(s *runs.Summary) table {
	t := table{title: "servers", head: []string{"", "resource", "utilisation", "jobs", "demanded", "delivered"}, left: []int{1}}
	for _, name := range s.ServerNames() {
		shown := name
		for _, r := range runs.Resources() {
			x, ok := s.Servers[name][r]
			if !ok || r != "cpu" && x.Utilisation < 0.0005 && x.Queue < 0.0005 {
				continue
			}
			demanded, delivered := duration(float64(x.Requested)), duration(float64(x.Delivered))
			if r == "memory" {
				demanded, delivered = size(float64(x.RequestedBytes)), size(float64(x.DeliveredBytes))
			}
			t.rows = append(t.rows, []string{shown, string(r), percent(float64(x.Utilisation)), number(float64(x.Queue)), demanded, delivered})
			shown = ""
		}
	}
	return t
}

func cacheTable(s *runs.Summary) table {
	t := table{title: "caches", head: []string{"", "files", "hits", "misses", "hit ratio", "kept"}}
	for _, name := range s.CacheNames() {
		x := s.Caches[name]
		t.rows = append(t.rows, []string{
			name, number(float64(x.Hits + x.Misses)), number(float64(x.Hits)), number(float64(x.Misses)), percent(float64(x.HitRatio)), size(float64(x.Bytes)),
		})
	}
	return t
}

// stationTable has one row for each pool of workers, and each lock that was entered.
func stationTable(s *runs.Summary) table {
	t := table{title: "workers and locks", head: []string{"", "held", "jobs", "entered", "wait mean", "p95", "held mean"}}
	for _, name := range s.StationNames() {
		x := s.Stations[name]
		t.rows = append(t.rows, []string{
			name, percent(float64(x.Utilisation)), number(float64(x.Queue)), number(float64(x.Wait.Count)),
			duration(float64(x.Wait.Mean)), duration(float64(x.Wait.P95)), duration(float64(x.Service.Mean)),
		})
	}
	return t
}

func serviceTable(s *runs.Summary) table {
	t := table{title: "services", head: []string{"", "requests", "errors", "latency p50", "p95", "p99", "residence p50", "p95"}}
	rejects := false
	for _, x := range s.Services {
		rejects = rejects || x.Rejected > 0
	}
	if rejects {
		t.head = append(t.head, "rejected")
	}
	for _, name := range s.ServiceNames() {
		x := s.Services[name]
		row := []string{
			name, number(float64(x.Requests)), number(float64(x.Errors)), duration(float64(x.Latency.P50)), duration(float64(x.Latency.P95)),
			duration(float64(x.Latency.P99)), duration(float64(x.Residence.P50)), duration(float64(x.Residence.P95)),
		}
		if rejects {
			row = append(row, number(float64(x.Rejected)))
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func decisionTable(s *runs.Summary) table {
	t := table{title: "decisions", head: []string{"", "at", "rule", "action", "phase", "why"}, left: []int{2, 3, 4, 5}}
	n := 0
	for i, d := range s.Decisions {
		if i > 0 && goesOn(&s.Decisions[i-1], &d) {
			last := t.rows[len(t.rows)-1]
			if !slices.Contains(strings.Split(last[4], ", "), d.Phase) { // each of several copies tells its own
				last[4] += ", " + d.Phase
			}
			continue
		}
		label := ""
		if d.Phase == "decided" || d.Phase == "failed" || d.Phase == adapt.Lost {
			n++
			label = fmt.Sprint(n)
		}
		reason := readings(d.Reading)
		if d.Cause != "" {
			reason = d.Cause
			t.bad = append(t.bad, len(t.rows))
		}
		t.rows = append(t.rows, []string{label, clock(float64(d.Time)), d.Rule, d.Action, d.Phase, reason})
	}
	return t
}

// goesOn reports whether a step of an action belongs into the row of the one before: both were taken at one instant, and nothing is to be
// said of either.
func goesOn(before, d *runs.Decision) bool {
	plain := func(d *runs.Decision) bool {
		return d.Cause == "" && slices.Contains([]string{"copied", "switched", "done"}, d.Phase)
	}
	return plain(before) && plain(d) && before.Rule == d.Rule && before.Action == d.Action && before.Time == d.Time
}

// size writes bytes: "1.5 MiB".
func size(x float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; x >= 1024 && i < len(units)-1; i++ {
		x /= 1024
	}
	return plain(roundTo(x, 3)) + " " + units[i]
}

// text writes the table with aligned columns.
func (t table) text(b *strings.Builder) {
	head := slices.Clone(t.head)
	head[0] = t.title
	rows := [][]string{head}
	for _, r := range t.rows {
		row := make([]string, len(r))
		for i, c := range r {
			row[i] = clean(c)
		}
		rows = append(rows, row)
	}
	widths := make([]int, len(head))
	for _, r := range rows {
		for i, c := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, r := range rows {
		var line strings.Builder
		for i, c := range r {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i > 0 {
				line.WriteString("  ")
			}
			if i == 0 || slices.Contains(t.left, i) {
				line.WriteString(c + pad)
			} else {
				line.WriteString(pad + c)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	if t.note != "" {
		b.WriteString(clean(t.note) + "\n")
	}
}

// clean keeps names from steering the terminal: what is not printable becomes "?".
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\u202f' && !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
