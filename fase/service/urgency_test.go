package service_test

import (
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/rdr"
)

// crowded brings a request and, while it is served, four that wait: each discipline has an order of its own for them.
func crowded(c *cluster) {
	c.arrive(0, 0, 0, 1, 1, "cpu 10ms")
	c.arrive(1*ms, 0, 0, 1, 2, "priority 1 deadline 9s cpu 3ms")
	c.arrive(2*ms, 0, 0, 1, 3, "priority 2 cpu 2ms")
	c.arrive(3*ms, 0, 0, 1, 4, "deadline 10s cpu 1ms")
	c.arrive(4*ms, 0, 0, 1, 5, "priority 2 cpu 3ms") // the last of equals, whatever counts
}

func TestDisciplines(t *testing.T) {
	for d, want := range map[machine.Discipline][]uint64{
		machine.FCFS:     {1, 2, 3, 4, 5},
		machine.SJF:      {1, 4, 3, 2, 5},
		machine.Priority: {1, 3, 5, 2, 4},
		machine.EDF:      {1, 2, 4, 3, 5},
	} {
		cpu := machine.CPUConfig{Discipline: d}
		t.Run(d.String(), func(t *testing.T) {
			c := newCluster(t, app, machine.Config{CPU: cpu})
			crowded(c)
			c.driver.Run(100 * ms)
			served(t, c, want)
		})
		t.Run(d.String()+", burning", func(t *testing.T) {
			c := newCluster(t, app, machine.Config{Run: machine.Burn, CPU: cpu})
			crowded(c)
			for i := 0; i < len(c.burns); i++ {
				c.hosts[0].Met(dsv.Instant(10+i)*ms, c.burns[i].Ref, c.burns[i].N)
				c.driver.Flush()
			}
			served(t, c, want)
		})
	}
}

func served(t *testing.T, c *cluster, want []uint64) {
	t.Helper()
	var got []uint64
	for _, r := range c.replies {
		got = append(got, r.tag)
	}
	if !slices.Equal(got, want) {
		t.Errorf("served: got %v, want %v", got, want)
	}
	if err := c.hosts[0].Idle(); err != nil {
		t.Error(err)
	}
}

// What comes before the burning begins is chosen from too.
func TestBurningBeginsWithTheFirst(t *testing.T) {
	c := newCluster(t, app, machine.Config{Run: machine.Burn, CPU: machine.CPUConfig{Discipline: machine.SJF}})
	c.arrive(0, 0, 0, 1, 1, "cpu 3ms")
	c.arrive(0, 0, 0, 1, 2, "cpu 2ms")
	e, ok := c.hosts[0].Begin(0, c.burns[0])
	if !ok || e.N != 2_000_000 {
		t.Fatalf("begin: got %+v, %v, want the grant of 2 ms", e, ok)
	}
	if _, ok := c.hosts[0].Begin(0, c.burns[0]); ok {
		t.Error("begin of a grant that was taken back: got true")
	}
	c.hosts[0].Met(2*ms, e.Ref, e.N)
	c.driver.Flush()
	if e, ok = c.hosts[0].Begin(2*ms, c.burns[1]); !ok || e.N != 3_000_000 {
		t.Fatalf("begin: got %+v, %v, want the grant of 3 ms", e, ok)
	}
	c.hosts[0].Met(5*ms, e.Ref, e.N)
	c.driver.Flush()
	served(t, c, []uint64{2, 1})
}

// Calls inherit what their blocks have none of; a deadline is one instant wherever it goes.
func TestUrgencyIsInherited(t *testing.T) {
	services := []service.Config{{Name: "front", On: []int{0}}, {Name: "app", On: []int{1}}, {Name: "db", On: []int{2}}}
	for _, tt := range []struct {
		name      string
		request   service.Request // priority and deadline, as they come
		src       string
		app, last service.Urgency
	}{
		{"nothing", service.Request{}, "wait 5ms call app { wait 1ms call db { } }", service.Urgency{}, service.Urgency{}},
		{
			"of the caller",
			service.Request{Priority: 3, Deadline: 40 * ms},
			"wait 5ms call app { wait 1ms call db { } }",
			service.Urgency{Priority: 3, Deadline: 40 * ms},
			service.Urgency{Priority: 3, Deadline: 40 * ms},
		},
		{
			"of the block itself",
			service.Request{},
			"priority 2 deadline 30ms wait 5ms call app { wait 1ms call db { } }",
			service.Urgency{Priority: 2, Deadline: 40 * ms},
			service.Urgency{Priority: 2, Deadline: 40 * ms},
		},
		{
			"of the caller, who has drawn it",
			service.Request{Priority: 7, Deadline: 41 * ms},
			"priority 7 deadline 31ms wait 5ms call app { wait 1ms call db { } }",
			service.Urgency{Priority: 7, Deadline: 41 * ms},
			service.Urgency{Priority: 7, Deadline: 41 * ms},
		},
		{
			"of a called block",
			service.Request{Priority: 1, Deadline: 90 * ms},
			"wait 5ms call app { priority 4 deadline 3ms wait 1ms call db { } }",
			service.Urgency{Priority: 4, Deadline: 18 * ms},
			service.Urgency{Priority: 4, Deadline: 18 * ms},
		},
		{
			"each part by itself",
			service.Request{Priority: 1, Deadline: 90 * ms},
			"wait 5ms call app { priority 4 wait 1ms call db { deadline 2ms } }",
			service.Urgency{Priority: 4, Deadline: 90 * ms},
			service.Urgency{Priority: 4, Deadline: 18 * ms},
		},
		{
			"a deadline of 0 is none",
			service.Request{Deadline: 90 * ms},
			"wait 5ms call app { deadline 0 wait 1ms call db { } }",
			service.Urgency{Deadline: 90 * ms},
			service.Urgency{Deadline: 90 * ms},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t, services, machine.Config{}, machine.Config{}, machine.Config{})
			b, err := rdr.ParseBlock("test", []byte(tt.src), rdr.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			r := tt.request
			r.Block, r.Epoch = b, 1
			c.driver.Run(10 * ms)
			c.hosts[0].Arrive(10*ms, &r, 1)
			c.driver.Run(50 * ms)
			if len(c.calls) != 2 || len(c.replies) != 1 || c.replies[0].status != 200 {
				t.Fatalf("got %d calls, replies %v; want 2 and an answer", len(c.calls), c.replies)
			}
			for i, want := range []service.Urgency{tt.app, tt.last} {
				if got := (service.Urgency{Priority: c.calls[i].Priority, Deadline: c.calls[i].Deadline}); got != want {
					t.Errorf("call %d carries %+v, want %+v", i, got, want)
				}
			}
		})
	}
}
