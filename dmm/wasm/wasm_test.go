package wasm_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/wasm"
	"github.com/eve-emulation/eve/dsv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func guest(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func compile(t testing.TB, name string) *wasm.Module {
	t.Helper()
	m, err := wasm.Compile(t.Context(), guest(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// shadow is what the manipulators of guests make.
type shadow interface {
	dmm.Shadow
	dmm.Leveler
	dmm.Faulter
	Close() error
}

func newShadow(t testing.TB, m *wasm.Module) shadow {
	t.Helper()
	man, err := m.Manipulator("guest")
	if err != nil {
		t.Fatal(err)
	}
	return man.New(dmm.Spec{}).(shadow)
}

func TestManipulator(t *testing.T) {
	for _, tc := range []struct {
		name          string
		samples, want []float64
	}{
		{"ewma", []float64{10, 20, 0, 0}, []float64{10, 11, 9.9, 8.91}},
		{"lastfour", []float64{1, 3, 2, 2, 9}, []float64{1, 2, 2, 2, 4}},
		{"both", []float64{1, 2, -3}, []float64{201, 203, 200}},
		{"work", []float64{0, 7, 1000}, []float64{0, 7, 1000}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newShadow(t, compile(t, tc.name))
			for i, x := range tc.samples {
				s.Write(x, 1)
				if got := s.Level(); math.Abs(got-tc.want[i]) > 1e-12 || s.Fault() != nil {
					t.Fatalf("after %v: got %v, %v, want %v", tc.samples[:i+1], got, s.Fault(), tc.want[i])
				}
			}
			v, weight := s.Take()
			if v.Kind != dsv.Float || v.Float != s.Level() || weight != float64(len(tc.samples)) {
				t.Errorf("Take: got %v, %v", v, weight)
			}
			if again, weight := s.Take(); again.Float != v.Float || weight != 0 {
				t.Errorf("second Take: got %v, %v", again, weight)
			}
			s.WriteValue(dsv.IntValue(3))
			s.WriteValue(dsv.TextValue("3"))
			if _, weight := s.Take(); weight != 1 {
				t.Errorf("values: got weight %v, want 1", weight)
			}
		})
	}
}

// Each variable has a guest of its own.
func TestInstancesShareNothing(t *testing.T) {
	m := compile(t, "lastfour")
	a, b := newShadow(t, m), newShadow(t, m)
	for range 4 {
		a.Write(100, 1)
	}
	b.Write(2, 1)
	if a.Level() != 100 || b.Level() != 2 {
		t.Errorf("got %v and %v, want 100 and 2", a.Level(), b.Level())
	}
}

func TestFaults(t *testing.T) {
	for _, tc := range []struct {
		sample float64
		err    error
		want   string
	}{
		{1, wasm.ErrTrap, "call fold: trapped: unreachable"},
		{2, wasm.ErrTrap, "call fold: trapped: integer divide by zero"},
		{3, wasm.ErrSteps, "call fold: took too many steps: at most 1000000"},
		{4, wasm.ErrSteps, "call fold: took too many steps: at most 1000000"},
		{5, wasm.ErrSteps, "call fold: took too many steps: at most 1000000"},
		{6, wasm.ErrTrap, "call fold: trapped: out of bounds memory access"},
		{7, wasm.ErrResult, "call fold: answered what is no number: NaN"},
		{8, wasm.ErrResult, "call fold: answered what is no number: +Inf"},
		{9, wasm.ErrSteps, "call fold: took too many steps: at most 1000000"},
		{10, wasm.ErrTrap, "call fold: trapped: invalid table access"},
		{11, wasm.ErrSteps, "call fold: took too many steps: at most 1000000"},
	} {
		t.Run(tc.want, func(t *testing.T) {
			s := newShadow(t, compile(t, "faults"))
			s.Write(100, 1) // the first sample is the shadow
			s.Write(0, 1)
			if s.Level() != 0 || s.Fault() != nil {
				t.Fatalf("got %v, %v", s.Level(), s.Fault())
			}
			s.Write(tc.sample, 1)
			fault, ok := errors.AsType[*wasm.Fault](s.Fault())
			if !ok || !errors.Is(fault, tc.err) || fault.Error() != tc.want || fault.Function != "fold" {
				t.Errorf("got %v, want %s", s.Fault(), tc.want)
			}
			// The variable goes on as a last.
			if s.Level() != tc.sample {
				t.Errorf("after the fault: got %v, want %v", s.Level(), tc.sample)
			}
			s.Write(42, 1)
			if v, weight := s.Take(); v.Float != 42 || weight != 4 || s.Fault() != error(fault) {
				t.Errorf("got %v, %v, %v", v, weight, s.Fault())
			}
		})
	}
}

// What a guest may do in one call does not depend on the machine: it is counted.
func TestSteps(t *testing.T) {
	ends := func() float64 {
		s := newShadow(t, compile(t, "work"))
		n := 0.0
		for s.Write(0, 1); s.Fault() == nil; s.Write(n, 1) {
			n += 100
		}
		if !errors.Is(s.Fault(), wasm.ErrSteps) {
			t.Fatal(s.Fault())
		}
		return n
	}
	n := ends()
	if n < 1000 || n > wasm.MaxSteps/20 { // a round has more than 20 instructions
		t.Errorf("ended after %v rounds", n)
	}
	if again := ends(); again != n {
		t.Errorf("ended after %v rounds, and then after %v", n, again)
	}
}

func TestRefused(t *testing.T) {
	wants := map[string]string{
		"r_imports":       "it imports wasi_snapshot_preview1.proc_exit, and guests import nothing",
		"r_memory_import": "it imports env.memory, and guests import nothing",
		"r_nothing":       "it exports none of fold, pass, inspect and transform",
		"r_fold":          "fold is (f32, f32) -> f32, want (f64, f64) -> f64",
		"r_pass":          "pass(level, sink.load) is (f64) -> i32, want (f64, f64) -> i32",
		"r_twice":         `"pass(level, level)" names nothing, or something twice`,
		"r_two":           "it exports pass twice",
		"r_data":          "pass(data) reads data, which needs the exports memory and buffer",
		"r_large":         "17 pages of memory, at most 16",
		"r_table":         "100000000 entries of a table, at most 16384",
		"r_start":         "call start: took too many steps: at most 10000000",
		"r_initialize":    "call _initialize: trapped: unreachable",
		"r_init":          "call init: answered what is no number: NaN",
		"r_simd":          "instruction 0xfd: guests may not",
		"r_grow_table":    "instruction 0xfc 0x0f: guests may not",
		"r_steps":         "it exports eve.steps, and names that begin with eve. are Eve's",
		"r_both":          "it exports both inspect and transform",
		"r_room":          "inspect reads a stream, which needs the exports memory and buffer",
		"r_end":           "end is () -> i32, want () -> i64",
	}
	files, err := filepath.Glob("testdata/r_*.wasm")
	if err != nil || len(files) != len(wants) {
		t.Fatalf("got %d guests, %v, want %d", len(files), err, len(wants))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".wasm")
		t.Run(name, func(t *testing.T) {
			m, err := wasm.Compile(t.Context(), guest(t, name))
			if m != nil || !errors.Is(err, wasm.ErrGuest) || err.Error() != "compile guest: not a guest: "+wants[name] {
				t.Errorf("got %v, %v, want %s", m, err, wants[name])
			}
		})
	}
}

