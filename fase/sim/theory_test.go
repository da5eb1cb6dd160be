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
	"github.com/eve-emulation/eve/fase/stat"
)

// queue is one open group at one server.
func queue(t testing.TB, duration time.Duration, seed uint64, demand, server, rate, patience string) *scenario.Plan {
	t.Helper()
	return load(t, "queue", fmt.Appendf(nil, `eve: 1
name: queue
duration: %gs
warmup: 0s
seed: %d
requests: |
  request job { call queue { cpu %s } }
servers:
  server_1: {%s}
services:
  queue: {on: [server_1]}
clients:
  jobs: {request: job, arrive: poisson, rate: %s, patience: %s}
`, duration.Seconds(), seed, demand, server, rate, patience), scenario.Options{})
}

// Every request of mm1 departs at the nanosecond at which Lindley's recursion lets it; processor sharing rounds each
// departure up to the nanosecond, which adds up within a busy period, and two servers follow Kiefer and Wolfowitz.
func TestExactPath(t *testing.T) {
	tests := []struct {
		name  string
		set   []string
		c     int
		path  func(int, []exact.Job) []dsv.Instant
		slack time.Duration
	}{
		{"M/M/1", nil, 1, exact.FCFS, 0},
		{"M/M/2", []string{"servers.server_1.cpus=2", "clients.jobs.rate=140/s"}, 2, exact.FCFS, 0},
		{"M/M/1-PS", []string{"servers.server_1.discipline=ps"}, 1, exact.PS, time.Microsecond},
		{"M/M/2-PS", []string{"servers.server_1={cpus: 2, discipline: ps}", "clients.jobs.rate=140/s"}, 2, exact.PS, time.Microsecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := simulate(t, shipped(t, "mm1", scenario.Options{Set: tt.set}))
			jobs := planned(&s.plan.Clients[0])
			want := tt.path(tt.c, jobs)
			records := s.requests(t, "jobs")
			i := 0
			for _, r := range records {
				for i < len(jobs) && jobs[i].Arrival < r.Due { // not recorded: in flight at the end
					if end := dsv.At(s.plan.Duration); want[i] <= end {
						t.Fatalf("request %d, due at %v and done at %v, is missing", i, jobs[i].Arrival, want[i])
					}
					i++
				}
				if i == len(jobs) || r.Due != jobs[i].Arrival {
					t.Fatalf("request due at %v is not planned", r.Due)
				}
				if d := r.Done.Sub(want[i]).Abs(); d > tt.slack || r.Cause != service.OK || r.Sent != r.Due {
					t.Fatalf("request %d due at %v: got %+v, want done at %v", i, r.Due, r, want[i])
				}
				i++
			}
			if len(records) < 3500 {
				t.Errorf("requests: got %d, want about %d", len(records), len(jobs))
			}
		})
	}
}

