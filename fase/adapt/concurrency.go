package adapt

import "math"

// Gradient2 moves a concurrency limit by the ratio of a long to a short mean of the response times, as Gradient2Limit of
// Netflix' concurrency-limits does (Eran Landau, "Performance Under Load", 2018, and its source). Each step:
//
//	gradient = clamp(Tolerance × long / short, 0.5, 1)
//	limit = (1 - Smoothing) × limit + Smoothing × (gradient × limit + Queue)
//
// where short is the metric, and long its exponential mean over Window steps, of which the first ten are averaged plainly. Where
// long is more than twice short, it decays by a tenth from the next step on. The limit stays as it is while the second metric,
// what is in flight, is below its half. Its fraction is kept, and what is asked for is the whole part.
type Gradient2 struct {
	Tolerance float64 // 0: 1.5, as in its later releases
	Smoothing float64 // 0: 0.2
	Queue     float64 // 0: 4
	Window    float64 // steps; 0: 600
}

// New returns the controller.
func (c Gradient2) New() Controller {
	defaults(&c.Tolerance, 1.5)
	defaults(&c.Smoothing, 0.2)
	defaults(&c.Queue, 4)
	defaults(&c.Window, 600)
	return &gradient2{Gradient2: c, limit: math.NaN()}
}

func defaults(x *float64, value float64) {
	if *x == 0 {
		*x = value
	}
}

// gradientWarm is how many samples of the long mean are averaged plainly.
const gradientWarm = 10

type gradient2 struct {
	Gradient2
	limit float64 // before it is rounded; NaN: none yet
	long  float64
	sum   float64 // of the samples that are averaged plainly
	n     float64
}

// Step implements Controller.
func (c *gradient2) Step(r *Reading) Answer {
	short, ok := latency(r)
	if !ok {
		return None()
	}
	c.limit = resume(r, c.limit)
	if math.IsNaN(c.limit) {
		return None()
	}
	if c.n < gradientWarm {
		c.n++
		c.sum += short
		c.long = c.sum / c.n
	} else {
		c.long += 2 / (c.Window + 1) * (short - c.long)
	}
	long := c.long
	if long > 2*short {
		c.long *= 0.9
	}
	if spare(r, 1, c.limit) {
		return None()
	}
	g := max(0.5, min(1, c.Tolerance*long/short))
	c.limit = unrounded(r, (1-c.Smoothing)*c.limit+c.Smoothing*(g*c.limit+c.Queue))
	return within1(r, truncated(r, c.limit))
}

// truncated is a limit of requests as it goes out: its whole part, as the sources have it.
func truncated(r *Reading, x float64) float64 {
	if r.Bounds.Whole {
		return math.Floor(x)
	}
	return x
}

// latency is the first metric, where it is a response time.
func latency(r *Reading) (float64, bool) {
	if len(r.Metrics) == 0 {
		return 0, false
	}
	x := r.Metrics[0].Value
	return x, x > 1e-9 && x < 1e9 // a nanosecond, 30 years
}

// resume is the limit to go on from: one's own, unless somebody else has set another.
func resume(r *Reading, own float64) float64 {
	if isFinite(r.Value) && (math.IsNaN(own) || math.Abs(r.Bounds.Clamp(truncated(r, own))-r.Value) > 1e-9*max(1, math.Abs(r.Value))) {
		return max(r.Value, 1)
	}
	return own
}

// unrounded keeps a limit within the bounds, with its fraction.
func unrounded(r *Reading, x float64) float64 {
	b := r.Bounds
	b.Whole = false
	return b.Clamp(x)
}

// Vegas moves a concurrency limit by the queue that it estimates, as VegasLimit of Netflix' concurrency-limits does, after
// TCP Vegas (Brakmo, O'Malley and Peterson, 1994). With the least response time seen as the one without load,
//
//	queue = ceil(limit × (1 - least / metric))
//
// a queue up to log10(limit) raises the limit by 6 log10(limit), one below 3 log10(limit) raises it by log10(limit), one above
// 6 log10(limit) lowers it by that; log10 is at least 1 and whole. It stays while less than half of it is in flight (the second
// metric), and falls where the third, errors, is above 0. Every Probe steps the next sample is the least, so that it is found
// anew; Netflix draws when, here it is every Probe steps.
type Vegas struct {
	Probe float64 // steps; 0: 600
}

// New returns the controller.
func (c Vegas) New() Controller {
	defaults(&c.Probe, 600)
	return &vegas{Vegas: c, limit: math.NaN()}
}

