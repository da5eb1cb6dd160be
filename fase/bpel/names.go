package bpel

import (
	"fmt"
	"slices"
	"strings"
)

// A service is a partner link, with what is invoked there.
type service struct {
	name, server string
	ops          []operation
	taken        map[string]bool
	by           map[string]string // names of operations by what the process calls them
}

// An operation is one of a service, or of the process.
type operation struct {
	name   string
	from   string // what the process calls it
	client string // of the process: the group that asks for it
	body   []stmt
}

// name makes one that is not taken of a text, as scenarios have them.
func name(taken map[string]bool, from, otherwise string) string {
	var b strings.Builder
	lower := false
	for _, r := range local(from) {
		switch {
		case r >= 'A' && r <= 'Z':
			if lower {
				b.WriteByte('_')
			}
			b.WriteRune(r - 'A' + 'a')
			lower = false
			continue
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' && b.Len() > 0:
			b.WriteRune(r)
			lower = true
			continue
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
		lower = false
	}
	base := strings.Trim(b.String()[:min(b.Len(), 32)], "_")
	if base == "" || slices.Contains(reserved(), base) {
		base = strings.Trim(otherwise+"_"+base, "_")
	}
	name := base
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("%s_%d", base, n)
	}
	taken[name] = true
	return name
}

// reserved are names that scenarios have a use for.
func reserved() []string {
	return []string{
		"run", "map", "config", "eve", "adapt", "and", "or", "not", "in", "true", "false", "nil", "cpu", "disk", "memory", "link",
		"in_flight", "lag", "admit", "process",
	}
}

// partners names the services in the order of their partner links, as far as they are invoked.
func (w *writer) partners() {
	var invoked []string
	w.p.root.each(func(e *element) {
		if e.name == "invoke" {
			invoked = append(invoked, e.attrs["partnerLink"])
		}
	})
	add := func(link string) {
		if slices.Contains(invoked, link) && w.byLink[link] == nil {
			s := &service{name: name(w.taken, link, "service"), taken: map[string]bool{}, by: map[string]string{}}
			s.server = name(w.taken, "on_"+s.name, "server")
			w.byLink[link] = s
			w.services = append(w.services, s)
		}
	}
	w.p.root.each(func(e *element) {
		if e.name == "partnerLink" {
			add(e.attrs["name"])
		}
	})
	for _, link := range invoked { // those that are not declared
		add(link)
	}
}

// target is the operation of a service that an invoke calls.
func (w *writer) target(e *element) string {
	s := w.byLink[e.attrs["partnerLink"]]
	op := e.attrs["operation"]
	n, ok := s.by[op]
	if !ok {
		n = name(s.taken, op, "operation")
		s.by[op] = n
		s.ops = append(s.ops, operation{name: n, from: word(e.attrs["partnerLink"]) + "." + word(op)})
	}
	return s.name + "." + n
}

// each visits the elements of the process's own namespace, those outside first.
func (e *element) each(visit func(*element)) {
	visit(e)
	for _, k := range e.kids {
		if !k.foreign {
			k.each(visit)
		}
	}
}
