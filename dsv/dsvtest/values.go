package dsvtest

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/eve-emulation/eve/dsv"
)

func testCreate(_ *testing.T, k *kit) {
	d := dsv.Declaration{Name: "app.latency", Kind: dsv.Float, Unit: "s", Help: "how long", Merge: dsv.Mean, History: true}
	k.must(k.Create(k.ctx, d))
	k.must(k.Create(k.ctx, d))
	other := d
	other.Unit = "1"
	k.is(k.Create(k.ctx, other), dsv.ErrExists)
	for _, n := range []dsv.Name{"", ".", "a.", ".a", "A", "1a", "a b", "a..b", "*", "a.*", dsv.Name(strings.Repeat("a", 201))} {
		k.is(k.Create(k.ctx, dsv.Declaration{Name: n, Kind: dsv.Float}), dsv.ErrName)
	}
	for _, d := range []dsv.Declaration{
		{Name: "x"},
		{Name: "x", Kind: dsv.Histogram + 1},
		{Name: "x", Kind: dsv.Float, Merge: dsv.Append + 1},
		{Name: "x", Kind: dsv.Text, Merge: dsv.Sum},
		{Name: "x", Kind: dsv.Int, Merge: dsv.Mean},
		{Name: "x", Kind: dsv.Float, Merge: dsv.Hists},
		{Name: "x", Kind: dsv.Text, Merge: dsv.Append},
	} {
		k.is(k.Create(k.ctx, d), dsv.ErrKind)
	}
}

func testMissing(_ *testing.T, k *kit) {
	_, err := k.Read(k.ctx, "none")
	k.is(err, dsv.ErrNotFound)
	_, err = k.Write(k.ctx, "none", dsv.IntValue(1))
	k.is(err, dsv.ErrNotFound)
	_, err = k.TestAndSet(k.ctx, "none", 0, dsv.IntValue(1))
	k.is(err, dsv.ErrNotFound)
	_, err = k.Info(k.ctx, "none")
	k.is(err, dsv.ErrNotFound)
	k.is(k.Delete(k.ctx, "none"), dsv.ErrNotFound)
	k.declare("some", dsv.Int, dsv.Last)
	_, err = k.Read(k.ctx, "some")
	k.is(err, dsv.ErrUnset)
}

// samples returns a histogram of numbers.
func samples(xs ...float64) *dsv.Hist {
	var c dsv.Counts
	for _, x := range xs {
		c.Add(x)
	}
	return c.Take()
}

func testKinds(_ *testing.T, k *kit) {
	for n, v := range map[dsv.Name]dsv.Value{
		"float": dsv.FloatValue(-1.5e-300),
		"int":   dsv.IntValue(math.MinInt64),
		"text":  dsv.TextValue("grüße, 世界"),
		"empty": dsv.TextValue(""),
		"bytes": dsv.BytesValue([]byte{0, 255, 0}),
		"large": dsv.BytesValue(bytes.Repeat([]byte{7}, dsv.MaxBytes)),
		"hist":  dsv.HistValue(samples(0.001, 0.002, 4000)),
	} {
		k.declare(n, v.Kind, dsv.Last)
		rev := k.write(n, v)
		r := k.reads(n, v)
		if r.Revision != rev {
			k.t.Errorf("%s: read revision %d, want that of the write, %d", n, r.Revision, rev)
		}
	}
}

func testRefuse(_ *testing.T, k *kit) {
	k.declare("f", dsv.Float, dsv.Last)
	k.declare("t", dsv.Text, dsv.Last)
	k.declare("b", dsv.Bytes, dsv.Last)
	for _, c := range []struct {
		n    dsv.Name
		v    dsv.Value
		want error
	}{
		{"f", dsv.IntValue(1), dsv.ErrKind},
		{"f", dsv.FloatValue(math.NaN()), dsv.ErrKind},
		{"f", dsv.FloatValue(math.Inf(-1)), dsv.ErrKind},
		{"t", dsv.BytesValue([]byte("x")), dsv.ErrKind},
		{"t", dsv.TextValue("\xff"), dsv.ErrKind},
		{"t", dsv.TextValue(strings.Repeat("x", dsv.MaxBytes+1)), dsv.ErrTooLarge},
		{"b", dsv.BytesValue(make([]byte, dsv.MaxBytes+1)), dsv.ErrTooLarge},
	} {
		_, err := k.Write(k.ctx, c.n, c.v)
		k.is(err, c.want)
		_, err = k.TestAndSet(k.ctx, c.n, 0, c.v)
		k.is(err, c.want)
		k.is(k.Sync(k.ctx, []dsv.Delta{delta(c.n, 1, 1, c.v, 1)}), c.want)
		_, err = k.Read(k.ctx, c.n)
		k.is(err, dsv.ErrUnset)
	}
}

