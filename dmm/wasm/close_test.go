package wasm_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/wasm"
)

func TestClose(t *testing.T) {
	m, err := wasm.Compile(t.Context(), guest(t, "both"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.Filter(func(err error) { t.Errorf("told %v of a close", err) })
	if err != nil {
		t.Fatal(err)
	}
	man, err := m.Manipulator("guest")
	if err != nil {
		t.Fatal(err)
	}
	s := man.New(dmm.Spec{}).(shadow)
	s.Write(1, 1)
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if pass, err := f.Pass(nil, nil); !pass || !errors.Is(err, wasm.ErrClosed) {
		t.Errorf("Pass: got %v, %v", pass, err)
	}
	if s.Write(5, 1); s.Level() != 5 || !errors.Is(s.Fault(), wasm.ErrClosed) {
		t.Errorf("Write: got %v, %v", s.Level(), s.Fault())
	}
	if _, err := m.Filter(nil); !errors.Is(err, wasm.ErrClosed) {
		t.Errorf("Filter: got %v", err)
	}
	if s := man.New(dmm.Spec{}).(shadow); !errors.Is(s.Fault(), wasm.ErrClosed) {
		t.Errorf("New: got %v", s.Fault())
	}
	if err := errors.Join(f.Close(), f.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}

// A module may be closed while its guests are called.
func TestCloseUnderCalls(t *testing.T) {
	for range 10 {
		m, err := wasm.Compile(t.Context(), guest(t, "work"))
		if err != nil {
			t.Fatal(err)
		}
		var calls sync.WaitGroup
		begun := make(chan struct{}, 3)
		for range 3 {
			calls.Go(func() {
				s := newShadow(t, m)
				for s.Fault() == nil {
					s.Write(500, 1)
					select {
					case begun <- struct{}{}:
					default:
					}
				}
				if !errors.Is(s.Fault(), wasm.ErrClosed) {
					t.Error(s.Fault())
				}
			})
		}
		<-begun
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		calls.Wait()
	}
}

// A filter may be called from several goroutines.
func TestConcurrentFilter(t *testing.T) {
	f, err := compile(t, "both").Filter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var passed [4]int
	var callers sync.WaitGroup
	for i := range passed {
		callers.Go(func() {
			for range 1000 {
				if pass, err := f.Pass(nil, nil); err != nil {
					t.Error(err)
				} else if pass {
					passed[i]++
				}
			}
		})
	}
	callers.Wait()
	if got := passed[0] + passed[1] + passed[2] + passed[3]; got != 2000 {
		t.Errorf("%d passed, want 2000: every second", got)
	}
}

// Guests that come and go leave nothing.
func TestInstancesAreReleased(t *testing.T) {
	m := compile(t, "error")
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	open := func(n int) {
		for range n {
			f, err := m.Filter(nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	open(10)
	before := heap()
	open(200) // of 64 KiB and more each
	if after := heap(); after > before+4<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
}

// The binaries are what their texts say.
func TestTexts(t *testing.T) {
	texts, err := filepath.Glob("testdata/*.wat")
	if err != nil || len(texts) < 20 {
		t.Fatalf("got %d texts, %v", len(texts), err)
	}
	binaries, _ := filepath.Glob("testdata/*.wasm")
	if len(texts) != len(binaries) {
		t.Errorf("%d texts and %d binaries", len(texts), len(binaries))
	}
	tool, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("wat2wasm is not installed")
	}
	for _, text := range texts {
		name := strings.TrimSuffix(filepath.Base(text), ".wat")
		got, err := exec.CommandContext(t.Context(), tool, text, "--output=-").Output()
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if !slices.Equal(got, guest(t, name)) {
			t.Errorf("%s is not what %s says: assemble it again", name, text)
		}
	}
}
