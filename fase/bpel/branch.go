package bpel

import (
	"fmt"
	"slices"
)

// branches takes one of several ways: if or, in BPEL4WS 1.1, switch.
func (w *writer) branches(e *element, c context, k rest) []stmt {
	var ways []way
	otherwise := false
	add := func(b *element, list []*element, condition string) {
		ways = append(ways, way{comment: place(b, b.name) + " " + condition, list: list})
	}
	list := w.activities(e)
	if e.name == "if" {
		add(e, list, word(e.expression("condition")))
	}
	for _, b := range e.kids {
		switch {
		case b.foreign:
		case e.name == "if" && b.name == "elseif", e.name == "switch" && b.name == "case":
			add(b, w.activities(b), word(b.expression("condition")))
		case e.name == "if" && b.name == "else", e.name == "switch" && b.name == "otherwise":
			otherwise = true
			ways = append(ways, way{comment: place(b, b.name), list: w.activities(b)})
		}
	}
	if !otherwise {
		ways = append(ways, way{comment: "otherwise nothing"})
	}
	for i, n := range shares(whole, len(ways)) {
		ways[i].share = n
	}
	return w.choose(place(e, e.name)+": probabilities assumed, fill in", ways, c, k)
}

// A way is one branch of a choice.
type way struct {
	share   int
	comment string
	first   []stmt // before its activities
	list    []*element
}

// choose takes a way. Where one may leave what they stand in, what follows goes into each that does not.
func (w *writer) choose(comment string, ways []way, c context, k rest) []stmt {
	leaves := false
	for _, b := range ways {
		for _, a := range b.list {
			leaves = leaves || w.leaving(a).any()
		}
	}
	inner, after := rest(end), k
	if leaves {
		inner, after = k, end
	}
	if len(ways) == 1 {
		return append(slices.Clone(ways[0].first), append(w.sequence(ways[0].list, c, inner), after()...)...)
	}
	s := stmt{head: "choose", comment: comment, block: true}
	idle := true
	for _, b := range ways {
		body := append(slices.Clone(b.first), w.sequence(b.list, c, inner)...)
		s.choices = append(s.choices, choice{share: b.share, comment: b.comment, body: body})
		idle = idle && len(body) == 0
	}
	if idle {
		return after()
	}
	return w.then(s, after)
}

// pick waits for the first of several messages and alarms.
func (w *writer) pick(e *element, c context, k rest) []stmt {
	w.activities(e)
	var messages, alarms []way
	for _, b := range e.kids {
		switch {
		case b.foreign:
		case b == w.start:
			return w.sequence(w.activities(b), c, k) // the message that started the process
		case b.name == "onMessage":
			messages = append(messages, way{comment: place(b, "onMessage") + " " + word(b.attrs["operation"]), first: []stmt{arrival(b)}, list: w.activities(b)})
		case b.name == "onAlarm":
			d, comment := w.pause(b)
			alarms = append(alarms, way{
				comment: place(b, "onAlarm"), list: w.activities(b),
				first: []stmt{{head: "wait " + d, comment: place(b, "onAlarm") + comment}},
			})
		}
	}
	of := whole
	if len(messages) > 0 && len(alarms) > 0 {
		of = assumedFault * 10
	}
	for i, n := range shares(whole-of*min(1, len(alarms)), max(1, len(messages))) {
		if i < len(messages) {
			messages[i].share = n
		}
	}
	for i, n := range shares(of, max(1, len(alarms))) {
		if i < len(alarms) {
			alarms[i].share = n
		}
	}
	ways := append(messages, alarms...)
	if len(ways) == 0 {
		w.note(e, "pick: it waits for nothing: left out")
		return k()
	}
	return w.choose(place(e, "pick")+": probabilities assumed, fill in", ways, c, k)
}

// handlers are the fault handlers of a scope, a process, or an invoke.
func handlers(e *element) []*element {
	in := e
	if e.name != "invoke" {
		if in = e.kid("faultHandlers"); in == nil {
			return nil
		}
	}
	var out []*element
	for _, k := range in.kids {
		if !k.foreign && (k.name == "catch" || k.name == "catchAll") {
			out = append(out, k)
		}
	}
	return out
}

func (w *writer) scope(e *element, c context, k rest) []stmt {
	if e.attrs["isolated"] == "yes" || e.attrs["variableAccessSerializable"] == "yes" {
		w.note(e, "scope: it is isolated: here it does not wait for others that are")
	}
	list := w.activities(e)
	if len(list) == 1 && list[0].name == "sequence" && list[0].kid("sources") == nil {
		list = w.activities(list[0])
	}
	return w.handled(e, list, c, k, nil)
}

