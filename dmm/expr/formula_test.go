package expr_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
)

// inputs are what the formulas of all tests know.
func inputs() []expr.Input {
	return []expr.Input{
		{Name: "level", Kind: dsv.Int},
		{Name: "kind", Kind: dsv.Text},
		{Name: "age", Kind: dsv.Float, Unit: "s"},
		{Name: "size", Kind: dsv.Float, Unit: "B"},
		{Name: "share", Kind: dsv.Float, Unit: "1"},
		{Name: "raw", Kind: dsv.Bytes},
		{Name: "sink.*"},
	}
}

// values are those of inputs, and of the two sinks' facts that formulas name first.
func values() []expr.Scalar {
	return []expr.Scalar{
		{Num: 4}, {Text: "load"}, {Num: 0.25}, {Num: 2048}, {Num: 0.5}, expr.Unknown(), {Num: 0.7, Text: "x"}, {Text: "north"},
	}
}

func formula(t testing.TB, src string) *expr.Formula {
	t.Helper()
	f, err := expr.CompileFormula(src, inputs())
	if err != nil {
		t.Fatalf("CompileFormula(%q): %v", src, err)
	}
	return f
}

func TestFormulaNumber(t *testing.T) {
	nan := math.NaN()
	for _, tc := range []struct {
		src  string
		want float64
		unit string
	}{
		{"level * 2 + 1", 9, "1"},
		{"age + 50ms", 0.3, "s"},
		{"size / age", 8192, "B/s"},
		{"level > 3 ? 10 : 20", 10, "1"},
		{"level > 4 ? 10 : 20", 20, "1"},
		{"level > 4 ? 1 : level > 3 ? 2 : 3", 2, "1"},
		{"age > 1s ? 1s : age", 0.25, "s"},
		{"age > 1s ? 0 : age", 0.25, "s"},
		{"sink.load > 1 ? 1 : 2", 2, "1"},
		{"min(level, 3, 7)", 3, "1"},
		{"max(level, 3)", 4, "1"},
		{"max(age, 1s)", 1, "s"},
		{"min(age, 0)", 0, "s"},
		{"abs(-level)", 4, ""},
		{"abs(0 - age)", 0.25, "s"},
		{"floor(level / 3)", 1, ""},
		{"floor(-1.5)", -2, "1"},
		{"sqrt(level)", 2, ""},
		{"sqrt(age * age)", 0.25, "s"},
		{"sqrt(-1)", nan, "1"},
		{"exp(0)", 1, "1"},
		{"exp(1000)", nan, "1"},
		{"log(exp(share))", 0.5, "1"},
		{"log(0)", nan, "1"},
		{"log(age / 1s) < 0 ? 1 : 2", 1, "1"},
		{"level / 0", nan, ""},
		{"min(level, level / 0)", nan, ""},
		{"1e308 * 10 * level", nan, ""},
		{"-level", -4, ""},
	} {
		t.Run(tc.src, func(t *testing.T) {
			f := formula(t, tc.src)
			got := f.Eval(values())
			if math.IsNaN(tc.want) != math.IsNaN(got) || math.Abs(got-tc.want) > 1e-12 {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			if f.IsCondition() || f.Unit() != tc.unit || f.Source() != tc.src || f.Holds(values()) {
				t.Errorf("got condition %v, unit %q, holds %v; want unit %q", f.IsCondition(), f.Unit(), f.Holds(values()), tc.unit)
			}
		})
	}
}

func TestFormulaCondition(t *testing.T) {
	for _, tc := range []struct{ src, want string }{
		{`level > 3 and sink.load < 0.8 and kind == "load"`, "true"},
		{`level > 4 or kind != "load"`, "false"},
		{"1 < level <= 4", "true"},
		{"not (age > 200ms)", "false"},
		{"size >= 2KiB", "true"},
		{`sink.load < 1 and sink.site == "north"`, "true"},
		{`sink.load < 1 and "south" == sink.site`, "false"},
		{`sink.load < 1 and sink.site != "south" and sink.site != sink.site`, "false"},
		{"level > 3 ? share > 0.4 : false", "true"},
		{"true", "true"},
		// sink.rest is not among the values.
		{"sink.load < 1 and sink.site > 0 and sink.rest > 0", "false"},
		{`sink.load < 1 and sink.site == "north" and sink.rest > 0`, "unknown"},
		{`sink.load < 1 and sink.site == "north" and sink.rest == "x"`, "unknown"},
		{"sink.load > 1 and sink.site == 'a' and sink.rest > 0", "false"},
		{"sink.load < 1 or sink.site == 'a' or sink.rest > 0", "true"},
		{`sink.load < 1 and sink.site == "north" and (sink.rest > 0 ? true : true)`, "unknown"},
		{"level / 0 > 1", "unknown"},
		{"not (level / 0 > 1)", "unknown"},
	} {
		t.Run(tc.src, func(t *testing.T) {
			f := formula(t, tc.src)
			want := map[string]float64{"true": 1, "false": 0, "unknown": math.NaN()}[tc.want]
			got := f.Eval(values())
			if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || !f.IsCondition() || f.Unit() != "" {
				t.Errorf("got %v, want %v", got, want)
			}
			if f.Holds(values()) != (tc.want == "true") {
				t.Errorf("got holds %v of %s", f.Holds(values()), tc.want)
			}
		})
	}
}

func TestFormulaInputs(t *testing.T) {
	f := formula(t, `sink.load > 0 and age > 0 and sink.load < 1 and sink.site == "x"`)
	var names []string
	var used []bool
	for i, in := range f.Inputs() {
		names, used = append(names, in.Name), append(used, f.Uses(i))
	}
	if want := []string{"level", "kind", "age", "size", "share", "raw", "sink.load", "sink.site"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if want := []bool{false, false, true, false, false, false, true, true}; !slices.Equal(used, want) {
		t.Errorf("uses: got %v, want %v", used, want)
	}
	for _, tc := range []struct {
		v    dsv.Value
		num  float64
		text string
	}{{dsv.IntValue(3), 3, ""}, {dsv.FloatValue(0.5), 0.5, ""}, {dsv.TextValue("x"), math.NaN(), "x"}, {dsv.BytesValue(nil), math.NaN(), ""}, {dsv.Value{}, math.NaN(), ""}} {
		got := expr.ScalarOf(tc.v)
		if got.Num != tc.num && !(math.IsNaN(got.Num) && math.IsNaN(tc.num)) || got.Text != tc.text {
			t.Errorf("ScalarOf(%v): got %+v", tc.v, got)
		}
	}
}

// A fact that is of another kind than the formula takes it for is unknown as a number, and no text.
func TestFormulaOpenInputs(t *testing.T) {
	for _, tc := range []struct {
		src   string
		value dsv.Value
		want  float64
	}{
		{"sink.x < 1", dsv.FloatValue(0), 1},
		{"sink.x < 1", dsv.TextValue("low"), math.NaN()},
		{"sink.x < 1", dsv.TextValue(""), math.NaN()},
		{"sink.x == 'low'", dsv.TextValue("low"), 1},
		{"sink.x == ''", dsv.TextValue(""), 1},
		{"sink.x == 'low'", dsv.FloatValue(3), 0},
		{"sink.x == 'low'", dsv.BytesValue(nil), math.NaN()},
		{"sink.x == 'low'", dsv.Value{}, math.NaN()},
	} {
		f, err := expr.CompileFormula(tc.src, []expr.Input{{Name: "sink.*"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Eval([]expr.Scalar{expr.ScalarOf(tc.value)}); got != tc.want && !(math.IsNaN(got) && math.IsNaN(tc.want)) {
			t.Errorf("%s of %v: got %v, want %v", tc.src, tc.value, got, tc.want)
		}
	}
}

func TestFormulaMistakes(t *testing.T) {
	for _, tc := range []struct{ src, want string }{
		{"levl > 3", "col 1: no such input levl; did you mean level?"},
		{"zebra > 3", "col 1: no such input zebra; the inputs are level kind age size share raw sink.*"},
		{"max > 3", "col 1: no such input max; max is a function: max(x)"},
		{"raw > 3", "col 1: raw is neither a number nor a text; formulas read numbers and texts"},
		{"kind > 3", "col 6: > needs a number on both sides"},
		{"level == 'x'", "col 7: == needs a number on both sides"},
		{"age > 3", "col 7: a number without a unit beside a time; write it like 200ms or 2s"},
		{"p95(level) > 3", "col 1: no such function p95; the functions are min max abs floor sqrt exp log"},
		{"sqr(level) > 3", "col 1: no such function sqr; did you mean sqrt?"},
		{"max(level) > 3", "col 1: max takes two numbers or more; write max(x, y)"},
		{"abs(level, 1) > 3", "col 1: abs takes one number; write abs(x)"},
		{"abs(kind) > 3", "col 5: abs needs numbers"},
		{"max(age, 3) > 1s", "col 10: a number without a unit beside a time; write it like 200ms or 2s"},
		{"max(age, size) > 1s", "col 1: a time max a size do not go together"},
		{"exp(age) > 1", "col 5: exp needs a plain number, not a time; divide by the unit first, as in exp(x / 1s)"},
		{"sqrt(age) > 1", "col 6: sqrt of a time has no unit; divide by the unit first, as in sqrt(x / 1s)"},
		{"level ? 1 : 2", "col 1: ? needs a condition before it; compare the number with something, as in x > 1 ? a : b"},
		{"level > 3 ? 1 : true", "col 17: the two sides of : are not of one kind; both are numbers, or both are conditions"},
		{"level > 3 ? age : size", "col 19: a time : a size do not go together"},
		{"level > 3 ? age : 2", "col 19: a number without a unit beside a time; write it like 200ms or 2s"},
		{"level > 3 ? kind : kind", "col 13: a conditional comes to no text; compare on each side: c ? x == \"a\" : x == \"b\""},
		{"level > 3 ? : 2", "col 1: nothing stands between ? and :; write c ? a : b"},
		{"level > 3 ? 1", "col 14: the expression ends too early"},
		{"level > 3 : 1", `col 11: unexpected ":"`},
		{"level > 3 ?? 1", `col 12: unexpected "?"`},
		{"", "col 1: the expression is empty; write a condition such as level > 3"},
		{"sink.site", ""},
	} {
		t.Run(tc.src, func(t *testing.T) {
			f, err := expr.CompileFormula(tc.src, inputs())
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if _, ok := errors.AsType[*expr.Error](err); f != nil || !ok || err.Error() != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
	if _, err := expr.CompileFormula("x > 1", nil); err == nil || err.Error() != "col 1: no such input x; there are no inputs" {
		t.Errorf("without inputs: got %v", err)
	}
}

// The language of rules has conditionals and functions of numbers too.
func TestProgramConditional(t *testing.T) {
	for _, tc := range []struct{ src, want string }{
		{"p95(static.latency) > (crowd.errors > 2 ? 100ms : 1s)", "true"},
		{"p95(static.latency) > (crowd.errors > 3 ? 100ms : 1s)", "false"},
		{"crowd.errors > 2 ? run.state == 'running' : false", "true"},
		{"mean(crowd.latency) > 1s ? true : true", "unknown"},
		{"abs(-crowd.errors) == 3 and floor(crowd.errors / 2) == 1 and sqrt(crowd.errors + 1) == 2", "true"},
		{"log(exp(crowd.errors)) > 2.99", "true"},
	} {
		v, err := compile(t, tc.src).Eval(sample())
		if err != nil || v.String() != tc.want {
			t.Errorf("%s: got %v, %v, want %s", tc.src, v, err, tc.want)
		}
	}
}

func FuzzFormula(f *testing.F) {
	for _, s := range []string{
		`level > 3 and sink.load < 0.8 and kind == "load"`, "level > 3 ? age : 1s", "max(level, 3, min(1, 2))", "sink.a == sink.b or 'x' == sink.c",
		"sqrt(exp(log(abs(floor(1)))))", "a ? b : c", "? :", "max(", "1 ? 2 : 3 ? 4 : 5",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		f, err := expr.CompileFormula(src, inputs())
		if err != nil {
			errs, ok := errors.AsType[expr.Errors](err)
			if !ok || f != nil {
				t.Fatalf("got %v and %T", f, err)
			}
			for _, e := range errs {
				if e.Col < 1 || e.Col > len([]rune(src))+1 || e.Msg == "" {
					t.Fatalf("%q: got %+v", src, e)
				}
			}
			return
		}
		for _, vs := range [][]expr.Scalar{values(), nil} {
			got := f.Eval(vs)
			if math.IsInf(got, 0) || f.IsCondition() && got != 0 && got != 1 && !math.IsNaN(got) || f.Holds(vs) != (f.IsCondition() && got == 1) {
				t.Fatalf("%q: got %v, holds %v", src, got, f.Holds(vs))
			}
		}
	})
}

const usual = `level > 3 and sink.load < 0.8 and kind == "load"`

func usualFormula(t testing.TB) (*expr.Formula, []expr.Scalar) {
	t.Helper()
	f, err := expr.CompileFormula(usual, []expr.Input{{Name: "level", Kind: dsv.Float}, {Name: "sink.load", Kind: dsv.Float}, {Name: "kind", Kind: dsv.Text}})
	if err != nil {
		t.Fatal(err)
	}
	return f, []expr.Scalar{{Num: 4}, {Num: 0.5}, {Text: "load"}}
}

func TestFormulaAllocatesNothing(t *testing.T) {
	f, vs := usualFormula(t)
	if got := testing.AllocsPerRun(100, func() { f.Holds(vs) }); got != 0 {
		t.Errorf("got %v allocations", got)
	}
}

// BenchmarkFormula evaluates a usual filter, beside a Go function that says the same: ratio is the formula's time by the
// function's.
func BenchmarkFormula(b *testing.B) {
	f, vs := usualFormula(b)
	b.ReportAllocs()
	for b.Loop() {
		if !f.Holds(vs) {
			b.Fatal("does not hold")
		}
	}
	took := b.Elapsed()
	native := func(vs []expr.Scalar) bool { return vs[0].Num > 3 && vs[1].Num < 0.8 && vs[2].Text == "load" }
	begin := time.Now()
	for range b.N {
		if !native(vs) {
			b.Fatal("does not hold")
		}
	}
	b.ReportMetric(float64(took)/float64(time.Since(begin)), "ratio")
}
