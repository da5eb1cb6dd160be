package dsvtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// NoHistory tests that a Space which keeps no history says so; open is as for Run.
func NoHistory(t *testing.T, open func(t *testing.T) dsv.Space) {
	each(t, open, []contract{{"history is not kept", func(_ *testing.T, k *kit) {
		k.must(k.Create(k.ctx, dsv.Declaration{Name: "x", Kind: dsv.Int, Merge: dsv.Sum, History: true}))
		k.must(k.Sync(k.ctx, []dsv.Delta{delta("x", 1, 1, dsv.IntValue(1), 1)}))
		_, err := k.History(k.ctx, dsv.HistoryRequest{Name: "x"})
		k.is(err, dsv.ErrNoHistory)
	}}})
}

// History tests a Space that keeps history; open is as for Run.
func History(t *testing.T, open func(t *testing.T) dsv.Space) {
	each(t, open, []contract{
		{"history refuses", testHistoryRefuses},
		{"history", testHistory},
		{"history by pages", testHistoryPages},
		{"history of ties", testHistoryTies},
		{"history in windows", testHistoryWindows},
		{"history kept in windows", testHistoryResolution},
		{"history of whole writes", testHistoryWhole},
		{"history of large records", testHistoryLarge},
		{"history of the present variable", testHistoryLives},
		{"history beside writers", testHistoryBeside},
	})
}

// pages reads a history whole, page by page.
func (k *kit) pages(r dsv.HistoryRequest) []dsv.Delta {
	k.t.Helper()
	var all []dsv.Delta
	for {
		p, err := k.History(k.ctx, r)
		k.must(err)
		if r.Limit > 0 && len(p.Deltas) > r.Limit {
			k.t.Fatalf("a page of %d deltas, want at most %d", len(p.Deltas), r.Limit)
		}
		all = append(all, p.Deltas...)
		if !p.More {
			return all
		}
		if len(p.Deltas) == 0 || p.Cursor == r.Cursor {
			k.t.Fatalf("a page of %d deltas with more behind it, cursor %d", len(p.Deltas), p.Cursor)
		}
		r.Cursor = p.Cursor
	}
}

func testHistoryRefuses(_ *testing.T, k *kit) {
	_, err := k.History(k.ctx, dsv.HistoryRequest{Name: "none"})
	k.is(err, dsv.ErrNotFound)
	k.declare("x", dsv.Int, dsv.Sum)
	_, err = k.History(k.ctx, dsv.HistoryRequest{Name: "x"})
	k.is(err, dsv.ErrNoHistory)
	for _, d := range []dsv.Declaration{
		{Name: "y", Kind: dsv.Int, Resolution: time.Second},
		{Name: "y", Kind: dsv.Int, History: true, Resolution: -1},
	} {
		k.is(k.Create(k.ctx, d), dsv.ErrKind)
	}
	k.must(k.Create(k.ctx, dsv.Declaration{Name: "y", Kind: dsv.Int, Merge: dsv.Sum, History: true}))
	if ds := k.pages(dsv.HistoryRequest{Name: "y"}); len(ds) != 0 {
		k.t.Errorf("%d deltas of what was never written", len(ds))
	}
}

// count declares a variable with history and syncs n deltas of 1, one each millisecond.
func (k *kit) count(d dsv.Declaration, n int) {
	k.t.Helper()
	d.Kind, d.Merge, d.History = dsv.Int, dsv.Sum, true
	k.must(k.Create(k.ctx, d))
	var ds []dsv.Delta
	for seq := 1; seq <= n; seq++ {
		ds = append(ds, delta(d.Name, 1, uint64(seq), dsv.IntValue(1), 1))
	}
	k.must(k.Sync(k.ctx, ds))
}

func testHistory(_ *testing.T, k *kit) {
	k.count(dsv.Declaration{Name: "x"}, 100)
	ms := dsv.Instant(time.Millisecond)
	for _, c := range []struct {
		from, to    dsv.Instant
		first, last uint64
	}{
		{0, 0, 1, 100}, {-ms, 0, 1, 100}, {0, dsv.Never, 1, 100}, {10 * ms, 20 * ms, 11, 20}, {99 * ms, 0, 100, 100}, {100 * ms, 0, 1, 0}, {20 * ms, 10 * ms, 1, 0},
	} {
		ds := k.pages(dsv.HistoryRequest{Name: "x", From: c.from, To: c.to})
		if want := int(c.last) - int(c.first) + 1; len(ds) != want {
			k.t.Fatalf("%d deltas in (%d, %d], want %d", len(ds), c.from, c.to, want)
		}
		for i, d := range ds {
			want := delta("x", 1, c.first+uint64(i), dsv.IntValue(1), 1)
			if !d.Value.Equal(want.Value) || d.Name != "x" || d.Writer != 1 || d.Seq != want.Seq || d.T0 != want.T0 || d.T1 != want.T1 || d.Weight != 1 {
				k.t.Fatalf("delta %d is %+v, want %+v", i, d, want)
			}
		}
	}
}

