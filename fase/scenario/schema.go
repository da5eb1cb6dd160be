package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// One table says what a scenario file may hold: the fields of fields.go. From it come the decoding with its errors, the
// JSON Schema for editors, and the reference in docs/scenario.md.

// field is one key of a mapping.
type field struct {
	key   string
	value value
	need  bool   // it must be written
	def   string // read where the key is not written; empty: the zero value
	help  string
}

// value says what may stand behind a key, and reads it.
type value struct {
	shape
	read func(r *reader, n *node)
}

// shape is what people and editors are told about a value.
type shape struct {
	name   string         // as the reference says it: "duration"
	json   map[string]any // JSON Schema; nil for those made of fields or elem
	fields []field        // a mapping with these keys
	elem   *shape         // a mapping of any names to these, or a list of them
	list   bool
	loose  bool           // a single one may stand for a list
	or     map[string]any // JSON Schema of what may stand for the mapping
}

// spot is a value that was read, and where; at is nil for a default.
type spot[T any] struct {
	v  T
	at *node
}

func (s spot[T]) written() bool { return s.at != nil }

func put[T any](dst *spot[T], n *node, v T) {
	dst.v, dst.at = v, n
	if n.src == nil {
		dst.at = nil
	}
}

// named is one entry of a mapping of names.
type named[T any] struct {
	name string
	at   *node // the name
	node *node // the value
	v    T
}

// reader reads nodes into fields.
type reader struct{ *faults }

// many is how many of most things there may be.
const many = 256

// lots is how many servers and services may be written down: as many keys as a file has in one place.
const lots = 2000

// object reads the keys of a mapping.
func (r *reader) object(n *node, what string, fields []field) {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	var missing []string
	if n.kind == mappingNode {
		r.keys(n, what, fields, keys)
	} else if n.kind != nullNode {
		r.at(n, fmt.Sprintf("%s is a mapping, not %s", what, n.what()), "its keys are "+strings.Join(keys, ", "))
		return
	}
	for _, f := range fields {
		if n.get(f.key) != nil {
			continue
		}
		if f.need {
			missing = append(missing, f.key)
		} else if f.def != "" {
			f.value.read(r, &node{text: f.def})
		} else if f.value.fields != nil {
			f.value.read(r, &node{kind: nullNode}) // for the defaults inside
		}
	}
	if len(missing) > 0 {
		r.at(n, fmt.Sprintf("%s has no %s", what, strings.Join(missing, ", no ")), r.example(fields, missing[0]))
	}
}

func (r *reader) example(fields []field, key string) string {
	for _, f := range fields {
		if f.key == key && f.help != "" {
			return fmt.Sprintf("add `%s:` (%s)", key, f.help)
		}
	}
	return ""
}

func (r *reader) keys(n *node, what string, fields []field, keys []string) {
	seen := make(map[string]int, len(n.entries))
	for i, e := range n.entries {
		if line, twice := seen[e.key.text]; twice {
			r.at(e.key, fmt.Sprintf("%s has the key %q twice, first in line %d", what, clip(e.key.text), line), "")
			continue
		}
		seen[e.key.text] = e.key.line
		at := slices.Index(keys, e.key.text)
		switch {
		case at >= 0 && n.flow && i+1 < len(n.entries) && cutByComma(e.value, n.entries[i+1].key):
			r.comma(e.value)
		case at >= 0:
			fields[at].value.read(r, e.value)
		case n.flow && i > 0 && cutByComma(n.entries[i-1].value, e.key):
			// The rest of a text that a comma cut: told there.
		case n.flow && i > 0 && e.value.missing && strings.ContainsAny(e.key.text, " ()<>"):
			r.comma(e.key)
		default:
			r.at(e.key, fmt.Sprintf("%s has no key %q", what, clip(e.key.text)), didYouMean(e.key.text, keys))
		}
	}
}

// cutByComma reports a text inside brackets that a comma ended within parentheses, which the next one closes.
func cutByComma(n, next *node) bool {
	return n.kind == scalarNode && n.style == plain && next.style == plain &&
		strings.Count(n.text, "(") > strings.Count(n.text, ")") && strings.Contains(next.text, ")")
}

func (r *reader) comma(n *node) {
	r.at(n, "inside brackets a comma ends the text", `put the text in quotes, as in {when: "p95(app.latency, 5s) > 1s"}, or write one key a line`)
}

// scalar returns the text of a node; false with a mistake told when it is none.
func (r *reader) scalar(n *node, want string) (string, bool) {
	if n.kind == scalarNode && n.text != "" {
		return n.text, true
	}
	got := n.what()
	if n.kind == scalarNode {
		got = "an empty text"
	}
	r.at(n, fmt.Sprintf("%s is due, not %s", want, got), "")
	return "", false
}

func stringShape(name string) shape {
	return shape{name: name, json: map[string]any{"type": "string"}}
}

// text is any text.
func text(dst *spot[string]) value {
	return value{stringShape("text"), func(r *reader, n *node) {
		if s, ok := r.scalar(n, "a text"); ok {
			put(dst, n, s)
		}
	}}
}

