package admit_test

import (
	"math"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-9*math.Max(1, math.Abs(want)) }

// The traces are computed by hand from the rules as published: the smoothed percentile begins at 0.
func TestRateTraces(t *testing.T) {
	type move struct {
		response       time.Duration // of 100 requests
		observed, rate float64
	}
	for _, tt := range []struct {
		name    string
		preset  admit.Preset
		initial float64
		trace   []move
	}{
		{"paper", admit.Paper, 0, []move{
			{100 * ms, 0.03, 101.74},                                   // err -0.97: + 2 × (0.97 - 0.1)
			{1 * sec, 0.321, 101.74 + 2*(0.679-0.1)},                   // 0.7 × 0.03 + 0.3; err -0.679
			{1 * sec, 0.5247, 101.74 + 1.158},                          // err -0.4753: above -0.5, nothing
			{4 * sec, 1.56729, 102.898 / 1.2},                          // above the target
			{4 * sec, 2.297103, 102.898 / 1.2 / 1.2},                   // still
			{0, 1.6079721, 102.898 / 1.2 / 1.2 / 1.2},                  // smoothing remembers
			{0, 1.12558047, 102.898 / 1.2 / 1.2 / 1.2 / 1.2},           //
			{0, 0.787906329, 102.898 / 1.2 / 1.2 / 1.2 / 1.2},          // between: nothing
			{0, 0.5515344303, 102.898 / 1.2 / 1.2 / 1.2 / 1.2},         //
			{0, 0.38607410121, 102.898/1.2/1.2/1.2/1.2 + 1.0278517976}, // 2 × (0.61392589879 - 0.1)
		}},
		{"code", admit.Code, 0, []move{
			{100 * ms, 0.03, 10.5},
			{2 * sec, 0.621, 11},    // below 0.9
			{2 * sec, 1.0347, 11},   // between 0.9 and 1.2
			{2 * sec, 1.32429, 5.5}, // above 1.2: halved
			{2 * sec, 1.527003, 2.75},
			{0, 1.0689021, 2.75},
			{0, 0.74823147, 3.25},
		}},
		{"the least rate", admit.Code, 0.06, []move{{100 * sec, 30, 0.05}, {100 * sec, 51, 0.05}}},
		{"the greatest rate", admit.Paper, 4999, []move{{0, 0, 5000}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := admit.NewRate(time.Second, tt.preset, tt.initial)
			at := dsv.Instant(0)
			for i, m := range tt.trace {
				for range 100 {
					at = at.Add(ms)
					c.Observe(at, m.response)
				}
				if !near(c.Observed(), m.observed) || !near(c.Rate(), m.rate) {
					t.Errorf("step %d: got %v observed and a rate of %v, want %v and %v", i, c.Observed(), c.Rate(), m.observed, m.rate)
				}
			}
		})
	}
}

// The percentile is the 91st of 100 in order, and the (0.9 n)-th, from 0, of n that came within a second.
func TestRatePercentile(t *testing.T) {
	c := admit.NewRate(time.Second, admit.Paper, 0)
	for i := range 100 {
		c.Observe(dsv.At(time.Duration(i)*ms), time.Duration(100-i)*10*ms)
	}
	if got, want := c.Observed(), 0.3*0.91; !near(got, want) {
		t.Errorf("of 10 ms to 1 s in steps of 10 ms: got %v, want %v", got, want)
	}
	last := dsv.At(99 * ms)
	for i := range 7 {
		c.Observe(last.Add(time.Duration(i+1)*ms), time.Duration(i)*100*ms)
	}
	if got, want := c.Next(), last.Add(time.Second); got != want {
		t.Errorf("next: got %v, want %v", got, want)
	}
	c.Advance(c.Next())
	if got, want := c.Observed(), 0.7*0.3*0.91+0.3*0.6; !near(got, want) { // int(6.3) = 6
		t.Errorf("of 0 to 600 ms: got %v, want %v", got, want)
	}
	if got := c.Next(); got != dsv.Never {
		t.Errorf("next without an observation: got %v, want never", got)
	}
	c.Observe(dsv.At(60*sec), 0) // more than a second after the last time: at once
	if got, want := c.Observed(), 0.7*(0.7*0.3*0.91+0.3*0.6); !near(got, want) || c.Next() != dsv.Never {
		t.Errorf("after a pause: got %v and next at %v, want %v and never", got, c.Next(), want)
	}
}

func TestThresholdTrace(t *testing.T) {
	c := admit.NewThreshold(time.Second, 10)
	for i, m := range []struct {
		response time.Duration
		want     int
	}{
		{100 * ms, 12}, {899 * ms, 14}, {900 * ms, 14}, {1100 * ms, 14}, {1101 * ms, 7}, {2 * sec, 3}, {2 * sec, 1}, {2 * sec, 1}, {0, 3},
	} {
		for n := range 200 {
			before := c.Threshold()
			c.Observe(m.response)
			if n < 199 && c.Threshold() != before {
				t.Fatalf("step %d: moved after %d requests", i, n+1)
			}
		}
		if got := c.Threshold(); got != m.want {
			t.Errorf("step %d, mean %v: got %d, want %d", i, m.response, got, m.want)
		}
	}
	c = admit.NewThreshold(time.Second, 0)
	if got, want := c.Threshold(), 1; got != want {
		t.Errorf("at the beginning: got %d, want %d", got, want)
	}
}

