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

// BenchmarkOneStation simulates one busy station with all standard measurements and every request recorded. There are two events for
// each request, an arrival and a departure. One iteration is one virtual second of 10 000 requests.
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
			n := float64(s.Events())
			b.ReportMetric(n/used, "events/cpu-s")
			b.ReportMetric(1e9*used/n, "cpu-ns/event")
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
