package adapt_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/admit"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(1, math.Abs(b)) }

func seen(x float64) adapt.Sample { return adapt.Sample{Value: x, Target: math.NaN()} }

// TestPIStep: on a plant whose metric is proportional to the value, the error follows its difference equation exactly.
func TestPIStep(t *testing.T) {
	const gain, target = 0.1, 2.0 // metric = 0.1 value, so 20 is on target
	for _, tt := range []struct{ kp, ki float64 }{{0, -8}, {-6, -4}, {-10, -2}, {-12, -3}} {
		b := adapt.Bounds{Least: -1000, Most: 1000}
		error := func(v float64) float64 { return (gain*v - target) / target }
		trail := settled(adapt.PI{Kp: tt.kp, Ki: tt.ki, Period: time.Second}, b, 5, 300, func(v float64) []adapt.Sample {
			return []adapt.Sample{whole(target, gain*v)}
		})
		k := gain / target
		before, e := error(5), error(5)
		for n, v := range trail {
			next := e*(1+k*(tt.kp+tt.ki)) - k*tt.kp*before
			if got := error(v); math.Abs(got-next) > 1e-9 {
				t.Fatalf("kp %v, ki %v, step %d: got an error of %v, want %v", tt.kp, tt.ki, n, got, next)
			}
			before, e = e, next
		}
		if math.Abs(e) > 1e-6 {
			t.Errorf("kp %v, ki %v: got an error of %v in the end, want 0: these gains are stable", tt.kp, tt.ki, e)
		}
	}
}

// TestPIWindup: after a long time at a bound it leaves as soon as the error turns.
func TestPIWindup(t *testing.T) {
	b := adapt.Bounds{Least: 1, Most: 10}
	for _, kp := range []float64{0, 1} {
		see := 5.0
		n := 0
		trail := settled(adapt.PI{Kp: kp, Ki: 1, Period: time.Second}, b, 5, 1001, func(float64) []adapt.Sample {
			if n++; n > 1000 {
				see = 0.5
			}
			return []adapt.Sample{whole(1, see)}
		})
		if trail[999] != 10 || !(trail[1000] < 10) {
			t.Errorf("kp %v: got %v and then %v, want 10 and then less", kp, trail[999], trail[1000])
		}
	}
}

// TestPIResumes goes on from what somebody else has set, and has the dead band hold it.
func TestPIResumes(t *testing.T) {
	c := adapt.PI{Ki: 1, Dead: 0.1, Period: time.Second}.New()
	b := adapt.Bounds{Least: 1, Most: 100, Whole: true}
	for n, s := range []struct{ stands, see, want float64 }{
		{math.NaN(), 2, math.NaN()}, {4, 2, 5}, {5, 2, 6}, {20, 2, 21}, {21, 1.1, 21}, {21, 0.9, 21}, {21, 0.5, 21}, {21, 0.5, 20},
	} {
		r := adapt.Reading{N: int64(n), Value: s.stands, Metrics: []adapt.Sample{whole(1, s.see)}, Bounds: b}
		if got := c.Step(&r).Value; got != s.want && !(math.IsNaN(got) && math.IsNaN(s.want)) {
			t.Fatalf("step %d: got %v, want %v", n, got, s.want)
		}
	}
}

// TestAIMDIsFair: two that share a capacity come to equal shares, as Chiu and Jain show, whatever they began with.
func TestAIMDIsFair(t *testing.T) {
	const capacity = 100
	shares := []float64{90, 2}
	var cs []adapt.Controller
	for range shares {
		cs = append(cs, adapt.AIMD{Decrease: 0.5}.New())
	}
	for n := range 2000 {
		used := shares[0] + shares[1]
		for i := range shares {
			r := adapt.Reading{N: int64(n), Value: shares[i], Metrics: []adapt.Sample{whole(capacity, used)}, Bounds: adapt.Bounds{Least: 1, Most: 1000}}
			shares[i] = cs[i].Step(&r).Value
		}
	}
	sum, squares := shares[0]+shares[1], shares[0]*shares[0]+shares[1]*shares[1]
	if index := sum * sum / (2 * squares); index < 0.9999 {
		t.Errorf("got %v, an index of fairness of %v, want 1", shares, index)
	}
}

// TestGradient2 holds single steps to the formula.
func TestGradient2(t *testing.T) {
	c := adapt.Gradient2{Window: 99}.New()
	b := adapt.Bounds{Least: 1, Most: 1000}
	limit, long := 20.0, 0.0
	for n, s := range []struct{ rtt, inFlight float64 }{
		{1, 20}, {1, 20}, {1, 5}, {1, 20}, {1, 20}, {1, 20}, {1, 20}, {1, 20}, {1, 20}, {1, 20}, {2, 30}, {9, 30}, {0.1, 30}, {0.4, 30}, {1, 3},
	} {
		if n < 10 {
			long += (s.rtt - long) / float64(n+1)
		} else {
			long += 0.02 * (s.rtt - long)
		}
		if long > 2*s.rtt {
			long *= 0.9
		}
		want := limit
		if s.inFlight >= limit/2 {
			g := math.Max(0.5, math.Min(1, 1.5*long/s.rtt))
			want = 0.8*limit + 0.2*(g*limit+4)
		}
		r := adapt.Reading{N: int64(n), Value: limit, Metrics: []adapt.Sample{seen(s.rtt), seen(s.inFlight)}, Bounds: b}
		if got := c.Step(&r).Value; !math.IsNaN(got) {
			limit = got
		}
		if !near(limit, want) {
			t.Fatalf("step %d: got %v, want %v", n, limit, want)
		}
	}
}