func TestRefusedBytes(t *testing.T) {
	head := "\x00asm\x01\x00\x00\x00"
	for _, tc := range []struct{ name, guest, want string }{
		{"empty", "", "it does not begin as WebAssembly 1.0 does"},
		{"text", "(module)", "it does not begin as WebAssembly 1.0 does"},
		{"component", "\x00asm\x0d\x00\x01\x00", "it does not begin as WebAssembly 1.0 does"},
		{"nothing", head, "it exports none of fold, pass, inspect and transform"},
		{"large", head + strings.Repeat("\x00", wasm.MaxSize), "524296 bytes, at most 524288"},
		{"cut off", string(guest(t, "ewma"))[:40], "it ends too early"},
		{"a billion types", head + "\x01\x05\xff\xff\xff\xff\x0f", "it ends too early"},
		{"a billion imports", head + "\x02\x05\xff\xff\xff\xff\x0f", "it ends too early"},
		{"a billion locals", head + "\x0a\x09\x01\x07\x01\xff\xff\xff\xff\x07\x7f", "2147483647 locals of a function, at most 1024"},
		{"a billion data", head + "\x0b\x07\x01\x01\xff\xff\xff\xff\x07", "it ends too early"},
		{"twice the same", head + "\x01\x01\x00\x01\x01\x00", "section 1 comes twice"},
		// fold sets global 0, which it does not have, but which counts its steps.
		{"the counter", head + "\x01\x07\x01\x60\x02\x7c\x7c\x01\x7c\x03\x02\x01\x00\x07\x08\x01\x04fold\x00\x00" +
			"\x0a\x0a\x01\x08\x00\x42\x00\x24\x00\x20\x00\x0b", "invalid function[0] export[\"fold\"]: invalid global index"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := wasm.Compile(t.Context(), []byte(tc.guest))
			if m != nil || !errors.Is(err, wasm.ErrGuest) || !strings.HasSuffix(err.Error(), "not a guest: "+tc.want) {
				t.Errorf("got %v, %v, want %s", m, err, tc.want)
			}
		})
	}
}

