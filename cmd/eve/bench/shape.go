package bench

import "math"

// A Verdict says what became of a shape.
type Verdict string

// The verdicts.
const (
	Holds        Verdict = "holds"
	HoldsNot     Verdict = "does not hold"
	Inconclusive Verdict = "inconclusive"
)

// A Shape is a claim about the figures, with the rule by which it was judged.
type Shape struct {
	Card    string  `json:"card"` // of which experiment: E1
	Name    string  `json:"name"`
	Rule    string  `json:"rule"` // "at most 1.35", "none of 100 000 may"
	Found   Figure  `json:"found"`
	Verdict Verdict `json:"verdict"`
	Hard    bool    `json:"hard,omitempty"` // a bound that holds on any machine at any speed
	Goal    bool    `json:"goal,omitempty"` // a goal of Eve's own, not a shape of the published experiment
}

// AtMost claims that f is at most the bound: it holds when the whole interval is, and does not when none of it is.
func AtMost(card, name string, f Figure, bound float64) Shape {
	return judge(card, name, "at most "+f.Unit.text(bound), f, math.Inf(-1), bound)
}

// AtLeast claims that f is at least the bound.
func AtLeast(card, name string, f Figure, bound float64) Shape {
	return judge(card, name, "at least "+f.Unit.text(bound), f, bound, math.Inf(1))
}

// Within claims that f lies between two bounds.
func Within(card, name string, f Figure, low, high float64) Shape {
	return judge(card, name, f.Unit.text(low)+" to "+f.Unit.text(high), f, low, high)
}

func judge(card, name, rule string, f Figure, low, high float64) Shape {
	s := Shape{Card: card, Name: name, Rule: rule, Found: f, Verdict: Inconclusive}
	switch l, h := float64(f.Low), float64(f.High); {
	case !f.measured():
	case l >= low && h <= high:
		s.Verdict = Holds
	case l > high || h < low:
		s.Verdict = HoldsNot
	}
	return s
}

// Always claims that all of n observations kept a bound. It is inconclusive when nothing was observed.
func Always(card, name string, broken, n int) Shape {
	s := Shape{
		Card: card, Name: name, Rule: "none of " + One.text(float64(n)), Verdict: Holds, Hard: true,
		Found: NewFigure(Broken, float64(broken)),
	}
	switch {
	case broken > 0:
		s.Verdict = HoldsNot
	case n == 0:
		s.Verdict = Inconclusive
	}
	return s
}

// goal marks a shape as a goal of Eve's own.
func goal(s Shape) Shape {
	s.Goal = true
	return s
}
