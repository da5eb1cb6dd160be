package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/solve"
)

// SolveText writes an answer for a terminal: what the groups see, the services, the resources from the busiest on, the bottleneck in words, and what was assumed.
func SolveText(w io.Writer, name string, a *solve.Answer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, at %v of its rates: %s\n", clean(name), a.At, a.Method)
	for _, t := range []table{solveGroups(a), solveServices(a), solveResources(a)} {
		if len(t.rows) > 0 {
			b.WriteByte('\n')
			t.text(&b)
		}
	}
	b.WriteByte('\n')
	for _, words := range SolveWords(a) {
		fmt.Fprintln(&b, clean(words))
	}
	if len(a.Assumptions) > 0 {
		b.WriteString("\nassumptions\n")
	}
	for _, x := range a.Assumptions {
		fmt.Fprintf(&b, "  %s: %s (%s)\n", x.How, clean(x.What), clean(x.Where))
		if x.Expect != "" {
			fmt.Fprintf(&b, "      off by: %s\n", clean(x.Expect))
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// solveTables are the tables of an answer.
func solveTables(a *solve.Answer) []table {
	return []table{solveGroups(a), solveServices(a), solveResources(a), solveAssumptions(a)}
}

func solveGroups(a *solve.Answer) table {
	t := table{title: "clients", head: []string{"", "users", "rate/s", "errors", "mean", "p50", "p95", "p99", "demand", "mean is", "quantiles are"}, left: []int{9, 10}}
	for i := range a.Groups {
		g := &a.Groups[i]
		users := "open"
		if g.Closed {
			users = fmt.Sprint(g.Users)
		}
		row := []string{g.Name, users, number(g.Rate), percent(g.Errors), duration(g.Response)}
		var quality solve.Quality
		for _, q := range []float64{0.5, 0.95, 0.99} {
			var x float64
			x, quality = g.Quantile(q)
			row = append(row, duration(x))
		}
		t.rows = append(t.rows, append(row, duration(g.Demand), string(g.Quality), string(quality)))
	}
	return t
}

func solveServices(a *solve.Answer) table {
	t := table{title: "services", head: []string{"", "calls/s", "response", "at the server", "rejected"}}
	for _, s := range a.Services {
		t.rows = append(t.rows, []string{s.Name, number(s.Throughput), duration(s.Response), duration(s.Residence), percent(s.Rejected)})
	}
	return t.first(maxTextRows, "in the JSON")
}

// tiers are the resources that are not alike, from the busiest on, with how many are like each.
func tiers(a *solve.Answer) (first []solve.Resource, count map[string]int) {
	count = map[string]int{}
	for _, r := range a.Resources {
		if count[r.Tier]++; count[r.Tier] == 1 {
			first = append(first, r)
		}
	}
	slices.SortStableFunc(first, func(a, b solve.Resource) int { return cmp.Compare(b.Utilisation, a.Utilisation) })
	return first, count
}

func solveResources(a *solve.Answer) table {
	t := table{title: "resources, from the busiest on", head: []string{"", "", "utilisation", "visits/s", "wait", "service", "queue", "demand of a request"}, left: []int{1}}
	rs, count := tiers(a)
	for i, r := range rs {
		name := r.Name
		if n := count[r.Tier]; n > 1 {
			name = fmt.Sprintf("%s (%d alike)", r.Name, n)
		}
		kind := string(r.Kind)
		if r.Servers > 1 {
			kind += fmt.Sprintf(" of %d", r.Servers)
		}
		var demands []string
		for g, d := range r.Demand {
			if d > 0 {
				x := duration(d)
				if len(a.Groups) > 1 {
					x = a.Groups[g].Name + " " + x
				}
				demands = append(demands, x)
			}
		}
		if len(demands) > 3 {
			demands = append(demands[:3], "…")
		}
		t.rows = append(t.rows, []string{name, kind, percent(r.Utilisation), number(r.Rate), duration(r.Wait), duration(r.Service), number(r.Queue), strings.Join(demands, ", ")})
		if r.Utilisation > 0.9 {
			t.bad = append(t.bad, i)
		}
	}
	return t.first(maxTextRows, "in the JSON")
}

func solveAssumptions(a *solve.Answer) table {
	t := table{title: "assumptions", head: []string{"", "is", "expect it to be off by", "where"}, left: []int{0, 1, 2, 3}}
	for _, x := range a.Assumptions {
		t.rows = append(t.rows, []string{clean(x.What), string(x.How), orDash(clean(x.Expect)), clean(x.Where)})
	}
	return t
}

// SolveWords says in sentences what is full first, and what then, and what no scheduling can break.
func SolveWords(a *solve.Answer) []string {
	var out []string
	closed := slices.ContainsFunc(a.Groups, func(g solve.Group) bool { return g.Closed })
	load := "the load"
	if closed {
		load = "the number of users"
	}
	switch l := a.Bottleneck; {
	case math.IsInf(l.Factor, 1):
		out = append(out, "bottleneck: none: nothing is ever full")
	case l.Kind != solve.Hardware:
		out = append(out, fmt.Sprintf("bottleneck: %s, which is software: its %s is held for as long as what is below it takes; full at %s/s, %s times %s", l.Resource, l.Kind, number(l.Rate), number(l.Factor), load))
	case closed:
		out = append(out, fmt.Sprintf("bottleneck: %s: someone must wait there from %s times %s on; at most %s/s together", l.Resource, number(l.Factor), load, number(l.Rate)))
	default:
		out = append(out, fmt.Sprintf("bottleneck: %s: full at %s/s, %s times %s", l.Resource, number(l.Rate), number(l.Factor), load))
	}
	if l := a.Second; l.Resource != "" && !math.IsInf(l.Factor, 1) {
		out = append(out, fmt.Sprintf("second bottleneck, once that is relieved: %s, at %s/s", l.Resource, number(l.Rate)))
	}
	if x := a.Bounds.Throughput; !math.IsInf(x, 1) && x > 0 {
		out = append(out, fmt.Sprintf("bounds: no more than %s/s together at this mix, by the hardware", number(x)))
	}
	for _, g := range a.Groups {
		line := fmt.Sprintf("  %s: no response below %s in the mean", g.Name, duration(a.Bounds.Response[g.Name]))
		if k, ok := a.Bounds.Knee[g.Name]; ok && !math.IsInf(k, 1) {
			line += fmt.Sprintf("; alone, someone must wait from %s users on", number(k))
		}
		out = append(out, line)
	}
	return out
}
