package dsv_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/eve-emulation/eve/dsv"
)

// BenchmarkScale tells what one of 100 000 variables and one of 10 000 watches take: heap bytes, and the time to make
// them and to write past them.
func BenchmarkScale(b *testing.B) {
	for _, c := range []struct {
		name string
		d    dsv.Declaration
		v    func(i int) dsv.Value
	}{
		{"float last", dsv.Declaration{Kind: dsv.Float, Unit: "s"}, func(i int) dsv.Value { return dsv.FloatValue(float64(i)) }},
		{"int sum", dsv.Declaration{Kind: dsv.Int, Merge: dsv.Sum, Unit: "1"}, func(i int) dsv.Value { return dsv.IntValue(int64(i)) }},
		{"histogram of 20 buckets", dsv.Declaration{Kind: dsv.Histogram, Merge: dsv.Hists, Unit: "s"}, func(i int) dsv.Value {
			var buckets []uint32
			var counts []uint64
			for j := range 20 {
				buckets, counts = append(buckets, uint32(2000+i%100+40*j)), append(counts, 1)
			}
			return dsv.HistValue(dsv.NewHist(buckets, counts))
		}},
	} {
		b.Run("variable/"+c.name, func(b *testing.B) {
			const vars = 100_000
			for b.Loop() {
				before := heap()
				s := newMany(b, vars, c.d, c.v)
				b.ReportMetric(float64(heap()-before)/vars, "B/variable")
				runtime.KeepAlive(s)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*vars), "ns/variable")
		})
	}
	for name, pattern := range map[string]func(i int) string{
		"of one name":       func(i int) string { return fmt.Sprintf("server_%d.cpu.load", i) },
		"of the same name":  func(int) string { return "server_7.cpu.load" },
		"of its own prefix": func(i int) string { return fmt.Sprintf("server_%d.*", i) },
	} {
		b.Run("watch/"+name, func(b *testing.B) {
			const vars, watches = 100_000, 10_000
			s := newMany(b, vars, dsv.Declaration{Kind: dsv.Float}, func(i int) dsv.Value { return dsv.FloatValue(float64(i)) })
			for b.Loop() {
				before := heap()
				ws := make([]dsv.Watch, watches)
				for i := range ws {
					var err error
					ws[i], err = s.Watch(b.Context(), dsv.WatchRequest{Pattern: pattern(i)})
					must(b, err)
					_, err = ws[i].Next(b.Context())
					must(b, err)
				}
				b.ReportMetric(float64(heap()-before-8*watches)/watches, "B/watch")
				for _, w := range ws {
					must(b, w.Close())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*watches), "ns/watch")
		})
	}
}

// newMany returns a Store of many variables, each with a value.
func newMany(b *testing.B, vars int, d dsv.Declaration, v func(i int) dsv.Value) *dsv.Store {
	b.Helper()
	s := dsv.NewStore(nil)
	for i := range vars {
		d.Name = dsv.Name(fmt.Sprintf("server_%d.cpu.load", i))
		must(b, s.Create(b.Context(), d))
		must(b, s.Sync(b.Context(), []dsv.Delta{{Name: d.Name, Writer: 1, Seq: 1, T1: 1, Value: v(i), Weight: 1}}))
	}
	return s
}
