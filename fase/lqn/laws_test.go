package lqn_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/eve-emulation/eve/fase/lqn"
)

// random is a model with all that models have: layers of tasks with and without limits that share hosts, calls of all kinds; with closed sources
// none that nobody waits for, unless it is to be wild.
func random(r *rand.Rand, wild bool) *lqn.Model {
	m := &lqn.Model{}
	hosts := 1 + r.IntN(4)
	for i := range hosts {
		m.Hosts = append(m.Hosts, lqn.Host{Name: fmt.Sprint("h", i), Servers: 1 + r.IntN(4), Discipline: lqn.Discipline(r.IntN(3)), Delay: r.IntN(6) == 0})
	}
	tasks := 1 + r.IntN(6)
	for i := range tasks {
		t := lqn.Task{Name: fmt.Sprint("t", i), Host: fmt.Sprint("h", r.IntN(hosts)), Priority: r.IntN(3)}
		if r.IntN(2) == 0 {
			t.Threads = 1 + r.IntN(20)
			t.Queue = max(0, r.IntN(20)-14)
		}
		for j := range 1 + r.IntN(2) {
			x := lqn.Entry{Name: fmt.Sprintf("e%d.%d", i, j), Demand: 0.2 * r.Float64(), SCV: 2 * r.Float64(), Delay: float64(r.IntN(2)) * r.Float64()}
			if r.IntN(4) == 0 {
				x.Phase2 = 0.1 * r.Float64()
			}
			for k := i + 1; k < tasks; k++ { // tasks call those after them
				if r.IntN(3) > 0 {
					continue
				}
				c := lqn.Call{Entry: fmt.Sprintf("e%d.0", k), Mean: 2 * r.Float64()}
				switch r.IntN(6) {
				case 0:
					c.Kind = lqn.Async
				case 1:
					c.Fork = 1
				case 2:
					c.Phase2 = true
				case 3:
					c.Kind, c.Mean = lqn.Forward, 0.5
				}
				x.Calls = append(x.Calls, c)
			}
			t.Entries = append(t.Entries, x)
		}
		m.Tasks = append(m.Tasks, t)
	}
	for i := range 1 + r.IntN(3) {
		s := lqn.Source{Name: fmt.Sprint("s", i), Calls: []lqn.Call{{Entry: fmt.Sprintf("e%d.0", r.IntN(tasks))}}}
		if r.IntN(2) == 0 {
			s.Rate = 2 * r.Float64()
		} else {
			s.Users, s.Think = 1+r.IntN(30), 0.01+3*r.Float64()
		}
		m.Sources = append(m.Sources, s)
		if s.Users > 0 { // who fills a host starves those of a lower priority there
			for h := range m.Hosts {
				m.Hosts[h].Discipline = lqn.Discipline(h % 2)
			}
			for t := 0; t < len(m.Tasks) && !wild; t++ {
				for e := range m.Tasks[t].Entries {
					x := &m.Tasks[t].Entries[e]
					x.Phase2 = 0
					for c := range x.Calls {
						if x.Calls[c].Phase2 = false; x.Calls[c].Kind == lqn.Async {
							x.Calls[c].Kind = lqn.Sync
						}
					}
				}
			}
		}
	}
	return m
}

// TestLaws has random models obey what holds whatever they are: figures are finite, no station is used beyond its capacity, the law of
// Little holds for users and threads, and responses are no shorter than their parts.
func TestLaws(t *testing.T) {
	solved, restless := 0, 0
	for seed := range uint64(200) {
		wild := seed%4 == 0
		m := random(rand.New(rand.NewPCG(seed, 7)), wild)
		s, err := m.Solve()
		if errors.Is(err, lqn.ErrUnstable) {
			continue
		}
		if err != nil {
			t.Fatalf("%d: %v", seed, err)
		}
		solved++
		if s.Residual > 1e-3 && !wild {
			restless++
			t.Logf("%d: residual %g after %d, %v", seed, s.Residual, s.Iterations, s.Bottleneck)
		}
		check(t, seed, wild, m, &s)
		if t.Failed() {
			return
		}
	}
	if solved < 60 || restless > 0 {
		t.Errorf("solved %d, of which %d did not come to rest", solved, restless)
	}
}