func testHistoryPages(_ *testing.T, k *kit) {
	const n = dsv.MaxPage + 1000
	k.count(dsv.Declaration{Name: "x"}, n)
	for _, limit := range []int{0, 999, dsv.MaxPage + 1} {
		ds := k.pages(dsv.HistoryRequest{Name: "x", Limit: min(limit, dsv.MaxPage)})
		if len(ds) != n {
			k.t.Fatalf("%d deltas by pages of %d, want %d", len(ds), limit, n)
		}
		for i, d := range ds {
			if d.Seq != uint64(i+1) {
				k.t.Fatalf("delta %d has number %d", i, d.Seq)
			}
		}
	}
	// A page that was not full goes on with what came since.
	p, err := k.History(k.ctx, dsv.HistoryRequest{Name: "x", From: dsv.At((n - 10) * time.Millisecond)})
	k.must(err)
	if len(p.Deltas) != 10 || p.More {
		k.t.Fatalf("%d deltas at the end, more is %v", len(p.Deltas), p.More)
	}
	k.must(k.Sync(k.ctx, []dsv.Delta{delta("x", 1, n+1, dsv.IntValue(1), 1)}))
	p, err = k.History(k.ctx, dsv.HistoryRequest{Name: "x", Cursor: p.Cursor})
	k.must(err)
	if len(p.Deltas) != 1 || p.Deltas[0].Seq != n+1 {
		k.t.Errorf("then came %+v, want number %d", p.Deltas, n+1)
	}
}

// testHistoryTies pages through deltas that end at the same instant, from writers who report late.
func testHistoryTies(_ *testing.T, k *kit) {
	k.must(k.Create(k.ctx, dsv.Declaration{Name: "x", Kind: dsv.Int, Merge: dsv.Sum, History: true}))
	for seq := uint64(1); seq <= 30; seq++ {
		for w := range dsv.WriterID(7) {
			k.must(k.Sync(k.ctx, []dsv.Delta{delta("x", w, max(seq, 3)-uint64(w)%3, dsv.IntValue(1), 1)}))
		}
	}
	type key struct {
		w   dsv.WriterID
		seq uint64
	}
	seen := map[key]bool{}
	var last dsv.Instant
	for _, d := range k.pages(dsv.HistoryRequest{Name: "x", Limit: 4}) {
		if seen[key{d.Writer, d.Seq}] || d.T1 < last {
			k.t.Fatalf("delta %+v after %d, seen before: %v", d, last, seen[key{d.Writer, d.Seq}])
		}
		seen[key{d.Writer, d.Seq}], last = true, d.T1
	}
	want := 7 * 28 // repeats are none
	if len(seen) != want {
		k.t.Errorf("%d deltas, want %d", len(seen), want)
	}
}

// checkWindows compares windows of 10 ms of counts of 1 each millisecond.
func (k *kit) checkWindows(ds []dsv.Delta, n int) {
	k.t.Helper()
	ms := dsv.Instant(time.Millisecond)
	if want := (n + 9) / 10; len(ds) != want {
		k.t.Fatalf("%d windows of %d counts, want %d", len(ds), n, want)
	}
	for i, d := range ds {
		in := min(10, n-10*i)
		end := dsv.Instant(10*i+in) * ms
		if d.Value.Int != int64(in) || d.Weight != float64(in) || d.T0 != dsv.Instant(10*i)*ms || d.T1 != end || d.Seq != uint64(10*i+in) {
			k.t.Fatalf("window %d is %+v, want %d counts up to %d", i, d, in, end)
		}
	}
}

func testHistoryWindows(_ *testing.T, k *kit) {
	k.count(dsv.Declaration{Name: "x"}, 1005)
	for _, limit := range []int{0, 7} {
		k.checkWindows(k.pages(dsv.HistoryRequest{Name: "x", Resolution: 10 * time.Millisecond, Limit: limit}), 1005)
	}
}

