package burn_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/eve-emulation/eve/fase/burn"
	"github.com/eve-emulation/eve/internal/mono"
)

func newBurner(t testing.TB, cfg burn.Config) *burn.Burner {
	t.Helper()
	b, err := burn.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// TestCPU compares what the thread's clock says was used with what was asked: the median must be right, within 3 µs and
// 0.5 %, and what the Burner tells must agree with the clock. The clock is read twice around a burn, and the cost of one
// reading is taken off. Interrupts and stolen processors, which the thread's clock counts, disturb burns for a while: of
// five rounds one must be right. A Burner that is wrong by itself is wrong in all of them.
func TestCPU(t *testing.T) {
	for _, competing := range []int{0, 3} {
		t.Run(strconv.Itoa(competing)+" competitors", func(t *testing.T) {
			compete(t, competing)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			b := newBurner(t, burn.Config{})
			reading := int64(1 << 20)
			for range 100 {
				before := mono.ThreadCPU()
				reading = min(reading, mono.ThreadCPU()-before)
			}
			for _, tt := range []struct {
				demand int64
				n      int
			}{{20_000, 101}, {200_000, 101}, {1_000_000, 51}, {10_000_000, 11}} {
				var got round
				for range 5 {
					if got = burnRound(b, tt.demand, tt.n, reading); got.right(tt.demand) {
						break
					}
				}
				t.Logf("asked %d ns, median used %d, told %+d (n = %d)", tt.demand, got.used, got.off, tt.n)
				if !got.right(tt.demand) {
					t.Errorf("demand %d ns: median used %d ns and told %+d ns than used, want both within %d",
						tt.demand, got.used, got.off, slack(tt.demand))
				}
			}
		})
	}
}

// round is the medians of some burns of one demand.
type round struct {
	used int64 // ns, by the thread's clock
	off  int64 // ns told more than used
}

func burnRound(b *burn.Burner, demand int64, n int, reading int64) round {
	used, off := make([]int64, n), make([]int64, n)
	for i := range n {
		before := mono.ThreadCPU()
		told := b.CPU(demand)
		used[i] = mono.ThreadCPU() - before - reading
		off[i] = told - used[i]
	}
	slices.Sort(used)
	slices.Sort(off)
	return round{used[n/2], off[n/2]}
}

// slack is 3 µs and 0.5 %, in ns.
func slack(demand int64) int64 { return 3_000 + demand/200 }

func (r round) right(demand int64) bool {
	return max(r.used-demand, demand-r.used, r.off, -r.off) <= slack(demand)
}

// compete keeps n threads busy until the test ends.
func compete(t *testing.T, n int) {
	t.Helper()
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for !stop.Load() {
			}
		})
	}
	t.Cleanup(func() {
		stop.Store(true)
		wg.Wait()
	})
}

