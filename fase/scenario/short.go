package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Short is a short name of `set:`, by which `--set NAME=VALUE` sets what it stands for.
type Short struct {
	Name  string
	Paths []string // as `--set` takes them
}

// rawShort is one entry of `set:`.
type rawShort struct {
	at    *node
	name  string
	paths []spot[string]
}

// shorts is a mapping of short names to paths.
func shorts(dst *[]rawShort) value {
	one := stringShape("path")
	paths := shape{elem: &one, list: true, loose: true}
	s := shape{name: "paths by short name", json: map[string]any{"type": "object", "additionalProperties": paths.schema()}}
	return value{s, func(r *reader, n *node) {
		if n.kind != mappingNode {
			r.at(n, fmt.Sprintf("a mapping of short names to paths is due, not %s", n.what()), "write it as set: {users: clients.crowd.users}")
			return
		}
		for i, e := range n.entries {
			if slices.ContainsFunc(n.entries[:i], func(o entry) bool { return o.key.text == e.key.text }) {
				r.at(e.key, fmt.Sprintf("the short name %q stands here twice", clip(e.key.text)), "")
				continue
			}
			if e.value.kind == nullNode || e.value.kind == sequenceNode && len(e.value.items) == 0 {
				r.at(e.key, fmt.Sprintf("the short name %q stands for no path", clip(e.key.text)), "write one, such as users: clients.crowd.users")
				continue
			}
			x := rawShort{at: e.key, name: e.key.text}
			texts(&x.paths, "path", many).read(r, e.value)
			*dst = append(*dst, x)
		}
	}}
}

// topKeys are the keys of a scenario.
func topKeys() []string {
	var keys []string
	for _, f := range scenarioFields(&rawScenario{}) {
		keys = append(keys, f.key)
	}
	return keys
}

// long returns the paths that the path of an override stands for: those of a short name, or itself. keys are the topKeys.
func long(root *node, path string, keys []string) []string {
	s := root.get("set")
	if s == nil || strings.Contains(path, ".") || slices.Contains(keys, path) {
		return []string{path}
	}
	n := s.get(path)
	switch {
	case n == nil:
	case n.kind == scalarNode && n.text != "":
		return []string{n.text}
	case n.kind == sequenceNode:
		var paths []string
		for _, i := range n.items {
			if i.kind == scalarNode && i.text != "" {
				paths = append(paths, i.text)
			}
		}
		return paths
	}
	return []string{path}
}

// known tells a mistake where an override is of a key that a scenario does not have, and of no short name.
func known(root *node, path string, keys []string, at *node, f *faults) bool {
	top, _, _ := strings.Cut(path, ".")
	if slices.Contains(keys, top) {
		return true
	}
	var names []string
	if s := root.get("set"); s != nil {
		for _, e := range s.entries {
			names = append(names, e.key.text)
		}
	}
	if len(names) == 0 {
		f.at(at, fmt.Sprintf("the scenario has no key %q", clip(top)), didYouMean(top, keys))
		return false
	}
	fix := meant(top, slices.Concat(names, keys))
	if fix == "" {
		fix = "its short names are " + strings.Join(names, ", ")
	}
	f.at(at, fmt.Sprintf("the scenario has no key and no short name %q", clip(top)), fix)
	return false
}

// shorts checks `set:` against the rest of the scenario.
func (c *compiler) shorts() {
	for _, s := range c.raw.set {
		switch {
		case !validName(s.name):
			c.at(s.at, fmt.Sprintf("%q is not a short name", clip(s.name)), "write small letters, digits and _")
		case slices.Contains(topKeys(), s.name):
			c.at(s.at, fmt.Sprintf("%q is a key of the scenario itself", s.name), "choose another short name")
		}
		x := Short{Name: s.name}
		for _, p := range s.paths {
			c.leads(p)
			x.Paths = append(x.Paths, p.v)
		}
		c.plan.Short = append(c.plan.Short, x)
	}
}

// leads checks that a path leads somewhere: its last key may be missing.
func (c *compiler) leads(p spot[string]) {
	keys := strings.Split(p.v, ".")
	if keys[0] == "set" {
		c.at(p.at, "a short name stands for a path of the scenario, not for another one", "")
		return
	}
	if top := topKeys(); !slices.Contains(top, keys[0]) {
		c.at(p.at, fmt.Sprintf("the scenario has no key %q", clip(keys[0])), didYouMean(keys[0], top))
		return
	}
	if keys[0] == "measure" && len(keys) > 2 {
		keys = measurePath(keys)
	}
	n := c.root
	for i, key := range keys[:len(keys)-1] {
		var next *node
		if n.kind == sequenceNode {
			if k, err := strconv.Atoi(key); err == nil && k >= 0 && k < len(n.items) {
				next = n.items[k]
			}
		} else {
			next = n.get(key)
		}
		if next != nil && next.kind == scalarNode {
			c.at(p.at, fmt.Sprintf("the path %s leads nowhere: %s is a value", clip(p.v), clip(strings.Join(keys[:i+1], "."))), "nothing is below it")
			return
		}
		if next == nil {
			var have []string
			for _, e := range n.entries {
				have = append(have, e.key.text)
			}
			c.at(p.at, fmt.Sprintf("the path %s leads nowhere: there is no %s", clip(p.v), clip(strings.Join(keys[:i+1], "."))), didYouMean(key, have))
			return
		}
		n = next
	}
}
