package adapt_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/rdr"
)

// TestWintersSeason forecasts a pure sinusoid, its error gone after two rounds.
func TestWintersSeason(t *testing.T) {
	const season = 24
	wave := func(n int) float64 { return 100 + 40*math.Sin(2*math.Pi*float64(n)/season) }
	w := adapt.Winters{Alpha: 0.5, Beta: 0.1, Gamma: 0.3, Season: season}
	for n := range 6 * season {
		if n < season-1 && !math.IsNaN(w.Forecast(1)) {
			t.Fatalf("after %d samples: got a forecast of %v, want none before a round is full", n, w.Forecast(1))
		}
		w.Add(wave(n))
		if n < 2*season {
			continue
		}
		for _, h := range []int{1, 5, season, season + 3} {
			if got := w.Forecast(h); math.Abs(got-wave(n+h)) > 1e-9 {
				t.Fatalf("after %d samples, %d ahead: got %v, want %v", n+1, h, got, wave(n+h))
			}
		}
	}
}

// TestWintersTrend forecasts a line, its error gone with time.
func TestWintersTrend(t *testing.T) {
	w := adapt.Winters{Alpha: 0.5, Beta: 0.1}
	for n := range 400 {
		w.Add(10 + 3*float64(n))
	}
	if got, want := w.Forecast(10), 10+3*409.0; math.Abs(got-want) > 1e-6 {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestPredictive is ahead of a ramp by as many steps as it was asked for, and of an HPA.
func TestPredictive(t *testing.T) {
	b := adapt.Bounds{Least: 1, Most: 1000, Whole: true}
	run := func(m adapt.Maker) []float64 {
		n := 0.0
		return settled(m, b, 10, 60, func(float64) []adapt.Sample {
			n++
			return []adapt.Sample{per(10, 100+20*n)}
		})
	}
	ahead := run(adapt.Predictive{Ahead: 4, Tolerance: 1e-9})
	at := run(adapt.Predictive{Ahead: 1, Tolerance: 1e-9})
	for n := 40; n < 60; n++ {
		if want := 10 + 2*float64(n+1+4); math.Abs(ahead[n]-want) > 1 || ahead[n]-at[n] < 5 {
			t.Errorf("step %d: got %v and %v, want %v, and 6 less", n, ahead[n], at[n], want)
		}
	}
}

// TestUtility finds what a search through all values finds.
func TestUtility(t *testing.T) {
	b := adapt.Bounds{Least: 1, Most: 20, Whole: true}
	u := utilityOf(t, "min(load, 12 * x) - 2 * x", "load")
	u.Gain = -1
	for load := 0.0; load < 300; load += 7.3 {
		best, want := math.Inf(-1), 0.0
		for x := 1.0; x <= 20; x++ {
			if y := math.Min(load, 12*x) - 2*x; y > best+1e-12 {
				best, want = y, x
			}
		}
		r := adapt.Reading{Value: 7, Metrics: []adapt.Sample{seen(load)}, Bounds: b}
		if got := u.New().Step(&r).Value; got != want {
			t.Errorf("load %v: got %v, want %v", load, got, want)
		}
	}
	// What stands is kept where nothing is better by the gain.
	u.Gain = 0.5
	r := adapt.Reading{Value: 6, Metrics: []adapt.Sample{seen(80)}, Bounds: b}
	if got := u.New().Step(&r).Value; got != 6 {
		t.Errorf("got %v, want 6: 7 brings 66 where 6 brings 60", got)
	}
	r.Metrics[0] = seen(math.NaN())
	if got := u.New().Step(&r).Value; !math.IsNaN(got) {
		t.Errorf("of an unknown load: got %v, want nothing", got)
	}
}

// oracle is the least that the busiest server can be, by trying every placement.
func oracle(demand, capacity []float64) float64 {
	at := make([]int, len(demand))
	best := math.Inf(1)
	for {
		best = math.Min(best, adapt.Busiest(demand, capacity, at))
		i := 0
		for ; i < len(at); i++ {
			if at[i]++; at[i] < len(capacity) {
				break
			}
			at[i] = 0
		}
		if i == len(at) {
			return best
		}
	}
}

// TestPlaceAgainstOracle places up to eight services on up to four servers as well as a search through all placements, or almost.
func TestPlaceAgainstOracle(t *testing.T) {
	const cases = 200
	exact, worst := 0, 1.0
	for n := range cases {
		k := rdr.Key(n).Mix(1)
		demand, capacity := make([]float64, 3+n%6), make([]float64, 2+n%3)
		at := make([]int, len(demand))
		for i := range demand {
			demand[i] = 0.05 + k.Mix(uint64(i)).Uniform()
		}
		for x := range capacity {
			capacity[x] = 1 + math.Floor(3*k.Mix(100+uint64(x)).Uniform())
		}
		ratio := adapt.Busiest(demand, capacity, adapt.Place(demand, capacity, at)) / oracle(demand, capacity)
		if ratio < 1-1e-9 {
			t.Fatalf("case %d: got %v of what is possible", n, ratio)
		}
		if ratio < 1+1e-9 {
			exact++
		}
		worst = math.Max(worst, ratio)
	}
	t.Logf("the least in %d of %d, at worst %.3f of it", exact, cases, worst)
	if exact < cases*9/10 || worst > 1.1 {
		t.Errorf("got the least in %d of %d, at worst %.3f of it; want nine of ten, and at worst 1.1", exact, cases, worst)
	}
}

// TestRemap moves from the busiest server, and only where that is worth it.
func TestRemap(t *testing.T) {
	m := adapt.Remap{
		Services: []adapt.Placed{{Name: "static", Service: 0}, {Name: "app", Service: 1}},
		Capacity: []float64{1, 1, 0}, Names: topology().Servers,
	}
	for _, tt := range []struct {
		name   string
		demand [2]float64
		at     []int
		want   string
	}{
		{"both on one", [2]float64{0.5, 0.4}, []int{0, 0}, "move static to server_2"},
		{"not worth it", [2]float64{0.5, 0.09}, []int{0, 0}, ""},
		{"as it should be", [2]float64{0.5, 0.4}, []int{0, 1}, ""},
		{"under way", [2]float64{0.5, 0.4}, []int{-1, 0}, ""},
		{"from a server without capacity", [2]float64{0.5, 0.4}, []int{0, 2}, "move app to server_2"},
		{"unknown", [2]float64{math.NaN(), 0.4}, []int{0, 0}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := adapt.Reading{Metrics: []adapt.Sample{seen(tt.demand[0]), seen(tt.demand[1])}, Places: tt.at, Value: math.NaN()}
			var got strings.Builder
			a := m.New().Step(&r)
			for _, do := range a.Actions {
				got.WriteString(do.Text)
			}
			if got.String() != tt.want || !math.IsNaN(a.Value) {
				t.Errorf("got %q and %v, want %q and no value", got.String(), a.Value, tt.want)
			}
		})
	}
}

// TestControllersDoNotAllocate steps those that are asked often.
func TestControllersDoNotAllocate(t *testing.T) {
	for name, m := range map[string]adapt.Maker{
		"pi": adapt.PI{Kp: 1, Ki: 1, Period: time.Second}, "aimd": adapt.AIMD{}, "gradient2": adapt.Gradient2{}, "vegas": adapt.Vegas{},
		"envoy": adapt.Adaptive{}, "throttle": adapt.Throttle{}, "expr": adapt.Follower{}, "utility": utilityOf(t, "x - a * x * x", "a", "b"),
	} {
		c := m.New()
		r := adapt.Reading{Value: 20, Metrics: []adapt.Sample{whole(0.5, 0.7), seen(15)}, Bounds: adapt.Bounds{Least: 1, Most: 100, Whole: true}}
		step := func() {
			r.N++
			r.At += dsv.At(time.Second)
			c.Step(&r)
		}
		step()
		if n := testing.AllocsPerRun(100, step); n > 0 {
			t.Errorf("%s: got %v allocations a step, want none", name, n)
		}
	}
}
