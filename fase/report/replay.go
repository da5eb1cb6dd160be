package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/replay"
	"github.com/eve-emulation/eve/fase/runs"
)

// ReplayText tells what a replay came to.
func ReplayText(w io.Writer, a *replay.Answer) error {
	var b strings.Builder
	early := ""
	if a.Interrupted {
		early = ", which ended early"
	}
	fmt.Fprintf(&b, "recording  %s: %s of %s, seed %d, %v s to %v s%s\n", clean(a.Recording), a.Kind, clean(a.Scenario), a.Seed, a.Window.From, a.Window.To, early)
	for i, g := range a.Groups {
		title := "requests"
		if i > 0 {
			title = ""
		}
		fmt.Fprintf(&b, "%-9s  %s: %s\n", title, g.Name, replayedAs(g))
	}
	fmt.Fprintf(&b, "fidelity   %s\n", fidelity(a.Fidelity))
	fmt.Fprintf(&b, "           %s\n", clean(sameDecisions(a.Fidelity.Decisions)))
	for _, t := range replayTables(a) {
		if len(t.rows) > 0 {
			b.WriteByte('\n')
			t.text(&b)
		}
	}
	for _, n := range a.Notes {
		fmt.Fprintf(&b, "\nnote: %s\n", clean(n))
	}
	if !a.Fidelity.Believed {
		fmt.Fprintf(&b, "\nnot to be believed: the simulation misses what was recorded by more than %s: %s\n",
			percent(float64(a.Fidelity.Bound)), clean(strings.Join(a.Fidelity.Reasons(), "; ")))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write replay: %w", err)
	}
	return nil
}

func replayedAs(g replay.Group) string {
	switch {
	case g.How == replay.AsRecorded && g.Estimated > 0:
		return fmt.Sprintf("%d arrivals as recorded, of which %d instants are estimated", g.Arrivals, g.Estimated)
	case g.How == replay.AsRecorded:
		return fmt.Sprintf("%d arrivals as recorded", g.Arrivals)
	case g.How == replay.AsUsers:
		return "users who think and ask as they did, once they are answered"
	case g.How == replay.AsDecided:
		return "as the controllers decide"
	}
	return "as planned, which is as recorded"
}

// fidelity says in a line how well the recording came out.
func fidelity(f *replay.Fidelity) string {
	worst := -1
	for i, c := range f.Checks {
		if off := math.Abs(float64(c.Off)); worst < 0 || off > math.Abs(float64(f.Checks[worst].Off)) {
			worst = i
		}
	}
	s := fmt.Sprintf("replayed with its own controllers it misses by more than %s", percent(float64(f.Bound)))
	if f.Believed {
		s = fmt.Sprintf("replayed with its own controllers it comes out as it was, within %s", percent(float64(f.Bound)))
	}
	if worst >= 0 && f.Checks[worst].Off != 0 {
		c := f.Checks[worst]
		s += fmt.Sprintf(": %s %s, where %s was recorded", c.Name, inUnit(float64(c.Replayed), c.Unit), inUnit(float64(c.Recorded), c.Unit))
	} else if worst >= 0 {
		s += ": exactly"
	}
	return s
}

func sameDecisions(d replay.Decisions) string {
	switch {
	case d.Recorded == 0 && d.Replayed == 0:
		return "nothing was decided"
	case d.First == "":
		return fmt.Sprintf("the same decisions, %d, at most %s apart", d.Recorded, duration(float64(d.Apart)))
	}
	return fmt.Sprintf("decisions differ after %d of %d; %s", d.Alike, d.Recorded, d.First)
}

func replayTables(a *replay.Answer) []table {
	checks := table{title: "fidelity", head: []string{"", "recorded", "replayed", "off"}}
	for i, c := range a.Fidelity.Checks {
		checks.rows = append(checks.rows, []string{c.Name, inUnit(float64(c.Recorded), c.Unit), inUnit(float64(c.Replayed), c.Unit), relative(c.Off)})
		if !c.Holds {
			checks.bad = append(checks.bad, i)
		}
	}
	out := []table{checks}
	if a.Other == "" {
		return append(out, decisionsTaken(a))
	}
	name := shorten(a.Other, 24)
	for _, part := range []string{"clients", "services", "servers", "adaptation", "variables"} {
		t := table{title: part, head: []string{"", "recorded", "replayed", name, "change", ""}, left: []int{5}}
		for _, r := range a.Rows {
			if r.Part != part || math.IsNaN(float64(r.Other)) && math.IsNaN(float64(r.Replayed)) || r.Other == 0 && r.Replayed == 0 && r.Recorded == 0 {
				continue
			}
			t.rows = append(t.rows, []string{
				shorten(r.Name, 44), inUnit(float64(r.Recorded), r.Unit), inUnit(float64(r.Replayed), r.Unit), inUnit(float64(r.Other), r.Unit),
				signed(float64(r.Change), r.Unit), r.Verdict,
			})
		}
		if len(t.rows) > 0 && part == "clients" {
			t.note = "a change is " + replay.Unclear + " where it is no more than the replay misses the recording by"
		}
		out = append(out, t.first(maxTextRows, "in the JSON"))
	}
	return append(out, decisionsTaken(a), expectTable(a))
}

func signed(x float64, unit string) string {
	if x > 0 {
		return "+" + inUnit(x, unit)
	}
	return inUnit(x, unit)
}

// decisionsTaken lists what was decided, by time.
func decisionsTaken(a *replay.Answer) table {
	t := table{title: "decisions", head: []string{"", "time", "rule", "action"}, left: []int{2, 3}}
	type taken struct {
		by string
		runs.Decision
	}
	var all []taken
	for _, x := range []struct {
		by string
		ds []runs.Decision
	}{{"recorded", a.Taken.Recorded}, {"replayed", a.Taken.Replayed}, {shorten(a.Other, 24), a.Taken.Other}} {
		for _, d := range x.ds {
			all = append(all, taken{x.by, d})
		}
	}
	slices.SortStableFunc(all, func(x, y taken) int {
		switch {
		case x.by != y.by:
			return 0
		case x.Time < y.Time:
			return -1
		}
		return 0
	})
	for _, d := range all {
		t.rows = append(t.rows, []string{d.by, fmt.Sprintf("%.1f s", float64(d.Time)), shorten(d.Rule, 30), shorten(d.Action, 50)})
	}
	return t.first(maxTextRows, "in the JSON")
}

func expectTable(a *replay.Answer) table {
	t := table{title: "expect", head: []string{"", "recorded", "replayed", shorten(a.Other, 24)}, left: []int{1, 2, 3}}
	for _, e := range a.Expect {
		t.rows = append(t.rows, []string{shorten(e.Text, 60), e.Recorded, e.Replayed, e.Other})
	}
	return t
}
