package sim_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/rdr"
)

// A class is an open group of Poisson arrivals at the one server of a scenario.
type class struct {
	name, request string // the body of the request
	rate          float64
}

// classes is one server of a discipline and a speed of 1, with open groups.
func classes(t testing.TB, duration time.Duration, seed uint64, cpus int, discipline string, cs ...class) *scenario.Plan {
	t.Helper()
	requests, clients := "", ""
	for _, c := range cs {
		requests += fmt.Sprintf("  request %s { %s }\n", c.name, c.request)
		clients += fmt.Sprintf("  %s: {request: %s, arrive: poisson, rate: %g/s}\n", c.name, c.name, c.rate)
	}
	return load(t, "classes", fmt.Appendf(nil, `eve: 1
name: classes
duration: %gs
warmup: 0s
seed: %d
requests: |
%sservers:
  server_1: {cpus: %d, discipline: %s}
services:
  queue: {on: [server_1]}
clients:
%s`, duration.Seconds(), seed, requests, cpus, discipline, clients), scenario.Options{})
}

// A job is one request of a class as planned.
type job struct {
	exact.Job
	group    int
	priority int
	deadline dsv.Instant // 0: none
}

// plannedOf are the jobs of all groups of a plan in order of arrival.
func plannedOf(p *scenario.Plan) []job {
	var jobs []job
	for i := range p.Clients {
		g := &p.Clients[i]
		for key, due := range g.Arrivals() {
			jobs = append(jobs, plan(i, g.Request, key, due))
		}
	}
	slices.SortStableFunc(jobs, func(a, b job) int { return cmp.Compare(a.Arrival, b.Arrival) })
	return jobs
}

func plan(group int, b *rdr.Block, key rdr.Key, due dsv.Instant) job {
	j := job{Job: exact.Job{Arrival: due, Demand: cpu(b, key)}, group: group}
	j.priority, _ = b.Priority(key)
	if d, ok := b.Deadline(key); ok {
		j.deadline = due.Add(d)
	}
	return j
}

// bare are the jobs as a path needs them.
func bare(jobs []job) []exact.Job {
	out := make([]exact.Job, len(jobs))
	for i, j := range jobs {
		out[i] = j.Job
	}
	return out
}

// mixed are two classes that every discipline tells apart in another way.
func mixed(load float64) []class {
	return []class{
		{"tagged", "priority uniform(0, 5) deadline exp(80ms) call queue { cpu exp(10ms) }", 50 * load},
		{"plain", "call queue { cpu uniform(1ms, 19ms) }", 30 * load},
	}
}

// departuresOf are the instants at which jobs were done; 0 for those that were not by the end.
func departuresOf(t testing.TB, s *simulation, jobs []job) []dsv.Instant {
	t.Helper()
	out := make([]dsv.Instant, len(jobs))
	for g := range s.plan.Clients {
		done := map[dsv.Instant]dsv.Instant{}
		for _, r := range s.requests(t, s.plan.Clients[g].Name) {
			if r.Cause != service.OK || r.Sent != r.Due {
				t.Fatalf("request due at %v: got %+v", r.Due, r)
			}
			done[r.Due] = r.Done
		}
		for i, j := range jobs {
			if j.group == g {
				out[i] = done[j.Arrival]
			}
		}
	}
	return out
}

// Every request departs at the nanosecond of the exact path under each discipline by rank.
func TestExactPathByRank(t *testing.T) {
	ranks := map[string]func(job) int64{
		"sjf":      func(j job) int64 { return j.Demand },
		"priority": func(j job) int64 { return -int64(j.priority) },
		"edf": func(j job) int64 {
			if j.deadline == 0 {
				return math.MaxInt64
			}
			return int64(j.deadline)
		},
	}
	for discipline, rank := range ranks {
		for cpus := 1; cpus <= 2; cpus++ {
			t.Run(fmt.Sprintf("%s, %d processors", discipline, cpus), func(t *testing.T) {
				p := classes(t, 60*time.Second, 9, cpus, discipline, mixed(float64(cpus))...)
				jobs := plannedOf(p)
				want := exact.NonPreemptive(cpus, bare(jobs), func(i int) int64 { return rank(jobs[i]) })
				got := departuresOf(t, simulate(t, p), jobs)
				done := 0
				for i := range jobs {
					if got[i] == 0 && want[i] > dsv.At(p.Duration) {
						continue
					}
					if done++; got[i] != want[i] {
						t.Fatalf("request %d due at %v: got done at %v, want %v", i, jobs[i].Arrival, got[i], want[i])
					}
				}
				if done < 4000*cpus {
					t.Errorf("requests done: got %d of %d", done, len(jobs))
				}
			})
		}
	}
}

