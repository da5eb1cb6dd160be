package bpel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What is assumed where a process does not say it.
const (
	assumedPasses = 3    // of a loop
	assumedFault  = 100  // of 10000: a fault that nothing throws, or an alarm
	maxExpanded   = 4000 // activities, with copies of what follows branches that may leave
	longestWait   = 5 * time.Minute
)

type writer struct {
	p        *Process
	self     string // the service that the process is
	server   string
	taken    map[string]bool
	taking   map[string]bool // operations of the process
	byLink   map[string]*service
	services []*service
	ops      []*operation
	invoked  map[*element]bool
	notes    []string
	noted    map[string]bool
	leaves   map[*element]leaving
	begin    []*element // what starts the process
	start    *element   // what the operation in work is started by
	late     *element   // a reply that waits for the end of what it stands in
	expanded int
	err      error
}

func newWriter(p *Process) *writer {
	w := &writer{
		p: p, taken: map[string]bool{"callers": true}, taking: map[string]bool{}, byLink: map[string]*service{},
		invoked: map[*element]bool{}, noted: map[string]bool{}, leaves: map[*element]leaving{},
	}
	w.self = name(w.taken, p.Name, "process")
	w.server = name(w.taken, "on_"+w.self, "server")
	return w
}

// note tells once of something that is not in the scenario, or is there otherwise.
func (w *writer) note(e *element, format string, args ...any) {
	s := fmt.Sprintf("%d:%d: ", e.line, e.col) + fmt.Sprintf(format, args...)
	if !w.noted[s] {
		w.noted[s] = true
		w.notes = append(w.notes, s)
	}
}

func (w *writer) fail(e *element, format string, args ...any) {
	if w.err == nil {
		w.err = &Error{e.line, e.col, fmt.Sprintf(format, args...)}
	}
}

// A rest makes what follows an activity. Each use makes it anew.
type rest func() []stmt

func end() []stmt { return nil }

// A context is where an activity stands.
type context struct {
	frame  *frame // the scope whose handlers catch
	within bool   // a par or a loop, which cannot be left
	fault  string // in a handler, what was caught
}

// A frame is a scope with handlers.
type frame struct {
	handlers []*element
	outside  context
	after    rest
}

// starts are the receives and messages that begin an instance of the process. Without any, the process itself is one.
func (w *writer) starts(root *element) []*element {
	var out []*element
	root.each(func(e *element) {
		switch {
		case e.attrs["createInstance"] != "yes":
		case e.name == "receive":
			out = append(out, e)
		case e.name == "pick":
			for _, k := range e.kids {
				if k.name == "onMessage" && !k.foreign {
					out = append(out, k)
				}
			}
		}
	})
	if len(out) == 0 {
		w.note(root, "nothing in the process creates an instance (createInstance=\"yes\"): it starts at its beginning")
		return []*element{root}
	}
	if len(out) > 64 {
		w.fail(root, "the process has %d ways to start, more than 64", len(out))
		return nil
	}
	return out
}

// operation makes an operation of the process of what starts it.
func (w *writer) operation(start *element) {
	if w.err != nil {
		return
	}
	w.start, w.late, w.expanded = start, nil, 0
	o := &operation{name: name(w.taking, start.attrs["operation"], "start"), from: start.attrs["operation"]}
	o.client = name(w.taken, "callers", "callers")
	if len(w.ops) == 0 {
		o.client = "callers"
	}
	o.body = w.scope(w.p.root, context{}, end)
	o.body, _ = w.once(o.body, false)
	w.ops = append(w.ops, o)
}

// once leaves out replies that follow another on some way; replied says that one may have been sent before.
func (w *writer) once(list []stmt, replied bool) ([]stmt, bool) {
	var out []stmt
	for _, s := range list {
		if strings.HasPrefix(s.head, "reply") {
			if replied {
				w.noteAt(s.comment, "left out on ways on which another reply may have been sent before: a request has one")
				continue
			}
			replied = true
		}
		after := replied
		for i := range s.choices {
			body, r := w.once(s.choices[i].body, replied)
			s.choices[i].body = body
			after = after || r
		}
		replied = after
		out = append(out, s)
	}
	return out, replied
}

func (w *writer) noteAt(comment, what string) {
	at, _, _ := strings.Cut(comment, " ")
	if s := at + ": reply: " + what; !w.noted[s] {
		w.noted[s] = true
		w.notes = append(w.notes, s)
	}
}

// activities are the children that do something; of the others those that a scenario cannot have are told.
func (w *writer) activities(e *element) []*element {
	var out []*element
	for _, k := range e.kids {
		switch {
		case k.foreign:
			w.note(k, "%s is of another namespace and not understood: left out", word(k.name))
		case activity(k.name):
			out = append(out, k)
		case declaration(k.name):
		case effect(k.name) != "":
			w.note(k, "%s: %s", k.name, effect(k.name))
		default:
			w.note(k, "%s is no activity that is known: left out, with what is in it", word(k.name))
		}
	}
	return out
}

