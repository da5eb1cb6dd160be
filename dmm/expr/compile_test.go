package expr_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
)

func TestMistakes(t *testing.T) {
	for _, tc := range []struct{ src, want string }{
		{"", "col 1: the expression is empty; write a condition such as p95(app.latency) > 100ms"},
		{"  ", "col 1: the expression is empty; write a condition such as p95(app.latency) > 100ms"},
		{"p95(static.latncy) > 1s", "col 5: no such variable static.latncy; did you mean static.latency?"},
		{"1 < crowd.requsets", "col 5: no such variable crowd.requsets; did you mean crowd.requests?"},
		{"zebra > 1", "col 1: no such variable zebra; `eve vars` lists the variables of a scenario"},
		{"mean > 1", "col 1: no such variable mean; mean is a function: mean(variable)"},
		{"Crowd.errors > 1", `col 1: "Crowd.errors" is not a variable name; did you mean crowd.errors?`},
		{"crowd..errors > 1", `col 1: "crowd..errors" is not a variable name; did you mean crowd.errors?`},
		{"a AND b", `col 3: "AND" is not a variable name; write and`},
		{"static.latency > 1s", "col 1: static.latency is a histogram and has no single value; use p95(static.latency) or mean(static.latency)"},
		{"p95(crowd.errors) > 1", "col 1: p95 of crowd.errors: it is a counter; use crowd.errors for its total, or rate(crowd.errors)"},
		{"1 < max(server_1.cpu.utilisation)", "col 5: max of server_1.cpu.utilisation: it is a mean; use mean(server_1.cpu.utilisation) or ewma(server_1.cpu.utilisation)"},
		{"count(server_1.link.delivered) > 1", "col 1: count of server_1.link.delivered: it is a sum; use server_1.link.delivered for its total, or rate(server_1.link.delivered)"},
		{"mean(crowd.rate) > 1", "col 1: mean of crowd.rate: it is a latest value; use crowd.rate alone, which is its latest value"},
		{"max(least) > 1", "col 1: max of least: it is a least value; use min(least)"},
		{"min(greatest) > 1", "col 1: min of greatest: it is a greatest value; use max(greatest)"},
		{"rate(run.state) > 1", `col 1: rate of run.state: it is a text; compare it: run.state == "text"`},
		{"run.decisions > 1", "col 1: run.decisions is bytes and has no single value; expressions read numbers and texts"},
		{"run.state > 1", "col 11: > needs a number on both sides"},
		{"run.state", `col 1: a text alone is no expression; compare it: … == "text"`},
		{"p75(static.latency) > 1s", "col 1: no such function p75; did you mean p95?"},
		{"variance(static.latency) > 1s", "col 1: no such function variance; the functions are p50 p90 p95 p99 p999 mean rate max min count ewma abs floor sqrt exp log"},
		{"p95() > 1", "col 1: p95 takes a variable, and a window if you like; write p95(app.latency) or p95(app.latency, 10s)"},
		{"p95(static.latency, 1s, 2s) > 1", "col 1: p95 takes a variable, and a window if you like; write p95(app.latency) or p95(app.latency, 10s)"},
		{"max(crowd.errors, crowd.requests) > 1", "col 19: the second argument of max is a window; write a time such as 10s"},
		{"p95(static.latency, 5) > 1s", "col 21: the second argument of p95 is a window; write a time such as 10s"},
		{"p95(static.latency, 2h) > 1s", "col 21: a window of 2h; a window is longer than 0 and at most 1h"},
		{"p95(static.latency, 0s) > 1s", "col 21: a window of 0s; a window is longer than 0 and at most 1h"},
		{"p95(1 + 2) > 1s", "col 7: p95 is taken of a variable, not of an expression"},
		{"5(3) > 1", "col 1: no such function 5; an operator is missing before the parenthesis"},
		{"p95(static.latency) > 100", "col 23: a number without a unit beside a time; write it like 200ms or 2s"},
		{"100 < rate(crowd.requests)", "col 1: a number without a unit beside a rate; write it like 40/s"},
		{"p95(static.latency) > 100MiB", "col 21: a time > a size do not go together"},
		{"1s + 5/s > 1s", "col 4: a time + a rate do not go together"},
		{"not crowd.errors > 5", "col 1: not needs a condition; put what it negates into parentheses: not (a > b)"},
		{"crowd.errors and true", "col 14: and needs a condition on both sides; compare the number with something, as in x > 1"},
		{"true + 1", "col 6: + needs a number on both sides"},
		{"true == false", "col 6: == needs a number on both sides"},
		{"-true", "col 1: - needs a number"},
		{"crowd.errors >", "col 15: the expression ends too early"},
		{"(crowd.errors > 1", "col 18: the expression ends too early"},
		{"crowd.errors > 1)", `col 17: unexpected ")"`},
		{"crowd.errors crowd.requests", `col 14: unexpected "crowd.requests"; an operator is missing between "crowd.errors" and "crowd.requests"`},
		{"> 1", `col 1: unexpected ">"`},
		{"crowd.errors = 1", `col 14: unexpected "="; write == to compare`},
		{"crowd.errors > 1 & true", `col 18: unexpected "&"; write and`},
		{"crowd.errors > 1 | true", `col 18: unexpected "|"; write or`},
		{"crowd.errors % 2 > 1", `col 14: unexpected "%"; % belongs directly behind a number, as in 85%`},
		{"2 ** 3 > 1", `col 3: unexpected "*"; the operators are and or not && || ! < <= > >= == != + - * / ? :`},
		{"crowd.errors > 1 ? 1", "col 21: the expression ends too early"},
		{"µ > 1", `col 1: unexpected "µ"`},
		{"é > 1", `col 1: unexpected "é"; the operators are and or not && || ! < <= > >= == != + - * / ? :`},
		{"1s < 5m", `col 6: unknown unit "m": say min for minutes or MiB for megabytes`},
		{"1 < 2foo", `col 5: unknown unit "foo": the units are ns us ms s min h, B KB MB GB TB KiB MiB GiB TiB, bit Kbit Mbit Gbit, each also per time as in 40/s or 10MiB/s, and %`},
		{"1.2.3 > 1", `col 1: "1.2.3" is not a quantity; a quantity is written like 200ms, 64MiB, 40/s or 85%`},
		{"2s3 > 1", `col 1: "2s3" is not a quantity; a quantity is written like 200ms, 64MiB, 40/s or 85%`},
		{"1e999 > 1", `col 1: "1e999": not a number that fits`},
		{"run.state == 'x", "col 14: the text does not end; close it with '"},
		// Several at once, in order.
		{"p95(crowd.errors) > foo.bar and baz < 1", "col 1: p95 of crowd.errors: it is a counter; use crowd.errors for its total, or rate(crowd.errors)\n" +
			"col 21: no such variable foo.bar; `eve vars` lists the variables of a scenario\n" +
			"col 33: no such variable baz; `eve vars` lists the variables of a scenario"},
	} {
		t.Run(tc.src, func(t *testing.T) {
			p, err := expr.Compile(tc.src, lookup(), known()...)
			if p != nil || err == nil {
				t.Fatalf("got %v, %v, want %s", p, err, tc.want)
			}
			if got := err.Error(); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			if e, ok := errors.AsType[*expr.Error](err); !ok || e.Col < 1 {
				t.Errorf("got %T %+v", err, e)
			}
		})
	}
}

