package scenario

import (
	"strconv"
	"strings"
)

// A Difference is one value in which two scenarios differ, as they are written; empty where one has none.
type Difference struct {
	Path string `json:"path"` // as of --set
	A    string `json:"a"`
	B    string `json:"b"`
}

// Diff lists the values in which two scenario files differ, in the order of the first. Comments, the form of what is written,
// the seed, the name and what it is about do not count. Of a file that is no YAML there is nothing.
func Diff(a, b []byte) []Difference {
	read := func(src []byte) *node {
		f := &faults{main: "scenario"}
		if n := parseTree("scenario", src, f); n != nil && len(f.errs) == 0 {
			return n
		}
		return &node{kind: nullNode, missing: true}
	}
	out := []Difference{}
	differ(&out, "", read(a), read(b))
	return out
}

// differ appends the differences of two values.
func differ(out *[]Difference, path string, a, b *node) {
	if path == "seed" || path == "name" || path == "about" {
		return
	}
	switch {
	case a != nil && b != nil && a.kind == mappingNode && b.kind == mappingNode:
		for _, e := range a.entries {
			differ(out, join(path, e.key.text), e.value, b.get(e.key.text))
		}
		for _, e := range b.entries {
			if a.get(e.key.text) == nil {
				differ(out, join(path, e.key.text), nil, e.value)
			}
		}
	case a != nil && b != nil && a.kind == sequenceNode && b.kind == sequenceNode:
		for i := range max(len(a.items), len(b.items)) {
			differ(out, join(path, strconv.Itoa(i)), item(a, i), item(b, i))
		}
	default:
		if x, y := brief(a), brief(b); x != y {
			*out = append(*out, Difference{path, x, y})
		}
	}
}

func item(n *node, i int) *node {
	if i < len(n.items) {
		return n.items[i]
	}
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// brief writes a value in one line, as YAML's flow style does.
func brief(n *node) string {
	switch {
	case n == nil:
		return ""
	case n.kind == mappingNode:
		parts := make([]string, len(n.entries))
		for i, e := range n.entries {
			parts[i] = e.key.text + ": " + brief(e.value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case n.kind == sequenceNode:
		parts := make([]string, len(n.items))
		for i, x := range n.items {
			parts[i] = brief(x)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case n.kind == nullNode:
		return "null"
	}
	return strings.Join(strings.Fields(n.text), " ")
}
