package bpel

// maxBranches is how many branches a flow or a parallel forEach may have.
const maxBranches = 256

// A link of a flow orders two of its branches.
type link struct{ from, to int }

// An order says of branches which follow which: order[i][j] that i begins when j is over.
type order [][]bool

func newOrder(n int) order {
	o := make(order, n)
	for i := range o {
		o[i] = make([]bool, n)
	}
	return o
}

// flow starts its branches together and waits for all. Links order them: what a link leads to begins when what it comes from
// is over.
func (w *writer) flow(e *element, c context) []stmt {
	branches := w.activities(e)
	if len(branches) > maxBranches {
		w.fail(e, "the flow has %d branches, more than %d", len(branches), maxBranches)
		return nil
	}
	after := newOrder(len(branches))
	for _, l := range w.links(e, branches) {
		after[l.to][l.from] = true
	}
	after.close()
	for i := range branches {
		if after[i][i] {
			w.note(e, "flow: its links go in a circle, so that nothing of it could ever begin: they are not respected")
			after = newOrder(len(branches))
			break
		}
	}
	var lanes [][]stmt
	for _, group := range after.components() {
		steps := after.steps(group)
		if !after.exact(steps) {
			w.note(e, "flow: its links are no sequence of parallel steps: each step waits for all of the step before, which is stricter than the links")
		}
		var lane []stmt
		for _, step := range steps {
			var together [][]stmt
			for _, i := range step {
				together = append(together, w.act(branches[i], c, end))
			}
			lane = append(lane, par(together, place(e, "flow"))...)
		}
		lanes = append(lanes, lane)
	}
	return par(lanes, place(e, "flow"))
}

// links are those that a flow declares between its branches.
func (w *writer) links(flow *element, branches []*element) []link {
	declared := flow.kid("links")
	if declared == nil {
		return nil
	}
	var out []link
	for _, l := range declared.kids {
		name := l.attrs["name"]
		var from, to []int
		var stricter, condition bool
		for i, b := range branches {
			if s := b.end("source", name); s != nil {
				from = append(from, i)
				stricter = stricter || s.holder != b
				condition = s.end.expression("transitionCondition") != ""
			}
			if t := b.end("target", name); t != nil {
				to = append(to, i)
				stricter = stricter || t.holder != b
			}
		}
		switch {
		case len(from) != 1 || len(to) != 1:
			w.note(l, "link %s has not one source and one target in its flow: no order follows from it", word(name))
			continue
		case from[0] == to[0]:
			w.note(l, "link %s joins two activities within one branch of its flow: its order is not respected", word(name))
			continue
		}
		if condition {
			w.note(l, "link %s: its condition is assumed to hold, always", word(name))
		}
		if stricter {
			w.note(l, "link %s begins or ends inside a branch of its flow: it orders whole branches, which is stricter", word(name))
		}
		out = append(out, link{from[0], to[0]})
	}
	return out
}

// A holder is the activity that an end of a link stands in.
type holder struct{ holder, end *element }

// end finds where a link begins (`source`) or ends (`target`) in an activity.
func (e *element) end(kind, name string) *holder {
	for _, k := range e.kids {
		switch {
		case k.foreign:
		case k.name == kind && k.attrs["linkName"] == name:
			return &holder{e, k}
		case k.name == kind+"s":
			if h := k.end(kind, name); h != nil {
				return &holder{e, h.end}
			}
		default:
			if h := k.end(kind, name); h != nil {
				return h
			}
		}
	}
	return nil
}

// close makes an order transitive (Warshall).
func (o order) close() {
	for k := range o {
		for i := range o {
			if !o[i][k] {
				continue
			}
			for j := range o {
				o[i][j] = o[i][j] || o[k][j]
			}
		}
	}
}

// components are the branches that links join, in the order of the text.
func (o order) components() [][]int {
	of := make([]int, len(o))
	for i := range of {
		of[i] = i
	}
	for i := range o {
		for j := range o {
			if !o[i][j] || of[i] == of[j] {
				continue
			}
			low, high := min(of[i], of[j]), max(of[i], of[j])
			for k := range of {
				if of[k] == high {
					of[k] = low
				}
			}
		}
	}
	var out [][]int
	for root := range of {
		var group []int
		for i, r := range of {
			if r == root {
				group = append(group, i)
			}
		}
		if group != nil {
			out = append(out, group)
		}
	}
	return out
}

// steps divides branches by the longest way of links that leads to each.
func (o order) steps(group []int) [][]int {
	step := map[int]int{}
	var out [][]int
	for len(step) < len(group) {
		var now []int
		for _, i := range group {
			if _, done := step[i]; done {
				continue
			}
			ready := true
			for _, j := range group {
				if _, done := step[j]; o[i][j] && !done {
					ready = false
				}
			}
			if ready {
				now = append(now, i)
			}
		}
		for _, i := range now {
			step[i] = len(out)
		}
		out = append(out, now)
	}
	return out
}

// exact reports whether each branch follows, by the links, all of the step before.
func (o order) exact(steps [][]int) bool {
	for n := 1; n < len(steps); n++ {
		for _, i := range steps[n] {
			for _, j := range steps[n-1] {
				if !o[i][j] {
					return false
				}
			}
		}
	}
	return true
}
