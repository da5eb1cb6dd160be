package adapt_test

import (
	"math"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
)

var missing = math.NaN()

// pods are readings of replicas: those below 0 are of replicas that are not ready, of -x; NaN is missing.
func pods(target float64, xs ...float64) adapt.Sample {
	s := adapt.Sample{Target: target, Each: []adapt.Each{}}
	for i, x := range xs {
		e := adapt.Each{Server: i, Value: math.Abs(x), Ready: !math.Signbit(x)}
		s.Each = append(s.Each, e)
	}
	return s
}

func whole(target, x float64) adapt.Sample { return adapt.Sample{Value: x, Target: target} }

func per(target, x float64) adapt.Sample { return adapt.Sample{Value: x, Target: target, Per: true} }

// step is one step of a trace: what is seen, and what was computed by hand for what stands thereafter.
type hpaStep struct {
	at   time.Duration
	see  []adapt.Sample
	want float64
}

func every(from, to, period time.Duration, want float64, see ...adapt.Sample) []hpaStep {
	var list []hpaStep
	for at := from; at <= to; at += period {
		list = append(list, hpaStep{at, see, want})
	}
	return list
}

func join(parts ...[]hpaStep) []hpaStep {
	var all []hpaStep
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

const sync = 15 * time.Second

// TestHPATraces holds the controller to traces that were computed by hand from Kubernetes' documentation.
func TestHPATraces(t *testing.T) {
	one := func(at time.Duration, want float64, see ...adapt.Sample) []hpaStep { return []hpaStep{{at, see, want}} }
	for _, tt := range []struct {
		name        string
		hpa         adapt.HPA
		start       float64
		least, most float64
		steps       []hpaStep
	}{
		{
			// ceil(3 × 0.9/0.5) = ceil(5.4) = 6; then 0.52/0.5 = 1.04 and 0.55/0.5 = 1.1 are within the tolerance of 0.1, 0.56/0.5 =
			// 1.12 is not: ceil(6.72) = 7. 0.31/0.5 = 0.62: ceil(4.34) = 5, but 7 was recommended within the last 5 minutes.
			"formula and tolerance", adapt.HPA{}, 3, 1, 20, join(
				one(1*sync, 6, whole(0.5, 0.9)), one(2*sync, 6, whole(0.5, 0.52)), one(3*sync, 6, whole(0.5, 0.55)),
				one(4*sync, 7, whole(0.5, 0.56)), one(5*sync, 7, whole(0.5, 0.31)), one(6*sync, 7, whole(0.5, missing)),
			),
		},
		{
			// 20 are asked for. Within 15 s it grows by 4 or doubles, whichever is more: 1 + 4 = 5; 2 × 5 = 10; 2 × 10 = 20. The target
			// is one replica's share: ceil(1990/100) = 20, then ceil(2500/100) = 25 of which 24 is the most.
			"growth is bounded", adapt.HPA{}, 1, 1, 24, join(
				one(1*sync, 5, per(100, 1990)), one(2*sync, 10, per(100, 1990)), one(3*sync, 20, per(100, 1990)),
				one(4*sync, 20, per(100, 2100)), one(5*sync, 24, per(100, 2500)),
			),
		},
		{
			// At 15 s 10 are recommended, from 30 s on ceil(10 × 0.2/0.5) = 4. For 5 minutes the greatest counts: at 300 s the 10 of
			// 15 s is 285 s old, at 315 s it is 300 s old and counts no more. With 4, 0.48/0.5 is within the tolerance.
			"shrinking waits five minutes", adapt.HPA{}, 10, 2, 10, join(
				one(sync, 10, whole(0.5, 0.5)), every(2*sync, 20*sync, sync, 10, whole(0.5, 0.2)),
				one(21*sync, 4, whole(0.5, 0.2)), every(22*sync, 30*sync, sync, 4, whole(0.5, 0.48)),
			),
		},
		{
			// Three at 0.9 of 0.5: 1.8. One that is not ready counts 0: 2.7/4/0.5 = 1.35, ceil(1.35 × 4) = 6. The same with one that is
			// missing. Two at 0.6: 1.2; with two that are not ready 1.2/4/0.5 = 0.6 would turn the direction: nothing. Three at 0.2: 0.4; one
			// missing counts its target: (0.6 + 0.5)/4/0.5 = 0.55, ceil(2.2) = 3. That who is not ready does not count in shrinking:
			// two at 0.2: ceil(0.4 × 2) = 1. None ready: nothing is known.
			"unready and missing", adapt.HPA{Down: adapt.Scaling{Window: -1}}, 4, 1, 20, join(
				one(1*sync, 6, pods(0.5, 0.9, 0.9, 0.9, -0.1)),
				one(2*sync, 6, pods(0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)),
				one(3*sync, 6, pods(0.5, 0.6, 0.6, -0.1, -0.1)),
				one(4*sync, 3, pods(0.5, 0.2, 0.2, 0.2, missing)),
				one(5*sync, 3, pods(0.5, -0.9, -0.9, -0.9)),
				one(6*sync, 1, pods(0.5, 0.2, 0.2, -0.1)),
			),
		},
		{
			// The greatest of several counts: ceil(4 × 0.8/0.5) = 7 and ceil(4 × 30/40) = 3: 7. Of 7: 0.25/0.5 asks for 4, 36/40 stays 7:
			// 7. With one unknown it does not shrink: 7 stays for ceil(7 × 0.5) = 4; but grows: ceil(7 × 1.2) = 9. Then down by
			// at most 2 per minute, though ceil(9 × 0.2) = 2 and ceil(9 × 8/40) = 2: 7; 5 a minute later.
			"several metrics, and policies", adapt.HPA{Down: adapt.Scaling{
				Window: -1, Policies: []adapt.Policy{{Pods: 2, Period: time.Minute}, {Percent: 50, Period: time.Minute}}, Select: adapt.LeastChange,
			}}, 4, 1, 20, join(
				one(1*sync, 7, whole(0.5, 0.8), whole(40, 30)), one(2*sync, 7, whole(0.5, 0.25), whole(40, 36)),
				one(3*sync, 7, whole(0.5, 0.25), whole(40, missing)), one(4*sync, 9, whole(0.5, 0.6), whole(40, missing)),
				one(8*sync, 7, whole(0.5, 0.1), whole(40, 8)), one(9*sync, 7, whole(0.5, 0.1), whole(40, 8)),
				one(11*sync, 7, whole(0.5, 0.1), whole(40, 8)), one(12*sync, 5, whole(0.5, 0.1), whole(40, 8)),
			),
		},
		{
			// Upwards the least recommendation of 30 s counts: 8 is asked for at 15 s, but 4 stood at the beginning and at 30 s. Of three at 8
			// the one that counts is 8, once those of 4 are 30 s old: at 75 s those of 45 s and later remain.
			"growth waits", adapt.HPA{Up: adapt.Scaling{Window: 30 * time.Second}}, 4, 1, 20, join(
				one(1*sync, 4, whole(0.5, 1)), one(2*sync, 4, whole(0.5, 0.5)), one(3*sync, 4, whole(0.5, 1)), one(4*sync, 8, whole(0.5, 1)),
			),
		},
		{
			"never down, and bounds", adapt.HPA{Down: adapt.Scaling{Window: -1, Select: adapt.NoChange}}, 30, 3, 20, join(
				one(1*sync, 20, whole(0.5, 0.5)), one(2*sync, 20, whole(0.5, 0.1)), one(40*sync, 20, whole(0.5, 0.1)),
			),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.hpa.New()
			stands := tt.start
			for n, s := range tt.steps {
				r := adapt.Reading{
					At: dsv.At(s.at), N: int64(n), Value: stands, Metrics: s.see,
					Bounds: adapt.Bounds{Least: tt.least, Most: tt.most, Whole: true},
				}
				if a := c.Step(&r); !math.IsNaN(a.Value) {
					stands = a.Value
				}
				if stands != s.want {
					t.Fatalf("at %v: got %v, want %v", s.at, stands, s.want)
				}
			}
		})
	}
}