func TestColumnsCountCharacters(t *testing.T) {
	_, err := expr.Compile("3µs < zebra\n", lookup())
	if e, ok := errors.AsType[*expr.Error](err); !ok || e.Col != 7 {
		t.Errorf("got %v, want column 7", err)
	}
}

func TestBounds(t *testing.T) {
	for _, src := range []string{
		strings.Repeat("1+", expr.MaxSource) + "1",
		strings.Repeat("(", expr.MaxSource-1),
		strings.Repeat("!", expr.MaxSource-1),
		strings.Repeat("@", expr.MaxSource-1),
	} {
		_, err := expr.Compile(src, lookup())
		if errs, ok := errors.AsType[expr.Errors](err); !ok || len(errs) > 10 {
			t.Errorf("%.10s…: got %v", src, err)
		}
	}
	deep := strings.Repeat("(", 2000) + "1" + strings.Repeat(")", 2000) + " > 0"
	if v, err := compile(t, deep).Eval(sample()); err != nil || !v.True() {
		t.Errorf("deep parentheses: got %v, %v", v, err)
	}
}

func TestParseQuantity(t *testing.T) {
	for _, tc := range []struct {
		text string
		want float64
		unit string
	}{
		{"80/s", 80, "1/s"},
		{"1Gbit", 1e9, "bit"},
		{"0", 0, "1"},
		{"12.5%", 0.125, "1"},
		{"1.5KiB/ms", 1536000, "B/s"},
	} {
		if x, unit, err := expr.ParseQuantity(tc.text); err != nil || x != tc.want || unit != tc.unit {
			t.Errorf("%s: got %v %q, %v, want %v %q", tc.text, x, unit, err, tc.want, tc.unit)
		}
	}
	for _, text := range []string{"", "s", "-1s", "1 s", "1s2", "1/x", "85%/s", "1e400", "1e308GiB"} {
		if x, unit, err := expr.ParseQuantity(text); err == nil {
			t.Errorf("%q: got %v %q, want an error", text, x, unit)
		}
	}
}

