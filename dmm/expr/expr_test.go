package expr_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
)

// declarations are the variables that all tests know.
func declarations() map[dsv.Name]dsv.Declaration {
	ds := map[dsv.Name]dsv.Declaration{}
	add := func(n dsv.Name, k dsv.Kind, m dsv.Merge, unit string) {
		ds[n] = dsv.Declaration{Name: n, Kind: k, Merge: m, Unit: unit}
	}
	add("static.latency", dsv.Histogram, dsv.Hists, "s")
	add("crowd.latency", dsv.Histogram, dsv.Hists, "s")
	add("crowd.errors", dsv.Int, dsv.Sum, "1")
	add("crowd.requests", dsv.Int, dsv.Sum, "1")
	add("crowd.rate", dsv.Float, dsv.Last, "1/s")
	add("server_1.cpu.utilisation", dsv.Float, dsv.Mean, "1")
	add("server_1.cpu.queue", dsv.Float, dsv.Mean, "1")
	add("server_1.link.delivered", dsv.Float, dsv.Sum, "B")
	add("least", dsv.Float, dsv.Min, "")
	add("greatest", dsv.Float, dsv.Max, "")
	add("run.state", dsv.Text, dsv.Last, "")
	add("run.decisions", dsv.Bytes, dsv.Append, "")
	return ds
}

func lookup() func(dsv.Name) (dsv.Declaration, bool) {
	ds := declarations()
	return func(n dsv.Name) (dsv.Declaration, bool) { d, ok := ds[n]; return d, ok }
}

func known() []dsv.Name {
	return []dsv.Name{
		"static.latency", "crowd.latency", "crowd.errors", "crowd.requests", "crowd.rate", "server_1.cpu.utilisation",
		"server_1.cpu.queue", "server_1.link.delivered", "least", "greatest", "run.state", "run.decisions",
	}
}

func compile(t *testing.T, src string) *expr.Program {
	t.Helper()
	p, err := expr.Compile(src, lookup(), known()...)
	if err != nil {
		t.Fatalf("Compile(%q): %v", src, err)
	}
	return p
}

// reader answers from windows whose last instant is at.
type reader struct {
	windows map[dsv.Name]*dmm.Window
	texts   map[dsv.Name]string
	at      dsv.Instant
	err     error
}

func (r *reader) Total(n dsv.Name, window time.Duration) (dmm.Total, error) {
	w := r.windows[n]
	switch {
	case r.err != nil:
		return dmm.Total{}, r.err
	case w == nil:
		return dmm.Total{}, dsv.ErrUnset
	case window == 0:
		window = 5 * time.Second
	}
	return w.Sum(max(0, r.at.Add(-window)), r.at), nil
}

func (r *reader) Text(n dsv.Name) (string, error) {
	s, ok := r.texts[n]
	if !ok {
		return "", dsv.ErrUnset
	}
	return s, nil
}

// put files one delta that ends at t1.
func (r *reader) put(n dsv.Name, t1 time.Duration, v dsv.Value, weight float64) {
	if r.windows[n] == nil {
		r.windows[n] = dmm.NewWindow(declarations()[n], 0)
	}
	r.windows[n].Add(dsv.Delta{Name: n, T0: dsv.At(t1 - 100*time.Millisecond), T1: dsv.At(t1), Value: v, Weight: weight})
}

func hist(xs ...float64) dsv.Value {
	var bs []uint32
	var ns []uint64
	h := dsv.NewHist(nil, nil)
	for _, x := range xs {
		bs, ns = []uint32{uint32(dsv.BucketOf(x))}, []uint64{1}
		h = dsv.MergeHists(h, dsv.NewHist(bs, ns))
	}
	return dsv.HistValue(h)
}

