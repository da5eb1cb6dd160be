package dsv_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvtest"
)

// model is a Store in the plainest terms: what each variable holds, and all changes in order.
type model struct {
	vars     map[dsv.Name]*modelVar
	revision dsv.Revision
	changes  []modelChange
}

type modelVar struct {
	rule   dsv.Merge
	rev    dsv.Revision
	value  int64
	weight float64
	t1     dsv.Instant // of the value
	seen   map[dsv.WriterID]dsv.Progress
}

type modelChange struct {
	rev     dsv.Revision
	name    dsv.Name
	deleted bool
	value   int64 // afterwards
	delta   *int64
}

func (m *model) changed(n dsv.Name, v *modelVar, deleted bool, delta *int64) {
	m.revision++
	v.rev = m.revision
	m.changes = append(m.changes, modelChange{m.revision, n, deleted, v.value, delta})
}

func (m *model) sync(n dsv.Name, d dsv.Delta) error {
	v := m.vars[n]
	if v == nil {
		return dsv.ErrNotFound
	}
	p, known := v.seen[d.Writer]
	if known && (d.Epoch < p.Epoch || d.Epoch == p.Epoch && d.Seq <= p.Seq) {
		return nil
	}
	v.seen[d.Writer] = dsv.Progress{Writer: d.Writer, Epoch: d.Epoch, Seq: d.Seq}
	x := d.Value.Int
	switch {
	case v.rule == dsv.Last:
		if v.rev == 0 || d.T1 >= v.t1 {
			v.value = x
		}
	case v.rev == 0:
		v.value = x
	case v.rule == dsv.Sum:
		v.value += x
	case v.rule == dsv.Min:
		v.value = min(v.value, x)
	case v.rule == dsv.Max:
		v.value = max(v.value, x)
	}
	v.t1 = max(v.t1, d.T1)
	v.weight += d.Weight
	m.changed(n, v, false, &x)
	return nil
}

// TestStoreIsTheModel does arbitrary things to a Store and to the model, and compares answers, then what watches saw.
func TestStoreIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		s, m := dsv.NewStore(nil), &model{vars: map[dsv.Name]*modelVar{}}
		defer s.Close()
		names := []dsv.Name{"a", "b.c", "b.d"}
		patterns := []string{"*", "a", "b.*", "*.c"}
		type watcher struct {
			pattern string
			w       dsv.Watch
			from    int // changes before it
		}
		var watches []watcher
		open := func(from dsv.Revision, index int) {
			p := rapid.SampledFrom(patterns).Draw(t, "pattern")
			w, err := s.Watch(ctx, dsv.WatchRequest{Pattern: p, Mode: dsv.All, From: from})
			if err != nil {
				t.Fatal(err)
			}
			watches = append(watches, watcher{p, w, index})
		}
		open(0, 0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := rapid.SampledFrom(names).Draw(t, "name")
			v := m.vars[n]
			x := rapid.Int64Range(-5, 5).Draw(t, "value")
			switch rapid.IntRange(0, 7).Draw(t, "what") {
			case 0:
				rule := rapid.SampledFrom([]dsv.Merge{dsv.Last, dsv.Sum, dsv.Min, dsv.Max}).Draw(t, "rule")
				err := s.Create(ctx, dsv.Declaration{Name: n, Kind: dsv.Int, Merge: rule})
				if v != nil && v.rule != rule {
					expect(t, err, dsv.ErrExists)
					continue
				}
				expect(t, err, nil)
				if v == nil {
					m.vars[n] = &modelVar{rule: rule, seen: map[dsv.WriterID]dsv.Progress{}}
				}
			case 1:
				rev, err := s.Write(ctx, n, dsv.IntValue(x))
				if v == nil {
					expect(t, err, dsv.ErrNotFound)
					continue
				}
				expect(t, err, nil)
				v.value, v.weight = x, 1
				m.changed(n, v, false, nil)
				if rev != m.revision {
					t.Fatalf("revision %d, want %d", rev, m.revision)
				}
			case 2:
				old := dsv.Revision(rapid.IntRange(0, int(m.revision)).Draw(t, "old"))
				if v != nil && rapid.Bool().Draw(t, "right") {
					old = v.rev
				}
				rev, err := s.TestAndSet(ctx, n, old, dsv.IntValue(x))
				switch {
				case v == nil:
					expect(t, err, dsv.ErrNotFound)
				case v.rev != old:
					expect(t, err, dsv.ErrStale)
					if rev != v.rev {
						t.Fatalf("stale at %d, want %d", rev, v.rev)
					}
				default:
					expect(t, err, nil)
					v.value, v.weight = x, 1
					m.changed(n, v, false, nil)
				}
			case 3:
				expect(t, s.Delete(ctx, n), map[bool]error{true: dsv.ErrNotFound, false: nil}[v == nil])
				if v != nil {
					delete(m.vars, n)
					m.changed(n, v, true, nil)
				}
			case 4:
				at := rapid.IntRange(0, len(m.changes)).Draw(t, "resume")
				if at > 0 {
					open(m.changes[at-1].rev, at)
				}
			default:
				d := dsv.Delta{
					Name: n, Writer: dsv.WriterID(rapid.IntRange(0, 1).Draw(t, "writer")), Epoch: uint32(rapid.IntRange(0, 1).Draw(t, "epoch")),
					Seq: uint64(rapid.IntRange(1, 6).Draw(t, "seq")), T1: dsv.Instant(rapid.IntRange(0, 9).Draw(t, "t1")),
					Value: dsv.IntValue(x), Weight: 2,
				}
				expect(t, s.Sync(ctx, []dsv.Delta{d}), m.sync(n, d))
			}
			m.compare(t, s, names)
		}
		for _, w := range watches {
			m.watched(t, w.w, w.pattern, w.from)
		}
	})
}

