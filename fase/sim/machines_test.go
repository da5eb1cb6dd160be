package sim_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// one is a scenario of one server and one service with one open group of Poisson arrivals.
func one(t testing.TB, duration time.Duration, block, server, svc, rate string) *scenario.Plan {
	t.Helper()
	return load(t, "one", fmt.Appendf(nil, `eve: 1
name: one
duration: %gs
seed: 5
requests: |
  request job { call app { %s } }
servers:
  server_1: {%s}
services:
  app: {on: [server_1]%s}
clients:
  jobs: {request: job, arrive: poisson, rate: %s}
`, duration.Seconds(), block, server, svc, rate), scenario.Options{})
}

// hist is all that a histogram has measured.
func (s *simulation) hist(t testing.TB, n dsv.Name) *dsv.Hist {
	t.Helper()
	var all []*dsv.Hist
	err := s.history.History(n, -1, dsv.Never, func(u dsv.Update) error {
		all = append(all, u.Delta.Value.Hist)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dsv.MergeHists(all...)
}

// drawn is what a request's block draws of a demand, by the planned requests of the group, in order.
func drawn(g *user.Config, op rdr.Op, ns func(*rdr.Demand) int64) []exact.Job {
	var jobs []exact.Job
	var sum func(b *rdr.Block, key rdr.Key) int64
	sum = func(b *rdr.Block, key rdr.Key) (n int64) {
		b.Draw(key, "", func(d *rdr.Demand) {
			switch d.Op {
			case rdr.OpCall:
				n += sum(d.Block, d.Key)
			case op:
				n += ns(d)
			}
		})
		return n
	}
	for key, due := range g.Arrivals() {
		jobs = append(jobs, exact.Job{Arrival: due, Demand: sum(g.Request, key)})
	}
	return jobs
}

func amount(d *rdr.Demand) int64 { return d.N }

// A pool of c workers is a station of c servers, whatever its workers wait for; a lock is one server, and memory as many as there is
// room for: each request departs at the nanosecond of the exact path, though the processor is idle.
func TestSoftwareIsAStation(t *testing.T) {
	for _, tt := range []struct {
		name, block, server, svc string
		c                        int
		station                  string
	}{
		{"pool", "wait exp(30ms)", "cpus: 1", ", pool: {threads: 3}", 3, "app.pool"},
		{"lock", "lock l { wait exp(10ms) }", "cpus: 1", "", 1, "server_1.lock.l"},
		{"memory", "memory 1MiB { wait exp(30ms) }", "memory: 3MiB", "", 3, "server_1.memory"},
		{"memory, as a mapping", "memory 1MiB { wait exp(30ms) }", "memory: {size: 3MiB, full: queue}", "", 3, "server_1.memory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := simulate(t, one(t, 60*time.Second, tt.block, tt.server, tt.svc, "70/s"))
			jobs := drawn(&s.plan.Clients[0], rdr.OpWait, amount)
			done := map[dsv.Instant]dsv.Instant{}
			for _, r := range s.requests(t, "jobs") {
				done[r.Due] = r.Done
			}
			waited, held, n := 0.0, 0.0, 0
			for i, want := range exact.FCFS(tt.c, jobs) {
				got := done[jobs[i].Arrival]
				if got == 0 && want > dsv.At(s.plan.Duration) {
					continue
				}
				if got != want {
					t.Fatalf("request %d: got done at %v, want %v", i, got, want)
				}
				n++
				held += float64(jobs[i].Demand) / 1e9
				waited += float64(int64(want-jobs[i].Arrival)-jobs[i].Demand) / 1e9
			}
			if n < 3900 {
				t.Fatalf("requests: got %d, want about 4200", n)
			}
			wait, service := s.hist(t, dsv.Name(tt.station+".wait")), s.hist(t, dsv.Name(tt.station+".service"))
			// Those in flight at the end have waited too; a histogram has three digits.
			close := func(what string, got, want, slack float64) {
				if math.Abs(got-want) > slack {
					t.Errorf("%s: got %v, want %v ± %v", what, got, want, slack)
				}
			}
			close("jobs that left", float64(service.Count()), float64(n), 0)
			close("seconds held", service.Sum(), held, 0.002*held)
			close("seconds waited", wait.Sum(), waited, 0.002*waited+3)
			close("busy server-seconds", s.area(t, dsv.Name(tt.station+".utilisation"))*float64(tt.c), held, 2)
			close("job-seconds", s.area(t, dsv.Name(tt.station+".queue")), held+waited, 8)
			close("seconds at the processor", s.area(t, "server_1.cpu.utilisation"), 0, 0)
			// The request's own split: it waited, and nothing served it.
			close("seconds that requests waited", s.hist(t, "app.wait").Sum(), waited, 0.002*waited+1)
			close("seconds that requests were served", s.hist(t, "app.service").Sum(), 0, 0)
		})
	}
}

// The mean of a pool is that of M/M/c: its wait is Erlang's C, of which the share of workers in use is the load.
func TestPoolTheory(t *testing.T) {
	if testing.Short() || raced {
		t.Skip("long, and one goroutine")
	}
	const c, rho, demand = 4, 0.8, 0.030
	s := simulate(t, one(t, 1500*time.Second, "wait exp(30ms)", "cpus: 1", ", pool: {threads: 4}", fmt.Sprintf("%v/s", c*rho/demand)))
	a, sum, term := c*rho, 0.0, 1.0
	for k := range c {
		if k > 0 {
			term *= a / float64(k)
		}
		sum += term
	}
	term *= a / c / (1 - rho)
	want := term / (sum + term) * demand / (c * (1 - rho))
	wait := s.hist(t, "app.pool.wait")
	t.Logf("mean wait for a worker: %.5f s of %d, Erlang C %.5f s", wait.Mean(), wait.Count(), want)
	if math.Abs(wait.Mean()-want) > 0.05*want {
		t.Errorf("mean wait: got %.5f s, want %.5f s", wait.Mean(), want)
	}
	if u := s.area(t, "app.pool.utilisation") / 1500; math.Abs(u-rho) > 0.01 {
		t.Errorf("workers in use: got %.4f, want %v", u, rho)
	}
}

// lossy is who is turned away from c servers with room for so many to wait, by the plain recursion.
func lossy(c, room int, jobs []exact.Job) (lost map[dsv.Instant]bool) {
	lost = map[dsv.Instant]bool{}
	var ends []dsv.Instant // of those present, in order of service
	for _, j := range jobs {
		ends = slices.DeleteFunc(ends, func(e dsv.Instant) bool { return e <= j.Arrival })
		if j.Demand == 0 {
			continue // nothing is asked for
		}
		if len(ends) >= c+room {
			lost[j.Arrival] = true
			continue
		}
		start := j.Arrival
		if len(ends) >= c {
			sorted := slices.Sorted(slices.Values(ends))
			start = sorted[len(sorted)-c]
		}
		ends = append(ends, start+dsv.Instant(j.Demand))
	}
	return lost
}

// What is bounded turns away exactly those who find it full.
func TestBoundsTurnAway(t *testing.T) {
	disk := func(d *rdr.Demand) int64 { return int64(math.Round(float64(d.N) / 1e6 * 1e9)) }
	for _, tt := range []struct {
		name, block, server, svc string
		c, room                  int
		op                       rdr.Op
		ns                       func(*rdr.Demand) int64
		count                    dsv.Name
	}{
		{"disk", "disk read exp(10KB)", "disk: {rate: 1MB/s, queue: 3}", "", 1, 3, rdr.OpDiskRead, disk, "server_1.disk.refused"},
		{"pool", "wait exp(30ms)", "cpus: 1", ", pool: {threads: 2, queue: 2}", 2, 2, rdr.OpWait, amount, "app.rejected"},
		{"memory", "memory 1MiB { wait exp(30ms) }", "memory: {size: 2MiB, full: fail}", "", 2, 0, rdr.OpWait, amount, "server_1.memory.short"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := simulate(t, one(t, 60*time.Second, tt.block, tt.server, tt.svc, "90/s"))
			jobs := drawn(&s.plan.Clients[0], tt.op, tt.ns)
			lost := lossy(tt.c, tt.room, jobs)
			failed := 0
			for _, r := range s.requests(t, "jobs") {
				if bad := r.Cause != service.OK; bad != lost[r.Due] || bad && (r.Done != r.Due || r.Cause != service.Status) {
					t.Fatalf("request due at %v: got %+v, turned away by the recursion: %v", r.Due, r, lost[r.Due])
				} else if bad {
					failed++
				}
			}
			if share := float64(failed) / float64(len(jobs)); share < 0.05 || share > 0.7 {
				t.Errorf("turned away: got %d of %d, want some and not all", failed, len(jobs))
			}
			if got := s.count(t, tt.count); got != float64(failed) {
				t.Errorf("%s: got %v, want %d", tt.count, got, failed)
			}
		})
	}
}

