package user_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
)

// TestSteadyRequestsAllocateNothing runs requests that use everything, measured and unmeasured, through a group and a host.
func TestSteadyRequestsAllocateNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("many requests of one goroutine: long under the race detector, which learns nothing from them")
	}
	const src = `priority uniform(0, 4) deadline exp(1ms) timeout 50ms { retry 2 { par {
		call app { cpu exp(100us) memory 1KiB { disk read 1KiB } lock a { wait 10us } reply 2KiB cpu 1us }
		timeout 100us { call app { wait 1ms } }
		fork { wait 10us }
	} } }`
	for _, discipline := range []machine.Discipline{machine.FCFS, machine.PS, machine.SJF, machine.Priority, machine.EDF} {
		set, err := dmm.NewSet(1, 1, []dmm.Spec{
			{Name: "crowd.latency", Manipulator: "mean"},
			{Name: "crowd.requests", Manipulator: "count"},
			{Name: "app.latency", Manipulator: "mean"},
			{Name: "server_1.cpu.utilisation", Manipulator: "mean"},
		})
		if err != nil {
			t.Fatal(err)
		}
		services := []service.Config{{Name: "app", On: []int{0}, Balance: service.Least}}
		w := &wire{
			group: user.NewGroup(user.Config{
				Name: "crowd", Topology: topology, Services: services, End: dsv.At(time.Hour), Patience: time.Second,
				Rate: []user.Point{{At: 0, Rate: 1000}}, Request: request(t, src),
			}, set.Var),
			host: service.NewHost(service.HostConfig{
				Topology: topology, Services: services, CancelOnClose: true, Machine: machine.Config{
					CPU: machine.CPUConfig{Discipline: discipline}, Memory: 1 << 30, Link: machine.LinkConfig{Delay: 10 * time.Microsecond, Rate: 1e9},
				},
			}, set.Var),
		}
		m := service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}}
		w.host.Changed(0, 0, m)
		w.group.Changed(0, 0, m)
		d := step.NewDriver(w, w.host, w.group)
		at := dsv.At(12 * time.Second) // until everything has been as large before
		d.Run(at)
		n := testing.AllocsPerRun(4, func() {
			at = at.Add(time.Second)
			d.Run(at)
		})
		// 2000 calls a run; a rare peak may still make something larger.
		if n > 3 {
			t.Errorf("discipline %v: %v allocations in 1000 requests, want none", discipline, n)
		}
	}
}
