package expr_test

import (
	"os"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dmm/expr"
)

// The examples of the reference compile, and its mistakes do not.
func TestReference(t *testing.T) {
	text, err := os.ReadFile("../../docs/expressions.md")
	if err != nil {
		t.Fatal(err)
	}
	fence, tried := "", map[string]int{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if mark, ok := strings.CutPrefix(line, "```"); ok {
			fence = mark
			continue
		}
		if fence == "" {
			continue
		}
		tried[fence]++
		if fence == "formula" {
			if f, err := expr.CompileFormula(line, inputs()); err != nil || !f.IsCondition() {
				t.Errorf("%s in a block of formulas: got %v", line, err)
			}
			continue
		}
		p, err := expr.Compile(line, lookup(), known()...)
		if valid := fence == "expr"; valid != (err == nil) || valid && !p.IsCondition() {
			t.Errorf("%s in a block of %q: got %v", line, fence, err)
		}
	}
	if tried["expr"] < 9 || tried["mistake"] < 7 || tried["formula"] < 3 {
		t.Errorf("got examples %v", tried)
	}
}
