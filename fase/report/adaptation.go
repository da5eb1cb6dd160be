package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/runs"
)

// adaptationTable sets a run beside what its arrivals would have met otherwise.
func adaptationTable(s *runs.Summary) table {
	t := table{title: "adaptation", head: []string{"", "this run"}}
	a := s.Adaptation
	if a == nil {
		return t
	}
	b := a.Baselines
	if b == nil {
		b = &runs.Baselines{}
	}
	var others []*runs.Baseline
	for _, x := range []struct {
		head string
		of   *runs.Baseline
	}{{"without", b.None}, {"static peak", b.Peak}, {"clairvoyant", b.Best}} {
		if x.of != nil {
			t.head, others = append(t.head, x.head), append(others, x.of)
		}
	}
	row := func(name, own string, of func(*runs.Baseline) string) {
		cells := []string{name, own}
		for _, x := range others {
			cells = append(cells, of(x))
		}
		t.rows = append(t.rows, cells)
	}
	none := func(*runs.Baseline) string { return "" }
	if len(a.SLO) > 0 {
		row("seconds of violation", number(float64(a.Violation)), func(x *runs.Baseline) string { return number(float64(x.Violation)) })
	}
	row("server-seconds", number(float64(a.ServerSeconds)), func(x *runs.Baseline) string { return number(float64(x.ServerSeconds)) })
	for _, g := range s.Groups() {
		c := s.Clients[g]
		row("p95 of "+g, duration(float64(c.Response.P95)), func(x *runs.Baseline) string { return duration(float64(x.Clients[g].P95)) })
		row("errors of "+g, number(float64(c.Errors[runs.AllErrors])), func(x *runs.Baseline) string { return number(float64(x.Clients[g].Errors)) })
	}
	if x := a.Settling; x != nil {
		text := fmt.Sprintf("%s mean, %s at most", duration(float64(x.Mean)), duration(float64(x.Max)))
		if x.Unsettled {
			text += ", not in the end"
		}
		row(fmt.Sprintf("settling, of %d", x.Disturbances), text, none)
	}
	row("changes of places", number(float64(a.Changes)), none)
	row("oscillations", number(float64(a.Oscillations)), none)
	t.note = adaptationNote(a)
	return t
}

// adaptationNote says what the columns are, and why some are not there.
func adaptationNote(a *runs.Adaptation) string {
	b := a.Baselines
	switch {
	case b == nil:
		return ""
	case b.Missing != "" && b.None == nil:
		return "no baselines: " + b.Missing
	case b.Missing != "":
		return "other baselines are missing: " + b.Missing
	}
	note := fmt.Sprintf("the same arrivals in virtual time: %d simulations, intervals of %s", b.Simulations, duration(float64(b.Interval)))
	if least := float64(b.AtLeast); b.Best != nil && least < float64(b.Best.ServerSeconds) {
		note += fmt.Sprintf("; no schedule of them needs less than %s server-seconds", number(least))
	}
	return note
}

// sloTable tells how long each objective held.
func sloTable(s *runs.Summary) table {
	t := table{title: "slo", head: []string{"", "violated", "of", "worst", "overshoot"}}
	if s.Adaptation == nil {
		return t
	}
	for i, o := range s.Adaptation.SLO {
		worst := readings(o.Worst)
		if len(o.Worst) == 1 { // the condition names it
			_, worst, _ = strings.Cut(worst, " = ")
		}
		over := percent(float64(o.Overshoot))
		if math.IsNaN(float64(o.Overshoot)) {
			over = "none"
		}
		t.rows = append(t.rows, []string{o.Text, duration(float64(o.Violation)), duration(float64(o.Judged)), worst, over})
		if o.Violation > 0 {
			t.bad = append(t.bad, i)
		}
	}
	return t
}

// elasticTable tells how the replicas of each service followed the demand.
func elasticTable(s *runs.Summary) table {
	t := table{title: "elasticity", head: []string{"", "up", "down", "too few", "for", "too many", "for", "instability", "jitter/min", "overshoot"}}
	if s.Adaptation == nil {
		return t
	}
	for _, name := range slices.SortedFunc(maps.Keys(s.Adaptation.Services), runs.CompareNames) {
		e := s.Adaptation.Services[name]
		cells := []string{name, number(float64(e.Up)), number(float64(e.Down))}
		if p := e.Provisioning; p != nil {
			for _, x := range []runs.Number{p.UnderAccuracy, p.UnderTime, p.OverAccuracy, p.OverTime, p.Instability} {
				cells = append(cells, percent(float64(x)))
			}
			cells = append(cells, number(float64(p.Jitter)), percent(float64(p.Overshoot)))
		}
		for len(cells) < len(t.head) {
			cells = append(cells, "")
		}
		t.rows = append(t.rows, cells)
	}
	return t
}
