package spans

import (
	"cmp"
	"container/list"
	"slices"
	"time"
)

type opPeer struct{ service, name string }

// openTraces are those whose spans are still coming.
type openTraces struct {
	byID   map[traceID]*list.Element
	oldest *list.List // of *openTrace: the one whose last span came first in front
	spans  int
	peers  []opPeer
	peerOf map[opPeer]int32
}

type openTrace struct {
	id    traceID
	spans []span
}

func newOpenTraces() openTraces {
	return openTraces{byID: map[traceID]*list.Element{}, oldest: list.New(), peerOf: map[opPeer]int32{}}
}

// add keeps a span until its trace is folded.
func (m *Model) add(id traceID, s span, failed bool) {
	m.spans++
	o := m.ops[s.op]
	switch {
	case s.start <= 0 || s.end < s.start:
		m.counts["spans are unfinished, without an end or with one before their start: left out, and what they called has no parent"]++
		return
	case time.Duration(s.end-s.start) > longest:
		m.counts["spans last more than 10 min, which no request waits for: left out, and what they called has no parent"]++
		return
	}
	if failed {
		o.errors++
	}
	e, ok := m.open.byID[id]
	if ok {
		m.open.oldest.MoveToBack(e)
	} else {
		e = m.open.oldest.PushBack(&openTrace{id: id})
		m.open.byID[id] = e
	}
	t := e.Value.(*openTrace)
	t.spans = append(t.spans, s)
	for m.open.spans++; m.open.spans > m.opt.Spans; {
		m.foldOldest()
	}
}

func (m *Model) foldOldest() {
	e := m.open.oldest.Front()
	t := m.open.oldest.Remove(e).(*openTrace)
	delete(m.open.byID, t.id)
	m.open.spans -= len(t.spans)
	m.fold(t.spans)
}

// A tree is a trace that is being folded.
type tree struct {
	m        *Model
	spans    []span
	parents  []int // -1: none
	children [][]int
	seen     []bool
}

// fold adds a trace to the model. The order in which its spans came does not matter.
func (m *Model) fold(spans []span) {
	slices.SortStableFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end), cmp.Compare(a.id, b.id), cmp.Compare(a.kind, b.kind))
	})
	t := &tree{m: m, spans: spans, parents: make([]int, len(spans)), children: make([][]int, len(spans)), seen: make([]bool, len(spans))}
	tops := t.link()
	rooted := false
	for _, i := range tops {
		s := &t.spans[i]
		if s.parent == 0 {
			m.roots.add(s.start)
			m.ops[s.op].roots++
			rooted = true
		} else {
			m.orphans.add(s.start)
			m.counts["spans have a parent that is not in the files: their work counts, as calls and arrivals they do not"]++
		}
		t.entry(i)
	}
	if rooted {
		m.traces++
	}
	for i := range t.seen {
		if !t.seen[i] {
			m.counts["spans are their own ancestors, or stand twice: left out"]++
		}
	}
}

// link finds the parents, and returns the spans without one.
func (t *tree) link() (tops []int) {
	byID := make(map[uint64]int, len(t.spans))
	double := make([]bool, len(t.spans))
	for i := range t.spans {
		s := &t.spans[i]
		t.parents[i] = -1
		j, ok := byID[s.id]
		switch {
		case !ok:
			byID[s.id] = i
		case t.spans[j].kind == client && s.kind == server: // both sides have one id, as in Zipkin
			byID[s.id], t.parents[i] = i, j
		case t.spans[j].kind == server && s.kind == client:
			t.parents[j] = i
		default:
			double[i] = true
		}
	}
	for i := range t.spans {
		s := &t.spans[i]
		switch p, ok := byID[s.parent]; {
		case double[i]:
			continue
		case t.parents[i] >= 0:
		case s.parent != 0 && ok && p != i:
			t.parents[i] = p
		case s.parent == 0 || !ok:
			tops = append(tops, i)
			continue
		default:
			continue
		}
		t.children[t.parents[i]] = append(t.children[t.parents[i]], i)
	}
	return tops
}

