package scenario_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/eve-emulation/eve/fase/scenario"
)

// due finds the mistakes that a file expects: `# want COL: MESSAGE` on the line at fault, several divided by ` || `.
func due(src []byte) []string {
	var out []string
	want := regexp.MustCompile(`# want (.*)$`)
	for i, l := range strings.Split(string(src), "\n") {
		if m := want.FindStringSubmatch(l); m != nil {
			for w := range strings.SplitSeq(m[1], " || ") {
				out = append(out, fmt.Sprintf("%d:%s", i+1, w))
			}
		}
	}
	return out
}

// told is the mistakes in the same form.
func told(errs scenario.Errors) []string {
	var out []string
	for _, e := range errs {
		s := fmt.Sprintf("%d:%d: %s", e.Line, e.Col, e.Msg)
		if e.Fix != "" {
			s += "; " + e.Fix
		}
		out = append(out, s)
	}
	return out
}

// TestMistakes loads every file of testdata/mistakes, each of which says on the line at fault what is wrong with it.
func TestMistakes(t *testing.T) {
	paths, err := filepath.Glob("testdata/mistakes/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal("no files", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			p, err := scenario.Load(path, src, options("testdata"))
			var errs scenario.Errors
			if err == nil {
				errs = p.Warnings
			} else {
				errs, _ = errors.AsType[scenario.Errors](err)
			}
			if got, want := told(errs), due(src); !slices.Equal(got, want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
			for _, e := range errs {
				if !strings.HasPrefix(e.Render(), path+":"+strconv.Itoa(e.Line)) || !strings.HasSuffix(e.Render(), "^\n") {
					t.Errorf("rendered as %q", e.Render())
				}
			}
		})
	}
}

// valid is the shortest scenario, with a part to add to.
const valid = `eve: 1
duration: 1s
requests: |
  request r { call s { cpu 1ms } }
servers: {x: {}}
services: {s: {on: x}}
clients: {c: {request: r, rate: 1/s}}
`

