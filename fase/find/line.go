package find

import (
	"math"

	"github.com/eve-emulation/eve/fase/stat"
)

// A line is where the first limit of a search is crossed: the logarithm of the share above the bound by the allowed one (of
// a mean: of the mean by its bound), put on a straight line over the load by least squares, weighted with what each probe is
// worth. In M/M/1 the line is straight for a share. Probes far from the limit do not count.
type line struct {
	points    int
	at, slope float64 // slope 0: there is no line
	half      float64 // of the 95 % interval of at
	perSecond float64 // what a second of a probe at the limit is worth
	mean      bool
}

// far is how far from its limit, as a logarithm, a share may be to tell where it crosses it.
const far = 1.5

type point struct{ x, y, w float64 }

func (s *Search) line() line {
	var l line
	var ps []point
	var w, wx, wy, worth, seconds float64
	for _, t := range s.trials {
		if len(t.Evidence) == 0 || t.Limited != "" {
			continue
		}
		e := t.Evidence[0]
		l.mean = e.Limit.Metric == Mean
		p := point{x: t.Load, y: math.Log(e.Share / e.Allowed), w: e.Effective * e.Share / (1 - e.Share)}
		if l.mean { // by the interval's half, as a share
			p.w = math.Pow(2*2.5*e.Share/(e.High-e.Low), 2)
		}
		if !(math.Abs(p.y) < far) || !(p.w > 0) || math.IsInf(p.w, 1) {
			continue
		}
		ps = append(ps, p)
		w, wx, wy = w+p.w, wx+p.w*p.x, wy+p.w*p.y
		worth, seconds = worth+p.w*e.Allowed/e.Share, seconds+t.Took.Seconds()
	}
	l.points = len(ps)
	if len(ps) < 2 {
		return l
	}
	mx, my := wx/w, wy/w
	var sxx, sxy float64
	for _, p := range ps {
		sxx, sxy = sxx+p.w*(p.x-mx)*(p.x-mx), sxy+p.w*(p.x-mx)*(p.y-my)
	}
	slope := sxy / sxx
	at := mx - my/slope
	if !(slope > 0) || !(at > 0) || math.IsInf(at, 1) {
		return l
	}
	miss := 0.0
	for _, p := range ps {
		r := p.y - my - slope*(p.x-mx)
		miss += p.w * r * r
	}
	scatter := math.Max(miss/math.Max(float64(len(ps)-2), 1), 1) // more than chance makes: the line is not straight
	l.at, l.slope, l.perSecond = at, slope, worth/seconds
	l.half = 1.96 * math.Sqrt(scatter*(1/w+(at-mx)*(at-mx)/sxx)) / slope
	return l
}

// crossing is the load at which the limit is crossed, with its 95 % interval; NaN without a line.
func (l line) crossing() stat.Estimate {
	e := stat.Estimate{Value: math.NaN(), Low: math.NaN(), High: math.NaN(), Confidence: 0.95, N: l.points}
	if l.slope > 0 {
		e.Value, e.Low, e.High = l.at, l.at-l.half, l.at+l.half
	}
	return e
}