// isEntry reports whether a span begins the execution of an operation: it is served, or at another service than its parent.
func (t *tree) isEntry(i int) bool {
	s, p := &t.spans[i], t.parents[i]
	return p < 0 || s.kind == server || s.kind == consumer || s.follows || t.m.ops[s.op].service != t.m.ops[t.spans[p].op].service
}

// A call is one of an execution.
type call struct {
	site       site
	start, end int64 // as the caller sees it
	net        float64
	hasNet     bool
	foreign    bool // times by another host's clock
	late       bool
}

// entry folds the execution that a span begins, and those that it calls.
func (t *tree) entry(i int) {
	todo := []int{i}
	for len(todo) > 0 {
		e := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		x := execution{tree: t, at: e}
		t.seen[e] = true
		x.collect(e)
		x.done()
		todo = append(todo, x.callees...)
	}
}

type execution struct {
	*tree
	at      int
	calls   []call
	callees []int
}

// collect finds the calls below a span of the execution.
func (x *execution) collect(first int) {
	todo := []int{first}
	for len(todo) > 0 {
		node := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, c := range x.children[node] {
			if x.isEntry(c) {
				x.direct(node, c)
				continue
			}
			x.seen[c] = true
			s := &x.spans[c]
			only := -1
			if s.kind == client && len(x.children[c]) == 1 && x.isEntry(x.children[c][0]) {
				only = x.children[c][0]
			}
			switch {
			case only >= 0 && x.spans[only].kind != consumer && !x.spans[only].follows:
				x.pair(c, only)
			case s.kind == client && len(x.children[c]) == 0 && s.peer >= 0:
				x.outside(c)
			default:
				if s.kind == producer && len(x.children[c]) == 0 {
					x.m.counts["messages were sent that no span received: sending counts as the sender's own time"]++
				}
				if s.kind == client && len(x.children[c]) == 0 {
					x.m.counts["spans of clients tell not whom they called: they count as their own service's time"]++
				}
				todo = append(todo, c)
			}
		}
	}
}

// pair is a call of which client and server have a span each.
func (x *execution) pair(c, s int) {
	cs, ss := &x.spans[c], &x.spans[s]
	if d := max(cs.start-ss.start, ss.end-cs.end); d > 0 {
		x.skew(s, d)
	}
	net := cs.end - cs.start - (ss.end - ss.start)
	if net < 0 {
		x.m.counts["calls took longer at the server than at the client: the time between the two is 0"]++
	}
	x.calls = append(x.calls, call{site: site{op: ss.op}, start: cs.start, end: cs.end, net: seconds(max(net, 0)), hasNet: true})
	x.callees = append(x.callees, s)
}

func (x *execution) skew(callee int, by int64) {
	service := x.m.ops[x.spans[callee].op].service
	s := x.m.skewed[service]
	x.m.skewed[service] = skew{s.n + 1, max(s.worst, time.Duration(by))}
}

// direct is a call that only the callee has a span of.
func (x *execution) direct(caller, callee int) {
	p, s := &x.spans[caller], &x.spans[callee]
	x.callees = append(x.callees, callee)
	if s.kind == consumer || s.follows || p.kind == producer {
		delay := max(s.start-p.end, 0)
		if p.kind != producer {
			delay = 0 // when it was sent is not known
		}
		at := min(p.start, s.start)
		if p.kind != producer {
			at = s.start
		}
		x.calls = append(x.calls, call{site: site{op: s.op, async: true}, start: at, end: at, net: seconds(delay), hasNet: p.kind == producer, foreign: true})
		return
	}
	start, end := s.start, s.end
	same := x.m.ops[p.op].service == x.m.ops[s.op].service
	if out := max(p.start-start, end-p.end); !same && out > 0 && end-start <= p.end-p.start {
		// It fits into its parent but stands outside: the clocks differ. As Jaeger does, it is put into the middle.
		x.skew(callee, out)
		d := end - start
		start = p.start + (p.end-p.start-d)/2
		end = start + d
	}
	x.calls = append(x.calls, call{site: site{op: s.op}, start: start, end: end, foreign: !same})
}

