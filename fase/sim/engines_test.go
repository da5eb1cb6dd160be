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
	"github.com/eve-emulation/eve/rdr"
)

// The request of these tests: some CPU time and a read, of 1 ms for 500 kB.
const computeAndRead = "call queue { cpu exp(10ms) disk read uniform(1MB, 5MB) }"

// through are the jobs of a plan as they go through stations: where each CPU demand and each read is served.
func through(p *scenario.Plan, servers []int, cpu, disk int) ([]job, []dsv.Instant) {
	jobs := plannedOf(p)
	visits := make([][]exact.Visit, 0, len(jobs))
	arrivals := make([]dsv.Instant, len(jobs))
	for key, due := range p.Clients[0].Arrivals() {
		arrivals[len(visits)] = due
		var vs []exact.Visit
		p.Clients[0].Request.Draw(key, "", func(call *rdr.Demand) {
			call.Block.Draw(call.Key, "", func(d *rdr.Demand) {
				switch d.Op {
				case rdr.OpCPU:
					vs = append(vs, exact.Visit{Station: cpu, Demand: d.N})
				case rdr.OpDiskRead:
					vs = append(vs, exact.Visit{Station: disk, Demand: int64(math.Round(float64(d.N) / 500e6 * 1e9))})
				}
			})
		})
		visits = append(visits, vs)
	}
	return jobs, exact.Network(servers, arrivals, func(j, k int) (exact.Visit, bool) {
		if k < len(visits[j]) {
			return visits[j][k], true
		}
		return exact.Visit{}, false
	})
}

// Each engine has the queueing of its architecture, to the nanosecond of the exact path: its requests go through the processors and
// then the disk; where a loop burns both itself, it does one thing at a time.
func TestEnginesQueueAsTheyWould(t *testing.T) {
	for _, engine := range scenario.Engines() {
		for _, run := range []string{"hold", "burn"} {
			for cpus := 1; cpus <= 2; cpus++ {
				t.Run(fmt.Sprintf("%s, %s, %d processors", engine, run, cpus), func(t *testing.T) {
					p := classes(t, 8*time.Second, 9, cpus, fmt.Sprintf("fcfs, run: %s, engine: %s", run, engine), class{"jobs", computeAndRead, 45 * float64(cpus)})
					servers, disk := []int{cpus, 1}, 1
					if run == "burn" && scenario.Looped(engine) {
						servers, disk = []int{cpus}, 0
					}
					jobs, want := through(p, servers, 0, disk)
					same(t, simulate(t, p), jobs, want, 250*cpus)
				})
			}
		}
	}
}

// A pool of four threads is a station of four servers, whatever its requests do meanwhile; what finds the queue full is refused.
func TestThreadsOfAPoolAreServers(t *testing.T) {
	const threads, queue = 4, 6
	for _, request := range []string{"call queue { cpu exp(10ms) }", "call queue { cpu exp(10ms) reply 1KiB }"} {
		p := classes(t, 10*time.Second, 4, 16, fmt.Sprintf("fcfs, engine: {kind: pool, threads: %d, queue: %d}", threads, queue), class{"jobs", request, 450})
		jobs := plannedOf(p)
		s := simulate(t, p)
		departures, refused := exact.Loss(threads, threads+queue, bare(jobs))
		got := map[dsv.Instant]service.Cause{}
		done := map[dsv.Instant]dsv.Instant{}
		for _, r := range s.requests(t, "jobs") {
			got[r.Due], done[r.Due] = r.Cause, r.Done
		}
		turned := 0
		for i, j := range jobs {
			cause, want := got[j.Arrival], service.OK
			if refused[i] {
				want = service.Status
				turned++
			}
			if departures[i] < dsv.At(p.Duration) && (cause != want || done[j.Arrival] != departures[i]) {
				t.Fatalf("request %d due at %v: got %v at %v, want %v at %v", i, j.Arrival, cause, done[j.Arrival], want, departures[i])
			}
		}
		if turned < 200 || turned > len(jobs)/2 {
			t.Errorf("%d of %d refused: too few or too many to tell", turned, len(jobs))
		}
	}
}

// A thread of a pool is held while its request waits for another server: threads then bound what the other one gets.
func TestThreadsWaitForCalls(t *testing.T) {
	p := load(t, "calls", []byte(`eve: 1
name: calls
duration: 10s
seed: 2
requests: |
  request jobs { call front { call queue { cpu exp(10ms) } } }
servers:
  web: {cpus: 4, engine: {kind: pool, threads: 3}}
  app: {cpus: 64}
services:
  front: {on: web}
  queue: {on: app}
clients:
  jobs: {request: jobs, arrive: poisson, rate: 240/s}
`), scenario.Options{})
	var jobs []job
	for key, due := range p.Clients[0].Arrivals() {
		var n int64
		p.Clients[0].Request.Draw(key, "", func(front *rdr.Demand) { n += cpu(front.Block, front.Key) })
		jobs = append(jobs, job{Job: exact.Job{Arrival: due, Demand: n}})
	}
	same(t, simulate(t, p), jobs, exact.FCFS(3, bare(jobs)), 2000)
}
