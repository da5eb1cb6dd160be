package dmm_test

import (
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

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

// BenchmarkBeside compares a write under a histogram, by its trigger and its writers, with a bare record of HdrHistogram and
// with such a record behind one mutex. All take turns, so that they have the same machine; ratios are to the bare record.
func BenchmarkBeside(b *testing.B) {
	const lot = 200_000
	hdr := hdrhistogram.New(1, 3_600_000_000_000, 3)
	var mu sync.Mutex
	open := func(t dmm.Trigger) *dmm.Set {
		specs := make([]dmm.Spec, 10)
		for i := range specs {
			specs[i] = dmm.Spec{Name: dsv.Name("x.v" + string(rune('a'+i))), Manipulator: "histogram", Sync: t}
		}
		return newSet(b, specs...)
	}
	every, count := open(dmm.Trigger{Every: 100 * time.Millisecond}), open(dmm.Trigger{Count: 1000})
	var deltas []dsv.Delta
	writes := func(v *dmm.Var, from dsv.Instant) {
		for i := range dsv.Instant(lot) {
			v.Write(from+i, float64(i&1023)*1e-5+0.001)
		}
	}
	parallel := func(n int, f func(i int)) {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { f(i) })
		}
		wg.Wait()
	}
	cases := []struct {
		name   string
		writes int
		run    func(from dsv.Instant)
	}{
		{"hdr", lot, func(dsv.Instant) {
			for i := range int64(lot) {
				_ = hdr.RecordValue(i&1023*10_000 + 1_000_000)
			}
		}},
		{"mutex", lot, func(dsv.Instant) {
			for i := range int64(lot) {
				mu.Lock()
				_ = hdr.RecordValue(i&1023*10_000 + 1_000_000)
				mu.Unlock()
			}
		}},
		{"every", lot, func(from dsv.Instant) { writes(every.Var("x.va"), from) }},
		{"count", lot, func(from dsv.Instant) { writes(count.Var("x.va"), from) }},
		{"every_two", 2 * lot, func(from dsv.Instant) { parallel(2, func(int) { writes(every.Var("x.vb"), from) }) }},
		{"count_two", 2 * lot, func(from dsv.Instant) { parallel(2, func(int) { writes(count.Var("x.vb"), from) }) }},
		{"ten_own", 10 * lot, func(from dsv.Instant) {
			parallel(10, func(i int) { writes(every.Var(dsv.Name("x.v"+string(rune('a'+i)))), from) })
		}},
	}
	spent := make([]time.Duration, len(cases))
	rounds := 0
	for b.Loop() {
		rounds++
		from := dsv.At(time.Duration(rounds) * 100 * time.Millisecond)
		for i, c := range cases {
			began := time.Now()
			c.run(from)
			spent[i] += time.Since(began)
			every.Advance(from)
			deltas = count.Take(every.Take(deltas[:0]))
		}
	}
	ns := func(i int) float64 { return float64(spent[i]) / float64(rounds*cases[i].writes) }
	b.ReportMetric(0, "ns/op")
	for i, c := range cases {
		b.ReportMetric(ns(i), c.name+"-ns")
		if i > 0 {
			b.ReportMetric(ns(i)/ns(0), c.name+"/hdr")
		}
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

// BenchmarkCut is a write under a histogram that is synchronised every 100 writes, by how many buckets they fall into.
func BenchmarkCut(b *testing.B) {
	for _, c := range []struct {
		name    string
		samples []float64
	}{{"one bucket", []float64{0.01}}, {"two far apart", []float64{0.0001, 1}}, {"a hundred", spread(100)}} {
		b.Run(c.name, func(b *testing.B) {
			set := newSet(b, dmm.Spec{Name: "x", Manipulator: "histogram", Sync: dmm.Trigger{Count: 100}})
			v, at := set.Var("x"), dsv.Instant(0)
			var ds []dsv.Delta
			for b.Loop() {
				at++
				v.Write(at, c.samples[int(at)%len(c.samples)])
				if at%100 == 0 {
					ds = set.Take(ds[:0])
				}
			}
		})
	}
}

// spread returns n samples from 1 to 10 ms.
func spread(n int) []float64 {
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = 0.001 + 0.009*float64(i)/float64(n)
	}
	return xs
}
