package scenario

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/eve-emulation/eve/fase/session"
	"github.com/eve-emulation/eve/fase/user"
)

// rawSession is a session as written.
type rawSession struct {
	start   spot[string]
	think   spot[think]
	onError spot[string]
	state   []rawVar
	pages   []named[rawPage]
	at      *node
}

// rawVar is one variable of a session's state.
type rawVar struct {
	name        string
	at          *node
	from        int
	least, most int
	truth       bool
}

type rawPage struct {
	request spot[string]
	think   spot[think]
	do      []spot[string]
	next    []rawWay
	nextAt  *node
}

// rawWay is one alternative of `next:`.
type rawWay struct {
	when spot[string]
	to   []rawEdge
	at   *node
}

type rawEdge struct {
	page spot[string]
	p    float64
}

// rawWeight is one entry of `mix:`.
type rawWeight struct {
	request spot[string]
	weight  float64
	live    rawLive
}

func sessionFields(s *rawSession) []field {
	return []field{
		{key: "start", value: text(&s.start), help: "the page that a session begins with; without it the first one"},
		{key: "think", value: thinks(&s.think), help: "the pause behind each page that says nothing else: `2s`, or `exp(2s)`; without it none"},
		{key: "on_error", value: choice(&s.onError, "continue", "leave"), def: "continue", help: "what a page does that failed or outlasted the patience: the session goes on as if it had been answered, or ends"},
		{key: "state", value: stateVars(&s.state), help: "what a session remembers: `cart: 0..9` begins at 0 and stays within 0 and 9, `login: false` is true or false"},
		{key: "pages", value: names(&s.pages, "page", many, pageFields), need: true, help: "the pages, by name"},
	}
}

func pageFields(p *rawPage) []field {
	return []field{
		{key: "request", value: text(&p.request), help: "the name of a request in `requests:`; without it the one of the page's name"},
		{key: "think", value: thinks(&p.think), help: "the pause between the answer and the next page: `2s`, or `exp(2s)`"},
		{key: "do", value: texts(&p.do, "update", 32), help: "what a visit changes: `cart += 1`, `login = true`; one update or a list"},
		{key: "next", value: nexts(p), need: true, help: "what follows: a page, probabilities by page, or a list of `{when: CONDITION, to: …}` of which the first that holds counts; `exit` ends the session"},
	}
}

// sessions is the name of a session, or one that is written in place.
func sessions(name *spot[string], inline **rawSession) value {
	inner := rawSession{}
	whole := object("session", sessionFields(&inner))
	s := shape{name: "session's name, or mapping", json: map[string]any{"oneOf": []any{map[string]any{"type": "string"}, whole.schema()}}}
	return value{s, func(r *reader, n *node) {
		if n.kind != mappingNode {
			text(name).read(r, n)
			return
		}
		raw := &rawSession{at: n}
		r.object(n, "the session", sessionFields(raw))
		*inline = raw
	}}
}

// stateVars is a mapping of names to where they begin.
func stateVars(dst *[]rawVar) value {
	s := shape{name: "values by name", json: map[string]any{
		"type": "object", "additionalProperties": map[string]any{"type": []any{"string", "integer", "boolean"}},
	}}
	return value{s, func(r *reader, n *node) {
		if n.kind != mappingNode {
			r.at(n, fmt.Sprintf("a mapping of names is due, not %s", n.what()), "write {cart: 0..9, login: false}")
			return
		}
		seen := map[string]int{}
		for _, e := range n.entries {
			if line, twice := seen[e.key.text]; twice {
				r.at(e.key, fmt.Sprintf("the name %q stands twice, first in line %d", clip(e.key.text), line), "")
				continue
			}
			seen[e.key.text] = e.key.line
			t, ok := r.scalar(e.value, "where it begins")
			if !ok {
				continue
			}
			v, ok := parseVar(t)
			if !ok {
				r.at(e.value, fmt.Sprintf("%q is not where a variable begins", clip(t)), "write a whole number, a number with bounds such as 0..9, true or false")
				continue
			}
			v.name, v.at = e.key.text, e.key
			*dst = append(*dst, v)
		}
	}}
}

