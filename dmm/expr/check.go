package expr

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"github.com/eve-emulation/eve/dsv"
)

// class says what a part of an expression comes to.
type class uint8

const (
	badClass class = iota // a mistake was told already
	numberClass
	conditionClass
	textClass
)

// part is a checked part of an expression.
type part struct {
	node  *node
	class class
	dim   dim
	bare  bool // only numbers without a unit
	open  bool // an input alone whose kind its use decides
	col   int
}

// compiler turns one text into a Program and collects its mistakes.
type compiler struct {
	source string
	vars   func(dsv.Name) (dsv.Declaration, bool)
	known  []dsv.Name

	formula  bool // names are inputs, and functions take numbers
	inputs   []Input
	used     []bool
	prefixes []Input // their names end in a dot

	tokens []token
	starts []int // of the tokens in the text for the parser
	ends   int   // of the last of them
	endCol int
	terms  []term
	errs   Errors
}

func (c *compiler) fail(col int, msg, fix string) part {
	c.errs = append(c.errs, &Error{Col: col, Msg: msg, Fix: fix})
	return part{}
}

func (c *compiler) sorted() Errors {
	sort.SliceStable(c.errs, func(i, j int) bool { return c.errs[i].Col < c.errs[j].Col })
	if len(c.errs) > maxErrors {
		c.errs = c.errs[:maxErrors]
	}
	return c.errs
}

func (c *compiler) compile() part {
	if len(c.source) > MaxSource {
		return c.fail(1, fmt.Sprintf("an expression has at most %d bytes, this one has %d", MaxSource, len(c.source)), "")
	}
	c.lex()
	if len(c.errs) > 0 {
		return part{}
	}
	if len(c.tokens) == 0 {
		example := "p95(app.latency) > 100ms"
		if c.formula {
			example = "level > 3"
		}
		return c.fail(1, "the expression is empty", "write a condition such as "+example)
	}
	text := c.rewrite()
	tree, err := parser.ParseWithConfig(text, &conf.Config{DisableIfOperator: true})
	if err != nil {
		return c.misparsed(err)
	}
	p := c.check(tree.Node)
	if p.class == textClass {
		return c.fail(p.col, "a text alone is no expression", "compare it: … == \"text\"")
	}
	return p
}

// misparsed tells the parser's error in terms of the text as written.
func (c *compiler) misparsed(err error) part {
	fe, ok := errors.AsType[*file.Error](err)
	if !ok {
		return c.fail(1, "not an expression: "+err.Error(), "")
	}
	i := c.tokenAt(fe.From)
	if i >= len(c.tokens) {
		return c.fail(c.endCol, "the expression ends too early", "")
	}
	t := c.tokens[i]
	if i > 0 && t.kind != symbolToken && c.tokens[i-1].kind != symbolToken {
		return c.fail(t.col, fmt.Sprintf("unexpected %q", t.text), fmt.Sprintf("an operator is missing between %q and %q", c.tokens[i-1].text, t.text))
	}
	return c.fail(t.col, fmt.Sprintf("unexpected %q", t.text), "")
}

// tokenAt returns the index of the token that covers an offset in the text for the parser; len(tokens) at its end.
func (c *compiler) tokenAt(offset int) int {
	if offset >= c.ends {
		return len(c.tokens)
	}
	i, found := slices.BinarySearch(c.starts, offset)
	if !found {
		i-- // starts[0] is 0
	}
	return i
}

// token returns the token that an identifier of the rewritten text stands for.
func (c *compiler) token(n ast.Node) (token, bool) {
	id, ok := n.(*ast.IdentifierNode)
	if !ok || len(id.Value) < 2 {
		return token{}, false
	}
	i, err := strconv.Atoi(id.Value[1:])
	if err != nil || i >= len(c.tokens) {
		return token{}, false
	}
	return c.tokens[i], true
}

func (c *compiler) col(n ast.Node) int {
	i := c.tokenAt(n.Location().From)
	if i >= len(c.tokens) {
		return c.endCol
	}
	return c.tokens[i].col
}

func (c *compiler) check(n ast.Node) part {
	switch n := n.(type) {
	case *ast.BoolNode:
		x := 0.0
		if n.Value {
			x = 1
		}
		return part{node: &node{op: opNumber, number: x}, class: conditionClass, col: c.col(n)}
	case *ast.IdentifierNode:
		t, ok := c.token(n)
		if !ok {
			break
		}
		return c.operand(t)
	case *ast.CallNode:
		return c.call(n)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ConditionalNode:
		return c.conditional(n)
	}
	return c.fail(c.col(n), "not part of the language", "")
}