func TestDivisionBesideARate(t *testing.T) {
	// "40/s" is a rate; a division by a variable that begins with s is a division.
	ds := map[dsv.Name]dsv.Declaration{"s.x": {Kind: dsv.Float, Merge: dsv.Last, Unit: "s"}, "s": {Kind: dsv.Float, Merge: dsv.Last, Unit: "s"}}
	vars := func(n dsv.Name) (dsv.Declaration, bool) { d, ok := ds[n]; return d, ok }
	for src, want := range map[string]int{"40/s": 0, "40/s.x": 1, "40 / s": 1} {
		p, err := expr.Compile(src, vars)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		if got := len(p.Vars()); got != want || p.Unit() != "1/s" {
			t.Errorf("%s: got %d variables, unit %q, want %d", src, got, p.Unit(), want)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		"p95(static.latency) > 100ms and server_1.cpu.utilisation > 85%", "crowd.errors / crowd.requests < 0.01",
		"1 < crowd.errors < 4 or not (true)", "run.state == 'x'", "ewma(static.latency, 3s)", "((((", "p95(", "-- 3 µs", "1<1<1<1", "a.b.c(1)(2)",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		p, err := expr.Compile(src, lookup(), known()...)
		if err != nil {
			errs, ok := err.(expr.Errors)
			if !ok || len(errs) == 0 || p != nil {
				t.Fatalf("got %v and %T", p, err)
			}
			for _, e := range errs {
				if e.Col < 1 || e.Col > len([]rune(src))+1 || e.Msg == "" {
					t.Fatalf("%q: got %+v", src, e)
				}
			}
			return
		}
		v, err := p.Eval(sample())
		if err != nil {
			t.Fatalf("%q: %v", src, err)
		}
		if v.IsCondition != p.IsCondition() || v.Known() && v.IsCondition && v.Number != 0 && v.Number != 1 {
			t.Fatalf("%q: got %+v", src, v)
		}
		for text, x := range p.Readings(sample()) {
			again, err := expr.Compile(text, lookup())
			if err != nil {
				t.Fatalf("reading %q of %q does not compile: %v", text, src, err)
			}
			if v, err := again.Eval(sample()); err != nil || v.Number != x {
				t.Fatalf("reading %q: got %v, %v, want %v", text, v, err, x)
			}
		}
	})
}
