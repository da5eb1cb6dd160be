package user_test

import (
	"math"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
)

// within fails a test whose function takes longer than real time allows: a core that never comes to the next instant.
func within(t *testing.T, d time.Duration, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(d):
		t.Fatalf("not done after %v", d)
	}
}

func TestUsersWithoutThinkTimeGetOn(t *testing.T) {
	for _, tt := range []struct {
		name, src string
		want      int // requests of two users in 100 ms
	}{
		{"requests that call nobody", "par { }", 200},
		{"calls that take no time", "call app { reply 1B }", 200},
		{"calls that fail at once", "retry 3 { call app { fail 1 } }", 200},
		{"calls that take a time", "call app { wait 5ms }", 40},
	} {
		t.Run(tt.name, func(t *testing.T) {
			within(t, 5*time.Second, func() {
				got := len(run(t, user.Config{Users: 2, Request: request(t, tt.src)}, machine.Config{}, 100*time.Millisecond))
				if got != tt.want {
					t.Errorf("requests of two users in 100 ms: got %d, want %d", got, tt.want)
				}
			})
		})
	}
}

// sends steps a group that nobody answers and returns when it sent.
func sends(g *user.Group, until dsv.Instant, most int) []dsv.Instant {
	var at []dsv.Instant
	for g.Next() <= until && len(at) < most {
		g.Advance(g.Next())
		for _, e := range g.Effects() {
			if e.Kind == step.Send {
				at = append(at, e.At)
			}
		}
	}
	return at
}

func newGroup(t *testing.T, cfg user.Config) *user.Group {
	t.Helper()
	cfg.Name, cfg.Topology, cfg.Services = "crowd", topology, []service.Config{{Name: "app"}}
	cfg.Request = request(t, "call app { }")
	g := user.NewGroup(cfg, func(dsv.Name) *dmm.Var { return nil })
	g.Changed(0, 0, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}})
	return g
}

func TestRatesAtTheEdge(t *testing.T) {
	const s = dsv.Instant(time.Second)
	for _, tt := range []struct {
		name   string
		points []user.Point
		want   []dsv.Instant
	}{
		{"constant", []user.Point{{0, 2}}, []dsv.Instant{s / 2, s, 3 * s / 2}},
		{"none at first", []user.Point{{0, 0}, {s, 0}, {s, 1}}, []dsv.Instant{2 * s, 3 * s, 4 * s}},
		{"a pause", []user.Point{{0, 1}, {s + s/2, 1}, {s + s/2, 0}, {4 * s, 0}, {4 * s, 1}}, []dsv.Instant{s, 4*s + s/2, 5*s + s/2}},
		{"a ramp from nothing", []user.Point{{0, 0}, {2 * s, 2}}, []dsv.Instant{1414213562, 2 * s, 2*s + s/2}},
		{"a ramp to nothing", []user.Point{{0, 2}, {2 * s, 0}}, []dsv.Instant{585786438, 2 * s}},
		{"next to nothing", []user.Point{{0, 1e-12}}, nil},
		{"down to next to nothing", []user.Point{{0, 1}, {s + s/2, 1}, {s + s/2, 1e-300}}, []dsv.Instant{s}},
		{"nothing", []user.Point{{0, 0}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := sends(newGroup(t, user.Config{Law: user.Constant, Rate: tt.points, End: 100 * s}), 6*s, 3)
			if len(got) != len(tt.want) {
				t.Fatalf("sent: got %v, want %v", got, tt.want)
			}
			for i := range got {
				if d := got[i] - tt.want[i]; d < -1 || d > 1 {
					t.Errorf("request %d: sent at %v, want %v", i, got[i], tt.want[i])
				}
			}
		})
	}
}

func TestSetRateAtTheEdge(t *testing.T) {
	const s = dsv.Instant(time.Second)
	for _, tt := range []struct {
		rate float64
		want []dsv.Instant // the second request, half of whose gap is over when the rate is set at 1.5 s
	}{
		{2, []dsv.Instant{s + 3*s/4}},
		{0, nil},
		{1e-300, nil},
		{-1, []dsv.Instant{2 * s}}, // no rate: ignored
		{math.NaN(), []dsv.Instant{2 * s}},
		{math.Inf(1), []dsv.Instant{2 * s}},
	} {
		g := newGroup(t, user.Config{Law: user.Constant, Rate: []user.Point{{0, 1}}, End: 100 * s})
		if got := sends(g, 3*s/2, 5); len(got) != 1 || got[0] != s {
			t.Fatalf("sent before: got %v, want [1 s]", got)
		}
		g.SetRate(3*s/2, 0, tt.rate)
		within(t, 5*time.Second, func() {
			if got := sends(g, 10*s, 1); len(got) != len(tt.want) || len(got) > 0 && got[0] != tt.want[0] {
				t.Errorf("rate %v: sent at %v, want %v", tt.rate, got, tt.want)
			}
		})
	}
}

