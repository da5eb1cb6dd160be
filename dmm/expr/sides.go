package expr

import "math"

// Sides are the two numbers that one comparison of a condition compares, in base units; NaN is unknown. Where texts are
// compared, Left is 1 where they are equal, 0 where they are not, and Right is 1.
type Sides struct {
	Op          string // "<", "<=", ">", ">=", "==", "!="
	Left, Right float64
}

// Sides returns those of every comparison in a condition, in the order of the text, as r tells them; none of a number. With
// [Program.Decide] a condition can be judged of which there are several readings: each comparison on all of its sides, and
// then the whole. The error is the reader's.
func (p *Program) Sides(r Reader) ([]Sides, error) {
	if !p.condition {
		return nil, nil
	}
	var out []Sides
	err := p.comparisons(p.root, func(n *node) error {
		s := Sides{Op: "==", Right: 1}
		var err error
		if n.op == opTextEqual {
			s.Left, err = p.textEqual(n, r)
		} else {
			s.Op = comparisonText(n.op)
			if s.Left, err = p.eval(n.a, r); err == nil {
				s.Right, err = p.eval(n.b, r)
			}
		}
		out = append(out, s)
		return err
	})
	return out, err
}

// Decide combines what was decided of each comparison, in the order of Sides: 1, 0, or NaN where it cannot be told. What is
// missing at the end cannot be told either.
func (p *Program) Decide(truths []float64) Value {
	if !p.condition {
		return Value{Number: math.NaN()}
	}
	return newValue(p.decide(p.root, &truths), true)
}

func (p *Program) decide(n *node, truths *[]float64) float64 {
	if isComparison(n.op) {
		if len(*truths) == 0 {
			return math.NaN()
		}
		x := (*truths)[0]
		*truths = (*truths)[1:]
		return x
	}
	a := p.decide(n.a, truths)
	if n.op == opNot {
		return unaryOf(n.op, a)
	}
	b := p.decide(n.b, truths)
	switch {
	case n.op == opConditional:
		c := p.decide(n.c, truths)
		if a == 1 {
			return b
		} else if a == 0 {
			return c
		}
		return math.NaN()
	case n.op == opAnd && a == 0, n.op == opOr && a == 1:
		return a
	}
	return binaryOf(n.op, a, b)
}

// comparisons calls fn for each comparison below a condition, in the order of the text.
func (p *Program) comparisons(n *node, fn func(*node) error) error {
	if n == nil {
		return nil
	}
	if isComparison(n.op) {
		return fn(n)
	}
	for _, below := range []*node{n.a, n.b, n.c} {
		if err := p.comparisons(below, fn); err != nil {
			return err
		}
	}
	return nil
}

func isComparison(o op) bool { return o >= opLess && o <= opTextEqual }

func comparisonText(o op) string {
	return [...]string{"<", "<=", ">", ">=", "==", "!="}[o-opLess]
}
