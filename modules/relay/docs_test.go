package relay_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dmm/wasm"
	"github.com/eve-emulation/eve/modules/relay"
)

func manual(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block returns the manual's text between fences of a kind.
func block(t *testing.T, kind string) string {
	t.Helper()
	_, rest, ok := strings.Cut(manual(t, "writing-extensions.md"), "\n```"+kind+"\n")
	body, _, end := strings.Cut(rest, "```\n")
	if !ok || !end {
		t.Fatalf("the manual shows no %s", kind)
	}
	return body
}

// The manual's example is what is shipped, and its table names what is.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("guests/upper.wat")
	if err != nil {
		t.Fatal(err)
	}
	if got := block(t, "wat"); got != string(text) {
		t.Errorf("the manual's upper is not the one that is shipped: got\n%s", got)
	}
	for _, name := range relay.Extensions() {
		if !strings.Contains(manual(t, "writing-extensions.md"), "\n| `"+name+"` |") {
			t.Errorf("the manual does not tell of %s", name)
		}
	}
}

// The reference has a line for each key of the configuration and each cause.
func TestReference(t *testing.T) {
	_, section, _ := strings.Cut(manual(t, "scenario.md"), "\n### Relays\n")
	section, _, _ = strings.Cut(section, "\n### ")
	for _, f := range reflect.VisibleFields(reflect.TypeFor[relay.ModuleConfig]()) {
		if key := f.Tag.Get("json"); !strings.Contains(section, "\n| `"+key+"` |") {
			t.Errorf("docs/scenario.md does not tell of %s", key)
		}
	}
	for _, c := range relay.Causes() {
		if !strings.Contains(section, "`"+c.String()+"`") {
			t.Errorf("docs/scenario.md does not tell of errors_%v", c)
		}
	}
}

// The manual's C guest does what it says, where there is a compiler for it.
func TestManualCompilers(t *testing.T) {
	if _, err := exec.LookPath("clang"); err != nil {
		t.Skip("clang is not installed")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "nul.wasm")
	if err := os.WriteFile(filepath.Join(dir, "nul.c"), []byte(block(t, "c")), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "clang", "--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry", "-Wl,-z,stack-size=16384",
		"-Wl,--export-memory", "-o", file, filepath.Join(dir, "nul.c"))
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasm.Compile(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.Stream(wasm.Up)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.Chunk([]byte("abc")); string(out) != "abc" || err != nil {
		t.Errorf("got %q, %v", out, err)
	}
	if _, err := s.Chunk([]byte("a\x00c")); err != wasm.ErrStop {
		t.Errorf("got %v, want %v", err, wasm.ErrStop)
	}
}