// The mean response, in mean demands, lies within 4 standard errors of what theory says, the error by 20 batch means; at
// utilisation 0.7 with a mean demand of 10 ms. Theory: 1/(1-ρ) for M/M/1 in either discipline, 1+ρ/(2(1-ρ)) for M/D/1
// (Pollaczek and Khinchine), 1/(1-ρ²) for M/M/2 (Erlang). The standard error must be below 4 %, so that the test can fail.
func TestMeanResponse(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and one goroutine: the race detector has nothing to find")
	}
	if raced {
		t.Skip("hundreds of thousands of requests; a simulation is one goroutine, so the other tests tell as much of races")
	}
	const rho = 0.7
	tests := []struct {
		name, demand, server, rate string
		want                       float64
	}{
		{"M/M/1", "exp(10ms)", "cpus: 1", "70/s", 1 / (1 - rho)},
		{"M/D/1", "10ms", "cpus: 1", "70/s", 1 + rho/(2*(1-rho))},
		{"M/M/2", "exp(10ms)", "cpus: 2", "140/s", 1 / (1 - rho*rho)},
		{"M/M/1-PS", "exp(10ms)", "cpus: 1, discipline: ps", "70/s", 1 / (1 - rho)},
		{"M/D/1-PS", "10ms", "cpus: 1, discipline: ps", "70/s", 1 / (1 - rho)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := simulate(t, queue(t, 800*time.Second, 1, tt.demand, tt.server, tt.rate, "none"))
			var xs []float64
			for _, r := range s.requests(t, "jobs") {
				if r.Due > dsv.At(20*time.Second) {
					xs = append(xs, r.Done.Sub(r.Due).Seconds()/0.010)
				}
			}
			e, err := stat.BatchMeans(xs, stat.Batches, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			const student = 2.093 // t(19), 95 %
			se := e.Half() / student
			t.Logf("%s: %.4f ± %.4f of %d requests, theory %.4f", tt.name, e.Value, se, e.N, tt.want)
			if se > 0.04*tt.want {
				t.Errorf("standard error: got %.4f, want at most 4 %% of %.4f", se, tt.want)
			}
			if math.Abs(e.Value-tt.want) > 4*se {
				t.Errorf("mean response: got %.4f, want %.4f ± 4·%.4f", e.Value, tt.want, se)
			}
			if w := s.summary().Warnings; len(w) > 0 {
				t.Errorf("warnings: got %q, want none", w)
			}
		})
	}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Abs(want) || want == 0 {
		t.Errorf("%s: got %.12g, want %.12g", what, got, want)
	}
}

// Laws that hold for every path, from two measurements that know nothing of one another each: what was recorded of single
// requests, and what was integrated or counted meanwhile.
func TestOperationalLaws(t *testing.T) {
	for _, discipline := range []string{"fcfs", "ps"} {
		t.Run(discipline, func(t *testing.T) {
			s := simulate(t, queue(t, 100*time.Second, 5, "exp(10ms)", "cpus: 1, discipline: "+discipline, "80/s", "none"))
			end := dsv.At(s.plan.Duration)
			jobs := planned(&s.plan.Clients[0])
			records, visits := s.requests(t, "jobs"), s.visits(t, "queue")

			// Flow balance: issued = done + in flight.
			c := s.summary().Clients["jobs"]
			inFlight := len(jobs) - len(records)
			got := c.Accounting
			if !got.Balanced || got.Issued != int64(len(jobs)) || got.OK != int64(len(records)) || got.Errors != 0 || got.InFlight != int64(inFlight) {
				t.Errorf("books: got %+v, want %d issued, %d ok, %d in flight", got, len(jobs), len(records), inFlight)
			}
			if len(visits) != len(records) {
				t.Errorf("visits of the service: got %d, want %d", len(visits), len(records))
			}

			// Little's law: the time that requests spent here is the integral of their number.
			done := map[dsv.Instant]bool{}
			spent := 0.0
			for _, r := range records {
				done[r.Due] = true
				spent += r.Done.Sub(r.Due).Seconds()
			}
			for _, j := range jobs {
				if !done[j.Arrival] {
					spent += end.Sub(j.Arrival).Seconds()
				}
			}
			near(t, "request-seconds of the group", s.area(t, "jobs.in_flight"), spent)
			near(t, "request-seconds at the server", s.area(t, "server_1.in_flight"), spent)
			near(t, "job-seconds at the CPU", s.area(t, "server_1.cpu.queue"), spent)

			// Utilisation law: the CPU is busy for as long as it serves.
			var asked int64
			for _, v := range visits {
				asked += int64(v.CPU)
			}
			busy := s.area(t, "server_1.cpu.utilisation")
			if inFlight == 0 {
				near(t, "busy seconds", busy, float64(asked)/1e9)
			} else if low := float64(asked) / 1e9; busy < low || busy > low+5 {
				t.Errorf("busy seconds: got %.3f, want %.3f and what the %d in flight have had", busy, low, inFlight)
			}
			// Processor sharing rounds each departure up to the nanosecond.
			if want, slack := busySeconds(jobs, end), 1e-9*float64(len(jobs)); math.Abs(busy-want) > slack {
				t.Errorf("busy seconds: got %.9f, by busy periods %.9f", busy, want)
			}
		})
	}
}

