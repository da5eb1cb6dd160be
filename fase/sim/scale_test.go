package sim_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
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
