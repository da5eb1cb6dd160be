package wasm_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/wasm"
)

// Whatever the bytes are: they are refused, or make a guest whose calls come back.
func FuzzCompile(f *testing.F) {
	files, err := filepath.Glob("testdata/*.wasm")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, 3.0)
	}
	f.Fuzz(func(t *testing.T, b []byte, sample float64) {
		m, err := wasm.Compile(t.Context(), b)
		if err != nil {
			if m != nil || !errors.Is(err, wasm.ErrGuest) {
				t.Fatalf("got %v, %v", m, err)
			}
			return
		}
		defer func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}()
		if man, err := m.Manipulator("guest"); err == nil {
			s := man.New(dmm.Spec{})
			for range 3 {
				s.Write(sample, 1)
			}
		}
		if filter, err := m.Filter(nil); err == nil {
			for range 3 {
				_, _ = filter.Pass([]float64{sample, sample}, []byte("an event")) // it may well be detached
			}
		}
		if stream, err := m.Stream(wasm.Down); err == nil {
			for range 3 {
				_, _ = stream.Chunk([]byte("a chunk"))
				_ = stream.Told()
			}
			_, _ = stream.End()
		}
	})
}
