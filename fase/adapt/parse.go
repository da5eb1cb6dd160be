package adapt

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
)

// usage shows how each verb is written.
func usage(v Verb) string {
	switch v {
	case Move:
		return "move SERVICE to SERVER, or move SERVICE to SERVER stopped"
	case Replicate:
		return "replicate SERVICE to SERVER"
	case Retire:
		return "retire SERVICE from SERVER"
	case Scale:
		return "scale SERVICE to NUMBER, or scale SERVICE to = EXPRESSION"
	case Degrade:
		return "degrade SERVICE to LEVEL"
	case Limit:
		return "limit SERVICE RATE, limit SERVICE = EXPRESSION, or limit SERVICE none"
	case Pause, Resume:
		return string(v) + " SERVICE"
	}
	return "set VARIABLE VALUE"
}

// Verbs lists what actions there are.
func Verbs() []Verb {
	return []Verb{Move, Replicate, Retire, Scale, Degrade, Limit, Pause, Resume, Assign}
}

func verbs() []string {
	vs := Verbs()
	names := make([]string, len(vs))
	for i, v := range vs {
		names[i] = string(v)
	}
	return names
}

// ParseAction reads what a rule does, such as "move static to cdn", "move app to server_2 stopped", "replicate app to
// server_2", "retire app from server_2", "scale app to 3", "scale app to = ceil(crowd.rate / 50/s)", "degrade app to lite",
// "limit app 80/s", "limit app none", "pause app", "resume app", "set crowd.rate 80/s" or "set crowd.rate = crowd.rate / 2".
// Its error is an *expr.Error, with the column.
func ParseAction(text string, topo *service.Topology) (Action, error) {
	p := actionParser{text: text, words: split(text), topo: topo, end: utf8.RuneCountInString(text) + 1}
	a := Action{Service: -1, Server: -1, Text: strings.Join(strings.Fields(text), " ")}
	p.verb(&a)
	switch a.Verb {
	case Move, Replicate, Retire:
		p.placement(&a)
	case Degrade:
		p.service(&a)
		p.keyword("to", a.Verb)
		a.Level = p.name("a level", a.Verb)
	case Scale:
		p.service(&a)
		p.keyword("to", a.Verb)
		p.count(&a)
	case Limit:
		p.service(&a)
		p.limit(&a)
	case Pause, Resume:
		p.service(&a)
	case Assign:
		p.assignment(&a)
	}
	if w := p.peek(); p.err == nil && w != nil {
		p.fail(w.col, fmt.Sprintf("unexpected %q", w.text), "write "+usage(a.Verb))
	}
	if p.err != nil {
		return Action{}, p.err
	}
	return a, nil
}

type word struct {
	text string
	col  int // in characters, from 1
}

func split(text string) []word {
	var words []word
	col, start := 0, -1
	begin := 0
	flush := func(end int) {
		if start >= 0 {
			words = append(words, word{text[begin:end], start})
		}
		start = -1
	}
	for i, r := range text {
		col++
		if r == ' ' || r == '\t' || r == '\n' || r == '\r' {
			flush(i)
		} else if start < 0 {
			start, begin = col, i
		}
	}
	flush(len(text))
	return words
}

// actionParser reads word by word and keeps the first mistake; after it, every method does nothing.
type actionParser struct {
	text  string
	words []word
	topo  *service.Topology
	end   int // column behind the text
	err   error
}

func (p *actionParser) fail(col int, msg, fix string) {
	if p.err == nil {
		p.err = &expr.Error{Col: col, Msg: msg, Fix: fix}
	}
}

func (p *actionParser) peek() *word {
	if len(p.words) == 0 {
		return nil
	}
	return &p.words[0]
}