// queueing is a station of ten that are served at once in 1 s: beyond ten in flight the response time is Little's law.
func queueing(limit float64) []adapt.Sample {
	return []adapt.Sample{seen(math.Max(1, limit/10)), seen(limit)}
}

// TestVegas settles where its queue is from 3 to 6: at 13 to 16 of a station of ten.
func TestVegas(t *testing.T) {
	for _, begin := range []float64{1, 5, 20, 200} {
		m := adapt.Vegas{Probe: 1e9}
		c := m.New()
		stands := begin
		step := func(n int, see []adapt.Sample) {
			r := adapt.Reading{N: int64(n), Value: stands, Metrics: see, Bounds: adapt.Bounds{Least: 1, Most: 1000, Whole: true}}
			if a := c.Step(&r); !math.IsNaN(a.Value) {
				stands = a.Value
			}
		}
		step(0, queueing(1)) // it has seen the station without load
		for n := 1; n < 300; n++ {
			step(n, queueing(stands))
		}
		at := stands
		for n := 300; n < 400; n++ {
			step(n, queueing(stands))
		}
		if at < 13 || at > 16 || stands != at {
			t.Errorf("from %v: got %v and then %v, want from 13 to 16, and the same", begin, at, stands)
		}
	}
}

// TestVegasErrors falls by one with each step that had errors.
func TestVegasErrors(t *testing.T) {
	trail := settled(adapt.Vegas{}, adapt.Bounds{Least: 1, Most: 1000, Whole: true}, 20, 5, func(v float64) []adapt.Sample {
		return []adapt.Sample{seen(1), seen(1), seen(3)}
	})
	if want := []float64{20, 19, 18, 17, 16}; !slices.Equal(trail, want) {
		t.Errorf("got %v, want %v", trail, want)
	}
}

// TestAdaptive settles at g L + sqrt(g L) with g L = 1.25 × 10, and dips when it measures.
func TestAdaptive(t *testing.T) {
	const period = 100
	trail := settled(adapt.Adaptive{Every: period, Probe: 4}, adapt.Bounds{Least: 1, Most: 1000}, 40, 4*period, queueing)
	want := 12.5 + math.Sqrt(12.5)
	dips, pinned := 0, 0
	for n, v := range trail {
		if v == 3 {
			pinned++
			if n > 0 && trail[n-1] != 3 {
				dips++
			}
		}
		if n > 20 && v != 3 && trail[n-1] != 3 && n%period > 50 && n%period < 90 && math.Abs(v-want) > 1e-6 {
			t.Fatalf("step %d: got %v, want %v", n, v, want)
		}
	}
	if dips != 3 || pinned < 3*4 {
		t.Errorf("got %d dips after the first, pinned for %d steps in all; want 3", dips, pinned)
	}
}

func TestThrottle(t *testing.T) {
	for _, tt := range []struct {
		m                       adapt.Throttle
		requests, accepts, want float64
	}{
		{adapt.Throttle{}, 100, 100, 0},
		{adapt.Throttle{}, 100, 50, 0},
		{adapt.Throttle{}, 100, 10, 80.0 / 101},
		{adapt.Throttle{}, 0, 0, 0},
		{adapt.Throttle{}, 9, 0, 0.9},
		{adapt.Throttle{K: 1.1}, 100, 50, 45.0 / 101},
		{adapt.Throttle{K: 1 / 0.95, Aggression: 2}, 100, 19, math.Sqrt(80.0 / 101)},
		{adapt.Throttle{Window: 10}, 10, 1, 80.0 / 101},
	} {
		r := adapt.Reading{Metrics: []adapt.Sample{seen(tt.requests), seen(tt.accepts)}, Bounds: adapt.Bounds{Most: 1}}
		if got := tt.m.New().Step(&r).Value; !near(got, tt.want) {
			t.Errorf("%+v of %v and %v: got %v, want %v", tt.m, tt.requests, tt.accepts, got, tt.want)
		}
	}
}

