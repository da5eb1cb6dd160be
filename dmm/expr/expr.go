// Package expr is Eve's one expression language: conditions of rules, `expect`, filters, expression manipulators and
// live behaviour are all written in it.
//
//	p95(static.latency) > 100ms and server_1.cpu.utilisation > 85%
//	crowd.errors / crowd.requests < 0.01
//
// The nouns: a [Program] is a compiled expression, a [Reader] gives it the variables' values, a [Value] is what comes out.
// An [Error] is one mistake in a text, with its column and what would be right.
//
// An expression does arithmetic on numbers in base units (seconds, bytes, bits, and per second). Where there is no data,
// such as the mean of no samples or a division by zero, the result is unknown, and an unknown condition is not true; `and`
// and `or` still answer where one side decides alone. There are no loops, no I/O and no memory of earlier evaluations, and
// the text is at most [MaxSource] bytes, so an evaluation takes bounded time and does not depend on who evaluates.
//
// The reference is docs/expressions.md. The parser is expr-lang/expr's; this package alone imports it.
package expr

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// The bounds of an expression.
const (
	MaxSource = 4096      // bytes of text
	MaxWindow = time.Hour // the longest window of a function
)

// DefaultDecay is the time constant of ewma where none is given.
const DefaultDecay = 5 * time.Second

// A Reader gives an expression the values of variables. It decides what window 0 means: the last seconds in a rule, the
// run after its warm-up in `expect`. Errors that wrap dsv.ErrNotFound or dsv.ErrUnset mean that there is no data.
type Reader interface {
	// Total sums what was written to a variable during the last window, or the reader's default where window is 0.
	Total(name dsv.Name, window time.Duration) (dmm.Total, error)
	// Text returns the latest value of a variable of kind Text.
	Text(name dsv.Name) (string, error)
}

// A Value is what an expression comes to: a number, or the truth of a condition. The zero Value is an unknown condition.
type Value struct {
	IsCondition bool
	// Number is NaN when there is no data; 1, 0 or NaN for a condition.
	Number float64
	known  bool
}

func newValue(x float64, condition bool) Value {
	return Value{IsCondition: condition, Number: x, known: !math.IsNaN(x)}
}

// Known reports whether there were data enough to tell.
func (v Value) Known() bool { return v.known }

// True reports whether v is a condition that holds. An unknown condition does not.
func (v Value) True() bool { return v.known && v.IsCondition && v.Number != 0 }

// False reports whether v is a condition that is known not to hold.
func (v Value) False() bool { return v.known && v.IsCondition && v.Number == 0 }

// String returns "true", "false", "unknown", or the number in base units.
func (v Value) String() string {
	switch {
	case !v.known:
		return "unknown"
	case v.True():
		return "true"
	case v.IsCondition:
		return "false"
	}
	return fmt.Sprintf("%g", v.Number)
}

// An Error is one mistake in an expression, and where.
type Error struct {
	Col int    // in characters, from 1
	Msg string // what is wrong
	Fix string // what would be right, or empty
}

// Error returns `col N: message`, and the fix after a semicolon.
func (e *Error) Error() string {
	if e.Fix == "" {
		return fmt.Sprintf("col %d: %s", e.Col, e.Msg)
	}
	return fmt.Sprintf("col %d: %s; %s", e.Col, e.Msg, e.Fix)
}

// Errors is every mistake that was found in one text, in its order; at most ten. It is the dynamic type of every error that
// Compile returns.
type Errors []*Error

const maxErrors = 10

// Error returns one line per mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.Is and errors.AsType look at each mistake.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}

// A Program is a compiled expression. It is immutable and may be used from any goroutine.
type Program struct {
	source    string
	root      *node
	terms     []term
	condition bool
	unit      string
}

// A Term is one variable in the text of a program, alone or under a function.
type Term struct {
	Text     string // as Readings tells it
	Name     dsv.Name
	Function string // "p95", "mean"; empty for the variable alone
	// Window is the one that is asked for; 0 where the reader's default is.
	Window time.Duration
}

// Terms returns every variable of the program as it is read, in the order of the text.
func (p *Program) Terms() []Term {
	out := make([]Term, len(p.terms))
	for i, t := range p.terms {
		out[i] = Term{Text: t.text, Name: t.name, Function: t.function, Window: t.window}
	}
	return out
}

// Bound returns the term and the number of a program that says no more than that the one is below the other, such as
// p95(app.latency) < 200ms.
func (p *Program) Bound() (t Term, most float64, ok bool) {
	r := p.root
	if !p.condition || r.op != opLess && r.op != opLessEqual || r.a.op != opTerm || r.b.op != opNumber {
		return Term{}, 0, false
	}
	return p.Terms()[r.a.term], r.b.number, true
}

// A Read is one reading of a variable that a program needs.
type Read struct {
	Name        dsv.Name
	Declaration dsv.Declaration // as it was when the program was compiled
	// Window is the longest window that is asked for; 0 where the reader's default is.
	Window time.Duration
}

// Compile checks and compiles an expression. vars finds the declaration of a variable; a name that it does not find is a
// mistake. known lists the names from which a mistake's "did you mean" is chosen; without it there is none. The error is
// an Errors.
func Compile(src string, vars func(dsv.Name) (dsv.Declaration, bool), known ...dsv.Name) (*Program, error) {
	c := compiler{source: src, vars: vars, known: known}
	root := c.compile()
	if len(c.errs) > 0 {
		return nil, c.sorted()
	}
	return &Program{
		source: src, root: root.node, terms: c.terms, condition: root.class == conditionClass, unit: root.dim.unit(),
	}, nil
}

// Source returns the text that was compiled.
func (p *Program) Source() string { return p.source }

// IsCondition reports whether the program comes to true or false and not to a number.
func (p *Program) IsCondition() bool { return p.condition }

// Unit returns the base unit of a number: "s", "B", "bit", "1/s", "1"; empty for a condition, or where the units of the
// variables do not tell.
func (p *Program) Unit() string {
	if p.condition {
		return ""
	}
	return p.unit
}

// Vars returns the names of the variables that the program reads, each once, in the order of the text.
func (p *Program) Vars() []dsv.Name {
	var names []dsv.Name
	seen := map[dsv.Name]bool{}
	for _, t := range p.terms {
		if !seen[t.name] {
			seen[t.name] = true
			names = append(names, t.name)
		}
	}
	return names
}

// Reads returns what the program will ask its Reader for: a reader that keeps that much can answer. A variable is listed
// once with its default window (Window 0) and once with its longest explicit one, where it is read so.
func (p *Program) Reads() []Read {
	var reads []Read
	for _, t := range p.terms {
		w := t.longest()
		i := 0
		for ; i < len(reads); i++ {
			if reads[i].Name == t.name && (reads[i].Window == 0) == (w == 0) {
				reads[i].Window = max(reads[i].Window, w)
				break
			}
		}
		if i == len(reads) {
			reads = append(reads, Read{Name: t.name, Declaration: t.declaration, Window: w})
		}
	}
	return reads
}
