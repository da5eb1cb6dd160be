package dsv_test

import (
	"errors"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvtest"
)

func TestStoreIsASpace(t *testing.T) {
	dsvtest.Run(t, func(t *testing.T) dsv.Space {
		s := dsv.NewStore(nil)
		t.Cleanup(func() { must(t, s.Close()) })
		return s
	})
}

func TestStoreAloneKeepsNoHistory(t *testing.T) {
	dsvtest.NoHistory(t, func(t *testing.T) dsv.Space {
		s := dsv.NewStore(nil)
		t.Cleanup(func() { must(t, s.Close()) })
		return s
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newStore(t testing.TB, rec dsv.Recorder, ds ...dsv.Declaration) *dsv.Store {
	t.Helper()
	s := dsv.NewStore(rec)
	for _, d := range ds {
		must(t, s.Create(t.Context(), d))
	}
	return s
}

// recorder keeps what it is told, and flushes when it is let.
type recorder struct {
	let chan struct{} // nil: at once

	mu       sync.Mutex // guards what follows
	declared []dsv.Name
	recorded []dsv.Revision
	flushed  int // how many were recorded when the last flush began
	flushes  int
	fail     error
}

func (r *recorder) Declare(d dsv.Declaration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.declared = append(r.declared, d.Name)
	return r.fail
}

func (r *recorder) Record(u dsv.Update) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recorded = append(r.recorded, u.Revision)
	return r.fail
}

func (r *recorder) Flush() error {
	r.mu.Lock()
	n := len(r.recorded)
	r.flushes++
	r.mu.Unlock()
	if r.let != nil {
		<-r.let
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flushed = n
	return r.fail
}

func (r *recorder) Close() error { return nil }

// TestDurableWritesShareAFlush has writers arrive while a flush is under way.
func TestDurableWritesShareAFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{let: make(chan struct{})}
		s := newStore(t, rec, dsv.Declaration{Name: "quick", Kind: dsv.Int})
		go func() { rec.let <- struct{}{} }()
		must(t, s.Create(t.Context(), dsv.Declaration{Name: "x", Kind: dsv.Int, Durable: true}))
		const writers = 50
		acked := 0
		var mu sync.Mutex // guards acked
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				rev, err := s.Write(t.Context(), "x", dsv.IntValue(int64(i)))
				rec.mu.Lock()
				durable := err == nil && rec.recorded[rec.flushed-1] >= rev
				rec.mu.Unlock()
				if !durable {
					t.Errorf("revision %d was acknowledged before it was flushed (%v)", rev, err)
				}
				mu.Lock()
				acked++
				mu.Unlock()
			})
		}
		synctest.Wait()
		if acked != 0 {
			t.Errorf("%d writes were acknowledged before any flush", acked)
		}
		_, err := s.Write(t.Context(), "quick", dsv.IntValue(1)) // does not wait for the disk
		must(t, err)
		rec.let <- struct{}{}
		rec.let <- struct{}{}
		wg.Wait()
		if rec.flushes > 3 {
			t.Errorf("%d flushes for %d writers, want 3 with that of create", rec.flushes, writers)
		}
		go func() { rec.let <- struct{}{} }()
		must(t, s.Close())
	})
}

