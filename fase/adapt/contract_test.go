package adapt_test

import (
	"math"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/adapt/adapttest"
	"github.com/eve-emulation/eve/fase/admit"
)

func utilityOf(t testing.TB, formula string, names ...string) adapt.Utility {
	t.Helper()
	var metrics []adapt.Metric
	for _, n := range names {
		metrics = append(metrics, adapt.Metric{Name: n})
	}
	f, err := expr.CompileFormula(formula, adapt.UtilityInputs(metrics))
	if err != nil {
		t.Fatal(err)
	}
	return adapt.Utility{Formula: f}
}

// TestContract holds every controller to what a Controller promises.
func TestContract(t *testing.T) {
	ten := adapt.Bounds{Least: 1, Most: 10, Whole: true}
	limit := adapt.Bounds{Least: 1, Most: 1000, Whole: true}
	at := func(value float64, see ...adapt.Sample) *adapt.Reading {
		return &adapt.Reading{Value: value, Metrics: see}
	}
	scale := adapttest.Subject{Sample: []adapt.Sample{whole(0.5, 0)}, Bounds: ten, Still: true, Rest: at(4, whole(0.5, 0.5))}
	subject := func(m adapt.Maker, s adapttest.Subject) adapttest.Subject {
		s.New = m.New
		return s
	}
	for name, s := range map[string]adapttest.Subject{
		"hpa": subject(adapt.HPA{}, scale),
		"hpa of replicas": subject(adapt.HPA{}, adapttest.Subject{
			Sample: []adapt.Sample{pods(0.5), whole(3, 0), per(5, 0)}, Bounds: ten, Still: true, Period: sync,
			Rest: at(3, pods(0.5, 0.5, 0.5, 0.5), whole(3, 3), per(5, 15)),
		}),
		"hpa unbounded": subject(adapt.HPA{}, adapttest.Subject{Sample: []adapt.Sample{whole(1e-300, 0)}}),
		"keda":          subject(adapt.KEDA{}, scale),
		"pi":            subject(adapt.PI{Kp: 2, Ki: 0.5, Period: time.Second}, scale),
		"pi down":       subject(adapt.PI{Kp: -2, Ki: -100, Period: time.Second}, scale),
		"pi without bounds": subject(adapt.PI{Kp: 1e300, Ki: 1e300, Period: time.Hour}, adapttest.Subject{
			Sample: []adapt.Sample{whole(-3, 0)},
		}),
		// An AIMD never rests while its limit is used.
		"aimd": subject(adapt.AIMD{}, adapttest.Subject{
			Sample: []adapt.Sample{whole(0.5, 0), {}}, Bounds: limit, Still: true, Rest: at(20, whole(0.5, 0.1), adapt.Sample{Value: 3}),
		}),
		"gradient2": subject(adapt.Gradient2{}, adapttest.Subject{
			Sample: make([]adapt.Sample, 2), Bounds: limit, Still: true, Rest: at(20, adapt.Sample{Value: 0.01}, adapt.Sample{Value: 3}),
		}),
		// While it is used it rises until the queue that it lets in shows.
		"vegas": subject(adapt.Vegas{}, adapttest.Subject{
			Sample: make([]adapt.Sample, 3), Bounds: limit, Still: true, Rest: at(20, adapt.Sample{Value: 0.01}, adapt.Sample{Value: 3}, adapt.Sample{}),
		}),
		"envoy": subject(adapt.Adaptive{Every: 1e9}, adapttest.Subject{
			// 1.25 L + sqrt(1.25 L) rises to the bound when nothing queues.
			Sample: make([]adapt.Sample, 1), Bounds: limit, Warm: 60, Rest: at(20, adapt.Sample{Value: 0.01}),
		}),
		"throttle": subject(adapt.Throttle{}, adapttest.Subject{
			Sample: make([]adapt.Sample, 2), Bounds: adapt.Bounds{Most: 1}, Still: true, Rest: at(0, adapt.Sample{Value: 50}, adapt.Sample{Value: 49}),
		}),
		"overload": subject(adapt.Overload{}, adapttest.Subject{
			// From half of the target to the target nothing changes.
			Sample: []adapt.Sample{whole(1, 0)}, Bounds: adapt.Bounds{Least: 0.05, Most: 5000}, Warm: 20, Rest: at(80, whole(1, 0.8)),
		}),
		"overload as released": subject(adapt.Overload{Preset: admit.Code}, adapttest.Subject{
			Sample: []adapt.Sample{whole(1, 0)}, Bounds: adapt.Bounds{Least: 0.05, Most: 5000}, Warm: 20, Rest: at(80, whole(1, 1)),
		}),
		"predictive": subject(adapt.Predictive{Ahead: 3}, adapttest.Subject{
			Sample: []adapt.Sample{whole(10, 0)}, Bounds: ten, Still: true, Rest: at(4, whole(10, 40)),
		}),
		"predictive with a season": subject(adapt.Predictive{Season: 7}, adapttest.Subject{
			Sample: []adapt.Sample{whole(10, 0)}, Bounds: ten, Still: true, Rest: at(4, whole(10, 40)),
		}),
		"utility": subject(utilityOf(t, "min(load, 12 * x) - 2 * x", "load"), adapttest.Subject{
			Sample: make([]adapt.Sample, 1), Bounds: ten, Still: true, Rest: at(4, adapt.Sample{Value: 47}),
		}),
		"utility of a share": subject(utilityOf(t, "x * load - x * x", "load"), adapttest.Subject{
			Sample: make([]adapt.Sample, 1), Bounds: adapt.Bounds{Most: 1}, Rest: at(0.5, adapt.Sample{Value: 1.4}),
		}),
		"remap": subject(adapt.Remap{
			Services: []adapt.Placed{{Name: "a", Service: 0}, {Name: "b", Service: 1}}, Capacity: []float64{1, 2}, Names: []string{"x", "y"},
		}, adapttest.Subject{Sample: make([]adapt.Sample, 2), Rest: &adapt.Reading{Metrics: make([]adapt.Sample, 2), Places: []int{0, 1}}}),
		"expr": subject(adapt.Follower{}, scale.Of(4)),
	} {
		t.Run(name, func(t *testing.T) { adapttest.Run(t, s) })
	}
}

// settled runs a controller on a plant, the value to the metrics, and returns the values that stood.
func settled(m adapt.Maker, b adapt.Bounds, value float64, n int, plant func(value float64) []adapt.Sample) []float64 {
	c := m.New()
	var trail []float64
	for k := range n {
		r := adapt.Reading{N: int64(k), Value: value, Metrics: plant(value), Bounds: b}
		if a := c.Step(&r); !math.IsNaN(a.Value) {
			value = b.Clamp(a.Value)
		}
		trail = append(trail, value)
	}
	return trail
}
