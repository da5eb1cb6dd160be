package lqn_test

import (
	"math"
	"testing"

	"github.com/eve-emulation/eve/fase/lqn"
)

func e(name string, demand float64, calls ...lqn.Call) []lqn.Entry {
	return []lqn.Entry{{Name: name, Demand: demand, SCV: 1, Calls: calls}}
}

func open(rate float64, entry string) []lqn.Source {
	return []lqn.Source{{Name: "crowd", Rate: rate, Calls: []lqn.Call{{Entry: entry}}}}
}

func closed(users int, think float64, entry string) []lqn.Source {
	return []lqn.Source{{Name: "users", Users: users, Think: think, Calls: []lqn.Call{{Entry: entry}}}}
}

func fork(d lqn.Discipline, branches int, rate float64) lqn.Model {
	m := lqn.Model{Sources: open(rate, "all"), Tasks: []lqn.Task{{Name: "join", Entries: []lqn.Entry{{Name: "all"}}}}}
	for i := range branches {
		name := string(rune('a' + i))
		m.Hosts = append(m.Hosts, lqn.Host{Name: name, Discipline: d})
		m.Tasks = append(m.Tasks, lqn.Task{Name: "on " + name, Host: name, Entries: e("by "+name, 1)})
		m.Tasks[0].Entries[0].Calls = append(m.Tasks[0].Entries[0].Calls, lqn.Call{Entry: "by " + name, Fork: 1})
	}
	return m
}

// figures are those of a source.
type figures struct{ throughput, response, turned float64 }

func three(web, app, db int, sources []lqn.Source) lqn.Model {
	return lqn.Model{
		Hosts: []lqn.Host{{Name: "w", Servers: 2}, {Name: "a", Servers: 2}, {Name: "d"}},
		Tasks: []lqn.Task{
			{Name: "web", Host: "w", Threads: web, Entries: e("page", 0.1, lqn.Call{Entry: "logic"})},
			{Name: "app", Host: "a", Threads: app, Entries: e("logic", 0.15, lqn.Call{Entry: "query", Mean: 2})},
			{Name: "db", Host: "d", Threads: db, Entries: e("query", 0.04)},
		},
		Sources: sources,
	}
}