func TestWrongUse(t *testing.T) {
	if f, err := compile(t, "ewma").Filter(nil); f != nil || !errors.Is(err, wasm.ErrGuest) {
		t.Errorf("filter of a guest without pass: got %v, %v", f, err)
	}
	if s, err := compile(t, "light").Stream(wasm.Up); s != nil || !errors.Is(err, wasm.ErrGuest) {
		t.Errorf("stream of a guest without inspect or transform: got %v, %v", s, err)
	}
	if m, err := compile(t, "light").Manipulator("x"); m != nil || !errors.Is(err, wasm.ErrGuest) {
		t.Errorf("manipulator of a guest without fold: got %v, %v", m, err)
	}
}

func TestFilter(t *testing.T) {
	f, err := compile(t, "light").Filter(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Inputs(); !slices.Equal(got, []string{"level", "sink.load"}) {
		t.Errorf("inputs: got %v", got)
	}
	nan := math.NaN()
	for _, tc := range []struct {
		values []float64
		want   bool
	}{
		{[]float64{4, 0.1}, true},
		{[]float64{3, 0.1}, false},
		{[]float64{4, 0.8}, false},
		{[]float64{4, nan}, false},
		{[]float64{4}, false},
		{nil, false},
		{[]float64{4, 0.1, 7}, true},
	} {
		if got, err := f.Pass(tc.values, []byte("not looked at")); got != tc.want || err != nil {
			t.Errorf("%v: got %v, %v, want %v", tc.values, got, err, tc.want)
		}
	}
}

func TestFilterReadsData(t *testing.T) {
	f, err := compile(t, "error").Filter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		priority float64
		data     string
		want     bool
	}{
		{0, "all is well", false},
		{0, "an Error", true},
		{0, "", false},
		{1, "all is well", true},
		{0, strings.Repeat("x", 255) + "E", true},
		{0, strings.Repeat("x", 256), false},
	} {
		// The value at the place of data is not looked at.
		if got, err := f.Pass([]float64{tc.priority, 1e9}, []byte(tc.data)); got != tc.want || err != nil {
			t.Errorf("%v %.20q: got %v, %v, want %v", tc.priority, tc.data, got, err, tc.want)
		}
	}
	pass, err := f.Pass(nil, make([]byte, 257))
	if want := "call buffer: answered what is no number: no room for 257 bytes at 4294967295"; !pass || err == nil || err.Error() != want {
		t.Errorf("got %v, %v, want %s", pass, err, want)
	}
}

// A filter that is detached says so once, and lets everything pass.
func TestFilterDetached(t *testing.T) {
	var told []error
	f, err := compile(t, "error").Filter(func(err error) { told = append(told, err) })
	if err != nil {
		t.Fatal(err)
	}
	if pass, err := f.Pass([]float64{0}, nil); pass || err != nil {
		t.Errorf("got %v, %v", pass, err)
	}
	for range 3 {
		if pass, err := f.Pass(nil, make([]byte, 1000)); !pass || !errors.Is(err, wasm.ErrResult) {
			t.Errorf("got %v, %v", pass, err)
		}
	}
	if len(told) != 1 || !errors.Is(told[0], wasm.ErrResult) {
		t.Errorf("told %v", told)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
