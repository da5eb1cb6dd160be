package campaign

import (
	"fmt"
	"math"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/fase/stat"
)

// decide judges a condition of which each replication has its sides: every comparison by the interval of the mean of its
// left side less its right, and then the whole. It passes, or fails, where the intervals leave no other answer.
func decide(p *expr.Program, sides [][]expr.Sides, confidence float64) (stat.Verdict, []Comparison, string) {
	if len(sides) == 0 {
		return stat.Inconclusive, nil, "there is no replication"
	}
	var truths []float64
	var out []Comparison
	reason := ""
	for k := range sides[0] {
		c, truth := compare(sides, k, confidence)
		if truths = append(truths, truth); math.IsNaN(truth) && reason == "" {
			if reason = "the interval holds both answers"; c.Left.N < len(sides) {
				reason = fmt.Sprintf("there are data in %d of %d replications", c.Left.N, len(sides))
			}
		}
		out = append(out, c)
	}
	switch v := p.Decide(truths); {
	case v.True():
		return stat.Pass, out, ""
	case v.False():
		return stat.Fail, out, ""
	}
	return stat.Inconclusive, out, reason
}

// compare judges the k-th comparison: 1, 0, or NaN where it cannot be told.
func compare(sides [][]expr.Sides, k int, confidence float64) (Comparison, float64) {
	var left, right, diffs []float64
	for _, s := range sides {
		if d := s[k].Left - s[k].Right; !math.IsNaN(d) {
			left, right, diffs = append(left, s[k].Left), append(right, s[k].Right), append(diffs, d)
		}
	}
	c := Comparison{
		Op: sides[0][k].Op, Left: figureOf("", left, confidence), Right: figureOf("", right, confidence), Difference: figureOf("", diffs, confidence),
	}
	e, err := stat.Mean(diffs, confidence)
	if err != nil || len(diffs) < len(sides) {
		return c, nan
	}
	return c, truth(c.Op, e.Low, e.High)
}

// truth judges a comparison by the interval of its left side less its right.
func truth(op string, low, high float64) float64 {
	holds, fails := false, false
	switch op {
	case "<":
		holds, fails = high < 0, low >= 0
	case "<=":
		holds, fails = high <= 0, low > 0
	case ">":
		holds, fails = low > 0, high <= 0
	case ">=":
		holds, fails = low >= 0, high < 0
	case "==":
		holds, fails = low == 0 && high == 0, low > 0 || high < 0
	case "!=":
		holds, fails = low > 0 || high < 0, low == 0 && high == 0
	}
	switch {
	case holds:
		return 1
	case fails:
		return 0
	}
	return nan
}
