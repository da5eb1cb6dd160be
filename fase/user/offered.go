package user

import "github.com/eve-emulation/eve/dsv"

// Offered returns what an open group's plan has up to an instant: the integral of the planned rate since T0, with the states
// of an MMPP as the plan draws them, or the arrivals of a trace. It is that of a run in which the rate is not set. The
// function is called with instants that never fall; of a closed group it is 0.
func (c *Config) Offered() func(at dsv.Instant) float64 {
	if t := c.Trace; t != nil {
		return func(at dsv.Instant) float64 { return float64(t.until(at)) }
	}
	k := c.curve()
	return func(at dsv.Instant) float64 { return k.to(min(at, c.End)) }
}