// TestHPAConverges: with utilisation = load/n the formula comes to ceil(load/target) in one step, unless the tolerance holds it.
func TestHPAConverges(t *testing.T) {
	for load := 0.5013; load < 40; load += 0.37 {
		for n := 1.0; n <= 20; n++ {
			c := adapt.HPA{Up: adapt.Scaling{Policies: []adapt.Policy{{Pods: 100, Period: time.Second}}}, Down: adapt.Scaling{Window: -1}}.New()
			r := adapt.Reading{At: dsv.At(sync), Value: n, Metrics: []adapt.Sample{whole(0.6, load/n)}, Bounds: adapt.Bounds{Least: 1, Most: 100, Whole: true}}
			want := math.Ceil(load / 0.6)
			if math.Abs(load/n/0.6-1) <= 0.1 {
				want = n
			}
			if got := c.Step(&r).Value; got != want {
				t.Errorf("load %v on %v: got %v, want %v", load, n, got, want)
			}
		}
	}
}

// TestKEDA wakes from nothing, goes on as an HPA, and goes to sleep after its cooldown.
func TestKEDA(t *testing.T) {
	c := adapt.KEDA{HPA: adapt.HPA{Down: adapt.Scaling{Window: -1}}, Cooldown: time.Minute}.New()
	stands := 0.0
	for n, s := range []struct{ load, want float64 }{
		{0, 0}, {3, 1}, {35, 4}, {0, 1}, {missing, 1}, {0, 1}, {0, 0}, {0, 0}, {1, 1},
	} {
		r := adapt.Reading{At: dsv.At(time.Duration(n+1) * 30 * time.Second), Value: stands, Metrics: []adapt.Sample{per(10, s.load)}, Bounds: adapt.Bounds{Most: 9, Whole: true}}
		if a := c.Step(&r); !math.IsNaN(a.Value) {
			stands = a.Value
		}
		if stands != s.want {
			t.Fatalf("step %d: got %v, want %v", n, stands, s.want)
		}
	}
}
