package dsvbolt_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
)

// TestResolutionFolds records arbitrary deltas of several writers, some of them late, under a resolution: the windows
// have what fell into them, no more and no less, wherever they are read from.
func TestResolutionFolds(t *testing.T) {
	const window = 100
	dir := t.TempDir()
	files := 0
	rapid.Check(t, func(rt *rapid.T) {
		files++
		db := create(t, filepath.Join(dir, fmt.Sprintf("run%d.db", files)))
		defer db.Close()
		must(t, db.Declare(dsv.Declaration{Name: "x", Kind: dsv.Int, Merge: dsv.Sum, History: true, Resolution: window}))
		want, wrote := map[dsv.Instant]int64{}, map[dsv.Revision]int64{}
		rev, now := dsv.Revision(0), dsv.Instant(0)
		check := func(db *dsvbolt.DB) {
			got, entries := map[dsv.Instant]int64{}, 0
			whole, last := map[dsv.Revision]int64{}, dsv.Instant(-1)
			err := db.History("x", -1, dsv.Never, func(u dsv.Update) error {
				if u.Reading.T1 < last {
					rt.Fatalf("%d after %d", u.Reading.T1, last)
				}
				last = u.Reading.T1
				if u.Delta == nil {
					whole[u.Revision] = u.Reading.Value.Int
					return nil
				}
				entries++
				end := u.Delta.T1.Window(window)
				if u.Delta.T0 < end-2*window {
					rt.Fatalf("delta over (%d, %d] is in the window that ends at %d", u.Delta.T0, u.Delta.T1, end)
				}
				got[end] += u.Delta.Value.Int
				return nil
			})
			if err != nil {
				rt.Fatal(err)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) || fmt.Sprint(whole) != fmt.Sprint(wrote) {
				rt.Fatalf("windows %v and whole writes %v, want %v and %v", got, whole, want, wrote)
			}
		}
		for range rapid.IntRange(0, 80).Draw(rt, "changes") {
			rev += dsv.Revision(rapid.IntRange(1, 2).Draw(rt, "rise"))
			now += dsv.Instant(rapid.IntRange(0, 40).Draw(rt, "step"))
			switch rapid.IntRange(0, 19).Draw(rt, "what") {
			case 0:
				must(t, db.Flush())
			case 1:
				check(db)
			case 2:
				u := dsv.Update{Name: "x", Revision: rev, Reading: dsv.Reading{Value: dsv.IntValue(int64(rev)), T1: now}}
				must(t, db.Record(u))
				wrote[rev] = int64(rev)
			default:
				at := max(1, now-dsv.Instant(rapid.SampledFrom([]int{0, 0, 0, 50, 120, 350}).Draw(rt, "late")))
				must(t, db.Record(dsv.Update{Name: "x", Revision: rev, Delta: &dsv.Delta{
					Name: "x", Writer: dsv.WriterID(rev % 3), Seq: uint64(rev), T0: at - 1, T1: at, Value: dsv.IntValue(1), Weight: 1,
				}}))
				want[at.Window(window)]++
			}
		}
		check(db)
		must(t, db.Flush())
		crashed, err := dsvbolt.Open(snapshot(t, db.Path()), true)
		must(t, err)
		check(crashed)
		must(t, crashed.Close())
		again := reopen(t, db, true)
		check(again)
		must(t, again.Close())
	})
}

// TestResolutionSaves records evenly: there is one entry for each window.
func TestResolutionSaves(t *testing.T) {
	db := create(t, filepath.Join(t.TempDir(), "run.db"))
	must(t, db.Declare(dsv.Declaration{Name: "x", Kind: dsv.Float, Merge: dsv.Max, History: true, Resolution: time.Second}))
	const writers, seconds, each = 3, 50, 10
	rev := dsv.Revision(0)
	for i := range seconds * each {
		for w := range writers {
			rev++
			at := dsv.At(time.Duration(i-w%2)*time.Second/each + time.Second)
			must(t, db.Record(dsv.Update{Name: "x", Revision: rev, Delta: &dsv.Delta{
				Name: "x", Writer: dsv.WriterID(w), Seq: uint64(i), T0: at - 1e8, T1: at, Value: dsv.FloatValue(float64(rev)), Weight: 1,
			}}))
		}
	}
	n := 0
	must(t, db.History("x", 0, dsv.Never, func(dsv.Update) error { n++; return nil }))
	if want := seconds + 1; n != want {
		t.Errorf("%d entries for %d deltas, want %d", n, rev, want)
	}
}

// TestWindowsAreInOneChunk writes windows to the file while they are open, where the chunk that they end up in is the
// next one.
func TestWindowsAreInOneChunk(t *testing.T) {
	db := create(t, filepath.Join(t.TempDir(), "run.db"))
	must(t, db.Declare(dsv.Declaration{Name: "x", Kind: dsv.Text, History: true, Resolution: 100}))
	const n = 30
	for i := range n {
		at := dsv.Instant(100*i + 50)
		must(t, db.Record(dsv.Update{Name: "x", Revision: dsv.Revision(i + 1), Delta: &dsv.Delta{
			Name: "x", Writer: 1, Seq: uint64(i), T0: at - 1, T1: at, Value: dsv.TextValue(strings.Repeat("x", 3000)), Weight: 1,
		}}))
		must(t, db.Flush())
	}
	for range 2 {
		var got []dsv.Instant
		must(t, db.History("x", 0, dsv.Never, func(u dsv.Update) error { got = append(got, u.Delta.T1); return nil }))
		if len(got) != n || !slices.IsSorted(got) || len(slices.Compact(got)) != n {
			t.Errorf("%d windows, want %d: %v", len(got), n, got)
		}
		db = reopen(t, db, true)
	}
}