func check(t *testing.T, seed uint64, wild bool, m *lqn.Model, s *lqn.Solution) {
	t.Helper()
	finite := func(what string, xs ...float64) {
		t.Helper()
		for _, x := range xs {
			if !(x >= 0) || math.IsInf(x, 1) {
				t.Errorf("%d: %s: got %v", seed, what, xs)
			}
		}
	}
	for i, x := range s.Sources {
		finite(x.Name, x.Throughput, x.Response, x.Turned)
		if n := float64(m.Sources[i].Users); n > 0 {
			if got := x.Throughput * (x.Response + m.Sources[i].Think); math.Abs(got-n) > 1e-3*n {
				t.Errorf("%d: %s: got %g users, want %g", seed, x.Name, got, n)
			}
		}
		if x.Turned > 1 {
			t.Errorf("%d: %s: got a share of %g", seed, x.Name, x.Turned)
		}
	}
	for i, h := range s.Hosts {
		finite(h.Name, h.Utilisation, h.Queue, h.Stretch)
		if !m.Hosts[i].Delay && h.Utilisation > 1.001 || h.Stretch < 1/float64(max(m.Hosts[i].Servers, 1))-1e-6 {
			t.Errorf("%d: %s: got a use of %g, stretch %g", seed, h.Name, h.Utilisation, h.Stretch)
		}
	}
	for i, x := range s.Tasks {
		finite(x.Name, x.Throughput, x.Busy, x.Wait, x.Queue, x.Turned)
		over := 1.1 // what approximations may be off by
		for h := range m.Hosts {
			if m.Hosts[h].Discipline != lqn.Sharing {
				over = 1.5
			}
		}
		if n := float64(m.Tasks[i].Threads); n > 0 && x.Busy > over*n && !wild {
			t.Errorf("%d: %s: got %g threads busy of %g", seed, x.Name, x.Busy, n)
		}
		for j, y := range x.Entries {
			finite(y.Name, y.Throughput, y.Service, y.Phase2, y.Response)
			if e := m.Tasks[i].Entries[j]; y.Service < (e.Demand+e.Delay)*(1-1e-6) {
				t.Errorf("%d: %s: got a service of %g, below its demand", seed, y.Name, y.Service)
			}
		}
	}
}

// TestMoreIsNoWorse has more threads, servers or less load never make a model slower, where calls only wait.
func TestMoreIsNoWorse(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 8))
		m := three(1+r.IntN(10), 1+r.IntN(6), 1+r.IntN(3), closed(1+r.IntN(30), r.Float64(), "page"))
		a := solve(t, &m).Sources[0]
		for name, change := range map[string]func(*lqn.Model){
			"threads": func(m *lqn.Model) { m.Tasks[1].Threads++ },
			"servers": func(m *lqn.Model) { m.Hosts[2].Servers = 2 },
		} {
			n := three(m.Tasks[0].Threads, m.Tasks[1].Threads, m.Tasks[2].Threads, m.Sources)
			change(&n)
			if b := solve(t, &n).Sources[0]; b.Response > a.Response*1.01 {
				t.Errorf("%d: more %s: got %g s, before %g", seed, name, b.Response, a.Response)
			}
		}
		n := three(m.Tasks[0].Threads, m.Tasks[1].Threads, m.Tasks[2].Threads, closed(m.Sources[0].Users+5, m.Sources[0].Think, "page"))
		if b := solve(t, &n).Sources[0]; b.Throughput < a.Throughput*0.995 {
			t.Errorf("%d: more users: got %g/s, before %g", seed, b.Throughput, a.Throughput)
		}
	}
}

// TestSoftwareBottleneck plants pools that are too small in front of idle hosts, and hosts that are too slow behind large pools.
func TestSoftwareBottleneck(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 9))
		m := three(100, 4, 100, closed(200, 1, "page"))
		m.Hosts[2].Servers = 4
		want := "app"
		if seed%2 == 1 {
			m.Tasks[1].Threads, m.Hosts[2].Servers, want = 90, 1, "d"
		} else { // most of what the pool holds its threads for is elsewhere
			m.Tasks[2].Entries[0].Delay = 0.2 + r.Float64()
		}
		m.Tasks[0].Entries[0].Demand *= 0.5 + 0.5*r.Float64()
		s := solve(t, &m)
		if s.Bottleneck.Name != want || s.Bottleneck.Software != (want == "app") || s.Tasks[1].Software != (want == "app") {
			t.Errorf("%d: got %+v, want %s", seed, s.Bottleneck, want)
		}
	}
}

// TestLarge has a deep tree of a thousand services solved.
func TestLarge(t *testing.T) {
	m := &lqn.Model{Sources: open(2, "e0")}
	for i := range 1000 {
		task := lqn.Task{Name: fmt.Sprint("t", i), Host: fmt.Sprint("h", i%50), Entries: []lqn.Entry{{Name: fmt.Sprint("e", i), Demand: 0.001, SCV: 1}}}
		if i%100 == 3 {
			task.Threads = 16
		}
		for j := 10*i + 1; j <= 10*i+10 && j < 1000; j++ {
			task.Entries[0].Calls = append(task.Entries[0].Calls, lqn.Call{Entry: fmt.Sprint("e", j)})
		}
		m.Tasks = append(m.Tasks, task)
	}
	for i := range 50 {
		m.Hosts = append(m.Hosts, lqn.Host{Name: fmt.Sprint("h", i), Servers: 2})
	}
	s := solve(t, m)
	if got := s.Sources[0].Response; got < 1 || got > 1.3 {
		t.Errorf("got %g s, want a little more than a thousand demands of 1 ms", got)
	}
	near(t, "throughput", s.Tasks[999].Throughput, 2, 1e-9)

	// Pools that are never full are as if they had no limit, however large they are, and so are users who never meet.
	pools, without := three(2000, 1000, 500, open(9, "page")), three(0, 0, 0, open(9, "page"))
	near(t, "response with large pools", solve(t, &pools).Sources[0].Response, solve(t, &without).Sources[0].Response, 1e-6)
	many := three(2000, 640, 320, closed(1_000_000, 1_000_000/9.0, "page"))
	near(t, "response of a million users", solve(t, &many).Sources[0].Response, solve(t, &without).Sources[0].Response, 0.02)
}
