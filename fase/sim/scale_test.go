package sim_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
)

// farms is a scenario of two tiers of so many servers each, and a closed group of users who think for 10 s.
func farms(servers, users int, duration time.Duration) string {
	return fmt.Sprintf(`eve: 1
name: scale
duration: %v
warmup: 0s
seed: 1
records: 100/s
requests: |
  request page {
    call web {
      cpu exp(2ms)
      call app { cpu exp(4ms) reply 2KB }
      reply 4KB
    }
  }
servers:
  front: {count: %d, cpus: 4, run: hold}
  back: {count: %d, cpus: 4, run: hold}
services:
  web: {on: [front]}
  app: {on: [back]}
clients:
  crowd: {request: page, users: %d, think: exp(10s), patience: none}
`, duration, servers, servers, users)
}

// heap is what a simulation holds once it has run.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkFarms loads, prepares and simulates two seconds of 2·n servers and 200·n users.
func BenchmarkFarms(b *testing.B) {
	for _, n := range []int{50, 500, 5000} {
		b.Run(fmt.Sprint(2*n), func(b *testing.B) {
			for b.Loop() {
				before, began := heap(), time.Now()
				plan, err := scenario.Load("scale.yaml", []byte(farms(n, 200*n, 2*time.Second)), scenario.Options{})
				if err != nil {
					b.Fatal(err)
				}
				loaded := time.Now()
				store := dsv.NewStore(nil)
				s, err := sim.New(context.Background(), plan, store)
				if err != nil {
					b.Fatal(err)
				}
				made := time.Now()
				if err := s.Run(context.Background(), nil); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(loaded.Sub(began).Seconds(), "s-load")
				b.ReportMetric(made.Sub(loaded).Seconds(), "s-new")
				b.ReportMetric(time.Since(made).Seconds(), "s-run")
				b.ReportMetric(float64(heap()-before)/float64(2*n)/1024, "KiB/server")
				runtime.KeepAlive(s)
				runtime.KeepAlive(store)
			}
		})
	}
}

// web is a scenario of 1000 services in four layers, with 5250 calls from one to the next: each request of a service takes one of seven.
func web(duration time.Duration) string {
	const services, layer, servers = 1000, 250, 100
	var b strings.Builder
	fmt.Fprintf(&b, "eve: 1\nname: web\nduration: %v\nwarmup: 0s\nseed: 1\nrecords: 100/s\nrequests: |\n  request page {\n    choose {\n", duration)
	for i := range layer {
		fmt.Fprintf(&b, "      0.004: { call s%d.work }\n", i)
	}
	b.WriteString("    }\n  }\nservers:\n")
	fmt.Fprintf(&b, "  farm: {count: %d, cpus: 4, run: hold}\nservices:\n", servers)
	for i := range services {
		fmt.Fprintf(&b, "  s%d:\n    on: [farm_%d]\n    requests: |\n      request work {\n        cpu exp(%dus)\n", i, i%servers+1, 100+i%80)
		if i < services-layer {
			b.WriteString("        choose {\n")
			for k := range 7 {
				share := 0.14
				if k == 0 {
					share = 0.16
				}
				fmt.Fprintf(&b, "          %g: { call s%d.work }\n", share, (i/layer+1)*layer+(i*7+k*31)%layer)
			}
			b.WriteString("        }\n")
		}
		b.WriteString("        reply 1KB\n      }\n")
	}
	b.WriteString("clients:\n  users: {request: page, rate: 500/s, patience: none}\n")
	return b.String()
}

// A scenario of a thousand services and five thousand calls loads and simulates.
func TestThousandServices(t *testing.T) {
	src := web(2 * time.Second)
	if n := strings.Count(src, "call "); n < 5000 {
		t.Fatalf("only %d calls", n)
	}
	before, began := heap(), time.Now()
	plan := load(t, "web.yaml", []byte(src), scenario.Options{})
	loaded := time.Now()
	s := simulate(t, plan)
	t.Logf("loaded in %v, simulated in %v, %d KiB", loaded.Sub(began), time.Since(loaded), (heap()-before)>>10)
	if n := len(plan.Services); n != 1000 {
		t.Fatalf("services: got %d, want 1000", n)
	}
	sum := s.summary()
	if sum.Exit != runs.ExitOK {
		t.Fatalf("exit %d: %s", sum.Exit, sum.Error)
	}
	calls := 0.0
	for _, svc := range plan.Services {
		calls += s.count(t, dsv.Name(svc.Name+".requests"))
	}
	users := s.count(t, "users.requests")
	if users < 900 || calls < 3.9*users || calls > 4.1*users {
		t.Errorf("%v requests made %v calls: want about 1000, and four each", users, calls)
	}
}

// What a simulation holds does not grow with its length, here ten times as long. Its histograms have no new buckets to grow by: the
// requests are alike.
func TestHeapIsIndependentOfLength(t *testing.T) {
	if raced {
		t.Skip("the race detector keeps a shadow of the heap")
	}
	held := func(d time.Duration) float64 {
		plan := load(t, "alike", fmt.Appendf(nil, `eve: 1
name: alike
duration: %gs
warmup: 0s
requests: |
  request job { call app { cpu 1ms call db { cpu 500us reply 1KB } } }
servers:
  server_1: {cpus: 1, run: hold}
  server_2: {cpus: 1, run: hold}
services:
  app: {on: [server_1]}
  db: {on: [server_2]}
clients:
  jobs: {request: job, arrive: constant, rate: 500/s, patience: 1s}
`, d.Seconds()), scenario.Options{})
		before := heap()
		store := dsv.NewStore(nil)
		s, err := sim.New(context.Background(), plan, store)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		after := heap()
		runtime.KeepAlive(s)
		runtime.KeepAlive(store)
		return float64(after) - float64(before)
	}
	held(time.Second) // what is made once
	short, long := held(20*time.Second), held(200*time.Second)
	t.Logf("%.0f KiB after 20 s, %.0f KiB after 200 s", short/1024, long/1024)
	if long > short+64<<10 {
		t.Errorf("a simulation of 200 s holds %.0f bytes, one of 20 s %.0f", long, short)
	}
}
