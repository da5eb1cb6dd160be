package egs_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
)

func gauges() *egs.Channel {
	return &egs.Channel{Name: "gauges", Attrs: []egs.Attr{
		{Name: "level", Kind: dsv.Float, Unit: "1"}, {Name: "where", Kind: dsv.Text}, {Name: "n", Kind: dsv.Int},
	}}
}

// read returns a guest that package wasm is tested with.
func read(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile("../../dmm/wasm/testdata/" + name + ".wasm")
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestFilterSpec(t *testing.T) {
	full := egs.Event{Priority: 3, Values: []dsv.Value{dsv.FloatValue(4), dsv.TextValue("here"), dsv.IntValue(-2)}, Data: make([]byte, 100)}
	none := egs.Event{}
	idle := &egs.Sink{Facts: map[string]dsv.Value{"load": dsv.FloatValue(0.1), "kind": dsv.TextValue("cpu"), "disk.free": dsv.IntValue(5)}}
	bare := &egs.Sink{}
	for _, c := range []struct {
		spec egs.FilterSpec
		e    egs.Event
		sink *egs.Sink
		want bool
	}{
		{egs.FilterSpec{Expr: "level > 3"}, full, bare, true},
		{egs.FilterSpec{Expr: "level > 5"}, full, bare, false},
		{egs.FilterSpec{Expr: "level > 3"}, none, bare, false},
		{egs.FilterSpec{Expr: "level < 3"}, none, bare, false},
		{egs.FilterSpec{Expr: `where == "here" and n == -2`}, full, bare, true},
		{egs.FilterSpec{Expr: "priority > 2 and size <= 100B"}, full, bare, true},
		{egs.FilterSpec{Expr: "size < 100B"}, full, bare, false},
		{egs.FilterSpec{Expr: "sink.load < 0.5"}, full, idle, true},
		{egs.FilterSpec{Expr: "sink.load < 0.5"}, full, bare, false},
		{egs.FilterSpec{Expr: `sink.kind == "cpu" and sink.disk.free > n`}, full, idle, true},
		{egs.FilterSpec{Wasm: read(t, "light")}, full, idle, true},
		{egs.FilterSpec{Wasm: read(t, "light")}, full, bare, false},
		{egs.FilterSpec{Wasm: read(t, "light")}, none, idle, false},
	} {
		f, err := c.spec.Compile(gauges())
		if err != nil {
			t.Errorf("%v: %v", c.spec, err)
			continue
		}
		if got := f.Pass(&c.e, c.sink); got != c.want {
			t.Errorf("%v of %+v to %+v: %v, want %v", c.spec, c.e, c.sink, got, c.want)
		}
		var s egs.Slot
		s.Set(f, nil)
		s.Set(nil, nil) // releases it
		if !s.Pass(&c.e, c.sink) {
			t.Error("an empty slot blocks")
		}
	}
	for _, c := range []struct {
		spec egs.FilterSpec
		want string
	}{
		{egs.FilterSpec{Expr: "level"}, "want a condition"},
		{egs.FilterSpec{Expr: "depth > 1"}, "depth"},
		{egs.FilterSpec{Expr: "level >"}, "col"},
		{egs.FilterSpec{Wasm: []byte("no guest")}, "guest"},
		{egs.FilterSpec{Wasm: read(t, "ewma")}, "pass"},
		{egs.FilterSpec{Wasm: make([]byte, egs.MaxGuest+1)}, "at most"},
		{egs.FilterSpec{Expr: "n > 1", Wasm: read(t, "light")}, "at once"},
	} {
		err := c.spec.Check(gauges())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want an error that says %q", c.spec, err, c.want)
		}
		if err != nil && !errors.Is(err, egs.ErrFilter) && !errors.Is(err, dsv.ErrTooLarge) {
			t.Errorf("%v: %v, want %v", c.spec, err, egs.ErrFilter)
		}
	}
}

// TestFaultyFilter checks that a filter that faults is told once, and that events go on.
func TestFaultyFilter(t *testing.T) {
	e, sink := egs.Event{Values: []dsv.Value{dsv.FloatValue(4)}, Data: make([]byte, 300)}, &egs.Sink{}
	full, err := egs.FilterSpec{Wasm: read(t, "error")}.Compile(gauges()) // it has no room for so many data
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range []egs.Filter{full, egs.FilterFunc(func(*egs.Event, *egs.Sink) bool { panic("no") })} {
		var s egs.Slot
		told := 0
		s.Set(f, func(error) { told++ })
		for range 3 {
			if !s.Pass(&e, sink) {
				t.Errorf("filter %d blocks after its fault", i)
			}
		}
		if told != 1 {
			t.Errorf("filter %d: told %d times, want once", i, told)
		}
	}
}

