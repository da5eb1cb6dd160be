package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// applyOverrides puts what Options set into the tree, and returns the top-level keys that it changed.
func applyOverrides(root *node, o Options, f *faults) map[string]bool {
	changed, top := map[string]bool{}, topKeys()
	for _, set := range o.sets() {
		path, text, ok := strings.Cut(set, "=")
		src := newSource("--set "+clip(set), []byte(set))
		at := &node{src: src, line: 1, col: 1}
		if !ok || path == "" {
			f.at(at, "an override is PATH=VALUE", "write it as clients.crowd.rate=400/s")
			continue
		}
		value := overrideValue(src, path, text, f)
		if value == nil {
			continue
		}
		for _, path := range long(root, path, top) {
			if !known(root, path, top, at, f) {
				continue
			}
			keys := strings.Split(path, ".")
			if keys[0] == "measure" && len(keys) > 2 {
				keys = measurePath(keys)
			}
			if graft(root, keys, value.copy(), at, f) {
				changed[keys[0]] = true
			}
		}
	}
	return changed
}

// overrideValue reads the YAML of a value, positioned in the override.
func overrideValue(src *source, path, text string, f *faults) *node {
	inner := &faults{main: src.file}
	if strings.TrimSpace(text) == "" {
		f.add(src.errorAt(1, len([]rune(path))+2, "the override has no value", ""))
		return nil
	}
	value := parseTree(src.file, []byte(text), inner)
	for _, e := range inner.errs {
		f.add(src.errorAt(1, e.Col+len([]rune(path))+1, e.Msg, e.Fix))
	}
	if len(inner.errs) > 0 || value == nil {
		return nil
	}
	shift(value, src, len([]rune(path))+1)
	return value
}

// copy returns the tree again, to stand elsewhere.
func (n *node) copy() *node {
	c := *n
	c.entries, c.items = slices.Clone(n.entries), slices.Clone(n.items)
	for i, e := range c.entries {
		c.entries[i] = entry{e.key.copy(), e.value.copy()}
	}
	for i, item := range c.items {
		c.items[i] = item.copy()
	}
	return &c
}

func shift(n *node, src *source, by int) {
	if n.line == 1 {
		n.col += by
	}
	n.src = src
	for _, e := range n.entries {
		shift(e.key, src, by)
		shift(e.value, src, by)
	}
	for _, i := range n.items {
		shift(i, src, by)
	}
}

// measurePath joins the parts of a variable's name, which is one key: those before the first key of a measure.
func measurePath(keys []string) []string {
	for i := 2; i < len(keys); i++ {
		for _, f := range measureFields(&rawMeasure{}) {
			if keys[i] == f.key {
				return append([]string{keys[0], strings.Join(keys[1:i], ".")}, keys[i:]...)
			}
		}
	}
	return []string{keys[0], strings.Join(keys[1:], ".")}
}

// graft replaces or adds the value at a path.
func graft(n *node, keys []string, value, at *node, f *faults) bool {
	for i, key := range keys {
		last := i == len(keys)-1
		var slot **node
		switch n.kind {
		case sequenceNode:
			k, err := strconv.Atoi(key)
			if err != nil || k < 0 || k >= len(n.items) {
				f.at(at, fmt.Sprintf("%q is no item of %s", clip(key), strings.Join(keys[:i], ".")), fmt.Sprintf("it has %d items, from 0", len(n.items)))
				return false
			}
			slot = &n.items[k]
		case nullNode:
			n.kind, n.missing, n.flow = mappingNode, false, true
			fallthrough
		case mappingNode:
			slot = n.slot(key, at)
		default:
			f.at(at, fmt.Sprintf("%s is a value: nothing is below it", strings.Join(keys[:i], ".")), "")
			return false
		}
		if last {
			*slot = value
		}
		n = *slot
	}
	return true
}

// slot returns where the value of a key is kept, adding the key.
func (n *node) slot(key string, at *node) **node {
	for i := range n.entries {
		if n.entries[i].key.text == key {
			return &n.entries[i].value
		}
	}
	k, v := *at, *at
	k.text = key
	v.kind, v.missing = nullNode, true
	n.entries = append(n.entries, entry{&k, &v})
	return &n.entries[len(n.entries)-1].value
}

// rewrite returns the text of a scenario with the changed top-level sections written anew and all else, comments
// included, as it was; where that would not read back as the tree, all of it is written anew.
func rewrite(file string, src []byte, root *node, changed map[string]bool) []byte {
	if out := rewriteSections(file, src, root, changed); out != nil {
		return out
	}
	w := writer{}
	w.block(root, 0)
	return w.out.Bytes()
}

