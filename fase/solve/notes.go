package solve

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// notes are assumptions, each once.
type notes struct{ all []Assumption }

func (n *notes) add(where, what string, how Quality, expect string) {
	a := Assumption{where, what, how, expect}
	if !slices.Contains(n.all, a) {
		n.all = append(n.all, a)
	}
}

// sorted are those that were made: what is left out first.
func (n *notes) sorted() []Assumption {
	rank := map[Quality]int{LeftOut: 0, Approximated: 1, Exact: 2}
	out := slices.Clone(n.all)
	slices.SortStableFunc(out, func(a, b Assumption) int { return rank[a.How] - rank[b.How] })
	return out
}

func where(e *scenario.Error) string { return fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Col) }

// noteAt notes what is approximated of a statement.
func (b *builder) noteAt(s *rdr.Step, what, expect string) {
	b.notes.add(where(b.plan.Place(*s, "", "")), what, Approximated, expect)
}

// at is the instant that is solved: when open groups ask for the most together, the first of several.
func (b *builder) at() dsv.Instant {
	if b.o.At != nil {
		return *b.o.At
	}
	at, _ := b.plan.Rates()
	best, most := dsv.Instant(0), -1.0
	for _, t := range at {
		sum := 0.0
		for _, x := range b.plan.RatesAt(t) {
			sum += x
		}
		if sum > most {
			best, most = t, sum
		}
	}
	return best
}

// arrivals notes how a group's arrivals are treated.
func (b *builder) arrivals(g *user.Config, p *population) {
	where := b.plan.Where("clients." + g.Name)
	switch {
	case g.Users > 0:
		if g.Think != nil && !g.Think.Exponential {
			b.notes.add(where, "users of "+g.Name+" think for a constant time; the mean alone counts", Exact, "nothing where the network has a product form")
		}
	case g.Trace != nil:
		b.notes.add(where, "arrivals of "+g.Name+" are recorded; they are taken for Poisson ones of their mean rate", Approximated, "bursts of the recording wait longer, at times several times as long")
	case g.Law == user.Constant:
		p.scv = 0
		b.notes.add(where, "arrivals of "+g.Name+" are evenly spread: the wait is scaled (Kraemer and Langenbach-Belz 1976)", Approximated, "10 % of the wait")
	case g.Law == user.MMPP && g.Bursts != nil:
		p.scv = g.Bursts.Dispersion(p.rate)
		b.notes.add(where, fmt.Sprintf("arrivals of %s come in bursts: the wait is scaled by their index of dispersion, %.3g", g.Name, p.scv), Approximated, "a factor of two, where bursts are long beside the queue's own time")
	}
	if len(g.Rate) > 1 || g.Sine != nil {
		b.notes.add(b.plan.Where("clients."+g.Name+".rate"), fmt.Sprintf("%s asks %.4g/s, as at %v of the run, for as long as it takes to settle", g.Name, p.rate, b.at().Sub(0)), Approximated, "a peak that is short does not settle: what waits then is less")
	}
	if p.patience > 0 {
		b.notes.add(b.plan.Where("clients."+g.Name+".patience"), "whoever of "+g.Name+" loses patience leaves its work to be done", Exact, "")
	}
	if g.Retry.Attempts > 0 {
		b.notes.add(b.plan.Where("clients."+g.Name+".retry"), "further attempts of "+g.Name+" are as good as the first", Approximated, "unknown near saturation, where retries feed on themselves")
	}
}

