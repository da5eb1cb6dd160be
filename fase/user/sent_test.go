package user_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
)

// TestNothingBeforeTheRun tells groups of several services what holds from the beginning, as whoever carries them does some time
// before a run begins: what is due at its first instant must not be asked for until then.
func TestNothingBeforeTheRun(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  user.Config
	}{
		{"closed", user.Config{Users: 7, End: dsv.At(time.Second)}},
		{"sessions", user.Config{Users: 7, End: dsv.At(time.Second), Sessions: visit(t)}},
		{"trace", user.Config{Law: user.Replay, Rate: []user.Point{{Rate: 1}}, End: dsv.At(time.Second), Trace: &user.Trace{Due: make([]dsv.Instant, 7)}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := tt.cfg
			cfg.Name, cfg.Services = "crowd", []service.Config{{Name: "app"}, {Name: "more"}, {Name: "most"}}
			cfg.Topology = &service.Topology{Servers: []string{"server_1"}, Services: []string{"app", "more", "most"}}
			if cfg.Sessions == nil {
				cfg.Request = request(t, "call app { }")
			}
			g := user.NewGroup(cfg, func(dsv.Name) *dmm.Var { return nil })
			for svc := range cfg.Services {
				g.Changed(user.Before, svc, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}})
			}
			g.SetUsers(user.Before, 0, 7)
			if got := g.Effects(); len(got) != 0 || g.InFlight() != 0 {
				t.Fatalf("before the run: got %d effects and %d requests in flight, want none", len(got), g.InFlight())
			}
			g.Advance(0)
			if got := g.Effects(); len(got) != 7 {
				t.Errorf("at its first instant: got %d effects, want 7", len(got))
			}
		})
	}
}

// TestSentOnce has calls of one request sent one after the other: the request was sent when the first of them was, however many
// there are, and after whatever it did before.
func TestSentOnce(t *testing.T) {
	const ms = time.Millisecond
	fail := func(b *bench, _ step.Effect) (service.Answer, time.Duration) {
		if len(b.sends) == 1 {
			return service.Answer{Cause: service.Reset}, ms
		}
		return service.Answer{Status: 200}, ms
	}
	for _, tt := range []struct {
		name    string
		request string
		cfg     user.Config
		lag     time.Duration // of a carrier that sends everything 2 ms late
	}{
		{"calls in turn", "call app { } call app { } call app { }", user.Config{}, 2 * ms},
		{"at once", "par { call app { } call app { } call app { } }", user.Config{}, 2 * ms},
		{"after a wait", "wait 100ms call app { } wait 100ms call app { }", user.Config{}, 2 * ms},
		{"again", "wait 10ms call app { }", user.Config{Retry: user.Retry{Attempts: 2, Backoff: 50 * ms}}, 2 * ms},
		{"beside a further attempt, the first unsent", "fork { wait 20ms call app { } } call app { }", user.Config{Retry: user.Retry{Attempts: 1, Backoff: 5 * ms}}, 2 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := tt.cfg
			cfg.Users, cfg.Think, cfg.End = 1, &user.Think{Mean: 10 * ms}, dsv.At(2*time.Second)
			cfg.Request = request(t, tt.request)
			b := newBench(t, cfg, func(b *bench, e step.Effect) (service.Answer, time.Duration) {
				if len(b.sends) > 1 || cfg.Retry.Attempts == 0 { // the first fails for want of a port, say
					b.Sent(e.At.Add(2*ms), e.Ref)
				}
				return fail(b, e)
			})
			b.until(time.Minute)
			lag := b.set.Var("crowd.send_lag").Read().Hist
			if got, want := int(lag.Count()), b.count("issued"); got != want || want < 5 {
				t.Errorf("sent: got %d of %d issued", got, want)
			}
			if got := time.Duration(lag.Max() * 1e9); got < tt.lag-tt.lag/50 || got > tt.lag+tt.lag/50 {
				t.Errorf("lag: got up to %v, want %v", got, tt.lag)
			}
		})
	}
}
