package sim_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
)

// pooled is the discipline of a server that serves first come first served, behind a pool.
func pooled(admit string) string { return "fcfs, admit: {" + admit + "}" }

// Every request of a pool whose service takes as many as there are processors departs at the nanosecond of the exact path.
func TestExactPathOfThePool(t *testing.T) {
	ranks := map[string]func(i int, j job) int64{
		"fcfs":     func(i int, _ job) int64 { return int64(i) },
		"sjf":      func(_ int, j job) int64 { return j.Demand },
		"priority": func(_ int, j job) int64 { return -int64(j.priority) },
		"edf": func(_ int, j job) int64 {
			if j.deadline == 0 {
				return math.MaxInt64
			}
			return int64(j.deadline)
		},
	}
	for policy, rank := range ranks {
		for cpus := 1; cpus <= 2; cpus++ {
			t.Run(fmt.Sprintf("%s, %d processors", policy, cpus), func(t *testing.T) {
				p := classes(t, 60*time.Second, 9, cpus, pooled(fmt.Sprintf("policy: %s, limit: %d", policy, cpus)), mixed(float64(cpus))...)
				jobs := plannedOf(p)
				want := exact.NonPreemptive(cpus, bare(jobs), func(i int) int64 { return rank(i, jobs[i]) })
				same(t, simulate(t, p), jobs, want, 4000*cpus)
			})
		}
	}
}

// same compares the departures with those of an exact path; at least so many jobs must have departed.
func same(t *testing.T, s *simulation, jobs []job, want []dsv.Instant, least int) {
	t.Helper()
	got := departuresOf(t, s, jobs)
	done := 0
	for i := range jobs {
		if got[i] == 0 && want[i] > dsv.At(s.plan.Duration) {
			continue
		}
		if done++; got[i] != want[i] {
			t.Fatalf("request %d due at %v: got done at %v, want %v", i, jobs[i].Arrival, got[i], want[i])
		}
	}
	if done < least {
		t.Errorf("requests done: got %d of %d, want at least %d", done, len(jobs), least)
	}
}

// Under first come first served the delay shifts every request by itself, to the nanosecond: it is the control.
func TestDelayAlone(t *testing.T) {
	p := classes(t, 60*time.Second, 5, 1, pooled("delay: 35ms, limit: 1"), mixed(1)...)
	jobs := plannedOf(p)
	late := bare(jobs)
	for i := range late {
		late[i].Arrival += dsv.At(35 * time.Millisecond)
	}
	same(t, simulate(t, p), jobs, exact.FCFS(1, late), 4000)
}

// The waits in a pool are those of theory: Cobham's for priorities, Phipps's for shortest first.
func TestMeanWaitInThePool(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and one goroutine: the race detector has nothing to find")
	}
	if raced {
		t.Skip("hundreds of thousands of requests; a simulation is one goroutine, so the other tests tell as much of races")
	}
	priority := cobham(moments{60, 0.005, 5e-5}, moments{40, 0.010, 1e-4})
	for _, tt := range []struct {
		name, policy string
		classes      []class
		waiters      []waiter
	}{
		{"Cobham", "priority", []class{
			{"urgent", "priority 1 call queue { cpu exp(5ms) }", 60}, {"other", "call queue { cpu 10ms }", 40},
		}, []waiter{{"urgent", 0, 0, 0, priority[0]}, {"other", 1, 0, 0, priority[1]}}},
		{"Phipps", "sjf", []class{{"jobs", "call queue { cpu exp(10ms) }", 70}}, []waiter{{"all", 0, 0, 0, phipps(70, 0.010)}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := simulate(t, classes(t, 1000*time.Second, 1, 1, pooled("limit: 1, policy: "+tt.policy), tt.classes...))
			for _, w := range tt.waiters {
				compare(t, s, w)
			}
		})
	}
}

