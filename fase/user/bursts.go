package user

import (
	"math"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/rdr"
)

// Bursts is what an MMPP, a Markov-modulated Poisson process, adds to a Poisson one (Fischer and Meier-Hellstern, "The
// Markov-modulated Poisson process (MMPP) cookbook", Performance Evaluation 18, 1993): a chain of states in continuous time,
// each of which multiplies the rate. The states follow one another in a ring, in their order, and each is held for an
// exponential time. The chain begins in its stationary state, so the process is stationary from the first instant.
//
// Factors are relative: they are scaled so that the mean rate in the long run is Config.Rate, or the rate that was set.
type Bursts struct {
	States []Burst // at least one of them with a factor above 0
}

// A Burst is one state of an MMPP.
type Burst struct {
	Factor float64       // of the rate, relative to the other states; at least 0
	Stay   time.Duration // mean time in the state, above 0
}

// Shares are the shares of time that the states have in the long run.
func (b *Bursts) Shares() []float64 {
	shares := make([]float64, len(b.States))
	sum := 0.0
	for _, s := range b.States {
		sum += s.Stay.Seconds()
	}
	for i, s := range b.States {
		shares[i] = s.Stay.Seconds() / sum
	}
	return shares
}

// Factors are the factors scaled: their mean over time is 1.
func (b *Bursts) Factors() []float64 {
	mean := 0.0
	for i, share := range b.Shares() {
		mean += share * b.States[i].Factor
	}
	fs := make([]float64, len(b.States))
	for i, s := range b.States {
		fs[i] = s.Factor / mean
	}
	return fs
}

// Dispersion is the index of dispersion for counts in the long run: the variance of the number of arrivals in a long time
// over its mean, at a mean rate per second. A Poisson process has 1. For two states it is that of Heffes and Lucantoni ("A
// Markov modulated characterization of packetized voice and data traffic", IEEE JSAC 4, 1986); in general 1 + 2/λ·Σ πᵢλᵢhᵢ,
// where h solves Poisson's equation of the chain, which on a ring is a recursion.
func (b *Bursts) Dispersion(rate float64) float64 {
	shares, factors := b.Shares(), b.Factors()
	h, mean := make([]float64, len(factors)), 0.0
	for i := range h {
		if i+1 < len(h) {
			h[i+1] = h[i] - b.States[i].Stay.Seconds()*(factors[i]-1)*rate
		}
		mean += shares[i] * h[i]
	}
	sum := 0.0
	for i := range h {
		sum += shares[i] * factors[i] * (h[i] - mean)
	}
	return 1 + 2*sum
}

// DispersionOver is the index of dispersion of two states for counts in windows of that length.
func (b *Bursts) DispersionOver(rate float64, window time.Duration) float64 {
	leave := 1/b.States[0].Stay.Seconds() + 1/b.States[1].Stay.Seconds()
	x := leave * window.Seconds()
	return 1 + (b.Dispersion(rate)-1)*(1+math.Expm1(-x)/x)
}

// Nodes of a session's key that draw of the chain: how long its sojourn of the same number lasts, and where it begins.
const (
	stayNode  = 0x57a4
	stateNode = 0x57a7
)

// sojourns walks the chain of an MMPP. It moves forward only.
type sojourns struct {
	of     *Config // nil: there is no chain
	n      uint64  // which sojourn
	state  int
	factor float64
	until  dsv.Instant
	scale  float64
}

// sojourns begins the chain of a group, if it has one.
func (c *Config) sojourns() sojourns {
	if c.Law != MMPP || c.Bursts == nil || len(c.Bursts.States) == 0 {
		return sojourns{}
	}
	w := sojourns{of: c, scale: 1}
	for i, f := range c.Bursts.Factors() {
		if c.Bursts.States[i].Factor > 0 {
			w.scale = f / c.Bursts.States[i].Factor
			break
		}
	}
	u := c.Key(0, 0).Mix(stateNode).Uniform()
	for _, share := range c.Bursts.Shares() {
		if u < share || w.state == len(c.Bursts.States)-1 {
			break
		}
		u -= share
		w.state++
	}
	w.enter(0)
	return w
}

// enter begins a sojourn in the present state.
func (w *sojourns) enter(at dsv.Instant) {
	s := w.of.Bursts.States[w.state]
	w.factor = s.Factor * w.scale
	w.until = at + max(1, dsv.Instant(math.Round(float64(s.Stay)*w.of.stay(w.n).Exp())))
}

// stay is the key of how long a sojourn lasts.
func (c *Config) stay(n uint64) rdr.Key { return c.Key(n, 0).Mix(stayNode) }

// to moves to an instant: the sojourn that it is in.
func (w *sojourns) to(at dsv.Instant) {
	for w.until <= at {
		w.n++
		w.state = (w.state + 1) % len(w.of.Bursts.States)
		w.enter(w.until)
	}
}