func testHistoryResolution(_ *testing.T, k *kit) {
	k.count(dsv.Declaration{Name: "x", Resolution: 10 * time.Millisecond}, 1005)
	i, err := k.Info(k.ctx, "x")
	k.must(err)
	if i.Declaration.Resolution != 10*time.Millisecond {
		k.t.Errorf("resolution is declared as %v", i.Declaration.Resolution)
	}
	k.checkWindows(k.pages(dsv.HistoryRequest{Name: "x"}), 1005)
	k.checkWindows(k.pages(dsv.HistoryRequest{Name: "x", Limit: 3}), 1005)
}

func testHistoryWhole(_ *testing.T, k *kit) {
	k.must(k.Create(k.ctx, dsv.Declaration{Name: "x", Kind: dsv.Text, History: true}))
	var revs []dsv.Revision
	for _, s := range []string{"one", "two", "two", "three"} {
		revs = append(revs, k.write("x", dsv.TextValue(s)))
	}
	ds := k.pages(dsv.HistoryRequest{Name: "x", From: -1, Limit: 1})
	if len(ds) != len(revs) {
		k.t.Fatalf("%d whole writes, want %d", len(ds), len(revs))
	}
	for i, d := range ds {
		if d.Writer != 0 || d.Weight != 1 || d.Seq != uint64(revs[i]) || d.T0 != d.T1 {
			k.t.Errorf("whole write %d is %+v, want one of writer 0 and revision %d", i, d, revs[i])
		}
	}
	if got := ds[3].Value.Text; got != "three" {
		k.t.Errorf("last value is %q, want three", got)
	}
}

// testHistoryLarge has records of which one fills a page.
func testHistoryLarge(_ *testing.T, k *kit) {
	k.must(k.Create(k.ctx, dsv.Declaration{Name: "x", Kind: dsv.Bytes, Merge: dsv.Append}))
	for seq := uint64(1); seq <= 4; seq++ {
		b := make([]byte, dsv.MaxBytes)
		b[0] = byte(seq)
		k.must(k.Sync(k.ctx, []dsv.Delta{delta("x", 1, seq, dsv.BytesValue(b), 1)}))
	}
	for _, res := range []time.Duration{0, time.Second} { // records are not folded
		ds := k.pages(dsv.HistoryRequest{Name: "x", Resolution: res})
		if len(ds) != 4 {
			k.t.Fatalf("%d records, want 4", len(ds))
		}
		for i, d := range ds {
			if len(d.Value.Bytes) != dsv.MaxBytes || d.Value.Bytes[0] != byte(i+1) {
				k.t.Errorf("record %d has %d bytes", i, len(d.Value.Bytes))
			}
		}
	}
}

func testHistoryLives(_ *testing.T, k *kit) {
	k.count(dsv.Declaration{Name: "x"}, 50)
	k.must(k.Delete(k.ctx, "x"))
	_, err := k.History(k.ctx, dsv.HistoryRequest{Name: "x"})
	k.is(err, dsv.ErrNotFound)
	k.count(dsv.Declaration{Name: "x"}, 20)
	if ds := k.pages(dsv.HistoryRequest{Name: "x"}); len(ds) != 20 {
		k.t.Errorf("%d deltas, want the 20 of the new variable", len(ds))
	}
}

// testHistoryBeside reads while a writer writes: what was acknowledged before is there, whole and in order.
func testHistoryBeside(_ *testing.T, k *kit) {
	const n = 3000
	k.must(k.Create(k.ctx, dsv.Declaration{Name: "x", Kind: dsv.Int, Merge: dsv.Sum, History: true}))
	acked := make(chan uint64, n)
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(k.ctx)
	go func() {
		var err error
		for seq := uint64(1); seq <= n && err == nil; seq++ {
			err = k.Sync(ctx, []dsv.Delta{delta("x", 1, seq, dsv.IntValue(1), 1)})
			acked <- seq
		}
		close(acked)
		done <- err
	}()
	defer func() {
		stop()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			k.t.Error(err)
		}
	}()
	for seq := range acked {
		if seq%500 != 0 {
			continue
		}
		ds := k.pages(dsv.HistoryRequest{Name: "x", Limit: 700})
		if len(ds) < int(seq) {
			k.t.Fatalf("%d deltas, %d were acknowledged", len(ds), seq)
		}
		for i, d := range ds {
			if d.Seq != uint64(i+1) {
				k.t.Fatalf("delta %d has number %d", i, d.Seq)
			}
		}
	}
}
