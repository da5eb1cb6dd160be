package adapt

import (
	"math"

	"github.com/eve-emulation/eve/fase/admit"
)

// Throttle is adaptive throttling by success: its value is the share of requests to reject, from what was asked (the first
// metric, a rate or a count over a window) and what was accepted or succeeded (the second). As clients do it at Google (Beyer,
// Jones, Petoff and Murphy, "Site Reliability Engineering", 2016, chapter 21, "Handling Overload"):
//
//	P = max(0, (requests - K × accepts) / (requests + 1))
//
// and with an Aggression as Envoy's admission control filter does: P = ((requests - accepts / Threshold) / (requests + 1)) ^
// (1 / Aggression), which is the same with K = 1 / Threshold and an Aggression of 1. Metrics that are rates are taken over
// Window seconds, so that the 1 of the denominator is one request.
type Throttle struct {
	K          float64 // 0: 2
	Aggression float64 // 0: 1
	Window     float64 // seconds that rates are taken over; 0: 1
}

// New returns the controller.
func (c Throttle) New() Controller {
	defaults(&c.K, 2)
	defaults(&c.Aggression, 1)
	defaults(&c.Window, 1)
	return throttle{c}
}

type throttle struct{ Throttle }

// Step implements Controller.
func (c throttle) Step(r *Reading) Answer {
	if len(r.Metrics) < 2 {
		return None()
	}
	requests, accepts := r.Metrics[0].Value*c.Window, r.Metrics[1].Value*c.Window
	if !(requests >= 0) || !(accepts >= 0) || !isFinite(requests) || !isFinite(accepts) {
		return None()
	}
	p := max(0, requests-c.K*accepts) / (requests + 1)
	return within1(r, math.Pow(p, 1/c.Aggression))
}

// Overload is SEDA's overload control of one stage with the whole service for the stage, which is the rule of
// [admit.Rate]: the metric, the 90th percentile of the response times of the last period, is smoothed with a weight of 0.7 for
// the past; above the target it divides the rate by 1.2, below half of it it raises the rate by 2 × (-err - 0.1) (Welsh and
// Culler, "Adaptive Overload Control for Busy Internet Servers", USITS 2003), or by the constants of the released code. Where
// admission stands at a server, `admit: {control: …}` does the same with each response rather than once a period.
type Overload struct {
	Preset admit.Preset
}

// New returns the controller.
func (c Overload) New() Controller { return &overload{preset: c.Preset} }

type overload struct {
	preset admit.Preset
	rule   *admit.RateRule
	asked  float64
}

// Step implements Controller.
func (c *overload) Step(r *Reading) Answer {
	if len(r.Metrics) == 0 {
		return None()
	}
	s := &r.Metrics[0]
	if !(s.Value >= 0) || s.Value > 1e9 || !(s.Target > 0) || !isFinite(s.Target) {
		return None()
	}
	if c.rule == nil || r.Value > 0 && isFinite(r.Value) && r.Value != c.asked {
		rule := admit.NewRateRule(s.Target, c.preset)
		if c.rule != nil {
			rule.Smoothed = c.rule.Smoothed
		}
		c.rule = rule
		if r.Value > 0 && isFinite(r.Value) {
			c.rule.Set(r.Value)
		}
	}
	c.rule.Judge(s.Value)
	c.rule.Set(unrounded(r, c.rule.Rate())) // else it would go on beyond the bounds, and take as long to come back
	a := within1(r, c.rule.Rate())
	c.asked = a.Value
	return a
}