func activity(name string) bool {
	switch name {
	case "sequence", "flow", "invoke", "receive", "reply", "pick", "if", "switch", "while", "repeatUntil", "forEach", "wait", "scope",
		"assign", "empty", "validate", "exit", "terminate", "throw", "rethrow", "compensate", "compensateScope", "opaqueActivity":
		return true
	}
	return false
}

// declaration reports what takes no time and calls nobody, or is looked at elsewhere.
func declaration(name string) bool {
	switch name {
	case "documentation", "import", "partnerLinks", "partners", "variables", "correlationSets", "correlations", "messageExchanges",
		"extensions", "targets", "sources", "target", "source", "links", "faultHandlers", "catch", "catchAll", "toParts", "fromParts",
		"condition", "for", "until", "repeatEvery", "startCounterValue", "finalCounterValue", "completionCondition", "elseif", "else",
		"case", "otherwise", "onMessage", "onAlarm":
		return true
	}
	return false
}

// effect is what leaving a construct out means.
func effect(name string) string {
	switch name {
	case "eventHandlers":
		return "left out: messages and alarms that come while its scope runs start nothing"
	case "compensationHandler":
		return "left out: nothing that was done is undone, so the calls of undoing are missing"
	case "terminationHandler":
		return "left out: branches are not stopped when another fails, so nothing is to be cleaned up"
	case "extensionActivity":
		return "left out: an extension that is not understood takes no time here"
	}
	return ""
}

// sequence is the activities one after the other, and then the rest.
func (w *writer) sequence(list []*element, c context, k rest) []stmt {
	if len(list) == 0 {
		return k()
	}
	return w.act(list[0], c, func() []stmt { return w.sequence(list[1:], c, k) })
}

// then puts the rest behind a statement.
func (w *writer) then(s stmt, k rest) []stmt {
	return append([]stmt{s}, k()...)
}

// act makes the statements of an activity and of the rest.
func (w *writer) act(e *element, c context, k rest) []stmt {
	if w.expanded++; w.expanded > maxExpanded {
		w.fail(w.p.root, "the process comes to more than %d activities, with those that follow each branch that may leave it", maxExpanded)
	}
	if w.err != nil {
		return nil
	}
	at := place(e, e.name)
	switch e.name {
	case "sequence":
		return w.sequence(w.activities(e), c, k)
	case "scope":
		return w.scope(e, c, k)
	case "invoke":
		return w.invoke(e, c, k)
	case "flow":
		return w.barrier(func() []stmt { return w.flow(e, context{within: true, fault: c.fault}) }, c, k)
	case "while", "repeatUntil", "forEach":
		return w.barrier(func() []stmt { return w.loop(e, context{within: true, fault: c.fault}) }, c, k)
	case "if", "switch":
		return w.branches(e, c, k)
	case "pick":
		return w.pick(e, c, k)
	case "receive":
		if e == w.start {
			return k()
		}
		return w.then(arrival(e), k)
	case "reply":
		return w.reply(e, c, k)
	case "wait":
		d, comment := w.pause(e)
		return w.then(stmt{head: "wait " + d, comment: at + comment}, k)
	case "exit", "terminate":
		return w.exit(e, c)
	case "throw":
		return w.throw(e, local(e.attrs["faultName"]), c)
	case "rethrow":
		return w.throw(e, c.fault, c)
	case "compensate", "compensateScope":
		w.note(e, "%s: left out: nothing that was done is undone, so the calls of undoing are missing", e.name)
	case "opaqueActivity":
		w.note(e, "opaqueActivity: left out: the process hides what it does")
	}
	if e.name != "assign" && e.name != "validate" {
		w.activities(e) // tells what is not understood
	}
	return k()
}

// barrier makes what starts and ends as one: what follows is not part of it. A reply within is sent after it.
func (w *writer) barrier(body func() []stmt, c context, k rest) []stmt {
	list := body()
	if late := w.late; late != nil && !c.within {
		w.late = nil
		list = append(list, answer(late))
	}
	return append(list, k()...)
}

func answer(e *element) stmt {
	comment := place(e, "reply") + ": fill in"
	if f := e.attrs["faultName"]; f != "" {
		comment = place(e, "reply") + " of fault " + word(local(f)) + ", sent as any reply: fill in"
	}
	return stmt{head: "reply 1KiB", comment: comment}
}