// TestOverloadIsRate: where each period has 100 responses that are alike, it is the controller of admission.
func TestOverloadIsRate(t *testing.T) {
	for _, preset := range []admit.Preset{admit.Paper, admit.Code} {
		rate := admit.NewRate(time.Second, preset, 40)
		c := adapt.Overload{Preset: preset}.New()
		stands := 40.0
		for n := range 200 {
			response := time.Duration(1+n%37*n%91) * 25 * time.Millisecond
			at := dsv.At(time.Duration(n+1) * 500 * time.Millisecond)
			for range 100 {
				rate.Observe(at, response)
			}
			r := adapt.Reading{N: int64(n), Value: stands, Metrics: []adapt.Sample{whole(1, response.Seconds())}, Bounds: adapt.Bounds{Least: 0.05, Most: 5000}}
			stands = c.Step(&r).Value
			if !near(stands, rate.Rate()) {
				t.Fatalf("preset %d, step %d: got %v, want %v", preset, n, stands, rate.Rate())
			}
		}
	}
}

// TestOverloadStaysWithinBounds: the rate of a controller that had time to spare falls with the first percentile that is too long,
// and rises with the first that is short.
func TestOverloadStaysWithinBounds(t *testing.T) {
	c := adapt.Overload{}.New()
	b := adapt.Bounds{Least: 1, Most: 10}
	value := 5.0
	step := func(n int, see float64) float64 {
		r := adapt.Reading{N: int64(n), Value: value, Metrics: []adapt.Sample{whole(1, see)}, Bounds: b}
		value = c.Step(&r).Value
		return value
	}
	for n := range 100 {
		step(n, 0)
	}
	if got := step(100, 10); value != 10/1.2 {
		t.Errorf("above the target after a long calm: got %v, want %v", got, 10/1.2)
	}
	for n := range 100 {
		step(101+n, 10)
	}
	for n := 201; value == 1; n++ {
		if n > 220 {
			t.Fatal("it does not rise from its least")
		}
		step(n, 0)
	}
	if want := 1 + 2*(1-0.1-10*math.Pow(0.7, 9)); !near(value, want) {
		t.Errorf("below half of the target after a long overload: got %v, want %v", value, want)
	}
}

// TestGradient2WarmsUp: what falls of the long mean while it is averaged plainly is forgotten with the next sample, as in its source,
// and the limit goes out as its whole part.
func TestGradient2WarmsUp(t *testing.T) {
	c := adapt.Gradient2{Tolerance: 1}.New()
	b := adapt.Bounds{Least: 1, Most: 1000, Whole: true}
	limit, want := 20.0, 20.0
	// The plain means are 3, 2, 4.3/3, which is more than twice 0.3 and falls by a tenth, and 7.3/4, which is as if it had not.
	for n, s := range []struct{ rtt, long float64 }{{3, 3}, {1, 2}, {0.3, 4.3 / 3}, {3, 7.3 / 4}} {
		want = 0.8*want + 0.2*(math.Max(0.5, math.Min(1, s.long/s.rtt))*want+4)
		r := adapt.Reading{N: int64(n), Value: limit, Metrics: []adapt.Sample{seen(s.rtt), seen(20)}, Bounds: b}
		if limit = c.Step(&r).Value; limit != math.Floor(want) {
			t.Fatalf("step %d: got %v, want the whole part of %v", n, limit, want)
		}
	}
}

// TestAdaptiveMeasuresAnewWhereItIsLow: at the sixth window that leaves it at its least, the fifth that found it there.
func TestAdaptiveMeasuresAnewWhereItIsLow(t *testing.T) {
	c := adapt.Adaptive{Probe: 1, Every: 1e9}.New()
	b := adapt.Bounds{Least: 1, Most: 1000, Whole: true}
	value := 7.0
	step := func(n int, rtt float64) {
		r := adapt.Reading{N: int64(n), Value: value, Metrics: []adapt.Sample{seen(rtt)}, Bounds: b}
		value = c.Step(&r).Value
	}
	step(0, 1)
	step(1, 1) // the least is 1
	if value != 7 {
		t.Fatalf("after the measurement: got %v, want 7", value)
	}
	step(2, 1) // 1.25 × 7 + sqrt(1.25 × 7) = 11.7
	if value != 11 {
		t.Fatalf("got %v, want 11", value)
	}
	var trail []float64
	for n := 3; n < 13; n++ { // half of it and its root: 5.5 + 2.3 = 7, 3.5 + 1.9 = 5, 2.5 + 1.6 = 4, 2 + 1.4 = 3, 1.5 + 1.2 = 2, so 3
		step(n, 100)
		trail = append(trail, value)
	}
	if want := []float64{7, 5, 4, 3, 3, 3, 3, 3, 3, 3}; !slices.Equal(trail, want) {
		t.Fatalf("got %v, want %v", trail, want)
	}
	// It came to 3 at step 6, and stayed there at 7 to 11: at 11 it begins to measure, 12 is skipped, 13 measures 100.
	step(13, 100)
	step(14, 100) // 1.25 × 3 + sqrt(1.25 × 3) = 5.7
	if value != 5 {
		t.Errorf("after the new measurement: got %v, want 5", value)
	}
}