func TestCPUShort(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b := newBurner(t, burn.Config{})
	for _, demand := range []int64{-5, 0} {
		if got := b.CPU(demand); got != 0 {
			t.Errorf("demand %d: got %d, want 0", demand, got)
		}
	}
	// One reading of the clock around a thousand demands that are too short for any.
	before := mono.ThreadCPU()
	for range 1000 {
		b.CPU(1000)
	}
	if got := mono.ThreadCPU() - before; got < 700_000 || got > 2_000_000 {
		t.Errorf("1000 demands of 1 µs: used %d ns, want about 1 ms", got)
	}
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	b := newBurner(t, burn.Config{Dir: dir, FileBytes: 1 << 20})
	size := func() int64 {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(names) != 1 {
			t.Fatalf("scratch files: got %v, %v, want one", names, err)
		}
		info, err := os.Stat(names[0])
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := processIO(t)
	for _, tt := range []struct {
		name string
		do   func() (int64, error)
		want int64 // delivered
		size int64 // of the file afterwards
	}{
		{"first read", func() (int64, error) { return b.Read(10_000) }, 10_000, 10_000},
		{"write", func() (int64, error) { return b.Write(300_000, false) }, 300_000, 310_000},
		{"synchronous write", func() (int64, error) { return b.Write(1, true) }, 1, 310_001},
		{"nothing", func() (int64, error) { return b.Write(0, false) }, 0, 310_001},
		{"write beyond the end", func() (int64, error) { return b.Write(3<<20, false) }, 3 << 20, 1 << 20},
		{"read beyond the end", func() (int64, error) { return b.Read(3 << 20) }, 3 << 20, 1 << 20},
	} {
		if got, err := tt.do(); got != tt.want || err != nil {
			t.Errorf("%s: got %d, %v, want %d, nil", tt.name, got, err, tt.want)
		}
		if got := size(); got != tt.size {
			t.Errorf("%s: file: got %d bytes, want %d", tt.name, got, tt.size)
		}
	}
	after := processIO(t)
	if got, want := after["wchar"]-before["wchar"], int64(10_000+300_000+1+3<<20); got < want {
		t.Errorf("bytes written by the process: got %d, want at least %d", got, want)
	}
	if got, want := after["rchar"]-before["rchar"], int64(10_000+3<<20); got < want {
		t.Errorf("bytes read by the process: got %d, want at least %d", got, want)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); len(left) != 0 || err != nil {
		t.Errorf("after close: %d files are left, %v, want none", len(left), err)
	}
}

func TestDiskError(t *testing.T) {
	b := newBurner(t, burn.Config{Dir: filepath.Join(t.TempDir(), "missing")})
	if _, err := b.Write(1, false); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("write in a missing directory: got %v, want an error that names it", err)
	}
	if _, err := burn.New(burn.Config{FileBytes: -1}); err == nil {
		t.Error("negative file size: got no error")
	}
}

// processIO reads the counters of /proc/self/io.
func processIO(t *testing.T) map[string]int64 {
	t.Helper()
	return procFields(t, "/proc/self/io")
}

func procFields(t *testing.T, path string) map[string]int64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("no accounting here: %v", err)
	}
	fields := make(map[string]int64)
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		if words := strings.Fields(rest); len(words) > 0 {
			fields[name], _ = strconv.ParseInt(words[0], 10, 64)
		}
	}
	return fields
}

func TestMemory(t *testing.T) {
	const n = 64 << 20
	resident := func() int64 { return procFields(t, "/proc/self/status")["VmRSS"] << 10 }
	before := resident()
	m, err := burn.Hold(n)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Bytes(); got != n {
		t.Errorf("held: got %d bytes, want %d", got, n)
	}
	if got := resident() - before; got < n-n/50-1<<20 || got > n+n/50+4<<20 {
		t.Errorf("resident set grew by %d bytes, want %d", got, n)
	}
	held := resident()
	if err := m.Release(); err != nil {
		t.Error(err)
	}
	if err := m.Release(); err != nil || m.Bytes() != 0 {
		t.Errorf("released twice: got %v, %d bytes held", err, m.Bytes())
	}
	if got := held - resident(); got < n-n/50-4<<20 {
		t.Errorf("resident set shrank by %d bytes, want %d", got, n)
	}
	if m, err := burn.Hold(0); err != nil || m.Release() != nil {
		t.Errorf("hold nothing: got %v, want nil", err)
	}
	if _, err := burn.Hold(1 << 60); err == nil {
		t.Error("hold an exabyte: got no error")
	}
}

func BenchmarkCPU(b *testing.B) {
	for _, demand := range []int64{20_000, 1_000_000} {
		b.Run(strconv.FormatInt(demand/1000, 10)+"us", func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			burner := newBurner(b, burn.Config{})
			b.ReportAllocs()
			before := mono.ThreadCPU()
			for b.Loop() {
				burner.CPU(demand)
			}
			b.ReportMetric(float64(mono.ThreadCPU()-before)/float64(b.N)/float64(demand), "used/asked")
		})
	}
}
