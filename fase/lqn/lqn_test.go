package lqn_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/lqn"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within*math.Max(math.Abs(want), 1e-9)) {
		t.Errorf("%s: got %.6g, want %.6g", what, got, want)
	}
}

func solve(t *testing.T, m *lqn.Model) lqn.Solution {
	t.Helper()
	s, err := m.Solve()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRepairman has users ask a task of one thread that is a delay: the closed machine repairman, whose figures are those of capacity.md.
func TestRepairman(t *testing.T) {
	for _, c := range []struct {
		users int
		x, r  float64
	}{{1, 0.09091, 1}, {5, 0.43605, 1.46663}, {10, 0.78542, 2.73208}, {12, 0.88026, 3.63232}, {20, 0.99813, 10.03745}} {
		s := solve(t, &lqn.Model{
			Tasks:   []lqn.Task{{Name: "lock", Threads: 1, Entries: []lqn.Entry{{Name: "hold", Delay: 1, SCV: 1}}}},
			Sources: []lqn.Source{{Name: "users", Users: c.users, Think: 10, Calls: []lqn.Call{{Entry: "hold"}}}},
		})
		near(t, "throughput", s.Sources[0].Throughput, c.x, 1e-4)
		near(t, "response", s.Sources[0].Response, c.r, 1e-4)
		near(t, "wait", s.Tasks[0].Wait, c.r-1, 1e-4)
		near(t, "utilisation", s.Tasks[0].Utilisation, c.x, 1e-4)
		if !s.Exact {
			t.Errorf("got %q, want an exact solution", s.Approximated)
		}
	}
}

// TestWithoutLimits has a model whose tasks have threads for all be the closed network that it is (capacity.md, E7).
func TestWithoutLimits(t *testing.T) {
	for _, threads := range []int{0, 8, 100} {
		s := solve(t, &lqn.Model{
			Hosts: []lqn.Host{{Name: "cpu"}, {Name: "disk"}, {Name: "net"}},
			Tasks: []lqn.Task{
				{Name: "web", Host: "cpu", Threads: threads, Entries: []lqn.Entry{{Name: "page", Demand: 2, SCV: 1, Calls: []lqn.Call{{Entry: "read", Mean: 0.5}, {Entry: "send"}}}}},
				{Name: "files", Host: "disk", Threads: threads, Entries: []lqn.Entry{{Name: "read", Demand: 2, SCV: 1}}},
				{Name: "link", Host: "net", Entries: []lqn.Entry{{Name: "send", Demand: 0.5, SCV: 1}}},
			},
			Sources: []lqn.Source{{Name: "users", Users: 8, Think: 5, Calls: []lqn.Call{{Entry: "page"}}}},
		})
		near(t, "throughput", s.Sources[0].Throughput, 0.48458, 1e-4)
		near(t, "response", s.Sources[0].Response, 11.5092, 1e-4)
		for i, want := range []float64{0.969, 0.485, 0.242} {
			near(t, "utilisation", s.Hosts[i].Utilisation, want, 1.5e-3)
		}
		for i, want := range []float64{4.380, 0.881, 0.316} {
			near(t, "queue", s.Hosts[i].Queue, want, 1.5e-3)
		}
		near(t, "page", s.Tasks[0].Entries[0].Service, 11.5092, 1e-4)
		if !s.Exact || s.Bottleneck.Name != "cpu" || s.Bottleneck.Next != "disk" {
			t.Errorf("got exact %v, bottleneck %+v", s.Exact, s.Bottleneck)
		}
	}
}

// TestPools has requests that arrive at random wait for a pool of threads, in front of what is below it.
func TestPools(t *testing.T) {
	for _, rate := range []float64{0.3, 0.7, 0.95} {
		// A processor that threads share: the number of requests there, waiting or not, is that of M/M/1.
		for _, threads := range []int{1, 4, 50} {
			s := solve(t, &lqn.Model{
				Hosts:   []lqn.Host{{Name: "cpu"}},
				Tasks:   []lqn.Task{{Name: "app", Host: "cpu", Threads: threads, Entries: []lqn.Entry{{Name: "work", Demand: 1, SCV: 1}}}},
				Sources: []lqn.Source{{Name: "crowd", Rate: rate, Calls: []lqn.Call{{Entry: "work"}}}},
			})
			near(t, "response", s.Sources[0].Response, 1/(1-rate), 1e-6)
			near(t, "wait", s.Tasks[0].Wait, math.Pow(rate, float64(threads))/(1-rate), 1e-6)
			if s.Bottleneck.Name != "cpu" {
				t.Errorf("got %+v, want the cpu", s.Bottleneck)
			}
		}
		// A delay below a pool is M/M/c, and constant ones are its half.
		for _, scv := range []float64{0, 1} {
			s := solve(t, &lqn.Model{
				Tasks:   []lqn.Task{{Name: "pool", Threads: 4, Entries: []lqn.Entry{{Name: "wait", Delay: 1, SCV: scv}}}},
				Sources: []lqn.Source{{Name: "crowd", Rate: 4 * rate, Calls: []lqn.Call{{Entry: "wait"}}}},
			})
			want, err := exact.MMc(4, rate)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "response", s.Sources[0].Response, 1+(want-1)*(1+scv)/2, 1e-6)
			near(t, "utilisation", s.Tasks[0].Utilisation, rate, 1e-6)
			if !s.Tasks[0].Software || s.Bottleneck.Name != "pool" {
				t.Errorf("got %+v, want the pool", s.Bottleneck)
			}
		}
	}
}