// systems are models of which the figures are compared with a simulation.
var systems = []struct {
	name          string
	model         lqn.Model
	want          []figures // by source, of a simulation of 500 000 requests
	throughput, r float64   // what the solution may be off by
}{
	{"three tiers, open", three(0, 0, 0, open(9, "page")), []figures{{8.986, 0.6883, 0}}, 0.01, 0.03},
	{"three tiers, open, pools", three(8, 6, 2, open(9, "page")), []figures{{9.002, 0.7567, 0}}, 0.01, 0.08},
	{"three tiers, open, tight pool", three(30, 3, 5, open(8, "page")), []figures{{7.994, 0.8373, 0}}, 0.01, 0.08},
	{"three tiers, closed", three(0, 0, 0, closed(20, 1, "page")), []figures{{10.89, 0.8358, 0}}, 0.02, 0.03},
	{"three tiers, closed, pools", three(10, 4, 2, closed(20, 1, "page")), []figures{{9.948, 1.01, 0}}, 0.03, 0.08},
	{"three tiers, closed, software", three(20, 2, 5, closed(20, 1, "page")), []figures{{7.741, 1.583, 0}}, 0.03, 0.08},
	{"three tiers, closed, one thread each", three(1, 1, 1, closed(8, 1, "page")), []figures{{3.022, 1.647, 0}}, 0.05, 0.08},
	{"fork of two in order", fork(lqn.FIFO, 2, 0.7), []figures{{0.6994, 4.76, 0}}, 0.02, 0.05},
	{"fork of four in order", fork(lqn.FIFO, 4, 0.7), []figures{{0.7021, 6.307, 0}}, 0.02, 0.05},
	{"fork of eight in order", fork(lqn.FIFO, 8, 0.5), []figures{{0.501, 4.853, 0}}, 0.02, 0.05},
	{"fork of two, shared .5", fork(lqn.Sharing, 2, 0.5), []figures{{0.4996, 3.097, 0}}, 0.02, 0.05},
	{"fork of two, shared", fork(lqn.Sharing, 2, 0.7), []figures{{0.6994, 5.263, 0}}, 0.02, 0.05},
	{"fork of four, shared", fork(lqn.Sharing, 4, 0.7), []figures{{0.7021, 7.703, 0}}, 0.02, 0.08},
	{"fork of eight, shared", fork(lqn.Sharing, 8, 0.5), []figures{{0.501, 5.951, 0}}, 0.02, 0.08},
	{"fork of two, pool", lqn.Model{
		Hosts: []lqn.Host{{Name: "a"}, {Name: "b"}, {Name: "f"}},
		Tasks: []lqn.Task{
			{Name: "join", Host: "f", Threads: 3, Entries: []lqn.Entry{{Name: "both", Demand: 0.3, SCV: 1, Calls: []lqn.Call{{Entry: "x", Fork: 1}, {Entry: "y", Fork: 1}}}}},
			{Name: "A", Host: "a", Entries: e("x", 1)},
			{Name: "B", Host: "b", Entries: e("y", 0.7)},
		},
		Sources: open(0.55, "both"),
	}, []figures{{0.5481, 3.09, 0}}, 0.02, 0.1},
	{"fork of three, closed", lqn.Model{
		Hosts: []lqn.Host{{Name: "a"}, {Name: "b"}, {Name: "c"}},
		Tasks: []lqn.Task{
			{Name: "join", Entries: []lqn.Entry{{Name: "all", Calls: []lqn.Call{{Entry: "x", Fork: 1}, {Entry: "y", Fork: 1}, {Entry: "z", Fork: 1}}}}},
			{Name: "A", Host: "a", Entries: e("x", 1)},
			{Name: "B", Host: "b", Entries: e("y", 0.7)},
			{Name: "C", Host: "c", Entries: e("z", 0.4)},
		},
		Sources: closed(10, 10, "all"),
	}, []figures{{0.7588, 3.149, 0}}, 0.03, 0.08},
	{"second phase, closed", lqn.Model{
		Hosts:   []lqn.Host{{Name: "a"}},
		Tasks:   []lqn.Task{{Name: "A", Host: "a", Threads: 1, Entries: []lqn.Entry{{Name: "x", Demand: 0.5, Phase2: 0.5, SCV: 1}}}},
		Sources: closed(5, 5, "x"),
	}, []figures{{0.7651, 1.523, 0}}, 0.04, 0.1},
	{"second phase, open", lqn.Model{
		Hosts:   []lqn.Host{{Name: "a"}},
		Tasks:   []lqn.Task{{Name: "A", Host: "a", Threads: 2, Entries: []lqn.Entry{{Name: "x", Demand: 0.5, Phase2: 0.5, SCV: 1}}}},
		Sources: open(0.7, "x"),
	}, []figures{{0.6995, 2.081, 0}}, 0.02, 0.1},
	{"asynchronous", lqn.Model{
		Hosts: []lqn.Host{{Name: "a"}, {Name: "b"}},
		Tasks: []lqn.Task{
			{Name: "A", Host: "a", Threads: 4, Entries: e("x", 0.5, lqn.Call{Entry: "z"}, lqn.Call{Entry: "y", Kind: lqn.Async})},
			{Name: "B", Host: "b", Entries: []lqn.Entry{{Name: "y", Demand: 0.6, SCV: 1}, {Name: "z", Demand: 0.3, SCV: 1}}},
		},
		Sources: closed(8, 6, "x"),
	}, []figures{{0.9815, 2.148, 0}}, 0.03, 0.12},
	{"asynchronous, open", lqn.Model{
		Hosts: []lqn.Host{{Name: "a"}, {Name: "b"}},
		Tasks: []lqn.Task{
			{Name: "A", Host: "a", Threads: 4, Entries: e("x", 0.5, lqn.Call{Entry: "z"}, lqn.Call{Entry: "y", Kind: lqn.Async})},
			{Name: "B", Host: "b", Entries: []lqn.Entry{{Name: "y", Demand: 0.6, SCV: 1}, {Name: "z", Demand: 0.3, SCV: 1}}},
		},
		Sources: open(0.8, "x"),
	}, []figures{{0.7986, 1.977, 0}}, 0.03, 0.1},
	{"forwarded", lqn.Model{
		Hosts: []lqn.Host{{Name: "a"}, {Name: "b"}},
		Tasks: []lqn.Task{
			{Name: "A", Host: "a", Threads: 2, Entries: e("x", 0.5, lqn.Call{Entry: "y", Kind: lqn.Forward})},
			{Name: "B", Host: "b", Threads: 2, Entries: e("y", 0.6)},
		},
		Sources: open(1, "x"),
	}, []figures{{0.998, 2.503, 0}}, 0.03, 0.08},
	{"bounded queue", lqn.Model{
		Hosts:   []lqn.Host{{Name: "a", Servers: 2}},
		Tasks:   []lqn.Task{{Name: "A", Host: "a", Threads: 3, Queue: 2, Entries: e("x", 1)}},
		Sources: open(1.8, "x"),
	}, []figures{{1.8, 1.368, 0.143}}, 0.02, 0.05},
	{"bounded queue, closed", lqn.Model{
		Hosts:   []lqn.Host{{Name: "a", Servers: 2}},
		Tasks:   []lqn.Task{{Name: "A", Host: "a", Threads: 3, Queue: 2, Entries: e("x", 1)}},
		Sources: closed(12, 5, "x"),
	}, []figures{{1.864, 1.432, 0.109}}, 0.1, 0.15},
	{"one host of two tasks, closed", lqn.Model{
		Hosts: []lqn.Host{{Name: "a"}},
		Tasks: []lqn.Task{
			{Name: "A", Host: "a", Threads: 4, Entries: e("x", 0.3, lqn.Call{Entry: "y"})},
			{Name: "B", Host: "a", Threads: 2, Entries: e("y", 0.4)},
		},
		Sources: closed(10, 5, "x"),
	}, []figures{{1.309, 2.625, 0}}, 0.05, 0.1},
	{"one host of two tasks, open", lqn.Model{
		Hosts: []lqn.Host{{Name: "a"}},
		Tasks: []lqn.Task{
			{Name: "A", Host: "a", Threads: 4, Entries: e("x", 0.3, lqn.Call{Entry: "y"})},
			{Name: "B", Host: "a", Threads: 2, Entries: e("y", 0.4)},
		},
		Sources: open(1.1, "x"),
	}, []figures{{1.1, 2.806, 0}}, 0.05, 0.15},
	{"two sources, closed and open", lqn.Model{
		Hosts: []lqn.Host{{Name: "a"}, {Name: "d"}},
		Tasks: []lqn.Task{
			{Name: "A", Host: "a", Threads: 3, Entries: []lqn.Entry{{Name: "x", Demand: 0.2, SCV: 1, Calls: []lqn.Call{{Entry: "q"}}}, {Name: "y", Demand: 0.5, SCV: 1}}},
			{Name: "D", Host: "d", Threads: 1, Entries: e("q", 0.4)},
		},
		Sources: append(closed(6, 4, "x"), lqn.Source{Name: "crowd", Rate: 0.6, Calls: []lqn.Call{{Entry: "y"}}}),
	}, []figures{{1.18, 1.08, 0}, {0.5992, 1.082, 0}}, 0.05, 0.12},
	{"two closed sources", lqn.Model{
		Hosts: []lqn.Host{{Name: "a"}, {Name: "d"}},
		Tasks: []lqn.Task{
			{Name: "A", Host: "a", Threads: 3, Entries: []lqn.Entry{{Name: "x", Demand: 0.2, SCV: 1, Calls: []lqn.Call{{Entry: "q"}}}, {Name: "y", Demand: 0.5, SCV: 1}}},
			{Name: "D", Host: "d", Threads: 1, Entries: e("q", 0.4)},
		},
		Sources: append(closed(6, 4, "x"), lqn.Source{Name: "others", Users: 4, Think: 3, Calls: []lqn.Call{{Entry: "y"}}}),
	}, []figures{{1.149, 1.23, 0}, {0.9671, 1.133, 0}}, 0.05, 0.12},
	{"in order, uneven", lqn.Model{
		Hosts: []lqn.Host{{Name: "a", Discipline: lqn.FIFO}},
		Tasks: []lqn.Task{
			{Name: "A", Host: "a", Entries: []lqn.Entry{{Name: "x", Demand: 0.2, SCV: 0}}},
			{Name: "B", Host: "a", Entries: []lqn.Entry{{Name: "y", Demand: 1, SCV: 2}}},
		},
		Sources: append(open(1, "x"), lqn.Source{Name: "others", Rate: 0.4, Calls: []lqn.Call{{Entry: "y"}}}),
	}, []figures{{0.9988, 1.773, 0}, {0.4004, 2.562, 0}}, 0.02, 0.05},
	{"priorities", lqn.Model{
		Hosts: []lqn.Host{{Name: "a", Discipline: lqn.Priority}},
		Tasks: []lqn.Task{
			{Name: "A", Host: "a", Priority: 1, Entries: []lqn.Entry{{Name: "x", Demand: 0.2, SCV: 1}}},
			{Name: "B", Host: "a", Priority: 2, Entries: []lqn.Entry{{Name: "y", Demand: 1, SCV: 1}}},
		},
		Sources: append(open(1, "x"), lqn.Source{Name: "others", Rate: 0.5, Calls: []lqn.Call{{Entry: "y"}}}),
	}, []figures{{1, 0.881, 0}, {0.4997, 3.249, 0}}, 0.02, 0.05},
}

