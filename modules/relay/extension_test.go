package relay_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dmm/wasm"
	"github.com/eve-emulation/eve/modules/relay"
)

// extension begins a shipped extension for one direction.
func extension(t testing.TB, name string) *wasm.Stream {
	t.Helper()
	return instance(t, compiled(t, name))
}

func compiled(t testing.TB, name string) *wasm.Module {
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

func instance(t testing.TB, m *wasm.Module) *wasm.Stream {
	t.Helper()
	s, err := m.Stream(wasm.Up)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// However a text is cut into chunks, its heads are the same.
func TestHeads(t *testing.T) {
	m := compiled(t, "heads")
	for _, tt := range []struct {
		text string
		want int64
	}{
		{"", 0},
		{"\r\n\r\n", 1},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.0\n\nrest\r\n", 2},
		{"a\r\n\r\r\nb\x0b\n\x0b\nno\r\rhead", 0},
		{strings.Repeat("x", 77) + "\r\n\r\n" + strings.Repeat("POST /rdr HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n", 9), 10},
	} {
		for size := 1; size < 40; size++ {
			s := instance(t, m)
			for c := range slices.Chunk([]byte(tt.text), size) {
				if _, err := s.Chunk(c); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.Told(); got != tt.want {
				t.Errorf("%q in chunks of %d: got %d, want %d", tt.text, size, got, tt.want)
			}
		}
	}
}

// Whatever passes, an extension of ours keeps to its bounds: at chunks of the usual size, and counting at any.
func TestExtensionBounds(t *testing.T) {
	for _, name := range relay.Extensions() {
		for _, text := range []string{"\n", "a", "\r\n", "\xff", "\x00"} {
			s := extension(t, name)
			chunk := bytes.Repeat([]byte(text), (32<<10)/len(text))
			for range 3 {
				out, err := s.Chunk(chunk)
				if err != nil || len(out) != len(chunk) {
					t.Errorf("%s of %q: got %d bytes, %v", name, text, len(out), err)
				}
			}
		}
	}
	if _, err := extension(t, "count").Chunk(make([]byte, 64<<10)); err != nil {
		t.Error(err)
	}
}

func TestUpper(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	want := slices.Clone(all)
	for c := byte('a'); c <= 'z'; c++ {
		want[c] -= 'a' - 'A'
	}
	m := compiled(t, "upper")
	for size := 1; size < 20; size++ {
		s, got := instance(t, m), []byte{}
		for c := range slices.Chunk(all, size) {
			out, err := s.Chunk(c)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, out...)
		}
		if !bytes.Equal(got, want) || s.Told() != 256 {
			t.Errorf("in chunks of %d: got %q", size, got)
		}
	}
}

// What is shipped is what its text says.
func TestGuestsAreTheirTexts(t *testing.T) {
	if got, want := relay.Extensions(), []string{"count", "heads", "upper"}; !slices.Equal(got, want) {
		t.Errorf("extensions: got %v, want %v", got, want)
	}
	if _, ok := relay.Extension("../guests/count"); ok {
		t.Error("a path was taken for a name")
	}
	if _, err := exec.LookPath("wat2wasm"); err != nil {
		t.Skip("wat2wasm is not installed")
	}
	for _, name := range relay.Extensions() {
		out, err := exec.CommandContext(t.Context(), "wat2wasm", filepath.Join("guests", name+".wat"), "--output=-").Output()
		if err != nil {
			t.Fatal(err)
		}
		if have, _ := relay.Extension(name); !bytes.Equal(have, out) {
			t.Errorf("%s.wasm is not %[1]s.wat", name)
		}
	}
}

// BenchmarkExtension is what an extension takes for a chunk of text.
func BenchmarkExtension(b *testing.B) {
	chunk := bytes.Repeat([]byte("The quick brown fox, 0123456789.\n"), 1000)[:32<<10]
	for _, name := range relay.Extensions() {
		b.Run(name, func(b *testing.B) {
			s := extension(b, name)
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Chunk(chunk); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