func TestFiltersDoNotAllocate(t *testing.T) {
	e := egs.Event{Values: []dsv.Value{dsv.FloatValue(4), dsv.TextValue("here")}}
	sink := &egs.Sink{Facts: map[string]dsv.Value{"load": dsv.FloatValue(0.1)}}
	for name, f := range kinds(t) {
		var s egs.Slot
		s.Set(f, nil)
		if n := testing.AllocsPerRun(200, func() { s.Pass(&e, sink) }); n >= 1 {
			t.Errorf("%s allocates %v times, want none", name, n)
		}
	}
}

// kinds are filters of one meaning.
func kinds(tb testing.TB) map[string]egs.Filter {
	tb.Helper()
	fs := map[string]egs.Filter{"go": egs.FilterFunc(func(e *egs.Event, sink *egs.Sink) bool {
		load, ok := sink.Number("load")
		return e.Values[0].Float > 3 && ok && load < 0.8
	})}
	for name, s := range map[string]egs.FilterSpec{
		"expression": {Expr: "level > 3 and sink.load < 0.8"}, "webassembly": {Wasm: read(tb, "light")},
	} {
		f, err := s.Compile(gauges())
		if err != nil {
			tb.Fatal(err)
		}
		fs[name] = f
	}
	return fs
}

// BenchmarkFilter asks filters of one meaning, and none.
func BenchmarkFilter(b *testing.B) {
	e := egs.Event{Values: []dsv.Value{dsv.FloatValue(4), dsv.TextValue("here")}, Data: make([]byte, 100)}
	sink := &egs.Sink{Facts: map[string]dsv.Value{"load": dsv.FloatValue(0.1)}}
	fs := kinds(b)
	fs["none"] = nil
	for _, name := range []string{"none", "go", "expression", "webassembly"} {
		b.Run(name, func(b *testing.B) {
			var s egs.Slot
			s.Set(fs[name], nil)
			b.ReportAllocs()
			for b.Loop() {
				s.Pass(&e, sink)
			}
		})
	}
}

// TestPriorities checks that of events that wait those of higher priority come first, in their order else, and that they
// take the place of lower ones when there is none.
func TestPriorities(t *testing.T) {
	h := hub(t)
	if err := h.Open(*gauges()); err != nil {
		t.Fatal(err)
	}
	m := h.Member("m")
	s, err := m.Subscribe(t.Context(), egs.SubscribeRequest{Channel: "gauges"})
	if err != nil {
		t.Fatal(err)
	}
	publish := func(priority, n int) {
		t.Helper()
		e := egs.Event{Channel: "gauges", Priority: priority, Values: []dsv.Value{{}, {}, dsv.IntValue(int64(n))}}
		if err := m.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1500 {
		publish(-1, i)
	}
	for i := range 3 {
		publish(2, i)
		publish(1, i)
	}
	type key struct{ priority, n int }
	var got []key
	lost := uint64(0)
	for len(got) < 1024 {
		e, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, key{e.Priority, int(e.Values[2].Int)})
		lost += e.Lost
	}
	want := []key{{2, 0}, {2, 1}, {2, 2}, {1, 0}, {1, 1}, {1, 2}}
	for i := range 1018 {
		want = append(want, key{-1, i})
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("event %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	publish(0, 7)
	e, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if lost += e.Lost; lost != 1506-1024 || s.Stats().Lost != lost {
		t.Errorf("told of %d lost, counted %d, want %d", lost, s.Stats().Lost, 1506-1024)
	}
}

// TestReentrance checks that a handler may submit to its own channel, and that it is never called twice at once.
func TestReentrance(t *testing.T) {
	h := hub(t)
	if err := h.Open(*gauges()); err != nil {
		t.Fatal(err)
	}
	m := h.Member("m")
	src, err := m.Attach(t.Context(), "gauges")
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	inside := false
	s, err := m.Subscribe(t.Context(), egs.SubscribeRequest{Channel: "gauges", Handler: func(e egs.Event) {
		if inside {
			t.Error("called while it runs")
		}
		inside = true
		defer func() { inside = false }()
		n := e.Values[2].Int
		got = append(got, n)
		if n < 4 {
			if _, err := src.Submit(t.Context(), egs.Event{Values: []dsv.Value{{}, {}, dsv.IntValue(n + 1)}}); err != nil {
				t.Error(err)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.Submit(t.Context(), egs.Event{Values: []dsv.Value{{}, {}, dsv.IntValue(0)}}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 5 || got[4] != 4 {
		t.Errorf("got %v, want 0 to 4", got)
	}
	if err := errors.Join(s.Close(), src.Close(), src.Close()); err != nil {
		t.Error(err)
	}
	if _, err := src.Submit(t.Context(), egs.Event{}); !errors.Is(err, dsv.ErrClosed) {
		t.Errorf("submit after close: %v, want %v", err, dsv.ErrClosed)
	}
}