// TestBytes feeds what is no text, and what costs YAML parsers minutes; all of it is refused within a second.
func TestBytes(t *testing.T) {
	if _, err := scenario.Load("valid.yaml", []byte(valid), scenario.Options{}); err != nil {
		t.Fatal(render(err))
	}
	var bomb strings.Builder
	bomb.WriteString("a: &a [x, x, x, x, x, x, x, x, x, x]\n")
	for c := 'b'; c < 'j'; c++ {
		bomb.WriteString(fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1))
	}
	for _, c := range []struct{ name, src, want string }{
		{"empty", "", "x:1:1: the file is empty; begin with `eve: 1`; `eve init hello` writes an example"},
		{"blank", " \n\n", "x:1:1: the file is empty"},
		{"comment", "# nothing\n", "x:1:1: the file is empty"},
		{"null", "null\n", "x:1:1: a scenario is a mapping, not nothing"},
		{"list", "- eve: 1\n", "x:1:1: a scenario is a mapping, not a list"},
		{"word", "eve\n", `x:1:1: a scenario is a mapping, not "eve"`},
		{"nul", "eve: 1\nname: a\x00b\n", "x:2:8: control character U+0000"},
		{"bell", "eve: 1\nname: \"\x07\"\n", "x:2:8: control character U+0007"},
		{"bom", "\ufeffeve: 1\n", "x:1:1: the file begins with a byte order mark"},
		{"utf16", "e\x00v\x00e\x00", "x:1:2: control character U+0000"},
		{"latin1", "eve: 1\nabout: caf\xe9\n", "x:2:11: byte 0xe9 is not UTF-8"},
		{"cr", "eve: 1\rname: x\r", "x:1:7: a carriage return without a line feed"},
		{"tab", "eve: 1\nservers:\n\tx: {}\n", "x:3:1: a tab cannot indent; indent with spaces"},
		{"large", strings.Repeat("# comment\n", 110_000), "x:1:1: the file has 1100000 bytes, at most 1048576 are read"},
		{"documents", valid + "---\neve: 1\n", "x:8:1: a second document begins here"},
		{"directive", "%YAML 1.2\n---\n" + valid, "x:1:1: YAML directives are not read"},
		{"anchor", "eve: &a 1\n", "x:1:6: anchors, aliases and merge keys are not read"},
		{"alias", "eve: *a\n", "x:1:6: anchors, aliases and merge keys are not read"},
		{"merge", "eve: 1\n<<: {a: b}\n", "x:2:1: anchors, aliases and merge keys are not read"},
		{"tag", "eve: !!int 1\n", "x:1:6: tags are not read"},
		{"bomb", bomb.String(), "x:1:4: anchors"},
		{"brackets", strings.Repeat("[", 30_000), "x:1:65: values nest more than 64 deep"},
		{"braces", strings.Repeat("{a: ", 8_000), "x:1:257: values nest more than 64 deep"},
		{"dashes", strings.Repeat("- ", 16_000), "x:1:129: values nest more than 64 deep"},
		{"questions", strings.Repeat("? ", 16_000), "x:1:129: values nest more than 64 deep"},
		{"colons", strings.Repeat("a: ", 10_000), "x:1:"},
		{"deep", deep(70), "x:64:65: values nest more than 64 deep"},
		{"punctuation", "[" + strings.Repeat("a,\n", 300_000) + "]", "x:1:1: the file has 300002 punctuation marks, at most 150000 are read"},
		{"broken brackets", strings.Repeat("[\n", 100_000), "x:65:1: values nest more than 64 deep"},
		{"long brackets", strings.Repeat("[", 100_000), "x:1:1: the line has 100000 bytes, at most 32768 are read"},
		{"commas", "[" + strings.Repeat("a,", 16_000) + "]", "x:1:4003: there are more than 2000 keys or items here"},
		{"lists", strings.Repeat("k: ["+strings.Repeat("a,", 1_900)+"]\n", 20), "x:8:"},
		{"words", "[" + strings.Repeat("a,", 2_000) + "]", "x:1:1: a scenario is a mapping, not a list"},
		{"pages", "{" + manyKeys(2_000, ",") + "}", `the scenario has no key "k0"`},
		{"keys", manyKeys(100_000, "\n"), "x:2001:1: there are more than 2000 keys or items here"},
		{"unique keys", manyKeys(2_000, "\n"), "the scenario has no key \"k0\""},
		{"same keys", strings.Repeat("a: b\n", 2_000), `x:2:1: the scenario has the key "a" twice, first in line 1`},
		{"mappings", mappings(4, 1_900), `the scenario has no key "m0"`},
		{"quote", "a: \"" + strings.Repeat("x\n ", 300_000), "x:1:4: this quote has no end; close the quote"},
		{"literal", "a: |\n" + strings.Repeat("  x\n", 250_000), `the scenario has no key "a"`},
		{"long line", "a: " + strings.Repeat("x", 1_000_000), "x:1:1: the line has 1000003 bytes"},
		{"words in a line", "a: " + strings.Repeat("x ", 16_000), `the scenario has no key "a"`},
		{"spaces", strings.Repeat(" \n", 500_000), "x:1:1: the file is empty"},
		{"pairs", "[" + strings.Repeat("a: ", 10_000), "x:1:5: a `:` is not allowed here"},
		{"infinite", strings.Replace(valid, "rate: 1/s", "rate: 1e400/s", 1), `x:7:33: "1e400/s" is not a rate; write it as 40/s, 2400/min`},
		{"nan", strings.Replace(valid, "rate: 1/s", "rate: .nan", 1), `x:7:33: ".nan" is not a rate`},
		{"inf", strings.Replace(valid, "rate: 1/s", "rate: .inf", 1), `x:7:33: ".inf" is not a rate`},
		{"octal", strings.Replace(valid, "eve: 1", "eve: 0x1", 1), `x:1:6: version "0x1" of the format is not known; this Eve reads version 1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			_, err := scenario.Load("x", []byte(c.src), scenario.Options{})
			if d := time.Since(start); d > loadBound {
				t.Errorf("took %v", d)
			}
			if errs, ok := errors.AsType[scenario.Errors](err); !ok || len(errs) > scenario.MaxErrors || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.300v, want %s", err, c.want)
			}
			if err != nil && !utf8.ValidString(render(err)) {
				t.Error("rendered as no UTF-8")
			}
		})
	}
}

// loadBound is generous: such input takes other parsers minutes or for ever, and Eve some tenths of a second.
const loadBound = 5 * time.Second

func deep(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func manyKeys(n int, end string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: 1%s", i, end)
	}
	return b.String()
}

func mappings(n, keys int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "m%d:\n  %s\n", i, manyKeys(keys, "\n  "))
	}
	return b.String()
}

func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/mistakes/*.yaml", "testdata/*.yaml", "../../scenarios/*.yaml"} {
		paths, _ := filepath.Glob(pattern)
		for _, p := range paths {
			src, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(src))
		}
	}
	f.Add(valid)
	f.Fuzz(func(t *testing.T, src string) {
		start := time.Now()
		p, err := scenario.Load("x", []byte(src), options("testdata"))
		if d := time.Since(start); d > loadBound {
			t.Errorf("took %v", d)
		}
		if err != nil {
			if errs, ok := errors.AsType[scenario.Errors](err); !ok || len(errs) == 0 || !utf8.ValidString(errs.Render()) {
				t.Errorf("got %v", err)
			}
			return
		}
		if _, err := p.Demands(); err != nil && err.Error() == "" {
			t.Error("an error that says nothing")
		}
		out, err := scenario.Format("x", []byte(src))
		if err != nil {
			t.Fatalf("format what loads: %v", err)
		}
		if again, err := scenario.Format("x", out); err != nil || !bytes.Equal(again, out) {
			t.Errorf("formatting twice differs: %v\n%q\n%q", err, out, again)
		}
		if _, err := scenario.Load("x", out, options("testdata")); err != nil {
			t.Errorf("the standard form does not load: %v\n%s", err, out)
		}
	})
}
