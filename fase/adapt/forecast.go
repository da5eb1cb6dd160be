package adapt

import (
	"math"
)

// Predictive asks for replicas by where a load is going: it smooths the metric by Holt and Winters, looks Ahead steps into the
// future, and holds the greater of what is and what will be to the target, which is one replica's share:
//
//	value = ceil(max(metric, forecast) / target)
//
// unless that share stays within Tolerance of the target with what stands. The smoothing is the additive one (Winters,
// "Forecasting Sales by Exponentially Weighted Moving Averages", Management Science 6, 1960):
//
//	level  = Alpha × (x - season) + (1 - Alpha) × (level + trend)
//	trend  = Beta × (level - level before) + (1 - Beta) × trend
//	season = Gamma × (x - level) + (1 - Gamma) × season
//	forecast(h) = level + h × trend + season of then
//
// Where there is a Season, its first round only fills it. Without one it is Holt's linear method. A metric that is unknown is
// taken for what was forecast.
type Predictive struct {
	Alpha, Beta, Gamma float64 // 0: 0.5, 0.1, 0.3
	Season             int     // steps of one round; 0: none
	Ahead              int     // steps; 0: 1
	Tolerance          float64 // 0: 0.1
}

// New returns the controller.
func (c Predictive) New() Controller {
	defaults(&c.Alpha, 0.5)
	defaults(&c.Beta, 0.1)
	defaults(&c.Gamma, 0.3)
	defaults(&c.Tolerance, hpaTolerance)
	if c.Ahead == 0 {
		c.Ahead = 1
	}
	return &predictive{Predictive: c, winters: Winters{Alpha: c.Alpha, Beta: c.Beta, Gamma: c.Gamma, Season: c.Season}}
}

type predictive struct {
	Predictive
	winters Winters
}

// maxLoad bounds what a forecaster takes for a load.
const maxLoad = 1e12

// Step implements Controller.
func (c *predictive) Step(r *Reading) Answer {
	if len(r.Metrics) == 0 {
		return None()
	}
	s := &r.Metrics[0]
	if !(s.Target > 0) || !isFinite(s.Target) || !isFinite(r.Value) {
		return None()
	}
	x := s.Value
	if !isFinite(x) || math.Abs(x) > maxLoad {
		if x = c.winters.Forecast(1); !isFinite(x) {
			return None()
		}
	}
	c.winters.Add(x)
	load := max(x, 0)
	if f := c.winters.Forecast(c.Ahead); isFinite(f) {
		load = max(load, f)
	}
	ratio := load / s.Target
	if r.Value > 0 && math.Abs(ratio/r.Value-1) <= c.Tolerance {
		return within1(r, r.Value)
	}
	return within1(r, up(ratio))
}

// Winters is the additive exponential smoothing of Holt and Winters; see [Predictive]. The zero value forecasts nothing before
// two samples, or two of a season.
type Winters struct {
	Alpha, Beta, Gamma float64
	Season             int

	level, trend float64
	season       []float64
	n            int
}

// Add takes the next sample.
func (w *Winters) Add(x float64) {
	if w.Season > 1 && w.n < w.Season {
		w.fill(x)
		return
	}
	var s *float64
	seasonal := 0.0
	if w.Season > 1 {
		s = &w.season[w.n%w.Season]
		seasonal = *s
	}
	if w.n == 0 {
		w.level = x
	} else {
		before := w.level
		w.level = w.Alpha*(x-seasonal) + (1-w.Alpha)*(w.level+w.trend)
		w.trend = w.Beta*(w.level-before) + (1-w.Beta)*w.trend
	}
	if s != nil {
		*s = w.Gamma*(x-w.level) + (1-w.Gamma)*seasonal
	}
	w.n++
}

// fill takes the first round: its mean is the level, what differs from it the season.
func (w *Winters) fill(x float64) {
	w.season = append(w.season, x)
	w.n++
	if w.n < w.Season {
		return
	}
	for _, y := range w.season {
		w.level += y / float64(w.Season)
	}
	for i := range w.season {
		w.season[i] -= w.level
	}
}

// Forecast is what is expected h samples after the last; NaN while that cannot be told.
func (w *Winters) Forecast(h int) float64 {
	switch {
	case w.Season > 1 && w.n < w.Season, w.Season <= 1 && w.n < 2:
		return math.NaN()
	case w.Season > 1:
		return w.level + float64(h)*w.trend + w.season[(w.n-1+h)%w.Season]
	}
	return w.level + float64(h)*w.trend
}