func TestRecorderHearsInOrder(t *testing.T) {
	rec := &recorder{}
	s := newStore(t, rec, dsv.Declaration{Name: "a", Kind: dsv.Int, Merge: dsv.Sum}, dsv.Declaration{Name: "b", Kind: dsv.Int, Durable: true})
	var wg sync.WaitGroup
	for w := range dsv.WriterID(4) {
		wg.Go(func() {
			for i := range uint64(200) {
				err := s.Sync(t.Context(), []dsv.Delta{
					{Name: "a", Writer: w, Seq: i + 1, Value: dsv.IntValue(1), Weight: 1},
					{Name: "b", Writer: w, Seq: i + 1, Value: dsv.IntValue(1), Weight: 1},
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(t, s.Delete(t.Context(), "a"))
	must(t, s.Close())
	for i, rev := range rec.recorded {
		if rev != dsv.Revision(i+1) {
			t.Fatalf("change %d has revision %d", i, rev)
		}
	}
	if len(rec.recorded) != 1601 || rec.flushed != 1601 {
		t.Errorf("%d recorded, %d flushed, want 1601", len(rec.recorded), rec.flushed)
	}
}

func TestRecorderFails(t *testing.T) {
	rec := &recorder{}
	s := newStore(t, rec, dsv.Declaration{Name: "x", Kind: dsv.Int}, dsv.Declaration{Name: "d", Kind: dsv.Int, Durable: true})
	full := errors.New("disk full")
	rec.mu.Lock()
	rec.fail = full
	rec.mu.Unlock()
	_, err := s.Write(t.Context(), "x", dsv.IntValue(7))
	must(t, err) // stored in memory, which is all that was promised
	if r, err := s.Read(t.Context(), "x"); err != nil || r.Value.Int != 7 {
		t.Errorf("read %v, %v", r.Value, err)
	}
	if _, err := s.Write(t.Context(), "d", dsv.IntValue(7)); !errors.Is(err, full) {
		t.Errorf("durable write: %v, want %v", err, full)
	}
	if err := s.Err(); !errors.Is(err, full) {
		t.Errorf("error is %v, want %v", err, full)
	}
	if err := s.Close(); !errors.Is(err, full) {
		t.Errorf("close: %v, want %v", err, full)
	}
}

func TestCloseEndsWatchesAndRefuses(t *testing.T) {
	s := newStore(t, nil, dsv.Declaration{Name: "x", Kind: dsv.Int})
	var ws []dsv.Watch
	for _, mode := range []dsv.Mode{dsv.Latest, dsv.All} {
		w, err := s.Watch(t.Context(), dsv.WatchRequest{Pattern: "*", Mode: mode})
		must(t, err)
		ws = append(ws, w)
	}
	_, err := s.Write(t.Context(), "x", dsv.IntValue(7))
	must(t, err)
	must(t, s.Close())
	must(t, s.Close())
	for _, w := range ws {
		if u, err := w.Next(t.Context()); err != nil || u.Reading.Value.Int != 7 {
			t.Errorf("what was there is %+v, %v", u, err)
		}
		if _, err := w.Next(t.Context()); !errors.Is(err, dsv.ErrClosed) {
			t.Errorf("next: %v, want %v", err, dsv.ErrClosed)
		}
		must(t, w.Close())
	}
	_, err = s.Write(t.Context(), "x", dsv.IntValue(8))
	_, err2 := s.Read(t.Context(), "x")
	_, err3 := s.Watch(t.Context(), dsv.WatchRequest{Pattern: "*"})
	for _, err := range []error{err, err2, err3, s.Create(t.Context(), dsv.Declaration{Name: "y", Kind: dsv.Int}), s.Delete(t.Context(), "x")} {
		if !errors.Is(err, dsv.ErrClosed) {
			t.Errorf("after close: %v, want %v", err, dsv.ErrClosed)
		}
	}
}

// TestSlowWatchersAreBounded writes much past watchers that read nothing.
func TestSlowWatchersAreBounded(t *testing.T) {
	s := newStore(t, nil, dsv.Declaration{Name: "x", Kind: dsv.Bytes}, dsv.Declaration{Name: "quiet", Kind: dsv.Int})
	w := map[dsv.Mode]dsv.Watch{}
	for _, mode := range []dsv.Mode{dsv.Latest, dsv.All} {
		var err error
		w[mode], err = s.Watch(t.Context(), dsv.WatchRequest{Pattern: "x", Mode: mode})
		must(t, err)
	}
	quiet, err := s.Watch(t.Context(), dsv.WatchRequest{Pattern: "quiet", Mode: dsv.All})
	must(t, err)
	rev, err := s.Write(t.Context(), "quiet", dsv.IntValue(1))
	must(t, err)
	before := heap()
	const changes, size = 4000, 64 << 10 // 250 MiB
	for range changes {
		_, err := s.Write(t.Context(), "x", dsv.BytesValue(make([]byte, size)))
		must(t, err)
	}
	if grown := heap() - before; grown > 120<<20 {
		t.Errorf("slow watchers hold %d MiB", grown>>20)
	}
	if u, err := w[dsv.Latest].Next(t.Context()); err != nil || u.Skipped != changes-1 {
		t.Errorf("latest skipped %d, %v, want %d", u.Skipped, err, changes-1)
	}
	var last dsv.Revision
	for {
		u, err := w[dsv.All].Next(t.Context())
		must(t, err)
		if u.Gap != 0 {
			if u.Gap <= last {
				t.Errorf("gap resumes from %d, not after %d", u.Gap, last)
			}
			again, err := s.Watch(t.Context(), dsv.WatchRequest{Pattern: "x", Mode: dsv.All, From: u.Gap})
			must(t, err)
			if next, err := again.Next(t.Context()); err != nil || next.Revision != u.Gap+1 {
				t.Errorf("resumed at %d, %v, want %d", next.Revision, err, u.Gap+1)
			}
			break
		}
		last = u.Revision
	}
	// A variable that was quiet meanwhile is not cut off with the others, nor is who resumes it.
	if u, err := quiet.Next(t.Context()); err != nil || u.Revision != rev {
		t.Errorf("quiet variable: %+v, %v", u, err)
	}
	_, err = s.Write(t.Context(), "quiet", dsv.IntValue(2))
	must(t, err)
	again, err := s.Watch(t.Context(), dsv.WatchRequest{Pattern: "quiet", Mode: dsv.All, From: rev})
	must(t, err)
	if u, err := again.Next(t.Context()); err != nil || u.Gap != 0 || u.Reading.Value.Int != 2 {
		t.Errorf("resumed at %+v, %v, want value 2", u, err)
	}
}

// TestLogOfADeletedVariable checks that a watch which resumes is told of changes that the log has forgotten, also when
// their variable was deleted since.
func TestLogOfADeletedVariable(t *testing.T) {
	s := newStore(t, nil, dsv.Declaration{Name: "x", Kind: dsv.Int}, dsv.Declaration{Name: "busy", Kind: dsv.Int})
	w, err := s.Watch(t.Context(), dsv.WatchRequest{Pattern: "none", Mode: dsv.All}) // the log begins
	must(t, err)
	defer w.Close()
	from, err := s.Write(t.Context(), "busy", dsv.IntValue(0))
	must(t, err)
	_, err = s.Write(t.Context(), "x", dsv.IntValue(1))
	must(t, err)
	for i := range 70_000 { // more than the log holds
		_, err := s.Write(t.Context(), "busy", dsv.IntValue(int64(i)))
		must(t, err)
	}
	must(t, s.Delete(t.Context(), "x"))
	again, err := s.Watch(t.Context(), dsv.WatchRequest{Pattern: "x", Mode: dsv.All, From: from})
	must(t, err)
	if u, err := again.Next(t.Context()); err != nil || u.Gap == 0 {
		t.Errorf("resumed at %+v, %v, want a gap, since a change is forgotten", u, err)
	}
}

// TestLoggedHistogramsAreBounded checks that a log of histograms keeps no buckets for each reading that was looked at.
func TestLoggedHistogramsAreBounded(t *testing.T) {
	s := newStore(t, nil, dsv.Declaration{Name: "x", Kind: dsv.Histogram, Merge: dsv.Hists})
	w, err := s.Watch(t.Context(), dsv.WatchRequest{Pattern: "x", Mode: dsv.All})
	must(t, err)
	defer w.Close()
	var wide dsv.Counts
	for b := range 20_000 {
		wide.Add(dsv.BucketMid(b))
	}
	one := dsv.NewHist([]uint32{5000}, []uint64{1})
	before := heap()
	for seq := uint64(1); seq <= 2000; seq++ {
		h := one
		if seq == 1 {
			h = wide.Take()
		}
		must(t, s.Sync(t.Context(), []dsv.Delta{{Name: "x", Writer: 1, Seq: seq, Value: dsv.HistValue(h), Weight: 1}}))
		u, err := w.Next(t.Context())
		must(t, err)
		if got := u.Reading.Value.Hist.Quantile(0.5); !(got > 0) { // as whoever encodes it does
			t.Fatalf("median %v", got)
		}
	}
	if grown := heap() - before; grown > 96<<20 {
		t.Errorf("the log holds %d MiB, want at most 64 and some", grown>>20)
	}
}

// TestMeansStayFinite checks that no delta makes a value that cannot be told to others.
func TestMeansStayFinite(t *testing.T) {
	s := newStore(t, nil, dsv.Declaration{Name: "x", Kind: dsv.Float, Merge: dsv.Mean})
	for i, c := range []struct{ sum, weight float64 }{{1e308, 1e-10}, {1, math.MaxFloat64}, {1, math.MaxFloat64}, {-1e308, -math.MaxFloat64}} {
		must(t, s.Sync(t.Context(), []dsv.Delta{{Name: "x", Writer: 1, Seq: uint64(i + 1), Value: dsv.FloatValue(c.sum), Weight: c.weight}}))
		r, err := s.Read(t.Context(), "x")
		must(t, err)
		if math.IsInf(r.Weight, 0) || r.Value.Check(dsv.Float) != nil {
			t.Errorf("after %v of weight %v: value %v, weight %v", c.sum, c.weight, r.Value.Float, r.Weight)
		}
	}
}

// heap returns the bytes in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestSetRevisionContinues(t *testing.T) {
	s := newStore(t, nil, dsv.Declaration{Name: "x", Kind: dsv.Int})
	s.SetRevision(1000)
	rev, err := s.Write(t.Context(), "x", dsv.IntValue(1))
	if err != nil || rev != 1001 {
		t.Errorf("revision %d, %v, want 1001", rev, err)
	}
	w, err := s.Watch(t.Context(), dsv.WatchRequest{Pattern: "x", Mode: dsv.All, From: 500})
	must(t, err)
	if u, err := w.Next(t.Context()); err != nil || u.Gap < 1000 {
		t.Errorf("a watch from a former life got %+v, %v, want a gap", u, err)
	}
	if _, err := s.Watch(t.Context(), dsv.WatchRequest{Pattern: "x", Mode: dsv.All, From: 5000}); !errors.Is(err, dsv.ErrGap) {
		t.Errorf("a watch from the future: %v, want %v", err, dsv.ErrGap)
	}
}

func TestErrorsSayWhat(t *testing.T) {
	s := newStore(t, nil, dsv.Declaration{Name: "app.latency", Kind: dsv.Float})
	_, err := s.Read(t.Context(), "app.latncy")
	_, err2 := s.Write(t.Context(), "app.latency", dsv.TextValue("x"))
	for want, err := range map[string]error{
		"read app.latncy: no such variable":                                   err,
		"write app.latency: text where float is held: wrong kind of value":    err2,
		`create A: name "A": part "A" does not start with a-z`:                s.Create(t.Context(), dsv.Declaration{Name: "A", Kind: dsv.Int}),
		"create x: merge rule sum does not hold for text: wrong kind of valu": s.Create(t.Context(), dsv.Declaration{Name: "x", Kind: dsv.Text, Merge: dsv.Sum}),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error is %q, want %q", err, want)
		}
	}
}

// BenchmarkSync compares deltas that nobody watches with those that go to eight watchers.
func BenchmarkSync(b *testing.B) {
	for name, watchers := range map[string]int{"unwatched": 0, "8 latest watches": 8} {
		b.Run(name, func(b *testing.B) {
			const vars, batch = 50, 500
			s := dsv.NewStore(nil)
			ds := make([]dsv.Delta, batch)
			for i := range ds {
				n := dsv.Name("server.x" + strings.Repeat("y", i%vars))
				if i < vars {
					must(b, s.Create(b.Context(), dsv.Declaration{Name: n, Kind: dsv.Float, Merge: dsv.Sum}))
				}
				ds[i] = dsv.Delta{Name: n, Value: dsv.FloatValue(1), Weight: 1}
			}
			for range watchers {
				_, err := s.Watch(b.Context(), dsv.WatchRequest{Pattern: "*"})
				must(b, err)
			}
			seq := uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				for i := range ds {
					seq++
					ds[i].Seq = seq
				}
				must(b, s.Sync(b.Context(), ds))
			}
			b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "deltas/s")
		})
	}
}
