package dmm_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/dmmtest"
	"github.com/eve-emulation/eve/dsv"
)

const ms = dsv.Instant(time.Millisecond)

func newSet(t testing.TB, specs ...dmm.Spec) *dmm.Set {
	t.Helper()
	set, err := dmm.NewSet(1, 0, specs)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestContract(t *testing.T) {
	var specs []dmm.Spec
	for _, m := range dmm.Shipped() {
		if m.Kind == dsv.Bytes {
			continue
		}
		for _, sync := range []dmm.Trigger{
			{},
			{Every: 100 * time.Millisecond},
			{Every: 50 * time.Millisecond, Count: 7},
			{Change: 0.5},
			{Every: time.Second, ChangeRelative: 0.1, Above: new(2.5), Below: new(1.1)},
		} {
			specs = append(specs, dmm.Spec{Name: "x.y", Manipulator: m.Name, Param: 0.25, Sync: sync})
		}
	}
	dmmtest.Run(t, specs...)
}

// told renders deltas: their windows in milliseconds, value and weight.
func told(ds []dsv.Delta) string {
	var b strings.Builder
	for _, d := range ds {
		fmt.Fprintf(&b, "(%d %d] %v/%v\n", d.T0/ms, d.T1/ms, d.Value, d.Weight)
	}
	return b.String()
}

func TestManipulators(t *testing.T) {
	for _, c := range []struct {
		manipulator string
		want        string // after 2 and 6 in the first window, 4 in the second, and silence in the third and fourth
		read        string
	}{
		{"last", "(0 100] 6/2\n(100 200] 4/1\n", "4"},
		{"count", "(0 100] 2/2\n(100 200] 1/1\n(200 300] 0/0\n", "3"},
		{"sum", "(0 100] 8/2\n(100 200] 4/1\n(200 300] 0/0\n", "12"},
		{"mean", "(0 100] 8/2\n(100 200] 4/1\n(200 300] 0/0\n", "4"},
		{"ewma", "(0 100] 3/2\n(100 200] 3.25/1\n", "3.25"},
		{"min", "(0 100] 2/2\n(100 200] 4/1\n", "2"},
		{"max", "(0 100] 6/2\n(100 200] 4/1\n", "6"},
		{"rate", "(0 100] 2/0.1\n(100 200] 1/0.1\n(200 300] 0/0.1\n(300 400] 0/0.1\n", "7.5"},
		{
			"histogram", "(0 100] 2 samples, mean 4, p50 2, p99 6/2\n(100 200] 1 samples, mean 4, p50 4, p99 4/1\n(200 300] no samples/0\n",
			"3 samples, mean 4, p50 3.999, p99 6",
		},
	} {
		t.Run(c.manipulator, func(t *testing.T) {
			set := newSet(t, dmm.Spec{Name: "x", Manipulator: c.manipulator, Param: 0.25, Sync: dmm.Trigger{Every: 100 * time.Millisecond}})
			v := set.Var("x")
			v.Write(10*ms, 2)
			v.Write(100*ms, 6) // the end belongs to the window
			v.Write(101*ms, 4) // written before the window is handed out
			set.Advance(250 * ms)
			set.Advance(400 * ms)
			if got := told(set.Take(nil)); got != c.want {
				t.Errorf("deltas are\n%swant\n%s", got, c.want)
			}
			got := v.Read().String()
			if c.manipulator != "histogram" && got != c.read {
				t.Errorf("read %s, want %s", got, c.read)
			}
			if next := set.Next(); next != 500*ms {
				t.Errorf("next is %d, want %d", next, 500*ms)
			}
		})
	}
}

func TestTriggers(t *testing.T) {
	writes := []float64{10, 10.5, 12, 11, 30, 31, 5, 4, 4, 40}
	for _, c := range []struct {
		name        string
		manipulator string
		sync        dmm.Trigger
		want        []float64 // the samples that made deltas due
	}{
		{"count", "last", dmm.Trigger{Count: 3}, []float64{12, 31, 4}},
		{"change", "last", dmm.Trigger{Change: 2}, []float64{10, 12, 30, 5, 40}},
		{"relative change", "last", dmm.Trigger{ChangeRelative: 0.5}, []float64{10, 30, 5, 40}},
		{"above", "last", dmm.Trigger{Above: new(float64(20))}, []float64{30, 40}},
		{"below", "last", dmm.Trigger{Below: new(float64(11))}, []float64{10, 5}},
		{"any", "last", dmm.Trigger{Count: 100, Above: new(float64(35)), Below: new(4.5)}, []float64{4, 40}},
		{"level of a count", "count", dmm.Trigger{Above: new(8.5)}, []float64{4}},
		{"level of a sum", "sum", dmm.Trigger{Change: 30}, []float64{10, 11, 30, 31, 40}},
		{"level of a maximum", "max", dmm.Trigger{Change: 2}, []float64{10, 12, 30, 40}},
		{"level of samples", "histogram", dmm.Trigger{Above: new(30.5)}, []float64{31, 40}},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := newSet(t, dmm.Spec{Name: "x", Manipulator: c.manipulator, Sync: c.sync})
			v := set.Var("x")
			var got []float64
			for i, x := range writes {
				at := dsv.Instant(i+1) * ms
				v.Write(at, x)
				signalled := false
				select {
				case <-set.Due():
					signalled = true
				default:
				}
				if ds := set.Take(nil); len(ds) > 0 {
					got = append(got, x)
					if !signalled || ds[0].T1 != at {
						t.Errorf("delta ends at %d, signalled %v, want %d", ds[0].T1, signalled, at)
					}
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("synchronised at %v, want %v", got, c.want)
			}
		})
	}
}

