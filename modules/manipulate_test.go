package modules_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules"
)

// eachCoding runs a test over both codings.
func eachCoding(t *testing.T, run func(t *testing.T, k *evekernel.Kernel, link modules.Link)) {
	t.Helper()
	for _, c := range []wire.Coding{wire.CBOR, wire.JSON} {
		t.Run(c.String(), func(t *testing.T) {
			k, _ := open(t, evekernel.Config{Lead: time.Millisecond})
			run(t, k, modules.Link{Name: "probe", URL: k.URL(), Token: k.Token(), Coding: c})
		})
	}
}

// begin lets the run begin.
func begin(t *testing.T, k *evekernel.Kernel) {
	t.Helper()
	if err := k.Hub().Expect(egs.StartBarrier, "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Hub().Member("test").Join(t.Context(), egs.StartBarrier); err != nil {
		t.Fatal(err)
	}
}

// until reads a variable until ok says that it is as it should be.
func until(t *testing.T, s dsv.Space, n dsv.Name, ok func(dsv.Reading) bool) dsv.Reading {
	t.Helper()
	w, err := s.Watch(t.Context(), dsv.WatchRequest{Pattern: string(n)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := contextFor(t)
	defer cancel()
	for {
		u, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("%s did not become what it should: %v", n, err)
		}
		if ok(u.Reading) {
			return u.Reading
		}
	}
}

// TestManipulatedInKernel has a participant that only writes numbers get a histogram.
func TestManipulatedInKernel(t *testing.T) {
	eachCoding(t, func(t *testing.T, k *evekernel.Kernel, link modules.Link) {
		p := connect(t, link)
		hist := dmm.Recipe{Name: "histogram", Sync: dmm.Trigger{Count: 100}}
		d := dsv.Declaration{Name: "probe.rtt", Unit: "s"}
		for range 2 { // the same again is no error
			if err := p.Manipulate(t.Context(), d, hist); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 99 {
			if _, err := p.Write(t.Context(), "probe.rtt", dsv.FloatValue(float64(i+1)/1000)); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := p.ReadFresh(t.Context(), "probe.rtt"); !errors.Is(err, dsv.ErrUnset) {
			t.Fatalf("before the trigger: %+v, %v", r, err)
		}
		if _, err := p.Write(t.Context(), "probe.rtt", dsv.IntValue(1)); err != nil {
			t.Fatal(err)
		}
		r := until(t, p, "probe.rtt", func(r dsv.Reading) bool { return r.Weight >= 100 })
		if r.Value.Kind != dsv.Histogram || r.Value.Hist.Count() != 100 || r.Value.Hist.Max() != 1 {
			t.Errorf("got %+v", r)
		}
		q, err := p.Read(t.Context(), "probe.rtt.p50")
		if err != nil || math.Abs(q.Value.Float-0.05) > 0.001 || q.Weight != 100 {
			t.Errorf("p50 is %+v, %v", q, err)
		}
		i, err := p.Info(t.Context(), "probe.rtt")
		if err != nil || i.Declaration.Kind != dsv.Histogram || i.Declaration.Merge != dsv.Hists || i.Manipulated != "histogram, 100 writes" || i.Writers != 1 {
			t.Errorf("info is %+v, %v", i, err)
		}
	})
}

// TestManipulatedOnce refuses what contradicts what is there.
func TestManipulatedOnce(t *testing.T) {
	eachCoding(t, func(t *testing.T, _ *evekernel.Kernel, link modules.Link) {
		p := connect(t, link)
		sum := dmm.Recipe{Name: "sum", Sync: dmm.Trigger{Count: 1}}
		d := dsv.Declaration{Name: "a.b"}
		if err := p.Manipulate(t.Context(), d, sum); err != nil {
			t.Fatal(err)
		}
		if err := p.Create(t.Context(), dsv.Declaration{Name: "plain", Kind: dsv.Float}); err != nil {
			t.Fatal(err)
		}
		other := sum
		other.Sync.Count = 2
		for _, c := range []struct {
			what string
			d    dsv.Declaration
			r    dmm.Recipe
			err  error
		}{
			{"another trigger", d, other, dsv.ErrExists},
			{"another manipulator", d, dmm.Recipe{Name: "max"}, dsv.ErrExists},
			{"another unit", dsv.Declaration{Name: "a.b", Unit: "s"}, sum, dsv.ErrExists},
			{"a plain variable", dsv.Declaration{Name: "plain"}, dmm.Recipe{Name: "last"}, dsv.ErrExists},
			{"another kind", dsv.Declaration{Name: "c", Kind: dsv.Int, Merge: dsv.Sum}, sum, dsv.ErrKind},
			{"durable", dsv.Declaration{Name: "d", Durable: true}, sum, dsv.ErrKind},
			{"no name", dsv.Declaration{Name: "A b"}, sum, dsv.ErrName},
		} {
			if err := p.Manipulate(t.Context(), c.d, c.r); !errors.Is(err, c.err) {
				t.Errorf("%s: got %v, want %v", c.what, err, c.err)
			}
		}
		for what, r := range map[string]dmm.Recipe{
			"no such manipulator": {Name: "histogran"},
			"shadow + ":           {Expr: "shadow + "},
			"two ways":            {Name: "sum", Expr: "sample"},
			"none":                {},
			"no guest":            {Wasm: []byte("hello")},
			"parameter":           {Name: "ewma", Param: 2},
		} {
			if err := p.Manipulate(t.Context(), dsv.Declaration{Name: "e"}, r); err == nil {
				t.Errorf("%s: no error", what)
			}
		}
		if _, err := p.Write(t.Context(), "a.b", dsv.TextValue("x")); !errors.Is(err, dsv.ErrKind) {
			t.Errorf("text to a sum: %v", err)
		}
		if _, err := p.TestAndSet(t.Context(), "a.b", 0, dsv.FloatValue(1)); !errors.Is(err, dsv.ErrKind) {
			t.Errorf("test and set: %v", err)
		}
	})
}

// TestChained has a manipulator in the kernel behind one in a module: repeats are discarded before it.
func TestChained(t *testing.T) {
	k, _ := open(t, evekernel.Config{Lead: time.Millisecond})
	begin(t, k)
	for _, c := range []struct {
		name       string
		module     string
		kernel     dmm.Recipe
		value      float64 // after deltas of 1, 2, 3 from two writers, the first of them sent twice
		weight     float64
		withWeight float64 // of each delta
	}{
		{"count behind count", "count", dmm.Recipe{Name: "count"}, 12, 12, 1},
		{"sum behind sum", "sum", dmm.Recipe{Name: "sum"}, 12, 6, 1},
		{"max behind max", "max", dmm.Recipe{Name: "max"}, 3, 6, 1},
		{"mean behind mean", "mean", dmm.Recipe{Name: "mean"}, 0.5, 24, 4},
		{"last behind mean", "mean", dmm.Recipe{Name: "last"}, 0.75, 6, 4},
		{"sum behind count", "count", dmm.Recipe{Name: "sum"}, 12, 6, 1},
		{"count behind sum", "sum", dmm.Recipe{Name: "count"}, 6, 6, 1},
		{"an expression behind a sum", "sum", dmm.Recipe{Expr: "shadow + 2*sample", Init: new(float64)}, 24, 6, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := dsv.Name("probe." + strings.ReplaceAll(c.name, " ", "_"))
			from := dmm.Spec{Name: n, Manipulator: c.module}.Declaration("", "", false)
			err := k.Manipulate(t.Context(), evekernel.Manipulation{
				Declaration: dsv.Declaration{Name: n}, Recipe: withCount(c.kernel, 6), FromKind: from.Kind, FromMerge: from.Merge,
			})
			if err != nil {
				t.Fatal(err)
			}
			for seq := range uint64(3) {
				for _, w := range []dsv.WriterID{501, 502} {
					d := dsv.Delta{Name: n, Writer: w, Epoch: 1, Seq: seq + 1, Value: dsv.FloatValue(float64(seq + 1)), Weight: c.withWeight}
					if from.Kind == dsv.Int {
						d.Value = dsv.IntValue(int64(seq + 1))
					}
					for range 2 { // sent again, as after a lost connection
						if err := k.Space().Sync(t.Context(), []dsv.Delta{d}); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			r := until(t, k.Space(), n, func(r dsv.Reading) bool { return r.Weight >= c.weight })
			if x, _ := r.Value.Number(); math.Abs(x-c.value) > 1e-12 || r.Weight != c.weight {
				t.Errorf("got %v of %v, want %v of %v", x, r.Weight, c.value, c.weight)
			}
		})
	}
}

func withCount(r dmm.Recipe, n int) dmm.Recipe {
	r.Sync.Count = n
	return r
}

// TestManipulatedAtTheEnd has everything synchronised when the kernel ends, whatever the triggers say.
func TestManipulatedAtTheEnd(t *testing.T) {
	k, err := evekernel.New(evekernel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Listen(); err != nil {
		t.Fatal(err)
	}
	stop := running(t, k)
	d := dsv.Declaration{Name: "a.b"}
	if err := k.Manipulate(t.Context(), evekernel.Manipulation{Declaration: d, Recipe: dmm.Recipe{Name: "count"}}); err != nil {
		t.Fatal(err)
	}
	for range 7 {
		if _, err := k.Space().Write(t.Context(), "a.b", dsv.FloatValue(1)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	r, err := k.Space().Read(t.Context(), "a.b")
	if err != nil || r.Value.Int != 7 {
		t.Errorf("after the run got %+v, %v", r, err)
	}
	w, err := k.Space().Watch(t.Context(), dsv.WatchRequest{Pattern: "a.b"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Space().Write(t.Context(), "a.b", dsv.FloatValue(1)); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if u, err := w.Next(t.Context()); err != nil || u.Reading.Value.Int != 8 {
		t.Errorf("at the end got %+v, %v", u, err)
	}
}

// TestManipulatedDeleted lets a deleted variable begin again.
func TestManipulatedDeleted(t *testing.T) {
	k, _ := open(t, evekernel.Config{})
	p := connect(t, modules.Link{Name: "probe", URL: k.URL(), Token: k.Token()})
	r := dmm.Recipe{Name: "sum", Sync: dmm.Trigger{Count: 1}}
	for _, x := range []float64{3, 4} {
		if err := p.Manipulate(t.Context(), dsv.Declaration{Name: "a.b"}, r); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(t.Context(), "a.b", dsv.FloatValue(x)); err != nil {
			t.Fatal(err)
		}
		if got := until(t, p, "a.b", func(r dsv.Reading) bool { return r.Weight > 0 }); got.Value.Float != x {
			t.Errorf("got %v, want %v", got.Value.Float, x)
		}
		if err := p.Delete(t.Context(), "a.b"); err != nil {
			t.Fatal(err)
		}
		r.Name = "max"
	}
}

// TestDerived reads values that are derived of a variable.
func TestDerived(t *testing.T) {
	eachCoding(t, func(t *testing.T, k *evekernel.Kernel, link modules.Link) {
		begin(t, k)
		p := connect(t, link)
		var c dsv.Counts
		for i := range 1000 {
			c.Add(float64(i+1) / 1000)
		}
		for _, d := range []dsv.Declaration{
			{Name: "app.latency", Kind: dsv.Histogram, Merge: dsv.Hists, Unit: "s"},
			{Name: "app.load", Kind: dsv.Float, Merge: dsv.Mean, Unit: "1"},
			{Name: "app.requests", Kind: dsv.Int, Merge: dsv.Sum, Unit: "1"},
			{Name: "app.name", Kind: dsv.Text},
			{Name: "app.load.max", Kind: dsv.Float},
		} {
			if err := p.Create(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		err := p.Sync(t.Context(), []dsv.Delta{
			{Name: "app.latency", Writer: 9, Epoch: 1, Seq: 1, Value: dsv.HistValue(c.Take()), Weight: 1000},
			{Name: "app.load", Writer: 9, Epoch: 1, Seq: 1, Value: dsv.FloatValue(6), Weight: 4},
			{Name: "app.requests", Writer: 9, Epoch: 1, Seq: 1, Value: dsv.IntValue(12), Weight: 12},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(t.Context(), "app.load.max", dsv.FloatValue(77)); err != nil {
			t.Fatal(err)
		}
		for n, want := range map[dsv.Name]float64{
			"app.latency.p50": 0.5, "app.latency.p90": 0.9, "app.latency.p99": 0.99, "app.latency.p999": 0.999,
			"app.latency.mean": 0.5005, "app.latency.count": 1000, "app.latency.min": 0.001, "app.latency.max": 1,
			"app.latency.sum": 500.5, "app.load.mean": 1.5, "app.load.sum": 6, "app.load.count": 4, "app.requests.count": 12,
			"app.load.max": 77, // a variable of the full name comes first
		} {
			r, err := p.Read(t.Context(), n)
			if err != nil || math.Abs(r.Value.Float-want) > 0.001*want {
				t.Errorf("%s: got %v, %v, want %v", n, r.Value.Float, err, want)
			}
		}
		for n, want := range map[dsv.Name]string{
			"app.latncy.p95":   "no such variable; did you mean app.latency.p95?",
			"app.load.p95":     "p95 is of histograms, and app.load is float merged by mean",
			"app.name.mean":    "mean is of numbers and histograms, and app.name is text merged by last",
			"app.requests.p50": "p50 is of histograms",
			"app.requests.q50": "no such variable",
			"app.latency.rate": "no history is kept",
		} {
			if _, err := p.Read(t.Context(), n); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "read "+string(n)) {
				t.Errorf("%s: got error %v, want %s", n, err, want)
			}
		}
		i, err := p.Info(t.Context(), "app.requests.rate")
		if err != nil || i.Declaration.Unit != "1/s" || i.Declaration.Kind != dsv.Float {
			t.Errorf("info: got %+v, %v", i, err)
		}
	})
}

// TestDerivedWatch follows a rate and a quantile.
func TestDerivedWatch(t *testing.T) {
	eachCoding(t, func(t *testing.T, k *evekernel.Kernel, link modules.Link) {
		begin(t, k)
		p := connect(t, link)
		d := dsv.Declaration{Name: "app.requests", Kind: dsv.Int, Merge: dsv.Sum, Unit: "1"}
		if err := p.Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		every := 50 * time.Millisecond
		w, err := p.Watch(t.Context(), dsv.WatchRequest{Pattern: "app.requests.rate", Window: 10 * time.Second, Every: every})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		delta := dsv.Delta{Name: "app.requests", Writer: 9, Epoch: 1, Seq: 1, T1: k.Now(), Value: dsv.IntValue(1000), Weight: 1000}
		if err := p.Sync(t.Context(), []dsv.Delta{delta}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := contextFor(t)
		defer cancel()
		var before dsv.Reading
		for {
			u, err := w.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if u.Name != "app.requests.rate" || u.Reading.T1 <= before.T1 || u.Reading.T1%dsv.At(every) != 0 {
				t.Fatalf("got %+v after %+v", u, before)
			}
			before = u.Reading
			if u.Reading.Value.Float > 0 {
				break
			}
		}
		if before.Value.Float < 99.9 || before.Weight != 1000 { // of 10 s, or of the run where it is younger
			t.Errorf("rate is %+v", before)
		}
		for _, r := range []dsv.WatchRequest{
			{Pattern: "app.requests", Window: time.Second},
			{Pattern: "app.*", Every: time.Second},
			{Pattern: "app.requests.rate", Every: time.Millisecond},
			{Pattern: "app.requests.rate", Window: time.Hour},
			{Pattern: "app.requests.p95"},
		} {
			if _, err := p.Watch(t.Context(), r); err == nil {
				t.Errorf("%+v: no error", r)
			}
		}
	})
}

// contextFor ends before the test's patience does.
func contextFor(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), patience)
}

// running runs a kernel until stop is called.
func running(t *testing.T, k *evekernel.Kernel) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run kernel: %v", err)
		}
	}
}

// TestChainedWindows counts what a module synchronises just after the end of a window in that window, in the kernel too.
func TestChainedWindows(t *testing.T) {
	k, _ := open(t, evekernel.Config{Lead: time.Millisecond})
	begin(t, k)
	const every = 200 * time.Millisecond
	n := dsv.Name("probe.beats")
	what := evekernel.Manipulation{Declaration: dsv.Declaration{Name: n}, Recipe: dmm.Recipe{Name: "count", Sync: dmm.Trigger{Every: every}}}
	if err := k.Manipulate(t.Context(), what); err != nil {
		t.Fatal(err)
	}
	w, err := k.Space().Watch(t.Context(), dsv.WatchRequest{Pattern: string(n), Mode: dsv.All})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := contextFor(t)
	defer cancel()
	for seq := uint64(1); ; seq++ {
		end := (k.Now()/dsv.At(every) + 1) * dsv.At(every)
		for k.Now() <= end.Add(2*time.Millisecond) {
			time.Sleep(time.Millisecond)
		}
		d := dsv.Delta{Name: n, Writer: 501, Epoch: 1, Seq: seq, T0: end.Add(-every), T1: end, Value: dsv.IntValue(1), Weight: 1}
		if err := k.Space().Sync(t.Context(), []dsv.Delta{d}); err != nil {
			t.Fatal(err)
		}
		timely := k.Now() < end.Add(10*time.Millisecond)
		for {
			u, err := w.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if u.Delta == nil || u.Delta.Value.Int == 0 {
				continue
			}
			if timely && u.Delta.T1 != end {
				t.Errorf("what ended at %v was counted at %v", end, u.Delta.T1)
			}
			break
		}
		if timely {
			return
		}
	}
}

// TestMergedWithoutWeight folds deltas of writers that do not count their samples.
func TestMergedWithoutWeight(t *testing.T) {
	k, _ := open(t, evekernel.Config{Lead: time.Millisecond})
	var c dsv.Counts
	c.Add(3)
	h := dsv.HistValue(c.Take())
	for _, c := range []struct {
		name   string
		values []dsv.Value
		want   float64
	}{
		{"histogram", []dsv.Value{h, h}, 3},
		{"sum", []dsv.Value{dsv.FloatValue(1), dsv.FloatValue(2)}, 3},
		{"min", []dsv.Value{dsv.FloatValue(3), dsv.FloatValue(9)}, 3},
		{"max", []dsv.Value{dsv.FloatValue(0), dsv.FloatValue(-9)}, 0},
	} {
		n := dsv.Name("probe." + c.name)
		what := evekernel.Manipulation{Declaration: dsv.Declaration{Name: n}, Recipe: withCount(dmm.Recipe{Name: c.name}, 2)}
		if err := k.Manipulate(t.Context(), what); err != nil {
			t.Fatal(err)
		}
		for i, v := range c.values {
			d := dsv.Delta{Name: n, Writer: 501, Epoch: 1, Seq: uint64(i + 1), Value: v}
			if err := k.Space().Sync(t.Context(), []dsv.Delta{d}); err != nil {
				t.Fatal(err)
			}
		}
		r := until(t, k.Space(), n, func(dsv.Reading) bool { return true })
		if x, _ := r.Value.Number(); x != c.want {
			t.Errorf("%s: got %v, want %v", c.name, r, c.want)
		}
	}
}
