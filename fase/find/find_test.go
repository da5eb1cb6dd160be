package find_test

import (
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/find"
)

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		text string
		want string // of the limits, joined; empty: an error
	}{
		{"p99 < 20ms", "p99 < 20ms"},
		{"p99<20 ms", "p99 < 20ms"},
		{"p999 <= 1.5s", "p999 < 1.5s"},
		{"p9999 < 250us", "p9999 < 250µs"},
		{"p50(crowd.latency) < 5ms", "p50(crowd.latency) < 5ms"},
		{"mean < 5ms and errors < 0.1%", "mean < 5ms and errors < 0.1%"},
		{"errors < 0.25", "errors < 25%"},
		{"p99", ""},
		{"p9 < 1s", ""},
		{"p00 < 1s", ""},
		{"p99 < 20", ""},
		{"p99 < -1s", ""},
		{"p99(x < 1s", ""},
		{"p99() < 1s", ""},
		{"errors < 1s", ""},
		{"errors < 100%", ""},
		{"max < 1s", ""},
		{"p99 < 1s and", ""},
	} {
		ls, err := find.ParseLimits(test.text)
		var got strings.Builder
		for i, l := range ls {
			if i > 0 {
				got.WriteString(" and ")
			}
			got.WriteString(l.String())
		}
		if got.String() != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%q: got %q, %v, want %q", test.text, got.String(), err, test.want)
		}
	}
}

func TestGoals(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"p99 < 5ms ± 5%", "p99 < 5ms ± 5%"},
		{"p95 +- 0.02", "p95 ± 2%"},
		{"mean±1%", "mean ± 1%"},
		{"p99 < 5ms", ""},
		{"p99 ± 5ms", ""},
		{"p99(x.latency) ± 5%", ""},
		{"± 5%", ""},
	} {
		g, err := find.ParseGoal(test.text)
		if err != nil && test.want == "" {
			continue
		}
		if got := g.String(); got != test.want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", test.text, got, err, test.want)
		}
	}
}
