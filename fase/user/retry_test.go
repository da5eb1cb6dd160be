package user_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// A bench answers a group's calls as a function tells and keeps what the group sent and measured.
type bench struct {
	*user.Group
	t     *testing.T
	set   *dmm.Set
	now   dsv.Instant
	sends []step.Effect
	// reply is what comes of a send, and after how long; a negative time is never.
	reply func(b *bench, e step.Effect) (service.Answer, time.Duration)
	due   []coming
}

type coming struct {
	at  dsv.Instant
	ref step.Ref
	a   service.Answer
}

// books are the counters of a group.
var books = []string{"issued", "requests", "errors", "abandoned", "retries", "retries_refused", "errors_refused", "errors_timeout", "errors_abandoned", "late"}

func newBench(t *testing.T, cfg user.Config, reply func(*bench, step.Effect) (service.Answer, time.Duration)) *bench {
	t.Helper()
	specs := []dmm.Spec{{Name: "crowd.latency", Manipulator: "histogram"}, {Name: "crowd.send_lag", Manipulator: "histogram"}, {Name: "crowd.in_flight", Manipulator: "mean"}}
	for _, n := range books {
		specs = append(specs, dmm.Spec{Name: dsv.Name("crowd." + n), Manipulator: "count"})
	}
	set, err := dmm.NewSet(1, 1, specs)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Name, cfg.Topology, cfg.Services = "crowd", topology, []service.Config{{Name: "app", On: []int{0}}}
	if cfg.Request == nil && cfg.Sessions == nil {
		cfg.Request = request(t, "call app { reply 1B }")
	}
	b := &bench{Group: user.NewGroup(cfg, set.Var), t: t, set: set, reply: reply}
	b.Changed(0, 0, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}})
	return b
}

// until steps the group to an instant.
func (b *bench) until(d time.Duration) {
	for {
		next, first := b.Next(), -1
		for i := range b.due {
			if b.due[i].at <= next && (first < 0 || b.due[i].at < b.due[first].at) {
				first, next = i, b.due[i].at
			}
		}
		if next > dsv.At(d) {
			return
		}
		b.now = next
		if first >= 0 {
			c := b.due[first]
			b.due = append(b.due[:first], b.due[first+1:]...)
			b.Answer(c.at, c.ref, c.a)
		} else {
			b.Advance(next)
		}
		b.take()
	}
}

func (b *bench) take() {
	for effects := b.Effects(); len(effects) > 0; effects = b.Effects() {
		for _, e := range effects {
			switch e.Kind {
			case step.Send:
				b.sends = append(b.sends, e)
				if a, after := b.reply(b, e); after >= 0 {
					b.due = append(b.due, coming{e.At.Add(after), e.Ref, a})
				}
			case step.Abandon:
				for i := range b.due {
					if b.due[i].ref == e.Ref {
						b.due = append(b.due[:i], b.due[i+1:]...)
						break
					}
				}
			}
		}
	}
}

// count is what a counter of the group says.
func (b *bench) count(name string) int {
	x, _ := b.set.Var(dsv.Name("crowd." + name)).Read().Number()
	return int(x)
}

// balanced fails the test where a request is missing or counted twice.
func (b *bench) balanced() {
	b.t.Helper()
	ok := b.count("requests") - b.count("errors")
	failed := b.count("errors") - b.count("abandoned")
	if got := ok + failed + b.count("abandoned") + b.InFlight(); got != b.count("issued") {
		b.t.Errorf("issued %d, but %d ok + %d failed + %d abandoned + %d in flight = %d", b.count("issued"), ok, failed, b.count("abandoned"), b.InFlight(), got)
	}
	if got, want := int(b.set.Var("crowd.latency").Read().Hist.Count()), b.count("requests"); got != want {
		b.t.Errorf("got %d samples of %d requests", got, want)
	}
	if got, want := len(b.sends), b.count("issued")+b.count("retries"); got != want {
		b.t.Errorf("got %d sends, want %d: one for each request and each further attempt", got, want)
	}
}

