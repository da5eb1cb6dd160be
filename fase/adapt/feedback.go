package adapt

import (
	"math"
	"time"
)

// PI is a proportional-integral controller in its incremental form (Åström and Hägglund, "PID Controllers: Theory, Design, and
// Tuning", 1995, section 3.5; for computing systems Hellerstein, Diao, Parekh and Tilbury, "Feedback Control of Computing
// Systems", 2004, chapter 9):
//
//	u(k) = u(k-1) + Kp × (e(k) - e(k-1)) + Ki × dt × e(k),  e = (metric - target) / target
//
// kept within the bounds at each step, so that the integral cannot wind up beyond what the actuator has. Gains above 0 raise
// the value where the metric is above its target, as it is right for replicas; for a rate or a limit they are below 0. Of a
// value that somebody else sets it goes on from there. It sees one metric; while that is unknown, nothing changes.
type PI struct {
	Kp float64 // of the value, per relative error
	Ki float64 // of the value, per relative error and second
	// Dead is a relative error that is taken for 0, so that a whole actuator does not hunt.
	Dead   float64
	Period time.Duration
}

// New returns the controller.
func (c PI) New() Controller { return &pi{PI: c, last: math.NaN(), asked: math.NaN()} }

type pi struct {
	PI
	value float64 // before it is rounded
	asked float64 // as it went out; NaN: nothing yet
	last  float64 // error; NaN: none yet
}

// Step implements Controller.
func (c *pi) Step(r *Reading) Answer {
	if len(r.Metrics) == 0 {
		return None()
	}
	e := relative(r.Metrics[0].Value, r.Metrics[0].Target)
	if math.IsNaN(e) {
		return None()
	}
	if math.Abs(e) <= c.Dead {
		e = 0
	}
	switch {
	case isFinite(r.Value) && (math.IsNaN(c.asked) || math.Abs(r.Value-c.asked) > 1e-9*max(1, math.Abs(r.Value))):
		c.value = r.Value
	case math.IsNaN(c.asked):
		return None() // nothing to begin from
	}
	if math.IsNaN(c.last) {
		c.last = e
	}
	u := c.value + c.Kp*(e-c.last) + c.Ki*c.Period.Seconds()*e
	if !isFinite(u) {
		return None()
	}
	c.last = e
	b := r.Bounds
	b.Whole = false
	c.value = b.Clamp(u)
	c.asked = r.Bounds.Clamp(c.value)
	return Answer{Value: c.asked}
}

// maxError bounds relative errors: beyond it a reading tells nothing more.
const maxError = 1e6

// relative is the relative difference of a value to its target; NaN where there is none.
func relative(x, target float64) float64 {
	if !isFinite(x) || !isFinite(target) || target == 0 {
		return math.NaN()
	}
	return min(max((x-target)/math.Abs(target), -maxError), maxError)
}

func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// AIMD raises a limit by a step while a metric is at or below its target, and multiplies it by a factor below 1 while it is
// above: additive increase, multiplicative decrease (Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for
// Congestion Avoidance in Computer Networks", 1989). The defaults are those of AIMDLimit in Netflix' concurrency-limits, and
// so is this: where a second metric tells what is in flight, the limit does not rise while less than half of it is used.
type AIMD struct {
	Increase float64 // 0: 1
	Decrease float64 // 0: 0.9
}

// New returns the controller.
func (c AIMD) New() Controller {
	if c.Increase == 0 {
		c.Increase = 1
	}
	if c.Decrease == 0 {
		c.Decrease = 0.9
	}
	return &aimd{c}
}

type aimd struct{ AIMD }

// Step implements Controller.
func (c *aimd) Step(r *Reading) Answer {
	if len(r.Metrics) == 0 || !isFinite(r.Value) || !isFinite(r.Metrics[0].Value) || !isFinite(r.Metrics[0].Target) {
		return None()
	}
	if r.Metrics[0].Value > r.Metrics[0].Target {
		x := r.Value * c.Decrease
		if r.Bounds.Whole {
			x = math.Floor(x)
		}
		return within1(r, x)
	}
	if spare(r, 1, r.Value) {
		return None()
	}
	return within1(r, r.Value+c.Increase)
}

// spare reports whether the metric of an index tells that less than half of a limit is in flight.
func spare(r *Reading, metric int, limit float64) bool {
	return metric < len(r.Metrics) && r.Metrics[metric].Value < limit/2
}

// within1 is an answer within the bounds of a reading; none for what is not finite.
func within1(r *Reading, x float64) Answer {
	if !isFinite(x) {
		return None()
	}
	return Answer{Value: r.Bounds.Clamp(x)}
}

// Follower asks for whatever its metric comes to: the controller `expr`, whose formula is the scenario's.
type Follower struct{}

// New returns the controller.
func (Follower) New() Controller { return follower{} }

type follower struct{}

// Step implements Controller.
func (follower) Step(r *Reading) Answer {
	if len(r.Metrics) == 0 {
		return None()
	}
	return within1(r, r.Metrics[0].Value)
}
