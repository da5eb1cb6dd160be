package campaign

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
)

// A Goal says when there are enough replications: when the interval of an expression is narrow enough, or a condition is
// decided, or both.
type Goal struct {
	Text     string
	Program  *expr.Program
	Relative float64 // half of the interval's width, as a share of the value; 0: not asked
	Absolute float64 // in the expression's base unit; 0: not asked
}

// ParseGoal reads a goal over a plan's variables: "mean(crowd.latency) ± 1%" and "rate(crowd.requests) ± 0.5/s" ask for an
// interval, "p95(crowd.latency) < 2s" for a verdict, and "p95(crowd.latency) < 2s ± 5%" for both. +- stands for ±.
func ParseGoal(plan *scenario.Plan, text string) (Goal, error) {
	left, right, precise := strings.Cut(strings.ReplaceAll(text, "+-", "±"), "±")
	p, err := plan.Expression(strings.TrimSpace(left))
	if err != nil {
		return Goal{}, err
	}
	g := Goal{Text: strings.TrimSpace(text), Program: p}
	switch {
	case !precise && !p.IsCondition():
		return g, fmt.Errorf("%q: want a precision, as '%s ± 1%%', or a condition", g.Text, g.Text)
	case !precise:
		return g, nil
	case p.IsCondition():
		if sides, err := p.Sides(silent{}); err != nil || len(sides) != 1 {
			return g, fmt.Errorf("%q: a precision is that of one comparison's left side; here are %d", g.Text, len(sides))
		}
	}
	return g, g.precision(strings.TrimSpace(right))
}

// precision reads what stands behind ±.
func (g *Goal) precision(text string) error {
	how := fmt.Errorf("%q: behind ± want a share above 0 and below 1, as 1%%, or an amount with its unit, as 2ms", g.Text)
	p, err := expr.Compile(text, func(dsv.Name) (dsv.Declaration, bool) { return dsv.Declaration{}, false })
	if err != nil || p.IsCondition() {
		return how
	}
	v, err := p.Eval(silent{})
	x := v.Number
	switch {
	case err != nil || !v.Known() || x <= 0:
		return how
	case strings.HasSuffix(text, "%"):
		if g.Relative = x; x >= 1 {
			return how
		}
	case !g.Program.IsCondition() && g.Program.Unit() != "" && p.Unit() != g.Program.Unit() && p.Unit() != "":
		return fmt.Errorf("%q: %s is in %s, and %s in %s", g.Text, g.Program.Source(), g.Program.Unit(), text, p.Unit())
	default:
		g.Absolute = x
	}
	return nil
}

// silent knows no variable.
type silent struct{}

func (silent) Total(dsv.Name, time.Duration) (dmm.Total, error) { return dmm.Total{}, dsv.ErrUnset }
func (silent) Text(dsv.Name) (string, error)                    { return "", dsv.ErrUnset }

// value is the expression's in one replication; of a condition its left side. NaN is unknown.
func (g *Goal) value(r *Result) (x float64, sides []expr.Sides, err error) {
	reader := r.reader()
	if !g.Program.IsCondition() {
		v, err := g.Program.Eval(reader)
		return v.Number, nil, err
	}
	sides, err = g.Program.Sides(reader)
	if err != nil || len(sides) == 0 {
		return nan, nil, err
	}
	return sides[0].Left, sides, nil
}

// leastLook is how many replications the first look takes at least: with fewer the interval of a sequential procedure errs
// too often (Law, Simulation Modeling and Analysis, section 9.4.1, takes ten).
const leastLook = 10

// precise says whether an interval is narrow enough. That of a relative goal is γ/(1+γ) of the estimate, so that it is γ of
// the true value (Law, section 9.4.1).
func (g *Goal) precise(e stat.Estimate) bool { return e.Half() <= g.width(e) }

// width is the half width that is asked for.
func (g *Goal) width(e stat.Estimate) float64 {
	if g.Absolute > 0 {
		return g.Absolute
	}
	return g.Relative / (1 + g.Relative) * math.Abs(e.Value)
}

// asks says whether a goal is on an interval.
func (g *Goal) asks() bool { return g.Relative > 0 || g.Absolute > 0 }

// next is how many replications to look at when n were not enough: as many as it takes if the deviation stays what it is,
// but at most twice as many, in fours. It does not depend on how many run at once.
func (g *Goal) next(n int, e stat.Estimate) int {
	more := 1.5
	if w := g.width(e); g.asks() && w > 0 && !math.IsNaN(e.Half()) {
		more = min(max(e.Half()/w*e.Half()/w, 1), 2)
	}
	return (int(math.Ceil(float64(n)*more)) + 4) / 4 * 4
}
