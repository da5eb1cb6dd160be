package dsvbolt_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
	"github.com/eve-emulation/eve/dsv/dsvtest"
)

// create makes a file that is closed with the test.
func create(t testing.TB, path string) *dsvbolt.DB {
	t.Helper()
	db, err := dsvbolt.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func reopen(t testing.TB, db *dsvbolt.DB, readOnly bool) *dsvbolt.DB {
	t.Helper()
	must(t, db.Close())
	again, err := dsvbolt.Open(db.Path(), readOnly)
	must(t, err)
	t.Cleanup(func() { _ = again.Close() })
	return again
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRecordedStoreIsASpace(t *testing.T) {
	open := func(t *testing.T) dsv.Space {
		s := dsv.NewStore(create(t, filepath.Join(t.TempDir(), "run.db")))
		t.Cleanup(func() { must(t, s.Close()) })
		return s
	}
	dsvtest.Run(t, open)
	dsvtest.History(t, open)
}

// TestLifeGoesOn checks that a Store that was put back has the values, knows repeats, and reuses no revision.
func TestLifeGoesOn(t *testing.T) {
	db := create(t, filepath.Join(t.TempDir(), "run.db"))
	s := dsv.NewStore(db)
	for _, d := range []dsv.Declaration{
		{Name: "n", Kind: dsv.Int, Merge: dsv.Sum, Unit: "1", Help: "how many", History: true},
		{Name: "mean", Kind: dsv.Float, Merge: dsv.Mean},
		{Name: "text", Kind: dsv.Text},
		{Name: "hist", Kind: dsv.Histogram, Merge: dsv.Hists},
		{Name: "records", Kind: dsv.Bytes, Merge: dsv.Append},
		{Name: "unset", Kind: dsv.Float},
		{Name: "gone", Kind: dsv.Float},
		{Name: "back", Kind: dsv.Float},
	} {
		must(t, s.Create(t.Context(), d))
	}
	var c dsv.Counts
	c.Add(0.5)
	repeat := []dsv.Delta{
		{Name: "n", Writer: 3, Epoch: 1, Seq: 7, T0: 5, T1: 9, Value: dsv.IntValue(41), Weight: 1},
		{Name: "mean", Writer: 3, Seq: 1, T1: 9, Value: dsv.FloatValue(6), Weight: 3},
		{Name: "hist", Writer: 3, Seq: 1, T1: 9, Value: dsv.HistValue(c.Take()), Weight: 1},
		{Name: "records", Writer: 3, Seq: 1, T1: 9, Value: dsv.BytesValue([]byte("one")), Weight: 1},
	}
	must(t, s.Sync(t.Context(), repeat))
	for _, n := range []dsv.Name{"gone", "back"} {
		_, err := s.Write(t.Context(), n, dsv.FloatValue(1))
		must(t, err)
		must(t, s.Delete(t.Context(), n))
	}
	must(t, s.Create(t.Context(), dsv.Declaration{Name: "back", Kind: dsv.Float}))
	last, err := s.Write(t.Context(), "text", dsv.TextValue("hello"))
	must(t, err)
	must(t, s.Close())

	db = reopen(t, db, false)
	s2 := dsv.NewStore(db)
	must(t, db.Restore(s2))
	must(t, s2.Sync(t.Context(), repeat)) // a writer that heard no answer sends again
	more := repeat[0]
	more.Seq++
	must(t, s2.Sync(t.Context(), []dsv.Delta{more}))
	for n, want := range map[dsv.Name]string{
		"n": "82", "mean": "2", "text": "hello", "hist": "1 samples, mean 0.5, p50 0.5, p99 0.5",
	} {
		r, err := s2.Read(t.Context(), n)
		if err != nil || r.Value.String() != want {
			t.Errorf("%s is %v, %v, want %s", n, r.Value, err, want)
		}
	}
	for n, want := range map[dsv.Name]error{"gone": dsv.ErrNotFound, "unset": dsv.ErrUnset, "back": dsv.ErrUnset} {
		if _, err := s2.Read(t.Context(), n); !errors.Is(err, want) {
			t.Errorf("%s: error is %v, want %v", n, err, want)
		}
	}
	if rev, err := s2.Write(t.Context(), "text", dsv.TextValue("again")); err != nil || rev <= last {
		t.Errorf("revision %d, %v, want more than %d", rev, err, last)
	}
	must(t, s2.Close())

	ro := reopen(t, db, true)
	var records []string
	must(t, ro.History("records", 0, dsv.Never, func(u dsv.Update) error {
		records = append(records, string(u.Delta.Value.Bytes))
		return nil
	}))
	if got := strings.Join(records, " "); got != "one" {
		t.Errorf("records are %q, want %q", got, "one")
	}
	if err := ro.Record(dsv.Update{Name: "n"}); !errors.Is(err, dsvbolt.ErrReadOnly) {
		t.Errorf("record: %v, want %v", err, dsvbolt.ErrReadOnly)
	}
	if got := len(ro.Declarations()); got != 8 {
		t.Errorf("%d declarations, want 8", got)
	}
}

func TestRevisionsAreNotReusedAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.db")
	db := create(t, path)
	s := dsv.NewStore(db)
	must(t, s.Create(t.Context(), dsv.Declaration{Name: "x", Kind: dsv.Int}))
	must(t, db.Flush())
	copied := snapshot(t, path) // what a crash right now would leave
	rev, err := s.Write(t.Context(), "x", dsv.IntValue(1))
	must(t, err)
	after, err := dsvbolt.Open(copied, false)
	must(t, err)
	defer after.Close()
	if after.Revision() < rev {
		t.Errorf("continues after %d, want at least %d, which was handed out", after.Revision(), rev)
	}
}

// TestRevisionsAreNotReusedAfterAnEarlyCrash checks the time between the opening of an old file and the first commit.
func TestRevisionsAreNotReusedAfterAnEarlyCrash(t *testing.T) {
	db := create(t, filepath.Join(t.TempDir(), "run.db"))
	must(t, db.Declare(dsv.Declaration{Name: "x", Kind: dsv.Int}))
	db = reopen(t, db, false)
	s := dsv.NewStore(db)
	must(t, db.Restore(s))
	copied := snapshot(t, db.Path())
	rev, err := s.Write(t.Context(), "x", dsv.IntValue(1))
	must(t, err)
	after, err := dsvbolt.Open(copied, false)
	must(t, err)
	defer after.Close()
	if after.Revision() < rev {
		t.Errorf("continues after %d, want at least %d, which was handed out", after.Revision(), rev)
	}
}

func TestCreateAndOpenRefuse(t *testing.T) {
	dir := t.TempDir()
	db := create(t, filepath.Join(dir, "run.db"))
	if _, err := dsvbolt.Create(db.Path()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create again: %v, want %v", err, fs.ErrExist)
	}
	_, err := dsvbolt.Open(db.Path(), true)
	if !errors.Is(err, dsvbolt.ErrInUse) || !strings.Contains(err.Error(), "run.db") {
		t.Errorf("open a file in use: %v, want %v and its name", err, dsvbolt.ErrInUse)
	}
	if _, err := dsvbolt.Open(filepath.Join(dir, "none.db"), true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open a missing file: %v, want %v", err, fs.ErrNotExist)
	}
	if _, err := dsvbolt.Open(dir, true); err == nil {
		t.Error("a folder was opened")
	}
	if err := db.Record(dsv.Update{Name: "none"}); !errors.Is(err, dsv.ErrNotFound) {
		t.Errorf("record an undeclared variable: %v, want %v", err, dsv.ErrNotFound)
	}
	must(t, db.Close())
	must(t, db.Close())
	if err := db.Flush(); !errors.Is(err, dsv.ErrClosed) {
		t.Errorf("flush after close: %v, want %v", err, dsv.ErrClosed)
	}
}

// anyFloat draws floats of the sorts that chunks tell apart.
func anyFloat() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Float64Range(-1e300, 1e300),
		rapid.Map(rapid.Int32(), func(i int32) float64 { return float64(i) }),
		rapid.Map(rapid.Int32(), func(i int32) float64 { return float64(i) / 1e3 }),
		rapid.Map(rapid.Int64(), func(i int64) float64 { return float64(i) / 1e9 }),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 52, 1<<53 + 2}),
	)
}

