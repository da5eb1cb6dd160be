package spans

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A node is a statement of a request.
type node struct {
	text    string
	comment string
	body    []node // in braces
	times   float64
	calls   *written
	mean    float64 // s of cpu and wait
}

// size is what of the limits of requests a node takes.
type size struct {
	depth, nodes   int
	steps, seconds float64
}

func (s size) and(o size) size {
	return size{max(s.depth, o.depth), s.nodes + o.nodes, s.steps + o.steps, s.seconds + o.seconds}
}

// fits is within a good part of rdr.Limits.
func (s size) fits() bool {
	return s.depth <= 29 && s.nodes <= 1200 && s.steps <= 400_000 && s.seconds <= 1500
}

func (n *node) size() size {
	s := size{nodes: 1, steps: 1, seconds: n.mean}
	if n.calls != nil {
		s = s.and(n.calls.size)
		s.depth = 1 + n.calls.size.depth
	}
	for i := range n.body {
		b := n.body[i].size()
		b.depth++
		s = s.and(b)
	}
	if n.times > 1 {
		s.steps *= n.times
		s.seconds *= n.times
	}
	return s
}

// A step is a site in the plan of an operation.
type step struct {
	site site
	*calls
	fork bool
}

// relation tells of two sites how many of the executions with both had them overlap, and in how many a began first.
func (o *operation) relation(a, b site) (r order) {
	if p := o.order[[2]site{a, b}]; p != nil {
		return *p
	}
	if p := o.order[[2]site{b, a}]; p != nil {
		r = *p
		r.before = r.both - r.before
	}
	return r
}

// together reports whether calls of two steps run in parallel: they overlapped in a tenth of the executions that had both, or more.
// What follows by being called in sequence never overlaps, and what is started together nearly always does.
func (o *operation) together(a, b step) bool {
	if a.fork || b.fork {
		return false
	}
	r := o.relation(a.site, b.site)
	return r.overlap > 0 && r.overlap*10 >= r.both
}

// stages are the steps of an operation in their order; those of one stage run in parallel, in lanes of steps in sequence.
func (o *operation) stages() (stages [][][]step) {
	var steps []step
	for s, c := range o.sites {
		steps = append(steps, step{s, c, s.async || 2*c.late > c.n})
	}
	slices.SortFunc(steps, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.offset.mean, b.offset.mean), cmp.Compare(a.site.op, b.site.op), bool2int(a.site.async)-bool2int(b.site.async))
	})
	for _, group := range o.ordered(o.components(steps)) {
		var members [][]step
		for _, s := range group {
			members = append(members, []step{s})
		}
		var lanes [][]step
		for _, m := range o.ordered(members) {
			i := slices.IndexFunc(lanes, func(l []step) bool {
				return !slices.ContainsFunc(l, func(s step) bool { return o.together(s, m[0]) })
			})
			if i < 0 {
				lanes = append(lanes, nil)
				i = len(lanes) - 1
			}
			lanes[i] = append(lanes[i], m[0])
		}
		stages = append(stages, lanes)
	}
	return stages
}

// components are the steps that run in parallel with each other, directly or through others.
func (o *operation) components(steps []step) (out [][]step) {
	seen := make([]bool, len(steps))
	for i := range steps {
		if seen[i] {
			continue
		}
		seen[i] = true
		group := []step{steps[i]}
		for k := 0; k < len(group); k++ {
			for j := range steps {
				if !seen[j] && o.together(group[k], steps[j]) {
					seen[j] = true
					group = append(group, steps[j])
				}
			}
		}
		out = append(out, group)
	}
	return out
}

// ordered puts groups into the order in which most executions had them; by their mean offset where none had both.
func (o *operation) ordered(groups [][]step) (out [][]step) {
	offset := func(g []step) float64 {
		x := g[0].offset.mean
		for _, s := range g[1:] {
			x = min(x, s.offset.mean)
		}
		return x
	}
	precedes := func(a, b []step) bool {
		before, after := 0, 0
		for _, s := range a {
			for _, t := range b {
				r := o.relation(s.site, t.site)
				before, after = before+r.before, after+r.both-r.before
			}
		}
		return before > after
	}
	left := slices.Clone(groups)
	slices.SortStableFunc(left, func(a, b []step) int { return cmp.Compare(offset(a), offset(b)) })
	for len(left) > 0 {
		i := slices.IndexFunc(left, func(g []step) bool {
			return !slices.ContainsFunc(left, func(h []step) bool { return precedes(h, g) })
		})
		i = max(i, 0) // they go round: the earliest
		out = append(out, left[i])
		left = slices.Delete(left, i, i+1)
	}
	return out
}