// found is the work that each job finds at its arrival at one server that lets jobs end, by their departures: the demands of
// those that wait and what is left of the one in service.
func found(jobs []job, departures []dsv.Instant) []int64 {
	out := make([]int64, len(jobs))
	var present []int
	for i, j := range jobs {
		present = slices.DeleteFunc(present, func(k int) bool { return departures[k] <= j.Arrival })
		for _, k := range present {
			out[i] += min(jobs[k].Demand, int64(departures[k]-j.Arrival))
		}
		present = append(present, i)
	}
	return out
}

// Work is conserved: on the same arrivals the work in the system is the same at every instant, to the nanosecond, whoever is
// served; it is that of Lindley's recursion. So is its mean, and with it the sum of demand times wait (Kleinrock's
// conservation law), while the mean wait is not.
func TestWorkIsConserved(t *testing.T) {
	waits := map[string]int64{}
	for _, discipline := range machine.Disciplines() {
		if discipline == "ps" || discipline == "os" {
			continue // what is left of each is not to be seen in departures; its busy periods are compared in fase/exact
		}
		p := classes(t, 100*time.Second, 4, 1, discipline, mixed(1.1)...)
		jobs := plannedOf(p)
		departures := departuresOf(t, simulate(t, p), jobs)
		if i := slices.Index(departures, 0); i >= 0 { // in flight at the end: up to the last who find all done
			for ; i >= 0 && slices.ContainsFunc(departures[:i], func(d dsv.Instant) bool { return d == 0 || d > jobs[i].Arrival }); i-- {
			}
			jobs, departures = jobs[:max(i, 0)], departures[:max(i, 0)]
		}
		if len(jobs) < 7000 {
			t.Fatalf("%s: %d jobs compared, want most of 8800", discipline, len(jobs))
		}
		work := int64(0)
		for i, got := range found(jobs, departures) {
			if i > 0 {
				work = max(work+jobs[i-1].Demand-int64(jobs[i].Arrival-jobs[i-1].Arrival), 0)
			}
			if got != work {
				t.Fatalf("%s: job %d finds work of %d ns, want %d", discipline, i, got, work)
			}
			waits[discipline] += int64(departures[i]-jobs[i].Arrival) - jobs[i].Demand
		}
	}
	if waits["sjf"] >= waits["fcfs"]*9/10 || waits["edf"] == waits["fcfs"] || waits["priority"] == waits["fcfs"] {
		t.Errorf("sums of waits: got %v, want those of shortest job first clearly less, and all others different", waits)
	}
}

// moments are what waits follow from: rate, mean demand and mean square of demands, in seconds.
type moments struct{ rate, mean, square float64 }

// cobham are the mean waits of the classes of an M/G/1 queue with non-preemptive priorities, the first class before all
// others: W0 / ((1 - σ(k-1)) (1 - σ(k))), where W0 is the mean rest of the one in service and σ(k) the load of the first k
// (Cobham, "Priority Assignment in Waiting Line Problems", Operations Research 2(1), 1954).
func cobham(classes ...moments) []float64 {
	rest := 0.0
	for _, m := range classes {
		rest += m.rate * m.square / 2
	}
	out := make([]float64, len(classes))
	before := 0.0
	for k, m := range classes {
		with := before + m.rate*m.mean
		out[k] = rest / ((1 - before) * (1 - with))
		before = with
	}
	return out
}

// phipps is the mean wait of M/M/1 under shortest job first: the limit of infinitely many classes, the mean over demands x of
// W0 / (1 - ρ(x))², ρ(x) being the load of demands up to x (Phipps, "Machine Repair as a Priority Waiting-Line Problem",
// Operations Research 4(1), 1956). By Simpson's rule, to much more than a test can tell.
func phipps(rate, mean float64) float64 {
	f := func(x float64) float64 { // x in mean demands
		rho := rate * mean * (1 - (1+x)*math.Exp(-x))
		return math.Exp(-x) / ((1 - rho) * (1 - rho))
	}
	const n, upto = 20_000, 60.0
	h := upto / n
	sum := f(0) + f(upto)
	for i := 1; i < n; i++ {
		sum += float64(2+2*(i%2)) * f(float64(i)*h)
	}
	return rate * mean * mean * sum * h / 3
}

