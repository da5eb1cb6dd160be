package dsvbolt_test

import (
	"math"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/eve-emulation/eve/dsv"
)

// BenchmarkRecord records a smooth series through a Store and tells the bytes that a sample takes in the file.
func BenchmarkRecord(b *testing.B) {
	for name, value := range map[string]func(i int) dsv.Value{
		"counter":     func(i int) dsv.Value { return dsv.IntValue(int64(40 + i%7)) },
		"smooth":      func(i int) dsv.Value { return dsv.FloatValue(math.Round(1e6*math.Sin(float64(i)/1e3)) / 1e6) },
		"utilisation": func(i int) dsv.Value { return dsv.FloatValue(float64(70_000_000+i*i%9999) / 1e9) },
		"noise":       func(i int) dsv.Value { return dsv.FloatValue(math.Sin(float64(i) * 1e3)) },
	} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "run.db")
			db := create(b, path)
			s := dsv.NewStore(db)
			const vars, batch = 50, 500
			names := make([]dsv.Name, vars)
			for i := range names {
				names[i] = dsv.Name("server_" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".cpu.utilisation")
				must(b, s.Create(b.Context(), dsv.Declaration{Name: names[i], Kind: value(0).Kind, Merge: dsv.Sum, History: true}))
			}
			ds := make([]dsv.Delta, batch)
			b.ReportAllocs()
			for n := 0; n < b.N; {
				k := min(batch, b.N-n)
				for i := range k {
					seq := (n + i) / vars
					at := dsv.Instant(seq) * 100e6
					ds[i] = dsv.Delta{
						Name: names[(n+i)%vars], Writer: 1, Seq: uint64(seq + 1), T0: at, T1: at + 100e6, Value: value(seq), Weight: 1,
					}
				}
				must(b, s.Sync(b.Context(), ds[:k]))
				n += k
			}
			must(b, s.Close())
			must(b, db.Close())
			var info syscall.Stat_t // the file has holes
			must(b, syscall.Stat(path, &info))
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "samples/s")
			b.ReportMetric(float64(512*info.Blocks)/float64(b.N), "B/sample")
		})
	}
}

// BenchmarkDurable compares one durable writer with many, who share commits.
func BenchmarkDurable(b *testing.B) {
	for name, writers := range map[string]int{"1 writer": 1, "64 writers": 64} {
		b.Run(name, func(b *testing.B) {
			db := create(b, filepath.Join(b.TempDir(), "run.db"))
			s := dsv.NewStore(db)
			must(b, s.Create(b.Context(), dsv.Declaration{Name: "x", Kind: dsv.Int, Durable: true}))
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := w; i < b.N; i += writers {
						if _, err := s.Write(b.Context(), "x", dsv.IntValue(int64(i))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
		})
	}
}