func anyValue(k dsv.Kind) *rapid.Generator[dsv.Value] {
	return rapid.Custom(func(t *rapid.T) dsv.Value {
		switch k {
		case dsv.Float:
			return dsv.FloatValue(anyFloat().Draw(t, "float"))
		case dsv.Int:
			return dsv.IntValue(rapid.Int64().Draw(t, "int"))
		case dsv.Text:
			return dsv.TextValue(rapid.String().Draw(t, "text"))
		case dsv.Bytes:
			return dsv.BytesValue(rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(t, "bytes"))
		}
		var c dsv.Counts
		for _, x := range rapid.SliceOf(rapid.Float64Range(-1, 4000)).Draw(t, "samples") {
			c.Add(x)
		}
		return dsv.HistValue(c.Take())
	})
}

// TestHistoryIsWhatWasRecorded records arbitrary changes, and reads them back in the order of time, while the file is
// open and when it was opened again.
func TestHistoryIsWhatWasRecorded(t *testing.T) {
	dir := t.TempDir()
	files := 0
	rapid.Check(t, func(rt *rapid.T) {
		files++
		db := create(t, filepath.Join(dir, fmt.Sprintf("run%d.db", files)))
		defer db.Close()
		kind := dsv.Kind(rapid.IntRange(int(dsv.Float), int(dsv.Histogram)).Draw(rt, "kind"))
		must(t, db.Declare(dsv.Declaration{Name: "x", Kind: kind, History: true}))
		var want []dsv.Update
		rev, t1 := dsv.Revision(0), dsv.Instant(0)
		for range rapid.IntRange(0, 60).Draw(rt, "changes") {
			rev += dsv.Revision(rapid.IntRange(1, 3).Draw(rt, "rise"))
			u := anyUpdate(rt, kind, rev, &t1)
			must(t, db.Record(u))
			want = append(want, u)
			if rapid.IntRange(0, 9).Draw(rt, "flush") == 0 {
				must(t, db.Flush())
			}
		}
		compare(rt, db, want)
		again := reopen(t, db, true)
		compare(rt, again, want)
		must(t, again.Close())
	})
}