// Of those who need memory the one that holds the most is killed, and its caller sees its connection reset.
func TestKilledForMemory(t *testing.T) {
	p := load(t, "kill", []byte(`eve: 1
name: kill
duration: 4s
requests: |
  request large { call app { memory 3MiB { wait 1s } reply 1B } }
  request small { call app { memory 1MiB { wait 1s } reply 1B } }
  request huge { call app { memory 9MiB { wait 1s } reply 1B } }
servers:
  server_1: {memory: {size: 4MiB, full: kill}}
services:
  app: {on: [server_1]}
clients:
  large: {request: large, arrive: constant, rate: 1/s, start: 100ms, stop: 1200ms}
  first: {request: small, arrive: constant, rate: 1/s, start: 200ms, stop: 1300ms}
  second: {request: small, arrive: constant, rate: 1/s, start: 300ms, stop: 1400ms}
  huge: {request: huge, arrive: constant, rate: 1/s, start: 2s, stop: 3100ms}
`), scenario.Options{})
	s := simulate(t, p)
	for group, want := range map[string]service.Cause{"large": service.Reset, "first": service.OK, "second": service.OK, "huge": service.Reset} {
		rs := s.requests(t, group)
		if len(rs) != 1 || rs[0].Cause != want {
			t.Errorf("%s: got %+v, want one request that ended with %v", group, rs, want)
		}
	}
	large, second, huge := s.requests(t, "large"), s.requests(t, "second"), s.requests(t, "huge")
	if large[0].Done != second[0].Due || huge[0].Done != huge[0].Due {
		t.Errorf("killed at %v and %v, want at %v, when there was not enough, and at once", large[0].Done, huge[0].Done, second[0].Due)
	}
	if got := s.count(t, "server_1.memory.killed"); got != 2 {
		t.Errorf("killed: got %v, want 2", got)
	}
}