func TestBucket(t *testing.T) {
	b := admit.NewBucket(admit.BucketConfig{Rate: 10, Depth: 3})
	for i, s := range []struct {
		at   time.Duration
		want bool
	}{
		{0, true},
		{0, true},
		{0, true},
		{0, false},
		{99 * ms, false},
		{100 * ms, true},
		{100 * ms, false},
		{10 * sec, true},
		{10 * sec, true},
		{10 * sec, true},
		{10 * sec, false},
	} {
		if got := b.Take(dsv.At(s.at)); got != s.want {
			t.Errorf("step %d at %v: got %v, want %v", i, s.at, got, s.want)
		}
	}
	if got, want := b.Wait(dsv.At(10*sec)), 100*ms; got != want {
		t.Errorf("wait: got %v, want %v", got, want)
	}
	b.SetRate(dsv.At(10*sec+50*ms), 1) // half a token is there
	if got, want := b.Wait(dsv.At(10*sec+50*ms)), 500*ms; got != want {
		t.Errorf("wait at the new rate: got %v, want %v", got, want)
	}
	if b.Take(dsv.At(10*sec+549*ms)) || !b.Take(dsv.At(10*sec+550*ms)) {
		t.Error("at the new rate a token is due after 500 ms")
	}
}

// A bucket that is asked all the time lets pass what its rate says, plus what it held.
func TestBucketRate(t *testing.T) {
	b := admit.NewBucket(admit.BucketConfig{Rate: 333, Depth: 7})
	n := 0
	for at := dsv.Instant(0); at < dsv.At(10*sec); at = at.Add(137 * time.Microsecond) {
		if b.Take(at) {
			n++
		}
	}
	if want := 3330 + 7; n < want-1 || n > want {
		t.Errorf("passed in 10 s: got %d, want %d", n, want)
	}
}

// The trace follows the pseudocode of RFC 8289: a target of 5 ms, an interval of 100 ms; one request leaves every 10 ms.
func TestCoDelTrace(t *testing.T) {
	c := admit.NewCoDel(admit.CoDelConfig{Target: 5 * ms})
	var drops []time.Duration
	leave := func(at, waited time.Duration) {
		for c.Drop(dsv.At(at), waited, true) {
			drops = append(drops, at)
		}
	}
	for at := 10 * ms; at <= 500*ms; at += 10 * ms {
		leave(at, 20*ms)
	}
	// The wait is above the target from 10 ms on: the first drop is at 110 ms. Then 100/√1 = 100 ms later, 100/√2 = 70.7 ms
	// after that was due, 57.7, 50, 44.7; each at the next multiple of 10 ms: 210, 280.7, 338.4, 388.4, 433.2, 474.0.
	want := []time.Duration{110 * ms, 210 * ms, 290 * ms, 340 * ms, 390 * ms, 440 * ms, 480 * ms}
	if len(drops) != len(want) {
		t.Fatalf("drops: got %v, want %v", drops, want)
	}
	for i := range want {
		if drops[i] != want[i] {
			t.Errorf("drop %d: got %v, want %v", i, drops[i], want[i])
		}
	}
	drops = nil
	leave(510*ms, 4*ms) // below the target: dropping ends
	for at := 520 * ms; at <= 640*ms; at += 10 * ms {
		leave(at, 20*ms)
	}
	// Again above from 520 ms on: a drop at 620 ms. Dropping ended less than 16 intervals ago, so it goes on with the
	// count of then, 7 less the 1 that it began with: the next is 100/√6 = 40.8 ms later.
	for at := 650 * ms; at <= 670*ms; at += 10 * ms {
		leave(at, 20*ms)
	}
	want = []time.Duration{620 * ms, 670 * ms}
	if len(drops) != 2 || drops[0] != want[0] || drops[1] != want[1] {
		t.Errorf("drops of the second phase: got %v, want %v", drops, want)
	}
}

func TestCoDelSpares(t *testing.T) {
	c := admit.NewCoDel(admit.CoDelConfig{Target: 5 * ms})
	for at := 10 * ms; at < 2*sec; at += 10 * ms {
		if c.Drop(dsv.At(at), 50*ms, false) {
			t.Fatalf("at %v: dropped the last one", at)
		}
	}
	for at := 2 * sec; at < 4*sec; at += 10 * ms {
		waited := 50 * ms
		if at%(90*ms) == 0 { // a good queue: the wait falls below the target within each interval
			waited = 4 * ms
		}
		if c.Drop(dsv.At(at), waited, true) {
			t.Fatalf("at %v: dropped from a good queue", at)
		}
	}
}

func TestControllersAllocateNothing(t *testing.T) {
	r, th := admit.NewRate(time.Second, admit.Paper, 0), admit.NewThreshold(time.Second, 0)
	b, c := admit.NewBucket(admit.BucketConfig{Rate: 100, Depth: 10}), admit.NewCoDel(admit.CoDelConfig{Target: 5 * ms})
	at := dsv.Instant(0)
	if n := testing.AllocsPerRun(1000, func() {
		at = at.Add(3 * ms)
		r.Observe(at, time.Duration(at)%sec)
		th.Observe(time.Duration(at) % sec)
		b.Take(at)
		c.Drop(at, 20*ms, true)
	}); n != 0 {
		t.Errorf("allocations per request: got %v, want 0", n)
	}
}
