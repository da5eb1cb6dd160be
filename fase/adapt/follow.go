package adapt

import (
	"math"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
)

// A Follow keeps a variable at what an expression comes to: it is evaluated every Period, after the rules, on what they see,
// and written when it has changed. While it is unknown, the variable stays as it was.
type Follow struct {
	Var  dsv.Name
	Expr *expr.Program // a number
	Init float64       // the value at the start, which somebody else has written
	Bounds
}

// Bounds confine a value that an expression comes to. The zero value does not.
type Bounds struct {
	Least, Most float64 // where Most is above Least
	Whole       bool    // rounded to a whole number
}

// Clamp returns the value within the bounds that is next to x.
func (b Bounds) Clamp(x float64) float64 {
	if b.Most > b.Least {
		x = min(max(x, b.Least), b.Most)
	}
	if b.Whole {
		x = math.Round(x)
	}
	return x
}

// Active reports whether there is anything to adapt.
func (c *Config) Active() bool { return len(c.Rules)+len(c.Follows)+len(c.Controls) > 0 }

// follow brings the variables that follow expressions up to date.
func (l *Loop) follow(at dsv.Instant, view view) {
	for i := range l.cfg.Follows {
		f := &l.cfg.Follows[i]
		x, ok := number(f.Expr, view, f.Bounds)
		if !ok || x == l.follows[i] {
			continue
		}
		l.follows[i] = x
		l.set(at, f.Var, dsv.FloatValue(x))
	}
}

// number evaluates an expression within bounds; false while it is unknown.
func number(p *expr.Program, view expr.Reader, b Bounds) (float64, bool) {
	v, err := p.Eval(view)
	if err != nil || !v.Known() || v.IsCondition || math.IsInf(v.Number, 0) {
		return 0, false
	}
	return b.Clamp(v.Number), true
}
