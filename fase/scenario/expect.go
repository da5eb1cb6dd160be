package scenario

import (
	"github.com/eve-emulation/eve/dmm/expr"
)

// condition compiles an expression that is true or false; nil when it is not, and that was told.
func (c *compiler) condition(s spot[string]) *expr.Program {
	if !s.written() {
		return nil
	}
	p, err := expr.Compile(s.v, c.lookup, c.known...)
	if err != nil {
		c.expression(s.at, err)
		return nil
	}
	if !p.IsCondition() {
		c.at(s.at, "this is a number, not a condition", "compare it, as in p95(app.latency) < 200ms")
		return nil
	}
	return p
}

func (c *compiler) expectations() {
	for _, s := range c.raw.expect {
		if p := c.condition(s); p != nil {
			c.plan.Expect = append(c.plan.Expect, Expect{Text: s.v, Program: p})
		}
	}
}