func sample() *reader {
	r := &reader{windows: map[dsv.Name]*dmm.Window{}, texts: map[dsv.Name]string{"run.state": "running"}, at: dsv.At(10 * time.Second)}
	r.put("static.latency", 4*time.Second, hist(0.4, 0.4), 2)
	r.put("static.latency", 7*time.Second, hist(0.1, 0.1, 0.1), 3)
	r.put("static.latency", 10*time.Second, hist(0.2), 1)
	r.put("crowd.latency", 9*time.Second, hist(), 0)
	r.put("crowd.errors", 9*time.Second, dsv.IntValue(3), 3)
	r.put("crowd.requests", 8*time.Second, dsv.IntValue(100), 100)
	r.put("crowd.requests", 9*time.Second, dsv.IntValue(200), 200)
	r.put("crowd.rate", 2*time.Second, dsv.FloatValue(80), 1)
	r.put("server_1.cpu.utilisation", 9*time.Second, dsv.FloatValue(0.5), 1)
	r.put("server_1.cpu.utilisation", 10*time.Second, dsv.FloatValue(2.7), 3)
	r.put("server_1.link.delivered", 9*time.Second, dsv.FloatValue(5<<20), 10)
	r.put("least", 9*time.Second, dsv.FloatValue(-2), 1)
	r.put("greatest", 9*time.Second, dsv.FloatValue(12), 1)
	return r
}

func TestEvalNumber(t *testing.T) {
	for _, tc := range []struct {
		src  string
		want float64
		unit string
	}{
		{"200ms", 0.2, "s"},
		{"100us", 1e-4, "s"},
		{"3µs", 3e-6, "s"},
		{"2min", 120, "s"},
		{"1.5h", 5400, "s"},
		{"64MiB", 64 << 20, "B"},
		{"3KB", 3000, "B"},
		{"1Gbit", 1e9, "bit"},
		{"100Mbit/s", 1e8, "bit/s"},
		{"10MiB/s", 10 << 20, "B/s"},
		{"40/s", 40, "1/s"},
		{"120/min", 2, "1/s"},
		{"5/ms", 5000, "1/s"},
		{"85%", 0.85, "1"},
		{"1e3", 1000, "1"},
		{".5", 0.5, "1"},
		{"1 + 2 * 3", 7, "1"},
		{"(1 + 2) * 3", 9, "1"},
		{"8 / 4 / 2", 1, "1"},
		{"-2 + 5", 3, "1"},
		{"2 - -2", 4, "1"},
		{"40/s * 2s", 80, "1"},
		{"p50(static.latency, 5s)", 0.1, "s"},
		{"mean(static.latency)", 0.125, "s"},
		{"max(static.latency)", 0.2, "s"},
		{"min(static.latency, 10s)", 0.1, "s"},
		{"count(static.latency, 10s)", 6, "1"},
		{"rate(static.latency, 2s)", 0.5, "1/s"},
		{"crowd.requests", 300, "1"},
		{"rate(crowd.requests)", 60, "1/s"},
		{"rate(crowd.requests, 1500ms)", 200 / 1.5, "1/s"},
		{"rate(server_1.link.delivered)", 1 << 20, "B/s"},
		{"crowd.rate", 80, "1/s"},
		{"server_1.cpu.utilisation", 0.8, "1"},
		{"mean(server_1.cpu.utilisation, 1s)", 0.9, "1"},
		{"crowd.errors / crowd.requests", 0.01, "1"},
		{"rate(crowd.requests) * mean(static.latency)", 7.5, "1"},
		{"min(least)", -2, ""},
		{"greatest * 2", 24, ""},
		{"p99(static.latency) - 50ms", 0.15, "s"},
	} {
		t.Run(tc.src, func(t *testing.T) {
			p := compile(t, tc.src)
			v, err := p.Eval(sample())
			if err != nil {
				t.Fatal(err)
			}
			if p.IsCondition() || !v.Known() || math.Abs(v.Number-tc.want) > 1e-3*math.Abs(tc.want) {
				t.Errorf("got %v (condition %v), want %v", v, p.IsCondition(), tc.want)
			}
			if got := p.Unit(); got != tc.unit {
				t.Errorf("unit: got %q, want %q", got, tc.unit)
			}
		})
	}
}