// parseVar reads "3", "0..9", "true" or "false".
func parseVar(t string) (v rawVar, ok bool) {
	if t == "true" || t == "false" {
		v.truth, v.most = true, 1
		if t == "true" {
			v.from = 1
		}
		return v, true
	}
	low, high, bounded := strings.Cut(t, "..")
	from, err := strconv.ParseInt(low, 10, 31)
	if err != nil {
		return v, false
	}
	v.from, v.least, v.most = int(from), -session.Unbounded, session.Unbounded
	if bounded {
		most, err := strconv.ParseInt(high, 10, 31)
		if err != nil || most < from {
			return v, false
		}
		v.least, v.most = int(from), int(most)
	}
	return v, true
}

// nexts is what follows a page.
func nexts(p *rawPage) value {
	one := map[string]any{"type": []any{"string", "number"}}
	edges := map[string]any{"oneOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "object", "additionalProperties": one}}}
	way := map[string]any{
		"type": "object", "properties": map[string]any{"when": map[string]any{"type": "string"}, "to": edges},
		"required": []string{"to"}, "additionalProperties": false,
	}
	s := shape{name: "page, probabilities by page, or list of alternatives", json: map[string]any{
		"oneOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "object", "additionalProperties": one}, map[string]any{"type": "array", "items": way}},
	}}
	return value{s, func(r *reader, n *node) {
		p.nextAt = n
		if n.kind != sequenceNode {
			if w, ok := r.way(n); ok {
				p.next = append(p.next, w)
			}
			return
		}
		for _, item := range n.items {
			var when spot[string]
			var to rawWay
			r.object(item, "an alternative", []field{
				{key: "when", value: text(&when), help: "a condition over the state, such as cart > 0"},
				{key: "to", value: value{shape{json: edges}, func(r *reader, n *node) { to, _ = r.way(n) }}, need: true, help: "where it leads: a page, or probabilities by page"},
			})
			if to.at == nil {
				continue
			}
			to.when = when
			p.next = append(p.next, to)
		}
	}}
}

// way reads where a page leads, without its condition.
func (r *reader) way(n *node) (rawWay, bool) {
	w := rawWay{at: n}
	if n.kind != mappingNode {
		t, ok := r.scalar(n, "a page, or probabilities by page")
		if ok {
			w.to = []rawEdge{{page: spot[string]{t, n}, p: 1}}
		}
		return w, ok
	}
	ok := len(n.entries) > 0
	if !ok {
		r.at(n, "the page leads nowhere", "write {exit: 1}")
	}
	seen := map[string]int{}
	for _, e := range n.entries {
		if line, twice := seen[e.key.text]; twice {
			r.at(e.key, fmt.Sprintf("the page %q stands twice, first in line %d", clip(e.key.text), line), "add its probabilities up")
			ok = false
			continue
		}
		seen[e.key.text] = e.key.line
		var p spot[float64]
		amount(&p, plainUnit(), bounds{0, 1, "a probability, from 0 to 1"}).read(r, e.value)
		if !p.written() {
			ok = false
			continue
		}
		w.to = append(w.to, rawEdge{page: spot[string]{e.key.text, e.key}, p: p.v})
	}
	return w, ok
}

// weights is a mapping of requests to their weights.
func weights(dst *[]rawWeight, at **node) value {
	s := shape{name: "weights by request", json: map[string]any{
		"type": "object", "additionalProperties": map[string]any{"type": []any{"string", "number"}},
	}}
	return value{s, func(r *reader, n *node) {
		*at = n
		if n.kind != mappingNode {
			r.at(n, fmt.Sprintf("a mapping of requests to weights is due, not %s", n.what()), "write {browse: 0.9, buy: 0.1}")
			return
		}
		seen := map[string]int{}
		for _, e := range n.entries {
			if line, twice := seen[e.key.text]; twice {
				r.at(e.key, fmt.Sprintf("the request %q stands twice, first in line %d", clip(e.key.text), line), "add its weights up")
				continue
			}
			seen[e.key.text] = e.key.line
			var x spot[float64]
			var l rawLive
			live(&l, amount(&x, plainUnit(), bounds{0, user.MaxWeight, "a weight, at least 0"}), plainUnit()).read(r, e.value)
			if x.written() {
				*dst = append(*dst, rawWeight{request: spot[string]{e.key.text, e.key}, weight: x.v, live: l})
			}
		}
	}}
}
