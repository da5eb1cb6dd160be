package rdr_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/rdr"
)

// TestReference parses the examples of the reference, and checks that it
// explains every statement, distribution and unit that the parser knows.
func TestReference(t *testing.T) {
	data, err := os.ReadFile("../docs/rdr.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```rdr (\\w+)\n(.*?)```").FindAllSubmatch(data, -1)
	if len(examples) < 3 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, e := range examples {
		start := rdr.StartRequest
		if string(e[1]) == "operations" {
			start = rdr.StartBlock
		}
		f, err := rdr.ParseFile("docs/rdr.md", e[2], start)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		for _, name := range f.Names() {
			b, _ := f.Request(name)
			if _, err := b.Mean(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// The parser lists what it knows in its messages.
	_, err = rdr.ParseBlock("x", []byte("frobnicate"), rdr.Limits{})
	_, list, ok := strings.Cut(err.Error(), "statements are ")
	if !ok {
		t.Fatal(err)
	}
	_, err = rdr.ParseBlock("x", []byte("cpu frobnicate(1ms)"), rdr.Limits{})
	_, dists, ok := strings.Cut(err.Error(), "distributions are ")
	if !ok {
		t.Fatal(err)
	}
	for word := range strings.SplitSeq(list+", "+dists, ", ") {
		if !strings.Contains(string(data), `"`+word+`"`) {
			t.Errorf("the grammar lacks %q", word)
		}
		if !strings.Contains(string(data), "`"+word) {
			t.Errorf("the text lacks %q", word)
		}
	}
}
