package sim_test

import (
	"context"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/internal/mono"
)

// BenchmarkOneStation simulates one busy station with all standard measurements and every request recorded. An event is an
// arrival or a departure, so there are two for each request. One iteration is one virtual second of 10 000 requests.
func BenchmarkOneStation(b *testing.B) {
	for _, discipline := range []string{"fcfs", "ps"} {
		b.Run(discipline, func(b *testing.B) {
			p := queue(b, time.Duration(b.N)*time.Second, 1, "exp(70us)", "cpus: 1, discipline: "+discipline, "10000/s", "none")
			store := dsv.NewStore(nil)
			s, err := sim.New(context.Background(), p, store)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			cpu := mono.ProcessCPU() // beside other work an elapsed time tells little
			if err := s.Run(context.Background(), nil); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			used := float64(mono.ProcessCPU()-cpu) / 1e9
			r, err := store.Read(context.Background(), "jobs.requests")
			if err != nil {
				b.Fatal(err)
			}
			n, _ := r.Value.Number()
			b.ReportMetric(2*n/used, "events/cpu-s")
			b.ReportMetric(1e9*used/n, "cpu-ns/request")
		})
	}
}

// BenchmarkFlashCrowd simulates the shipped scenario and computes its summary: what a user waits for.
func BenchmarkFlashCrowd(b *testing.B) {
	for b.Loop() {
		s := simulate(b, shipped(b, "flash-crowd", scenario.Options{}))
		if s.summary().Exit != runs.ExitOK {
			b.Fatal("the flash crowd failed")
		}
	}
}