func refuse(*bench, step.Effect) (service.Answer, time.Duration) {
	return service.Answer{Cause: service.Refused}, 0
}

// TestRetryTimes has one user whose every attempt fails at once, and looks at the pauses.
func TestRetryTimes(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name     string
		retry    user.Retry
		patience time.Duration
		want     []time.Duration // of the attempts
		causes   string
	}{
		{"none", user.Retry{}, 0, []time.Duration{0}, "refused"},
		{"doubling", user.Retry{Attempts: 4, Backoff: 10 * ms}, 0, []time.Duration{0, 10 * ms, 30 * ms, 70 * ms, 150 * ms}, "refused"},
		{"by three, bounded", user.Retry{Attempts: 3, Backoff: 10 * ms, Factor: 3, Most: 35 * ms}, 0, []time.Duration{0, 10 * ms, 40 * ms, 75 * ms}, "refused"},
		{"patience ends a pause", user.Retry{Attempts: 4, Backoff: 10 * ms}, 40 * ms, []time.Duration{0, 10 * ms, 30 * ms}, "abandoned"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, user.Config{Rate: []user.Point{{Rate: 1}}, Law: user.Constant, End: dsv.At(1500 * ms), Retry: tt.retry, Patience: tt.patience}, refuse)
			b.until(3 * time.Second)
			var got []time.Duration
			keys := map[rdr.Key]bool{}
			for _, s := range b.sends {
				got = append(got, s.At.Sub(dsv.At(time.Second)))
				keys[rdr.Key(s.Key)] = true
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("attempts at %v, want %v", got, tt.want)
			}
			if len(keys) != len(got) {
				t.Errorf("%d attempts draw from %d keys", len(got), len(keys))
			}
			if got := b.count("errors_" + tt.causes); got != 1 || b.count("requests") != 1 || b.count("retries") != len(tt.want)-1 {
				t.Errorf("got %d requests, %d retries, %d %s; want 1, %d, 1", b.count("requests"), b.count("retries"), got, tt.causes, len(tt.want)-1)
			}
			if tt.patience > 0 {
				if got := b.set.Var("crowd.latency").Read().Hist.Max(); math.Abs(got-tt.patience.Seconds()) > 1e-4 {
					t.Errorf("response time %v, want the patience %v", got, tt.patience)
				}
			}
			b.balanced()
		})
	}
}

// TestRetryJitter compares the pauses with their law: d·(1 − J·U), whose mean is d·(1 − J/2).
func TestRetryJitter(t *testing.T) {
	for _, jitter := range []float64{0.25, 1} {
		b := newBench(t, user.Config{
			Seed: 5, Rate: []user.Point{{Rate: 1000}}, End: dsv.At(4 * time.Second),
			Retry: user.Retry{Attempts: 1, Backoff: 40 * time.Millisecond, Jitter: jitter},
		}, refuse)
		b.until(5 * time.Second)
		// Both attempts fail at once: a response time is a pause.
		h := b.set.Var("crowd.latency").Read().Hist
		n := int(h.Count())
		mean, sd := 0.04*(1-jitter/2), 0.04*jitter/math.Sqrt(12*float64(n))
		if got := h.Mean(); n < 3000 || math.Abs(got-mean) > 4*sd || h.Min() < 0.0399*(1-jitter) || h.Max() > 0.0401 {
			t.Errorf("jitter %v: %d pauses from %v to %v with a mean of %v, want %v ± %v", jitter, n, h.Min(), h.Max(), got, mean, 4*sd)
		}
		b.balanced()
	}
}

