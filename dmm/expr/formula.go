package expr

import (
	"math"
	"strings"

	"github.com/eve-emulation/eve/dsv"
)

// An Input is one name that a formula may read.
type Input struct {
	// Name is as it is written in the text, dotted or not. A Name that ends in ".*", such as "sink.*", stands for every
	// name that begins so.
	Name string
	// Kind is dsv.Float or dsv.Int for a number, dsv.Text for a text. 0 leaves it to the text: what is compared with a text
	// is one, everything else is a number.
	Kind dsv.Kind
	Unit string // of a number, as declarations have it; unknown units fit everything
	// Condition says that the number is the truth of a condition, 1 or 0, and stands where a condition does.
	Condition bool
}

// A Scalar is the value of one input: Num of a number, Text of a text. What is not known is Unknown().
type Scalar struct {
	Num  float64 // NaN: not known
	Text string
	text bool // a text is known although Num is not
}

// Unknown is the Scalar of an input without a value.
func Unknown() Scalar { return Scalar{Num: math.NaN()} }

// ScalarOf returns the Scalar of a variable's value: Unknown for bytes, histograms and no value. That of a text is unknown
// where a number is asked for.
func ScalarOf(v dsv.Value) Scalar {
	if v.Kind == dsv.Text {
		return Scalar{Num: math.NaN(), Text: v.Text, text: true}
	}
	if x, ok := v.Number(); ok {
		return Scalar{Num: x}
	}
	return Unknown()
}

// A Formula is a compiled expression over inputs. It is immutable and may be used from any goroutine; evaluating it does
// not allocate.
type Formula struct {
	source    string
	root      *node
	inputs    []Input
	used      []bool
	condition bool
	unit      string
}

// CompileFormula checks and compiles an expression over inputs. The error is an Errors.
func CompileFormula(src string, inputs []Input) (*Formula, error) {
	c := compiler{source: src, formula: true}
	for _, in := range inputs {
		if prefix, ok := strings.CutSuffix(in.Name, "*"); ok {
			c.prefixes = append(c.prefixes, Input{Name: prefix, Kind: in.Kind, Unit: in.Unit})
			continue
		}
		c.inputs = append(c.inputs, in)
		c.known = append(c.known, dsv.Name(in.Name))
	}
	c.used = make([]bool, len(c.inputs))
	root := c.compile()
	if len(c.errs) > 0 {
		return nil, c.sorted()
	}
	return &Formula{
		source: src, root: root.node, inputs: c.inputs, used: c.used, condition: root.class == conditionClass, unit: root.dim.unit(),
	}, nil
}

// Source returns the text that was compiled.
func (f *Formula) Source() string { return f.source }

// IsCondition reports whether the formula comes to true or false and not to a number.
func (f *Formula) IsCondition() bool { return f.condition }

// Unit returns the base unit of a number: "s", "B", "1/s", "1"; empty for a condition, or where the units of the inputs do
// not tell.
func (f *Formula) Unit() string {
	if f.condition {
		return ""
	}
	return f.unit
}

// Inputs returns what Eval and Holds take values of, in their order: the inputs that CompileFormula was given, without
// those that end in ".*", and then the names in the text that such an input stood for. The slice is the Formula's own.
func (f *Formula) Inputs() []Input { return f.inputs }

// Uses reports whether the formula reads the input of that index in Inputs; the values of others are not looked at.
func (f *Formula) Uses(i int) bool { return f.used[i] }

// Eval returns what the formula comes to: a number in base units, 1 or 0 for a condition, NaN where it is unknown. values
// are those of Inputs, in their order; values that are missing at the end are unknown.
func (f *Formula) Eval(values []Scalar) float64 { return finite(f.root.eval(values)) }

// Holds reports whether the formula is a condition that holds. An unknown condition does not.
func (f *Formula) Holds(values []Scalar) bool { return f.condition && f.root.eval(values) == 1 }

// input is the operand of a formula that t names.
func (c *compiler) input(t token) part {
	i, ok := c.inputIndex(t.text)
	if !ok {
		c.unknownInput(t)
		return part{}
	}
	c.used[i] = true
	in := c.inputs[i]
	if in.Kind == dsv.Text {
		return part{node: &node{op: opTextInput, term: i}, class: textClass, col: t.col}
	}
	if in.Kind != 0 && in.Kind != dsv.Float && in.Kind != dsv.Int {
		return c.fail(t.col, t.text+" is neither a number nor a text", "formulas read numbers and texts")
	}
	if in.Condition {
		return part{node: &node{op: opInput, term: i}, class: conditionClass, col: t.col}
	}
	d := dimOf(in.Unit)
	return part{node: &node{op: opInput, term: i}, class: numberClass, dim: d, col: t.col, open: in.Kind == 0}
}

func (c *compiler) inputIndex(name string) (int, bool) {
	for i := range c.inputs {
		if c.inputs[i].Name == name {
			return i, true
		}
	}
	for _, p := range c.prefixes {
		if strings.HasPrefix(name, p.Name) {
			c.inputs = append(c.inputs, Input{Name: name, Kind: p.Kind, Unit: p.Unit})
			c.used = append(c.used, false)
			return len(c.inputs) - 1, true
		}
	}
	return 0, false
}

func (c *compiler) unknownInput(t token) {
	fix := "there are no inputs"
	if s := c.suggest(t.text); s != "" {
		fix = "did you mean " + s + "?"
	} else if isMath(t.text) {
		fix = t.text + " is a function: " + t.text + "(x)"
	} else if len(c.known)+len(c.prefixes) > 0 {
		var names []string
		for _, n := range c.known {
			names = append(names, string(n))
		}
		for _, p := range c.prefixes {
			names = append(names, p.Name+"*")
		}
		fix = "the inputs are " + strings.Join(names, " ")
	}
	c.fail(t.col, "no such input "+t.text, fix)
}

// eval evaluates a node of a formula: a number, or a condition as 1, 0 or NaN.
func (n *node) eval(values []Scalar) float64 {
	switch n.op {
	case opNumber:
		return n.number
	case opInput:
		if n.term < len(values) {
			return values[n.term].Num
		}
		return math.NaN()
	case opTextEqual:
		a, aok := n.a.evalText(values)
		b, bok := n.b.evalText(values)
		if !aok || !bok {
			return math.NaN()
		}
		return truth(a == b)
	case opConditional:
		switch n.a.eval(values) {
		case 1:
			return n.b.eval(values)
		case 0:
			return n.c.eval(values)
		}
		return math.NaN()
	}
	a := n.a.value(values)
	if n.op == opAnd && a == 0 || n.op == opOr && a == 1 {
		return a
	}
	if n.b == nil {
		return unaryOf(n.op, a)
	}
	return binaryOf(n.op, a, n.b.value(values))
}

// value is eval, without a call for the commonest nodes.
func (n *node) value(values []Scalar) float64 {
	if n.op == opNumber {
		return n.number
	}
	if n.op == opInput && n.term < len(values) {
		return values[n.term].Num
	}
	return n.eval(values)
}

func (n *node) evalText(values []Scalar) (string, bool) {
	if n.op == opText {
		return n.text, true
	}
	if n.term >= len(values) {
		return "", false
	}
	v := &values[n.term]
	return v.Text, v.text || !math.IsNaN(v.Num)
}