// repeated writes a step as often as executions had it: `once` is one call.
func (w *writer) repeated(o *operation, s step, once []node, parallel bool) []node {
	counts := map[int]int{} // by how many calls
	most := 1000
	if parallel || s.fork {
		most = max(1, min(maxFanOut, 512/len(o.sites)))
	}
	absent := o.n
	for k, n := range s.counts {
		if k > most {
			w.counts[fmt.Sprintf("executions of %s call %s more than %d times: they do so %[3]d times", w.call(o), w.call(w.m.ops[s.site.op]), most)] += n
		}
		counts[min(k, most)] += n
		absent -= n
	}
	if absent > 0 {
		counts[0] = absent
	}
	times := func(k int) []node {
		switch {
		case k == 0:
			return nil
		case k == 1:
			return once
		case parallel:
			var all []node
			for range k {
				all = append(all, one(once))
			}
			return []node{{text: "par", body: all}}
		}
		return []node{{text: fmt.Sprintf("repeat %d", k), times: float64(k), body: once}}
	}
	ks := slices.Sorted(maps.Keys(counts))
	switch {
	case len(ks) == 1:
		return times(ks[0])
	case len(ks) > 6 && !parallel:
		sum := 0
		for k, n := range counts {
			sum += k * n
		}
		mean := float64(sum) / float64(o.n)
		w.counts[fmt.Sprintf("calls of %s by %s are repeated %s times in the mean, by %d different counts: rounded at random, so that the mean is kept",
			w.call(w.m.ops[s.site.op]), w.call(o), decimal(mean, 3), len(ks))]++
		return []node{{text: "repeat " + decimal(mean, 6), times: mean, body: once}}
	case len(ks) > 6:
		w.counts[fmt.Sprintf("calls of %s by %s run together by %d different counts: rounded up to five of them", w.call(w.m.ops[s.site.op]), w.call(o), len(ks))]++
		counts, ks = coarse(counts, ks)
	}
	choose := node{text: "choose", comment: fmt.Sprintf("of %d", o.n)}
	rest := 1_000_000
	for i, k := range ks {
		p := int(float64(counts[k])/float64(o.n)*1e6 + 0.5)
		if i == len(ks)-1 {
			p = rest
		}
		p = min(p, rest)
		rest -= p
		choose.body = append(choose.body, node{text: decimal(float64(p)/1e6, 6) + ":", body: times(k)})
	}
	return []node{choose}
}

// coarse has of many counts six, the others rounded to the nearest of them above.
func coarse(counts map[int]int, ks []int) (map[int]int, []int) {
	out := map[int]int{}
	for i, k := range ks {
		if k > 0 {
			k = ks[min((i/((len(ks)+4)/5)+1)*((len(ks)+4)/5), len(ks))-1]
		}
		out[k] += counts[ks[i]]
	}
	return out, slices.Sorted(maps.Keys(out))
}

// one makes one statement of several.
func one(nodes []node) node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	return node{body: nodes}
}

// render writes statements.
func render(b *strings.Builder, indent string, nodes []node) {
	for _, n := range nodes {
		b.WriteString(indent + n.text)
		if n.body != nil || strings.HasSuffix(n.text, ":") {
			if n.text != "" {
				b.WriteByte(' ')
			}
			if len(n.body) == 0 {
				b.WriteString("{}")
			} else {
				b.WriteByte('{')
			}
		}
		if n.comment != "" {
			b.WriteString("  # " + n.comment)
		}
		b.WriteByte('\n')
		if len(n.body) > 0 {
			render(b, indent+"  ", n.body)
			b.WriteString(indent + "}\n")
		}
	}
}
