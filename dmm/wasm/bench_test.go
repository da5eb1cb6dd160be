package wasm_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/wasm"
)

// BenchmarkFilter asks a guest whether an event passes, with numbers and with 200 bytes of data, beside a Go function that
// says the same: ratio is the guest's time by the function's.
func BenchmarkFilter(b *testing.B) {
	light := func(values []float64, _ []byte) bool { return values[0] > 3 && values[1] < 0.8 }
	data := func(values []float64, data []byte) bool { return values[0] > 0 || bytes.IndexByte(data, 'E') >= 0 }
	event := append(bytes.Repeat([]byte("x"), 199), 'E')
	for _, bc := range []struct {
		name   string
		native func([]float64, []byte) bool
		values []float64
	}{
		{"light", light, []float64{4, 0.5}},
		{"error", data, []float64{0, 0}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			f, err := compile(b, bc.name).Filter(nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if pass, err := f.Pass(bc.values, event); !pass || err != nil {
					b.Fatal(pass, err)
				}
			}
			guest := b.Elapsed()
			begin := time.Now()
			for range b.N {
				if !bc.native(bc.values, event) {
					b.Fatal("does not pass")
				}
			}
			b.ReportMetric(float64(guest)/float64(time.Since(begin)), "ratio")
		})
	}
}

// BenchmarkFold writes samples to a guest, beside the same manipulator in Go.
func BenchmarkFold(b *testing.B) {
	s := newShadow(b, compile(b, "ewma"))
	b.ReportAllocs()
	for b.Loop() {
		s.Write(3, 1)
	}
	guest := b.Elapsed()
	if s.Fault() != nil {
		b.Fatal(s.Fault())
	}
	ewma, err := dmm.Shipped().Lookup("ewma")
	if err != nil {
		b.Fatal(err)
	}
	native, begin := ewma.New(dmm.Spec{Param: 0.1}), time.Now()
	for range b.N {
		native.Write(3, 1)
	}
	b.ReportMetric(float64(guest)/float64(time.Since(begin)), "ratio")
}

// BenchmarkStalled is how long a call takes that is ended for its steps, whatever the guest does meanwhile.
func BenchmarkStalled(b *testing.B) {
	for _, bc := range []struct {
		name   string
		sample float64
	}{{"loop", 3}, {"recursion", 4}, {"doubling", 5}, {"copy", 9}, {"grow", 11}} {
		b.Run(bc.name, func(b *testing.B) {
			m := compile(b, "faults")
			b.StopTimer()
			for range b.N {
				s := newShadow(b, m)
				s.Write(0, 1)
				b.StartTimer()
				s.Write(bc.sample, 1)
				b.StopTimer()
				if s.Fault() == nil {
					b.Fatal("it came to an end")
				}
			}
		})
	}
}

// BenchmarkCompile is what a guest costs before its first call, and each instance of it.
func BenchmarkCompile(b *testing.B) {
	b.Run("module", func(b *testing.B) {
		bytes := guest(b, "ewma")
		for b.Loop() {
			m, err := wasm.Compile(b.Context(), bytes)
			if err != nil {
				b.Fatal(err)
			}
			if err := m.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("instance", func(b *testing.B) {
		m := compile(b, "light")
		b.ReportAllocs()
		for b.Loop() {
			f, err := m.Filter(nil)
			if err != nil {
				b.Fatal(err)
			}
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