func anyUpdate(rt *rapid.T, kind dsv.Kind, rev dsv.Revision, t1 *dsv.Instant) dsv.Update {
	u := dsv.Update{Name: "x", Revision: rev}
	u.Reading.Revision = rev
	v := anyValue(kind).Draw(rt, "value")
	if rapid.IntRange(0, 9).Draw(rt, "whole") == 0 {
		u.Reading.Value, u.Reading.T1 = v, *t1
		return u
	}
	t0 := *t1
	if rapid.Bool().Draw(rt, "regular") {
		*t1 += 100e6
	} else {
		*t1 = max(0, *t1+dsv.Instant(rapid.Int64Range(-1e9, 1e9).Draw(rt, "step")))
	}
	u.Delta = &dsv.Delta{
		Name: "x", Writer: dsv.WriterID(rapid.IntRange(0, 2).Draw(rt, "writer")), Epoch: rapid.Uint32().Draw(rt, "epoch"),
		Seq: uint64(rev), T0: t0, T1: *t1, Value: v, Weight: math.Abs(anyFloat().Draw(rt, "weight")),
	}
	u.Reading.T1 = *t1
	return u
}

func compare(rt *rapid.T, db *dsvbolt.DB, want []dsv.Update) {
	left := map[dsv.Revision]dsv.Update{}
	for _, u := range want {
		if u.Reading.T1 > -1 {
			left[u.Revision] = u
		}
	}
	before := dsv.Update{}
	err := db.History("x", -1, dsv.Never, func(got dsv.Update) error {
		if got.Reading.T1 < before.Reading.T1 || got.Reading.T1 == before.Reading.T1 && got.Revision <= before.Revision {
			rt.Fatalf("revision %d at %d comes after %d at %d", got.Revision, got.Reading.T1, before.Revision, before.Reading.T1)
		}
		before = got
		w, ok := left[got.Revision]
		if !ok {
			rt.Fatalf("revision %d was not recorded", got.Revision)
		}
		delete(left, got.Revision)
		if !equal(got, w) {
			rt.Fatalf("got %+v %+v, want %+v %+v", got, got.Delta, w, w.Delta)
		}
		return nil
	})
	if err != nil || len(left) > 0 {
		rt.Fatalf("%d changes are missing, error %v", len(left), err)
	}
}

