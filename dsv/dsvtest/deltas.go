package dsvtest

import (
	"sync"
	"testing"

	"github.com/eve-emulation/eve/dsv"
)

func testMerge(t *testing.T, k *kit) {
	f, i, b := dsv.FloatValue, dsv.IntValue, func(s string) dsv.Value { return dsv.BytesValue([]byte(s)) }
	for _, c := range []struct {
		name   dsv.Name
		rule   dsv.Merge
		values []dsv.Value // the third is of a second writer
		weight []float64
		want   dsv.Value
		total  float64
	}{
		{"last", dsv.Last, []dsv.Value{f(3), f(1), f(2)}, []float64{1, 1, 1}, f(1), 3}, // the third ended before the second
		{"sum_int", dsv.Sum, []dsv.Value{i(3), i(-1), i(2)}, []float64{1, 2, 3}, i(4), 6},
		{"sum", dsv.Sum, []dsv.Value{f(3), f(0.5), f(2)}, []float64{1, 2, 3}, f(5.5), 6},
		{"min", dsv.Min, []dsv.Value{f(3), f(-1), f(2)}, []float64{1, 1, 1}, f(-1), 3},
		{"max_int", dsv.Max, []dsv.Value{i(3), i(-1), i(2)}, []float64{1, 1, 1}, i(3), 3},
		{"mean", dsv.Mean, []dsv.Value{f(3), f(9), f(2)}, []float64{1, 2, 0.5}, f(4), 3.5},
		{"records", dsv.Append, []dsv.Value{b("a"), b("b"), b("c")}, []float64{1, 1, 1}, b("b"), 3},
	} {
		t.Run(string(c.name), func(t *testing.T) {
			k := &kit{t: t, ctx: k.ctx, Space: k.Space}
			k.declare(c.name, c.values[0].Kind, c.rule)
			k.must(k.Sync(k.ctx, []dsv.Delta{
				delta(c.name, 1, 1, c.values[0], c.weight[0]),
				delta(c.name, 1, 3, c.values[1], c.weight[1]),
				delta(c.name, 2, 2, c.values[2], c.weight[2]),
			}))
			r := k.eventually(c.name, "all deltas", func(r dsv.Reading, err error) bool { return err == nil && r.Weight == c.total })
			if !near(r.Value, c.want) {
				t.Errorf("merged to %v, want %v", r.Value, c.want)
			}
			if want := dsv.Instant(3e6); r.T1 != want {
				t.Errorf("covers up to %d, want %d", r.T1, want)
			}
		})
	}
}

func testMergeHists(_ *testing.T, k *kit) {
	k.declare("h", dsv.Histogram, dsv.Hists)
	var all dsv.Counts
	for seq := uint64(1); seq <= 150; seq++ {
		a, b := float64(seq)*1e-3, 1/float64(seq)
		all.Add(a)
		all.Add(b)
		k.must(k.Sync(k.ctx, []dsv.Delta{delta("h", dsv.WriterID(seq%3), seq, dsv.HistValue(samples(a, b)), 2)}))
	}
	k.reads("h", dsv.HistValue(all.Take()))
}

func testRepeats(_ *testing.T, k *kit) {
	k.declare("x", dsv.Int, dsv.Sum)
	w := k.watch(dsv.WatchRequest{Pattern: "x", Mode: dsv.All})
	of := func(writer dsv.WriterID, epoch uint32, seq uint64, n int64) dsv.Delta {
		d := delta("x", writer, seq, dsv.IntValue(n), 1)
		d.Epoch = epoch
		return d
	}
	batch := []dsv.Delta{of(1, 0, 1, 1), of(1, 0, 2, 10), of(2, 0, 1, 100)}
	k.must(k.Sync(k.ctx, batch))
	k.must(k.Sync(k.ctx, batch))                         // again, whole
	k.must(k.Sync(k.ctx, []dsv.Delta{of(1, 1, 1, 1e3)})) // writer 1 started again
	k.must(k.Sync(k.ctx, []dsv.Delta{of(1, 0, 3, 1e6)})) // late, from its former life
	k.must(k.Sync(k.ctx, []dsv.Delta{of(1, 1, 2, 1e4), of(1, 1, 2, 1e4)}))
	k.reads("x", dsv.IntValue(11111))
	var seen int64
	for seen < 11111 {
		u := k.next(w)
		if u.Delta == nil {
			k.t.Fatalf("update %+v has no delta", u)
		}
		seen += u.Delta.Value.Int
	}
	if seen != 11111 {
		k.t.Errorf("watched deltas add up to %d, want 11111", seen)
	}
}

func testSyncErrors(_ *testing.T, k *kit) {
	k.declare("x", dsv.Int, dsv.Sum)
	err := k.Sync(k.ctx, []dsv.Delta{
		delta("x", 1, 1, dsv.IntValue(1), 1),
		delta("none", 1, 1, dsv.IntValue(1), 1),
		delta("x", 1, 2, dsv.TextValue("1"), 1),
		delta("x", 1, 3, dsv.IntValue(10), 1),
	})
	k.is(err, dsv.ErrNotFound)
	k.is(err, dsv.ErrKind)
	k.reads("x", dsv.IntValue(11))
	k.must(k.Sync(k.ctx, nil))
}

func testSyncTogether(_ *testing.T, k *kit) {
	const writers, each = 8, 200
	k.declare("n", dsv.Int, dsv.Sum)
	k.declare("max", dsv.Float, dsv.Max)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for seq := uint64(1); seq <= each; seq++ {
				if err := k.Sync(k.ctx, []dsv.Delta{
					delta("n", dsv.WriterID(w), seq, dsv.IntValue(1), 1),
					delta("max", dsv.WriterID(w), seq, dsv.FloatValue(float64(w)*1000+float64(seq)), 1),
				}); err != nil {
					k.t.Errorf("sync: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	k.reads("n", dsv.IntValue(writers*each))
	k.reads("max", dsv.FloatValue(7200))
}