func (c *compiler) operand(t token) part {
	switch t.kind {
	case quantityToken:
		bare := t.dim == none && t.text[len(t.text)-1] != '%'
		return part{node: &node{op: opNumber, number: t.number}, class: numberClass, dim: t.dim, bare: bare, col: t.col}
	case textToken:
		return part{node: &node{op: opText, text: t.text}, class: textClass, col: t.col}
	}
	if c.formula {
		return c.input(t)
	}
	d, ok := c.declaration(t)
	if !ok {
		return part{}
	}
	sort := sortOf(d)
	bare := term{name: d.Name, declaration: d, text: t.text, sort: sort}
	if sort == textVar {
		return part{node: c.term(bare), class: textClass, col: t.col}
	}
	if !sort.allows("") {
		return c.fail(t.col, fmt.Sprintf("%s is %s and has no single value", t.text, sort), sort.fix(t.text))
	}
	return part{node: c.term(bare), class: numberClass, dim: dimOf(d.Unit), col: t.col}
}

func (c *compiler) declaration(t token) (dsv.Declaration, bool) {
	d, ok := c.vars(dsv.Name(t.text))
	if ok {
		d.Name = dsv.Name(t.text)
		return d, true
	}
	fix := "`eve vars` lists the variables of a scenario"
	if s := c.suggest(t.text); s != "" {
		fix = "did you mean " + s + "?"
	} else if isFunction(t.text) {
		fix = fmt.Sprintf("%s is a function: %s(variable)", t.text, t.text)
	}
	c.fail(t.col, fmt.Sprintf("no such variable %s", t.text), fix)
	return dsv.Declaration{}, false
}

func (c *compiler) term(t term) *node {
	for i := range c.terms {
		if c.terms[i].text == t.text {
			return &node{op: t.op(), term: i}
		}
	}
	c.terms = append(c.terms, t)
	return &node{op: t.op(), term: len(c.terms) - 1}
}

func (c *compiler) call(n *ast.CallNode) part {
	f, ok := c.token(n.Callee)
	if !ok {
		return c.fail(c.col(n), "not a function", "")
	}
	if f.kind == nameToken && isMath(f.text) && (c.formula || !isFunction(f.text)) {
		return c.mathCall(f, n.Arguments)
	}
	if c.formula || f.kind != nameToken || !isFunction(f.text) {
		fix := "the functions are " + c.functionList()
		if s := Nearest(f.text, strings.Fields(c.functionList())); s != "" {
			fix = "did you mean " + s + "?"
		} else if f.kind != nameToken {
			fix = "an operator is missing before the parenthesis"
		}
		return c.fail(f.col, fmt.Sprintf("no such function %s", f.text), fix)
	}
	if len(n.Arguments) == 0 || len(n.Arguments) > 2 {
		return c.fail(f.col, fmt.Sprintf("%s takes a variable, and a window if you like", f.text), fmt.Sprintf("write %s(app.latency) or %s(app.latency, 10s)", f.text, f.text))
	}
	v, ok := c.token(n.Arguments[0])
	if !ok || v.kind != nameToken {
		return c.fail(c.col(n.Arguments[0]), fmt.Sprintf("%s is taken of a variable, not of an expression", f.text), "")
	}
	window, wtext, wok := time.Duration(0), "", true
	if len(n.Arguments) == 2 {
		window, wtext, wok = c.window(f, n.Arguments[1])
	}
	d, ok := c.declaration(v)
	if !ok || !wok {
		return part{}
	}
	return c.apply(f, v, d, window, wtext)
}

// functionList lists the functions of the text's kind.
func (c *compiler) functionList() string {
	if c.formula {
		return mathList
	}
	return programList
}

func (c *compiler) apply(f, v token, d dsv.Declaration, window time.Duration, wtext string) part {
	sort := sortOf(d)
	if !sort.allows(f.text) {
		return c.fail(f.col, fmt.Sprintf("%s of %s: it is %s", f.text, v.text, sort), sort.fix(v.text))
	}
	dim := dimOf(d.Unit)
	switch f.text {
	case "count":
		dim = none
	case "rate":
		if sort == histogramVar {
			dim = none
		}
		dim = dim.times(seconds, -1)
	}
	text := f.text + "(" + v.text + ")"
	if wtext != "" {
		text = f.text + "(" + v.text + ", " + wtext + ")"
	}
	t := term{function: f.text, name: d.Name, declaration: d, text: text, sort: sort, window: window}
	return part{node: c.term(t), class: numberClass, dim: dim, col: f.col}
}

// window reads the second argument of a function.
func (c *compiler) window(f token, n ast.Node) (time.Duration, string, bool) {
	t, ok := c.token(n)
	if !ok || t.kind != quantityToken || t.dim != seconds {
		c.fail(c.col(n), fmt.Sprintf("the second argument of %s is a window", f.text), "write a time such as 10s")
		return 0, "", false
	}
	if t.number < 1e-9 || t.number > MaxWindow.Seconds() {
		c.fail(t.col, fmt.Sprintf("a window of %s", t.text), "a window is longer than 0 and at most 1h")
		return 0, "", false
	}
	return time.Duration(t.number*1e9 + 0.5), t.text, true
}
