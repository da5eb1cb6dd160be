package user

import (
	"math"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// Sine is a rate that swings: Config.Rate times 1 + Amplitude·sin(2π(t−Phase)/Period). Arrivals follow the exact inverse of
// its integral.
type Sine struct {
	Amplitude float64       // of the rate: 0 to 1
	Period    time.Duration // above 0
	Phase     time.Duration // when it rises through its mean
}

// from is the wave at an instant, and when its period ends: sums are made period by period, so that they stay precise.
func (s *Sine) from(at dsv.Instant) (w wave, until dsv.Instant) {
	into := (int64(at) - int64(s.Phase)) % int64(s.Period)
	if into < 0 {
		into += int64(s.Period)
	}
	omega := 2 * math.Pi / s.Period.Seconds()
	return wave{s.Amplitude, omega, 2 * math.Pi * (float64(into) / float64(s.Period))}, at + dsv.Instant(int64(s.Period)-into)
}