type vegas struct {
	Vegas
	limit, least float64
	n            float64
}

// Step implements Controller.
func (c *vegas) Step(r *Reading) Answer {
	rtt, ok := latency(r)
	if !ok {
		return None()
	}
	c.limit = resume(r, c.limit)
	if math.IsNaN(c.limit) {
		return None()
	}
	if c.n++; c.n >= c.Probe {
		c.n, c.least = 0, rtt
		return None()
	}
	if c.least == 0 || rtt < c.least {
		c.least = rtt
		return None()
	}
	unit := max(1, math.Floor(math.Log10(c.limit)))
	queue := math.Ceil(c.limit * (1 - c.least/rtt))
	errors := len(r.Metrics) > 2 && r.Metrics[2].Value > 0
	switch {
	case errors || queue > 6*unit && !spare(r, 1, c.limit):
		c.limit -= unit
	case spare(r, 1, c.limit):
		return None()
	case queue <= unit:
		c.limit += 6 * unit
	case queue < 3*unit:
		c.limit += unit
	default:
		return None()
	}
	c.limit = unrounded(r, max(1, c.limit))
	return within1(r, truncated(r, c.limit))
}

// Adaptive is Envoy's adaptive concurrency (its gradient controller, envoy.filters.http.adaptive_concurrency):
//
//	gradient = clamp((1 + Buffer) × least / metric, 0.5, 2)
//	limit = gradient × limit + sqrt(gradient × limit), its whole part where it has to be whole
//
// The least response time is measured anew every Every steps: for Probe steps the limit is held at Pinned, and the mean of what
// the metric then tells is the least. That dip is a part of the method, and to be seen. Where the limit was as low as Pinned for
// five steps on end after it had come there, it is measured at once. Envoy spreads the measurements by a jitter of 15 %; here they
// are regular. It begins with a measurement, and then with the limit that stood, where Envoy begins with Pinned. What Envoy
// measures is a percentile of 50 responses or more; here it is what the metric tells in Probe steps.
type Adaptive struct {
	Buffer float64 // 0: 0.25
	Pinned float64 // 0: 3
	Every  float64 // steps; 0: 600
	Probe  float64 // steps; 0: 5
}

// New returns the controller.
func (c Adaptive) New() Controller {
	defaults(&c.Buffer, 0.25)
	defaults(&c.Pinned, 3)
	defaults(&c.Every, 600)
	defaults(&c.Probe, 5)
	return &adaptive{Adaptive: c, limit: math.NaN(), left: c.Probe + 1}
}

type adaptive struct {
	Adaptive
	limit  float64 // before it is rounded, and while it is pinned
	least  float64
	n      float64 // steps since the last measurement
	left   float64 // steps of the one in progress; 0: none
	sum, k float64
	low    int // steps on end that left it at Pinned
}

const adaptiveLow = 5

// Step implements Controller.
func (c *adaptive) Step(r *Reading) Answer {
	rtt, ok := latency(r)
	if math.IsNaN(c.limit) {
		if c.limit = resume(r, c.limit); math.IsNaN(c.limit) {
			return None()
		}
	}
	if c.left > 0 {
		return c.measure(r, rtt, ok)
	}
	if c.n++; c.n >= c.Every {
		return c.probe(r)
	}
	if !ok {
		return None()
	}
	g := max(0.5, min(2, (1+c.Buffer)*c.least/rtt))
	before := c.limit
	c.limit = unrounded(r, max(c.Pinned, truncated(r, g*c.limit+math.Sqrt(g*c.limit))))
	if c.limit > c.Pinned || before > c.Pinned {
		c.low = 0
	} else if c.low++; c.low >= adaptiveLow {
		return c.probe(r)
	}
	return within1(r, c.limit)
}

// probe begins to measure the least response time. The reading of the step after it is still of what was before.
func (c *adaptive) probe(r *Reading) Answer {
	c.left, c.sum, c.k, c.n, c.low = c.Probe+1, 0, 0, 0, 0
	return within1(r, c.Pinned)
}

// measure takes a sample of a measurement. One that has none goes on.
func (c *adaptive) measure(r *Reading, rtt float64, ok bool) Answer {
	if ok && c.left <= c.Probe {
		c.sum += rtt
		c.k++
	}
	if c.left > 1 || c.k > 0 {
		c.left--
	}
	if c.left > 0 {
		return within1(r, c.Pinned)
	}
	c.least = c.sum / c.k
	return within1(r, c.limit)
}