func TestWeightedMean(t *testing.T) {
	set := newSet(t, dmm.Spec{Name: "queue", Manipulator: "mean", Sync: dmm.Trigger{Every: time.Second}})
	v := set.Var("queue")
	v.WriteWeighted(500*ms, 3*0.5, 0.5) // 3 for half a second
	v.WriteWeighted(1000*ms, 0, 0.5)    // then none
	set.Advance(1000 * ms)
	if got, want := told(set.Take(nil)), "(0 1000] 1.5/1\n"; got != want {
		t.Errorf("delta %s, want %s", got, want)
	}
	if got := v.Read().Float; got != 1.5 {
		t.Errorf("mean %v, want 1.5", got)
	}
}

func TestTextsAndRecords(t *testing.T) {
	set := newSet(
		t,
		dmm.Spec{Name: "state", Manipulator: "last", Kind: dsv.Text, Sync: dmm.Trigger{Count: 1}},
		dmm.Spec{Name: "hosts", Manipulator: "last", Kind: dsv.Int, Sync: dmm.Trigger{Every: time.Second}},
		dmm.Spec{Name: "app.records", Manipulator: "records", Sync: dmm.Trigger{Every: time.Second}},
	)
	set.Var("state").WriteValue(ms, dsv.TextValue("up"))
	set.Var("hosts").Write(ms, 3)
	record := []byte("one")
	set.Var("app.records").Append(ms, record)
	record[0] = 'X' // the bytes remain the caller's
	set.Var("app.records").Append(2*ms, nil)
	set.Var("app.records").Append(3*ms, bytes.Repeat([]byte("x"), 300))
	ignored := set.Ignored()
	set.Var("state").Write(ms, 1)
	set.Var("state").WriteValue(ms, dsv.BytesValue(nil))
	set.Var("hosts").Append(ms, record)
	set.Var("hosts").Write(ms, math.NaN())
	set.Var("app.records").Write(ms, 1)
	set.Var("app.records").Append(ms, make([]byte, 65<<10))
	if got := set.Ignored() - ignored; got != 6 {
		t.Errorf("%d writes ignored, want 6", got)
	}
	set.Close(10 * ms)
	ds := set.Take(nil)
	if len(ds) != 3 || ds[0].Value.Text != "up" || ds[1].Value.Int != 3 {
		t.Fatalf("deltas are\n%s", told(ds))
	}
	var got []string
	for r := range dmm.Records(ds[2].Value.Bytes) {
		got = append(got, string(r))
	}
	if want := []string{"one", "", strings.Repeat("x", 300)}; !slices.Equal(got, want) {
		t.Errorf("records are %q, want %q", got, want)
	}
	for range dmm.Records([]byte{200, 200}) {
		t.Error("a broken chunk has a record")
	}
}

// TestRecordsFitIntoDeltas writes more than a delta may hold between two synchronisations.
func TestRecordsFitIntoDeltas(t *testing.T) {
	set := newSet(t, dmm.Spec{Name: "r", Manipulator: "records", Sync: dmm.Trigger{Every: time.Second}})
	const n = 50_000
	for i := range n {
		set.Var("r").Append(dsv.Instant(i), fmt.Appendf(nil, "record %d", i))
	}
	set.Close(n)
	next := 0
	for _, d := range set.Take(nil) {
		if err := d.Value.Check(dsv.Bytes); err != nil {
			t.Fatal(err)
		}
		for r := range dmm.Records(d.Value.Bytes) {
			if string(r) != fmt.Sprintf("record %d", next) {
				t.Fatalf("record %d is %q", next, r)
			}
			next++
		}
	}
	if next != n {
		t.Errorf("%d records, want %d", next, n)
	}
}