// Residence is waiting and being served, where nothing else takes time; and each resource tells its own part.
func TestSplitOfResidence(t *testing.T) {
	s := simulate(t, one(t, 200*time.Second, "cpu exp(8ms) disk read exp(4KB) cpu 1ms reply exp(2KB)",
		"discipline: ps, disk: {rate: 1MB/s, seek: 1ms}, link: {rate: 8Mbit}", "", "60/s"))
	whole, wait, served := s.hist(t, "app.residence"), s.hist(t, "app.wait"), s.hist(t, "app.service")
	if d := wait.Sum() + served.Sum() - whole.Sum(); whole.Count() < 11_000 || math.Abs(d) > 1e-3*whole.Sum() {
		t.Errorf("wait %v s and service %v s of %d, residence %v s", wait.Sum(), served.Sum(), whole.Count(), whole.Sum())
	}
	parts := 0.0
	for r, want := range map[string]float64{"cpu": 0.0045, "disk": 0.005, "link": 0.002} {
		h := s.hist(t, dsv.Name("server_1."+r+".service"))
		if math.Abs(h.Mean()-want) > 0.05*want {
			t.Errorf("%s: got a mean service of %v s, want %v s", r, h.Mean(), want)
		}
		parts += s.hist(t, dsv.Name("server_1."+r+".wait")).Sum()
	}
	if math.Abs(parts-wait.Sum()) > 2e-3*parts+0.5 {
		t.Errorf("waits at the resources: got %v s, of requests %v s", parts, wait.Sum())
	}
}