// TestRetryIsKeyed runs a group whole and in parts: the same attempts at the same instants.
func TestRetryIsKeyed(t *testing.T) {
	cfg := user.Config{
		Seed: 9, Rate: []user.Point{{Rate: 300}}, End: dsv.At(2 * time.Second), Patience: 50 * time.Millisecond,
		Retry: user.Retry{Attempts: 3, Backoff: 10 * time.Millisecond, Jitter: 1},
	}
	sends := func(parts int) map[string]bool {
		all := map[string]bool{}
		for part := range parts {
			cfg.Part, cfg.Parts = part, parts
			b := newBench(t, cfg, func(_ *bench, e step.Effect) (service.Answer, time.Duration) {
				if rdr.Key(e.Key).Uniform() < 0.6 {
					return service.Answer{Status: 503}, 3 * time.Millisecond
				}
				return service.Answer{Status: 200}, 3 * time.Millisecond
			})
			b.until(3 * time.Second)
			b.balanced()
			for _, s := range b.sends {
				all[fmt.Sprintf("%016x at %d", s.Key, s.At)] = true
			}
		}
		return all
	}
	want := sends(1)
	if got := sends(3); len(want) < 1000 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("three parts make %d attempts, one makes %d: want the same", len(got), len(want))
	}
}

// TestBudget has a group whose every attempt fails: further attempts are the share that the budget grants.
func TestBudget(t *testing.T) {
	for _, tt := range []struct {
		name      string
		budget    user.Budget
		rate      float64
		low, high float64 // further attempts per request, or per second with Least
		perSecond bool
	}{
		{name: "none", budget: user.Budget{}, rate: 100, low: 3, high: 3},
		{name: "a fifth", budget: user.Budget{Ratio: 0.2}, rate: 100, low: 0.18, high: 0.2},
		{name: "half, over 2 s", budget: user.Budget{Ratio: 0.5, Window: 2 * time.Second}, rate: 100, low: 0.45, high: 0.5},
		{name: "more than one", budget: user.Budget{Ratio: 2}, rate: 100, low: 1.9, high: 2},
		{name: "a reserve", budget: user.Budget{Least: 10}, rate: 100, low: 9, high: 15, perSecond: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const seconds = 60
			b := newBench(t, user.Config{
				Seed: 3, Rate: []user.Point{{Rate: tt.rate}}, End: dsv.At(seconds * time.Second),
				Retry: user.Retry{Attempts: 3, Backoff: time.Millisecond, Budget: tt.budget},
			}, refuse)
			b.until((seconds + 1) * time.Second)
			got := float64(b.count("retries")) / float64(b.count("requests"))
			if tt.perSecond {
				got = float64(b.count("retries")) / seconds
			}
			if got < tt.low || got > tt.high {
				t.Errorf("got %v further attempts, want %v to %v", got, tt.low, tt.high)
			}
			if refused := b.count("retries_refused"); (refused > 0) != (tt.budget != user.Budget{}) {
				t.Errorf("got %d refused", refused)
			}
			b.balanced()
		})
	}
}

// TestRetryOfUsers has closed users try again: each thinks only once a request has come to its end.
func TestRetryOfUsers(t *testing.T) {
	fails := 0
	b := newBench(t, user.Config{
		Seed: 1, Users: 5, Think: &user.Think{Mean: 10 * time.Millisecond, Exponential: true}, End: dsv.At(5 * time.Second),
		Patience: 30 * time.Millisecond, Retry: user.Retry{Attempts: 2, Backoff: 4 * time.Millisecond, Jitter: 0.5},
	}, func(_ *bench, e step.Effect) (service.Answer, time.Duration) {
		switch u := rdr.Key(e.Key).Mix(99).Uniform(); {
		case u < 0.3:
			fails++
			return service.Answer{Cause: service.Refused}, time.Millisecond
		case u < 0.4:
			return service.Answer{}, -1 // never
		default:
			return service.Answer{Status: 200}, 5 * time.Millisecond
		}
	})
	for d := 100 * time.Millisecond; d < 6*time.Second; d += 100 * time.Millisecond {
		b.until(d)
		if n := b.InFlight(); n > 5 {
			t.Fatalf("after %v: %d requests in flight of 5 users", d, n)
		}
		b.balanced()
	}
	if b.count("abandoned") == 0 || b.count("errors_refused") == 0 || b.count("retries") <= fails/2 || b.InFlight() != 0 {
		t.Errorf("got %d abandoned, %d refused in the end, %d retries after %d failures, %d in flight", b.count("abandoned"), b.count("errors_refused"), b.count("retries"), fails, b.InFlight())
	}
}
