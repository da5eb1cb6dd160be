package bpel

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/eve-emulation/eve/rdr"
)

// A stmt is one of RDR. It is not changed once it was made.
type stmt struct {
	head    string // "repeat 3"; of a choice "choose", of braces within a par ""
	comment string
	call    string // service.operation, where it is a call
	body    []stmt
	choices []choice // of choose
	block   bool     // has braces
}

type choice struct {
	share   int // of 10000
	comment string
	body    []stmt
}

const (
	whole       = 10_000
	maxScenario = 900 << 10 // bytes; a scenario file has at most 1 MiB
)

// share writes a probability.
func share(n int) string {
	s := strings.TrimRight(fmt.Sprintf("%d.%04d", n/whole, n%whole), "0")
	return strings.TrimSuffix(s, ".")
}

// shares divides a whole into n equal parts, as far as four digits go.
func shares(all, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = all/n + min(1, max(0, all%n-i))
	}
	return out
}

// par starts bodies together, where there are several.
func par(bodies [][]stmt, comment string) []stmt {
	var some [][]stmt
	for _, b := range bodies {
		if len(b) > 0 {
			some = append(some, b)
		}
	}
	switch len(some) {
	case 0:
		return nil
	case 1:
		return some[0]
	}
	p := stmt{head: "par", comment: comment, block: true}
	braces := slices.ContainsFunc(some, func(b []stmt) bool { return len(b) > 1 }) // for all then: those behind a call would be its block
	for _, b := range some {
		if !braces {
			p.body = append(p.body, b[0])
		} else {
			p.body = append(p.body, stmt{body: b, block: true})
		}
	}
	return []stmt{p}
}

// lines writes statements, one a line, each call with the block of its operation where inline is set.
func lines(b *strings.Builder, indent string, list []stmt, inline bool) {
	for i := range list {
		s := &list[i]
		b.WriteString(indent)
		b.WriteString(s.head)
		if s.call != "" {
			service, _, _ := strings.Cut(s.call, ".")
			if inline {
				b.WriteString("call " + service + " { " + demand + " }")
			} else {
				b.WriteString("call " + s.call)
			}
		}
		if s.block {
			if s.head != "" {
				b.WriteByte(' ')
			}
			b.WriteByte('{')
		}
		if s.comment != "" {
			b.WriteString("  # " + strings.TrimSpace(s.comment))
		}
		b.WriteByte('\n')
		for _, c := range s.choices {
			b.WriteString(indent + "  " + share(c.share) + ": {  # " + strings.TrimSpace(c.comment) + "\n")
			lines(b, indent+"    ", c.body, inline)
			b.WriteString(indent + "  }\n")
		}
		lines(b, indent+"  ", s.body, inline)
		if s.block {
			b.WriteString(indent + "}\n")
		}
	}
}

// demand is what an operation needs until somebody fills in what it does.
const demand = "cpu 5ms  reply 1KiB"

// A Result is a scenario made of a process.
type Result struct {
	Text       []byte   // the scenario file
	Notes      []string // what of the process is not in it, or is there otherwise than it was; `line:col: …`
	Operations int      // of the process: what starts it
	Calls      int      // places in it where it invokes something
	Services   []string // what it invokes, in the order of their partner links
}

// Scenario writes the process as a scenario called name. The error is an Error: a process that holds more than a request may.
func (p *Process) Scenario(name string) (*Result, error) {
	w := newWriter(p)
	w.partners()
	w.begin = w.starts(p.root)
	for _, s := range w.begin {
		w.operation(s)
	}
	if w.err == nil {
		w.check()
	}
	if w.err != nil {
		return nil, w.err
	}
	w.services = slices.DeleteFunc(w.services, func(s *service) bool { return len(s.ops) == 0 }) // called by what is left out alone
	text := w.scenario(name)
	if len(text) > maxScenario {
		return nil, &Error{p.root.line, p.root.col, fmt.Sprintf("the scenario would have %d KiB, more than %d", len(text)>>10, maxScenario>>10)}
	}
	r := &Result{Text: text, Notes: w.notes, Operations: len(w.ops), Calls: len(w.invoked)}
	for _, s := range w.services {
		r.Services = append(r.Services, s.name)
	}
	return r, nil
}

// check has the requests read as a server would read them, their calls in place.
func (w *writer) check() {
	for _, o := range w.ops {
		var b strings.Builder
		b.WriteString("call " + w.self + " {\n")
		lines(&b, "  ", o.body, true)
		b.WriteString("}\n")
		if _, err := rdr.ParseBlock("process", []byte(b.String()), rdr.Limits{}); err != nil {
			msg, _, _ := strings.Cut(err.Error(), "\n")
			w.fail(w.p.root, "the process holds more than one request may: %s", msg)
			return
		}
	}
}

// scenario writes the file.
func (w *writer) scenario(name string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# The business process %s, which calls %d services.\n", word(w.p.Name), len(w.services))
	b.WriteString("# What the process does not say is assumed and marked `fill in`: what operations need, how likely branches are, how\n" +
		"# often loops run, when messages come, and how often the process is started. Places are line:column of the process.\n" +
		"# A call that really fails fails the process: requests have no catch, so fault handlers are branches with a probability.\n")
	for _, n := range w.notes {
		fmt.Fprintf(&b, "# note: %s\n", n)
	}
	fmt.Fprintf(&b, "eve: 1\nname: %s\nabout: The business process %s as a composition of services.\nduration: 30s\nwarmup: 3s\n", name, w.self)
	b.WriteString("requests: |\n")
	for _, o := range w.ops {
		fmt.Fprintf(&b, "  request %s {\n    call %s.%[1]s send 1KiB  # fill in\n  }\n", o.name, w.self)
	}
	b.WriteString("servers:\n")
	fmt.Fprintf(&b, "  %s: {cpus: 1, run: hold}\n", w.server)
	for _, s := range w.services {
		fmt.Fprintf(&b, "  %s: {cpus: 1, run: hold}\n", s.server)
	}
	fmt.Fprintf(&b, "services:\n  %s:\n    on: [%s]\n    requests: |\n", w.self, w.server)
	for _, o := range w.ops {
		fmt.Fprintf(&b, "      request %s {\n        cpu 1ms  # what the engine of processes needs: fill in\n", o.name)
		lines(&b, "        ", o.body, false)
		b.WriteString("      }\n")
	}
	for _, s := range w.services {
		fmt.Fprintf(&b, "  %s:\n    on: [%s]\n    requests: |\n", s.name, s.server)
		for _, o := range s.ops {
			fmt.Fprintf(&b, "      request %s {\n        %s  # %s: fill in\n      }\n", o.name, demand, o.from)
		}
	}
	b.WriteString("clients:\n")
	for _, o := range w.ops {
		fmt.Fprintf(&b, "  %s: {request: %s, arrive: poisson, rate: 2/s}  # fill in\n", o.client, o.name)
	}
	return []byte(b.String())
}

// printable keeps a text to one line of a comment.
func printable(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return clip(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return -1
	}, s), 80)
}

// word is a name as a comment has it.
func word(s string) string {
	if s = printable(s); s == "" {
		return "without a name"
	}
	return s
}

// place tells where in the process something stands.
func place(e *element, what string) string { return fmt.Sprintf("%d:%d %s", e.line, e.col, what) }