// With low load and no delay shortest demand first changes nothing that could be measured.
func TestSJFChangesNothingAtLowLoad(t *testing.T) {
	c := class{"jobs", "call queue { cpu exp(10ms) }", 5}
	with := simulate(t, classes(t, 400*time.Second, 3, 1, pooled("policy: sjf, limit: 1"), c))
	without := simulate(t, classes(t, 400*time.Second, 3, 1, "fcfs", c))
	a, b := responses(t, with, "jobs"), responses(t, without, "jobs")
	ea, err := stat.BatchMeans(a, stat.Batches, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	eb, err := stat.BatchMeans(b, stat.Batches, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("mean response %.4f ± %.4f ms with, %.4f ± %.4f ms without", 1e3*ea.Value, 1e3*ea.Half(), 1e3*eb.Value, 1e3*eb.Half())
	if math.Abs(ea.Value-eb.Value) > eb.Half() || eb.Half() > 0.1*eb.Value {
		t.Errorf("mean response: got %v s, want %v ± %v s", ea.Value, eb.Value, eb.Half())
	}
}

func responses(t *testing.T, s *simulation, group string) (xs []float64) {
	t.Helper()
	for _, r := range s.requests(t, group) {
		xs = append(xs, r.Done.Sub(r.Due).Seconds())
	}
	return xs
}

// count is what a variable counts over the whole run: the sum of a count, the samples of a histogram.
func (s *simulation) count(t testing.TB, n dsv.Name) (sum float64) {
	t.Helper()
	err := s.history.History(n, -1, dsv.Never, func(u dsv.Update) error {
		if v := u.Delta.Value; v.Kind == dsv.Histogram {
			sum += float64(v.Hist.Count())
		} else if x, ok := v.Number(); ok {
			sum += x
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// A bounded pool is M/M/1/K: the share that is rejected is that of theory, and every request is served or rejected, once.
func TestRejectedOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and one goroutine: the race detector has nothing to find")
	}
	const rate, mean, most = 90.0, 0.010, 4 // in the system; 3 in the pool
	s := simulate(t, classes(t, 1000*time.Second, 2, 1, pooled("limit: 1, queue: 3"), class{"jobs", "call queue { cpu exp(10ms) }", rate}))
	served, rejected := 0.0, 0.0
	for _, r := range s.requests(t, "jobs") {
		switch r.Cause {
		case service.OK:
			served++
		case service.Status:
			rejected++
		default:
			t.Fatalf("request due at %v: got %v", r.Due, r.Cause)
		}
	}
	rho := rate * mean
	want := (1 - rho) * math.Pow(rho, most) / (1 - math.Pow(rho, most+1))
	if got := rejected / (served + rejected); math.Abs(got-want) > 0.05*want {
		t.Errorf("share rejected: got %.4f of %v, want %.4f", got, served+rejected, want)
	}
	for name, want := range map[string]float64{
		"queue.rejected": rejected, "server_1.admit.rejected": rejected, "jobs.errors_status": rejected,
		"queue.requests": served + rejected, "jobs.requests": served + rejected, "server_1.admit.forwarded": 0,
	} {
		if got := s.count(t, dsv.Name(name)); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if got := s.count(t, "queue.residence"); got != served {
		t.Errorf("residences: got %v, want %v: one of each request that was served", got, served)
	}
	if got := s.count(t, "server_1.admit.waited"); got != served {
		t.Errorf("times in the pool: got %v, want %v", got, served)
	}
}

// With forwarding the response times of an overloaded server level where requests are forwarded (K5): 38 ms of processor time,
// 40 requests a second at the first of eight servers, which serves 26. Without it they climb to the patience of 5 s.
func TestForwardingLevelsResponseTimes(t *testing.T) {
	run := func(admit string) *simulation {
		servers, on := "", ""
		for i := range 8 {
			servers += fmt.Sprintf("  server_%d: {cancel: on-close, admit: {limit: 1%s}}\n", i+1, admit)
			on += fmt.Sprintf("server_%d, ", i+1)
		}
		return simulate(t, load(t, "k5", fmt.Appendf(nil, `eve: 1
name: k5
duration: 60s
seed: 3
requests: |
  request r { call app { cpu 38ms reply 1KiB } }
servers:
%sservices:
  app: {on: [%s], balance: first}
clients:
  crowd: {request: r, rate: 40/s, patience: 5s}
`, servers, on[:len(on)-2]), scenario.Options{}))
	}
	with, without := run(", forward: {after: 2.5s, to: least}"), run("")
	late, errors := 0.0, 0
	for _, r := range with.requests(t, "crowd") {
		if r.Cause != service.OK {
			errors++
		}
		late = max(late, r.Done.Sub(r.Due).Seconds())
	}
	if late < 2.5 || late > 2.7 || errors > 0 {
		t.Errorf("with forwarding: got %v s at most and %d errors, want 2.5 to 2.7 s and none", late, errors)
	}
	forwarded, served, issued := with.count(t, "server_1.admit.forwarded"), with.count(t, "server_1.admit.waited"), with.count(t, "crowd.issued")
	if left := issued - served - forwarded; forwarded < 500 || left < 0 || left > 40*2.5+30 {
		t.Errorf("of %v requests %v were served and %v forwarded: want at least 500 forwarded, and 2.5 s of arrivals left in the pool", issued, served, forwarded)
	}
	for i := 2; i <= 8; i++ { // by the load that they tell, all take part
		if got := with.count(t, dsv.Name(fmt.Sprintf("server_%d.admit.waited", i))); got < 40 {
			t.Errorf("server_%d: got %v requests, want its share", i, got)
		}
	}
	abandoned := 0
	for _, r := range without.requests(t, "crowd") {
		if r.Cause == service.Abandoned {
			abandoned++
		}
	}
	if abandoned < 100 || without.count(t, "server_1.admit.forwarded") != 0 {
		t.Errorf("without forwarding: got %d given up after 5 s, want many", abandoned)
	}
}