func TestSpecsAreChecked(t *testing.T) {
	every := dmm.Trigger{Every: time.Second}
	for _, c := range []struct {
		spec dmm.Spec
		want string
	}{
		{dmm.Spec{Name: "X", Manipulator: "last"}, "not a variable name"},
		{dmm.Spec{Name: "x", Manipulator: "median"}, "there are last, count, sum, mean"},
		{dmm.Spec{Name: "x", Manipulator: "ewma"}, "parameter in (0, 1]"},
		{dmm.Spec{Name: "x", Manipulator: "sum", Kind: dsv.Text}, "holds float, not text"},
		{dmm.Spec{Name: "x", Manipulator: "last", Kind: dsv.Text, Sync: dmm.Trigger{Change: 1}}, "need numbers"},
		{dmm.Spec{Name: "x", Manipulator: "sum", Sync: dmm.Trigger{Every: -1}}, "at least 1ms"},
		{dmm.Spec{Name: "x", Manipulator: "sum", Sync: dmm.Trigger{Count: -1}}, "at least 1"},
		{dmm.Spec{Name: "x", Manipulator: "sum", Sync: dmm.Trigger{Change: math.NaN()}}, "a positive number"},
		{dmm.Spec{Name: "x", Manipulator: "sum", Sync: dmm.Trigger{Below: new(math.Inf(1))}}, "a number"},
	} {
		if _, err := dmm.NewSet(1, 0, []dmm.Spec{c.spec}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error is %v, want %q", c.spec, err, c.want)
		}
	}
	twice := dmm.Spec{Name: "x", Manipulator: "sum", Sync: every}
	if _, err := dmm.NewSet(1, 0, []dmm.Spec{twice, twice}); err == nil {
		t.Error("a name was taken twice")
	}
	if _, err := dmm.Shipped().Lookup("median"); !errors.Is(err, dmm.ErrManipulator) {
		t.Errorf("error is %v, want %v", err, dmm.ErrManipulator)
	}
}

// TestLateWritersKeepTheirWindow has two loops, one of which is a little behind when the other has crossed the end.
func TestLateWritersKeepTheirWindow(t *testing.T) {
	set := newSet(t, dmm.Spec{Name: "x", Manipulator: "count", Sync: dmm.Trigger{Every: 100 * time.Millisecond}})
	v := set.Var("x")
	v.Write(99*ms, 1)
	v.Write(102*ms, 1)
	v.Write(98*ms, 1) // late, but not too late
	v.Write(250*ms, 1)
	v.Write(120*ms, 1)
	set.Advance(300 * ms)
	v.Write(290*ms, 1) // its window was handed out; it is counted all the same
	set.Close(350 * ms)
	want := "(0 100] 2/2\n(100 200] 2/2\n(200 300] 1/1\n(300 300] 1/1\n"
	if got := told(set.Take(nil)); got != want {
		t.Errorf("deltas are\n%swant\n%s", got, want)
	}
}

// TestReadLeavesWindowsExact reads in the middle of windows.
func TestReadLeavesWindowsExact(t *testing.T) {
	set := newSet(t, dmm.Spec{Name: "x", Manipulator: "sum", Sync: dmm.Trigger{Every: 100 * time.Millisecond, Count: 100}})
	v := set.Var("x")
	for i := range dsv.Instant(30) {
		v.Write((i+1)*10*ms, 1)
		if got := v.Read().Float; got != float64(i+1) {
			t.Fatalf("read %v, want %d", got, i+1)
		}
	}
	set.Advance(300 * ms)
	if got, want := told(set.Take(nil)), "(0 100] 10/10\n(100 200] 10/10\n(200 300] 10/10\n"; got != want {
		t.Errorf("deltas are\n%swant\n%s", got, want)
	}
}

func TestBegin(t *testing.T) {
	set := newSet(t, dmm.Spec{Name: "x", Manipulator: "rate", Sync: dmm.Trigger{Every: time.Second}})
	set.Begin(2500 * ms)
	set.Var("x").Write(2600*ms, 1)
	set.Advance(3000 * ms)
	if got, want := told(set.Take(nil)), "(2500 3000] 1/0.5\n"; got != want {
		t.Errorf("delta %s, want %s", got, want)
	}
}

