package expr

import (
	"fmt"
	"math"
	"slices"

	"github.com/expr-lang/expr/ast"
)

const mathList = "min max abs floor sqrt exp log"

// isMath reports whether name is a function of numbers. In a Program, min and max are taken of a variable instead.
func isMath(name string) bool {
	return slices.Contains([]string{"min", "max", "abs", "floor", "sqrt", "exp", "log"}, name)
}

// mathCall checks a function of numbers.
func (c *compiler) mathCall(f token, args []ast.Node) part {
	parts := make([]part, len(args))
	bad := false
	for i, a := range args {
		parts[i] = c.check(a)
		bad = bad || parts[i].class == badClass
	}
	if bad {
		return part{}
	}
	for _, p := range parts {
		if p.class != numberClass {
			return c.fail(p.col, f.text+" needs numbers", "")
		}
	}
	if f.text == "min" || f.text == "max" {
		return c.least(f, parts)
	}
	if len(parts) != 1 {
		return c.fail(f.col, fmt.Sprintf("%s takes one number", f.text), fmt.Sprintf("write %s(x)", f.text))
	}
	return c.mathOne(f, parts[0])
}

// least checks min and max of several numbers.
func (c *compiler) least(f token, parts []part) part {
	if len(parts) < 2 {
		return c.fail(f.col, f.text+" takes two numbers or more", fmt.Sprintf("write %s(x, y)", f.text))
	}
	o := opMin
	if f.text == "max" {
		o = opMax
	}
	sum := parts[0]
	for _, p := range parts[1:] {
		out := part{node: &node{op: o, a: sum.node, b: p.node}, class: numberClass, dim: sum.dim, bare: sum.bare && p.bare, col: f.col}
		if sum.dim.any || sum.bare {
			out.dim = p.dim
		}
		if sum = c.comparable(f.text, o, f.col, sum, p, out); sum.class == badClass {
			return sum
		}
	}
	sum.col = f.col
	return sum
}

func (c *compiler) mathOne(f token, p part) part {
	out := part{node: &node{op: mathOp(f.text), a: p.node}, class: numberClass, dim: p.dim, bare: p.bare, col: f.col}
	switch f.text {
	case "sqrt":
		if d := p.dim; d.s%2 != 0 || d.byte%2 != 0 || d.bit%2 != 0 {
			return c.fail(p.col, "sqrt of "+d.said()+" has no unit", "divide by the unit first, as in sqrt(x / 1s)")
		}
		out.dim = dim{s: p.dim.s / 2, byte: p.dim.byte / 2, bit: p.dim.bit / 2, any: p.dim.any}
	case "exp", "log":
		if !p.dim.fits(none) {
			return c.fail(p.col, f.text+" needs a plain number, not "+p.dim.said(), "divide by the unit first, as in "+f.text+"(x / 1s)")
		}
		out.dim = none
	}
	return out
}

func mathOp(name string) op {
	switch name {
	case "abs":
		return opAbs
	case "floor":
		return opFloor
	case "sqrt":
		return opSqrt
	case "exp":
		return opExp
	}
	return opLog
}

// conditional checks c ? a : b.
func (c *compiler) conditional(n *ast.ConditionalNode) part {
	cond, a, b := c.check(n.Cond), part{}, c.check(n.Exp2)
	if n.Exp1 == n.Cond {
		return c.fail(cond.col, "nothing stands between ? and :", "write c ? a : b")
	}
	a = c.check(n.Exp1)
	switch {
	case cond.class == badClass || a.class == badClass || b.class == badClass:
		return part{}
	case cond.class != conditionClass:
		return c.fail(cond.col, "? needs a condition before it", "compare the number with something, as in x > 1 ? a : b")
	case a.class != b.class:
		return c.fail(b.col, "the two sides of : are not of one kind", "both are numbers, or both are conditions")
	case a.class == textClass:
		return c.fail(a.col, "a conditional comes to no text", "compare on each side: c ? x == \"a\" : x == \"b\"")
	}
	out := part{node: &node{op: opConditional, a: cond.node, b: a.node, c: b.node}, class: a.class, col: cond.col}
	if a.class == conditionClass {
		return out
	}
	out.dim, out.bare = a.dim, a.bare && b.bare
	if a.dim.any || a.bare {
		out.dim = b.dim
	}
	return c.comparable(":", opConditional, b.col, a, b, out)
}

// unaryOf is an operator or function of one number. Whatever has no finite value is unknown.
func unaryOf(op op, a float64) float64 {
	switch op {
	case opNegate:
		return -a
	case opNot:
		return 1 - a // NaN stays NaN
	case opAbs:
		return math.Abs(a)
	case opFloor:
		return math.Floor(a)
	case opSqrt:
		return math.Sqrt(a)
	case opExp:
		return finite(math.Exp(a))
	}
	return finite(math.Log(a))
}

// binaryOf is an operator or function of two numbers, or of two conditions of which the first does not decide.
func binaryOf(op op, a, b float64) float64 {
	switch op {
	case opAnd: // a is true or unknown
		if b == 0 {
			return 0
		}
		return a * b
	case opOr: // a is false or unknown
		if b == 1 {
			return 1
		}
		return a + b
	case opMin, opMax, opAdd, opSub, opMul, opDiv:
		return arithmetic(op, a, b)
	}
	return compare(op, a, b)
}
