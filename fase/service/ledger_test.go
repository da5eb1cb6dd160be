package service_test

import (
	"math"
	"testing"

	"github.com/eve-emulation/eve/fase/machine"
)

// A server of a run tells what it has measured since it last did when it ends, not only what it has counted.
func TestLedgerEndsTheMeasurements(t *testing.T) {
	c := newCluster(t, app, machine.Config{})
	c.arrive(0, 0, 0, 1, 1, "cpu 5ms")
	c.driver.Run(8 * ms)
	c.hosts[0].WriteLedger(10 * ms)
	if got := c.number("server_1.cpu.utilisation"); math.Abs(got-0.5) > 1e-9 {
		t.Errorf("utilisation: got %v, want 0.5: busy for 5 of 10 ms", got)
	}
	if got := c.number("server_1.cpu.delivered"); got != 0.005 {
		t.Errorf("delivered: got %v s, want 0.005", got)
	}
}
