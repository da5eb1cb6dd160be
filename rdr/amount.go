package rdr

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// unit is what an amount is measured in.
type unit uint8

const (
	unitNone  unit = iota
	unitTime       // nanoseconds
	unitBytes      // bytes
	unitCount      // a number of times
)

func (u unit) String() string {
	return [...]string{"a plain number", "a time", "a size in bytes", "a count"}[u]
}

// dist is a distribution. The numbers are part of the compact encoding.
type dist uint8

const (
	distConst     dist = iota // n
	distExp                   // a: mean
	distUniform               // a, b: bounds
	distNormal                // a: mean, b: standard deviation
	distLognormal             // a: median, b: sigma
	distPareto                // a: scale, b: shape
	distErlang                // a: mean, n: stages
	distEmpirical             // table, sorted
	distLast
)

var distNames = [...]string{
	"constant", "exp", "uniform", "normal", "lognormal", "pareto", "erlang", "empirical",
}

func (d dist) String() string { return distNames[d] }

// amount is a quantity in base units: nanoseconds, bytes or a count.
type amount struct {
	dist  dist
	unit  unit
	n     int64
	a, b  float64
	table []int64
}

// One draw is cut off here. Only a heavy tail ever gets that far.
const (
	maxTime   = 1000 * time.Hour
	maxBytes  = 1 << 50
	maxCount  = 1_000_000
	maxStages = 1000
	maxRetry  = 1000
)

func (u unit) max() float64 {
	switch u {
	case unitTime:
		return float64(maxTime)
	case unitBytes:
		return maxBytes
	default:
		return maxCount
	}
}

// Tags keep the second draws of one statement apart from the keys of its calls.
const (
	tagStages = 0x5354414745530000 // the stages of an erlang
	tagRound  = 0x524f554e44000000 // the rounding of a count
)

// constant reports whether the amount is n, always.
func (a *amount) constant() bool { return a.dist == distConst }

// zero reports whether the amount is absent or 0, always.
func (a *amount) zero() bool { return a.dist == distConst && a.n == 0 }

// draw returns the amount under key. Negative draws count as 0. Times and bytes
// are rounded to the nearest; a count is rounded up or down at random, so that
// its mean is the distribution's.
func (a *amount) draw(key Key) int64 {
	if a.dist == distConst {
		return a.n
	}
	if a.dist == distEmpirical {
		return a.table[int(key.Uniform()*float64(len(a.table)))]
	}
	x := a.sample(key)
	if x <= 0 {
		return 0
	}
	x = math.Min(x, a.unit.max())
	if a.unit == unitCount {
		return int64(x + (key ^ tagRound).Mix(0).Uniform())
	}
	return int64(x + 0.5)
}

// sample inverts the distribution function at the key's uniform; an erlang sums
// its stages instead.
func (a *amount) sample(key Key) float64 {
	switch a.dist {
	case distExp:
		return a.a * key.Exp()
	case distUniform:
		return a.a + (a.b-a.a)*key.Uniform()
	case distNormal:
		return a.a + a.b*key.normal()
	case distLognormal:
		return a.a * math.Exp(a.b*key.normal())
	case distPareto:
		return a.a * math.Pow(1-key.Uniform(), -1/a.b)
	case distErlang:
		return a.a / float64(a.n) * (key ^ tagStages).erlang(a.n)
	default:
		return 0
	}
}

// normal returns the key's standard normal, from its uniform.
func (k Key) normal() float64 {
	u := (float64(k>>11) + 0.5) * 0x1p-53
	return math.Sqrt2 * math.Erfinv(2*u-1)
}

// erlang returns the sum of n unit exponentials. The logarithm is taken of 16
// uniforms at a time: their product cannot underflow.
func (k Key) erlang(n int64) float64 {
	sum := 0.0
	for i := int64(0); i < n; {
		p := 1.0
		for j := 0; j < 16 && i < n; j++ {
			p *= 1 - k.Mix(uint64(i)).Uniform()
			i++
		}
		sum -= math.Log(p)
	}
	return sum
}

var errNoMean = errors.New("has no mean")

// mean returns the exact mean of draw, up to the rounding of times and bytes.
func (a *amount) mean() (float64, error) {
	switch a.dist {
	case distExp, distErlang:
		return a.a, nil
	case distUniform:
		return (a.a + a.b) / 2, nil
	case distNormal:
		return normalMean(a.a, a.b), nil
	case distLognormal:
		return a.a * math.Exp(a.b*a.b/2), nil
	case distPareto:
		if a.b <= 1 {
			return 0, fmt.Errorf("pareto with shape %g %w (it needs a shape above 1)", a.b, errNoMean)
		}
		return a.a * a.b / (a.b - 1), nil
	case distEmpirical:
		sum := 0.0
		for _, v := range a.table {
			sum += float64(v)
		}
		return sum / float64(len(a.table)), nil
	default:
		return float64(a.n), nil
	}
}

// normalMean is the mean of a normal whose negative values count as 0.
func normalMean(mean, sd float64) float64 {
	if sd == 0 {
		return math.Max(mean, 0)
	}
	z := mean / sd
	return mean*math.Erfc(-z/math.Sqrt2)/2 + sd*math.Exp(-z*z/2)/math.Sqrt(2*math.Pi)
}

// typical is what limits count: the mean, or the median where there is none.
func (a *amount) typical() float64 {
	m, err := a.mean()
	if err != nil {
		m = a.a * math.Pow(2, 1/a.b)
	}
	return m
}

// check returns what is wrong with the parameters, or nil.
func (a *amount) check() error {
	limit := a.unit.max()
	bad := func(x float64) bool { return math.IsNaN(x) || x < 0 || x > limit }
	switch {
	case a.dist == distConst && (a.n < 0 || float64(a.n) > limit),
		a.dist != distConst && a.dist != distEmpirical && bad(a.a):
		return fmt.Errorf("an amount is at least 0 and at most %s: %w", a.unit.limit(), ErrLimit)
	}
	switch a.dist {
	case distUniform:
		if bad(a.b) || a.b < a.a {
			return errors.New("uniform(a, b) needs a ≤ b")
		}
	case distNormal:
		if bad(a.b) {
			return errors.New("the standard deviation of normal is out of range")
		}
	case distLognormal:
		if math.IsNaN(a.b) || a.b < 0 || a.b > 10 {
			return errors.New("the sigma of lognormal is from 0 to 10, without a unit")
		}
	case distPareto:
		if math.IsNaN(a.b) || a.b < 0.05 || a.b > 1000 {
			return errors.New("the shape of pareto is from 0.05 to 1000, without a unit")
		}
	case distErlang:
		if a.n < 1 || a.n > maxStages {
			return fmt.Errorf("the stages of erlang are a whole number from 1 to %d", maxStages)
		}
	case distEmpirical:
		return a.checkTable(limit)
	}
	return nil
}

func (a *amount) checkTable(limit float64) error {
	if len(a.table) == 0 {
		return errors.New("empirical has no samples")
	}
	if a.table[0] < 0 || float64(a.table[len(a.table)-1]) > limit {
		return fmt.Errorf("a sample of empirical is at least 0 and at most %s: %w", a.unit.limit(), ErrLimit)
	}
	return nil
}

func (u unit) limit() string {
	switch u {
	case unitTime:
		return "1000h"
	case unitBytes:
		return "1024TiB"
	default:
		return fmt.Sprint(maxCount)
	}
}
