package usl

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Confidence is that of the intervals of Of.
const Confidence = 0.95

// replicates is how many samples the bootstrap draws.
const replicates = 999

// Of fits the law to points by least squares of relative deviations, as a measured throughput is off by a share of itself.
// Intervals are those of the studentised bootstrap of residuals (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, sections
// 9.4 and 12.5), which holds with few points too; the same points and seed give the same fit. The error is ErrTooFew, or names a point
// that is not a positive count and throughput.
func Of(points []Point, seed uint64) (Fit, error) {
	if err := check(points); err != nil {
		return Fit{}, fmt.Errorf("fit scalability law: %w", err)
	}
	e, err := estimate(points)
	if err != nil {
		return Fit{}, fmt.Errorf("fit scalability law: %w", err)
	}
	f := Fit{Confidence: Confidence, Noise: e.noise, R2: e.explained(points)}
	low, high := e.bootstrap(points, rand.New(rand.NewPCG(seed, 0x7573_6c)))
	t := within(points, [3]float64(e.theta[:3]))
	f.Lambda = around(math.Exp(t[0]), math.Exp(low[0]), math.Exp(high[0]))
	f.Sigma = around(t[1], max(0, low[1]), max(0, high[1]))
	f.Kappa = around(t[2], max(0, low[2]), max(0, high[2]))
	f.Peak = around(peak(t[1], t[2]), atPeak(high[3]), atPeak(low[3]))
	f.judge(points, e, low, high)
	return f, nil
}

// around is an interval that holds its value.
func around(x, low, high float64) Interval { return Interval{x, min(x, low), max(x, high)} }

// within is the solution itself where σ and κ are not below 0, and otherwise the best that has one of them, or both, at 0: the others make up
// for it, so that the law still goes through the points.
func within(points []Point, t [3]float64) [3]float64 {
	if t[1] >= 0 && t[2] >= 0 {
		return t
	}
	best, least := t, math.Inf(1)
	for free := 1; free <= 2; free++ {
		at := func(x float64) ([3]float64, float64) {
			var u [3]float64
			u[free] = x
			for _, p := range points {
				u[0] += (math.Log(p.X/p.N) + math.Log(scale(u, p.N))) / float64(len(points))
			}
			return u, squares(points, u)
		}
		low, high := 0.0, 1.0
		for range 60 { // by thirds; 1e-10 of what a second one costs the first is nothing
			a, b := low+(high-low)/3, high-(high-low)/3
			_, fa := at(a)
			if _, fb := at(b); fa <= fb {
				high = b
			} else {
				low = a
			}
		}
		for _, x := range []float64{0, low} {
			if u, s := at(x); s < least {
				best, least = u, s
			}
		}
	}
	return best
}

func check(points []Point) error {
	var counts []float64
	for i, p := range points {
		if !(p.N > 0 && p.X > 0) || math.IsInf(p.N, 1) || math.IsInf(p.X, 1) {
			return fmt.Errorf("point %d: %g per second with %g: both must be positive", i+1, p.X, p.N)
		}
		counts = append(counts, p.N)
	}
	slices.Sort(counts)
	if n := len(slices.Compact(counts)); n < 4 {
		return fmt.Errorf("%w, got %d", ErrTooFew, n)
	}
	return nil
}

// atPeak is the count of the peak, of its inverse square.
func atPeak(g float64) float64 {
	if g <= 0 {
		return math.Inf(1)
	}
	return math.Max(1, 1/math.Sqrt(g))
}