// handled is the body of a scope with its fault handlers. Handlers that a throw in it leads to are taken there. The others are
// assumed to be taken now and then, because of the first of its steps that invokes something. The body of an invoke is the
// invoke itself, which call makes.
func (w *writer) handled(e *element, list []*element, c context, k rest, call func(*element, context, rest) []stmt) []stmt {
	catches := handlers(e)
	after := k
	if w.leaving(e).any() {
		after = end
	} else {
		k = end
	}
	inner := c
	if len(catches) > 0 {
		inner.frame = &frame{handlers: catches, outside: c, after: k}
	}
	unthrown := w.unthrown(catches, list)
	at := slices.IndexFunc(list, invokes)
	if at < 0 && len(unthrown) > 0 {
		for _, h := range unthrown {
			w.note(h, "%s: nothing in its scope calls anybody or throws this: left out", h.name)
		}
		unthrown = nil
	}
	if len(unthrown) == 0 {
		return append(w.sequence(list, inner, k), after()...)
	}
	faults := func() []stmt { return w.faults(list[at], list[at+1:], unthrown, inner, c, k) }
	if call != nil {
		return append(call(e, inner, faults), after()...)
	}
	return append(w.sequence(list[:at+1], inner, faults), after()...)
}

// faults chooses between what follows in a scope and its handlers.
func (w *writer) faults(cause *element, list, catches []*element, inner, outer context, k rest) []stmt {
	each := max(1, min(assumedFault, whole/2/len(catches)))
	s := stmt{head: "choose", comment: fmt.Sprintf("faults of %s: probabilities assumed, fill in", place(cause, cause.name)), block: true}
	s.choices = append(s.choices, choice{share: whole - each*len(catches), comment: "no fault", body: w.sequence(list, inner, k)})
	for _, h := range catches {
		in := outer
		in.fault = caught(h)
		s.choices = append(s.choices, choice{
			share: each, comment: place(h, h.name) + " " + printable(local(h.attrs["faultName"])), body: w.sequence(w.activities(h), in, k),
		})
	}
	return []stmt{s}
}

// caught is the name of the fault that a handler catches, or * for any.
func caught(h *element) string {
	if name := local(h.attrs["faultName"]); name != "" {
		return name
	}
	return "*"
}

func invokes(e *element) bool {
	return e.name == "invoke" || slices.ContainsFunc(e.kids, func(k *element) bool { return !k.foreign && invokes(k) })
}

// unthrown are the handlers that no throw in the scope leads to.
func (w *writer) unthrown(catches, list []*element) []*element {
	thrown := map[*element]bool{}
	for _, a := range list {
		for fault := range w.leaving(a).faults {
			if h := catching(catches, fault); h != nil {
				thrown[h] = true
			}
		}
	}
	var out []*element
	for _, h := range catches {
		if !thrown[h] {
			out = append(out, h)
		}
	}
	return out
}

// catching is the handler that a fault goes to: the one that names it, or else that for all.
func catching(catches []*element, fault string) *element {
	for _, h := range catches {
		if h.name == "catch" && fault != "*" && local(h.attrs["faultName"]) == fault {
			return h
		}
	}
	for _, h := range catches {
		if h.name == "catchAll" {
			return h
		}
	}
	return nil
}

// throw leaves the scopes up to that which catches the fault, and goes on behind it. Without one the process fails.
func (w *writer) throw(e *element, fault string, c context) []stmt {
	w.activities(e)
	if fault == "" {
		fault = "*"
	}
	for f := c.frame; f != nil; f = f.outside.frame {
		h := catching(f.handlers, fault)
		if h == nil {
			continue
		}
		in := f.outside
		in.fault = fault
		return w.sequence(w.activities(h), in, f.after)
	}
	if c.within {
		w.note(e, "%s: a flow or loop around it cannot be left: the process fails here, and no handler outside of it runs", e.name)
	}
	return []stmt{{head: "fail 1", comment: place(e, e.name) + " " + printable(fault)}}
}

func (w *writer) exit(e *element, c context) []stmt {
	w.activities(e)
	if c.within {
		w.note(e, "%s: a flow or loop around it cannot be left: the process fails here, in place of ending", e.name)
		return []stmt{{head: "fail 1", comment: place(e, e.name)}}
	}
	return nil
}

// A leaving is what may lead out of an activity other than its end.
type leaving struct {
	faults map[string]bool
	exit   bool
}

func (l leaving) any() bool { return l.exit || len(l.faults) > 0 }

// leaving collects the throws and exits of an activity that are not caught in it. Out of flows and loops there are none.
func (w *writer) leaving(e *element) leaving {
	if l, ok := w.leaves[e]; ok {
		return l
	}
	out := leaving{faults: map[string]bool{}}
	switch e.name {
	case "throw":
		out.faults[orAny(local(e.attrs["faultName"]))] = true
	case "rethrow":
		out.faults["*"] = true
	case "exit", "terminate":
		out.exit = true
	case "flow", "while", "repeatUntil", "forEach":
	default:
		catches := handlers(e)
		for _, k := range e.kids {
			if k.foreign || k.name == "faultHandlers" || effect(k.name) != "" || len(catches) > 0 && (k.name == "catch" || k.name == "catchAll") {
				continue
			}
			l := w.leaving(k)
			out.exit = out.exit || l.exit
			for f := range l.faults {
				if catching(catches, f) == nil {
					out.faults[f] = true
				}
			}
		}
		for _, h := range catches {
			l := w.leaving(h)
			out.exit = out.exit || l.exit
			for f := range l.faults {
				out.faults[f] = true
			}
		}
	}
	w.leaves[e] = out
	return out
}

func orAny(fault string) string {
	if fault == "" {
		return "*"
	}
	return fault
}
