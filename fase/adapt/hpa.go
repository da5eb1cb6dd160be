package adapt

import (
	"math"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// HPA is Kubernetes' Horizontal Pod Autoscaler (autoscaling/v2), as documented under "Horizontal Pod Autoscaling, algorithm
// details" and carried out by pkg/controller/podautoscaler (replica_calculator.go, horizontal.go). Each step:
//
//	desired = ceil(current × metric / target)
//
// and nothing where the ratio is within Tolerance of 1. Of a metric of each replica, current is how many are ready; those that
// are not ready count 0 where it would grow, those without a reading count 0 where it would grow and the target where it would
// shrink; and where that turns the direction, or the ratio into the tolerance, nothing changes. Of several metrics the
// greatest counts; where one is unknown, it does not shrink. Then come the windows and the policies of Up and Down.
//
// A Per metric is Kubernetes' AverageValue of an object: desired = ceil(metric / target).
//
// The zero value of a field is Kubernetes' default, except where it says otherwise.
type HPA struct {
	Tolerance float64 // 0: 0.1; below 0: none
	Up, Down  Scaling
}

// Scaling says how fast an HPA may go one way.
type Scaling struct {
	// Window is the stabilisation: of the recommendations within it, the least counts on the way up, the greatest on the way
	// down. 0: none up, 5 min down; below 0: none.
	Window   time.Duration
	Policies []Policy // nil: up the greater of 4 replicas and 100 % per 15 s, down 100 % per 15 s
	Select   Select   // of several policies
}

// Policy bounds the change within a period: Pods replicas or Percent of those at its beginning, whichever is set.
type Policy struct {
	Pods, Percent float64
	Period        time.Duration
}

// Select says which of several policies counts.
type Select uint8

// The selections.
const (
	MostChange  Select = iota // the one that allows the most
	LeastChange               // the least
	NoChange                  // never that way
)

const (
	hpaTolerance = 0.1
	hpaDown      = 5 * time.Minute
	hpaPeriod    = 15 * time.Second
)

// New returns the controller.
func (c HPA) New() Controller {
	switch {
	case c.Tolerance == 0:
		c.Tolerance = hpaTolerance
	case c.Tolerance < 0:
		c.Tolerance = 0
	}
	if c.Down.Window == 0 {
		c.Down.Window = hpaDown
	}
	if len(c.Up.Policies) == 0 {
		c.Up.Policies = []Policy{{Pods: 4, Period: hpaPeriod}, {Percent: 100, Period: hpaPeriod}}
	}
	if len(c.Down.Policies) == 0 {
		c.Down.Policies = []Policy{{Percent: 100, Period: hpaPeriod}}
	}
	h := &hpa{HPA: c}
	for _, p := range slices.Concat(c.Up.Policies, c.Down.Policies) {
		h.longest = max(h.longest, p.Period)
	}
	return h
}

// stamp is a number of replicas at an instant: a recommendation, or a change.
type stamp struct {
	at dsv.Instant
	n  float64
}

type hpa struct {
	HPA
	recommended []stamp
	grown, shed []stamp // what was added and removed, within
	longest     time.Duration
}

// Step implements Controller.
func (h *hpa) Step(r *Reading) Answer {
	current := r.Value
	if !(current >= 0) || math.IsInf(current, 0) {
		return None()
	}
	if len(h.recommended) == 0 {
		h.recommended = append(h.recommended, stamp{r.At, current})
	}
	least, most := r.Bounds.Least, r.Bounds.Most
	if most <= least {
		least, most = 0, math.Inf(1)
	}
	switch {
	case current == 0 && least > 0:
		return None() // scaled to nothing by somebody else: that turns an autoscaler off
	case current > most:
		return h.changed(r.At, current, most)
	case current < least:
		return h.changed(r.At, current, least)
	}
	desired, ok := h.desired(r, current)
	if !ok {
		return None()
	}
	desired = h.stabilised(r.At, current, desired)
	desired = h.limited(r.At, current, desired)
	return h.changed(r.At, current, min(max(desired, least), most))
}

// changed notes a change, for the policies.
func (h *hpa) changed(at dsv.Instant, from, to float64) Answer {
	if math.IsInf(to, 0) || math.IsNaN(to) {
		return None()
	}
	old := func(s stamp) bool { return at.Sub(s.at) >= h.longest }
	h.grown, h.shed = slices.DeleteFunc(h.grown, old), slices.DeleteFunc(h.shed, old)
	switch {
	case to > from:
		h.grown = append(h.grown, stamp{at, to - from})
	case to < from:
		h.shed = append(h.shed, stamp{at, from - to})
	}
	return Answer{Value: to}
}

// desired is the greatest that a metric asks for; false where none is known, or where the unknown ones might ask for more.
func (h *hpa) desired(r *Reading, current float64) (float64, bool) {
	best, unknown := math.Inf(-1), 0
	for i := range r.Metrics {
		n := h.replicas(&r.Metrics[i], current)
		if math.IsNaN(n) {
			unknown++
			continue
		}
		best = max(best, n)
	}
	if unknown == len(r.Metrics) || unknown > 0 && best < current {
		return 0, false
	}
	return best, true
}

// replicas is what one metric asks for; NaN where it is unknown.
func (h *hpa) replicas(s *Sample, current float64) float64 {
	if !(s.Target > 0) || math.IsInf(s.Target, 0) {
		return math.NaN()
	}
	if s.Each != nil {
		return h.pods(s, current)
	}
	x := s.Value
	if !(x >= 0) || math.IsInf(x, 0) {
		return math.NaN()
	}
	ratio := x / s.Target
	if s.Per {
		if h.still(ratio / current) { // of 0 replicas it is never still
			return current
		}
		return up(ratio)
	}
	if current == 0 {
		return up(ratio)
	}
	if h.still(ratio) {
		return current
	}
	return up(ratio * current)
}

// maxReplicas keeps absurd readings finite.
const maxReplicas = 1e9

// up is how many whole replicas a number asks for. What exceeds a whole number by no more than floats err does not count.
func up(x float64) float64 {
	if whole := math.Round(x); math.Abs(x-whole) <= 1e-9*max(1, math.Abs(whole)) {
		x = whole
	}
	return min(math.Ceil(x), maxReplicas)
}

// still reports whether a ratio is within the tolerance, for which the rounding of floats counts as nothing.
func (h *hpa) still(ratio float64) bool { return math.Abs(1-ratio) <= h.Tolerance+1e-12 }

// pods is replicas of a metric of each replica.
func (h *hpa) pods(s *Sample, current float64) float64 {
	var sum, ready, unready, missing float64
	for _, e := range s.Each {
		switch {
		case !e.Ready:
			unready++
		case !(e.Value >= 0) || math.IsInf(e.Value, 0):
			missing++
		default:
			sum += e.Value
			ready++
		}
	}
	if ready == 0 {
		return math.NaN()
	}
	ratio := sum / ready / s.Target
	growing := ratio > 1
	if (unready == 0 || !growing) && missing == 0 {
		if h.still(ratio) {
			return current
		}
		return up(ratio * ready)
	}
	n := ready + missing
	if ratio < 1 {
		sum += missing * s.Target
	}
	if growing {
		n += unready
	}
	anew := sum / n / s.Target
	if h.still(anew) || ratio < 1 && anew > 1 || growing && anew < 1 {
		return current
	}
	want := up(anew * n)
	if anew < 1 && want > current || anew > 1 && want < current {
		return current
	}
	return want
}

// stabilised takes the windows into account, and notes what was recommended.
func (h *hpa) stabilised(at dsv.Instant, current, desired float64) float64 {
	least, most := desired, desired
	keep := max(h.Up.Window, h.Down.Window)
	for _, s := range h.recommended {
		if age := at.Sub(s.at); age < h.Up.Window {
			least = min(least, s.n)
		}
		if age := at.Sub(s.at); age < h.Down.Window {
			most = max(most, s.n)
		}
	}
	h.recommended = slices.DeleteFunc(h.recommended, func(s stamp) bool { return at.Sub(s.at) > keep })
	h.recommended = append(h.recommended, stamp{at, desired})
	return min(max(current, least), most)
}

// limited takes the policies into account.
func (h *hpa) limited(at dsv.Instant, current, desired float64) float64 {
	switch {
	case desired > current:
		return min(desired, max(current, h.bound(at, current, &h.Up, 1)))
	case desired < current:
		return max(desired, min(current, h.bound(at, current, &h.Down, -1)))
	}
	return desired
}

// bound is how far the policies of a direction (1 or -1) let the number go.
func (h *hpa) bound(at dsv.Instant, current float64, s *Scaling, direction float64) float64 {
	if s.Select == NoChange {
		return current
	}
	var bounds []float64
	for _, p := range s.Policies {
		start := current - within(h.grown, at, p.Period) + within(h.shed, at, p.Period)
		switch {
		case p.Pods > 0:
			bounds = append(bounds, start+direction*p.Pods)
		case direction > 0:
			bounds = append(bounds, up(start*(1+p.Percent/100)))
		default:
			bounds = append(bounds, math.Floor(start*(1-p.Percent/100)+1e-9))
		}
	}
	if (s.Select == MostChange) == (direction > 0) {
		return slices.Max(bounds)
	}
	return slices.Min(bounds)
}

// within sums the changes of the last period.
func within(changes []stamp, at dsv.Instant, period time.Duration) float64 {
	sum := 0.0
	for i := len(changes) - 1; i >= 0 && at.Sub(changes[i].at) < period; i-- {
		sum += changes[i].n
	}
	return sum
}
