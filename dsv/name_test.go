package dsv_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dsv"
)

func TestParseName(t *testing.T) {
	for s, ok := range map[string]bool{
		"a": true, "app.latency": true, "server_1.cpu.utilisation": true, "a9_.b": true, strings.Repeat("a", 200): true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "A": false, "1a": false, "_a": false, "a-b": false,
		"a b": false, "é": false, "*": false, "a\x00": false, strings.Repeat("a", 201): false,
	} {
		n, err := dsv.ParseName(s)
		if ok && (err != nil || string(n) != s) {
			t.Errorf("%q: %q, %v", s, n, err)
		}
		if !ok && !errors.Is(err, dsv.ErrName) {
			t.Errorf("%q: error is %v, want %v", s, err, dsv.ErrName)
		}
	}
}

func TestNameMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a", true},
		{"*", "a.b.c", true},
		{"a", "a", true},
		{"a", "a.b", false},
		{"a", "ab", false},
		{"a.b", "a", false},
		{"a.*", "a", false},
		{"a.*", "a.b", true},
		{"a.*", "a.b.c", true},
		{"a.*", "ab.c", false},
		{"*.b", "a.b", true},
		{"*.b", "a.c.b", false},
		{"*.b.*", "a.b", false},
		{"*.b.*", "a.b.c.d", true},
		{"a.*.c", "a.b.c", true},
		{"a.*.c", "a.b.d", false},
		{"a.*.c", "a.b.c.d", false},
		{"*.*", "a", false},
		{"*.*", "a.b.c", true},
	} {
		if got := dsv.Name(c.name).Match(c.pattern); got != c.want {
			t.Errorf("%s matches %s: %v, want %v", c.pattern, c.name, got, c.want)
		}
		if err := dsv.CheckPattern(c.pattern); err != nil {
			t.Error(err)
		}
	}
}

func TestNamesOfKindsAndRules(t *testing.T) {
	for k := dsv.Float; k <= dsv.Histogram; k++ {
		var got dsv.Kind
		if err := got.UnmarshalText([]byte(k.String())); err != nil || got != k {
			t.Errorf("%v: read as %v, %v", k, got, err)
		}
	}
	for m := dsv.Last; m <= dsv.Append; m++ {
		var got dsv.Merge
		if err := got.UnmarshalText([]byte(m.String())); err != nil || got != m {
			t.Errorf("%v: read as %v, %v", m, got, err)
		}
	}
	for _, s := range []string{"", "kind 1", "Float", "real"} {
		var k dsv.Kind
		var m dsv.Merge
		if k.UnmarshalText([]byte(s)) == nil || m.UnmarshalText([]byte(s)) == nil {
			t.Errorf("%q was read as a kind or a rule", s)
		}
	}
}