func (w *writer) reply(e *element, c context, k rest) []stmt {
	w.activities(e)
	other := func(key string) bool {
		return w.start.attrs[key] != "" && e.attrs[key] != "" && w.start.attrs[key] != e.attrs[key]
	}
	switch {
	case other("operation") || other("partnerLink"):
		if !w.startedBy(e) {
			w.note(e, "reply to %s: left out: nobody here waits for it, but whoever began the process by %s",
				word(e.attrs["operation"]), word(w.start.attrs["operation"]))
		}
		return k()
	case c.within:
		w.note(e, "reply: sent after the flow or loop that it stands in, where a request can reply")
		if w.late == nil {
			w.late = e
		}
		return k()
	}
	return w.then(answer(e), k)
}

// startedBy reports whether a reply is to another start of the process, which is an operation of its own.
func (w *writer) startedBy(reply *element) bool {
	return slices.ContainsFunc(w.begin, func(e *element) bool { return e.attrs["operation"] == reply.attrs["operation"] })
}

// arrival is a message that the process waits for in its middle.
func arrival(e *element) stmt {
	return stmt{head: "wait 100ms", comment: fmt.Sprintf("%s %s, until it comes: assumed, fill in", place(e, e.name), word(e.attrs["operation"]))}
}

// invoke calls a partner: and waits for the answer, where there is one.
func (w *writer) invoke(e *element, c context, k rest) []stmt {
	if len(handlers(e)) > 0 {
		return w.handled(e, []*element{e}, c, k, w.call)
	}
	return w.call(e, c, k)
}

func (w *writer) call(e *element, _ context, k rest) []stmt {
	w.activities(e)
	w.invoked[e] = true
	s := stmt{call: w.target(e), comment: place(e, "invoke")}
	if e.attrs["outputVariable"] == "" && e.kid("fromParts") == nil {
		s.comment += ", one way"
		s = stmt{head: "fork", block: true, body: []stmt{s}}
	}
	return w.then(s, k)
}

// loop repeats its body.
func (w *writer) loop(e *element, c context) []stmt {
	at := place(e, e.name)
	if e.name != "forEach" {
		body := w.sequence(w.activities(e), c, end)
		if len(body) == 0 {
			return nil
		}
		comment := fmt.Sprintf("%s %s: mean count assumed, fill in", at, word(e.expression("condition")))
		return []stmt{{head: fmt.Sprintf("repeat %d", assumedPasses), comment: comment, block: true, body: body}}
	}
	n, comment := assumedPasses, at+": count assumed, fill in"
	if known, ok := count(e); ok {
		n, comment = known, at
	}
	if e.kid("completionCondition") != nil {
		w.note(e.kid("completionCondition"), "completionCondition: not respected: all passes run to their end")
	}
	if n == 0 {
		w.note(e, "forEach: it counts no pass: left out")
		return nil
	}
	if e.attrs["parallel"] != "yes" {
		body := w.sequence(w.activities(e), c, end)
		if len(body) == 0 {
			return nil
		}
		return []stmt{{head: "repeat " + strconv.Itoa(n), comment: comment, block: true, body: body}}
	}
	if n > maxBranches {
		w.note(e, "forEach: of its %d parallel passes %d run, as many as a request may have at once", n, maxBranches)
		n = maxBranches
	}
	var bodies [][]stmt
	for range n {
		bodies = append(bodies, w.sequence(w.activities(e), c, end))
		if w.err != nil {
			return nil
		}
	}
	return par(bodies, comment)
}

// count is how often a forEach runs, where it says so in numbers.
func count(e *element) (int, bool) {
	from, err := strconv.Atoi(literal(e.expression("startCounterValue")))
	to, err2 := strconv.Atoi(literal(e.expression("finalCounterValue")))
	if err != nil || err2 != nil || from < 0 || to > 1_000_000 {
		return 0, false
	}
	return max(0, to-from+1), true
}

// pause is how long a wait or an alarm waits.
func (w *writer) pause(e *element) (written, comment string) {
	if text := e.expression("for"); text != "" {
		d, ok := duration(literal(text))
		switch {
		case ok && d <= longestWait:
			return fmt.Sprintf("%dms", d.Milliseconds()), ""
		case ok:
			w.note(e, "%s: %s is longer than the %v that a run waits for: 1 s in its place", e.name, literal(printable(text)), longestWait)
			return "1s", " " + printable(text) + ", too long for a run: fill in"
		}
		return "1s", " " + printable(text) + ": assumed, fill in"
	}
	if text := e.expression("until"); text != "" {
		w.note(e, "%s until %s: a run has no date: 1 s in its place", e.name, printable(text))
		return "1s", " until " + printable(text) + ": assumed, fill in"
	}
	w.note(e, "%s: it does not say for how long: 1 s", e.name)
	return "1s", ": assumed, fill in"
}