func TestRateBeyondMeasureIsBounded(t *testing.T) {
	g := newGroup(t, user.Config{Law: user.Constant, Rate: []user.Point{{0, 1}}, End: 100 * dsv.Instant(time.Second)})
	g.SetRate(0, 0, 1e300)
	within(t, 5*time.Second, func() {
		if got := len(sends(g, dsv.At(10*time.Millisecond), 1_000_000)); got < 90_000 || got > 110_000 {
			t.Errorf("requests in 10 ms at the greatest rate: got %d, want 100000", got)
		}
	})
}

func TestRateBackFromNothing(t *testing.T) {
	const s = dsv.Instant(time.Second)
	g := newGroup(t, user.Config{Law: user.Constant, Rate: []user.Point{{0, 1}}, End: 100 * s})
	g.SetRate(0, s/2, 0)
	g.SetRate(0, 10*s, 4)
	// Half of the gap was over: the other half takes 0.125 s at 4 a second.
	if got := sends(g, 20*s, 2); len(got) != 2 || got[0] != 10*s+s/8 || got[1] != 10*s+s/8+s/4 {
		t.Errorf("sent at %v, want [10.125 s 10.375 s]", got)
	}
}

func TestPatienceShorterThanTheLink(t *testing.T) {
	const n = 50
	records := run(t, user.Config{
		Law: user.Constant, Rate: []user.Point{{0, 1000}}, Patience: 2 * time.Millisecond, Request: request(t, "call app { cpu 100us }"),
	}, machine.Config{Link: machine.LinkConfig{Delay: 5 * time.Millisecond}}, n*time.Millisecond)
	if len(records) != n-1 {
		t.Errorf("records: got %d, want %d", len(records), n-1)
	}
	for _, r := range records {
		if r.Cause != service.Abandoned || r.Done != r.Due+dsv.At(2*time.Millisecond) {
			t.Errorf("request due at %v: got %v after %v, want abandoned after 2 ms", r.Due, r.Cause, r.Done.Sub(r.Due))
		}
	}
}

func TestOffPlanOfSampledUsers(t *testing.T) {
	cfg := user.Config{Users: 5, RecordShare: 0.05, Request: request(t, "call app { wait 1ms }")}
	records := run(t, cfg, machine.Config{}, time.Second)
	if len(records) < 150 || len(records) > 350 {
		t.Fatalf("records of about 5000 requests, a twentieth of them kept: got %d", len(records))
	}
	if off := cfg.OffPlan(records, false); off != 0 {
		t.Errorf("off plan: got %d of %d, want 0", off, len(records))
	}
}

func TestOffPlanAfterTheRateWasRaised(t *testing.T) {
	const s = dsv.Instant(time.Second)
	cfg := user.Config{Law: user.Constant, Rate: []user.Point{{At: 0, Rate: 10}}, End: 10 * s}
	records := make([]user.Record, 500) // five times as many as the plan has without the change
	for i := range records {
		records[i] = user.Record{Key: cfg.Key(uint64(i), 0), Due: dsv.Instant(i)}
	}
	if off := cfg.OffPlan(records, true); off != 0 {
		t.Errorf("off plan: got %d, want 0", off)
	}
	records[3].Key, records[4].Key = records[5].Key, 42 // one twice, one that nobody planned
	if off := cfg.OffPlan(records, true); off != 2 {
		t.Errorf("off plan after two were changed: got %d, want 2", off)
	}
}

func TestOffPlanEnds(t *testing.T) {
	// A key that is nobody's must not have all rounds of all users computed.
	cfg := user.Config{Users: 2000, Request: request(t, "call app { }")}
	records := make([]user.Record, 20_000)
	for i := range records {
		records[i].Key = cfg.Key(uint64(i%2000), uint64(i/2000))
	}
	records[7].Key++
	within(t, 5*time.Second, func() {
		if off := cfg.OffPlan(records, false); off != 1 {
			t.Errorf("off plan: got %d, want 1", off)
		}
	})
}
