// Package usl fits the universal scalability law to measured throughputs: X(N) = λN ÷ (1 + σ(N − 1) + κN(N − 1)), N being servers, threads or
// users, λ what one of them does alone, σ the share of work that is done one after the other (contention), and κ what each pair of them
// costs to stay coherent (Gunther, Guerrilla Capacity Planning, 2007; "A General Theory of Computational Scalability Based on Rational
// Functions", arXiv:0808.1431). It is pure: random numbers follow from the seed.
package usl

import (
	"errors"
	"math"
)

// ErrTooFew reports points that determine no law: there must be at least four different N.
var ErrTooFew = errors.New("at least four different counts are needed")

// A Point is a throughput X per second that was measured with N of what is counted.
type Point struct{ N, X float64 }

// An Interval is an estimate and where the bootstrap has it with the confidence of the fit.
type Interval struct{ Value, Low, High float64 }

// Holds reports whether a value is inside.
func (i Interval) Holds(x float64) bool { return i.Low <= x && x <= i.High }

// A Fit is a law that was fitted.
type Fit struct {
	Lambda Interval // throughput of one alone, per second
	Sigma  Interval // contention, at least 0
	Kappa  Interval // coherency, at least 0
	// Peak is where the throughput is highest, √((1 − σ)/κ), with its interval; High is +Inf where κ may be 0.
	Peak Interval
	// Confidence is that of the intervals, R2 the share of the variation of X that the law explains, and Noise the relative deviation of a
	// point from it.
	Confidence, R2, Noise float64
	// Identifiable says that the points tell κ from 0; where not, Reason says why in words, and Peak should not be believed.
	Identifiable bool
	Reason       string
}

// At is the law's throughput at N, per second.
func (f *Fit) At(n float64) float64 { return law(f.Lambda.Value, f.Sigma.Value, f.Kappa.Value, n) }

func law(lambda, sigma, kappa, n float64) float64 {
	return lambda * n / (1 + sigma*(n-1) + kappa*n*(n-1))
}

// peak is the N of the highest throughput, +Inf where it always grows, and 1 where it never does.
func peak(sigma, kappa float64) float64 {
	switch {
	case sigma >= 1:
		return 1
	case kappa <= 0:
		return math.Inf(1)
	}
	return math.Max(1, math.Sqrt((1-sigma)/kappa))
}
