package admit

import (
	"math"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// Control says what a controller moves.
type Control uint8

// The controllers.
const (
	NoControl        Control = iota
	ThresholdControl         // the bound of the pool, by Threshold
	RateControl              // the rate of the bucket, by Rate
)

// Preset names the published constants of Rate.
type Preset uint8

// The presets.
const (
	Paper Preset = iota // as published
	Code                // as released
)

// ControlConfig describes a controller of response time. The zero value is none.
type ControlConfig struct {
	Kind    Control
	Target  time.Duration // of the response time
	Preset  Preset        // of the constants of RateControl
	Initial float64       // the rate per second, or the bound, at the start; default: that of the preset
	Depth   float64       // tokens in the bucket of RateControl; default: that of the preset
}

// Threshold is SEDA's adaptive load shedding: it bounds the queue of a stage by a threshold, and moves that by the response
// times that it observes. Every 200 requests, a mean below 0.9 of the target raises the threshold by 2, one above 1.1 halves
// it (Welsh, Culler and Brewer, "SEDA: An Architecture for Well-Conditioned, Scalable Internet Services", SOSP 2001;
// that it is their mean which is compared is our reading). The threshold begins at 1 and stays from 1 to 1024, as in the
// released ResponseTimeControllerDirect. It belongs to one goroutine.
type Threshold struct {
	target    float64
	threshold int
	sum       float64
	n         int
	mean      float64
}

// The constants of Threshold.
const (
	thresholdEvery    = 200
	thresholdLow      = 0.9
	thresholdHigh     = 1.1
	thresholdIncrease = 2
	thresholdDecrease = 2
	thresholdMin      = 1
)

// What the controllers set at most: MaxThreshold the bound of a pool, MaxRate a rate per second.
const (
	MaxThreshold = 1024
	MaxRate      = 5000
)

// NewThreshold returns the controller for a target, with the threshold that it begins at; 0 is 1.
func NewThreshold(target time.Duration, initial int) *Threshold {
	return &Threshold{target: target.Seconds(), threshold: min(max(initial, thresholdMin), MaxThreshold)}
}

// Observe takes the response time of a request that was served.
func (c *Threshold) Observe(response time.Duration) {
	c.sum += response.Seconds()
	if c.n++; c.n < thresholdEvery {
		return
	}
	c.mean = c.sum / float64(c.n)
	c.sum, c.n = 0, 0
	switch {
	case c.mean < thresholdLow*c.target:
		c.threshold = min(c.threshold+thresholdIncrease, MaxThreshold)
	case c.mean > thresholdHigh*c.target:
		c.threshold = max(c.threshold/thresholdDecrease, thresholdMin)
	}
}

// Threshold is how many may be in the queue.
func (c *Threshold) Threshold() int { return c.threshold }

// Observed is the mean, in seconds, that was compared last; 0 at the beginning.
func (c *Threshold) Observed() float64 { return c.mean }

// rateConstants are what the versions of Rate differ in. An error is (observed - target) / target.
type rateConstants struct {
	above    float64 // an error above it divides the rate
	below    float64 // one below it raises it
	decrease float64
	increase float64
	offset   float64 // the rate is raised by increase × (offset - error); where it is 0, by increase
	initial  float64
	depth    float64
}

// paper holds the constants of USITS 2003, table 1; the first rate and the depth of the bucket, which it does not give, are
// those of the released ResponseTimeControllerMulticlass, which has its constants. code holds those of the released
// ResponseTimeControllerDirect.
var (
	paper = rateConstants{above: 0, below: -0.5, decrease: 1.2, increase: 2, offset: -0.1, initial: 100, depth: 1}
	code  = rateConstants{above: 0.2, below: -0.1, decrease: 2, increase: 0.5, initial: 10, depth: 10}
)

// The constants that both have.
const (
	rateSamples  = 100
	rateQuantile = 0.9
	rateSmooth   = 0.7
	rateTimeout  = dsv.Instant(time.Second)
	rateMin      = 0.05
)

// Rate is SEDA's overload control of one stage: it sets the rate of a token bucket by the 90th percentile of the response
// times. After 100 requests, or 1 s after the last time, the percentile of what was observed since is smoothed with a weight
// of 0.7 for the past. With the paper's constants a result above the target divides the rate by 1.2, and one below half of it
// raises the rate by 2 × (-err - 0.1), err being the relative difference to the target (Welsh and Culler, "Adaptive Overload
// Control for Busy Internet Servers", USITS 2003). With those of the released code one above 1.2 of the target halves the
// rate, and one below 0.9 raises it by 0.5. The rate stays from 0.05/s to 5000/s. Where nothing was observed, nothing changes.
//
// It is a core. It belongs to one goroutine.
type Rate struct {
	RateRule
	samples [rateSamples]float64
	n       int
	last    dsv.Instant
}

// RateRule is what a Rate makes of one 90th percentile after the other.
type RateRule struct {
	rateConstants
	target, rate float64
	Smoothed     float64 // what was judged last, in seconds; 0 at the beginning
}

// NewRateRule returns the rule for a target in seconds, at the first rate of its preset.
func NewRateRule(target float64, p Preset) *RateRule {
	r := &RateRule{rateConstants: p.constants(), target: target}
	r.rate = r.initial
	return r
}

// Rate is the present rate, per second.
func (r *RateRule) Rate() float64 { return r.rate }

// Set goes on from another rate, per second.
func (r *RateRule) Set(rate float64) { r.rate = math.Min(math.Max(rate, rateMin), MaxRate) }

// Judge takes the next 90th percentile, in seconds.
func (r *RateRule) Judge(percentile float64) {
	r.Smoothed = rateSmooth*r.Smoothed + (1-rateSmooth)*percentile
	err := (r.Smoothed - r.target) / r.target
	switch {
	case err > r.above:
		r.rate /= r.decrease
	case err < r.below && r.offset != 0:
		r.rate += r.increase * (r.offset - err)
	case err < r.below:
		r.rate += r.increase
	}
	r.Set(r.rate)
}

// NewRate returns the controller for a target.
func NewRate(target time.Duration, p Preset, initial float64) *Rate {
	c := &Rate{RateRule: *NewRateRule(target.Seconds(), p)}
	if initial > 0 {
		c.rate = initial
	}
	return c
}

func (p Preset) constants() rateConstants {
	if p == Code {
		return code
	}
	return paper
}

// Observe takes the response time of a request that was served.
func (c *Rate) Observe(at dsv.Instant, response time.Duration) {
	c.Advance(at)
	c.samples[c.n] = response.Seconds()
	if c.n++; c.n == rateSamples || at >= c.last+rateTimeout {
		c.adjust(at)
	}
}

// Next is when the controller acts without a further observation.
func (c *Rate) Next() dsv.Instant {
	if c.n == 0 {
		return dsv.Never
	}
	return c.last + rateTimeout
}

// Advance acts on what is due.
func (c *Rate) Advance(to dsv.Instant) {
	if t := c.Next(); t <= to {
		c.adjust(t)
	}
}

func (c *Rate) adjust(at dsv.Instant) {
	s := c.samples[:c.n]
	slices.Sort(s)
	c.Judge(s[int(rateQuantile*float64(c.n))])
	c.n, c.last = 0, at
}

// Depth is how many tokens the preset's bucket holds.
func (c *Rate) Depth() float64 { return c.depth }

// Observed is the smoothed 90th percentile, in seconds; 0 at the beginning.
func (c *Rate) Observed() float64 { return c.Smoothed }
