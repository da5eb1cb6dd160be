package lqn_test

import (
	"testing"

	"github.com/eve-emulation/eve/fase/lqn"
)

// TestPublished solves models of the regression suite of the layered queueing network solvers of Carleton University, and compares them with
// what its solver by Petri nets, which is exact, has of them (github.com/layeredqueuing/V5, models/regression and its petri-results).
func TestPublished(t *testing.T) {
	one := func(name, host string, threads int, es ...lqn.Entry) lqn.Task {
		return lqn.Task{Name: name, Host: host, Threads: threads, Entries: es}
	}
	for _, c := range []struct {
		name          string
		model         lqn.Model
		x             float64 // throughput of the last source
		within        float64
		host          string
		use, useRange float64
	}{
		{
			"03: forwarding", lqn.Model{
				Hosts: []lqn.Host{{Name: "p1", Discipline: lqn.FIFO}, {Name: "p2", Discipline: lqn.FIFO}, {Name: "p3", Discipline: lqn.FIFO}},
				Tasks: []lqn.Task{
					one("t1", "p1", 2, lqn.Entry{Name: "e1", Demand: 1, SCV: 1, Calls: []lqn.Call{{Entry: "e2", Mean: 0.5, Kind: lqn.Forward}}}),
					one("t2", "p2", 2, lqn.Entry{Name: "e2", Demand: 1, SCV: 1, Calls: []lqn.Call{{Entry: "e3", Mean: 0.5, Kind: lqn.Forward}}}),
					one("t3", "p3", 1, lqn.Entry{Name: "e3", Demand: 1, SCV: 1}),
				},
				Sources: []lqn.Source{{Name: "t0", Users: 4, Think: 1, Calls: []lqn.Call{{Entry: "e1"}}}},
			}, 0.88409, 1e-4, "p1", 0.88409, 1e-4,
		},
		{
			"08: open arrivals", lqn.Model{
				Hosts: []lqn.Host{{Name: "p1", Discipline: lqn.FIFO}},
				Tasks: []lqn.Task{
					one("t1", "p1", 0, lqn.Entry{Name: "e1", Demand: 1, SCV: 1, Calls: []lqn.Call{{Entry: "e2"}}}),
					one("t2", "p1", 1, lqn.Entry{Name: "e2", Demand: 1, SCV: 1}, lqn.Entry{Name: "e3", Demand: 1, SCV: 1}),
				},
				Sources: []lqn.Source{{Name: "open", Rate: 0.4, Calls: []lqn.Call{{Entry: "e3"}}}, {Name: "t1", Users: 1, Calls: []lqn.Call{{Entry: "e1"}}}},
			}, 0.299992, 0.16, "p1", 1, 0.1, // one user alone keeps a host busy in two tasks: approximated worst
		},
		{
			"09: most common features", lqn.Model{
				Hosts: []lqn.Host{{Name: "server", Servers: 2, Discipline: lqn.FIFO}},
				Tasks: []lqn.Task{
					one("server1", "server", 2, lqn.Entry{Name: "entry1", Demand: 0.5, Phase2: 0.5, SCV: 1, Calls: []lqn.Call{
						{Entry: "entry2", Mean: 0.2}, {Entry: "entry2", Mean: 0.5, Kind: lqn.Forward}, {Entry: "entry3", Mean: 0.3, Kind: lqn.Async, Phase2: true},
					}}),
					one("server2", "server", 1, lqn.Entry{Name: "entry2", Demand: 0.2, SCV: 1}, lqn.Entry{Name: "entry3", Demand: 0.3, SCV: 1}),
				},
				Sources: []lqn.Source{{Name: "client", Users: 3, Think: 1, Calls: []lqn.Call{{Entry: "entry1"}}}},
			}, 1.5219, 0.1, "server", 1.87193 / 2, 0.1,
		},
		{
			"10: interlock", lqn.Model{
				Hosts: []lqn.Host{{Name: "p1"}, {Name: "p2"}},
				Tasks: []lqn.Task{
					one("t1", "p1", 1, lqn.Entry{Name: "e1", Demand: 1, SCV: 1, Calls: []lqn.Call{{Entry: "e2"}}}),
					one("t2", "p2", 1, lqn.Entry{Name: "e2", Demand: 1, SCV: 1}),
				},
				Sources: []lqn.Source{{Name: "t0", Users: 1, Think: 1, Calls: []lqn.Call{{Entry: "e2"}, {Entry: "e1"}}}},
			}, 0.25, 1e-6, "p2", 0.5, 1e-6,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := solve(t, &c.model)
			got := s.Sources[len(s.Sources)-1]
			t.Logf("X %.6g, want %.6g; %d iterations", got.Throughput, c.x, s.Iterations)
			near(t, "throughput", got.Throughput, c.x, c.within)
			for _, h := range s.Hosts {
				if h.Name == c.host {
					near(t, "use of "+h.Name, h.Utilisation, c.use, c.useRange)
				}
			}
		})
	}
}
