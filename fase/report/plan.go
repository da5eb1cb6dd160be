package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/plan"
	"github.com/eve-emulation/eve/fase/stat"
)

// PlanText writes the answer of a planner for a terminal. load is what was asked for, in words.
func PlanText(w io.Writer, name, load string, r *plan.Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s at %s\n", clean(name), clean(planLimits(r.Limits)), clean(load))
	for _, t := range planTables(r) {
		if len(t.rows) > 0 {
			b.WriteByte('\n')
			t.text(&b)
		}
	}
	if lines := PlanWords(r); len(lines) > 0 {
		b.WriteByte('\n')
		for _, l := range lines {
			b.WriteString(clean(l) + "\n")
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

func planLimits(ls []find.Limit) string {
	var out []string
	for _, l := range ls {
		out = append(out, l.String())
	}
	return strings.Join(out, " and ")
}

func planTables(r *plan.Result) []table {
	return []table{countTable(r), sideTable(r), assumptionTable(r)}
}

// countTable has a row for each tier.
func countTable(r *plan.Result) table {
	t := table{title: "counts", head: []string{"", "now", "least"}, left: []int{}}
	if r.Counts == nil || len(r.Tiers) == 0 {
		return t
	}
	if r.Low != nil {
		t.head = append(t.head, "interval")
	}
	if r.Spare != nil {
		t.head = append(t.head, "one down")
	}
	t.head = append(t.head, "busy", "full at", "")
	t.left = append(t.left, len(t.head)-1)
	var now, low, high, spare int
	for i, x := range r.Tiers {
		row := []string{x.Name, fmt.Sprint(x.Now), fmt.Sprint(r.Counts[i])}
		now += x.Now
		if r.Low != nil {
			row = append(row, counted(r.Low[i], r.High[i]))
			low, high = low+r.Low[i], high+r.High[i]
		}
		if r.Spare != nil {
			row = append(row, fmt.Sprint(r.Spare[i]))
			spare += r.Spare[i]
		}
		u, full := busiest(r, x.Name)
		t.rows = append(t.rows, append(row, percent(u.Utilisation), full, rank(r, x.Name)))
	}
	if len(r.Tiers) > 1 {
		row := []string{"together", fmt.Sprint(now), fmt.Sprint(r.Counts.Sum())}
		if r.Low != nil {
			row = append(row, counted(low, high))
		}
		if r.Spare != nil {
			row = append(row, fmt.Sprint(spare))
		}
		for len(row) < len(t.head) {
			row = append(row, "")
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func counted(low, high int) string {
	if low == high {
		return fmt.Sprint(low)
	}
	return fmt.Sprintf("%d to %d", low, high)
}

// busiest is the busiest resource of a tier, and the load at which it is full.
func busiest(r *plan.Result, tier string) (plan.Use, string) {
	for _, b := range []*plan.Bottleneck{r.First, r.Second} {
		if b != nil && b.Tier == tier {
			u := plan.Use{Name: b.Name, Utilisation: math.NaN()}
			for _, p := range []*plan.Point{r.Answer, r.Solve} {
				if p != nil {
					if i := slices.IndexFunc(p.Used, func(u plan.Use) bool { return u.Name == b.Name }); i >= 0 {
						u = p.Used[i]
						break
					}
				}
			}
			return u, planRate(b.Rate)
		}
	}
	for _, p := range []*plan.Point{r.Answer, r.Solve} {
		if p != nil {
			if i := slices.IndexFunc(p.Used, func(u plan.Use) bool { return u.Tier == tier }); i >= 0 {
				u := p.Used[i]
				if u.Soft {
					return u, "–"
				}
				return u, planRate(p.Load / u.Utilisation)
			}
		}
	}
	return plan.Use{Utilisation: math.NaN()}, "–"
}

func planRate(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) || x == 0 {
		return "–"
	}
	return number(x) + "/s"
}

func rank(r *plan.Result, tier string) string {
	switch {
	case r.First != nil && r.First.Tier == tier:
		return "bottleneck: " + r.First.Name
	case r.Second != nil && r.Second.Tier == tier:
		return "then: " + r.Second.Name
	}
	return ""
}

// sideTable has the answers of solve, simulate and emulate side by side: at the counts, and with one less.
func sideTable(r *plan.Result) table {
	t := table{title: "three answers", head: []string{"", "solve", "simulate", "emulate"}, left: []int{1, 2, 3}}
	add := func(label string, ps map[plan.How]*plan.Point) {
		if len(ps) == 0 {
			return
		}
		for i, l := range r.Limits {
			row := []string{label + l.Name() + " (" + l.Of + ")"}
			for _, how := range []plan.How{plan.Solved, plan.Simulated, plan.Emulated} {
				row = append(row, said(ps[how], l, i))
			}
			t.rows = append(t.rows, row)
		}
	}
	at := map[plan.How]*plan.Point{}
	for _, p := range []*plan.Point{r.Solve, r.Answer, r.Emulate} {
		if p != nil {
			at[p.How] = p
		}
	}
	add("", at)
	if r.LessTier >= 0 {
		less := map[plan.How]*plan.Point{}
		for i := range r.Less {
			less[r.Less[i].How] = &r.Less[i]
		}
		if len(less) > 0 {
			add(fmt.Sprintf("with %s=%d: ", r.Tiers[r.LessTier].Name, r.Counts[r.LessTier]-1), less)
		}
	}
	if len(at) > 0 && r.First != nil {
		row := []string{r.First.Name}
		for _, how := range []plan.How{plan.Solved, plan.Simulated, plan.Emulated} {
			cell := ""
			if p := at[how]; p != nil {
				if i := slices.IndexFunc(p.Used, func(u plan.Use) bool { return u.Name == r.First.Name }); i >= 0 {
					cell = percent(p.Used[i].Utilisation)
				}
			}
			row = append(row, cell)
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// said is one figure of one answer: with its interval, and whether the objective holds.
func said(p *plan.Point, l find.Limit, i int) string {
	switch {
	case p == nil:
		return "–"
	case p.Unstable != "":
		return "unstable ✗"
	}
	v := p.Values[i]
	text := inMetric(l, v.Value)
	if v.High > v.Low && !math.IsInf(v.High-v.Low, 0) {
		text += fmt.Sprintf(" (%s to %s)", inMetric(l, v.Low), inMetric(l, v.High))
	}
	switch {
	case math.IsNaN(v.Value):
		return "–"
	case p.Verdict == find.Inconclusive && p.Holds:
		return text + " (✓)"
	case p.Verdict == find.Inconclusive:
		return text + " (✗)"
	case v.Value < l.Bound:
		return text + " ✓"
	}
	return text + " ✗"
}

func inMetric(l find.Limit, x float64) string {
	if l.Metric == find.Errors {
		return percent(x)
	}
	if math.IsInf(x, 1) {
		return "never"
	}
	return duration(x)
}

func assumptionTable(r *plan.Result) table {
	t := table{title: "assumptions of solve", head: []string{"", "what", "where", "expect"}, left: []int{1, 2, 3}}
	for _, a := range r.Assumptions {
		if a.How == "exact" {
			continue
		}
		t.rows = append(t.rows, []string{string(a.How), shorten(a.What, 60), a.Where, shorten(a.Expect, 60)})
	}
	return t.first(8, "in the JSON")
}

// PlanWords says in sentences what the tables do not.
func PlanWords(r *plan.Result) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if r.Unreachable != "" {
		say("unreachable: %s", r.Unreachable)
	}
	if r.Counts != nil && len(r.Tiers) > 0 {
		how := "by the model alone, no simulation has shown it"
		if r.Shown {
			how = "a simulation shows it"
		}
		say("least: %s (%s)", plan.Spell(r.Tiers, r.Counts), how)
		if r.Low != nil && r.High != nil && r.Error > 0 {
			say("interval: %s to %s if demands are off by ± %s", plan.Spell(r.Tiers, r.Low), plan.Spell(r.Tiers, r.High), percent(r.Error))
			if r.Beyond {
				say("  with demands greater by %s no counts hold within the bounds of --vary", percent(r.Error))
			}
		}
		if r.Costed {
			say("cost: %s", number(r.Cost))
		}
	}
	out = append(out, bottleneckWords(r)...)
	out = append(out, kneeWords(r)...)
	out = append(out, lessWords(r)...)
	out = append(out, differenceWords(r)...)
	out = append(out, scalingWords(r)...)
	if !r.Exact && r.Counts != nil && len(r.Tiers) > 0 {
		say("the search over counts did not look at all of them: none can be taken away, but another mix may be cheaper")
	}
	for _, l := range r.Left {
		say("left out, the time budget was spent: %s", l)
	}
	return out
}

func bottleneckWords(r *plan.Result) []string {
	if r.First == nil {
		return nil
	}
	kind := func(b *plan.Bottleneck) string {
		if b.Soft {
			return "software: it is held while something else works"
		}
		return "hardware"
	}
	out := []string{fmt.Sprintf("bottleneck: %s (%s), full at %s", r.First.Name, kind(r.First), planRate(r.First.Rate))}
	if r.Second != nil {
		out = append(out, fmt.Sprintf("once that is relieved: %s (%s), full at %s", r.Second.Name, kind(r.Second), planRate(r.Second.Rate)))
	}
	return out
}

func kneeWords(r *plan.Result) []string {
	k := r.Knee
	if k == nil {
		return nil
	}
	unit := "/s"
	if k.Whole {
		unit = " users"
	}
	load := func(x float64) string { return number(x) + unit }
	var out []string
	if a := k.Answer; k.Holds > 0 {
		sure := "by a probe"
		if a.Confirmed && a.Load >= k.Holds {
			sure = "confirmed by a run of its own"
		}
		if k.Open() {
			return append(out, fmt.Sprintf("knee: the objectives hold at %s, the largest load that was simulated; by the model up to about %s: %s", load(k.Holds), load(k.Analytic), headroom(k.Analytic/k.Asked, load(k.Asked))))
		}
		out = append(out, fmt.Sprintf("knee: the objectives hold up to %s (simulated, %s): %s", load(k.Holds), sure, headroom(k.Holds/k.Asked, load(k.Asked))))
		if c := a.Crossing; !math.IsNaN(c.Value) {
			out = append(out, fmt.Sprintf("  the bound is crossed at about %s (95%% interval %s to %s)", load(c.Value), load(c.Low), load(c.High)))
		}
	} else if k.Analytic > 0 {
		out = append(out, fmt.Sprintf("knee: the objectives hold up to about %s by the model: %s", load(k.Analytic), headroom(k.Analytic/k.Asked, load(k.Asked))))
	}
	return out
}

// headroom is how much a load is above what was asked for.
func headroom(share float64, asked string) string {
	if share < 1 {
		return "not what was asked for, " + asked
	}
	return "headroom " + percent(share-1)
}

func lessWords(r *plan.Result) []string {
	if r.LessTier < 0 || len(r.Less) == 0 {
		return nil
	}
	name := r.Tiers[r.LessTier].Name
	var breaks, holds, unsure []string
	for i := range r.Less {
		switch p := &r.Less[i]; {
		case p.Verdict == find.Fail || p.How == plan.Solved && !p.Holds:
			breaks = append(breaks, string(p.How))
		case p.Verdict == find.Pass:
			holds = append(holds, string(p.How))
		default:
			unsure = append(unsure, string(p.How))
		}
	}
	text := fmt.Sprintf("one less of %s: ", name)
	var parts []string
	for _, x := range []struct {
		what string
		who  []string
	}{{"breaks the objectives", breaks}, {"keeps them", holds}, {"cannot be told", unsure}} {
		if len(x.who) > 0 {
			parts = append(parts, x.what+" ("+strings.Join(x.who, ", ")+")")
		}
	}
	return []string{text + strings.Join(parts, "; ")}
}

// differenceWords says by how much the three ways differ where they do.
func differenceWords(r *plan.Result) []string {
	var out []string
	for i, l := range r.Limits {
		if i < len(r.Ratios) && r.Ratios[i] != 1 {
			out = append(out, fmt.Sprintf("%s: the simulations have about %.2f times what the model has, and the search took that into account", l.Name(), r.Ratios[i]))
		}
		if r.Answer == nil || r.Emulate == nil || l.Metric == find.Errors {
			continue
		}
		a, e := r.Answer.Values[i], r.Emulate.Values[i]
		if apart(a, e) {
			out = append(out, fmt.Sprintf("%s: emulation and simulation differ by more than their intervals: %s and %s", l.Name(), inMetric(l, e.Value), inMetric(l, a.Value)))
		}
		if r.Twin != nil {
			t := r.Twin.Values[i].Value
			out = append(out, fmt.Sprintf("%s of the very arrivals that were emulated: %s emulated, %s simulated (%+.1f %%)", l.Name(), inMetric(l, e.Value), inMetric(l, t), 100*(e.Value/t-1)))
		}
	}
	return out
}

func apart(a, b stat.Estimate) bool { return a.High < b.Low || b.High < a.Low }

func scalingWords(r *plan.Result) []string {
	s := r.Scaling
	switch {
	case s == nil:
		return nil
	case s.Fit == nil:
		return []string{fmt.Sprintf("scalability of %s: %s", s.Tier, s.Why)}
	case !s.Fit.Identifiable:
		return []string{fmt.Sprintf("scalability of %s: %s each; σ %.4f (%.4f to %.4f); %s",
			s.Tier, planRate(s.Fit.Lambda.Value), s.Fit.Sigma.Value, s.Fit.Sigma.Low, s.Fit.Sigma.High, s.Fit.Reason)}
	}
	return []string{fmt.Sprintf("scalability of %s: %s each; σ %.4f, κ %.5f (%.5f to %.5f): more than %s do less",
		s.Tier, planRate(s.Fit.Lambda.Value), s.Fit.Sigma.Value, s.Fit.Kappa.Value, s.Fit.Kappa.Low, s.Fit.Kappa.High, number(s.Fit.Peak.Value))}
}

// PlanStep writes a point as a line, as the search goes.
func PlanStep(n int, ts []plan.Tier, ls []find.Limit, p plan.Point) string {
	took := "–"
	if p.Took > 0 {
		took = p.Took.Round(time.Second / 10).String()
	}
	parts := make([]string, len(ls))
	for i, l := range ls {
		parts[i] = l.Name() + " " + said(&p, l, i)
	}
	counts := plan.Spell(ts, p.Counts)
	if counts == "" {
		counts = "as it is"
	}
	return clean(fmt.Sprintf("%2d %-8s  %s  %8s  %7s  %s", n, p.How, counts, planRate(p.Load), took, strings.Join(parts, "  ")))
}
