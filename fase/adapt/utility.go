package adapt

import (
	"math"

	"github.com/eve-emulation/eve/dmm/expr"
)

// Utility asks for the value at which a formula is greatest: a model of what the system is worth with so many replicas, so much
// of a limit, less what they cost (Walsh, Tesauro, Kephart and Das, "Utility Functions in Autonomic Systems", ICAC 2004). The
// formula reads x, the value that it is asked about, and the metrics by their names. Whole values are tried one by one, others
// at 256 points from the least to the most. What stands is kept where nothing is better by more than Gain, relative to it; of
// equals the least value counts. Where the formula is unknown throughout, nothing changes.
type Utility struct {
	Formula *expr.Formula // over UtilityInputs
	Gain    float64       // 0: 0.01; below 0: none
}

// UtilityInputs are what a Utility's formula may read: x, and metrics by their names, in their order.
func UtilityInputs(metrics []Metric) []expr.Input {
	inputs := []expr.Input{{Name: "x", Unit: "1"}}
	for i := range metrics {
		inputs = append(inputs, expr.Input{Name: metrics[i].Name})
	}
	return inputs
}

const (
	utilityGain   = 0.01
	utilityPoints = 256
	utilityWhole  = 4096 // whole values that are tried at most
)

// New returns the controller.
func (c Utility) New() Controller {
	switch {
	case c.Gain == 0:
		c.Gain = utilityGain
	case c.Gain < 0:
		c.Gain = 0
	}
	return &utility{Utility: c}
}

type utility struct {
	Utility
	values []expr.Scalar
}

// Step implements Controller.
func (c *utility) Step(r *Reading) Answer {
	c.values = append(c.values[:0], expr.Scalar{})
	for i := range r.Metrics {
		c.values = append(c.values, expr.Scalar{Num: r.Metrics[i].Value})
	}
	least, most := r.Bounds.Least, r.Bounds.Most
	if !(most > least) || !isFinite(least) || !isFinite(most) {
		return None()
	}
	step := (most - least) / (utilityPoints - 1)
	if r.Bounds.Whole {
		step = max(1, math.Ceil((most-least)/utilityWhole))
	}
	best, at := math.Inf(-1), math.NaN()
	for k := 0; least+float64(k)*step <= most+step/2; k++ {
		x := r.Bounds.Clamp(least + float64(k)*step)
		if u := c.worth(x); u > best {
			best, at = u, x
		}
	}
	if math.IsNaN(at) {
		return None()
	}
	if isFinite(r.Value) && r.Value >= least && r.Value <= most {
		if now := c.worth(r.Value); isFinite(now) && best-now <= c.Gain*math.Abs(now) {
			return Answer{Value: r.Value}
		}
	}
	return Answer{Value: at}
}

// worth is what the formula comes to at a value; NaN where that is unknown.
func (c *utility) worth(x float64) float64 {
	c.values[0] = expr.Scalar{Num: x}
	return c.Formula.Eval(c.values)
}