func TestEvalExact(t *testing.T) {
	// A written unit is the same number however it is written.
	for _, src := range []string{"200ms == 0.2s", "100us == 0.1ms", "85% == 0.85", "64MiB == 65536KiB", "40/s == 2400/min"} {
		if v, err := compile(t, src).Eval(sample()); err != nil || !v.True() {
			t.Errorf("%s: got %v, %v", src, v, err)
		}
	}
}

func TestEvalCondition(t *testing.T) {
	for _, tc := range []struct{ src, want string }{
		{"p95(static.latency) > 100ms", "true"},
		{"p95(static.latency) < 100ms", "false"},
		{"server_1.cpu.utilisation > 85%", "false"},
		{"crowd.errors / crowd.requests < 0.02", "true"},
		{"crowd.errors == 3 and crowd.requests != 3", "true"},
		{"crowd.errors == 4 or crowd.requests >= 300", "true"},
		{"crowd.errors <= 2 || crowd.requests > 300", "false"},
		{"not (crowd.errors > 5) && true", "true"},
		{"!(crowd.errors > 2)", "false"},
		{"1 < crowd.errors < 4", "true"},
		{"1 < crowd.errors < 3", "false"},
		{"run.state == \"running\"", "true"},
		{"run.state != 'running'", "false"},
		{"0 < p95(static.latency)", "true"},
		{"false or true and false", "false"},
		// Without data.
		{"p95(crowd.latency) > 100ms", "unknown"},
		{"not (p95(crowd.latency) > 100ms)", "unknown"},
		{"p95(crowd.latency) > 100ms or true", "true"},
		{"true or p95(crowd.latency) > 100ms", "true"},
		{"p95(crowd.latency) > 100ms or false", "unknown"},
		{"p95(crowd.latency) > 100ms and false", "false"},
		{"false and p95(crowd.latency) > 100ms", "false"},
		{"p95(crowd.latency) > 100ms and true", "unknown"},
		{"server_1.cpu.queue > 1", "unknown"},
		{"mean(crowd.latency) < 1s", "unknown"},
		{"max(crowd.latency) < 1s", "unknown"},
		{"min(crowd.latency) < 1s", "unknown"},
		{"ewma(crowd.latency) < 1s", "unknown"},
		{"count(crowd.latency) == 0 and rate(crowd.latency) == 0", "true"},
		{"mean(static.latency, 1ns) > 0", "true"},
		{"crowd.errors / (crowd.requests - 300) < 0.01", "unknown"},
		{"(crowd.requests - 300) / (crowd.requests - 300) < 0.01", "unknown"},
		{"1e308 * 1e308 > 1", "unknown"},
	} {
		t.Run(tc.src, func(t *testing.T) {
			p := compile(t, tc.src)
			v, err := p.Eval(sample())
			if err != nil {
				t.Fatal(err)
			}
			if got := v.String(); got != tc.want || !p.IsCondition() || p.Unit() != "" {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			if v.True() != (tc.want == "true") || v.False() != (tc.want == "false") || v.Known() != (tc.want != "unknown") {
				t.Errorf("got True %v False %v Known %v of %s", v.True(), v.False(), v.Known(), tc.want)
			}
		})
	}
}

func TestNoRequestsIsUnknown(t *testing.T) {
	p := compile(t, "crowd.errors / crowd.requests < 0.01")
	empty := &reader{at: dsv.At(time.Second)}
	v, err := p.Eval(empty)
	if err != nil || v.Known() || v.True() || v.False() {
		t.Errorf("got %v, %v, want unknown", v, err)
	}
	if (expr.Value{}).Known() {
		t.Error("the zero Value is known")
	}
	p = compile(t, "p95(crowd.latency) < 1s and run.state == 'x'")
	if got := p.Missing(empty); len(got) != 2 || got[0] != "p95(crowd.latency)" || got[1] != "run.state" {
		t.Errorf("Missing: got %q", got)
	}
	if got := p.Missing(sample()); len(got) != 1 {
		t.Errorf("Missing: got %q", got)
	}
}

func TestReaderError(t *testing.T) {
	broken := errors.New("disk on fire")
	r := sample()
	r.err = broken
	for _, src := range []string{"crowd.errors > 1", "1 < crowd.errors", "-crowd.errors < 0", "ewma(static.latency) > 1s"} {
		if v, err := compile(t, src).Eval(r); !errors.Is(err, broken) || v.Known() {
			t.Errorf("%s: got %v, %v", src, v, err)
		}
	}
}

func TestReadings(t *testing.T) {
	p := compile(t, "p50(static.latency,  10s) > 100ms and crowd.errors/crowd.errors > 85% or p95(crowd.latency) > 1s and run.state == 'x'")
	got := p.Readings(sample())
	if len(got) != 2 || math.Abs(got["p50(static.latency, 10s)"]-0.1) > 1e-3 || got["crowd.errors"] != 3 {
		t.Errorf("got %v", got)
	}
}

func TestVarsAndReads(t *testing.T) {
	p := compile(t, "p95(static.latency) > p95(static.latency, 20s) + p50(static.latency, 3s) and ewma(server_1.cpu.utilisation, 2s) > server_1.cpu.utilisation")
	vars := p.Vars()
	if len(vars) != 2 || vars[0] != "static.latency" || vars[1] != "server_1.cpu.utilisation" {
		t.Errorf("Vars: got %v", vars)
	}
	type read struct {
		name dsv.Name
		kind dsv.Kind
		w    time.Duration
	}
	want := []read{
		{"static.latency", dsv.Histogram, 0},
		{"static.latency", dsv.Histogram, 20 * time.Second},
		{"server_1.cpu.utilisation", dsv.Float, 8 * time.Second},
		{"server_1.cpu.utilisation", dsv.Float, 0},
	}
	reads := p.Reads()
	if len(reads) != len(want) {
		t.Fatalf("Reads: got %v, want %v", reads, want)
	}
	for i, r := range reads {
		if (read{r.Name, r.Declaration.Kind, r.Window}) != want[i] {
			t.Errorf("Reads[%d]: got %v, want %v", i, r, want[i])
		}
	}
}

// An ewma follows a step: after one time constant it has gone about 1 - 1/e of the way, and it ends there.
func TestEWMA(t *testing.T) {
	r := &reader{windows: map[dsv.Name]*dmm.Window{}}
	for ms := time.Duration(100); ms <= 30000; ms += 100 {
		x := 0.0
		if ms > 20000 {
			x = 1
		}
		r.put("server_1.cpu.utilisation", ms*time.Millisecond, dsv.FloatValue(0.1*x), 0.1)
	}
	p := compile(t, "ewma(server_1.cpu.utilisation, 2s)")
	for _, tc := range []struct {
		at       time.Duration
		low, top float64
	}{
		{20 * time.Second, 0, 0},
		{22 * time.Second, 1 - 1/math.E - 0.1, 1 - 1/math.E + 0.1},
		{24 * time.Second, 1 - math.Exp(-2) - 0.06, 1 - math.Exp(-2) + 0.06},
		{30 * time.Second, 0.999, 1.001},
	} {
		r.at = dsv.At(tc.at)
		v, err := p.Eval(r)
		if err != nil || !(v.Number >= tc.low && v.Number <= tc.top) {
			t.Errorf("at %v: got %v, %v, want %v to %v", tc.at, v, err, tc.low, tc.top)
		}
	}
	r.windows = map[dsv.Name]*dmm.Window{}
	if v, err := p.Eval(r); err != nil || v.Known() {
		t.Errorf("without data: got %v, %v", v, err)
	}
}

func TestEvalAllocatesNothing(t *testing.T) {
	p := compile(t, "1 < crowd.rate * 2s and not (crowd.rate > 100/s)")
	r := sample()
	base := testing.AllocsPerRun(100, func() { _, _ = r.Total("crowd.rate", 0) })
	got := testing.AllocsPerRun(100, func() { _, _ = p.Eval(r) })
	if got > 2*base {
		t.Errorf("got %v allocations, the reader's own are %v", got, 2*base)
	}
}