// small mounts a file system of some size, or skips the test.
func small(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("eve-test", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// stuff fills a file system; what it returns makes room again.
func stuff(t *testing.T, dir string) func() {
	t.Helper()
	path := filepath.Join(dir, "rest")
	f, err := os.Create(path)
	must(t, err)
	if _, err := io.CopyN(f, zeros{}, 1<<30); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	must(t, f.Close())
	return func() { must(t, os.Remove(path)) }
}

// TestFullDiskIsSurvived fills the disk, twice: durable writes fail while it is full, and afterwards everything is there
// but what is told to be missing.
func TestFullDiskIsSurvived(t *testing.T) {
	dir := small(t, "300m")
	db := create(t, filepath.Join(dir, "run.db"))
	s := dsv.NewStore(db)
	must(t, s.Create(t.Context(), dsv.Declaration{Name: "x", Kind: dsv.Bytes, History: true}))
	must(t, s.Create(t.Context(), dsv.Declaration{Name: "n", Kind: dsv.Int, Merge: dsv.Sum, History: true, Resolution: 1000}))
	must(t, s.Create(t.Context(), dsv.Declaration{Name: "d", Kind: dsv.Int, Durable: true}))
	var recorded []dsv.Revision
	seq := uint64(0)
	write := func(times, size int) {
		t.Helper()
		for range times {
			rev, err := s.Write(t.Context(), "x", dsv.BytesValue(make([]byte, size)))
			must(t, err)
			recorded = append(recorded, rev)
			seq++
			must(t, s.Sync(t.Context(), []dsv.Delta{{Name: "n", Writer: 1, Seq: seq, T1: dsv.Instant(300 * seq), Value: dsv.IntValue(1), Weight: 1}}))
		}
	}
	durable := func(want error) {
		t.Helper()
		if _, err := s.Write(t.Context(), "d", dsv.IntValue(1)); !errors.Is(err, want) {
			t.Fatalf("durable write: %v, want %v", err, want)
		}
		if err := db.Failing(); !errors.Is(err, want) {
			t.Fatalf("failing: %v, want %v", err, want)
		}
	}
	full := func() (room func()) {
		t.Helper()
		room = stuff(t, dir)
		for range 100 { // the file may have pages to spare
			write(1, 100_000)
			if _, err := s.Write(t.Context(), "d", dsv.IntValue(1)); err != nil {
				break
			}
		}
		durable(syscall.ENOSPC)
		return room
	}
	write(50, 1000)
	durable(nil)
	room := full()
	for range 40 { // chunks grow, are completed and taken back
		write(3, 3000)
		durable(syscall.ENOSPC)
	}
	room()
	durable(nil)
	if gaps := db.Gaps(); len(gaps) != 0 {
		t.Errorf("gaps %v, though memory had room for everything", gaps)
	}
	write(50, 1000)
	room = full()
	write(200, 400<<10) // more than is buffered
	durable(syscall.ENOSPC)
	room()
	durable(nil)
	write(10, 1000)
	must(t, s.Close())
	gaps := db.Gaps()
	if len(gaps) != 1 || gaps[0].To < gaps[0].From {
		t.Fatalf("gaps %v, want one", gaps)
	}
	again := reopen(t, db, true)
	if got := again.Gaps(); len(got) != 1 || got[0] != gaps[0] {
		t.Errorf("the file tells the gaps %v, want %v", got, gaps)
	}
	there := map[dsv.Revision]bool{}
	must(t, again.History("x", -1, dsv.Never, func(u dsv.Update) error {
		if there[u.Revision] {
			t.Errorf("revision %d is there twice", u.Revision)
		}
		there[u.Revision] = true
		return nil
	}))
	missing := 0
	for _, rev := range recorded {
		if there[rev] {
			continue
		}
		missing++
		if rev < gaps[0].From || rev > gaps[0].To {
			t.Errorf("revision %d is missing, outside of the gap %v", rev, gaps[0])
		}
	}
	if missing == 0 || missing > 100 {
		t.Errorf("%d changes are missing, want those beyond 64 MiB", missing)
	}
	last, err := again.Last("n")
	if err != nil || last.Reading.Value.Int != int64(seq) {
		t.Errorf("the last value is %v, %v, want %d", last.Reading.Value, err, seq)
	}
}

// TestMemoryStaysLevel records what an hour brings where 360 variables are sampled each second, and compares the heap
// after a tenth with that at the end.
func TestMemoryStaysLevel(t *testing.T) {
	if testing.Short() {
		t.Skip("records 1.3 million samples")
	}
	f := newFeed(t, 360)
	const hour = 3600 * 360
	for f.samples < hour/10 {
		f.sync(t)
	}
	must(t, f.db.Flush())
	early := heap()
	most := early
	for part := 2; part <= 10; part++ {
		for f.samples < part*hour/10 {
			f.sync(t)
		}
		most = max(most, heap())
	}
	if most > early+48<<20 {
		t.Errorf("the heap grew from %d to %d MiB", early>>20, most>>20)
	}
	runtime.KeepAlive(f)
}
