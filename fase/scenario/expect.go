package scenario

import (
	"slices"
	"strings"

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
	for _, s := range c.raw.slo {
		if p := c.condition(s); p != nil {
			c.plan.SLO = append(c.plan.SLO, Expect{Text: s.v, Program: p})
		}
	}
}

// Objectives are the conditions that should hold in each second: those of `slo:`, or where there is none those of `expect:`
// that say nothing but what bounds quantiles and means of response times have. There may be none.
func (p *Plan) Objectives() []Expect {
	if len(p.SLO) > 0 {
		return p.SLO
	}
	var out []Expect
	for _, e := range p.Expect {
		if terms := e.Program.Terms(); len(terms) > 0 && !slices.ContainsFunc(terms, func(t expr.Term) bool { return !bounding(t) }) {
			out = append(out, e)
		}
	}
	return out
}

// bounding says whether a term is a quantile, or the mean, of response times over the whole of what is asked.
func bounding(t expr.Term) bool {
	_, leaf, _ := strings.Cut(string(t.Name), ".")
	timed := leaf == "latency" || leaf == "residence" || leaf == "first_byte"
	return timed && t.Window == 0 && (t.Function == "mean" || strings.HasPrefix(t.Function, "p"))
}