// choice is one of some words.
func choice(dst *spot[string], words ...string) value {
	list := make([]any, len(words))
	for i, w := range words {
		list[i] = w
	}
	s := shape{name: strings.Join(words, " · "), json: map[string]any{"enum": list}}
	return value{s, func(r *reader, n *node) {
		t, ok := r.scalar(n, "one of "+strings.Join(words, ", "))
		if ok && !slices.Contains(words, t) {
			r.at(n, fmt.Sprintf("%q is none of %s", clip(t), strings.Join(words, ", ")), meant(t, words))
		} else if ok {
			put(dst, n, t)
		}
	}}
}

// version is the version of the format.
func version(dst *spot[int]) value {
	s := shape{name: "1", json: map[string]any{"const": 1}}
	return value{s, func(r *reader, n *node) {
		t, ok := r.scalar(n, "the version of the format")
		if ok && t != "1" {
			r.at(n, fmt.Sprintf("version %q of the format is not known", clip(t)), "this Eve reads version 1")
		} else if ok {
			put(dst, n, 1)
		}
	}}
}

// whole is a whole number.
func whole(dst *spot[int], least, most int) value {
	s := shape{name: "whole number", json: map[string]any{"type": "integer", "minimum": least, "maximum": most}}
	return value{s, func(r *reader, n *node) {
		t, ok := r.scalar(n, "a whole number")
		if !ok {
			return
		}
		x, err := strconv.Atoi(t)
		if err != nil || x < least || x > most {
			r.at(n, fmt.Sprintf("%q is not a whole number from %d to %d", clip(t), least, most), "")
			return
		}
		put(dst, n, x)
	}}
}

// seed is an unsigned number of 64 bits.
func seed(dst *spot[uint64]) value {
	s := shape{name: "whole number", json: map[string]any{"type": "integer", "minimum": 0}}
	return value{s, func(r *reader, n *node) {
		t, ok := r.scalar(n, "a whole number")
		if !ok {
			return
		}
		x, err := strconv.ParseUint(t, 10, 64)
		if err != nil {
			r.at(n, fmt.Sprintf("%q is not a whole number from 0 to 2^64-1", clip(t)), "")
			return
		}
		put(dst, n, x)
	}}
}

// texts is a list of texts; one may stand for a list.
func texts(dst *[]spot[string], name string, most int) value {
	elem := stringShape(name)
	return value{shape{elem: &elem, list: true, loose: true}, func(r *reader, n *node) {
		items := []*node{n}
		if n.kind == sequenceNode {
			items = n.items
		}
		if len(items) > most {
			r.at(items[most], fmt.Sprintf("at most %d stand here", most), "")
			items = items[:most]
		}
		for i, item := range items {
			if n.flow && i+1 < len(items) && cutByComma(item, items[i+1]) {
				r.comma(item)
				return // what follows is the rest of it
			}
			s, ok := r.scalar(item, "a text")
			if ok {
				*dst = append(*dst, spot[string]{s, item})
			}
		}
	}}
}

// object is a mapping with known keys.
func object(what string, fields []field) value {
	return value{shape{name: "mapping", fields: fields}, func(r *reader, n *node) { r.object(n, what, fields) }}
}

// names is a mapping of names to objects.
func names[T any](dst *[]named[T], what string, most int, fields func(*T) []field) value {
	s := shape{name: "mapping", elem: &shape{name: what, fields: fields(new(T))}}
	return value{s, func(r *reader, n *node) {
		if n.kind == nullNode {
			return
		}
		if n.kind != mappingNode {
			r.at(n, fmt.Sprintf("a mapping of names is due, not %s", n.what()), fmt.Sprintf("write each %s under its name", what))
			return
		}
		if len(n.entries) > most {
			r.at(n.entries[most].key, fmt.Sprintf("at most %d stand here", most), "")
			return
		}
		seen := map[string]int{}
		for _, e := range n.entries {
			if line, twice := seen[e.key.text]; twice {
				r.at(e.key, fmt.Sprintf("the name %q stands twice, first in line %d", clip(e.key.text), line), "")
				continue
			}
			seen[e.key.text] = e.key.line
			it := named[T]{name: e.key.text, at: e.key, node: e.value}
			r.object(e.value, fmt.Sprintf("%s %s", what, clip(it.name)), fields(&it.v))
			*dst = append(*dst, it)
		}
	}}
}

// items is a list of objects.
func items[T any](dst *[]named[T], what string, most int, fields func(*T) []field) value {
	s := shape{elem: &shape{name: what, fields: fields(new(T))}, list: true}
	return value{s, func(r *reader, n *node) {
		if n.kind == nullNode {
			return
		}
		if n.kind != sequenceNode {
			r.at(n, fmt.Sprintf("a list is due, not %s", n.what()), fmt.Sprintf("write each %s after `- `", what))
			return
		}
		if len(n.items) > most {
			r.at(n.items[most], fmt.Sprintf("at most %d stand here", most), "")
			return
		}
		for _, item := range n.items {
			it := named[T]{at: item, node: item}
			r.object(item, "a "+what, fields(&it.v))
			*dst = append(*dst, it)
		}
	}}
}