// TestSystems compares solutions with long simulations of the same models.
func TestSystems(t *testing.T) {
	for _, c := range systems {
		t.Run(c.name, func(t *testing.T) {
			for i, got := range solve(t, &c.model).Sources {
				near(t, "throughput of "+got.Name, got.Throughput, c.want[i].throughput, c.throughput)
				near(t, "response of "+got.Name, got.Response, c.want[i].response, c.r)
				if math.Abs(got.Turned-c.want[i].turned) > 0.02 {
					t.Errorf("turned away of %s: got %.4f, want %.4f", got.Name, got.Turned, c.want[i].turned)
				}
			}
		})
	}
}

// TestSimulated has short simulations agree with the long ones, so that those are of these models, and compares what happens inside.
func TestSimulated(t *testing.T) {
	if testing.Short() {
		t.Skip("many events")
	}
	for _, c := range systems {
		t.Run(c.name, func(t *testing.T) {
			got := solve(t, &c.model)
			rate := 0.0
			for _, w := range c.want {
				rate += w.throughput
			}
			s := simulate(&c.model, 1, 2500/rate)
			for i, w := range c.want {
				near(t, "throughput", s.throughput(i), w.throughput, 0.1)
				near(t, "response", s.response(i), w.response, 0.3)
			}
			for i, task := range got.Tasks {
				if task.Utilisation > 0 {
					near(t, "threads of "+task.Name, task.Busy, s.held[i]/(s.now-s.from), 0.3)
				}
			}
		})
	}
}