func expect(t *rapid.T, err, want error) {
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

// compare reads every variable.
func (m *model) compare(t *rapid.T, s *dsv.Store, names []dsv.Name) {
	for _, n := range names {
		r, err := s.Read(context.Background(), n)
		v := m.vars[n]
		switch {
		case v == nil:
			expect(t, err, dsv.ErrNotFound)
		case v.rev == 0:
			expect(t, err, dsv.ErrUnset)
		case err != nil || r.Value.Int != v.value || r.Revision != v.rev || r.Weight != v.weight:
			t.Fatalf("%s reads %+v, %v, want %+v", n, r, err, v)
		}
	}
}

// watched compares what a watch saw since change from with the changes that its pattern matches.
func (m *model) watched(t *rapid.T, w dsv.Watch, pattern string, from int) {
	for _, c := range m.changes[from:] {
		if !c.name.Match(pattern) {
			continue
		}
		u, err := w.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if u.Name != c.name || u.Revision != c.rev || u.Deleted != c.deleted || !c.deleted && u.Reading.Value.Int != c.value {
			t.Fatalf("watch %s: %+v, want %+v", pattern, u, c)
		}
		if (u.Delta != nil) != (c.delta != nil) || u.Delta != nil && u.Delta.Value.Int != *c.delta {
			t.Fatalf("watch %s: delta %+v, want %+v", pattern, u.Delta, c)
		}
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if u, err := w.Next(done); !errors.Is(err, context.Canceled) {
		t.Fatalf("watch %s: another update, %+v, %v", pattern, u, err)
	}
}

// TestStoreStandsAmongUsers has several users at once.
func TestStoreStandsAmongUsers(t *testing.T) {
	dsvtest.Random(t, func(t *testing.T) dsv.Space {
		s := dsv.NewStore(nil)
		t.Cleanup(func() { must(t, s.Close()) })
		return s
	})
}

// TestFoldOfPartsIsFoldOfAll folds in two stages what may be folded in any order.
func TestFoldOfPartsIsFoldOfAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := rapid.SampledFrom([]dsv.Merge{dsv.Last, dsv.Sum, dsv.Min, dsv.Max, dsv.Mean}).Draw(t, "rule")
		xs := rapid.SliceOfN(rapid.IntRange(-1000, 1000), 1, 30).Draw(t, "values")
		cut := rapid.IntRange(0, len(xs)).Draw(t, "cut")
		fold := func(from, to int) *dsv.Fold {
			f := dsv.NewFold(dsv.Float, rule)
			for i, x := range xs[from:to] {
				at := dsv.Instant(from + i)
				f.Add(&dsv.Delta{T0: at, T1: at + 1, Value: dsv.FloatValue(float64(x)), Weight: 1})
			}
			return f
		}
		parts := []*dsv.Fold{fold(0, cut), fold(cut, len(xs))}
		slices.Reverse(parts)
		two := dsv.NewFold(dsv.Float, rule)
		for _, p := range parts {
			if p.Empty() {
				continue
			}
			t0, t1 := p.Span()
			two.Add(&dsv.Delta{T0: t0, T1: t1, Value: p.Raw(), Weight: p.Weight()})
		}
		one := fold(0, len(xs))
		a0, a1 := one.Span()
		b0, b1 := two.Span()
		if !one.Value().Equal(two.Value()) || one.Weight() != two.Weight() || a0 != b0 || a1 != b1 {
			t.Fatalf("%v: %v of %v, in parts %v of %v", rule, one.Value(), one.Weight(), two.Value(), two.Weight())
		}
	})
}

func TestFoldStaysWithinNumbers(t *testing.T) {
	for _, c := range []struct{ a, b, want dsv.Value }{
		{dsv.IntValue(math.MaxInt64), dsv.IntValue(1), dsv.IntValue(math.MaxInt64)},
		{dsv.IntValue(math.MinInt64), dsv.IntValue(-1), dsv.IntValue(math.MinInt64)},
		{dsv.IntValue(math.MaxInt64), dsv.IntValue(math.MinInt64), dsv.IntValue(-1)},
		{dsv.FloatValue(math.MaxFloat64), dsv.FloatValue(math.MaxFloat64), dsv.FloatValue(math.MaxFloat64)},
	} {
		f := dsv.NewFold(c.a.Kind, dsv.Sum)
		f.Add(&dsv.Delta{Value: c.a})
		f.Add(&dsv.Delta{Value: c.b})
		if got := f.Value(); !got.Equal(c.want) {
			t.Errorf("%v + %v is %v, want %v", c.a, c.b, got, c.want)
		}
	}
}
