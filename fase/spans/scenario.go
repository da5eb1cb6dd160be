package spans

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A written is an operation as the scenario has it.
type written struct {
	name string
	body []node
	size size
	done bool // false: one of those that call what is being written
}

type writer struct {
	m        *Model
	counts   map[string]int
	taken    map[string]bool // in the namespace of the scenario
	names    map[int32]string
	opNames  map[int32]map[string]bool
	written  map[int32]*written
	byOwner  map[int32][]int32 // operations by service, callees first
	services []int32
}

// Scenario writes what was learned as a scenario called name; it folds what is left, so that further files begin further traces.
func (m *Model) Scenario(name string) (*Result, error) {
	for m.open.spans > 0 {
		m.foldOldest()
	}
	w := &writer{
		m: m, counts: map[string]int{}, taken: map[string]bool{}, names: map[int32]string{}, opNames: map[int32]map[string]bool{},
		written: map[int32]*written{}, byOwner: map[int32][]int32{},
	}
	for _, r := range reserved() {
		w.taken[r] = true
	}
	roots, arriving := w.roots()
	if len(roots) == 0 {
		return nil, ErrEmpty
	}
	for _, r := range roots {
		w.operation(r.op)
	}
	notes := w.notes(arriving)
	text := w.text(name, roots, arriving, notes)
	if len(text) > 1<<20 {
		return nil, fmt.Errorf("the scenario would have %d bytes, more than the 1 MiB that one may have: give fewer services' traces", len(text))
	}
	res := &Result{Text: text, Notes: notes, Traces: m.traces, Spans: m.spans, Operations: len(w.written)}
	for _, s := range w.services {
		res.Services = append(res.Services, w.names[s])
	}
	return res, nil
}

type root struct {
	op    int32
	count int
}

// roots are the operations that traces begin with, the most frequent first; without any, those whose callers are not in the files.
func (w *writer) roots() (roots []root, a *arrivals) {
	a = &w.m.roots
	for i, o := range w.m.ops {
		if o.roots > 0 {
			roots = append(roots, root{int32(i), o.roots})
		}
	}
	if len(roots) == 0 {
		a = &w.m.orphans
		called := map[int32]bool{}
		for _, o := range w.m.ops {
			for s := range o.sites {
				called[s.op] = true
			}
		}
		for i, o := range w.m.ops {
			if o.n > 0 && !o.outside && !called[int32(i)] {
				roots = append(roots, root{int32(i), o.n})
			}
		}
		if len(roots) > 0 {
			w.counts["operations begin traces by having no caller in the files, as no span is without a parent: their rate is that of all such spans"] = len(roots)
		}
	}
	slices.SortStableFunc(roots, func(a, b root) int { return cmp.Compare(b.count, a.count) })
	const most = 500
	for len(roots) > most {
		last := roots[len(roots)-1]
		w.counts["traces begin with one of the operations beyond the 500 most frequent: left out"] += last.count
		roots = roots[:len(roots)-1]
	}
	for i := range roots {
		roots[i].count = min(roots[i].count, 1_000_000_000)
	}
	return roots, a
}

// operation writes one, and those that it calls before it.
func (w *writer) operation(op int32) *written {
	if x := w.written[op]; x != nil {
		return x
	}
	o := w.m.ops[op]
	x := &written{name: w.opName(o)}
	w.written[op] = x
	if o.self.mean >= least {
		x.body = append(x.body, node{text: "cpu " + o.self.law(), mean: o.self.mean, comment: o.self.figures()})
	}
	for i := range x.body {
		x.size = x.size.and(x.body[i].size())
	}
	for _, lanes := range o.stages() {
		var branches []node
		for _, l := range lanes {
			var lane []node
			for _, s := range l {
				lane = append(lane, w.step(o, x, s, len(lanes) > 1)...)
			}
			if len(lane) == 1 && lane[0].text == "par" {
				branches = append(branches, lane[0].body...)
			} else if len(lane) > 0 {
				branches = append(branches, one(lane))
			}
		}
		switch {
		case len(branches) > 1:
			x.body = append(x.body, node{text: "par", body: branches})
		case len(branches) == 1 && branches[0].text == "":
			x.body = append(x.body, branches[0].body...)
		default:
			x.body = append(x.body, branches...)
		}
	}
	x.done = true
	if len(w.byOwner[o.service]) == 0 {
		w.services = append(w.services, o.service)
	}
	w.byOwner[o.service] = append(w.byOwner[o.service], op)
	return x
}

// step writes the calls of a site, or what can stand in their place where the call itself cannot.
func (w *writer) step(o *operation, x *written, s step, inPar bool) []node {
	callee := w.m.ops[s.site.op]
	c := w.operation(s.site.op)
	if !c.done {
		w.counts[fmt.Sprintf("calls of %s by %s lead back to a caller, which a scenario cannot have: it waits as long as they took", w.call(callee), w.call(o))] += s.n
		return w.fitting(o, x, s, inPar, w.instead(s))
	}
	var once []node
	if s.net.n > 0 && s.net.mean >= least {
		once = append(once, node{text: "wait " + s.net.law(), mean: s.net.mean, comment: s.net.figures()})
	}
	once = append(once, node{text: "call " + w.service(callee.service) + "." + c.name, calls: c})
	if s.fork {
		if !s.site.async {
			w.counts[fmt.Sprintf("calls of %s by %s end after it, as most do: they are taken as not waited for", w.call(callee), w.call(o))] += s.n
		}
		once = []node{{text: "fork", body: once}}
	} else if s.late > 0 {
		w.counts["calls end after their caller, as few of their kind do: they are taken as waited for"] += s.late
	}
	if out := w.fitting(o, x, s, inPar, once); out != nil {
		return out
	}
	w.counts[fmt.Sprintf("calls of %s by %s make a request too deep, large or long for a scenario: it waits as long as they took", w.call(callee), w.call(o))] += s.n
	return w.fitting(o, x, s, inPar, w.instead(s))
}

