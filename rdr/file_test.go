package rdr_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/rdr"
)

// TestFile compares what Block.File foretells with the first file that an execution gets, for 200 keys at two levels.
func TestFile(t *testing.T) {
	for _, text := range []string{
		"file web reply file",
		"cpu 1ms lock a { memory 1KiB { file web } } file other",
		"choose { 0.3: { cpu 1ms } 0.3: { file a } 0.4: { choose { 0.5: { file b } 0.5: { } } } } file web reply file",
		"repeat uniform(0, 3) { file a } cpu 1ms file b",
		"repeat 2 { retry 1 { timeout 1s { par { cpu 1ms { wait 1ms file a } } } } }",
		"level full { file a } level lite { cpu 1ms }",
		"call web { file a } fork { cpu 1ms file b }",
		"cpu 1ms",
	} {
		b := block(t, text)
		seen := map[string]bool{}
		for i := range uint64(200) {
			key, level := rdr.Root(1, 2, 3, i), []string{"full", "lite"}[i%2]
			var set string
			var draw rdr.Key
			b.Draw(key, level, func(d *rdr.Demand) {
				if d.Op == rdr.OpFile && set == "" {
					set, draw = d.Name, d.Key
				}
			})
			gotSet, got, ok := b.File(key, level)
			if gotSet != set || got != draw || ok != (set != "") {
				t.Fatalf("%s: key %d: got %q %x %t, want %q %x", text, i, gotSet, got, ok, set, draw)
			}
			seen[set] = true
		}
		if strings.Contains(text, "choose") && len(seen) < 3 {
			t.Errorf("%s: drew %v alone", text, seen)
		}
	}
}

func TestFiles(t *testing.T) {
	b := block(t, "file web call app { file img fork { file log } } reply file")
	if got, want := b.Files(), []string{"img", "log", "web"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	f, err := rdr.ParseFile("test", []byte("request a { call s { file web } }"), rdr.StartRequest)
	if err != nil {
		t.Fatal(err)
	}
	err = rdr.Linker{Files: []string{"wet"}}.Link(f)
	if err == nil || !strings.Contains(err.Error(), `test:1:22: no file set web; did you mean`) {
		t.Errorf("link without the set: got %v", err)
	}
	if err := (rdr.Linker{Files: []string{"web"}}).Link(f); err != nil {
		t.Errorf("link: %v", err)
	}
}

// TestFileOnTheWire holds what programs have written down: statements that were there before are encoded as before, and the
// new ones by the next numbers.
func TestFileOnTheWire(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []byte
	}{
		{"cpu 1us reply 5B", []byte{0x9e, 0x81, 8, 1, 0, 0xe8, 7, 5, 0, 5, 0}},
		{"file web reply file", []byte{0x9e, 0x81, 7, 21, 3, 'w', 'e', 'b', 22, 0}},
	} {
		got := block(t, tt.text).Compact()
		if !bytes.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.text, got, tt.want)
		}
	}
	for _, bad := range [][]byte{
		{0x9e, 0x81, 2, 22, 0},                   // a reply without a file
		{0x9e, 0x81, 3, 21, 0, 0},                // a set without a name
		{0x9e, 0x81, 5, 21, 1, '?', 22, 0},       // a name that stands for none
		{0x9e, 0x81, 4, 21, 9, 'w', 0},           // a name that is cut off
		{0x9e, 0x01, 6, 21, 3, 'w', 'e', 'b', 0}, // in a request
		{0x9e, 0x81, 2, 23, 0},                   // a statement to come
	} {
		if b, err := rdr.DecodeBlock(bad, rdr.Limits{}); err == nil {
			t.Errorf("%v: got %v, want an error", bad, b)
		}
	}
}
