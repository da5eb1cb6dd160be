package wasm_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dmm/wasm"
	"github.com/eve-emulation/eve/dsv"
)

// blocks returns the fenced blocks of the manual by what their fences say.
func blocks(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/writing-manipulators.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for i, part := range strings.Split(string(text), "\n```") {
		if kind, body, _ := strings.Cut(part, "\n"); i%2 == 1 {
			found[kind] = append(found[kind], body+"\n")
		}
	}
	return found
}

// The manual's expressions are manipulators and filters.
func TestManualExpressions(t *testing.T) {
	b := blocks(t)
	lines := strings.Split(strings.TrimSpace(strings.Join(b["manipulator"], "")), "\n")
	if len(lines) < 5 {
		t.Errorf("got %d manipulators", len(lines))
	}
	for _, line := range lines {
		man, err := expr.Manipulator(line, nil)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		s := man.New(dmm.Spec{})
		s.Write(30, 1)
		s.Write(40, 1)
		if v, weight := s.Take(); v.Float <= 30 || v.Float > 40 || weight != 2 {
			t.Errorf("%s: got %v of weight %v, want between 30 and 40", line, v, weight)
		}
	}
	if len(b["filter"]) != 1 {
		t.Fatalf("got %d filters", len(b["filter"]))
	}
	f, err := expr.CompileFormula(b["filter"][0], []expr.Input{{Name: "level", Kind: dsv.Float}, {Name: "sink.*"}})
	if err != nil {
		t.Fatal(err)
	}
	if !f.Holds([]expr.Scalar{{Num: 4}, {Num: 0.5}}) || f.Holds([]expr.Scalar{{Num: 4}, expr.Unknown()}) {
		t.Error("the filter does not do as the guest does")
	}
}

// The manual's guests are those that are tested, and what it says of others is so.
func TestManualGuests(t *testing.T) {
	b := blocks(t)
	var guests []string
	for _, name := range []string{"ewma", "light", "error"} {
		text, err := os.ReadFile("testdata/" + name + ".wat")
		if err != nil {
			t.Fatal(err)
		}
		guests = append(guests, string(text))
	}
	if strings.Join(b["wat"], "") != strings.Join(guests, "") {
		t.Errorf("the manual's guests are not those of testdata: got\n%s", strings.Join(b["wat"], ""))
	}
	refusals := strings.Split(strings.TrimSpace(strings.Join(b["refused"], "")), "\n")
	for i, name := range []string{"r_imports", "r_fold", "r_large"} {
		_, err := wasm.Compile(t.Context(), guest(t, name))
		if err == nil || i >= len(refusals) || err.Error() != "compile guest: not a guest: "+refusals[i] {
			t.Errorf("%s: got %v, want what the manual says: %q", name, err, refusals)
		}
	}
	for _, kind := range []string{"rust", "tinygo", "c", "main"} {
		if len(b[kind]) == 0 {
			t.Errorf("the manual shows no %s", kind)
		}
	}
}

// The manual's C and TinyGo guests are what it says, where there are compilers for them.
func TestManualCompilers(t *testing.T) {
	b := blocks(t)
	for _, tc := range []struct {
		kind, file string
		command    []string
	}{
		{"c", "ewma.c", []string{"clang", "--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry", "-o", "ewma.wasm", "ewma.c"}},
		{"tinygo", "ewma.go", []string{"tinygo", "build", "-target", "wasm-unknown", "-no-debug", "-o", "ewma.wasm", "ewma.go"}},
	} {
		t.Run(tc.kind, func(t *testing.T) {
			if _, err := exec.LookPath(tc.command[0]); err != nil {
				t.Skipf("%s is not installed", tc.command[0])
			}
			dir := t.TempDir()
			if err := os.WriteFile(dir+"/"+tc.file, []byte(b[tc.kind][0]), 0o600); err != nil {
				t.Fatal(err)
			}
			c := exec.CommandContext(t.Context(), tc.command[0], tc.command[1:]...)
			c.Dir = dir
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", tc.command, err, out)
			}
			code, err := os.ReadFile(dir + "/ewma.wasm")
			if err != nil {
				t.Fatal(err)
			}
			m, err := wasm.Compile(t.Context(), code)
			if err != nil {
				t.Fatal(err)
			}
			s := newShadow(t, m)
			s.Write(10, 1)
			s.Write(20, 1)
			if s.Level() != 11 || s.Fault() != nil {
				t.Errorf("got %v, %v, want 11", s.Level(), s.Fault())
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