// tell notes what of the scenario is left out or approximated as a whole.
func (b *builder) tell() {
	p := b.plan
	left := func(path, what, expect string) { b.notes.add(p.Where(path), what, LeftOut, expect) }
	if len(p.Faults) > 0 {
		left("faults", "faults", "nothing while none lasts")
	}
	if len(p.Adapt.Rules) > 0 {
		left("adapt", "rules: what they change is as at the start", "nothing until one acts")
	}
	if len(p.Adapt.Controls) > 0 {
		left("control", "controllers: what they move is as at the start", "nothing until one acts")
	}
	if len(p.Modules) > 0 {
		left("modules", "modules of other kinds", "nothing where they ask for no resources of the servers")
	}
	for i := range p.Servers {
		s := &p.Servers[i]
		path := "servers." + s.Name
		if s.Admit.CoDel.Target > 0 || s.Admit.Control.Kind != admit.NoControl || s.Admit.Bucket.Rate > 0 || s.Admit.Forward.After > 0 {
			left(path+".admit", "what admission moves or rejects by itself, beside its limit and its queue", "the load of what it lets in is less, and so are responses")
		}
		if s.Admit.Policy != admit.FCFS {
			b.notes.add(p.Where(path+".admit.policy"), "admission by "+s.Admit.Policy.String(), Approximated, "20 % of the wait")
		}
		if s.Admit.Delay > 0 && s.Admit.Policy != admit.FCFS {
			b.notes.add(p.Where(path+".admit.delay"), "the delay of an admission is taken to come before its line", Approximated, "who overtakes waits less than that: up to the delay")
		}
		if s.Machine.Link.Jitter > 0 {
			b.notes.add(p.Where(path+".link.jitter"), "the jitter of a link: its mean alone counts", Approximated, "a quarter of the jitter in the quantiles")
		}
	}
	for k, st := range b.net.stations {
		switch {
		case st.kind == Pool && b.stacked(k):
			b.notes.add(st.where, st.tier+" and what is below it are solved together: it is as fast as its busy workers are", Approximated, "5 % of the response near its saturation; more where others share a processor below it in order, or above locks")
		case st.kind == Pool:
			b.notes.add(st.where, st.tier+" is solved in layers: what is below it sees at most as many as it has workers", Approximated, "10 % of the response near its saturation")
		case st.kind == Lock:
			b.notes.add(st.where, st.tier+" is solved in layers, as a server that is held", Approximated, "10 % of the response near its saturation")
		case st.order == shortest || st.order == urgent:
			b.notes.add(st.where, st.tier+" serves by rank: formulas of Poisson arrivals", Exact, "")
		}
	}
	b.laws()
}

// laws notes where the mean of a response depends on laws that are not those of a product form.
func (b *builder) laws() {
	seen := make([]map[float64]bool, len(b.net.stations))
	odd := make([]bool, len(b.net.stations))
	closed := false
	for _, g := range b.net.groups {
		closed = closed || g.users > 0
	}
	var visit func(a *act)
	visit = func(a *act) {
		for i := range a.visits {
			v := &a.visits[i]
			if seen[v.station] == nil {
				seen[v.station] = map[float64]bool{}
			}
			seen[v.station][math.Round(v.m1*1e12)] = true
			if a.verb != doLock && math.Abs(v.m2-2*v.m1*v.m1) > 1e-9*v.m2 {
				odd[v.station] = true
			}
		}
		for _, x := range a.body {
			visit(x)
		}
	}
	for _, e := range b.net.entries {
		visit(e.root)
	}
	var tiers []string
	first := ""
	for k := range b.net.stations {
		st := &b.net.stations[k]
		if st.kind != Hardware || st.order != fcfs || seen[k] == nil || !odd[k] && len(seen[k]) == 1 || b.alone(k) {
			continue
		}
		if tiers = append(tiers, st.tier); first == "" {
			first = st.where
		}
	}
	if len(tiers) > 0 {
		if len(tiers) > 6 {
			tiers = append(tiers[:5], fmt.Sprintf("%d more", len(tiers)-5))
		}
		b.notes.add(first, "arrivals are taken for Poisson ones at "+strings.Join(tiers, ", ")+", though what feeds them, or follows them, is no product form", Approximated,
			"5 % of the wait; 10 % with several servers, or users who wait for answers")
	}
}

// alone reports whether a station is the first that every one of its requests comes to, and is visited once: M/G/1 is exact there.
func (b *builder) alone(k int) bool {
	if b.net.stations[k].servers > 1 || len(b.net.entries) > 100 {
		return false
	}
	for _, g := range b.net.groups {
		for _, a := range g.asks {
			visits := 0
			for _, v := range path(a.entry.root) {
				if v == k {
					visits++
				}
			}
			if visits > 0 && (g.users > 0 || g.scv != 1 || visits > 1 || path(a.entry.root)[0] != k) {
				return false
			}
		}
	}
	return true
}

// path is the stations that an act leads to, in order, as if every branch were taken.
func path(a *act) []int {
	var out []int
	for i := range a.visits {
		out = append(out, a.visits[i].station)
	}
	if a.entry != nil {
		for _, h := range a.entry.hold {
			for i := range h.visits {
				out = append(out, h.visits[i].station)
			}
		}
		out = append(out, path(a.entry.root)...)
	}
	for _, x := range a.body {
		out = append(out, path(x)...)
	}
	return out
}
