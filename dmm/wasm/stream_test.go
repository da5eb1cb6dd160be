package wasm_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/eve-emulation/eve/dmm/wasm"
)

func newStream(t testing.TB, name string, d wasm.Direction) *wasm.Stream {
	t.Helper()
	s, err := compile(t, name).Stream(d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStream(t *testing.T) {
	for _, tc := range []struct {
		name, guest string
		chunks      []string
		want        string // what went on, the end included
		err         error
		whole       bool
		told        int64
	}{
		{"passes", "moody", []string{"abc", "de"}, "abcde", nil, true, 2},
		{"knows its way", "moody", []string{"W!"}, "1!", nil, true, 1},
		{"doubles", "moody", []string{"Dog", "x"}, "DogDogx", nil, false, 2},
		{"holds back", "moody", []string{"a", "Hold", "b"}, "abHold", nil, true, 3},
		{"traps", "moody", []string{"a", "T"}, "a", wasm.ErrTrap, true, 0},
		{"traps while it holds", "moody", []string{"H", "T"}, "", wasm.ErrTrap, false, 0},
		{"loops", "moody", []string{"a", "L"}, "a", wasm.ErrSteps, true, 0},
		{"stops", "moody", []string{"a", "S"}, "a", wasm.ErrStop, true, 2},
		{"answers what is not there", "moody", []string{"M"}, "", wasm.ErrMemory, true, 0},
		{"has no room", "moody", []string{"B", "xx"}, "B", wasm.ErrMemory, true, 0},
		{"inspects", "watch", []string{"abc", "de"}, "abcde", nil, true, 0},
		{"traps at what it inspects", "watch", []string{"abc", "T"}, "abc", wasm.ErrTrap, true, 0},
		{"loops over what it inspects", "watch", []string{"L"}, "", wasm.ErrSteps, true, 0},
		{"stops at what it inspects", "watch", []string{"a", "S"}, "a", wasm.ErrStop, true, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStream(t, tc.guest, wasm.Down)
			var got []byte
			var err error
			for _, c := range tc.chunks {
				var out []byte
				if out, err = s.Chunk([]byte(c)); err != nil {
					break
				}
				got = append(got, out...)
			}
			if err == nil {
				var out []byte
				out, err = s.End()
				got = append(got, out...)
			}
			if string(got) != tc.want || !errors.Is(err, tc.err) || s.Whole() != tc.whole {
				t.Errorf("got %q, %v, whole %v, want %q, %v, %v", got, err, s.Whole(), tc.want, tc.err, tc.whole)
			}
			if told := s.Told(); told != tc.told || s.Told() != 0 {
				t.Errorf("told: got %d, want %d", told, tc.told)
			}
			fault, _ := errors.AsType[*wasm.Fault](err)
			if again, at := s.Chunk([]byte("a")); (fault == nil) != (at == nil) {
				t.Errorf("afterwards: got %q, %v", again, at)
			}
			if err := errors.Join(s.Close(), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// Each direction of each connection has memory of its own.
func TestStreamsApart(t *testing.T) {
	m := compile(t, "moody")
	var held [2]*wasm.Stream
	for i, d := range []wasm.Direction{wasm.Up, wasm.Down} {
		s, err := m.Stream(d)
		if err != nil {
			t.Fatal(err)
		}
		held[i] = s
		if out, err := s.Chunk([]byte{'H', byte('0' + i)}); len(out) != 0 || err != nil {
			t.Errorf("%v: got %q, %v", d, out, err)
		}
	}
	for i, s := range held {
		if out, err := s.End(); string(out) != string([]byte{'H', byte('0' + i)}) || err != nil {
			t.Errorf("%d: got %q, %v", i, out, err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := held[0].Chunk(nil); !errors.Is(err, wasm.ErrClosed) {
		t.Errorf("chunk of a closed module: got %v", err)
	}
	if _, err := m.Stream(wasm.Up); !errors.Is(err, wasm.ErrClosed) {
		t.Errorf("stream of a closed module: got %v", err)
	}
}

func TestStreamsDoNotAllocate(t *testing.T) {
	chunk := bytes.Repeat([]byte("x"), 32<<10)
	for _, name := range []string{"moody", "watch"} {
		s := newStream(t, name, wasm.Up)
		if n := testing.AllocsPerRun(100, func() {
			if out, err := s.Chunk(chunk); len(out) != len(chunk) || err != nil {
				t.Fatal(len(out), err)
			}
			s.Told()
		}); n != 0 {
			t.Errorf("%s: got %v allocations a chunk", name, n)
		}
	}
}
