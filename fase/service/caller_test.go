package service_test

import (
	"testing"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

func noVars(dsv.Name) *dmm.Var { return nil }

// on is a mapping with the given states of server_1, server_2, …; "" is no replica there.
func on(epoch uint32, states ...service.State) service.Mapping {
	m := service.Mapping{Epoch: epoch}
	for i, s := range states {
		if s != "" {
			m.Replicas = append(m.Replicas, service.Replica{Server: "server_" + string(rune('1'+i)), Weight: 1, State: s})
		}
	}
	return m
}

// newCaller returns a caller of one service on up to two servers, and the list of its effects.
func newCaller(balance service.Balance) (*service.Caller, *[]step.Effect) {
	var out []step.Effect
	topo := &service.Topology{Servers: []string{"server_1", "server_2"}, Services: []string{"app"}}
	cfg := []service.Config{{Name: "app", Balance: balance}}
	c := service.NewCaller(topo, cfg, -1, step.Send, step.Abandon, func(e step.Effect) { out = append(out, e) }, noVars)
	return c, &out
}

func TestLeastCountsCallsAcrossMappings(t *testing.T) {
	c, out := newCaller(service.Least)
	c.Apply(0, 0, on(1, service.Serving, ""))
	var refs []step.Ref
	for k := range 3 {
		refs = append(refs, c.Start(0, 0, service.Request{Key: rdr.Key(k)}, service.Op{}))
	}
	c.Apply(ms, 0, on(2, "", service.Serving))
	c.Apply(2*ms, 0, on(3, service.Serving, service.Serving))
	// Three calls are still out at server_1, none at server_2: the next three belong there.
	*out = nil
	for k := range 3 {
		c.Start(2*ms, 2*ms, service.Request{Key: rdr.Key(10 + k)}, service.Op{})
	}
	for i, e := range *out {
		if e.Node != 1 {
			t.Errorf("call %d went to server %d, want 1: server 0 has three under way", i, e.Node)
		}
	}
	for _, r := range refs {
		c.Answer(3*ms, r, service.Answer{Status: 200})
	}
	// Now 0 at server_1 and 3 at server_2: three more make them even, and then they alternate.
	*out = nil
	for k := range 7 {
		c.Start(3*ms, 3*ms, service.Request{Key: rdr.Key(20 + k)}, service.Op{})
	}
	n := [2]int{}
	for _, e := range *out {
		n[e.Node]++
	}
	if n[0] != 5 || n[1] != 2 {
		t.Errorf("seven calls with 0 and 3 under way went %v, want [5 2]", n)
	}
}

func TestCallsGivenUpWhileParkedAreForgotten(t *testing.T) {
	c, out := newCaller(service.Random)
	keep := c.Start(0, 0, service.Request{Key: 1}, service.Op{})
	for range 10_000 {
		c.GiveUp(ms, c.Start(ms, ms, service.Request{Key: 2}, service.Op{}), service.TimedOut)
	}
	if got := c.Waiting(0); got > 100 {
		t.Errorf("list of waiting calls when one waits: got %d long", got)
	}
	c.Apply(2*ms, 0, on(1, service.Serving))
	if len(*out) != 1 || (*out)[0].Ref != keep {
		t.Errorf("sent once somebody serves: got %v, want the one that waits", *out)
	}
	if c.Outstanding != 1 {
		t.Errorf("outstanding: got %d, want 1", c.Outstanding)
	}
}

func TestParkedCallsKeepTheirOrder(t *testing.T) {
	c, out := newCaller(service.Random)
	var want []step.Ref
	for i := range 1000 {
		r := c.Start(0, 0, service.Request{Key: rdr.Key(i)}, service.Op{})
		if i%3 == 0 {
			want = append(want, r)
			continue
		}
		c.GiveUp(0, r, service.TimedOut)
	}
	c.Apply(ms, 0, on(1, service.Serving))
	if len(*out) != len(want) {
		t.Fatalf("sent: got %d, want %d", len(*out), len(want))
	}
	for i, e := range *out {
		if e.Ref != want[i] {
			t.Fatalf("call %d: got %#x, want %#x", i, e.Ref, want[i])
		}
	}
}

func TestMovedCallWaitsForItsMapping(t *testing.T) {
	c, out := newCaller(service.Random)
	c.Apply(0, 0, on(1, service.Serving, ""))
	r := c.Start(0, 0, service.Request{Key: 1}, service.Op{})
	if _, _, done := c.Answer(ms, r, service.Answer{Status: 421, Epoch: 3}); done {
		t.Error("answer 421: got done")
	}
	// It waits now, so that nothing can answer it: what comes is a duplicate.
	if _, _, done := c.Answer(ms, r, service.Answer{Status: 200}); done {
		t.Error("second answer to one sending: got done")
	}
	c.Apply(2*ms, 0, on(2, service.Serving, ""))
	if len(*out) != 1 {
		t.Fatalf("sent under an older mapping than the server's: %v", *out)
	}
	c.Apply(3*ms, 0, on(3, "", service.Serving))
	if len(*out) != 2 || (*out)[1].Node != 1 {
		t.Fatalf("sent under the server's mapping: got %v, want a second one to server 1", *out)
	}
	if _, cause, done := c.Answer(4*ms, r, service.Answer{Status: 200}); !done || cause != service.OK {
		t.Errorf("answer: got %v, %v", cause, done)
	}
	if c.Outstanding != 0 {
		t.Errorf("outstanding: got %d, want 0", c.Outstanding)
	}
}

func TestServerThatAlwaysMovesIsGivenUp(t *testing.T) {
	c, out := newCaller(service.Random)
	c.Apply(0, 0, on(1, service.Serving, ""))
	r := c.Start(0, 0, service.Request{Key: 1}, service.Op{})
	for i := range 100 {
		if _, cause, done := c.Answer(dsv.Instant(i), r, service.Answer{Status: 421}); done {
			if cause != service.Status || len(*out) != i+1 {
				t.Errorf("ended with %v after %d sendings", cause, len(*out))
			}
			return
		}
	}
	t.Error("a call that gets 421 whatever it does: never ended")
}