// busySeconds is how long a server that conserves work is busy until an instant, whatever its order of service.
func busySeconds(jobs []exact.Job, end dsv.Instant) float64 {
	sum, free := dsv.Instant(0), dsv.Instant(0)
	for i, d := range exact.FCFS(1, jobs) {
		from := min(max(free, jobs[i].Arrival), end)
		sum += min(d, end) - from
		free = d
	}
	return sum.Seconds()
}

// Users who give up are counted as such, at the bound of their patience, and the books balance.
func TestPatience(t *testing.T) {
	s := simulate(t, queue(t, 60*time.Second, 3, "exp(20ms)", "cpus: 1", "60/s", "300ms"))
	abandoned := int64(0)
	for _, r := range s.requests(t, "jobs") {
		d := r.Done.Sub(r.Due)
		if d > 300*time.Millisecond {
			t.Fatalf("response time with a patience of 300 ms: got %v", d)
		}
		if r.Cause == service.Abandoned {
			abandoned++
			if d != 300*time.Millisecond {
				t.Fatalf("abandoned after %v, want 300ms", d)
			}
		}
	}
	c := s.summary().Clients["jobs"]
	if abandoned < 100 || c.Errors["abandoned"] != abandoned || c.Errors["all"] != abandoned || !c.Accounting.Balanced {
		t.Errorf("abandoned: got %d records, errors %v, books %+v; want many, all of them abandoned", abandoned, c.Errors, c.Accounting)
	}
	if got := float64(c.Response.Max); math.Abs(got-0.3) > 1e-9 {
		t.Errorf("largest response: got %v s, want the patience", got)
	}
}

// The flash crowd: both rules act in order, each adaptation goes through its phases, and the crowd is served well again.
func TestFlashCrowd(t *testing.T) {
	s := simulate(t, shipped(t, "flash-crowd", scenario.Options{}))
	sum := s.summary()
	at := map[string]float64{}
	var got []string
	for _, d := range sum.Decisions {
		got = append(got, d.Rule+" "+d.Phase)
		at[d.Rule+" "+d.Phase] = float64(d.Time)
	}
	want := []string{
		"offload decided", "offload copied", "offload switched", "offload done",
		"grow decided", "grow copied", "grow switched", "grow done",
	}
	if !slices.Equal(got, want) {
		t.Fatalf("decisions: got %q, want %q", got, want)
	}
	if at["offload decided"] < 20 || at["grow done"] > 30 {
		t.Errorf("adapted between %.1f s and %.1f s, want soon after the crowd came at 20 s", at["offload decided"], at["grow done"])
	}
	// 64 MiB over 1 Gbit/s take 0.54 s, shared with the replies.
	if d := at["grow copied"] - at["grow decided"]; d < 0.53 || d > 1 {
		t.Errorf("copy of app: took %.3f s, want 0.54 s and what replies took of the link", d)
	}
	p95 := func(from, to float64) float64 {
		var xs []float64
		for _, r := range s.requests(t, "crowd") {
			if due := r.Due.Seconds(); due > from && due <= to {
				xs = append(xs, r.Done.Sub(r.Due).Seconds())
			}
		}
		slices.Sort(xs)
		return stat.Quantile(xs, 0.95)
	}
	before, after := p95(23, at["grow decided"]), p95(at["grow done"]+5, 45)
	t.Logf("p95: %.0f ms in the crowd before app grew, %.0f ms after it had", 1e3*before, 1e3*after)
	if before < 3*after {
		t.Errorf("p95: got %.3f s before and %.3f s after, want a third at most", before, after)
	}
}
