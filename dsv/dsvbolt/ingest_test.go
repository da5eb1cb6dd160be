package dsvbolt_test

import (
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
)

// BenchmarkIngest syncs deltas of one float sample each into a recorded Store, as a kernel does, and tells how many
// samples a CPU second of the whole process takes, their bytes on disk, the longest transaction and what of it was not
// writing, how long a batch of 500 deltas took at most, and the heap at the end.
func BenchmarkIngest(b *testing.B) {
	for _, vars := range []int{100, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("%d variables", vars), func(b *testing.B) {
			f := newFeed(b, vars)
			must(b, f.db.Flush())
			before := cpu()
			b.ResetTimer()
			var stall time.Duration
			for f.samples < b.N {
				began := time.Now()
				f.sync(b)
				stall = max(stall, time.Since(began))
			}
			must(b, f.s.Close())
			spent := cpu() - before
			st := f.db.Stats()
			b.ReportMetric(float64(f.samples)/spent.Seconds(), "samples/cpu-s")
			b.ReportMetric(float64(f.samples)/b.Elapsed().Seconds(), "samples/s")
			b.ReportMetric(st.Longest.Seconds()*1e3, "ms/longest-commit")
			b.ReportMetric(st.LongestOwn.Seconds()*1e3, "ms/longest-own")
			b.ReportMetric(stall.Seconds()*1e3, "ms/longest-sync")
			b.ReportMetric(float64(st.Commits), "commits")
			b.ReportMetric(float64(heap())/1e6, "MB-heap")
			must(b, f.db.Close())
			b.ReportMetric(float64(onDisk(b, f.db.Path()))/float64(f.samples), "B/sample")
		})
	}
}

// feed syncs smooth series into a recorded Store: every 10 ms of its own time a sample of each variable.
type feed struct {
	s       *dsv.Store
	db      *dsvbolt.DB
	names   []dsv.Name
	deltas  []dsv.Delta // one batch
	next    int         // variable
	seq     uint64      // of the round
	samples int
}

func newFeed(t testing.TB, vars int) *feed {
	t.Helper()
	db := create(t, filepath.Join(t.TempDir(), "run.db"))
	f := &feed{s: dsv.NewStore(db), db: db, names: make([]dsv.Name, vars), deltas: make([]dsv.Delta, 500), seq: 1}
	for i := range f.names {
		f.names[i] = dsv.Name(fmt.Sprintf("server_%d.cpu.utilisation", i))
		must(t, f.s.Create(t.Context(), dsv.Declaration{Name: f.names[i], Kind: dsv.Float, Merge: dsv.Last, History: true}))
	}
	return f
}

// sync sends one batch.
func (f *feed) sync(t testing.TB) {
	for i := range f.deltas {
		at := dsv.Instant(f.seq) * 10e6
		x := math.Round(1e6*math.Sin(float64(f.seq)/1e3+float64(f.next))) / 1e6
		f.deltas[i] = dsv.Delta{
			Name: f.names[f.next], Writer: 1, Seq: f.seq, T0: at - 10e6, T1: at, Value: dsv.FloatValue(x), Weight: 1,
		}
		if f.next++; f.next == len(f.names) {
			f.next = 0
			f.seq++
		}
	}
	must(t, f.s.Sync(t.Context(), f.deltas))
	f.samples += len(f.deltas)
}

// cpu returns the CPU time of the process so far.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// onDisk returns the bytes that a file takes; it has holes.
func onDisk(t testing.TB, path string) int64 {
	t.Helper()
	var info syscall.Stat_t
	must(t, syscall.Stat(path, &info))
	return 512 * info.Blocks
}

// heap returns the bytes in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
