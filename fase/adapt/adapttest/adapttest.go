// Package adapttest is the test that every controller passes: [Run].
package adapttest

import (
	"math"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
)

// A Subject is a kind of controller, and where it is at rest.
type Subject struct {
	New func() adapt.Controller
	// Sample has as many metrics as the controller sees; their values are replaced by absurd ones.
	Sample []adapt.Sample
	Bounds adapt.Bounds
	Period time.Duration // between steps; 0: 1 s
	// Rest is a reading at which the controller leaves what stands, once it has had it for Warm steps: what it asks for then stays
	// the same, and where Still is set it is Reading.Value. Nil for controllers that never rest.
	Rest  *adapt.Reading
	Warm  int
	Still bool
}

// Of is the subject with a rest at which the metric is itself the value.
func (s Subject) Of(value float64) Subject {
	r := *s.Rest
	r.Value, r.Metrics = value, []adapt.Sample{{Value: value, Target: math.NaN()}}
	s.Rest = &r
	return s
}

// absurd are the values that every metric takes: missing, infinite, negative, tiny, huge.
func absurd() []float64 {
	return []float64{
		0, 1, -1, 0.5, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1e-300, 1e300, 1e9, -1e9,
	}
}

// Run tests one kind of controller: whatever it reads, what it says is a finite number or none; the same readings give the same
// answers; and it does not drift when it is on its target.
func Run(t *testing.T, s Subject) {
	t.Helper()
	if s.Period == 0 {
		s.Period = time.Second
	}
	t.Run("finite", func(t *testing.T) { s.finite(t) })
	t.Run("recovers", func(t *testing.T) { s.recovers(t) })
	t.Run("same", func(t *testing.T) { s.same(t) })
	if s.Rest != nil {
		t.Run("rests", func(t *testing.T) { s.rests(t) })
	}
}

// reading is the n-th of a fixed sequence in which every value meets every other. Standing values are what was asked for last.
func (s *Subject) reading(n int, value float64) *adapt.Reading {
	xs := absurd()
	r := &adapt.Reading{At: dsv.At(time.Duration(n+1) * s.Period), N: int64(n), Value: value, Bounds: s.Bounds}
	for k, m := range s.Sample {
		pick := func(i int) float64 { return xs[(n*(2*i+1)+n/len(xs)*(i+k)+3*k)%len(xs)] }
		m.Value = pick(0)
		if m.Each != nil {
			each := make([]adapt.Each, n%5)
			for i := range each {
				each[i] = adapt.Each{Server: i, Value: pick(i + 1), Ready: (n>>i)%3 != 0}
			}
			m.Each = each
		}
		r.Metrics = append(r.Metrics, m)
	}
	return r
}

const steps = 400

func (s *Subject) finite(t *testing.T) {
	c := s.New()
	value := s.Bounds.Least
	for n := range steps {
		r := s.reading(n, value)
		switch n % 11 {
		case 3:
			r.Value = math.NaN()
		case 7:
			r.Value = 0
		}
		a := c.Step(r)
		if math.IsInf(a.Value, 0) {
			t.Fatalf("step %d: got %v of %+v, want a finite number or none", n, a.Value, *r)
		}
		if !math.IsNaN(a.Value) {
			value = s.Bounds.Clamp(a.Value)
			if s.Bounds.Most > s.Bounds.Least && (value < s.Bounds.Least || value > s.Bounds.Most) {
				t.Fatalf("step %d: got %v, want within %+v", n, value, s.Bounds)
			}
		}
	}
}

// recovers has a controller that has read nonsense for a while come to rest like a new one, or to a finite answer at least.
func (s *Subject) recovers(t *testing.T) {
	if s.Rest == nil {
		t.Skip("it never rests")
	}
	c := s.New()
	for n := range steps {
		c.Step(s.reading(n, s.Rest.Value))
	}
	var last adapt.Answer
	for n := range 4 * (s.Warm + 10) {
		r := s.at(steps+n, s.Rest.Value)
		last = c.Step(r)
	}
	if math.IsInf(last.Value, 0) {
		t.Fatalf("got %v after nonsense, want a finite number or none", last.Value)
	}
}

func (s *Subject) same(t *testing.T) {
	a, b := s.New(), s.New()
	value := s.Bounds.Least
	for n := range steps {
		x, y := a.Step(s.reading(n, value)), b.Step(s.reading(n, value))
		if math.Float64bits(x.Value) != math.Float64bits(y.Value) && !(math.IsNaN(x.Value) && math.IsNaN(y.Value)) || len(x.Actions) != len(y.Actions) {
			t.Fatalf("step %d: got %+v and %+v, want the same", n, x, y)
		}
		for i := range x.Actions {
			if x.Actions[i].Text != y.Actions[i].Text {
				t.Fatalf("step %d: got %q and %q, want the same", n, x.Actions[i].Text, y.Actions[i].Text)
			}
		}
		if !math.IsNaN(x.Value) {
			value = s.Bounds.Clamp(x.Value)
		}
	}
}

// at is the reading at rest, as the n-th.
func (s *Subject) at(n int, value float64) *adapt.Reading {
	r := *s.Rest
	r.N, r.At, r.Value, r.Bounds = int64(n), dsv.At(time.Duration(n+1)*s.Period), value, s.Bounds
	return &r
}

func (s *Subject) rests(t *testing.T) {
	c := s.New()
	value, want := s.Rest.Value, math.NaN()
	for n := range s.Warm + 1000 {
		a := c.Step(s.at(n, value))
		if !math.IsNaN(a.Value) {
			value = s.Bounds.Clamp(a.Value)
		}
		if n == s.Warm {
			want = value
		}
		if n > s.Warm && math.Abs(value-want) > 1e-9*math.Max(1, math.Abs(want)) {
			t.Fatalf("step %d: got %v, want still %v", n, value, want)
		}
	}
	if s.Still && math.Abs(value-s.Rest.Value) > 1e-9*math.Max(1, math.Abs(value)) {
		t.Errorf("got %v, want %v, which was on target", value, s.Rest.Value)
	}
}