// next takes a word; at the end of the text it tells what is missing.
func (p *actionParser) next(missing string, v Verb) (word, bool) {
	if p.err != nil {
		return word{}, false
	}
	if len(p.words) == 0 {
		p.fail(p.end, missing+" is missing", "write "+usage(v))
		return word{}, false
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w, true
}

func (p *actionParser) verb(a *Action) {
	if len(p.words) == 0 {
		p.fail(1, "the action is empty", "write "+usage(Move))
		return
	}
	w, _ := p.next("", Move)
	for _, v := range verbs() {
		if w.text == v {
			a.Verb = Verb(v)
			return
		}
	}
	p.fail(w.col, fmt.Sprintf("no such action %q", w.text), meant(w.text, verbs(), "the actions are "))
}

func (p *actionParser) placement(a *Action) {
	p.service(a)
	if a.Verb == Retire {
		p.keyword("from", a.Verb)
	} else {
		p.keyword("to", a.Verb)
	}
	if w, ok := p.next("a server", a.Verb); ok {
		a.Server = p.topo.Server(w.text)
		if a.Server < 0 {
			p.fail(w.col, fmt.Sprintf("no such server %q", w.text), meant(w.text, p.topo.Servers, "the servers are "))
		}
	}
	if w := p.peek(); w != nil && a.Verb == Move && w.text == "stopped" {
		a.Stopped = true
		p.words = p.words[1:]
	}
}

func (p *actionParser) service(a *Action) {
	if w, ok := p.next("a service", a.Verb); ok {
		a.Service = p.topo.Service(w.text)
		if a.Service < 0 {
			p.fail(w.col, fmt.Sprintf("no such service %q", w.text), meant(w.text, p.topo.Services, "the services are "))
		}
	}
}

func (p *actionParser) keyword(want string, v Verb) {
	if w, ok := p.next(fmt.Sprintf("%q", want), v); ok && w.text != want {
		p.fail(w.col, fmt.Sprintf("%q where %q is expected", w.text, want), "write "+usage(v))
	}
}

func (p *actionParser) name(what string, v Verb) string {
	w, ok := p.next(what, v)
	if !ok {
		return ""
	}
	if _, err := dsv.ParseName(w.text); err != nil || strings.Contains(w.text, ".") {
		p.fail(w.col, fmt.Sprintf("%q is not a name", w.text), "a name is made of [a-z][a-z0-9_]*")
	}
	return w.text
}

func (p *actionParser) assignment(a *Action) {
	w, ok := p.next("a variable", a.Verb)
	if !ok {
		return
	}
	n, err := dsv.ParseName(w.text)
	if err != nil {
		p.fail(w.col, fmt.Sprintf("%q is not a variable name", w.text), "a name is made of parts [a-z][a-z0-9_]* joined by dots")
		return
	}
	a.Var = n
	if p.follows(a) {
		return
	}
	if w, ok = p.next("a value", a.Verb); !ok {
		return
	}
	sign, digits := 1.0, w.text
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		sign, digits = -1, rest
	}
	x, unit, err := expr.ParseQuantity(digits)
	if err != nil {
		p.fail(w.col, err.Error(), "a value is written like 80/s, 200ms or 64MiB")
		return
	}
	a.Value, a.Unit = sign*x, unit
}

// count reads how many replicas there are to be.
func (p *actionParser) count(a *Action) {
	if p.follows(a) {
		return
	}
	w, ok := p.next("a number", a.Verb)
	if !ok {
		return
	}
	n, err := strconv.ParseUint(w.text, 10, 16)
	if err != nil {
		p.fail(w.col, fmt.Sprintf("%q is not a number of replicas", w.text), "write "+usage(a.Verb))
	}
	a.Count = int(n)
}

// limit reads a rate, or that there is none.
func (p *actionParser) limit(a *Action) {
	a.Unit = "1/s"
	if p.follows(a) {
		return
	}
	w, ok := p.next("a rate", a.Verb)
	if !ok || w.text == "none" {
		return
	}
	x, unit, err := expr.ParseQuantity(w.text)
	switch {
	case err != nil:
		p.fail(w.col, err.Error(), "a rate is written like 80/s")
	case unit != "1/s":
		p.fail(w.col, fmt.Sprintf("%q is not a rate", w.text), "a rate is written like 80/s")
	case x <= 0:
		p.fail(w.col, "nobody is let in at a rate of 0", "write pause SERVICE, or limit SERVICE none for no limit")
	}
	a.Value = x
}

// follows takes an expression where `=` stands, and reports whether it does.
func (p *actionParser) follows(a *Action) bool {
	w := p.peek()
	if p.err != nil || w == nil || w.text != "=" {
		return false
	}
	p.formula(a)
	return true
}

// formula takes what stands behind `=`, to the end of the text.
func (p *actionParser) formula(a *Action) {
	p.words = p.words[1:]
	if len(p.words) == 0 {
		fix := "write " + usage(a.Verb)
		if a.Verb == Assign {
			fix = "write set VARIABLE = EXPRESSION"
		}
		p.fail(p.end, "an expression is missing", fix)
		return
	}
	a.Col = p.words[0].col
	a.Formula = strings.TrimSpace(string([]rune(p.text)[a.Col-1:]))
	p.words = nil
}

// meant says what a word was likely meant to be, or what there is.
func meant(word string, candidates []string, list string) string {
	if s := expr.Nearest(word, candidates); s != "" {
		return "did you mean " + s + "?"
	}
	return list + strings.Join(candidates, ", ")
}