// judge says whether the points tell κ from 0.
func (f *Fit) judge(points []Point, e estimated, low, high [4]float64) {
	most := points[0].N
	for _, p := range points {
		most = max(most, p.N)
	}
	switch {
	case high[1] < 0:
		f.Reason = fmt.Sprintf("not identifiable: throughput grows faster than the count (σ is below 0, at most %.2g), which the law does not describe", high[1])
	case low[2] <= 0 && high[2] <= 0:
		f.Reason = "not identifiable: κ is below 0, the curve bends upwards, which the law does not describe"
	case low[2] <= 0:
		f.Reason = fmt.Sprintf("not identifiable: κ may be 0 (its %.0f %% interval is %.2g to %.2g), so these points, up to %g, show no peak", 100*f.Confidence, low[2], high[2], most)
	case e.noise > 0.2:
		f.Reason = fmt.Sprintf("not identifiable: points are %.0f %% off the law in the mean", 100*e.noise)
	default:
		f.Identifiable = true
	}
}

// estimated is a fit without its intervals: theta is ln λ, σ, κ and κ/(1 − σ), the inverse square of the peak.
type estimated struct {
	theta [4]float64
	error [4]float64 // standard errors
	noise float64    // standard deviation of ln X
}

var errFlat = errors.New("the counts are too much alike")

// estimate minimises the sum of squares of ln X − ln law by the method of Gauss and Newton, from the solution of the linear problem
// N/X = (1 + σ(N − 1) + κN(N − 1))/λ.
func estimate(points []Point) (estimated, error) {
	var e estimated
	a, b, err := normal(points, func(p Point) ([3]float64, float64) {
		w := p.X / p.N
		return [3]float64{w, w * (p.N - 1), w * p.N * (p.N - 1)}, 1
	})
	if err != nil {
		return e, err
	}
	x := times(a, b)
	t := [3]float64{0, 0, 0}
	if x[0] > 0 {
		t = [3]float64{-math.Log(x[0]), x[1] / x[0], x[2] / x[0]}
	}
	sum := squares(points, t)
	if math.IsInf(sum, 1) { // the linear solution is no law: from that of a straight line
		t = [3]float64{math.Log(points[0].X / points[0].N), 0, 0}
		sum = squares(points, t)
	}
	for range 100 {
		if a, b, err = normal(points, func(p Point) ([3]float64, float64) { return slope(p, t) }); err != nil {
			return e, err
		}
		step := times(a, b)
		was, better := sum, false
		for scale := 1.0; scale > 1e-6; scale /= 2 {
			next := [3]float64{t[0] + scale*step[0], t[1] + scale*step[1], t[2] + scale*step[2]}
			if s := squares(points, next); s < sum {
				t, sum, better = next, s, true
				break
			}
		}
		if !better || was-sum < 1e-10*was {
			break
		}
	}
	e.of(points, t, sum, a)
	return e, nil
}

// of fills in the standard errors, of the inverse normal matrix a.
func (e *estimated) of(points []Point, t [3]float64, sum float64, a [3][3]float64) {
	e.noise = math.Sqrt(sum / float64(max(len(points)-3, 1)))
	e.theta = [4]float64{t[0], t[1], t[2], t[2] / math.Max(1-t[1], 1e-9)}
	for i := range 3 {
		e.error[i] = e.noise * math.Sqrt(math.Max(a[i][i], 0))
	}
	ds, dk := e.theta[3]/math.Max(1-t[1], 1e-9), 1/math.Max(1-t[1], 1e-9)
	e.error[3] = e.noise * math.Sqrt(math.Max(ds*ds*a[1][1]+2*ds*dk*a[1][2]+dk*dk*a[2][2], 0))
}

// scale is how much of its share a count of n loses: 1 + σ(n − 1) + κn(n − 1).
func scale(t [3]float64, n float64) float64 { return 1 + t[1]*(n-1) + t[2]*n*(n-1) }

func squares(points []Point, t [3]float64) float64 {
	sum := 0.0
	for _, p := range points {
		s := scale(t, p.N)
		if s <= 0 {
			return math.Inf(1)
		}
		r := math.Log(p.X/p.N) - t[0] + math.Log(s)
		sum += r * r
	}
	return sum
}

// slope is the gradient of ln law at a point, and what ln X is above it.
func slope(p Point, t [3]float64) ([3]float64, float64) {
	s := scale(t, p.N)
	return [3]float64{1, -(p.N - 1) / s, -p.N * (p.N - 1) / s}, math.Log(p.X/p.N) - t[0] + math.Log(s)
}

