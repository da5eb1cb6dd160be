package runs

import (
	"fmt"
	"math"
	"strings"

	"github.com/eve-emulation/eve/fase/stat"
)

// meaning says in a sentence what the figures of a group mean, and how far they may be believed.
func (e *Evidence) meaning(c *Client) string {
	if c.Response.Count == 0 {
		return "no request ended in the measured window, so there is nothing to say about response times"
	}
	parts := []string{e.figures(c), e.level(c)}
	if n := c.Errors[AllErrors]; n > 0 {
		parts[0] += fmt.Sprintf(", of which %s are errors and time-outs", percent(float64(n)/float64(max(c.Requests, 1))))
	}
	for _, g := range c.Gates {
		switch {
		case g.Gate == BooksGate && g.Verdict != stat.Pass, g.Gate == GeneratorGate, g.Gate == ArrivalsGate && (g.Verdict == stat.Fail || c.Law != nil && c.Law.Due != nil):
			parts = append(parts, g.Words)
		}
	}
	return strings.Join(parts, "; ")
}

// figures are mean and p99 with their intervals.
func (e *Evidence) figures(c *Client) string {
	mean, p99 := c.Intervals["mean"], c.Intervals["p99"]
	switch {
	case mean.TooShort && mean.Batches == 0:
		return fmt.Sprintf("mean %s of only %d requests: too few to say how exact that is", seconds(float64(c.Response.Mean)), c.Response.Count)
	case mean.TooShort:
		return fmt.Sprintf("mean %s (95 %%) at best, of %d requests: they depend on one another too much for so few to say how exact that is",
			plusMinus(float64(c.Response.Mean), mean.half()), c.Response.Count)
	}
	s := "mean " + plusMinus(float64(c.Response.Mean), mean.half()) + " (95 %)"
	if !p99.TooShort && p99.Batches > 0 {
		s += fmt.Sprintf(", p99 %s (%s to %s)", seconds(float64(c.Response.P99)), seconds(float64(p99.Low)), seconds(float64(p99.High)))
	} else {
		s += fmt.Sprintf(", p99 about %s (too few to say how exact)", seconds(float64(c.Response.P99)))
	}
	return s + fmt.Sprintf(" of %d requests", c.Response.Count)
}

// level says since when response times stay at one level.
func (e *Evidence) level(c *Client) string {
	from := float64(c.Warmup.Scenario)
	switch {
	case e.Changes != "":
		return e.Changes + ", so these are figures of the whole of it and of no level"
	case c.Steady.Verdict == stat.Fail:
		return "not steady: " + quarter(float64(c.Steady.Drift))
	case c.Steady.Verdict == stat.Inconclusive:
		return "too short to tell whether it is steady"
	case float64(c.Warmup.MSER5) > e.To.Seconds()/2:
		return "never settled"
	default: // NaN is not more than anything
		if m := float64(c.Warmup.MSER5); m > from {
			from = m
		}
		return "steady from " + clock(from) + " on"
	}
}

// quarter says how far the quarter of the window that is farthest off is from all of it.
func quarter(drift float64) string {
	side := "above"
	if drift < 0 {
		side = "below"
	}
	return fmt.Sprintf("the mean of a quarter of the window is %s %s that of all", percent(math.Abs(drift)), side)
}

func (e Estimate) half() float64 { return float64(e.High-e.Low) / 2 }

// plusMinus writes a duration with what it may be off by, in one unit: "23.1 ± 0.4 ms".
func plusMinus(x, half float64) string {
	scale, unit := 1.0, "s"
	switch a := math.Abs(x); {
	case a > 0 && a < 1e-3:
		scale, unit = 1e6, "µs"
	case a > 0 && a < 1:
		scale, unit = 1e3, "ms"
	}
	digits := 0
	if half > 0 { // one significant digit of what it is off by, two below 3
		exponent := math.Floor(math.Log10(half * scale))
		if half*scale/math.Pow(10, exponent) < 3 {
			exponent--
		}
		digits = int(min(max(-exponent, 0), 9))
	}
	return fmt.Sprintf("%.*f ± %.*f %s", digits, x*scale, digits, half*scale, unit)
}