// An urgent class does not notice another one that it preempts: it departs as if it were alone.
func TestPreemptionHidesTheOthers(t *testing.T) {
	p := classes(t, 60*time.Second, 9, 1, "priority, preempt: true",
		class{"urgent", "priority 2 call queue { cpu exp(10ms) }", 40}, class{"patient", "call queue { cpu exp(10ms) }", 50})
	jobs := plannedOf(p)
	got := departuresOf(t, simulate(t, p), jobs)
	var alone []exact.Job
	var at []int
	for i, j := range jobs {
		if j.group == 0 {
			alone, at = append(alone, j.Job), append(at, i)
		}
	}
	for k, want := range exact.FCFS(1, alone) {
		if d := got[at[k]]; d != want && (d != 0 || want < dsv.At(p.Duration)) {
			t.Fatalf("urgent request %d: got done at %v, want %v", k, d, want)
		}
	}
}

// On the same arrivals the mean response falls from first come first served over shortest job first to what is left least.
func TestShortestRemainingIsBest(t *testing.T) {
	var means []float64
	for _, discipline := range []string{"fcfs", "sjf", "sjf, preempt: true"} {
		s := simulate(t, classes(t, 200*time.Second, 3, 1, discipline, class{"job", "call queue { cpu exp(10ms) }", 85}))
		sum, n := 0.0, 0
		for _, r := range s.requests(t, "job") {
			sum, n = sum+r.Done.Sub(r.Due).Seconds(), n+1
		}
		means = append(means, sum/float64(n))
	}
	t.Logf("fcfs, sjf, srpt: %.4f", means)
	if !(means[0] > 1.3*means[1] && means[1] > 1.1*means[2]) {
		t.Errorf("mean responses of fcfs, sjf and srpt: got %.4f, want them to fall", means)
	}
}

// Jitter keeps the mean and the order of messages; a loss costs its time-out, doubled each time.
func TestJitterAndLoss(t *testing.T) {
	s := simulate(t, one(t, 100*time.Second, "reply 1B", "link: {delay: 20ms, jitter: 20ms}", "", "200/s"))
	last, sum, n, spread := dsv.Instant(0), 0.0, 0, map[time.Duration]bool{}
	for _, r := range s.requests(t, "jobs") {
		d := r.Done.Sub(r.Due)
		if r.Done < last {
			t.Fatalf("the request due at %v overtook one before it", r.Due)
		}
		last, sum, n = r.Done, sum+d.Seconds(), n+1
		spread[d.Round(10*time.Millisecond)] = true
	}
	if len(spread) < 6 || n < 18_000 {
		t.Errorf("response times of %d requests, to 10 ms: got %v, want from 0 to 80 ms", n, spread)
	}
	// In order means later than drawn: with a gap of 5 ms in the mean by less than the jitter.
	if mean := sum / float64(n); mean < 0.040 || mean > 0.065 {
		t.Errorf("mean: got %.4f s, want 40 ms and what order costs", mean)
	}

	const loss = 0.1
	s = simulate(t, one(t, 100*time.Second, "reply 1B", "link: {delay: 1ms, loss: 10%, rto: 100ms}", "", "200/s"))
	late, sum, n, lost := 0, 0.0, 0, 0
	for _, r := range s.requests(t, "jobs") {
		extra := r.Done.Sub(r.Due) - 2*time.Millisecond
		if extra%(100*time.Millisecond) != 0 {
			t.Fatalf("request due at %v took %v more than its delays", r.Due, extra)
		}
		if extra > 0 {
			late++
		}
		sum, n = sum+extra.Seconds(), n+1
	}
	lost = int(s.count(t, "server_1.link.lost"))
	if got, want := float64(late)/float64(n), 1-(1-loss)*(1-loss); math.Abs(got-want) > 0.01 {
		t.Errorf("requests with a loss: got %.4f, want %.4f", got, want)
	}
	if got, want := sum/float64(n), 2*0.1*loss/(1-2*loss); math.Abs(got-want) > 0.1*want {
		t.Errorf("mean of what losses cost: got %.5f s, want %.5f s", got, want)
	}
	if got, want := float64(lost)/float64(2*n), loss/(1-loss); math.Abs(got-want) > 0.01 {
		t.Errorf("losses by message: got %.4f, want %.4f", got, want)
	}
}