// TestHistogramOfWindows checks that the windows' histograms merge to that of all samples, byte for byte, and that a
// Window sums any stretch exactly.
func TestHistogramOfWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := dmm.Spec{Name: "x", Manipulator: "histogram", Sync: dmm.Trigger{Every: 10 * time.Millisecond, Count: rapid.SampledFrom([]int{0, 3}).Draw(t, "count")}}
		w := dmm.NewWindow(spec.Declaration("s", "", true), 0)
		var all []sample
		for writer := range rapid.IntRange(1, 3).Draw(t, "writers") {
			set, err := dmm.NewSet(dsv.WriterID(writer), 0, []dmm.Spec{spec})
			if err != nil {
				t.Fatal(err)
			}
			at := dsv.Instant(0)
			for range rapid.IntRange(0, 40).Draw(t, "writes") {
				at += dsv.Instant(rapid.Int64Range(1, int64(12*ms)).Draw(t, "gap"))
				s := sample{at, rapid.Float64Range(1e-7, 100).Draw(t, "x")}
				all = append(all, s)
				set.Advance(at - 1) // windows end before the write
				set.Var("x").Write(at, s.x)
			}
			set.Close(at)
			for _, d := range set.Take(nil) {
				w.Add(d)
			}
		}
		from := dsv.Instant(rapid.Int64Range(0, 40).Draw(t, "from")) * 10 * ms
		to := from + dsv.Instant(rapid.Int64Range(0, 40).Draw(t, "length"))*10*ms
		var want dsv.Counts
		for _, s := range all {
			if s.at > from && s.at <= to {
				want.Add(s.x)
			}
		}
		got := w.Sum(from, to)
		if h := want.Take(); !got.Value.Hist.Equal(h) || got.Count() != float64(h.Count()) || got.T0 != from || got.T1 != to {
			t.Fatalf("(%d, %d] has %v, want %d samples", from, to, got, h.Count())
		}
	})
}

type sample struct {
	at dsv.Instant
	x  float64
}

// A lean Set hands out what any Set hands out, and keeps nothing of it.
func TestLeanSetHandsOutTheSame(t *testing.T) {
	specs := []dmm.Spec{
		{Name: "a.hist", Manipulator: "histogram", Sync: dmm.Trigger{Every: 100 * time.Millisecond}},
		{Name: "a.count", Manipulator: "count", Sync: dmm.Trigger{Every: 100 * time.Millisecond, Count: 700}},
		{Name: "a.mean", Manipulator: "mean", Sync: dmm.Trigger{Every: 200 * time.Millisecond}},
		{Name: "a.rate", Manipulator: "rate", Sync: dmm.Trigger{Every: 100 * time.Millisecond}},
		{Name: "a.window", Manipulator: "window", Param: 0.3, Sync: dmm.Trigger{Every: 100 * time.Millisecond}},
		{Name: "a.change", Manipulator: "last", Sync: dmm.Trigger{Change: 5}},
		{Name: "a.records", Manipulator: "records", Sync: dmm.Trigger{Every: 100 * time.Millisecond}},
	}
	deltas := func(newSet func(dsv.WriterID, uint32, []dmm.Spec) (*dmm.Set, error)) (ds []dsv.Delta, s *dmm.Set) {
		s, err := newSet(1, 1, specs)
		if err != nil {
			t.Fatal(err)
		}
		record := make([]byte, 900)
		for i := range 5000 {
			at := dsv.Instant(i)*ms/2 + 1
			for s.Next() < at {
				s.Advance(s.Next())
			}
			x := float64(i*i%977) / 100
			if i == 3000 {
				x = math.NaN()
			}
			for _, n := range s.Names() {
				s.Var(n).Write(at-ms/4, x)
			}
			s.Var("a.records").Append(at, record[:i%900])
			ds = s.Take(ds)
		}
		s.Close(3e9)
		return s.Take(ds), s
	}
	want, _ := deltas(dmm.NewSet)
	got, lean := deltas(dmm.NewLeanSet)
	if len(got) != len(want) || len(want) < 150 {
		t.Fatalf("deltas: got %d, want %d, and more than 150", len(got), len(want))
	}
	for i := range want {
		if g, w := words(t, got[i]), words(t, want[i]); g != w {
			t.Fatalf("delta %d: got %s, want %s", i, g, w)
		}
	}
	if v := lean.Var("a.hist").Read(); v.Kind != 0 {
		t.Errorf("a lean set keeps %v", v)
	}
}

// words tells all of a delta.
func words(t *testing.T, d dsv.Delta) string {
	t.Helper()
	var hist []byte
	if d.Value.Kind == dsv.Histogram {
		var err error
		if hist, err = d.Value.Hist.AppendBinary(nil); err != nil {
			t.Fatal(err)
		}
		d.Value.Hist = nil
	}
	return fmt.Sprintf("%+v %x", d, hist)
}
