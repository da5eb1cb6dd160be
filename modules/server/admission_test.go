package server_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules/server"
)

// The pool is served in the order of its policy, which goes by what the requests say on the wire: also by a server that burns
// on its loop, and reads those that wait only when it has burned.
func TestPoliciesOnTheWire(t *testing.T) {
	busy := request{"busy", "cpu 400ms", "Eve-Client", "1"}
	for _, tt := range []struct {
		policy   admit.Policy
		requests []request
		want     []string
	}{
		{admit.SJF, []request{
			busy, {"long", "cpu 100ms", "", ""}, {"short", "cpu 30ms", "", ""}, {"middle", "cpu 60ms", "", ""},
		}, []string{"busy", "short", "middle", "long"}},
		{admit.EDF, []request{
			busy, {"none", "cpu 30ms", "", ""}, {"first", "cpu 50ms", "Eve-Deadline", "5000000000"},
		}, []string{"busy", "first", "none"}},
		{admit.Fair, []request{
			busy, {"again", "cpu 30ms", "Eve-Client", "1"}, {"other", "cpu 50ms", "Eve-Client", "a2"},
		}, []string{"busy", "other", "again"}},
	} {
		for _, run := range []machine.Run{machine.Hold, machine.Burn} {
			t.Run(fmt.Sprint(tt.policy, ", run ", run), func(t *testing.T) {
				s := listen(t, func(c *server.Config) {
					c.Host.Machine.Run, c.Host.Named = run, true
					c.Host.Admit = admit.Config{Policy: tt.policy, Limit: 1}
				})
				serve(t, s)
				s.Start(mono.Now())
				got := answered(t, s, tt.requests)
				for i := 0; i < 2 && !slices.Equal(got, tt.want); i++ { // on a busy host those that wait may come first
					got = answered(t, s, tt.requests)
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("answered in order: got %v, want %v", got, tt.want)
				}
			})
		}
	}
}

// Who is rejected is told when to ask again.
func TestRejectionOnTheWire(t *testing.T) {
	s := listen(t, func(c *server.Config) {
		c.Host.Admit = admit.Config{Bucket: admit.BucketConfig{Rate: 0.01, Depth: 2}}
	})
	url := serve(t, s)
	s.Start(mono.Now())
	for i := range 4 {
		res, body := ask(t, "POST", url+"/rdr", "cpu 1ms reply 1KiB")
		want, size, after := 200, 1024, ""
		if i >= 2 {
			want, size, after = 503, 0, "100"
		}
		got := res.Header.Get("Retry-After")
		if res.StatusCode != want || len(body) != size || got != after && got != "99" {
			t.Errorf("request %d: got %d with %d bytes, Retry-After %q; want %d, %d, %q", i, res.StatusCode, len(body), got, want, size, after)
		}
	}
	if res, _ := ask(t, "GET", url+"/", ""); res.StatusCode != 200 {
		t.Errorf("a plain GET: got %d, want 200", res.StatusCode)
	}
}

// What waits too long is answered by the other server of the service, whose answer comes back whole.
func TestForwardOnTheWire(t *testing.T) {
	both := func(c *server.Config) { c.Host.Services[0].On = []int{0, 1} }
	there := listen(t, func(c *server.Config) { both(c); c.Host.Node = 1 })
	here := listen(t, func(c *server.Config) {
		both(c)
		c.Host.Admit = admit.Config{Limit: 1, Forward: admit.ForwardConfig{After: 20 * time.Millisecond}}
	})
	url := serve(t, here) // its cleanup, which comes last, sees that nothing is left of the other one either
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- there.Run(ctx) }() // ends with the test
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	m := service.Mapping{Epoch: 1, Replicas: []service.Replica{
		{Server: "here", Address: here.Addr().String(), State: service.Serving},
		{Server: "there", Address: there.Addr().String(), State: service.Serving},
	}}
	t0 := mono.Now()
	for _, s := range []*server.Server{here, there} {
		s.Start(t0)
		s.Changed(0, m)
	}
	here.Told(1, 0.5)
	busy := make(chan string, 1)
	post(t, here, request{"busy", "wait 2s", "", ""}, busy)
	time.Sleep(50 * time.Millisecond) // it is in service
	start := time.Now()
	res, body := ask(t, "POST", url+"/rdr/web", "cpu 1ms reply 3KiB", "Eve-Epoch", "1")
	if took := time.Since(start); res.StatusCode != 200 || len(body) != 3072 || took > time.Second {
		t.Errorf("got %d with %d bytes after %v, want 200 with 3072 before the first is done", res.StatusCode, len(body), took)
	}
	if got := there.Stats().Requests; got != 1 {
		t.Errorf("requests at the other server: got %d, want 1", got)
	}
	if res, _ := ask(t, "POST", url+"/rdr/web", "cpu 1ms", "Eve-Epoch", "1", "Eve-Forwarded", "1"); res.StatusCode != 200 {
		t.Errorf("one that was forwarded here: got %d, want 200", res.StatusCode)
	}
	if got := there.Stats().Requests; got != 1 {
		t.Errorf("a forwarded request was forwarded again: got %d requests at the other server, want 1", got)
	}
	<-busy
}
