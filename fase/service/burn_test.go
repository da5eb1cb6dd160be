package service_test

import (
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
)

func TestBurnGrantsAndBooks(t *testing.T) {
	c := newCluster(t, app, machine.Config{Run: machine.Burn})
	c.arrive(0, 0, 0, 1, 1, "cpu 5ms")
	c.arrive(ms, 0, 0, 1, 2, "cpu 5ms")
	if len(c.burns) != 1 || c.burns[0].N != 5_000_000 {
		t.Fatalf("grants with one core: got %+v, want one of 5 ms", c.burns)
	}
	c.hosts[0].Begin(ms, c.burns[0])
	c.hosts[0].Met(6*ms, c.burns[0].Ref, 5_001_000)
	c.driver.Flush()
	c.expect(6*ms, reply{1, 6 * ms, 200, 0})
	c.hosts[0].Begin(6*ms, c.burns[1])
	c.hosts[0].Met(12*ms, c.burns[1].Ref, 5_001_000)
	c.driver.Flush()
	c.expect(12*ms, reply{2, 12 * ms, 200, 0})
	c.hosts[0].Settle(20 * ms)
	if got := c.number("server_1.cpu.requested"); got != 0.010 {
		t.Errorf("requested: got %v s, want 0.010", got)
	}
	if got := c.number("server_1.cpu.delivered"); got != 0.010002 {
		t.Errorf("delivered: got %v s, want 0.010002", got)
	}
	if got := c.number("server_1.cpu.utilisation"); got < 0.5499 || got > 0.5501 {
		t.Errorf("utilisation: got %v, want 0.55: burning from 1 to 12 of 20 ms", got)
	}
}

func TestBurnAtASpeed(t *testing.T) {
	c := newCluster(t, app, machine.Config{Run: machine.Burn, CPU: machine.CPUConfig{Speed: 2}})
	c.arrive(0, 0, 0, 1, 1, "cpu 5ms")
	if len(c.burns) != 1 || c.burns[0].N != 2_500_000 {
		t.Fatalf("grants at speed 2: got %+v, want one of 2.5 ms", c.burns)
	}
	c.hosts[0].Met(3*ms, c.burns[0].Ref, 2_500_000)
	c.driver.Flush()
	c.expect(3*ms, reply{1, 3 * ms, 200, 0})
	c.hosts[0].Settle(10 * ms)
	for _, n := range []dsv.Name{"server_1.cpu.requested", "server_1.cpu.delivered"} {
		if got := c.number(n); got != 0.005 {
			t.Errorf("%s: got %v s, want 0.005", n, got)
		}
	}
}

func TestWithdrawnGrantsAreNotWanted(t *testing.T) {
	c := newCluster(t, app, machine.Config{Run: machine.Burn, CPU: machine.CPUConfig{Discipline: machine.PS}})
	c.arrive(0, 0, 0, 1, 1, "timeout 2ms { cpu 5ms }")
	c.arrive(0, 0, 0, 1, 2, "cpu 1ms")
	if len(c.burns) != 1 || !c.hosts[0].Wants(c.burns[0].Ref) {
		t.Fatalf("grants: got %+v, want one that is wanted", c.burns)
	}
	c.driver.Run(2 * ms)
	if len(c.burns) != 2 || c.hosts[0].Wants(c.burns[0].Ref) || !c.hosts[0].Wants(c.burns[1].Ref) {
		t.Fatalf("grants after the time-out: got %+v, want a second, and only that wanted", c.burns)
	}
	c.hosts[0].Met(3*ms, c.burns[0].Ref, 1_000_000) // nobody waits for it
	c.hosts[0].Met(4*ms, c.burns[1].Ref, 1_000_000)
	c.driver.Flush()
	c.expect(5*ms, reply{1, 2 * ms, 500, 0}, reply{2, 4 * ms, 200, 0})
	if err := c.hosts[0].Idle(); err != nil {
		t.Error(err)
	}
}
