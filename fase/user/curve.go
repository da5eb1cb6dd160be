package user

import (
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
)

// curve is the rate of arrivals and its integral: a piecewise linear rate, times a sine, times what the state of an MMPP
// says. It moves forward only, and a copy of it moves by itself.
type curve struct {
	points   []Point
	sine     *Sine
	bursts   sojourns
	corner   int         // the first point after at
	at       dsv.Instant // up to which the integral is known
	integral float64     // of the rate from 0 to at
	over     float64     // a rate that was set replaces points and sine; negative: none
}

func (c *Config) curve() curve {
	return curve{points: c.Rate, sine: c.Sine, bursts: c.sojourns(), over: -1}
}

// constant reports whether the rate, that of an MMPP in the mean, is this one at all times.
func (c *curve) constant(rate float64) bool {
	return c.over == rate || c.over < 0 && c.sine == nil && len(c.points) == 1 && c.points[0].Rate == rate
}

// line is the linear rate at c.at, and until when it has which slope per second.
func (c *curve) line() (rate, slope float64, until dsv.Instant) {
	p := c.points
	switch {
	case c.over >= 0:
		return c.over, 0, dsv.Never
	case len(p) == 0:
		return 0, 0, dsv.Never
	}
	for c.corner < len(p) && p[c.corner].At <= c.at {
		c.corner++
	}
	switch c.corner {
	case 0:
		return p[0].Rate, 0, p[0].At
	case len(p):
		return p[len(p)-1].Rate, 0, dsv.Never
	}
	from, to := p[c.corner-1], p[c.corner]
	slope = (to.Rate - from.Rate) / (to.At - from.At).Seconds()
	return from.Rate + slope*(c.at-from.At).Seconds(), slope, to.At
}

// piece is the rate from c.at until the next instant at which its form changes. Nothing at all until Never ends a curve.
func (c *curve) piece() (p piece, until dsv.Instant) {
	p.rate, p.slope, until = c.line()
	if p.rate == 0 && p.slope == 0 {
		return p, until
	}
	if c.sine != nil && c.over < 0 && c.sine.Amplitude != 0 {
		var end dsv.Instant
		p.wave, end = c.sine.from(c.at)
		until = min(until, end)
	}
	if c.bursts.of != nil {
		c.bursts.to(c.at)
		p.rate *= c.bursts.factor
		p.slope *= c.bursts.factor
		until = min(until, c.bursts.until)
	}
	return p, until
}

// to moves the integral to an instant and returns it.
func (c *curve) to(at dsv.Instant) float64 {
	for c.at < at {
		p, until := c.piece()
		end := min(at, until)
		c.integral += p.integral((end - c.at).Seconds())
		c.at = end
	}
	return c.integral
}

// pass moves the integral to the last change of form at or before an instant, so that later walks begin there. The sums are
// those that a walk from the beginning makes.
func (c *curve) pass(at dsv.Instant) {
	for {
		_, until := c.piece()
		if until > at {
			return
		}
		c.to(until)
	}
}

// when is the instant at which the integral reaches a sum; Never, or one at or after end, where that is not before end. It
// does not move the curve.
func (c *curve) when(sum float64, end dsv.Instant) dsv.Instant {
	var walker curve // a copy is only made where it has to walk on
	ahead := c
	for {
		p, until := ahead.piece()
		need := sum - ahead.integral
		if d, ok := p.reach(need, (until - ahead.at).Seconds()); ok && d*1e9 < float64(dsv.Never-ahead.at) {
			if at := ahead.at + dsv.Instant(math.Round(d*1e9)); at < until {
				return at
			}
		}
		if until >= end {
			return dsv.Never
		}
		if ahead == c {
			walker = *c
			ahead = &walker
		}
		ahead.to(until)
	}
}

// Swing is the greatest factor by which a sine, or a state of an MMPP, multiplies Rate.
func (c *Config) Swing() float64 {
	x := 1.0
	if c.Sine != nil {
		x += c.Sine.Amplitude
	}
	if c.Law == MMPP && c.Bursts != nil {
		x *= slices.Max(c.Bursts.Factors())
	}
	return x
}

// piece is a rate over a time from its own beginning on: linear, and times 1 + a·sin(ωt+φ) where there is a wave.
type piece struct {
	rate, slope float64 // per second, and per second squared
	wave        wave
}

// wave is 1 + amplitude·sin(omega·t + phase); nothing but 1 where the amplitude is 0.
type wave struct{ amplitude, omega, phase float64 }

// integral is that of the piece over its first d seconds: the antiderivative, without any approximation.
func (p *piece) integral(d float64) float64 {
	sum := (p.rate + p.slope*d/2) * d
	if w := p.wave; w.amplitude != 0 {
		sin0, cos0 := math.Sincos(w.phase)
		sin1, cos1 := math.Sincos(w.phase + w.omega*d)
		sum += w.amplitude / w.omega * (p.rate*cos0 - (p.rate+p.slope*d)*cos1 + p.slope/w.omega*(sin1-sin0))
	}
	return sum
}

// at is the rate d seconds after the beginning.
func (p *piece) at(d float64) float64 {
	r := p.rate + p.slope*d
	if w := p.wave; w.amplitude != 0 {
		r *= 1 + w.amplitude*math.Sin(w.phase+w.omega*d)
	}
	return r
}

// reach is the least d ≥ 0, in seconds, whose integral is need; false where the piece, which lasts for most, does not come
// to it. Without a wave it solves a quadratic; with one it does Newton's steps within a bracket, to 0.01 ns or to the
// precision of the integral.
func (p *piece) reach(need, most float64) (d float64, ok bool) {
	if p.wave.amplitude == 0 || need <= 0 {
		return reach(p.rate, p.slope, need)
	}
	if p.integral(most) < need {
		return 0, false
	}
	const near = 1e-11
	low, high := 0.0, most
	d = math.Min(need/math.Max(p.rate, 1e-300), most/2)
	for high-low > near {
		miss := p.integral(d) - need
		if miss >= 0 {
			high = d
		} else {
			low = d
		}
		next := d - miss/p.at(d)
		if math.Abs(next-d) < near && next >= low && next <= high {
			return next, true
		}
		if !(next > low && next < high) {
			next = low + (high-low)/2
			if next <= low || next >= high {
				break // there is no number in between
			}
		}
		d = next
	}
	return high, true
}

// reach solves rate·d + slope·d²/2 = need for the least d ≥ 0.
func reach(rate, slope, need float64) (d float64, ok bool) {
	if need <= 0 {
		return 0, true
	}
	if slope == 0 {
		if rate <= 0 {
			return 0, false
		}
		return need / rate, true
	}
	disc := rate*rate + 2*slope*need
	if disc < 0 {
		return 0, false
	}
	// 2·need/(rate + √disc) avoids cancellation for small slopes.
	den := rate + math.Sqrt(disc)
	if den <= 0 {
		return 0, false
	}
	return 2 * need / den, true
}