// TestErrors has wrong models refused by the name of what is wrong.
func TestErrors(t *testing.T) {
	entry := func(name string, demand float64, calls ...lqn.Call) []lqn.Entry {
		return []lqn.Entry{{Name: name, Demand: demand, Calls: calls}}
	}
	cpu := []lqn.Host{{Name: "cpu"}}
	crowd := func(rate float64) []lqn.Source {
		return []lqn.Source{{Name: "crowd", Rate: rate, Calls: []lqn.Call{{Entry: "a"}}}}
	}
	for name, c := range map[string]struct {
		model lqn.Model
		want  string
		is    error
	}{
		"no sources": {lqn.Model{}, "no sources", nil},
		"no host":    {lqn.Model{Tasks: []lqn.Task{{Name: "A", Host: "cpu"}}, Sources: crowd(1)}, `task A: no host "cpu"`, nil},
		"no entry":   {lqn.Model{Sources: crowd(1)}, `source crowd: calls "a": no such entry`, nil},
		"demand":     {lqn.Model{Tasks: []lqn.Task{{Name: "A", Entries: entry("a", 1)}}, Sources: crowd(1)}, "entry a: it demands service, but task A has no host", nil},
		"not a sum":  {lqn.Model{Hosts: cpu, Tasks: []lqn.Task{{Name: "A", Host: "cpu", Entries: entry("a", math.NaN())}}, Sources: crowd(1)}, "entry a: a figure of NaN", nil},
		"circle": {
			lqn.Model{Hosts: cpu, Tasks: []lqn.Task{{Name: "A", Host: "cpu", Entries: entry("a", 1, lqn.Call{Entry: "b"})}, {Name: "B", Host: "cpu", Entries: entry("b", 1, lqn.Call{Entry: "a"})}}, Sources: crowd(1)},
			"calls go in a circle: a → b → a", lqn.ErrCircle,
		},
		"thread of its own": {
			lqn.Model{Hosts: cpu, Tasks: []lqn.Task{{Name: "A", Host: "cpu", Threads: 3, Entries: []lqn.Entry{{Name: "a", Calls: []lqn.Call{{Entry: "b"}}}, {Name: "c"}}}, {Name: "B", Entries: entry("b", 0, lqn.Call{Entry: "c"})}}, Sources: crowd(1)},
			"entry a holds a thread of A and waits for another one", lqn.ErrCircle,
		},
		"host": {
			lqn.Model{Hosts: cpu, Tasks: []lqn.Task{{Name: "A", Host: "cpu", Entries: entry("a", 0.5)}}, Sources: crowd(3)},
			"unstable: host cpu is offered 1.5 of its capacity", lqn.ErrUnstable,
		},
		"task": {
			lqn.Model{Tasks: []lqn.Task{{Name: "A", Threads: 2, Entries: []lqn.Entry{{Name: "a", Delay: 1}}}}, Sources: crowd(3)},
			"unstable: task A is offered 1.5 of what its 2 threads can do", lqn.ErrUnstable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.model.Solve()
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