func rewriteSections(file string, src []byte, root *node, changed map[string]bool) []byte {
	old := parseTree(file, src, &faults{})
	if old == nil || old.flow {
		return nil
	}
	lines := strings.SplitAfter(string(src), "\n")
	var w writer
	at := 0 // lines written
	for _, e := range old.entries {
		if !changed[e.key.text] {
			continue
		}
		from := e.key.line - 1
		w.out.WriteString(strings.Join(lines[at:from], ""))
		if v := root.get(e.key.text); v != nil { // else it was taken out
			w.entry(e.key, v, 0)
		}
		at = from + 1
		for end := at; end < len(lines); end++ { // the section's last line is the last indented one
			l := strings.TrimRight(lines[end], " \r\n")
			if l != "" && l[0] != ' ' && l[0] != '#' && !strings.HasPrefix(l, "- ") && l != "-" {
				break
			}
			if l != "" && l[0] != '#' {
				at = end + 1
			}
		}
	}
	w.out.WriteString(strings.Join(lines[at:], ""))
	if b := w.out.Bytes(); len(b) > 0 && b[len(b)-1] != '\n' {
		w.out.WriteByte('\n')
	}
	for _, key := range slices.Sorted(maps.Keys(changed)) {
		if old.get(key) == nil && root.get(key) != nil {
			w.entry(&node{text: key}, root.get(key), 0)
		}
	}
	if again := parseTree(file, w.out.Bytes(), &faults{}); again == nil || !same(again, root) {
		return nil
	}
	return w.out.Bytes()
}

// same reports whether two trees hold the same values.
func same(a, b *node) bool {
	if a.kind != b.kind || a.text != b.text || len(a.entries) != len(b.entries) || len(a.items) != len(b.items) {
		return false
	}
	for _, e := range a.entries {
		if v := b.get(e.key.text); v == nil || !same(e.value, v) {
			return false
		}
	}
	for i := range a.items {
		if !same(a.items[i], b.items[i]) {
			return false
		}
	}
	return true
}

// writer writes a tree as YAML.
type writer struct{ out bytes.Buffer }

func (w *writer) block(n *node, indent int) {
	for _, e := range n.entries {
		w.entry(e.key, e.value, indent)
	}
	for _, item := range n.items {
		w.pad(indent)
		w.out.WriteString("-")
		w.value(item, indent)
	}
}

func (w *writer) pad(n int) { w.out.WriteString(strings.Repeat(" ", n)) }

func (w *writer) entry(key, value *node, indent int) {
	w.pad(indent)
	w.out.WriteString(word(key, true) + ":")
	w.value(value, indent)
}

// value writes what stands behind a key or a dash, up to the end of the line and beyond.
func (w *writer) value(n *node, indent int) {
	empty := len(n.entries) == 0 && len(n.items) == 0
	switch {
	case n.kind == nullNode:
		w.out.WriteByte('\n')
	case n.kind == scalarNode && strings.Contains(n.text, "\n") && plainLines(n.text):
		w.literal(n.text, indent+2)
	case n.kind == scalarNode || n.flow || empty:
		w.out.WriteByte(' ')
		w.flow(n)
		w.out.WriteByte('\n')
	default:
		w.out.WriteByte('\n')
		w.block(n, indent+2)
	}
}

// plainLines reports whether a text can be written as a literal block without more ado.
func plainLines(s string) bool {
	return !strings.HasPrefix(s, " ") && !strings.HasPrefix(s, "\n") && !strings.HasSuffix(s, "\n\n") && !strings.ContainsAny(s, "\t\r")
}

func (w *writer) literal(s string, indent int) {
	w.out.WriteString(" |")
	if !strings.HasSuffix(s, "\n") {
		w.out.WriteByte('-')
	}
	w.out.WriteByte('\n')
	for l := range strings.SplitSeq(strings.TrimSuffix(s, "\n"), "\n") {
		if l != "" {
			w.pad(indent)
		}
		w.out.WriteString(l + "\n")
	}
}

func (w *writer) flow(n *node) {
	switch n.kind {
	case nullNode:
		w.out.WriteString("null")
	case scalarNode:
		w.out.WriteString(word(n, false))
	case mappingNode:
		w.out.WriteByte('{')
		for i, e := range n.entries {
			w.comma(i)
			w.out.WriteString(word(e.key, true) + ": ")
			w.flow(e.value)
		}
		w.out.WriteByte('}')
	case sequenceNode:
		w.out.WriteByte('[')
		for i, item := range n.items {
			w.comma(i)
			w.flow(item)
		}
		w.out.WriteByte(']')
	}
}

func (w *writer) comma(i int) {
	if i > 0 {
		w.out.WriteString(", ")
	}
}

// word writes a scalar: plain where that cannot be misread, else quoted.
func word(n *node, key bool) string {
	s := n.text
	safe := s != "" && n.style == plain && !strings.ContainsAny(s, "{}[],\n\t#'\"\\") && !strings.Contains(s, ": ") &&
		!strings.HasSuffix(s, ":") && !strings.HasPrefix(s, " ") && !strings.HasSuffix(s, " ") &&
		!strings.ContainsAny(s[:1], "-?:&*!|>%@`=~") && s != "null" && s != "<<" && (!key || !strings.Contains(s, ":"))
	if safe {
		return s
	}
	b := new(bytes.Buffer)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return strconv.Quote(s)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