// outside is a call of a service that left no spans.
func (x *execution) outside(c int) {
	s := &x.spans[c]
	p := x.m.open.peers[s.peer]
	op := x.m.operation(p.service, p.name, true)
	o := x.m.ops[op]
	o.n++
	o.self.add(seconds(s.end - s.start))
	o.response.add(seconds(s.end - s.start))
	x.calls = append(x.calls, call{site: site{op: op}, start: s.start, end: s.end})
}

// done folds the execution, whose calls are known.
func (x *execution) done() {
	e := &x.spans[x.at]
	o := x.m.ops[e.op]
	o.n++
	slices.SortStableFunc(x.calls, func(a, b call) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end)) })
	busy, until := int64(0), e.start
	for i := range x.calls {
		c := &x.calls[i]
		c.late = !c.site.async && c.end-e.end > int64(x.m.opt.Skew)
		if from, to := max(c.start, until), min(c.end, e.end); !c.site.async && !c.late && to > from {
			busy += to - from
			until = to
		}
	}
	o.self.add(seconds(e.end - e.start - busy))
	o.response.add(seconds(e.end - e.start))
	x.m.sites(o, e.start, x.calls)
}

// sites folds the calls of an execution, which are sorted by when they began.
func (m *Model) sites(o *operation, begin int64, all []call) {
	by := map[site][]call{}
	var present []site
	for _, c := range all {
		s := o.sites[c.site]
		if s == nil {
			if len(o.sites) >= maxSites {
				m.counts["calls of operations that call more than 64 others are left out"]++
				continue
			}
			s = &calls{counts: map[int]int{}}
			o.sites[c.site] = s
		}
		if by[c.site] == nil {
			present = append(present, c.site)
		}
		by[c.site] = append(by[c.site], c)
		s.n++
		s.duration.add(seconds(c.end - c.start))
		s.offset.add(seconds(c.start - begin))
		if c.hasNet {
			s.net.add(c.net)
		}
		if c.late {
			s.late++
		}
	}
	for i, a := range present {
		s, calls := o.sites[a], by[a]
		s.counts[min(len(calls), 1<<20)]++
		if len(calls) > 1 {
			s.several++
			if m.overlapping(calls, calls[1:]) {
				s.overlap++
			}
		}
		for _, b := range present[i+1:] {
			m.ordered(o, a, b, calls, by[b])
		}
	}
}

// ordered folds how the calls of two sites stood to each other; those of a began first.
func (m *Model) ordered(o *operation, a, b site, as, bs []call) {
	k, first := [2]site{a, b}, true
	if cmp.Or(cmp.Compare(a.op, b.op), bool2int(a.async)-bool2int(b.async)) > 0 {
		k, first = [2]site{b, a}, false
	}
	r := o.order[k]
	if r == nil {
		r = &order{}
		o.order[k] = r
	}
	r.both++
	if m.overlapping(as, bs) {
		r.overlap++
	}
	if first {
		r.before++
	}
	if as[len(as)-1].start > bs[0].start {
		r.turns++
	}
}

func bool2int(b bool) int {
	if b {
		return 1
	}
	return 0
}

// overlapping reports whether any call of one list runs together with one of the other: for more than a tenth of the shorter by one
// clock, by two for more than the skew that is allowed or half of it. Both are sorted; with as[i] == bs[i-1] those of one list.
func (m *Model) overlapping(as, bs []call) bool {
	self := len(as) == len(bs)+1 && &as[len(as)-1] == lastOf(bs)
	j := 0
	for i := range as {
		a := &as[i]
		switch {
		case self:
			j = i
		default:
			for j < len(bs) && bs[j].end <= a.start {
				j++
			}
		}
		for k := j; k < len(bs); k++ {
			b := &bs[k]
			if b.start >= a.end {
				break
			}
			shorter := min(a.end-a.start, b.end-b.start)
			slack := shorter / 10
			if a.foreign || b.foreign {
				slack = min(int64(m.opt.Skew), shorter/2)
			}
			if min(a.end, b.end)-max(a.start, b.start) > slack {
				return true
			}
		}
	}
	return false
}

func lastOf(cs []call) *call {
	if len(cs) == 0 {
		return nil
	}
	return &cs[len(cs)-1]
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }
