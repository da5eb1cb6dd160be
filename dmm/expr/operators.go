package expr

import (
	"fmt"
	"math"

	"github.com/expr-lang/expr/ast"
)

func (c *compiler) unary(n *ast.UnaryNode) part {
	p := c.check(n.Node)
	col := c.col(n)
	if p.class == badClass {
		return p
	}
	switch n.Operator {
	case "not", "!":
		if p.class != conditionClass {
			return c.fail(col, n.Operator+" needs a condition", fmt.Sprintf("put what it negates into parentheses: %s (a > b)", n.Operator))
		}
		return part{node: &node{op: opNot, a: p.node}, class: conditionClass, col: col}
	case "-", "+":
		if p.class != numberClass {
			return c.fail(col, n.Operator+" needs a number", "")
		}
		if n.Operator == "-" {
			p.node = &node{op: opNegate, a: p.node}
		}
		p.col = col
		return p
	}
	return c.fail(col, fmt.Sprintf("unexpected %q", n.Operator), "")
}

func (c *compiler) binary(n *ast.BinaryNode) part {
	a, b := c.check(n.Left), c.check(n.Right)
	col := c.col(n)
	if a.class == badClass || b.class == badClass {
		return part{}
	}
	op, ok := binaryOp(n.Operator)
	if !ok {
		return c.fail(col, fmt.Sprintf("unexpected %q", n.Operator), "")
	}
	out := part{node: &node{op: op, a: a.node, b: b.node}, class: numberClass, col: a.col}
	switch op {
	case opAnd, opOr:
		if a.class != conditionClass || b.class != conditionClass {
			return c.fail(col, n.Operator+" needs a condition on both sides", "compare the number with something, as in x > 1")
		}
		out.class = conditionClass
		return out
	case opAdd, opSub:
		out.dim, out.bare = a.dim, a.bare && b.bare
		if a.dim.any || a.bare {
			out.dim = b.dim
		}
	case opMul:
		out.dim, out.bare = a.dim.times(b.dim, 1), a.bare && b.bare
	case opDiv:
		out.dim, out.bare = a.dim.times(b.dim, -1), a.bare && b.bare
	default:
		out.class = conditionClass
	}
	return c.comparable(n.Operator, op, col, a, b, out)
}

// comparable checks that the two sides of an operator go together.
func (c *compiler) comparable(text string, op op, col int, a, b, out part) part {
	if op == opEqual || op == opUnequal {
		asText(&a, b)
		asText(&b, a)
		out.node.a, out.node.b = a.node, b.node
	}
	if (op == opEqual || op == opUnequal) && a.class == textClass && b.class == textClass {
		out.node.op = opTextEqual
		if op == opUnequal {
			out.node = &node{op: opNot, a: out.node}
		}
		return out
	}
	if a.class != numberClass || b.class != numberClass {
		return c.fail(col, text+" needs a number on both sides", "")
	}
	if op == opMul || op == opDiv || a.dim.fits(b.dim) || zero(a) || zero(b) {
		return out
	}
	switch {
	case a.bare:
		return c.fail(a.col, fmt.Sprintf("a number without a unit beside %s", b.dim.said()), "write it like "+b.dim.example())
	case b.bare:
		return c.fail(b.col, fmt.Sprintf("a number without a unit beside %s", a.dim.said()), "write it like "+a.dim.example())
	}
	return c.fail(col, fmt.Sprintf("%s %s %s do not go together", a.dim.said(), text, b.dim.said()), "")
}

// asText makes an input whose kind is open a text where it is compared with one.
func asText(p *part, with part) {
	if p.open && with.class == textClass {
		p.node, p.class = &node{op: opTextInput, term: p.node.term}, textClass
	}
}

// zero reports whether p is the number 0, which needs no unit.
func zero(p part) bool { return p.bare && p.node.op == opNumber && p.node.number == 0 }

// op is what a node does.
type op uint8

const (
	opNumber op = iota
	opText
	opTerm
	opTextTerm
	opNot
	opNegate
	opAnd
	opOr
	opAdd
	opSub
	opMul
	opDiv
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
	opEqual
	opUnequal
	opTextEqual
	opConditional // a ? b : c
	opMin
	opMax
	opAbs
	opFloor
	opSqrt
	opExp
	opLog
	opInput     // of a formula
	opTextInput // of a formula
)

func binaryOp(s string) (op, bool) {
	switch s {
	case "and", "&&":
		return opAnd, true
	case "or", "||":
		return opOr, true
	case "+":
		return opAdd, true
	case "-":
		return opSub, true
	case "*":
		return opMul, true
	case "/":
		return opDiv, true
	case "<":
		return opLess, true
	case "<=":
		return opLessEqual, true
	case ">":
		return opGreater, true
	case ">=":
		return opGreaterEqual, true
	case "==":
		return opEqual, true
	case "!=":
		return opUnequal, true
	}
	return 0, false
}

// node is one step of an evaluation. A condition is 1, 0, or NaN for unknown.
type node struct {
	op     op
	a, b   *node
	c      *node // of a conditional
	number float64
	text   string
	term   int
}

// arithmetic combines two numbers. Whatever has no finite value is unknown.
func arithmetic(op op, a, b float64) float64 {
	var x float64
	switch op {
	case opAdd:
		x = a + b
	case opSub:
		x = a - b
	case opMul:
		x = a * b
	case opDiv:
		x = a / b
	case opMin:
		x = min(a, b)
	case opMax:
		x = max(a, b)
	}
	if math.IsInf(x, 0) {
		return math.NaN()
	}
	return x
}

// compare returns 1, 0, or NaN where a side is unknown.
func compare(op op, a, b float64) float64 {
	if math.IsNaN(a) || math.IsNaN(b) {
		return math.NaN()
	}
	var holds bool
	switch op {
	case opLess:
		holds = a < b
	case opLessEqual:
		holds = a <= b
	case opGreater:
		holds = a > b
	case opGreaterEqual:
		holds = a >= b
	case opEqual:
		holds = a == b
	case opUnequal:
		holds = a != b
	}
	return truth(holds)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