func testMemory(_ *testing.T, k *kit) {
	k.declare("b", dsv.Bytes, dsv.Last)
	w := k.watch(dsv.WatchRequest{Pattern: "b", Mode: dsv.All})
	mine := []byte("mine")
	k.write("b", dsv.BytesValue(mine))
	mine[0] = 'X'
	want := dsv.BytesValue([]byte("mine"))
	r := k.reads("b", want)
	r.Value.Bytes[0] = 'Y'
	u := k.next(w)
	if !u.Reading.Value.Equal(want) {
		k.t.Errorf("watched %q, want %q", u.Reading.Value.Bytes, want.Bytes)
	}
	u.Reading.Value.Bytes[0] = 'Z'
	k.reads("b", want)
}

func testRevisions(_ *testing.T, k *kit) {
	k.declare("a", dsv.Int, dsv.Last)
	k.declare("b", dsv.Int, dsv.Last)
	var last dsv.Revision
	for i := range 50 {
		n := dsv.Name("a")
		if i%2 == 1 {
			n = "b"
		}
		rev := k.write(n, dsv.IntValue(7))
		if rev <= last {
			k.t.Fatalf("write %d has revision %d, want more than %d", i, rev, last)
		}
		last = rev
	}
	k.must(k.Delete(k.ctx, "b"))
	k.declare("b", dsv.Int, dsv.Last)
	if rev := k.write("b", dsv.IntValue(7)); rev <= last {
		k.t.Fatalf("after delete and create, revision %d, want more than %d", rev, last)
	}
}

func testTestAndSet(_ *testing.T, k *kit) {
	k.declare("x", dsv.Text, dsv.Last)
	first, err := k.TestAndSet(k.ctx, "x", 0, dsv.TextValue("one"))
	k.must(err)
	present, err := k.TestAndSet(k.ctx, "x", 0, dsv.TextValue("other"))
	k.is(err, dsv.ErrStale)
	if present != first {
		k.t.Errorf("stale at revision %d, want %d", present, first)
	}
	second, err := k.TestAndSet(k.ctx, "x", first, dsv.TextValue("two"))
	k.must(err)
	if second <= first {
		k.t.Errorf("revision %d after %d", second, first)
	}
	k.reads("x", dsv.TextValue("two"))
}

func testTestAndSetTogether(_ *testing.T, k *kit) {
	const writers, each = 8, 25
	k.declare("n", dsv.Int, dsv.Last)
	rev := k.write("n", dsv.IntValue(0))
	var mu sync.Mutex // guards counted
	counted := map[dsv.Revision]int64{rev: 0}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < each && k.ctx.Err() == nil; {
				mu.Lock()
				old, n := rev, counted[rev]
				mu.Unlock()
				now, err := k.TestAndSet(k.ctx, "n", old, dsv.IntValue(n+1))
				if err != nil {
					if !errors.Is(err, dsv.ErrStale) {
						k.t.Errorf("test and set: %v", err)
						return
					}
					continue
				}
				mu.Lock()
				counted[now], rev = n+1, max(rev, now)
				mu.Unlock()
				done++
			}
		})
	}
	wg.Wait()
	k.reads("n", dsv.IntValue(writers*each))
}

func testDelete(_ *testing.T, k *kit) {
	k.declare("x", dsv.Int, dsv.Sum)
	w := k.watch(dsv.WatchRequest{Pattern: "x", Mode: dsv.All})
	k.write("x", dsv.IntValue(1))
	k.must(k.Delete(k.ctx, "x"))
	_, err := k.Write(k.ctx, "x", dsv.IntValue(1))
	k.is(err, dsv.ErrNotFound)
	k.eventually("x", "no such variable", func(_ dsv.Reading, err error) bool { return errors.Is(err, dsv.ErrNotFound) })
	k.declare("x", dsv.Text, dsv.Last)
	k.eventually("x", "never written", func(_ dsv.Reading, err error) bool { return errors.Is(err, dsv.ErrUnset) })
	k.write("x", dsv.TextValue("again"))
	if u := k.next(w); u.Deleted || u.Reading.Value.Int != 1 {
		k.t.Errorf("first update %+v, want the write", u)
	}
	if u := k.next(w); !u.Deleted || u.Name != "x" {
		k.t.Errorf("second update %+v, want the deletion", u)
	}
	if u := k.next(w); u.Deleted || u.Reading.Value.Text != "again" {
		k.t.Errorf("third update %+v, want the write of the new variable", u)
	}
}

func testInfo(_ *testing.T, k *kit) {
	d := dsv.Declaration{Name: "x", Kind: dsv.Int, Unit: "1", Help: "for a test", Merge: dsv.Sum, History: true}
	k.must(k.Create(k.ctx, d))
	i, err := k.Info(k.ctx, "x")
	k.must(err)
	if i.Declaration != d || i.Revision != 0 || i.Writers != 0 {
		k.t.Errorf("info of a new variable is %+v", i)
	}
	k.watch(dsv.WatchRequest{Pattern: "*"})
	k.must(k.Sync(k.ctx, []dsv.Delta{delta("x", 1, 1, dsv.IntValue(1), 1), delta("x", 2, 1, dsv.IntValue(1), 1)}))
	i, err = k.Info(k.ctx, "x")
	k.must(err)
	if i.Revision == 0 || i.Writers != 2 || i.Watchers < 1 || i.Age < 0 {
		k.t.Errorf("info is %+v, want a revision, 2 writers and a watcher", i)
	}
}