// normal returns the inverse of the normal matrix of a linear problem, and its right side.
func normal(points []Point, row func(Point) ([3]float64, float64)) (inverse [3][3]float64, right [3]float64, err error) {
	var m [3][3]float64
	for _, p := range points {
		r, y := row(p)
		for i := range 3 {
			right[i] += r[i] * y
			for j := range 3 {
				m[i][j] += r[i] * r[j]
			}
		}
	}
	var size [3]float64
	for i := range 3 {
		if size[i] = math.Sqrt(m[i][i]); size[i] == 0 {
			return inverse, right, errFlat
		}
	}
	for i := range 3 {
		for j := range 3 {
			m[i][j] /= size[i] * size[j]
		}
	}
	det := 0.0
	for i := range 3 {
		j, k := (i+1)%3, (i+2)%3
		det += m[0][i] * (m[1][j]*m[2][k] - m[1][k]*m[2][j])
	}
	if !(math.Abs(det) > 1e-12) {
		return inverse, right, errFlat
	}
	for i := range 3 {
		for j := range 3 {
			a, b, c, d := (j+1)%3, (j+2)%3, (i+1)%3, (i+2)%3
			inverse[i][j] = (m[a][c]*m[b][d] - m[a][d]*m[b][c]) / det / (size[i] * size[j])
		}
	}
	return inverse, right, nil
}

func times(a [3][3]float64, b [3]float64) (out [3]float64) {
	for i := range 3 {
		for j := range 3 {
			out[i] += a[i][j] * b[j]
		}
	}
	return out
}

// bootstrap returns the intervals of theta: where the pivot (θ* − θ)/s* of samples with resampled residuals puts them.
func (e *estimated) bootstrap(points []Point, r *rand.Rand) (low, high [4]float64) {
	low, high = e.theta, e.theta
	t := [3]float64(e.theta[:3])
	residuals, mean := make([]float64, len(points)), 0.0
	for i, p := range points {
		_, residuals[i] = slope(p, t)
		mean += residuals[i] / float64(len(points))
	}
	if e.noise < 1e-9 { // the points are on the law, but for rounding
		most := 0.0
		for _, p := range points {
			most = max(most, p.N)
		}
		for i, scale := range []float64{1, most, most * most, most * most} {
			low[i], high[i] = e.theta[i]-1e-6/scale, e.theta[i]+1e-6/scale
		}
		return low, high
	}
	var pivots [4][]float64
	sample := make([]Point, len(points))
	for range replicates {
		for i, p := range points {
			x := math.Exp(t[0]) * p.N / scale(t, p.N)
			sample[i] = Point{p.N, x * math.Exp(residuals[r.IntN(len(residuals))]-mean)}
		}
		s, err := estimate(sample)
		if err != nil || s.noise < 1e-9 {
			continue
		}
		for i := range pivots {
			pivots[i] = append(pivots[i], (s.theta[i]-e.theta[i])/s.error[i])
		}
	}
	for i, p := range pivots {
		slices.Sort(p)
		tail := (1 - Confidence) / 2
		low[i] = e.theta[i] - at(p, 1-tail)*e.error[i]
		high[i] = e.theta[i] - at(p, tail)*e.error[i]
	}
	return low, high
}

// at is a quantile of what is sorted.
func at(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// explained is the share of the variation of X around its mean that the law explains.
func (e *estimated) explained(points []Point) float64 {
	mean, all, left := 0.0, 0.0, 0.0
	for _, p := range points {
		mean += p.X / float64(len(points))
	}
	for _, p := range points {
		d := p.X - law(math.Exp(e.theta[0]), e.theta[1], e.theta[2], p.N)
		left += d * d
		all += (p.X - mean) * (p.X - mean)
	}
	if all == 0 {
		return 0
	}
	return 1 - left/all
}