// instead is a wait in the place of a call.
func (w *writer) instead(s step) []node {
	if s.fork || s.duration.mean < least {
		return nil
	}
	return []node{{text: "wait " + s.duration.law(), mean: s.duration.mean, comment: s.duration.figures() + ", in place of calls"}}
}

// fitting repeats a step as often as there were calls; nil where that does not fit into the operation.
func (w *writer) fitting(o *operation, x *written, s step, inPar bool, once []node) []node {
	if len(once) == 0 {
		return nil
	}
	parallel := !s.fork && s.overlap > 0 && s.overlap*10 >= s.several
	out := w.repeated(o, s, once, parallel)
	sum := x.size
	for i := range out {
		n := out[i].size()
		n.depth += 2 * bool2int(inPar)
		sum = sum.and(n)
	}
	if !sum.fits() {
		return nil
	}
	x.size = sum
	return out
}

// service is a service's name in the scenario.
func (w *writer) service(s int32) string {
	if n, ok := w.names[s]; ok {
		return n
	}
	n := name(w.m.services[s], "service", 36, func(n string) bool { return w.taken[n] || w.taken[n+"_host"] })
	w.taken[n], w.taken[n+"_host"] = true, true
	w.names[s] = n
	return n
}

func (w *writer) opName(o *operation) string {
	of := w.opNames[o.service]
	if of == nil {
		of = map[string]bool{}
		w.opNames[o.service] = of
	}
	n := name(o.name, "op", 48, func(n string) bool { return of[n] })
	of[n] = true
	return n
}

// call names an operation as the traces do.
func (w *writer) call(o *operation) string {
	return printable(w.m.services[o.service]) + " " + strconv.QuoteToASCII(clip(o.name))
}

// name makes a name that is not taken of a text.
func name(from, otherwise string, most int, taken func(string) bool) string {
	var b strings.Builder
	for _, r := range strings.ToLower(from) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' && b.Len() > 0:
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
	}
	base := strings.Trim(b.String()[:min(b.Len(), most)], "_")
	if base == "" || slices.Contains(reserved(), base) {
		base = strings.Trim(otherwise+"_"+base, "_")
	}
	n := base
	for i := 2; taken(n); i++ {
		n = fmt.Sprintf("%s_%d", base, i)
	}
	return n
}

// reserved are names that scenarios have a use for.
func reserved() []string {
	return []string{
		"run", "map", "config", "eve", "adapt", "and", "or", "not", "in", "true", "false", "nil", "cpu", "disk", "memory", "link", "in_flight",
		"lag", "admit", "process", "visitors", "exit",
	}
}

// notes lists what was assumed and what is missing.
func (w *writer) notes(a *arrivals) (notes []string) {
	m := w.m
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	note("assumed: a service's own time, its span less the calls that it waits for, is processor time, and comes before its calls. What it waited for processors is in it, so servers have enough of them")
	note("assumed: the time between a client's span and its server's is a `wait` before the call; whether and how often a call is made does not depend on others")
	note("left out: sizes of requests and answers, which spans do not tell")
	switch r := a.rate(); {
	case r == 0:
		note("assumed: 1 request a second, as the traces tell no rate")
	default:
		note("the rate is that of the traces, %d in %s: where they were sampled, divide it by the share that was kept", a.n, time.Duration(a.last-a.first).Round(time.Millisecond))
	}
	for s, k := range sortedBy(m.skewed, func(s int32) string { return m.services[s] }) {
		note("clock skew: %d spans of %s stood outside of their parents, by up to %s: calls have their callers' times; delays of messages hold it", k.n, printable(m.services[s]), k.worst)
	}
	for _, o := range m.ops {
		if o.errors > 0 {
			note("left out: %d errors of %s: their times count, and here they succeed", o.errors, w.call(o))
		}
		for k, r := range sortedBy(o.order, func(k [2]site) string { return w.call(m.ops[k[0].op]) + w.call(m.ops[k[1].op]) }) {
			if r.turns > r.overlap && !k[0].async && !k[1].async {
				note("%s calls %s and %s in turns in %d of %d executions: here those of one come first", w.call(o), w.call(m.ops[k[0].op]), w.call(m.ops[k[1].op]), r.turns, r.both)
			}
		}
	}
	unreached := 0
	for i, o := range m.ops {
		if w.written[int32(i)] == nil && o.n > 0 {
			unreached += o.n
		}
	}
	if unreached > 0 {
		note("left out: %d executions of operations that no trace with a root gets to", unreached)
	}
	for _, all := range []map[string]int{m.counts, w.counts} {
		for _, what := range slices.Sorted(maps.Keys(all)) {
			note("%d %s", all[what], what)
		}
	}
	for i := range notes {
		notes[i] = printable(notes[i])
	}
	return notes
}

// sortedBy goes through a map by the names of its keys.
func sortedBy[K comparable, V any](m map[K]V, name func(K) string) func(func(K, V) bool) {
	keys := slices.Collect(maps.Keys(m))
	slices.SortFunc(keys, func(a, b K) int { return strings.Compare(name(a), name(b)) })
	return func(yield func(K, V) bool) {
		for _, k := range keys {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// printable is a text without what a comment cannot hold.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) || r == '\ufffd' {
			return -1
		}
		return r
	}, s)
}

// rateOf writes a rate.
func rateOf(r float64) string {
	if r == 0 {
		r = 1
	}
	return strconv.FormatFloat(max(1e-6, min(r, 1e7)), 'f', max(0, 3-int(math.Floor(math.Log10(max(r, 1e-6))))), 64) + "/s"
}