// A quota takes its share of the processors' speed in virtual time.
func TestQuotaInVirtualTime(t *testing.T) {
	s := simulate(t, one(t, 20*time.Second, "cpu 10ms", "cpus: 2, quota: 0.5", "", "1/s"))
	for _, r := range s.requests(t, "jobs") {
		if d := r.Done.Sub(r.Due); d < 40*time.Millisecond {
			t.Errorf("10 ms at half of one of two processors took %v, want 40ms at least", d)
		}
	}
}

// A rule widens the workers of a service, or narrows them: from then on they carry what so many carry, and no more wait than before.
func TestPoolIsWidened(t *testing.T) {
	for _, tt := range []struct {
		do          string
		most        float64 // answered per second from then on; before, four workers of 20 ms carry 200/s
		utilisation float64
	}{
		{"set app.pool.threads 8", 300, 0.75},
		{"set app.pool.threads = 2 * app.pool.threads", 300, 0.75},
		{"set app.pool.threads 2", 100, 1},
	} {
		t.Run(tt.do, func(t *testing.T) {
			s := simulate(t, load(t, "wide.yaml", fmt.Appendf(nil, `eve: 1
duration: 30s
requests: |
  request page { call app { wait 20ms } }
servers: {a: {}}
services: {app: {on: a, pool: {threads: 4, queue: 10}}}
clients: {crowd: {request: page, arrive: constant, rate: 300/s}}
adapt:
  - {name: change, when: crowd.in_flight >= 0, for: 10s, do: %s}
`, tt.do), scenario.Options{}))
			before, after := 0, 0
			for _, r := range s.requests(t, "crowd") {
				switch {
				case r.Cause != service.OK:
				case r.Done >= dsv.At(5*time.Second) && r.Done < dsv.At(10*time.Second):
					before++
				case r.Done >= dsv.At(12*time.Second) && r.Done < dsv.At(22*time.Second):
					after++
				}
			}
			if got := float64(before) / 5; math.Abs(got-200) > 2 {
				t.Errorf("before: got %v answered per second, want 200", got)
			}
			if got := float64(after) / 10; math.Abs(got-tt.most) > 2 {
				t.Errorf("after: got %v answered per second, want %v", got, tt.most)
			}
			sum, n := 0.0, 0.0
			err := s.history.History("app.pool.utilisation", -1, dsv.Never, func(u dsv.Update) error {
				if x := u.Delta.Value.Float / u.Delta.Weight; x > 1+1e-9 {
					t.Errorf("up to %v: got a utilisation of %v", u.Delta.T1, x)
				}
				if u.Delta.T1 > dsv.At(12*time.Second) {
					sum, n = sum+u.Delta.Value.Float, n+u.Delta.Weight
				}
				return nil
			})
			if got := sum / n; err != nil || math.Abs(got-tt.utilisation) > 0.01 {
				t.Errorf("utilisation: got %v, %v, want %v", got, err, tt.utilisation)
			}
		})
	}
}