func TestFormulas(t *testing.T) {
	m := moments{70, 0.01, 2e-4}
	near(t, "one class is Pollaczek and Khinchine", cobham(m)[0], 70*2e-4/2/(1-0.7))
	half := moments{35, 0.01, 2e-4}
	two := cobham(half, half)
	near(t, "conservation over two classes", (two[0]+two[1])/2*0.7*(1-0.7), 0.7*70*2e-4/2)
	// Without load to speak of, who waits does so for the one in service.
	if got, want := phipps(1e-6, 1), 1e-6; math.Abs(got-want) > 1e-3*want {
		t.Errorf("shortest job first at a load of 1e-6: got %g, want %g", got, want)
	}
	if got, fcfs := phipps(70, 0.01), 0.7*0.01/(1-0.7); got > 0.8*fcfs || got < 0.3*fcfs {
		t.Errorf("shortest job first at a load of 0.7: got %g, first come first served has %g", got, fcfs)
	}
}

// A waiter is whose mean wait is compared: jobs of a group whose demand is in a range.
type waiter struct {
	name     string
	group    int
	from, to time.Duration // demand; to 0: no bound
	want     float64       // s
}

// The mean waits lie within 4 standard errors of theory, the error by 20 batch means; which must be small, so that the test
// can fail: the waits of first come first served are further away.
func TestMeanWaitByRank(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and one goroutine: the race detector has nothing to find")
	}
	if raced {
		t.Skip("hundreds of thousands of requests; a simulation is one goroutine, so the other tests tell as much of races")
	}
	priority := cobham(moments{60, 0.005, 5e-5}, moments{40, 0.010, 1e-4})
	point := cobham(moments{48, 0.005, 2.5e-5}, moments{12, 0.030, 9e-4})
	two := class{"jobs", "call queue { choose { 0.8: { cpu 5ms } 0.2: { cpu 30ms } } }", 60}
	tests := []struct {
		name, discipline string
		classes          []class
		waiters          []waiter
	}{
		{"Cobham", "priority", []class{
			{"urgent", "priority 1 call queue { cpu exp(5ms) }", 60},
			{"other", "call queue { cpu 10ms }", 40},
		}, []waiter{{"urgent", 0, 0, 0, priority[0]}, {"other", 1, 0, 0, priority[1]}}},
		{"Phipps, exponential", "sjf", []class{{"jobs", "call queue { cpu exp(10ms) }", 70}}, []waiter{{"all", 0, 0, 0, phipps(70, 0.010)}}},
		{"Phipps, two points", "sjf", []class{two}, []waiter{
			{"short", 0, 0, 6 * time.Millisecond, point[0]}, {"long", 0, 20 * time.Millisecond, 0, point[1]},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := simulate(t, classes(t, 1000*time.Second, 1, 1, tt.discipline, tt.classes...))
			for _, w := range tt.waiters {
				compare(t, s, w)
			}
			if w := s.summary().Warnings; len(w) > 0 {
				t.Errorf("warnings: got %q, want none", w)
			}
		})
	}
}

func compare(t *testing.T, s *simulation, w waiter) {
	t.Helper()
	g := &s.plan.Clients[w.group]
	var xs []float64
	for _, r := range s.requests(t, g.Name) {
		demand := time.Duration(cpu(g.Request, r.Key))
		if r.Due > dsv.At(20*time.Second) && demand >= w.from && (w.to == 0 || demand <= w.to) {
			xs = append(xs, (r.Done.Sub(r.Due) - demand).Seconds())
		}
	}
	e, err := stat.BatchMeans(xs, stat.Batches, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	const student = 2.093 // t(19), 95 %
	se := e.Half() / student
	t.Logf("%s: waits of %.3f ± %.3f ms of %d requests, theory %.3f ms", w.name, 1e3*e.Value, 1e3*se, e.N, 1e3*w.want)
	if se > 0.05*w.want {
		t.Errorf("%s: standard error: got %.3f ms, want at most 5 %% of %.3f ms", w.name, 1e3*se, 1e3*w.want)
	}
	if math.Abs(e.Value-w.want) > 4*se {
		t.Errorf("%s: mean wait: got %.3f ms, want %.3f ± 4·%.3f ms", w.name, 1e3*e.Value, 1e3*w.want, 1e3*se)
	}
}
