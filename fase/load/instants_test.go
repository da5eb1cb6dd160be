package load_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
)

// TestFirstByteAndConnect has every call's first byte told, and a connection's opening to the call that waited for it alone.
func TestFirstByteAndConnect(t *testing.T) {
	const calls = 5
	c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(1), again: true, limit: calls}
	s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(serve(t, say(pong, 2)))}))
	connects := 0
	for n := range c.samples {
		x := &c.samples[n]
		if x.first == 0 {
			t.Errorf("request %d: no first byte", n)
		}
		for _, took := range x.connects {
			connects++
			if took < 0 || took > x.done.Sub(x.due) {
				t.Errorf("request %d: connection opened in %v of %v", n, took, x.done.Sub(x.due))
			}
		}
	}
	// A connection carries two calls; one that finds it closed under its hands opens another.
	if want := int(s.Connect.Count()); connects != want || want < calls/2+1 {
		t.Errorf("connections told: got %d, want the loop's %d, at least %d", connects, want, calls/2+1)
	}
}

// TestNoFirstByte: a call that nobody answers has none.
func TestNoFirstByte(t *testing.T) {
	c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(3)}
	carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(serve(t, reset))}))
	for n := range c.samples {
		if f := c.samples[n].first; f != 0 {
			t.Errorf("request %d: got a first byte at %d, want none", n, f)
		}
	}
}

// TestJitter counts the waits that end by their instant: one for each request that is due alone, but for those that came late.
func TestJitter(t *testing.T) {
	const requests = 50
	for _, spin := range []time.Duration{0, 60 * time.Microsecond} {
		c := &crowd{t: t, request: service.Request{Service: -1}, due: every(2*time.Millisecond, requests)}
		s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(reactor(t)), Spin: spin, End: dsv.At(requests * 2 * time.Millisecond)}))
		if n := s.Jitter.Count(); n == 0 || n > 2*requests {
			t.Errorf("spin %v: %d waits ended by their instant, want some of %d", spin, n, requests)
		}
		if s.Jitter.Max() < 0 || s.ProcessCPU < s.ThreadCPU {
			t.Errorf("spin %v: got jitter up to %v, CPU %v of the process, %v of the thread", spin, s.Jitter.Max(), s.ProcessCPU, s.ThreadCPU)
		}
	}
}
