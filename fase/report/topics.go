package report

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/runs"
)

// A topic is what modules measured alike: variables that are called the same, but for the module, have the same unit and
// tell the same. They share a panel.
type topic struct {
	subject
	names  []string // of the variables that are drawn
	all    int      // how many there are
	steady bool     // none of them changed
	asked  int      // how often conditions of the scenario ask for them
	series []series // of names
}

// A subject is what distinguishes topics.
type subject struct {
	leaf string // the name without the module's
	unit string
	told told
}

// told is how a variable is drawn.
type told uint8

const (
	distribution told = iota // p50 and p95
	level                    // its value
	rate                     // per second
)

// A series is the history of one variable: one line, or those of p50 and p95.
type series struct {
	label string
	lines [][]float64
}

const (
	maxTopics = 6 // panels of a picture
	maxLines  = 8 // variables of a panel
)

// topics chooses what of the modules' variables is drawn: of each kind in turn what the scenario asks for most often, and
// what most modules have. What was never written, or is 0 all the time, is not drawn.
func topics(s *runs.Summary) []topic {
	by, us := map[subject]*topic{}, units(s)
	for _, n := range s.VariableNames() {
		sub, size, steady := about(n, s.Variables[n])
		sub.unit = us[n]
		if !(size > 0) {
			continue
		}
		t := by[sub]
		if t == nil {
			t = &topic{subject: sub, steady: true}
			by[sub] = t
		}
		t.names = append(t.names, n)
		t.all++
		t.steady = t.steady && steady
		for _, e := range s.Expect {
			if mentions(e, n) {
				t.asked++
			}
		}
	}
	var kinds [3][]topic
	for _, t := range by {
		t.names = largest(s, t.names)
		kinds[t.told] = append(kinds[t.told], *t)
	}
	var out []topic
	for i := range kinds {
		slices.SortFunc(kinds[i], importance)
	}
	for len(out) < maxTopics && len(kinds[0])+len(kinds[1])+len(kinds[2]) > 0 {
		for i := range kinds {
			if len(kinds[i]) > 0 && len(out) < maxTopics {
				out, kinds[i] = append(out, kinds[i][0]), kinds[i][1:]
			}
		}
	}
	slices.SortFunc(out, func(a, b topic) int {
		return cmp.Or(cmp.Compare(a.told, b.told), runs.CompareNames(a.leaf, b.leaf), strings.Compare(a.unit, b.unit))
	})
	return out
}

// about tells where a variable belongs, how much it comes to (not more than 0: there is nothing to draw), and whether it
// kept one value.
func about(name string, v runs.Variable) (sub subject, size float64, steady bool) {
	sub = subject{leaf: leaf(name), unit: v.Unit}
	switch {
	case v.Dist != nil:
		sub.told = distribution
		return sub, float64(v.Dist.Count), false
	case v.Sum != nil:
		sub.told = rate
		return sub, math.Abs(float64(v.Sum.Total)), false
	case v.Level != nil:
		sub.told = level
		for _, x := range []runs.Number{v.Level.Min, v.Level.Max} {
			if x := math.Abs(float64(x)); x == x {
				size = max(size, x)
			}
		}
		return sub, size, v.Level.Min == v.Level.Max
	}
	return sub, 0, true
}

// units are those of the variables. One that was declared without a unit is taken to have that of its namesakes in other
// modules, if they agree.
func units(s *runs.Summary) map[string]string {
	known, out := map[subject]string{}, map[string]string{}
	key := func(n string) subject {
		sub, _, _ := about(n, s.Variables[n])
		sub.unit = ""
		return sub
	}
	const several = "\x00"
	for n, v := range s.Variables {
		if have, ok := known[key(n)]; v.Unit != "" && ok && have != v.Unit {
			known[key(n)] = several
		} else if v.Unit != "" {
			known[key(n)] = v.Unit
		}
	}
	for n, v := range s.Variables {
		if out[n] = v.Unit; v.Unit == "" && known[key(n)] != several {
			out[n] = known[key(n)]
		}
	}
	return out
}

// leaf is a variable's name without that of its module.
func leaf(name string) string {
	if _, rest, ok := strings.Cut(name, "."); ok {
		return rest
	}
	return name
}

// owner is the name of a variable's module.
func owner(name string) string {
	o, _, _ := strings.Cut(name, ".")
	return o
}

// mentions says whether a condition reads a variable: by its name, or inside of a function.
func mentions(e runs.Expect, name string) bool {
	for text := range e.Readings {
		if text == name || strings.Contains(text, "("+name+")") || strings.Contains(text, "("+name+",") {
			return true
		}
	}
	return false
}

func importance(a, b topic) int {
	constant := func(t topic) int {
		if t.steady {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(constant(a), constant(b)), cmp.Compare(b.asked, a.asked), cmp.Compare(b.all, a.all),
		runs.CompareNames(a.leaf, b.leaf), strings.Compare(a.unit, b.unit))
}

// largest keeps the maxLines variables that come to most, in their order.
func largest(s *runs.Summary, ns []string) []string {
	if len(ns) <= maxLines {
		return ns
	}
	size := func(n string) float64 {
		_, x, _ := about(n, s.Variables[n])
		return x
	}
	kept := slices.Clone(ns)
	slices.SortStableFunc(kept, func(a, b string) int { return cmp.Compare(size(b), size(a)) })
	kept = kept[:maxLines]
	slices.SortFunc(kept, runs.CompareNames)
	return kept
}
