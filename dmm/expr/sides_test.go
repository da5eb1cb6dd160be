package expr_test

import (
	"math"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dmm/expr"
)

// What the sides of each comparison say, together, is what the condition says.
func TestSidesDecide(t *testing.T) {
	for _, text := range []string{
		"crowd.requests > 10", "crowd.requests <= 10 and crowd.requests != 3", "not (crowd.requests < 10 or crowd.requests >= 600)",
		"crowd.requests > 100 and mean(crowd.latency) > 1s", "crowd.requests > 1 or mean(crowd.latency) > 1s",
		"(crowd.requests > 1 ? crowd.requests < 2 : crowd.requests == 0)", "crowd.requests + (crowd.requests > 3 ? 1 : 2) > 50",
		"run.state == \"running\"", "run.state != \"over\" and crowd.requests > 0",
	} {
		p := compile(t, text)
		want, err := p.Eval(sample())
		if err != nil {
			t.Fatal(err)
		}
		sides, err := p.Sides(sample())
		if err != nil {
			t.Fatal(err)
		}
		var truths []float64
		for _, s := range sides {
			truths = append(truths, holds(s))
		}
		got := p.Decide(truths)
		if got.Known() != want.Known() || got.True() != want.True() {
			t.Errorf("%s: sides %v decide %v, want %v", text, sides, got, want)
		}
		if short := p.Decide(nil); short.Known() {
			t.Errorf("%s: nothing decided: got %v, want unknown", text, short)
		}
	}
}

func TestSidesOfOneComparison(t *testing.T) {
	p := compile(t, "crowd.requests / 10 < 60 and crowd.requests >= 5")
	got, err := p.Sides(sample())
	want := []expr.Sides{{Op: "<", Left: 30, Right: 60}, {Op: ">=", Left: 300, Right: 5}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	p = compile(t, "crowd.requests / 10")
	if got, err := p.Sides(sample()); got != nil || err != nil || p.Decide(nil).Known() {
		t.Errorf("of a number: got %v, %v, want none, and nothing decided", got, err)
	}
}

func holds(s expr.Sides) float64 {
	if math.IsNaN(s.Left) || math.IsNaN(s.Right) {
		return math.NaN()
	}
	is := map[string]bool{
		"<": s.Left < s.Right, "<=": s.Left <= s.Right, ">": s.Left > s.Right, ">=": s.Left >= s.Right, "==": s.Left == s.Right, "!=": s.Left != s.Right,
	}
	if is[s.Op] {
		return 1
	}
	return 0
}