func equal(a, b dsv.Update) bool {
	if (a.Delta == nil) != (b.Delta == nil) || a.Revision != b.Revision || a.Reading.T1 != b.Reading.T1 {
		return false
	}
	if a.Delta == nil {
		return a.Reading.Value.Equal(b.Reading.Value)
	}
	x, y := *a.Delta, *b.Delta
	same := x.Value.Equal(y.Value)
	x.Value, y.Value = dsv.Value{}, dsv.Value{}
	return same && x.Writer == y.Writer && x.Epoch == y.Epoch && x.Seq == y.Seq && x.T0 == y.T0 && x.T1 == y.T1 &&
		math.Float64bits(x.Weight) == math.Float64bits(y.Weight)
}

// TestHistoryOfAStretch reads parts of a history that fills many chunks, from two writers who report late.
func TestHistoryOfAStretch(t *testing.T) {
	db := create(t, filepath.Join(t.TempDir(), "run.db"))
	must(t, db.Declare(dsv.Declaration{Name: "x", Kind: dsv.Float, Merge: dsv.Sum, History: true}))
	const n = 20_000
	for i := range n {
		late := dsv.Instant(i%2) * 1500
		u := dsv.Update{Name: "x", Revision: dsv.Revision(i + 1), Delta: &dsv.Delta{
			Name: "x", Writer: dsv.WriterID(i % 2), Seq: uint64(i), T1: dsv.Instant(10*i) - late, Value: dsv.FloatValue(math.Sqrt(float64(i))), Weight: 1,
		}}
		must(t, db.Record(u))
	}
	for _, c := range []struct {
		from, to dsv.Instant
	}{{-1e9, dsv.Never}, {50_000, 60_000}, {199_000, dsv.Never}, {60_000, 50_000}} {
		want := 0
		for i := range n {
			if at := dsv.Instant(10*i) - dsv.Instant(i%2)*1500; at > c.from && at <= c.to {
				want++
			}
		}
		got, last := 0, c.from
		must(t, db.History("x", c.from, c.to, func(u dsv.Update) error {
			if u.Delta.T1 < last || u.Delta.T1 > c.to {
				t.Fatalf("%d after %d", u.Delta.T1, last)
			}
			last = u.Delta.T1
			got++
			return nil
		}))
		if got != want {
			t.Errorf("%d changes in (%d, %d], want %d", got, c.from, c.to, want)
		}
	}
	stop := errors.New("enough")
	if err := db.History("x", 0, dsv.Never, func(dsv.Update) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error is %v, want the function's", err)
	}
}

// TestFlushBesideRecord flushes all the time while history is recorded.
func TestFlushBesideRecord(t *testing.T) {
	db := create(t, filepath.Join(t.TempDir(), "run.db"))
	must(t, db.Declare(dsv.Declaration{Name: "x", Kind: dsv.Float, Merge: dsv.Sum, History: true}))
	const n = 150_000
	done := make(chan struct{})
	var flushing sync.WaitGroup
	flushing.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				must(t, db.Flush())
			}
		}
	})
	for i := range n {
		at := dsv.Instant(i + 1)
		must(t, db.Record(dsv.Update{Name: "x", Revision: dsv.Revision(at), Delta: &dsv.Delta{
			Name: "x", Seq: uint64(at), T0: at - 1, T1: at, Value: dsv.FloatValue(math.Sqrt(float64(i))), Weight: 1,
		}}))
	}
	close(done)
	flushing.Wait()
	next := 0
	must(t, reopen(t, db, true).History("x", 0, dsv.Never, func(u dsv.Update) error {
		if u.Delta.Value.Float != math.Sqrt(float64(next)) {
			t.Fatalf("change %d is %v", next, u.Delta.Value)
		}
		next++
		return nil
	}))
	if next != n {
		t.Errorf("%d changes, want %d", next, n)
	}
}
