package dmm_test

import (
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// bare is the least that a write which many goroutines may do can cost: a lock and an addition.
type bare struct {
	mu  sync.Mutex
	sum float64
}

func (b *bare) Write(_ dsv.Instant, x float64) {
	b.mu.Lock()
	b.sum += x
	b.mu.Unlock()
}

// BenchmarkWrite compares a write by one goroutine with a bare lock.
func BenchmarkWrite(b *testing.B) {
	every := dmm.Trigger{Every: 100 * time.Millisecond}
	b.Run("bare lock", func(b *testing.B) {
		v, at := &bare{}, dsv.Instant(0)
		for b.Loop() {
			at++
			v.Write(at, float64(at&1023)*1e-5+0.001)
		}
	})
	for _, m := range dmm.Shipped() {
		if m.Kind == dsv.Bytes {
			continue
		}
		b.Run(m.Name, func(b *testing.B) {
			v, at := newSet(b, dmm.Spec{Name: "x", Manipulator: m.Name, Param: 0.1, Sync: every}).Var("x"), dsv.Instant(0)
			b.ReportAllocs()
			for b.Loop() {
				at++
				v.Write(at, float64(at&1023)*1e-5+0.001)
			}
		})
	}
}

// BenchmarkWriteShared compares writes by all processors at once with a lock that they share.
func BenchmarkWriteShared(b *testing.B) {
	for name, v := range map[string]interface{ Write(dsv.Instant, float64) }{
		"bare lock": &bare{},
		"histogram": newSet(b, dmm.Spec{Name: "x", Manipulator: "histogram"}).Var("x"),
	} {
		b.Run(name, func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				at := dsv.Instant(0)
				for pb.Next() {
					at++
					v.Write(at, float64(at&1023)*1e-5+0.001)
				}
			})
		})
	}
}

// BenchmarkSynchronise is one window of a histogram: a thousand writes and the delta.
func BenchmarkSynchronise(b *testing.B) {
	set := newSet(b, dmm.Spec{Name: "x", Manipulator: "histogram", Sync: dmm.Trigger{Every: time.Second}})
	v, at := set.Var("x"), dsv.Instant(0)
	var ds []dsv.Delta
	b.ReportAllocs()
	for b.Loop() {
		for range 1000 {
			at += ms
			v.Write(at, float64(at%997)*1e-5+0.001)
		}
		set.Advance(at)
		ds = set.Take(ds[:0])
	}
}

// BenchmarkWindow sums the last five seconds of a histogram, as a rule does ten times a second.
func BenchmarkWindow(b *testing.B) {
	w := dmm.NewWindow(dmm.Spec{Name: "x", Manipulator: "histogram"}.Declaration("s", "", true), 10*time.Second)
	var c dsv.Counts
	for i := range dsv.Instant(100) {
		for k := range 50 {
			c.Add(0.001 * float64(1+k*k%97))
		}
		w.Add(dsv.Delta{T0: i * 100 * ms, T1: (i + 1) * 100 * ms, Value: dsv.HistValue(c.Take()), Weight: 50})
	}
	b.ReportAllocs()
	for b.Loop() {
		if w.Sum(5e9, 10e9).Quantile(0.95) == 0 {
			b.Fatal("nothing there")
		}
	}
}
